package controller

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"govn/pkg/certs"
)

// Options of [Run].
type Options struct {
	// OVS is the remote of the Open_vSwitch database, unix:PATH or
	// tcp:HOST:PORT. Required.
	OVS string
	// RunDir is where ovs-vswitchd makes the sockets of its bridges (its
	// OVS_RUNDIR). Optional: the environment's OVS_RUNDIR, else the directory
	// of the socket in OVS.
	RunDir string
	// CacheDir holds the last state that northd sent, so that a host that
	// starts while northd is away comes back. Optional: none is kept.
	CacheDir string
	// Keys are for a fabric at ssl:HOST:PORT. The certificate's common name must be
	// the system-id. Optional.
	Keys certs.Files
	// Logger takes the log. Optional: slog.Default.
	Logger *slog.Logger
	// Registry takes the metrics. Optional: none are exported.
	Registry prometheus.Registerer
	// Ready is called once, when the database of Open vSwitch has been read.
	// Optional.
	Ready func()
	// TunnelPatience is how long the acknowledgement of a revision waits for Open
	// vSwitch to make the tunnels and patch ports that it needs. Optional: 5 seconds.
	TunnelPatience time.Duration
	// Handle registers a command of the control socket. It is called while Run
	// starts; min and max bound the number of arguments. Optional.
	Handle func(name, usage string, min, max int, fn Command)
}

// Command answers a command of the control socket.
type Command func(ctx context.Context, args []string) (string, error)
