package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"govn/sim"
	"govn/sim/lab"
)

// errPing ends "sim run" when a ping is not answered; the output has said why.
var errPing = errors.New("a ping was not answered")

// newSimCommand is "govn sim": the simulator.
func newSimCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run networks of hypervisors in a simulator, without root or Open vSwitch",
	}
	c.AddCommand(newSimRun(), newSimUp(), newSimStatus(), newSimExec(), newSimCapture(), newSimDown())
	return group(c)
}

type simFlags struct {
	ping    []string
	pcap    string
	trace   bool
	quiet   bool
	hops    bool
	verbose bool
	nbctl   []string
	timeout time.Duration
}

func newSimRun() *cobra.Command {
	f := &simFlags{}
	c := &cobra.Command{
		Use:   "run FILE [-- COMMAND [ARG...]]",
		Short: "Bring a lab file up in the simulator, ping, show the packets' ways",
		Long: `Bring a lab file up in the simulator, ping, show the packets' ways.

FILE is a lab file, as "govn lab" takes it; docs/lab.md explains it. Everything
runs in this process: northd, and for each chassis a database, a software switch
and the controller, which talk OVSDB, OpenFlow and gRPC over sockets as they do
elsewhere. Time between chassis is simulated, so a run is the same every time.

Without --ping, the first workload with an address pings all others. COMMAND
runs while the network is up, after the pings; OVN_NB_DB and OVN_SB_DB lead to
its databases, OVS_RUNDIR to a folder for each chassis. Of a lab with several
zones those are the databases of the first; OVS_RUNDIR/ZONE has nb.sock and
sb.sock of each, and --nbctl takes ZONE:COMMANDS.`,
		Example: `  govn sim run docs/examples/two-hypervisors.yaml
  govn sim run docs/examples/two-hypervisors.yaml --ping vm2:10.0.0.11 --trace
  govn sim run docs/examples/two-hypervisors.yaml --pcap out -- govn nbctl show`,
		Args: func(c *cobra.Command, args []string) error {
			if n := c.ArgsLenAtDash(); n >= 0 && n != 1 || n < 0 && len(args) != 1 {
				return errors.New(`one FILE is needed, and "--" before a command`)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := interruptible(c)
			defer stop()
			return f.run(ctx, c, args[0], args[1:])
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringArrayVar(&f.ping, "ping", nil, "`FROM:TO`: ping from a workload to a workload or an address; may be repeated")
	fl.StringVar(&f.pcap, "pcap", "", "write captures to `DIR`: NAME.pcap of the underlay, NAME-WORKLOAD.pcap")
	fl.BoolVar(&f.trace, "trace", false, "show every table, not only those that decide something")
	fl.StringArrayVar(&f.nbctl, "nbctl", nil, "`COMMANDS` in ovn-nbctl's syntax to run before the pings; may be repeated")
	fl.BoolVar(&f.hops, "hops", false, "show the tunnels on the packets' ways, not the tables")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print verdicts, not the packets' ways")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "log what all daemons do")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for the flows to be installed")
	return c
}

func (f *simFlags) run(ctx context.Context, c *cobra.Command, file string, command []string) (err error) {
	cfg, err := lab.Load(file)
	if err != nil {
		return err
	}
	o := sim.Options{Trace: !f.quiet}
	if f.verbose {
		o.Logger = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	began := time.Now()
	limit, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	s, err := sim.Start(limit, cfg, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := f.change(limit, c.OutOrStdout(), s); err != nil {
		return err
	}
	if f.pcap != "" {
		if err := s.CaptureFiles(f.pcap, cfg.Name); err != nil {
			return err
		}
	}
	t := sim.NewTeller(s, c.OutOrStdout(), styleOf(c.OutOrStdout(), f.trace))
	if !f.quiet {
		flows := 0
		for _, ch := range s.Chassis() {
			flows += len(ch.Flows())
		}
		zones := ""
		if len(cfg.Zones) > 0 {
			zones = fmt.Sprintf("%d zones, ", len(cfg.Zones))
		}
		t.Title("%s: %s%d hypervisors, %d workloads, %d flows, up in %.2f s", cfg.Name, zones, len(cfg.Chassis), len(cfg.Workloads), flows, time.Since(began).Seconds())
		t.Blank()
		if err := t.Picture(); err != nil {
			return err
		}
	}
	if err := f.pings(ctx, s, t); err != nil && !errors.Is(err, errPing) {
		return err
	} else if err != nil && len(command) == 0 {
		return exitStatus(1)
	}
	if f.pcap != "" && !f.quiet {
		path := filepath.Join(f.pcap, cfg.Name+".pcap")
		self, detail := os.Args[0], " --trace"
		if f.hops {
			detail = ""
		}
		t.Blank()
		t.Title("next")
		t.Blank()
		t.Next(
			[2]string{"the same packets, decoded", self + " decode " + path},
			[2]string{"or by Wireshark's", "tshark -O geneve -r " + path},
			[2]string{"every table on the way", self + " sim run " + file + detail},
		)
		if example := f.example(cfg); example != "" {
			t.Next([2]string{"watch who drops a packet ", self + " sim run " + file + " " + example})
		}
	}
	if len(command) > 0 {
		return f.command(ctx, c, s, command)
	}
	return t.Err()
}

// change runs the commands of --nbctl.
func (f *simFlags) change(ctx context.Context, out io.Writer, s *sim.Scenario) error {
	for _, line := range f.nbctl {
		z, command := s.Zone, line
		if len(s.Config.Zones) > 0 {
			name, rest, ok := strings.Cut(line, ":")
			if z, command = s.ZoneNamed(name), rest; !ok || z == nil {
				return fmt.Errorf("--nbctl %q: want ZONE:COMMANDS", line)
			}
		}
		words, err := lab.SplitWords(command)
		if err != nil {
			return fmt.Errorf("--nbctl %q: %w", line, err)
		}
		text, err := z.Nbctl(ctx, words...)
		if err != nil {
			return fmt.Errorf("--nbctl %q: %w", line, err)
		}
		fmt.Fprint(out, text)
	}
	if len(f.nbctl) == 0 {
		return nil
	}
	return s.Settle(ctx)
}

// example is a change that makes the first ping fail, with a reason that the way
// shows: port security that the workload's address does not pass.
func (f *simFlags) example(cfg *lab.Config) string {
	if len(f.nbctl) > 0 || len(cfg.Workloads) == 0 {
		return ""
	}
	w := &cfg.Workloads[0]
	name, _ := cfg.ZoneOf(w.Name)
	for _, z := range cfg.AllZones() {
		if p := z.Topology.Port(w.Port); z.Name == name && p != nil && len(p.PortSecurity) == 0 {
			if name != "" {
				name += ":"
			}
			return fmt.Sprintf("--nbctl '%slsp-set-port-security %s %q'", name, w.Port, w.MAC+" 192.168.0.1")
		}
	}
	return ""
}

// aPing is who pings whom.
type aPing struct {
	from *sim.Station
	to   netip.Addr
	name string // of to
}

// pings sends the pings and prints what happens to them.
func (f *simFlags) pings(ctx context.Context, s *sim.Scenario, t *sim.Teller) error {
	list, err := f.plan(s)
	if err != nil {
		return err
	}
	failed := false
	for _, p := range list {
		r, err := p.from.Ping(ctx, p.to)
		if err != nil {
			return err
		}
		if !f.quiet {
			t.Blank()
			t.Title("ping %s to %s", p.from.Name, p.name)
			if err := t.Hops(r.Journeys); err != nil {
				return err
			}
			if err := f.ways(ctx, t, r.Journeys); err != nil {
				return err
			}
			t.Blank()
		}
		t.Verdict(r, p.name)
		failed = failed || !r.Answered
	}
	if failed {
		return errors.Join(errPing, t.Err())
	}
	return t.Err()
}

// ways prints the tables on the ways, unless the tunnels are enough.
func (f *simFlags) ways(ctx context.Context, t *sim.Teller, list []*sim.Node) error {
	if f.hops {
		return t.Err()
	}
	return t.Ways(ctx, list)
}

func (f *simFlags) plan(s *sim.Scenario) ([]aPing, error) {
	var list []aPing
	for _, spec := range f.ping {
		from, to, ok := strings.Cut(spec, ":")
		station := s.Station(from)
		switch {
		case !ok:
			return nil, fmt.Errorf("--ping %q: want FROM:TO", spec)
		case station == nil:
			return nil, fmt.Errorf("--ping %q: there is no workload %q", spec, from)
		}
		p := aPing{from: station, name: to}
		if addr, err := netip.ParseAddr(to); err == nil {
			p.to = addr
		} else if other := s.Station(to); other != nil {
			if p.to = common(station, other); !p.to.IsValid() {
				return nil, fmt.Errorf("--ping %q: %q has no address that %q could reach", spec, to, from)
			}
		} else {
			return nil, fmt.Errorf("--ping %q: %q is neither a workload nor an address", spec, to)
		}
		list = append(list, p)
	}
	if len(f.ping) > 0 {
		return list, nil
	}
	var from *sim.Station
	for i := range s.Config.Workloads {
		w := s.Station(s.Config.Workloads[i].Name)
		if len(w.IPs) == 0 {
			continue
		}
		if from == nil {
			from = w
			continue
		}
		if to := common(from, w); to.IsValid() {
			list = append(list, aPing{from, to, w.Name})
		}
	}
	return list, nil
}

// common is an address of one workload of a family that another has, too.
func common(from, to *sim.Station) netip.Addr {
	for _, a := range to.IPs {
		for _, b := range from.IPs {
			if a.Addr().Is4() == b.Addr().Is4() {
				return a.Addr()
			}
		}
	}
	return netip.Addr{}
}

// command runs a program that finds the databases in its environment.
func (f *simFlags) command(ctx context.Context, c *cobra.Command, s *sim.Scenario, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "OVN_NB_DB="+s.Zone.NB, "OVN_SB_DB="+s.Zone.SB, "OVS_RUNDIR="+s.Dir())
	if s.IC != nil {
		cmd.Env = append(cmd.Env, "OVN_IC_NB_DB="+s.IC.NB, "OVN_IC_SB_DB="+s.IC.SB)
	}
	return attached(c, cmd)
}

// styleOf finds out what the output can show. Colours and box characters are
// for terminals; NO_COLOR (https://no-color.org) and TERM=dumb take colours away.
func styleOf(w io.Writer, all bool) sim.Style {
	st := sim.Style{All: all}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return st
	}
	st.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	st.Unicode = true
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			st.Unicode = strings.Contains(strings.ToLower(strings.ReplaceAll(v, "-", "")), "utf8")
			break
		}
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		st.Width = width
	}
	return st
}
