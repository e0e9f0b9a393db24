package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"govn/ic/agent"
	"govn/ic/server"
	"govn/sim/lab"
)

type icScaleOptions struct {
	zones   []int
	routes  int
	n       int
	systems []string
	out     string
	timeout time.Duration
}

// measureICScale measures many zones that tell each other their routes.
func measureICScale(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == icPartName {
		return icPart(ctx, args[1:])
	}
	var o icScaleOptions
	var zones, systems string
	fs := flag.NewFlagSet("icscale", flag.ContinueOnError)
	fs.StringVar(&zones, "zones", "50", "numbers of zones, one run for each")
	fs.IntVar(&o.routes, "routes", 200, "static routes of each")
	fs.IntVar(&o.n, "n", 20, "routes to add, one after the other, when all is quiet")
	fs.StringVar(&systems, "systems", "govn-fabric,govn-ovsdb", "what links them: stock, govn-ovsdb, govn-fabric")
	fs.StringVar(&o.out, "out", "", "file to which the table is appended (default: standard output only)")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long one step may take")
	if err := fs.Parse(args); err != nil {
		return err
	}
	const most = 250 // of an address' byte
	if o.routes < 1 || o.routes > most {
		return fmt.Errorf("-routes %d: 1 to %d", o.routes, most)
	}
	if o.zones, err = numbers("zones", zones, 2, most); err != nil {
		return err
	}
	if o.systems, err = choices("systems", systems, icSystemNames()...); err != nil {
		return err
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "\n## Many zones\n\n%s, %d CPUs, %d routes a zone, all systems in one run; load average before: %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), o.routes, loadAverage())
	table.WriteString("| system | zones | routes learned, all zones | until all are s | centre CPU s | agents CPU s | centre MB | agents MB a zone | one route more p50 ms | max ms | centre CPU ms | agents CPU ms |\n")
	table.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, n := range o.zones {
		for _, name := range o.systems {
			system := icSystems[name]
			r, err := o.measure(ctx, system.control, system.join, n)
			if err != nil {
				return fmt.Errorf("%s with %d zones: %w", name, n, err)
			}
			line := r.row(name)
			fmt.Fprint(os.Stderr, line)
			table.WriteString(line)
		}
	}
	return appendTable(o.out, table.Bytes())
}

// icScaleResult is what one run measured.
type icScaleResult struct {
	zones, learned                 int
	converged                      time.Duration
	centreCPU, agentsCPU           time.Duration // until then
	centreKiB, agentsKiB           int
	one                            []time.Duration // sorted
	centrePerRoute, agentsPerRoute time.Duration
}

func (r *icScaleResult) row(name string) string {
	return fmt.Sprintf("| %s | %d | %d | %.1f | %.1f | %.1f | %d | %.1f | %s | %s | %s | %s |\n", name, r.zones, r.learned, r.converged.Seconds(),
		r.centreCPU.Seconds(), r.agentsCPU.Seconds(), r.centreKiB/1024, float64(r.agentsKiB)/1024/float64(r.zones),
		digits(ms(percentile(r.one, 50))), digits(ms(percentile(r.one, 100))), digits(ms(r.centrePerRoute)), digits(ms(r.agentsPerRoute)))
}

// icParts are the processes of a run: the centre, and the agents.
type icParts struct{ centre, agents []*exec.Cmd }

func (p *icParts) stop() {
	for _, list := range [][]*exec.Cmd{p.agents, p.centre} {
		for _, c := range list {
			_ = c.Process.Signal(unix.SIGTERM)
			_ = c.Wait() // ended by the signal
		}
	}
}

// usageOfParts is the processor time and the memory, in KiB, of processes.
func usageOfParts(list []*exec.Cmd) (time.Duration, int, error) {
	var sum time.Duration
	var kib int
	for _, c := range list {
		d, err1 := cpu(c.Process.Pid)
		m, err2 := memory(c.Process.Pid)
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, err
		}
		sum, kib = sum+d, kib+m
	}
	return sum, kib, nil
}

