package northd

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"govn/pkg/certs"
	"govn/pkg/ovsdb"
	dbcontrol "govn/pkg/ovsdb/control"
	"govn/pkg/rpc"
)

// remotesOf are the remotes of a database: those of the flags, and those of its
// Connection rows.
func (o *Options) remotesOf(db, global string, listen []string) ovsdb.RemotesOptions {
	r := ovsdb.RemotesOptions{Remotes: listen, Keys: o.Keys.Or(ovsdb.KeysFrom(db))}
	if !o.NoDBRemotes {
		r.Remotes = append(r.Remotes[:len(r.Remotes):len(r.Remotes)], "db:"+db+","+global+",connections")
	}
	return r
}

// serving is what listens: serve holds what must run, close undoes listen where
// it is not run.
type serving struct {
	serve []func(context.Context) error
	close []func()
}

// listen opens all listeners, or none.
func (d *daemon) listen() (s serving, err error) {
	defer func() {
		if err != nil {
			for _, fn := range s.close {
				fn()
			}
		}
	}()
	for _, db := range []struct {
		name, global string
		remotes      []string
		private      []string // to be read beside it, by "govn db backup"
	}{{d.schemas.NB.Name, "NB_Global", d.o.NBListen, []string{d.schemas.Private.Name}}, {d.schemas.SB.Name, "SB_Global", d.o.SBListen, nil}} {
		srv := ovsdb.NewServer(d.store, ovsdb.ServerOptions{Logger: d.o.Logger.With("db", db.name), Databases: append(db.private, db.name), Limits: d.o.Limits})
		remotes, err := srv.OpenRemotes(d.o.remotesOf(db.name, db.global, db.remotes))
		if err != nil {
			return s, fmt.Errorf("listening for %s: %w", db.name, err)
		}
		s.close, s.serve = append(s.close, remotes.Close), append(s.serve, remotes.Run)
		d.served = append(d.served, dbcontrol.Served{Databases: []string{db.name}, Remotes: remotes})
		if d.o.Registry != nil {
			d.o.Registry.MustRegister(srv.RemoteMetrics(db.name), srv.LimitMetrics(db.name))
		}
	}
	plain, secure := grpc.NewServer(d.fabric.ServerOptions()...), (*grpc.Server)(nil)
	d.fabric.Register(plain)
	d.rpc = append(d.rpc, plain)
	for _, remote := range d.o.FabricListen {
		srv := plain
		if strings.HasPrefix(remote, "ssl:") {
			if secure == nil {
				if secure, err = d.secureRPC(); err != nil {
					return s, fmt.Errorf("listening on %q: %w", remote, err)
				}
			}
			srv = secure
		}
		l, err := rpc.Listen(remote)
		if err != nil {
			return s, fmt.Errorf("listening on %q: %w", remote, err)
		}
		d.o.Logger.Info("listening for chassis", "remote", remote, "addr", l.Addr().String())
		s.close = append(s.close, func() { l.Close() })
		s.serve = append(s.serve, func(context.Context) error { return srv.Serve(d.fabric.Listener(l)) })
	}
	return s, nil
}

// secureRPC is the fabric for those who have a certificate.
func (d *daemon) secureRPC() (*grpc.Server, error) {
	keys := certs.NewLoader(d.o.Keys, d.o.Logger)
	if err := keys.Check(); err != nil {
		return nil, err
	}
	config := keys.ServerConfig("h2")
	srv := grpc.NewServer(append(d.fabric.ServerOptions(), grpc.Creds(credentials.NewTLS(config)))...)
	d.fabric.Register(srv)
	d.rpc = append(d.rpc, srv)
	return srv, nil
}
