package rpc_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"govn/pkg/rpc"
	"govn/pkg/unixsocket"
)

func TestParse(t *testing.T) {
	for _, c := range [][3]string{
		{"tcp:203.0.113.1:6643", "tcp", "203.0.113.1:6643"},
		{"ssl:[2001:db8::1]:6643", "ssl", "[2001:db8::1]:6643"},
		{"unix:/run/govn/fabric.sock", "unix", "/run/govn/fabric.sock"},
	} {
		kind, address, err := rpc.Parse(c[0])
		if err != nil || kind != c[1] || address != c[2] {
			t.Errorf("%s: %q %q %v", c[0], kind, address, err)
		}
	}
	for _, bad := range []string{"", "tcp", "tcp:", "tcp:6643", "unix:", "udp:1:2", "203.0.113.1:6643"} {
		if _, _, err := rpc.Parse(bad); !errors.Is(err, rpc.ErrRemote) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := rpc.Dial(bad, nil); !errors.Is(err, rpc.ErrRemote) {
			t.Errorf("dialing %q: %v", bad, err)
		}
		if _, err := rpc.Listen(bad); !errors.Is(err, rpc.ErrRemote) {
			t.Errorf("listening on %q: %v", bad, err)
		}
	}
}

// TestDial: both ends meet, by either kind of socket; a socket that an ended server
// left is none's.
func TestDial(t *testing.T) {
	path := "unix:" + filepath.Join(t.TempDir(), "s")
	for _, remote := range []string{"tcp:127.0.0.1:0", path, path} {
		l, err := rpc.Listen(remote)
		if err != nil {
			t.Fatal(err)
		}
		srv := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		if remote != path {
			remote = "tcp:" + l.Addr().String()
		}
		conn, err := rpc.Dial(remote, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("%s: %v", remote, err)
		}
		cancel()
		conn.Close()
		srv.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// TestListenBesideAnother: a second server does not take the socket of one that
// runs.
func TestListenBesideAnother(t *testing.T) {
	path := "unix:" + filepath.Join(t.TempDir(), "s")
	l, err := rpc.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := rpc.Listen(path); !errors.Is(err, unixsocket.ErrInUse) {
		t.Errorf("error %v, want %v", err, unixsocket.ErrInUse)
	}
}
