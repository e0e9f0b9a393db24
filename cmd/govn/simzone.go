package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/pkg/daemon"
	"govn/sim"
	"govn/sim/lab"
	"govn/sim/lab/unixctl"
)

// simRoot is where the run directories of simulations are, unless told.
const simRoot = "/tmp/govn-sim"

// simZone is a simulation that a process in the background holds:
//
//	govn sim up ----> the same program again, detached
//	govn sim exec, status, down --DIR/sim.ctl--> that process: sim.Scenario
//	govn sim capture <--DIR/NAME.pcap, DIR/NAME-WORKLOAD.pcap-- it
type simZone struct {
	dir, name string
	timeout   time.Duration
	verbose   bool
	cfg       *lab.Config
}

func (z *simZone) addFlags(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&z.dir, "dir", "", "run directory of the lab (default "+simRoot+"/NAME)")
	fl.StringVar(&z.name, "name", "", "another name than the file's: the same file can be up twice")
}

// open reads the lab file.
func (z *simZone) open(file string) error {
	cfg, err := lab.Load(file)
	if err != nil {
		return err
	}
	if z.name != "" {
		cfg.Name = z.name
	}
	if z.dir == "" {
		z.dir = filepath.Join(simRoot, cfg.Name)
	}
	if z.dir, err = filepath.Abs(z.dir); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	z.cfg = cfg
	return nil
}

func (z *simZone) path(name string) string { return filepath.Join(z.dir, name) }

// nb and sb are the databases of a zone.
func (z *simZone) nb(zone string) string { return "unix:" + z.path(filepath.Join(zone, "nb.sock")) }
func (z *simZone) sb(zone string) string { return "unix:" + z.path(filepath.Join(zone, "sb.sock")) }

// call asks the process that holds the simulation.
func (z *simZone) call(ctx context.Context, command string, args ...string) (string, error) {
	c, err := unixctl.Dial(ctx, z.path("sim.ctl"))
	if err != nil {
		return "", fmt.Errorf("lab %q: %w", z.cfg.Name, lab.ErrNotUp)
	}
	defer c.Close()
	out, err := c.Call(ctx, command, args...)
	var refused *unixctl.CommandError
	if errors.As(err, &refused) {
		return "", errors.New(refused.Text)
	}
	return out, err
}

