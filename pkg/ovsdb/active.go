package ovsdb

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// The states of an active remote, as status:state of a Connection row has them
// (ovn-nb(5)).
//
//	VOID -> CONNECTING -> ACTIVE <-> IDLE (a probe is out)
//	           |  ^          |
//	           v  |          v
//	         BACKOFF <-------'
const (
	stateVoid       = "VOID"
	stateBackoff    = "BACKOFF"
	stateConnecting = "CONNECTING"
	stateActive     = "ACTIVE"
	stateIdle       = "IDLE"
)

// The least wait between attempts, and the greatest where max_backoff says
// nothing, as the programs of Open vSwitch have it.
const (
	leastBackoff    = time.Second
	greatestBackoff = 8 * time.Second
)

// activeState is what an active remote tells of its connection. remote.mu is
// held.
type activeState struct {
	state                   string
	connected, disconnected time.Time // last; zero: never
	err                     error     // why there is no connection, if known
}

func (r *remote) enter(state string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active.state = state
}

// call connects to the peer, again and again, until ctx ends or the remote is
// closed. What waits between attempts doubles up to max_backoff, and starts again
// from a second after a connection that held for as long.
func (r *remote) call(ctx context.Context) {
	var wait time.Duration
	for !r.isLeaving() {
		r.enter(stateConnecting)
		conn, peer, err := r.reach(ctx)
		if err == nil {
			r.log.Info("connected", "peer", peerName(conn))
			start := time.Now()
			r.mu.Lock()
			r.active.state, r.active.connected, r.active.err = stateActive, start, nil
			r.mu.Unlock()
			err = r.converse(ctx, conn, peer)
			if err == nil {
				err = io.EOF
			}
			end := time.Now()
			r.mu.Lock()
			r.active.disconnected = end
			r.mu.Unlock()
			if end.Sub(start) >= wait {
				wait = 0
			}
		} else if ctx.Err() == nil {
			r.srv.complain(r.log, "cannot connect", r.name, err)
		}
		r.mu.Lock()
		r.active.state, r.active.err = stateBackoff, err
		r.mu.Unlock()
		if r.isLeaving() {
			return
		}
		wait = max(leastBackoff, min(2*wait, r.options.Load().maxBackoff))
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			r.enter(stateVoid)
			return
		case <-t.C:
		}
	}
}

// reach opens a connection that can be served.
func (r *remote) reach(ctx context.Context) (conn net.Conn, peer string, err error) {
	bounded, cancel := context.WithTimeout(ctx, r.srv.opts.HandshakeTimeout)
	defer cancel()
	if conn, err = r.connect(bounded); err != nil || !r.addr.TLS() {
		return conn, "", err
	}
	config, err := r.keys.ClientConfig(r.addr.hostPort())
	if err == nil {
		secure := tls.Client(conn, config)
		if peer, err = r.handshake(ctx, secure); err == nil {
			return secure, peer, nil
		}
	}
	conn.Close()
	return nil, "", err
}

// errorText is an error as Open vSwitch's programs write it in status:last_error:
// the text of errno where there is one.
func errorText(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, io.EOF):
		return "End of file"
	case errors.Is(err, errProbe), errors.Is(err, context.DeadlineExceeded):
		return "Connection timed out"
	case errors.As(err, &errno):
		s := errno.Error()
		return string(s[0]-'a'+'A') + s[1:]
	}
	return err.Error()
}
