package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"govn/sim/lab"
)

// bfdLab is two hypervisors; the second one stands for all gateways.
const bfdLab = `
name: bfdcost
chassis:
  - {name: hv}
  - {name: gateways}
`

// bfdTimers are what the sessions are configured with, in the order of the table.
var bfdTimers = []struct {
	name         string
	minRx, minTx int // ms
}{
	{"OVN's default", 1000, 100},
	{"govn's default", 200, 100},
	{"fast", 50, 50},
}

// The tunnel endpoints of the hypervisor and of the first gateway. They have a
// network of their own: Open vSwitch sends from addresses that it has a route for.
var (
	hvEndpoint   = netip.MustParseAddr("10.250.0.254")
	firstGateway = netip.MustParseAddr("10.250.0.1")
)

// bfdCost measures what BFD with many gateways costs the ovs-vswitchd of a
// hypervisor.
func bfdCost(ctx context.Context, args []string) (err error) {
	var counts, govn, out string
	var window time.Duration
	fs := flag.NewFlagSet("bfd", flag.ContinueOnError)
	fs.StringVar(&counts, "gateways", "10,100", "numbers of gateways, one line of the table each")
	fs.DurationVar(&window, "window", 20*time.Second, "how long the processor time is counted")
	fs.StringVar(&govn, "govn", "", "govn binary (default: built from this tree)")
	fs.StringVar(&out, "out", "", "file to which the table is appended (default: standard output only)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	gateways, err := numbers("gateways", counts, 1, 250)
	if err != nil {
		return err
	}
	dir, err := workDir(ctx, "bfdcost", &govn)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg, err := lab.Parse("bfd", []byte(bfdLab))
	if err != nil {
		return err
	}
	l, err := lab.New(cfg, lab.Options{Name: fmt.Sprintf("bf%d", os.Getpid()%100000), Dir: filepath.Join(dir, "lab"), Control: lab.ControlGovn, Govn: govn})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx))) }()
	if err := l.Up(ctx); err != nil {
		return err
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "\n## BFD with many gateways\n\n%s, %d CPUs, Open vSwitch in userspace; processor time of one hypervisor's ovs-vswitchd over %v; load average before: %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), window, loadAverage())
	table.WriteString("| gateways | BFD timers | min_rx ms | min_tx ms | % of a core | of these by BFD |\n|---|---|---|---|---|---|\n")
	for _, n := range gateways {
		if err := bfdSessions(ctx, l, n, window, &table); err != nil {
			return fmt.Errorf("%d gateways: %w", n, err)
		}
	}
	return appendTable(out, table.Bytes())
}

// bfdSessions has n tunnels with BFD, and then none of it, for the difference.
func bfdSessions(ctx context.Context, l *lab.Lab, n int, window time.Duration, table *bytes.Buffer) error {
	if err := bfdTunnels(ctx, l, n); err != nil {
		return err
	}
	idle, err := vswitchdLoad(ctx, l, window)
	if err != nil {
		return err
	}
	for _, t := range bfdTimers {
		settings := []string{"bfd:enable=true", fmt.Sprintf("bfd:min_rx=%d", t.minRx), fmt.Sprintf("bfd:min_tx=%d", t.minTx)}
		if err := setTunnels(ctx, l, n, settings...); err != nil {
			return err
		}
		if err := sessionsUp(ctx, l, n); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		load, err := vswitchdLoad(ctx, l, window)
		if err != nil {
			return err
		}
		if err := sessionsUp(ctx, l, n); err != nil {
			return fmt.Errorf("%s, afterwards: %w", t.name, err)
		}
		fmt.Fprintf(os.Stderr, "%d gateways, %s: %.1f %%\n", n, t.name, load)
		fmt.Fprintf(table, "| %d | %s | %d | %d | %.1f | %.1f |\n", n, t.name, t.minRx, t.minTx, load, load-idle)
	}
	return setTunnels(ctx, l, n, "bfd:enable=false")
}

// bfdTunnels sees to it that there are n tunnels from the hypervisor to as many
// endpoints, all of which the other Open vSwitch has.
func bfdTunnels(ctx context.Context, l *lab.Lab, n int) error {
	if _, err := l.Exec(ctx, "hv", "ip", "addr", "replace", hvEndpoint.String()+"/24", "dev", "br-phys"); err != nil {
		return err
	}
	var here, there []string
	gateway := firstGateway
	for i := range n {
		if _, err := l.Exec(ctx, "gateways", "ip", "addr", "replace", gateway.String()+"/24", "dev", "br-phys"); err != nil {
			return err
		}
		tunnel := func(local, remote netip.Addr) []string {
			return []string{"--", "--may-exist", "add-port", "br-int", tunnelName(i), "--", "set", "Interface", tunnelName(i), "type=geneve",
				"options:key=flow", "options:local_ip=" + local.String(), "options:remote_ip=" + remote.String()}
		}
		here, there = append(here, tunnel(hvEndpoint, gateway)...), append(there, tunnel(gateway, hvEndpoint)...)
		gateway = gateway.Next()
	}
	if _, err := l.Vsctl(ctx, "hv", here...); err != nil {
		return err
	}
	_, err := l.Vsctl(ctx, "gateways", there...)
	return err
}

func tunnelName(i int) string { return fmt.Sprintf("gw-%d", i) }

func setTunnels(ctx context.Context, l *lab.Lab, n int, settings ...string) error {
	var argv []string
	for i := range n {
		argv = append(append(argv, "--", "set", "Interface", tunnelName(i)), settings...)
	}
	for _, chassis := range []string{"gateways", "hv"} {
		if _, err := l.Vsctl(ctx, chassis, argv...); err != nil {
			return err
		}
	}
	return nil
}

// sessionsUp waits until all sessions of the hypervisor are up.
func sessionsUp(ctx context.Context, l *lab.Lab, n int) error {
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := l.Vsctl(ctx, "hv", "--bare", "--columns=name", "find", "Interface", "bfd_status:state=up")
		if err != nil {
			return err
		}
		up := len(strings.Fields(out))
		if up == n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d sessions are up after a minute", up, n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// vswitchdLoad is the processor time of the hypervisor's ovs-vswitchd, in percent
// of a core.
func vswitchdLoad(ctx context.Context, l *lab.Lab, window time.Duration) (float64, error) {
	pid := l.Pid("hv", "vswitchd")
	before, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(window):
	}
	after, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	return 100 * float64(after-before) / float64(time.Since(begun)), nil
}
