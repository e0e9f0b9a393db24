package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"govn/pkg/daemon"
	"govn/pkg/ovsdb"
	"govn/pkg/ovsdb/control"
	"govn/schema"
)

func newDBServeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve FILE",
		Short: "Serve a database file as ovsdb-server does, without a compiler",
		Long: `Serve a database file by OVSDB (RFC 7047 and ovsdb-server(7)), and nothing else: no
compiler, no chassis. FILE is created when it is not there.

A transaction is on disk before it is answered. With --relaxed it is answered first and
written and synced within milliseconds, as ovsdb-server leaves it to the kernel unless a
client asks: then a crash of the machine may cost the last transactions, and an operation
"commit" with "durable": true waits.`,
		Example: "  govn db serve nb.db --schema northbound --listen punix:/run/nb.sock",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return runDaemon(c, func(ctx context.Context, d *daemon.Daemon, s *settings) error {
				return serveDB(ctx, d, s, args[0])
			})
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("schema", "northbound", "`LIST` of databases to serve: files of schemas, or names that \"govn schema\" knows")
	fs.String("listen", "punix:"+filepath.Join(daemon.RunDir(), "db.sock"), "`LIST` of connection methods, as ovsdb-server's --remote: ptcp:, pssl:, punix:, tcp:, ssl:, unix:, db:DB,TABLE,COLUMN")
	addKeyFlags(c)
	fs.Bool("relaxed", false, "sync to disk after the answer, unless a transaction asks to be durable")
	addLimitFlags(c)
	addDaemonFlags(c)
	return c
}

// serveDB serves a file until ctx ends.
func serveDB(ctx context.Context, d *daemon.Daemon, s *settings, file string) (err error) {
	names, err1 := s.list("schema")
	remotes, err2 := s.remotes("listen")
	keys, err3 := keyFlags(s)
	limits, err4 := s.limits()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	var dbs []ovsdb.Database
	for _, name := range names {
		parsed, err := readSchema(name)
		if err != nil {
			return err
		}
		dbs = append(dbs, ovsdb.Database{Schema: parsed, AnySchema: true})
	}
	engine, err := ovsdb.OpenBolt(file, ovsdb.BoltOptions{Logger: d.Logger})
	if err != nil {
		return err
	}
	store, err := ovsdb.Open(ctx, engine, dbs, ovsdb.Options{Logger: d.Logger, Registry: d.Registry})
	if err != nil {
		return fmt.Errorf("%q: %w", file, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	srv := ovsdb.NewServer(store, ovsdb.ServerOptions{Logger: d.Logger, Limits: limits, Relaxed: s.boolean("relaxed")})
	opened, err := srv.OpenRemotes(ovsdb.RemotesOptions{Remotes: remotes, Keys: keys})
	if err != nil {
		return err
	}
	if d.Registry != nil {
		d.Registry.MustRegister(srv.RemoteMetrics(""), srv.LimitMetrics(""))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return opened.Run(ctx) })
	g.Go(func() error { return control.Failure(ctx, store) })
	var served []string
	for _, db := range dbs {
		served = append(served, db.Schema.Name)
	}
	control.Commands(d.Handle, store, control.Served{Databases: served, Remotes: opened})
	d.AddMemory(control.Memory(store))
	d.Ready()
	return g.Wait()
}

// readSchema reads a schema of ours by its name, or a file.
func readSchema(name string) (*ovsdb.DatabaseSchema, error) {
	text := []byte(nil)
	if known, ok := schema.All()[name]; ok {
		text = known.JSON()
	} else {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return nil, fmt.Errorf("schema %q: neither one of ours nor a file: %w", name, err)
		}
	}
	parsed, err := ovsdb.ParseSchema(text)
	if err != nil {
		return nil, fmt.Errorf("schema %q: %w", name, err)
	}
	return parsed, nil
}
