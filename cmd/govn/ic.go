package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"govn/ic/agent"
	"govn/ic/server"
	"govn/pkg/daemon"
)

func newICCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ic",
		Short: "Link zones by transit switches",
	}
	c.AddCommand(newICServerCommand(), newICAgentCommand(), newICStatusCommand(), newICConflictsCommand(), newICLintCommand())
	return group(c)
}

func newICServerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:         "server",
		Short:       "Serve the databases by which zones find each other",
		Annotations: map[string]string{"program": "govn-ic-server"},
		Args:        arguments(0, 0),
		RunE:        func(c *cobra.Command, _ []string) error { return runDaemon(c, runICServer) },
	}
	run := daemon.RunDir()
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("data-dir", "/var/lib/govn", "`DIR` of the databases")
	fs.String("store", "", "bbolt:FILE or memory (default bbolt:DIR/govn-ic.db in the data directory)")
	fs.String("ic-nb-listen", "ptcp:6645:127.0.0.1,punix:"+filepath.Join(run, "ovn_ic_nb_db.sock"),
		"`LIST` of connection methods that serve OVN_IC_Northbound: ptcp:PORT[:IP], pssl:PORT[:IP], punix:PATH, tcp:, ssl:, unix: to connect to a peer, db:DB,TABLE,COLUMN")
	fs.String("ic-sb-listen", "ptcp:6646:127.0.0.1,punix:"+filepath.Join(run, "ovn_ic_sb_db.sock"),
		"`LIST` of connection methods that serve OVN_IC_Southbound")
	fs.Bool("db-remotes", true, "obey the Connection rows of the databases too")
	fs.String("fabric-listen", "", "`LIST` of tcp:IP:PORT, ssl:IP:PORT and unix:PATH that serve zones of govn (default none)")
	fs.Duration("lease", 15*time.Second, "`TIME` after which the routes of a zone go that says nothing")
	fs.Bool("stock-lease", true, "also those of zones that are joined by OVSDB, when their daemon is gone")
	fs.Bool("ownership", true, "rows of a zone are written by that zone only; unix sockets are the operator's")
	addKeyFlags(c)
	addLimitFlags(c)
	addDaemonFlags(c)
	return c
}

func runICServer(ctx context.Context, d *daemon.Daemon, s *settings) error {
	nb, err1 := s.remotes("ic-nb-listen")
	sb, err2 := s.remotes("ic-sb-listen")
	keys, err3 := keyFlags(s)
	limits, err4 := s.limits()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	store := s.str("store")
	if store == "" {
		store = "bbolt:" + filepath.Join(s.str("data-dir"), "govn-ic.db")
	}
	// The default sockets live there; other directories are the operator's.
	if err := os.MkdirAll(d.RunDir, 0o755); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	fabric, err := s.list("fabric-listen")
	if err != nil {
		return err
	}
	lease := s.v.GetDuration("lease")
	if lease < time.Second {
		return fmt.Errorf("%w: lease: %v is no time of 1s or more", errLimit, s.v.Get("lease"))
	}
	logGRPC(d.Logger)
	return server.Run(ctx, server.Options{
		FabricListen: fabric,
		Centre:       server.CentreOptions{Lease: lease, NoStockLease: !s.boolean("stock-lease"), NoOwnership: !s.boolean("ownership")},
		Store:        store, NBListen: nb, SBListen: sb, NoDBRemotes: !s.boolean("db-remotes"), Keys: keys, Limits: limits,
		Logger: d.Logger, Registry: d.Registry, Ready: d.Ready, Handle: d.Handle, Memory: d.AddMemory,
	})
}

func newICAgentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:         "agent",
		Short:       "Join a zone to the interconnection",
		Annotations: map[string]string{"program": "govn-ic-agent"},
		Args:        arguments(0, 0),
		RunE:        func(c *cobra.Command, _ []string) error { return runDaemon(c, runICAgent) },
	}
	run := daemon.RunDir()
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("nb", "unix:"+filepath.Join(run, "ovnnb_db.sock"), "`DB` of the zone: its OVN_Northbound")
	fs.String("sb", "unix:"+filepath.Join(run, "ovnsb_db.sock"), "`DB` of the zone: its OVN_Southbound")
	fs.String("ic", "", "`FABRIC` of the interconnection's service (govn ic server), tcp:, ssl: or unix:; in place of the two databases")
	fs.String("ic-nb-db", "", "`DB` of the interconnection: OVN_IC_Northbound (default unix:"+icSocket("nb")+")")
	fs.String("ic-sb-db", "", "`DB` of the interconnection: OVN_IC_Southbound (default unix:"+icSocket("sb")+")")
	addKeyFlags(c)
	addDaemonFlags(c)
	return c
}

// icSocket is where a database of the interconnection is on this host.
func icSocket(which string) string {
	return filepath.Join(daemon.RunDir(), "ovn_ic_"+which+"_db.sock")
}

func runICAgent(ctx context.Context, d *daemon.Daemon, s *settings) error {
	keys, err := keyFlags(s)
	if err != nil {
		return err
	}
	o := agent.Options{
		NB: s.str("nb"), SB: s.str("sb"), IC: s.str("ic"), ICNB: s.str("ic-nb-db"), ICSB: s.str("ic-sb-db"), Keys: keys,
		Logger: d.Logger, Registry: d.Registry, Ready: d.Ready,
		Handle: func(name, usage string, min, max int, fn agent.Command) { d.Handle(name, usage, min, max, fn) },
	}
	if o.IC == "" {
		o.ICNB = cmp.Or(o.ICNB, "unix:"+icSocket("nb"))
		o.ICSB = cmp.Or(o.ICSB, "unix:"+icSocket("sb"))
	}
	return agent.Run(ctx, o)
}
