package ovsdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"govn/pkg/certs"
)

// remote is a connection method in use: a listener with the connections that it
// accepted, or a peer that the server keeps connecting to.
type remote struct {
	srv  *Server
	name string  // as it is configured
	addr Address // zero for Server.Serve
	log  *slog.Logger
	// options are those of the moment; sessions read role and readOnly per
	// request.
	options atomic.Pointer[remoteOptions]
	keys    *certs.Loader // for ssl and pssl
	// listener of a passive remote.
	listener net.Listener
	// connect opens a connection of an active remote, in the clear.
	connect func(context.Context) (net.Conn, error)

	stop context.CancelFunc // nil until it runs
	done chan struct{}      // closed when it has ended

	mu       sync.Mutex
	sessions map[*session]struct{}
	leaving  bool // no new sessions
	active   activeState

	handshakes, probes atomic.Uint64 // failed
}

// remoteOptions are the columns of a Connection row (ovn-sb(5)).
type remoteOptions struct {
	probe      time.Duration // 0: never
	maxBackoff time.Duration
	readOnly   bool
	role       string
	dscp       int
}

// newRemote makes a remote that does nothing yet.
func newRemote(srv *Server, name string, a Address, o remoteOptions) *remote {
	r := &remote{
		srv: srv, name: name, addr: a, log: srv.log.With("remote", name),
		done: make(chan struct{}), sessions: make(map[*session]struct{}),
	}
	r.options.Store(&o)
	r.active.state = stateVoid
	return r
}

// accept serves the listener until ctx ends.
func (r *remote) accept(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	l := r.listener
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			if err := r.srv.meter.admit(); err != nil {
				r.srv.grumble(r.log, slog.LevelWarn, "connection refused", conn, err)
				conn.Close()
				continue
			}
			sessions.Go(func() {
				defer r.srv.meter.connections.Add(-1)
				r.admit(ctx, conn)
			})
		case ctx.Err() != nil:
			return nil
		case r.isLeaving():
			sessions.Wait() // they get their last answers
			return nil
		case isTemporary(err):
			r.log.Warn("a connection was not accepted", "listener", l.Addr().String(), "error", err)
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

// admit serves one connection of a listener.
func (r *remote) admit(ctx context.Context, conn net.Conn) {
	peer := ""
	if r.addr.TLS() {
		secure := tls.Server(conn, r.keys.ServerConfig())
		name, err := r.handshake(ctx, secure)
		if err != nil {
			conn.Close()
			return
		}
		conn, peer = secure, name
	}
	r.converse(ctx, conn, peer)
}

// handshake returns the common name of the peer's certificate. An error is
// logged and counted; a peer that keeps trying is not logged each time.
func (r *remote) handshake(ctx context.Context, conn *tls.Conn) (peer string, err error) {
	bounded, cancel := context.WithTimeout(ctx, r.srv.opts.HandshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(bounded); err != nil {
		if errors.Is(err, certs.ErrBootstrapped) || ctx.Err() != nil {
			return "", err
		}
		r.handshakes.Add(1)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			err = r.srv.meter.exceeded(limitHandshake, "no handshake in %v", r.srv.opts.HandshakeTimeout)
		}
		reason := explainHandshake(err)
		r.srv.grumble(r.log, slog.LevelWarn, "TLS handshake failed", conn, reason)
		return "", reason
	}
	if certificates := conn.ConnectionState().PeerCertificates; len(certificates) > 0 {
		peer = certificates[0].Subject.CommonName
	}
	return peer, nil
}

// converse runs a session and returns why it ended; nil if the peer closed it.
func (r *remote) converse(ctx context.Context, conn net.Conn, peer string) error {
	s := newSession(r, conn, peer)
	r.mu.Lock()
	if r.leaving {
		r.mu.Unlock()
		conn.Close()
		return nil
	}
	r.sessions[s] = struct{}{}
	s.codec.setProbe(conn, r.options.Load().probe) // that of a change meanwhile
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { s.codec.fail(context.Cause(ctx)) })
	defer stop()
	s.run()
	r.mu.Lock()
	delete(r.sessions, s)
	r.mu.Unlock()
	log := r.log.With("peer", peerName(conn))
	err := s.codec.why()
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		log.Debug("connection closed")
		return nil
	case errors.Is(err, errReconnect):
		log.Info("connection dropped", "reason", err)
		return err
	case errors.Is(err, errProbe):
		r.probes.Add(1)
	}
	r.srv.grumble(r.log, slog.LevelWarn, "connection dropped", conn, explainMessage(err))
	return err
}

func (r *remote) isLeaving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving
}

// set changes the options of a remote and its connections.
func (r *remote) set(o remoteOptions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.options.Store(&o)
	for s := range r.sessions {
		s.codec.setProbe(s.codec.conn, o.probe)
	}
}

// leave lets nobody in any more; the address of a listener is free then.
func (r *remote) leave() {
	r.mu.Lock()
	r.leaving = true
	r.mu.Unlock()
	if r.listener != nil {
		r.listener.Close()
	}
}

// close ends the remote: no new connections, and the present ones end when the
// request at hand is answered, or after a second.
func (r *remote) close() {
	r.leave()
	r.mu.Lock()
	var last []*session
	for s := range r.sessions {
		last = append(last, s)
	}
	r.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for _, s := range last {
			s.finish()
		}
	}()
	grace := time.AfterFunc(time.Second, r.stop)
	defer grace.Stop()
	<-answered
	if r.listener == nil && len(last) == 0 {
		r.stop()
	}
	<-r.done
	r.stop()
}
