package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"govn/northd"
	"govn/pkg/daemon"
)

func newNorthdCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "northd",
		Short: "Serve the databases, compile them, and feed the chassis",
		Args:  arguments(0, 0),
		RunE:  func(c *cobra.Command, _ []string) error { return runDaemon(c, runNorthd) },
	}
	run := daemon.RunDir()
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("data-dir", "/var/lib/govn", "`DIR` of the databases")
	fs.String("store", "", "bbolt:FILE or memory (default bbolt:DIR/govn.db in the data directory)")
	fs.String("nb-listen", "ptcp:6641:127.0.0.1,punix:"+filepath.Join(run, "ovnnb_db.sock"),
		"`LIST` of connection methods that serve OVN_Northbound: ptcp:PORT[:IP], pssl:PORT[:IP], punix:PATH, and tcp:, ssl:, unix: to connect to a peer")
	fs.String("sb-listen", "ptcp:6642:127.0.0.1,punix:"+filepath.Join(run, "ovnsb_db.sock"),
		"`LIST` of connection methods that serve OVN_Southbound")
	fs.Bool("db-remotes", true, "obey the Connection rows of the databases too")
	fs.String("fabric-listen", "tcp:127.0.0.1:6643", "`LIST` of tcp:IP:PORT, ssl:IP:PORT and unix:PATH that serve the chassis")
	addKeyFlags(c)
	addLimitFlags(c)
	addDaemonFlags(c)
	return c
}

func runNorthd(ctx context.Context, d *daemon.Daemon, s *settings) error {
	nb, err1 := s.remotes("nb-listen")
	sb, err2 := s.remotes("sb-listen")
	fabric, err3 := s.list("fabric-listen")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	keys, err := keyFlags(s)
	if err != nil {
		return err
	}
	limits, err := s.limits()
	if err != nil {
		return err
	}
	store := s.str("store")
	if store == "" {
		store = "bbolt:" + filepath.Join(s.str("data-dir"), "govn.db")
	}
	// The default sockets live there; other directories are the operator's.
	if err := os.MkdirAll(d.RunDir, 0o755); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	logGRPC(d.Logger)
	return northd.Run(ctx, northd.Options{
		Store:        store,
		NBListen:     nb,
		SBListen:     sb,
		NoDBRemotes:  !s.boolean("db-remotes"),
		FabricListen: fabric,
		Keys:         keys,
		Limits:       limits,
		Logger:       d.Logger,
		Registry:     d.Registry,
		Ready:        d.Ready,
		Handle:       d.Handle,
		Memory:       d.AddMemory,
	})
}
