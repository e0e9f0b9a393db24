package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

type options struct {
	switches, ports int
	db              string
	chassis         []int
	n, stockN       int
	systems         []string
	govn, out       string
	profiles        string
	profileFor      time.Duration
	timeout         time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	command, args := run, os.Args[1:]
	if len(args) > 0 {
		if c, ok := map[string]func(context.Context, []string) error{"failover": failover, "changes": measureChanges, "bfd": bfdCost, "ovsdb": measureOVSDB, "ic": measureIC, "icscale": measureICScale}[args[0]]; ok {
			command, args = c, args[1:]
		}
	}
	if err := command(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	var chassis, systems string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.db, "db", "", "northbound database `FILE` to fill in instead of -switches and -ports")
	fs.IntVar(&o.switches, "switches", 20, "logical switches")
	fs.IntVar(&o.ports, "ports", 10, "ports of each")
	fs.StringVar(&chassis, "chassis", "2", "numbers of dummy chassis, one run for each")
	fs.IntVar(&o.n, "n", 100, "ports to add, one after the other")
	fs.IntVar(&o.stockN, "stock-n", 20, "the same for stock OVN")
	fs.StringVar(&systems, "systems", "stock,govn", "what to measure")
	fs.StringVar(&o.govn, "govn", "", "govn binary (default: built from this tree)")
	fs.StringVar(&o.out, "out", "", "file to which the table is appended (default: standard output only)")
	fs.StringVar(&o.profiles, "profiles", "", "directory for profiles of govn's daemons while ports are added")
	fs.DurationVar(&o.profileFor, "profile-for", 10*time.Second, "how long they are profiled")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long one step may take")
	if err := fs.Parse(args); err != nil {
		return err
	}
	const most = 1000 // endpoints, of the 1,022 addresses of the underlay
	var err error
	if o.chassis, err = numbers("chassis", chassis, 1, most); err != nil {
		return err
	}
	if o.systems, err = choices("systems", systems, controls...); err != nil {
		return err
	}

	dir, err := workDir(ctx, "bench", &o.govn)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var table bytes.Buffer
	net := madeNetwork(o.switches, o.ports, vifs*slices.Max(o.chassis))
	if o.db != "" {
		if net, err = fileNetwork(o.db, vifs*slices.Max(o.chassis)); err != nil {
			return err
		}
	}
	fmt.Fprintf(&table, "\n## One port more on %s\n\n", net.title)
	fmt.Fprintf(&table, "%s, %d CPUs, Open vSwitch with the dummy datapath, both systems in one run; load average before: %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), loadAverage())
	table.WriteString("| system | chassis | samples | hv_cfg p50 ms | p99 ms | up p50 ms | p99 ms | northd CPU ms | controllers CPU ms | Open vSwitches CPU ms | northd MB | controller MB | fill s | cold start s | CPU s | chassis anew s |\n")
	table.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, n := range o.chassis {
		for _, system := range o.systems {
			r, err := measure(ctx, &o, net, lab.Control(system), n, filepath.Join(dir, fmt.Sprintf("%s%d", system[:1], n)))
			if err != nil {
				return fmt.Errorf("%s with %d chassis: %w", system, n, err)
			}
			line := r.row(system, n)
			fmt.Fprint(os.Stderr, line)
			table.WriteString(line)
		}
	}
	return appendTable(o.out, table.Bytes())
}

// appendTable writes a table to the standard output, and to the end of a file if
// one is named.
func appendTable(file string, table []byte) error {
	if _, err := os.Stdout.Write(table); err != nil {
		return err
	}
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(table)
	return errors.Join(err, f.Close())
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(data))[0]
}

// result is what one run measured.
type result struct {
	installed, up         []time.Duration // sorted
	cpu                   usage           // per port
	northdKiB, chassisKiB int
	filled, cold, first   time.Duration
	coldCPU               time.Duration // of northd
}

func (r *result) row(system string, chassis int) string {
	ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) }
	return fmt.Sprintf("| %s | %d | %d | %s | %s | %s | %s | %s | %s | %s | %d | %d | %.1f | %.2f | %.2f | %.2f |\n",
		system, chassis, len(r.installed), ms(percentile(r.installed, 50)), ms(percentile(r.installed, 99)),
		ms(percentile(r.up, 50)), ms(percentile(r.up, 99)), ms(r.cpu.northd), ms(r.cpu.controllers), ms(r.cpu.vswitches),
		r.northdKiB/1024, r.chassisKiB/1024, r.filled.Seconds(), r.cold.Seconds(), r.coldCPU.Seconds(), r.first.Seconds())
}

