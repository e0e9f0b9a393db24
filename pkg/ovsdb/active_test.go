package ovsdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
)

// peers is a listener to which servers connect.
type peers struct {
	t testing.TB
	l net.Listener
}

func listenPeers(t testing.TB, address string) *peers {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &peers{t, l}
}

// accept waits for a server.
func (p *peers) accept() *client {
	p.t.Helper()
	p.l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := p.l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	return newClient(p.t, conn)
}

// TestActiveRemote: the server connects to its client, serves it, tells of it, and
// connects again.
func TestActiveRemote(t *testing.T) {
	t.Parallel()
	southbounds(t, func(t *testing.T, s *served) {
		p := listenPeers(t, "127.0.0.1:0")
		target := "tcp:" + p.l.Addr().String()
		s.sbctl("--inactivity-probe=0", "set-connection", target)
		c := p.accept()
		if got := c.result("list_dbs", `[]`); !strings.Contains(got, "OVN_Southbound") {
			t.Error(got)
		}
		seconds := func(v string) bool { n, err := strconv.Atoi(v); return err == nil && n >= 0 && n < 20 }
		s.status(target, "state", is("ACTIVE"))
		s.status(target, "sec_since_connect", seconds)
		if got := s.statusOf(target); got["is_connected"] != "true" || got["sec_since_disconnect"] != "" || got["bound_port"] != "" || got["n_connections"] != "" || got["last_error"] != "" {
			t.Error(got)
		}

		// Locks: held, waited for, and lost to a thief.
		other := dial(t, s.sock)
		for _, step := range []struct {
			c      *client
			method string
			lock   string
		}{{c, "lock", "b"}, {c, "lock", "a"}, {other, "lock", "w"}, {c, "lock", "w"}, {c, "steal", "l"}, {other, "steal", "l"}, {c, "lock", "victim"}, {other, "steal", "victim"}} {
			step.c.result(step.method, `["`+step.lock+`"]`)
		}
		sorted := func(v string) string {
			words := strings.Fields(v)
			slices.Sort(words)
			return strings.Join(words, " ")
		}
		s.status(target, "locks_held", func(v string) bool { return sorted(v) == "a b" })
		s.status(target, "locks_lost", is("l"))
		s.status(target, "locks_waiting", func(v string) bool { return sorted(v) == "victim w" })
		other.conn.Close()

		// The peer goes and comes back.
		c.conn.Close()
		c = p.accept()
		c.result("echo", `[]`)
		s.status(target, "sec_since_disconnect", seconds)
		if got := s.statusOf(target); got["locks_held"] != "" || got["last_error"] != "" {
			t.Error(got)
		}
		p.l.Close()
		c.conn.Close()
		if s.ours != nil { // ovsdb-server keeps it to itself
			s.status(target, "last_error", is("Connection refused"))
		}
		s.status(target, "state", func(v string) bool { return v == "BACKOFF" || v == "CONNECTING" })
		s.status(target, "is_connected", is("false"))
		p = listenPeers(t, strings.TrimPrefix(target, "tcp:"))
		p.accept()

		// A peer that is silent is IDLE while a probe is out, then given up.
		s.sbctl("set", "Connection", target, "inactivity_probe=5000")
		s.status(target, "state", is("IDLE"))
		c = p.accept()
		c.result("echo", `[]`)
		s.sbctl("del-connection")
		c.ended(10 * time.Second)
	})
}

// TestActiveTLS: both sides verify each other when the server connects, and a role
// holds there too.
func TestActiveTLS(t *testing.T) {
	t.Parallel()
	ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
	southbounds(t, func(t *testing.T, s *served) {
		p := listenPeers(t, "127.0.0.1:0")
		target := "ssl:" + p.l.Addr().String()
		mine := ca.Issue("server")
		s.withRoles()
		s.sbctl("set-ssl", mine.PrivateKey, mine.Certificate, mine.CACert)
		s.sbctl("--inactivity-probe=0", "set-connection", "role=hypervisor", target)
		accept := func(f certs.Files) (*client, error) {
			c := p.accept()
			conn := tls.Server(c.conn, certs.NewLoader(f, quiet()).ServerConfig())
			return newClient(t, conn), conn.HandshakeContext(t.Context())
		}
		stranger := evil.Issue("hv1")
		if _, err := accept(stranger); err == nil {
			t.Error("the server accepts a peer of another authority")
		}
		c, err := accept(ca.Issue("hv1"))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.result("transact", `["OVN_Southbound",{"op":"delete","table":"Chassis","where":[["name","==","hv9"]]}]`); !strings.Contains(got, `client \"hv1\" role \"hypervisor\" prohibit row deletion`) {
			t.Error(got)
		}
		s.status(target, "state", is("ACTIVE"))
	})
}

// TestBackoff: attempts come after 1, 2, 4 seconds and so on up to max_backoff,
// and after 1 s again when a connection has held.
func TestBackoff(t *testing.T) {
	store := openTest(t, NewMemoryEngine(), testSchema(t))
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer(store, ServerOptions{Logger: quiet()})
		r := newRemote(srv, "tcp:test", Address{Kind: "tcp"}, remoteOptions{maxBackoff: 5 * time.Second})
		start := time.Now()
		var at []int // seconds
		hold := map[int]time.Duration{5: 30 * time.Second, 6: 0}
		r.connect = func(context.Context) (net.Conn, error) {
			at = append(at, int(time.Since(start)/time.Second))
			d, ok := hold[len(at)]
			if !ok {
				return nil, syscall.ECONNREFUSED
			}
			here, there := net.Pipe()
			time.AfterFunc(d, func() { here.Close() })
			return there, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.call(ctx) })
		time.Sleep(65 * time.Second)
		cancel()
		done.Wait()
		want := []int{0, 1, 3, 7, 12, 12 + 30 + 1, 12 + 30 + 1 + 2, 12 + 30 + 1 + 2 + 4, 54, 59, 64}
		if !slices.Equal(at, want) {
			t.Errorf("attempts after %v s, want %v", at, want)
		}
		if r.active.state != stateVoid {
			t.Error(r.active.state)
		}
	})
}

// TestErrorText: errors in status:last_error read as in Open vSwitch.
func TestErrorText(t *testing.T) {
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	for want, err := range map[string]error{
		"Connection refused": refused, "End of file": fmt.Errorf("x: %w", io.EOF), "Connection timed out": errProbe, "something": errors.New("something"),
	} {
		if got := errorText(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// TestGrumbles: what a peer does again and again is logged once a minute.
func TestGrumbles(t *testing.T) {
	store := openTest(t, NewMemoryEngine(), testSchema(t))
	synctest.Test(t, func(t *testing.T) {
		logs := &logBuffer{}
		log := slog.New(slog.NewTextHandler(logs, nil))
		srv := NewServer(store, ServerOptions{Logger: log})
		for range 150 {
			srv.complain(log, "bad", "peer", errors.New("why"))
			srv.complain(log, "bad", "other", errors.New("why"))
			time.Sleep(time.Second)
		}
		if n := strings.Count(logs.String(), "msg=bad"); n != 6 || strings.Count(logs.String(), "repeated=59") != 4 {
			t.Errorf("%d lines\n%s", n, logs)
		}
		for i := range 3 * maxGrumbles {
			srv.complain(log, "bad", strconv.Itoa(i), errors.New("why"))
		}
		if n := len(srv.grumbles.said); n > maxGrumbles {
			t.Errorf("%d are remembered", n)
		}
	})
}