func (o *icScaleOptions) measure(ctx context.Context, control lab.Control, join lab.Join, zones int) (_ *icScaleResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "ics")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	beds := make([]*zoneBed, zones)
	defer func() {
		for _, b := range beds {
			if b != nil {
				err = errors.Join(err, b.close())
			}
		}
	}()
	for z := range beds {
		if beds[z], err = newZoneBed(ctx, dir, z, o.routes); err != nil {
			return nil, err
		}
	}
	p := &icParts{}
	defer p.stop()
	if err := p.startCentre(ctx, control, dir); err != nil {
		return nil, err
	}
	r := &icScaleResult{zones: zones}
	began := time.Now()
	if err := p.startAgents(ctx, control, join, dir, zones); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, b := range beds {
		g.Go(func() error { return b.attach(gctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	each := (zones - 1) * (o.routes + 1) // and the router's network
	for _, b := range beds {
		if err := b.await(ctx, each); err != nil {
			return nil, err
		}
		r.learned += each
	}
	r.converged = time.Since(began)
	if r.centreCPU, r.centreKiB, err = usageOfParts(p.centre); err != nil {
		return nil, err
	}
	if r.agentsCPU, r.agentsKiB, err = usageOfParts(p.agents); err != nil {
		return nil, err
	}
	for i := range o.n {
		from := beds[i%zones]
		start := time.Now()
		if err := from.addRoute(ctx, fmt.Sprintf("11.%d.%d.0/24", i>>8, i&0xff)); err != nil {
			return nil, err
		}
		for _, b := range beds {
			if b == from {
				continue
			}
			b.extra++
			if err := b.await(ctx, each+b.extra); err != nil {
				return nil, err
			}
		}
		r.one = append(r.one, time.Since(start))
	}
	slices.Sort(r.one)
	centre, _, err1 := usageOfParts(p.centre)
	agents, _, err2 := usageOfParts(p.agents)
	r.centrePerRoute, r.agentsPerRoute = (centre-r.centreCPU)/time.Duration(max(1, o.n)), (agents-r.agentsCPU)/time.Duration(max(1, o.n))
	return r, errors.Join(err1, err2)
}

// Remotes of the centre, in the directory of a run.
func icScaleRemotes(dir string) (nb, sb, fabric string) {
	return "unix:" + filepath.Join(dir, "icnb.sock"), "unix:" + filepath.Join(dir, "icsb.sock"), "unix:" + filepath.Join(dir, "fabric.sock")
}

// startCentre starts the interconnection and gives it a transit switch.
func (p *icParts) startCentre(ctx context.Context, control lab.Control, dir string) error {
	nb, sb, _ := icScaleRemotes(dir)
	if control == lab.ControlStock {
		for _, db := range []struct{ remote, schema string }{{nb, "ovn-ic-nb"}, {sb, "ovn-ic-sb"}} {
			file := strings.TrimSuffix(strings.TrimPrefix(db.remote, "unix:"), "sock") + "db"
			if err := exec.CommandContext(ctx, "ovsdb-tool", "create", file, "/usr/share/ovn/"+db.schema+".ovsschema").Run(); err != nil {
				return fmt.Errorf("ovsdb-tool: %w", err)
			}
			if err := p.start(ctx, &p.centre, dir, "ovsdb-server", "-vconsole:off", "--remote=p"+db.remote, "--unixctl="+file+".ctl", file); err != nil {
				return err
			}
		}
	} else if err := p.startSelf(ctx, &p.centre, dir, "centre", dir); err != nil {
		return err
	}
	for _, remote := range []string{nb, sb} {
		if err := listens(ctx, strings.TrimPrefix(remote, "unix:")); err != nil {
			return err
		}
	}
	for _, argv := range [][]string{{"ovn-ic-nbctl", "--db=" + nb, "init"}, {"ovn-ic-sbctl", "--db=" + sb, "init"}, {"ovn-ic-nbctl", "--db=" + nb, "ts-add", "ts1"}} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
		}
	}
	return nil
}

// startAgents starts the agents: those of govn in one process.
func (p *icParts) startAgents(ctx context.Context, control lab.Control, join lab.Join, dir string, zones int) error {
	if control != lab.ControlStock {
		return p.startSelf(ctx, &p.agents, dir, "agents", dir, strconv.Itoa(zones), string(join))
	}
	nb, sb, _ := icScaleRemotes(dir)
	for z := range zones {
		znb, zsb := zoneRemotes(dir, z)
		argv := []string{"ovn-ic", "-vconsole:off", "--ovnnb-db=" + znb, "--ovnsb-db=" + zsb, "--ic-nb-db=" + nb, "--ic-sb-db=" + sb,
			"--unixctl=" + filepath.Join(dir, fmt.Sprintf("ovn-ic%d.ctl", z))}
		if err := p.start(ctx, &p.agents, dir, argv...); err != nil {
			return err
		}
		// Of several that start at a time all but one sleep until something changes.
		if out, err := exec.CommandContext(ctx, "ovn-ic-sbctl", "--db="+sb, "wait-until", "Availability_Zone", fmt.Sprintf("zone%d", z)).CombinedOutput(); err != nil {
			return fmt.Errorf("zone %d does not join: %w: %s", z, err, out)
		}
	}
	return nil
}

func (p *icParts) start(ctx context.Context, to *[]*exec.Cmd, dir string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir, "OVN_RUNDIR="+dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	*to = append(*to, cmd)
	return nil
}

// icPartName makes this program a part of a run of icscale.
const icPartName = "part"

// startSelf runs this program as a part, in a process of its own, so that its
// processor time and memory can be told from others'.
func (p *icParts) startSelf(ctx context.Context, to *[]*exec.Cmd, dir string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return p.start(ctx, to, dir, append([]string{self, "icscale", icPartName}, args...)...)
}

// icPartArgs are how many arguments a part has.
var icPartArgs = map[string]int{"centre": 2, "agents": 4}

// icPart is "centre DIR" or "agents DIR ZONES JOIN".
func icPart(ctx context.Context, args []string) error {
	if n, known := icPartArgs[strings.Join(args[:min(1, len(args))], "")]; !known || len(args) != n {
		return fmt.Errorf("%q: want \"centre DIR\" or \"agents DIR ZONES JOIN\"", args)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	nb, sb, fabric := icScaleRemotes(args[1])
	if args[0] == "centre" {
		return server.Run(ctx, server.Options{Store: "memory", NBListen: []string{"p" + nb}, SBListen: []string{"p" + sb},
			FabricListen: []string{fabric}, Centre: server.CentreOptions{Lease: time.Minute}, Logger: log})
	}
	zones, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for z := range zones {
		znb, zsb := zoneRemotes(args[1], z)
		o := agent.Options{NB: znb, SB: zsb, IC: fabric, Logger: log.With("zone", z)}
		if lab.Join(args[3]) == lab.JoinOVSDB {
			o.IC, o.ICNB, o.ICSB = "", nb, sb
		}
		g.Go(func() error { return agent.Run(ctx, o) })
	}
	return g.Wait()
}

// listens waits until there is a socket.
func listens(ctx context.Context, path string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", path, ctx.Err())
		}
	}
}
