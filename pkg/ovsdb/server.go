package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	// socket is probed; after another one it is dropped. Default 60 s; negative:
	// never.
	ProbeInterval time.Duration
	// MaxMessage is the size of the longest message accepted, in bytes.
	// Default 64 MiB.
	MaxMessage int
	// MaxDepth is the deepest nesting accepted. Default 100.
	MaxDepth int
	// MaxBacklog is how many bytes may wait for a slow reader before it is
	// dropped. Default 64 MiB.
	MaxBacklog int
	// MaxBlocked is how many transactions of one connection may wait at a time.
	// Default 1000.
	MaxBlocked int
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
}

// NewServer returns a server. It panics if a database of the options is not in
// the store.
func NewServer(s *Store, o ServerOptions) *Server {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.MaxMessage, 64<<20)
	set(&o.MaxDepth, 100)
	set(&o.MaxBacklog, 64<<20)
	set(&o.MaxBlocked, 1000)
	if o.ProbeInterval == 0 {
		o.ProbeInterval = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	srv := &Server{store: s, opts: o, log: o.Logger, dbs: make(map[string]*database), id: NewUUID()}
	for _, d := range s.dbs {
		name := d.Schema.Name
		if d.volatile || !d.Private && len(o.Databases) == 0 || slices.Contains(o.Databases, name) {
			srv.dbs[name] = d
		}
	}
	for _, name := range o.Databases {
		if srv.dbs[name] == nil {
			panic(fmt.Sprintf("ovsdb: database %q is not in the store", name))
		}
	}
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
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			sessions.Add(1)
			go func() {
				defer sessions.Done()
				srv.serve(ctx, conn)
			}()
		case ctx.Err() != nil:
			return nil
		case isTemporary(err):
			srv.log.Warn("a connection was not accepted", "listener", l.Addr().String(), "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // out of file descriptors
			}
		default:
			return fmt.Errorf("ovsdb: accept on %s: %w", l.Addr(), err)
		}
	}
}

func isTemporary(err error) bool {
	var op *net.OpError
	var t interface{ Temporary() bool }
	return errors.As(err, &op) && errors.As(op.Err, &t) && t.Temporary()
}

func (srv *Server) serve(ctx context.Context, conn net.Conn) {
	s := newSession(srv, conn)
	stop := context.AfterFunc(ctx, func() { s.codec.fail(context.Cause(ctx)) })
	defer stop()
	s.run()
	log := srv.log.With("peer", peerName(conn))
	switch err := s.codec.why(); {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		log.Debug("connection closed")
	default:
		log.Warn("connection dropped", "error", err)
	}
}

func peerName(conn net.Conn) string {
	if name := conn.RemoteAddr().String(); name != "" && name != "@" {
		return name
	}
	return conn.LocalAddr().String()
}

// ListenRemote listens on "ptcp:PORT[:IP]" or "punix:PATH", as ovsdb-server's
// --remote. A stale socket file is replaced.
func ListenRemote(remote string) (net.Listener, error) {
	kind, rest, _ := strings.Cut(remote, ":")
	switch kind {
	case "ptcp":
		port, ip, _ := strings.Cut(rest, ":")
		if port == "" {
			port = "6640"
		}
		ip = strings.TrimSuffix(strings.TrimPrefix(ip, "["), "]")
		l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
		}
		return l, nil
	case "punix":
		if rest == "" {
			break
		}
		if err := removeStale(rest); err != nil {
			return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
		}
		if err := os.MkdirAll(filepath.Dir(rest), 0o755); err != nil {
			return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
		}
		l, err := net.Listen("unix", rest)
		if err != nil {
			return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("ovsdb: remote %q: ptcp:PORT[:IP] or punix:PATH is expected", remote)
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%q exists and is no socket", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("%q is in use", path)
	}
	return os.Remove(path)
}
