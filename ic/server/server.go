package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"govn/pkg/certs"
	"govn/pkg/ovsdb"
	"govn/pkg/ovsdb/control"
)

// Options are the options of Run.
type Options struct {
	// Store is "bbolt:FILE" or "memory". Required.
	Store string
	// NBListen and SBListen are remotes of the databases: connection methods, and
	// "db:DATABASE,TABLE,COLUMN" for those of a column (ovsdb-server(1)).
	NBListen, SBListen []string
	// FabricListen are gRPC listeners for zones of govn: tcp:IP:PORT, ssl:IP:PORT,
	// unix:PATH.
	FabricListen []string
	// Centre are leases, ownership and limits of zones.
	Centre CentreOptions
	// NoDBRemotes leaves the Connection rows of the databases without effect.
	NoDBRemotes bool
	// Keys are for ssl and pssl. What is not named here is taken from the SSL
	// table of each database. Optional.
	Keys certs.Files

	// Limits bound what OVSDB clients can do. Optional.
	Limits ovsdb.Limits

	Logger   *slog.Logger          // optional: slog.Default()
	Registry prometheus.Registerer // optional: where metrics go
	Ready    func()                // optional: called when all listeners accept
	// Handle registers a command of the control socket. Optional.
	Handle control.Handler
	// Memory adds figures to memory/show. Optional.
	Memory func(func(add func(name string, n uint64)))
}

// globals are the tables of the databases, in order, that have one row.
var globals = [...]string{"IC_NB_Global", "IC_SB_Global"}

// Run serves until the context ends. It returns nil then, and an error when
// something that cannot be mended ended it before.
func Run(ctx context.Context, o Options) (err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	columns, err := newColumns()
	if err != nil {
		return err
	}
	dbs := columns.databases()
	engine, err := ovsdb.OpenEngine(o.Store)
	if err != nil {
		return err
	}
	store, err := ovsdb.Open(ctx, engine, dbs, ovsdb.Options{Logger: o.Logger, Registry: o.Registry})
	if err != nil {
		return errors.Join(fmt.Errorf("opening %s: %w", o.Store, err), engine.Close())
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for i, table := range globals {
		if err := prepare(ctx, store, dbs[i].Schema, table); err != nil {
			return err
		}
	}
	o.Centre.Logger, o.Centre.Registry = o.Logger, o.Registry
	centre := newCentre(ctx, store, columns, o.Centre)
	defer centre.Close()
	var authorizers [len(globals)]ovsdb.Authorizer
	if !o.Centre.NoOwnership {
		authorizers = [...]ovsdb.Authorizer{nbOwner{centre}, sbOwner{centre}}
	}
	var remotes []*ovsdb.Remotes
	var served []control.Served
	for i, listen := range [][]string{o.NBListen, o.SBListen} {
		name := dbs[i].Schema.Name
		names := []string{name}
		if i == 0 { // to be read beside it, by "govn db backup"
			names = append(names, columns.private.Name)
		}
		srv := ovsdb.NewServer(store, ovsdb.ServerOptions{Logger: o.Logger.With("db", name), Databases: names, Limits: o.Limits, Authorizer: authorizers[i]})
		if !o.NoDBRemotes {
			listen = append(listen[:len(listen):len(listen)], "db:"+name+","+globals[i]+",connections")
		}
		r, err := srv.OpenRemotes(ovsdb.RemotesOptions{Remotes: listen, Keys: o.Keys.Or(ovsdb.KeysFrom(name))})
		if err != nil {
			for _, r := range remotes {
				r.Close()
			}
			return err
		}
		remotes = append(remotes, r)
		served = append(served, control.Served{Databases: []string{name}, Remotes: r})
		if o.Registry != nil {
			o.Registry.MustRegister(srv.RemoteMetrics(name), srv.LimitMetrics(name))
		}
	}
	fabric, err := centre.listen(o.FabricListen, o.Keys)
	if err != nil {
		for _, r := range remotes {
			r.Close()
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return fabric.run(ctx) })
	g.Go(func() error { return centre.Run(ctx) })
	for _, r := range remotes {
		g.Go(func() error { return r.Run(ctx) })
	}
	g.Go(func() error { return control.Failure(ctx, store) })
	if o.Handle != nil {
		control.Commands(o.Handle, store, served...)
		centre.Commands(o.Handle)
	}
	if o.Memory != nil {
		o.Memory(control.Memory(store))
	}
	if o.Ready != nil {
		o.Ready()
	}
	return g.Wait()
}

// prepare gives a database the row that its table has one of.
func prepare(ctx context.Context, store *ovsdb.Store, db *ovsdb.DatabaseSchema, table string) error {
	_, err := store.Update(ctx, db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		t := db.Table(table)
		for range tx.Rows(t) {
			return nil
		}
		tx.Insert(t, ovsdb.UUID{}, nil)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("preparing %s: %w", db.Name, err)
	}
	return nil
}