// percentile of sorted samples, by nearest rank.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

const vifs = 5 // ports of the filled network on each chassis

func config(net *network, chassis, n int) (*lab.Config, error) {
	var b strings.Builder
	b.WriteString("name: bench\nunderlay: {subnet: 203.0.112.0/22}\nchassis:\n")
	for h := range chassis {
		fmt.Fprintf(&b, "  - {name: h%d, datapath: dummy}\n", h)
	}
	b.WriteString("workloads:\n")
	seen := map[string]bool{}
	vif := func(name, port string, h int) {
		if !seen[port] {
			seen[port] = true
			fmt.Fprintf(&b, "  - {name: %s, port: %s, chassis: h%d, mac: \"0a:01:00:00:00:00\"}\n", name, port, h)
		}
	}
	for h := range chassis {
		for k := range vifs {
			vif(fmt.Sprintf("b%d-%d", h, k), net.ports[(h*vifs+k)%len(net.ports)], h)
		}
	}
	for i := range n {
		vif(fmt.Sprintf("x%d", i), fmt.Sprintf("x%d", i), i%chassis)
	}
	return lab.Parse("bench", []byte(b.String()))
}

func measure(ctx context.Context, o *options, net *network, control lab.Control, chassis int, dir string) (_ *result, err error) {
	n := o.n
	if control == lab.ControlStock {
		n = o.stockN
	}
	cfg, err := config(net, chassis, n)
	if err != nil {
		return nil, err
	}
	l, err := lab.New(cfg, lab.Options{Dir: dir, Control: control, Govn: o.govn, Timeout: o.timeout})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx))) }()
	if err := l.Up(ctx); err != nil {
		return nil, err
	}
	c, err := dial(ctx, strings.TrimPrefix(l.NB(), "unix:"), "OVN_Northbound")
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.close() }()
	r := &result{}
	start := time.Now()
	if err := net.fill(ctx, c); err != nil {
		return nil, err
	}
	if _, err := l.Nbctl(ctx, "--wait=hv", "sync"); err != nil {
		return nil, err
	}
	r.filled = time.Since(start)
	var profiled func() error
	if o.profiles != "" && control == lab.ControlGovn {
		profiled = profile(ctx, l, o.profiles, strings.ReplaceAll(fmt.Sprintf("%s-%d", net.title, chassis), " ", ""), o.profileFor)
	}
	if err := add(ctx, c, l, o, net, chassis, n, r); err != nil {
		return nil, err
	}
	if profiled != nil {
		if err := profiled(); err != nil {
			return nil, err
		}
	}
	r.northdKiB, err = memory(l.Pid("central", "northd"))
	if err != nil {
		return nil, err
	}
	if r.chassisKiB, err = memory(l.Pid("h0", "controller")); err != nil {
		return nil, err
	}
	sync := func() error {
		_, err := l.Nbctl(ctx, "--wait=hv", "sync")
		return err
	}
	if r.cold, err = restart(ctx, l, "central", "northd", sync); err != nil {
		return nil, err
	}
	if r.coldCPU, err = cpu(l.Pid("central", "northd")); err != nil {
		return nil, err
	}
	r.first, err = restart(ctx, l, "h0", "controller", sync)
	return r, err
}

// restart kills a daemon, starts it, and returns how long it took from then
// until until returned. What a controller has in its cache is removed.
func restart(ctx context.Context, l *lab.Lab, node, daemon string, until func() error) (time.Duration, error) {
	if err := l.Signal(node, daemon, unix.SIGKILL); err != nil {
		return 0, err
	}
	if err := os.RemoveAll(filepath.Join(l.Dir(), node, "cache")); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := l.Start(ctx, node, daemon); err != nil {
		return 0, err
	}
	err := until()
	return time.Since(start), err
}