func newSimUp() *cobra.Command {
	z := &simZone{}
	c := &cobra.Command{
		Use:   "up FILE",
		Short: "Bring a lab file up in a simulator in the background",
		Long: `Bring a lab file up in a simulator in the background, until "govn sim down".

The verbs are those of "govn lab", for the simulator: up, status, exec, capture,
down. The run directory has the sockets of the databases and of every bridge,
the captures and the log.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := z.open(args[0]); err != nil {
				return err
			}
			return z.up(c, args[0])
		},
	}
	z.addFlags(c)
	c.Flags().DurationVar(&z.timeout, "timeout", time.Minute, "how long to wait for ports to come up")
	c.Flags().BoolVarP(&z.verbose, "verbose", "v", false, "log what all daemons do, to DIR/sim.log")
	return c
}

func (z *simZone) up(c *cobra.Command, file string) error {
	began := time.Now()
	child := os.Getenv("GOVN_SIM_HELD") != ""
	if !child {
		if _, err := z.call(c.Context(), "version"); err == nil {
			return fmt.Errorf("lab %q in %s: %w (see \"govn sim status %s\", or take it down first)", z.cfg.Name, z.dir, lab.ErrExists, file)
		}
		if err := z.clear(); err != nil {
			return err
		}
		if err := os.MkdirAll(z.dir, 0o700); err != nil {
			return fmt.Errorf("run directory: %w", err)
		}
		os.Setenv("GOVN_SIM_HELD", z.dir)
		defer os.Unsetenv("GOVN_SIM_HELD")
	}
	level := "warn"
	if z.verbose {
		level = "debug"
	}
	err := daemon.Run(daemon.Options{
		Program: "govn-sim", Version: versionString(), Pidfile: z.path("sim.pid"), Detach: true,
		LogFile: z.path("sim.log"), LogLevel: level, Unixctl: z.path("sim.ctl"), RunDir: z.dir,
	}, z.hold)
	if child || err != nil {
		return err
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "lab %q is up (control: govn, simulated, %.1f s)\n\n", z.cfg.Name, time.Since(began).Seconds())
	printZones(out, z.cfg, false)
	fmt.Fprintf(out, "\nfiles, logs and sockets: %s\n\ntry:\n", z.dir)
	for _, line := range z.try(file) {
		fmt.Fprintf(out, "  %s\n", line)
	}
	return nil
}

// try is what can be done with a simulation that is up.
func (z *simZone) try(file string) []string {
	if z.name != "" {
		file += " --name " + z.name
	}
	if z.dir != filepath.Join(simRoot, z.cfg.Name) {
		file += " --dir " + z.dir
	}
	var lines []string
	if list := z.cfg.Workloads; len(list) > 1 && len(list[1].IPs) > 0 {
		lines = append(lines, fmt.Sprintf("govn sim exec %s %s ping -c 3 %v", file, list[0].Name, list[1].IPs[0].Addr()),
			fmt.Sprintf("govn sim capture %s %s --all", file, list[0].Chassis))
	}
	for _, zone := range z.cfg.AllZones() {
		lines = append(lines, "govn nbctl --db="+z.nb(zone.Name)+" show")
	}
	return append(lines, "govn sim down "+file)
}

// hold runs the simulation until the daemon ends.
func (z *simZone) hold(ctx context.Context, d *daemon.Daemon) (err error) {
	limit, cancel := context.WithTimeout(ctx, z.timeout)
	defer cancel()
	s, err := sim.Start(limit, z.cfg, sim.Options{Dir: z.dir, Logger: d.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.CaptureFiles(z.dir, z.cfg.Name); err != nil {
		return err
	}
	began := time.Now()
	d.Handle("sim/status", "", 0, 0, func(context.Context, []string) (string, error) { return simStatus(s, z.dir, began), nil })
	d.Handle("sim/ping", "WORKLOAD ADDRESS", 2, 2, func(ctx context.Context, args []string) (string, error) { return simPing(ctx, s, args[0], args[1]) })
	d.Ready()
	<-ctx.Done()
	return nil
}

// simStatus is a line for each node.
func simStatus(s *sim.Scenario, dir string, began time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lab %q: up since %s, control govn, simulated by process %d, files in %s\n", s.Config.Name, began.Format(time.DateTime), os.Getpid(), dir)
	w := newTable(&b)
	fmt.Fprintln(w, "NODE\tKIND\tSTATE\tDETAIL")
	for i, zone := range s.Config.AllZones() {
		fmt.Fprintf(w, "%s\tnorthd\tok\t%s\n", zone.Node(), s.Zones[i].NB)
	}
	if s.IC != nil {
		fmt.Fprintf(w, "ic\tinterconnection\tok\t%s\n", s.IC.NB)
	}
	for _, c := range s.Chassis() {
		fmt.Fprintf(w, "%s\tchassis\tok\t%d flows, tunnels from %v, %s\n", c.Name, len(c.Flows()), c.EncapIP, c.DB())
	}
	for i := range s.Config.Workloads {
		o := &s.Config.Workloads[i]
		fmt.Fprintf(w, "%s\tworkload\tok\ton %s, port %s, %s\n", o.Name, o.Chassis, o.Port, joinAny(o.IPs))
	}
	_ = w.Flush() // to memory
	return b.String()
}

// simPing sends an echo request. The result is one line as ping(8) has it, or ""
// and the reason where there is no answer.
func simPing(ctx context.Context, s *sim.Scenario, from, to string) (string, error) {
	station := s.Station(from)
	if station == nil {
		return "", fmt.Errorf("%q: %w", from, lab.ErrNoNode)
	}
	addr, err := netip.ParseAddr(to)
	if err != nil {
		return "", fmt.Errorf("ping: %s: not an address", to)
	}
	r, err := station.Ping(ctx, addr)
	if err != nil {
		return "", err
	}
	if !r.Answered {
		return "no answer: " + r.Why, nil
	}
	return fmt.Sprintf("64 bytes from %v: ttl=%d time=%.3f ms", addr, r.TTL, float64(r.RTT.Microseconds())/1000), nil
}

func newSimStatus() *cobra.Command {
	z := &simZone{}
	c := &cobra.Command{
		Use:   "status FILE",
		Short: "Show the nodes of a lab in the simulator",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := z.open(args[0]); err != nil {
				return err
			}
			text, err := z.call(c.Context(), "sim/status")
			if errors.Is(err, lab.ErrNotUp) {
				fmt.Fprintf(c.OutOrStdout(), "lab %q is not up\n", z.cfg.Name)
				return nil
			}
			fmt.Fprint(c.OutOrStdout(), text)
			return err
		},
	}
	z.addFlags(c)
	return c
}

func newSimDown() *cobra.Command {
	z := &simZone{}
	c := &cobra.Command{
		Use:   "down FILE",
		Short: "End the simulator of a lab and remove its files",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := z.open(args[0]); err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			if _, err := z.call(ctx, "exit"); err == nil {
				if err := z.gone(ctx); err != nil {
					return err
				}
			} else if !errors.Is(err, lab.ErrNotUp) {
				return err
			}
			if err := z.clear(); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "lab %q is down\n", z.cfg.Name)
			return nil
		},
	}
	z.addFlags(c)
	return c
}

// gone waits for the end of the process, which takes its pidfile along.
func (z *simZone) gone(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(z.path("sim.pid")); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// clear removes a run directory that no process holds. What is not one, because
// it has no log of a simulator, stays.
func (z *simZone) clear() error {
	entries, err := os.ReadDir(z.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	if _, err := os.Stat(z.path("sim.log")); err != nil {
		return fmt.Errorf("run directory %s: there are files in it that are not a simulator's", z.dir)
	}
	if err := os.RemoveAll(z.dir); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	return nil
}

func newSimExec() *cobra.Command {
	z := &simZone{}
	c := &cobra.Command{
		Use:   "exec FILE NODE PROGRAM [ARG...]",
		Short: "Run a program on a hypervisor, \"central\" or a zone, or ping from a workload",
		Long: `Run a program on a hypervisor, on "central" (of a lab with several zones: the
name of one, or "ic"), or ping from a workload.

OVN_NB_DB, OVN_SB_DB and, on a hypervisor, OVS_RUNDIR are set for the simulation.
A workload has no operating system: what it can run is "ping [-c COUNT] ADDRESS",
whose times are simulated.`,
		Args: arguments(3, -1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := z.open(args[0]); err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			return z.exec(ctx, c, args[1], args[2:])
		},
	}
	c.Flags().SetInterspersed(false)
	z.addFlags(c)
	return c
}

func (z *simZone) exec(ctx context.Context, c *cobra.Command, node string, argv []string) error {
	if _, err := z.call(ctx, "version"); err != nil {
		return err
	}
	env := []string{"OVN_RUNDIR=" + z.dir}
	if zone, ok := z.cfg.ZoneOf(node); ok {
		env = append(env, "OVN_NB_DB="+z.nb(zone), "OVN_SB_DB="+z.sb(zone))
	}
	if z.cfg.IC != nil {
		env = append(env, "OVN_IC_NB_DB=unix:"+z.path("ic/icnb.sock"), "OVN_IC_SB_DB=unix:"+z.path("ic/icsb.sock"))
	}
	switch kind, err := z.kind(node); {
	case err != nil:
		return err
	case kind == "workload" && argv[0] == "ping":
		return z.ping(ctx, c.OutOrStdout(), node, argv[1:])
	case kind == "workload":
		return fmt.Errorf("workload %q is simulated and runs nothing but \"ping [-c COUNT] ADDRESS\"", node)
	case kind == "chassis":
		env = append(env, "OVS_RUNDIR="+z.path(node))
	}
	return attached(c, commandWith(ctx, env, argv))
}

// kind tells what a node is.
func (z *simZone) kind(node string) (string, error) {
	var names []string
	for _, zone := range z.cfg.AllZones() {
		names = append(names, zone.Node())
	}
	if z.cfg.IC != nil {
		names = append(names, "ic")
	}
	if slices.Contains(names, node) {
		return "central", nil
	}
	for i := range z.cfg.Chassis {
		if names = append(names, z.cfg.Chassis[i].Name); z.cfg.Chassis[i].Name == node {
			return "chassis", nil
		}
	}
	for i := range z.cfg.Workloads {
		if names = append(names, z.cfg.Workloads[i].Name); z.cfg.Workloads[i].Name == node {
			return "workload", nil
		}
	}
	return "", fmt.Errorf("%q: %w; there are %s", node, lab.ErrNoNode, strings.Join(names, ", "))
}

// ping does what ping(8) does, in simulated time.
func (z *simZone) ping(ctx context.Context, out io.Writer, from string, args []string) error {
	count := 1
	if len(args) > 1 && args[0] == "-c" {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 || n > 1000 {
			return fmt.Errorf("ping: -c %s: 1 to 1000 is expected", args[1])
		}
		count, args = n, args[2:]
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("ping: [-c COUNT] ADDRESS is what simulated workloads understand")
	}
	answered := 0
	fmt.Fprintf(out, "PING %s from %s, simulated\n", args[0], from)
	for seq := 1; seq <= count; seq++ {
		line, err := z.call(ctx, "sim/ping", from, args[0])
		if err != nil {
			return err
		}
		if strings.HasPrefix(line, "64 bytes") {
			answered++
		}
		fmt.Fprintf(out, "icmp_seq=%d %s\n", seq, strings.TrimRight(line, "\n"))
	}
	fmt.Fprintf(out, "%d packets transmitted, %d received, %d%% packet loss\n", count, answered, 100*(count-answered)/count)
	if answered == 0 {
		return exitStatus(1)
	}
	return nil
}
