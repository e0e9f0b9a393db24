package main

import (
	"context"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"govn/controller"
	"govn/pkg/daemon"
)

func newControllerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "controller",
		Short: "Program Open vSwitch on this chassis",
		Long: `Program Open vSwitch on this chassis.

What it needs to know stands in external_ids of the Open_vSwitch table, as for
ovn-controller: system-id, ovn-remote (tcp:IP:PORT, ssl:IP:PORT or unix:PATH of
northd's fabric), ovn-encap-type, ovn-encap-ip and others; see docs/operations.md.`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return runDaemon(c, runController) },
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("ovs", "unix:/var/run/openvswitch/db.sock", "`REMOTE` of the Open_vSwitch database")
	fs.String("cache-dir", "/var/lib/govn/controller", "`DIR` that keeps what northd sent last")
	addKeyFlags(c)
	addDaemonFlags(c)
	return c
}

func runController(ctx context.Context, d *daemon.Daemon, s *settings) error {
	// One loop does the work, the host belongs to its workloads, and threads that
	// wake each other for messages on sockets cost more than they gain.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	keys, err := keyFlags(s)
	if err != nil {
		return err
	}
	return controller.Run(ctx, controller.Options{
		Keys:     keys,
		OVS:      s.str("ovs"),
		CacheDir: s.str("cache-dir"),
		Logger:   d.Logger,
		Registry: d.Registry,
		Ready:    d.Ready,
		Handle: func(name, usage string, min, max int, fn controller.Command) {
			d.Handle(name, usage, min, max, fn)
		},
	})
}