// add adds the ports and measures each.
func add(ctx context.Context, c *client, l *lab.Lab, o *options, net *network, chassis, n int, r *result) error {
	raw, _, err := c.transact(ctx, row{"op": "select", "table": "Logical_Switch", "where": []any{[]any{"name", "==", net.sw}}, "columns": []any{"_uuid"}},
		row{"op": "select", "table": "NB_Global", "where": []any{}, "columns": []any{"_uuid", "nb_cfg"}})
	if err != nil {
		return err
	}
	sw, err := firstRow(raw[0], "_uuid")
	if err != nil {
		return err
	}
	global, err := firstRow(raw[1], "_uuid")
	if err != nil {
		return err
	}
	cfg, err := firstRow(raw[1], "nb_cfg")
	if err != nil {
		return err
	}
	nbCfg, ok := cfg.(float64)
	if !ok {
		return fmt.Errorf("nb_cfg is %v", cfg)
	}
	if _, _, err := c.call(ctx, "monitor", "OVN_Northbound", "bench", row{
		"NB_Global":           row{"columns": []any{"hv_cfg"}, "select": row{"initial": false}},
		"Logical_Switch_Port": row{"columns": []any{"name", "up"}, "select": row{"initial": false, "insert": false, "delete": false}},
	}); err != nil {
		return err
	}
	before, err := usageOf(l, chassis)
	if err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("x%d", i)
		_, start, err := c.transact(ctx,
			insert("Logical_Switch_Port", "x", portRow(name, net.first+i)),
			mutate("Logical_Switch", []any{"_uuid", "==", sw}, []any{"ports", "insert", set(named("x"))}),
			mutate("NB_Global", []any{"_uuid", "==", global}, []any{"nb_cfg", "+=", 1}))
		if err != nil {
			return err
		}
		nbCfg++
		installed, up, err := c.await(ctx, nbCfg, name, o.timeout)
		if err != nil {
			return fmt.Errorf("port %q: %w", name, err)
		}
		r.installed, r.up = append(r.installed, installed.Sub(start)), append(r.up, up.Sub(start))
	}
	slices.Sort(r.installed)
	slices.Sort(r.up)
	after, err := usageOf(l, chassis)
	r.cpu = after.per(before, n)
	return err
}

func firstRow(res map[string]any, column string) (any, error) {
	if rows, ok := res["rows"].([]any); ok && len(rows) > 0 {
		if m, ok := rows[0].(map[string]any); ok {
			return m[column], nil
		}
	}
	return nil, fmt.Errorf("select: no row in %v", res)
}

// await waits until hv_cfg has reached want and the port is up.
func (c *client) await(ctx context.Context, want float64, port string, limit time.Duration) (installed, up time.Time, err error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for installed.IsZero() || up.IsZero() {
		select {
		case u := <-c.updates:
			for _, row := range u.rows["NB_Global"] {
				if hv, ok := row.New["hv_cfg"].(float64); ok && hv >= want && installed.IsZero() {
					installed = u.at
				}
			}
			for _, row := range u.rows["Logical_Switch_Port"] {
				if row.New["name"] == port && row.New["up"] == true {
					up = u.at
				}
			}
		case <-c.done:
			return installed, up, c.err
		case <-deadline.C:
			return installed, up, fmt.Errorf("not within %v: installed %v, up %v", limit, !installed.IsZero(), !up.IsZero())
		case <-ctx.Done():
			return installed, up, ctx.Err()
		}
	}
	return installed, up, nil
}

// usage is processor time: of northd, of all controllers, of the programs of
// Open vSwitch on all chassis. Stock's databases count for northd.
type usage struct{ northd, controllers, vswitches time.Duration }

func usageOf(l *lab.Lab, chassis int) (u usage, err error) {
	add := func(to *time.Duration, node, daemon string) {
		if pid := l.Pid(node, daemon); pid != 0 && err == nil {
			var d time.Duration
			d, err = cpu(pid)
			*to += d
		}
	}
	for _, daemon := range []string{"northd", "nb", "sb"} {
		add(&u.northd, "central", daemon)
	}
	for h := range chassis {
		node := fmt.Sprintf("h%d", h)
		add(&u.controllers, node, "controller")
		add(&u.vswitches, node, "vswitchd")
		add(&u.vswitches, node, "ovsdb")
	}
	return u, err
}

// per is what each of n took since before.
func (u usage) per(before usage, n int) usage {
	d := time.Duration(n)
	return usage{(u.northd - before.northd) / d, (u.controllers - before.controllers) / d, (u.vswitches - before.vswitches) / d}
}

// cpu is the processor time of a process: fields 14 and 15 of proc(5) stat, in
// ticks of 10 ms.
func cpu(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("process %d: stat has %d fields", pid, len(f))
	}
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// memory is the resident memory of a process in KiB.
func memory(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.Fields(v)[0])
		}
	}
	return 0, fmt.Errorf("process %d: no VmRSS", pid)
}
