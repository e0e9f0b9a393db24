package ovsdb

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ServerOptions of NewServer. All are optional.
type ServerOptions struct {
	// Logger; the default is slog.Default().
	Logger *slog.Logger
	// Databases that are served, by name; by default all that are not private.
	// _Server is always served.
	Databases []string
	// ProbeInterval is after how much silence a peer that is not on a unix
	// socket is probed; after another one it is dropped. A Connection row may have
	// its own. Default 5 s, as ovsdb-server's; negative: never.
	ProbeInterval time.Duration
	// Authorizer is asked for each transaction of a client that writes; none: rows
	// are everybody's.
	Authorizer Authorizer
	// Limits bound what peers can do to the server.
	Limits
	// Relaxed answers a transaction when it is visible, not when it is durable,
	// unless it has a "commit" operation with "durable": true; what a crash of the
	// machine may cost are the last moments. Default: every answer and update is
	// durable.
	Relaxed bool
}

// Server speaks the OVSDB protocol (RFC 7047 and ovsdb-server(7)) for a Store.
type Server struct {
	store *Store
	opts  ServerOptions
	log   *slog.Logger
	dbs   map[string]*database
	id    UUID
	locks locks
	meter *meter
	// grumbles is what was logged about peers.
	grumbles grumbles
	// remotes are those that OpenRemotes opened last, for Remotes and metrics.
	remotes atomic.Pointer[Remotes]

	mu       sync.Mutex
	sessions map[*session]struct{}
}

// NewServer returns a server. It panics if a database of the options is not in
// the store.
func NewServer(s *Store, o ServerOptions) *Server {
	o.Limits = o.Limits.withDefaults()
	if o.ProbeInterval == 0 {
		o.ProbeInterval = defaultProbe
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	srv := &Server{store: s, opts: o, log: o.Logger, dbs: make(map[string]*database), sessions: make(map[*session]struct{}), id: NewUUID()}
	srv.meter = newMeter(o.Limits, srv.evictGreediest)
	for _, d := range s.dbs {
		name := d.Schema.Name
		if d.volatile || !d.Private && len(o.Databases) == 0 || slices.Contains(o.Databases, name) {
			srv.dbs[name] = d
		}
	}
	if o.Relaxed {
		s.durable.mu.Lock()
		s.durable.lazy = lazyDelay
		s.durable.mu.Unlock()
	}
	for _, name := range o.Databases {
		if srv.dbs[name] == nil {
			panic(fmt.Sprintf("ovsdb: database %q is not in the store", name))
		}
	}
	s.onConvert(srv.databaseConverted)
	return srv
}

// shows tells whether a row of _Server.Database is of a database served here.
func (srv *Server) shows(r *Row) bool {
	return r.table.DB.Name != "_Server" || srv.dbs[r.Str(r.table.Column("name"))] != nil
}

// Serve accepts connections until ctx ends or the listener fails, then closes
// the listener and all connections it accepted, and waits for them. It may be
// called for several listeners at once. The error is nil when ctx has ended.
func (srv *Server) Serve(ctx context.Context, l net.Listener) error {
	o := remoteOptions{}
	if l.Addr().Network() != "unix" {
		o.probe = max(0, srv.opts.ProbeInterval)
	}
	r := newRemote(srv, l.Addr().String(), Address{}, o)
	r.listener = l
	return r.accept(ctx)
}

func peerName(conn net.Conn) string {
	if name := conn.RemoteAddr().String(); name != "" && name != "@" {
		return name
	}
	return conn.LocalAddr().String()
}
