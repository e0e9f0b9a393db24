package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"govn/sim/lab"
)

// icZone is a zone with a gateway on the dummy datapath: %[1]s its name, %[2]d its
// number, %[3]d that of the zone that it learns a network of.
const icZone = `
  - name: %[1]s
    chassis: [{name: gw_%[1]s, datapath: dummy, external-ids: {ovn-is-interconn: "true"}}]
    topology:
      nbctl:
        - lr-add router_%[1]s
        - lrp-add router_%[1]s router_%[1]s-net 0a:00:00:00:%02[2]d:01 192.168.%[2]d.1/24
        - set NB_Global . options:ic-route-adv=true options:ic-route-learn=true
    transit:
      - switch: ts1
        nbctl:
          - lrp-add router_%[1]s router_%[1]s-ts1 0a:00:00:00:ff:%02[2]d 169.254.100.%[2]d/24
          - lrp-set-gateway-chassis router_%[1]s-ts1 gw_%[1]s
          - lsp-add ts1 ts1-router_%[1]s
          - lsp-set-type ts1-router_%[1]s router
          - lsp-set-addresses ts1-router_%[1]s router
          - lsp-set-options ts1-router_%[1]s router-port=router_%[1]s-ts1
    learns: [192.168.%[3]d.0/24]
`

// icLab is the lab file of two zones.
func icLab() string {
	return "name: icbench\nic: {nbctl: [ts-add ts1]}\nzones:" + fmt.Sprintf(icZone, "east", 1, 2) + fmt.Sprintf(icZone, "west", 2, 1)
}

// icRoutes is how many prefixes there are of each kind: those that come and go, and
// those of each zone besides.
const icRoutes = 50 * 250

// icSystems are what links the zones.
var icSystems = map[string]struct {
	control lab.Control
	join    lab.Join
}{
	"stock":       {lab.ControlStock, lab.JoinOVSDB},
	"govn-ovsdb":  {lab.ControlGovn, lab.JoinOVSDB},
	"govn-fabric": {lab.ControlGovn, lab.JoinFabric},
}

func icSystemNames() []string { return slices.Sorted(maps.Keys(icSystems)) }

type icOptions struct {
	n, stockN  int
	background []int
	systems    []string
	govn, out  string
	timeout    time.Duration
}

// icResult is what a run measured, sorted.
type icResult struct {
	learned, installed, gone, removed []time.Duration
	agents, ic, northds               time.Duration // processor time per route, added and removed
}

func measureIC(ctx context.Context, args []string) (err error) {
	var o icOptions
	var systems, background string
	fs := flag.NewFlagSet("ic", flag.ContinueOnError)
	fs.IntVar(&o.n, "n", 200, "routes to add and remove, one after the other")
	fs.IntVar(&o.stockN, "stock-n", 20, "the same for stock OVN")
	fs.StringVar(&background, "background", "0,2000", "routes that each zone advertises besides, one run for each")
	fs.StringVar(&systems, "systems", "stock,govn-ovsdb,govn-fabric", "what to measure, the first being what others are compared with")
	fs.StringVar(&o.govn, "govn", "", "govn binary (default: built from this tree)")
	fs.StringVar(&o.out, "out", "", "file to which the table is appended (default: standard output only)")
	fs.DurationVar(&o.timeout, "timeout", time.Minute, "how long one step may take")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.systems, err = choices("systems", systems, icSystemNames()...); err != nil {
		return err
	}
	if most := icRoutes - warmUps; o.n < 1 || o.n > most || o.stockN < 1 || o.stockN > most {
		return fmt.Errorf("-n %d, -stock-n %d: 1 to %d", o.n, o.stockN, most)
	}
	if o.background, err = numbers("background", background, 0, icRoutes); err != nil {
		return err
	}
	dir, err := workDir(ctx, "icbench", &o.govn)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var table bytes.Buffer
	fmt.Fprintf(&table, "\n## A route from one zone to the other\n\n%s, %d CPUs, two zones with a gateway each on the dummy datapath, all systems in one run; load average before: %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), loadAverage())
	table.WriteString("| system | routes besides, of each zone | samples | in the other northbound p50 ms | p99 ms | in the flows of its gateway p50 ms | p99 ms | gone there p50 ms | p99 ms | gone from the flows p50 ms | p99 ms | agents CPU ms | IC CPU ms | northds CPU ms |\n")
	table.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, background := range o.background {
		var first *icResult
		for _, name := range o.systems {
			system, n := icSystems[name], o.n
			if system.control == lab.ControlStock {
				n = o.stockN
			}
			r, err := o.measure(ctx, system.control, system.join, background, n, filepath.Join(dir, name))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			table.WriteString(r.line(name, background, nil))
			if first == nil {
				first = r
			} else {
				table.WriteString(r.line("ratio", background, first))
			}
		}
	}
	return appendTable(o.out, table.Bytes())
}

// line is the result as a line of the table, or its ratio to another.
func (r *icResult) line(name string, background int, to *icResult) string {
	cells := []string{name, strconv.Itoa(background), strconv.Itoa(len(r.learned))}
	cell := func(of func(*icResult) time.Duration) {
		if to == nil {
			cells = append(cells, digits(ms(of(r))))
		} else {
			cells = append(cells, ratio(ms(of(r)), ms(of(to))))
		}
	}
	for _, list := range []func(*icResult) []time.Duration{
		func(r *icResult) []time.Duration { return r.learned }, func(r *icResult) []time.Duration { return r.installed },
		func(r *icResult) []time.Duration { return r.gone }, func(r *icResult) []time.Duration { return r.removed },
	} {
		for _, p := range []float64{50, 99} {
			cell(func(r *icResult) time.Duration { return percentile(list(r), p) })
		}
	}
	cell(func(r *icResult) time.Duration { return r.agents })
	cell(func(r *icResult) time.Duration { return r.ic })
	cell(func(r *icResult) time.Duration { return r.northds })
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func (o *icOptions) measure(ctx context.Context, control lab.Control, join lab.Join, background, n int, dir string) (_ *icResult, err error) {
	cfg, err := lab.Parse("bench", []byte(icLab()))
	if err != nil {
		return nil, err
	}
	cfg.IC.Server, cfg.IC.Join = control, join
	for i := range cfg.Zones {
		cfg.Zones[i].Control, cfg.Zones[i].Agent = control, control
	}
	l, err := lab.New(cfg, lab.Options{Dir: dir, Govn: o.govn, Timeout: o.timeout})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx))) }()
	if err := l.Up(ctx); err != nil {
		return nil, err
	}
	b, err := newICBed(ctx, l, o.timeout)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.fill(ctx, background); err != nil {
		return nil, fmt.Errorf("routes besides: %w", err)
	}
	if err := b.warmUp(ctx, l, n); err != nil {
		return nil, err
	}
	var r icResult
	before, err := icUsage(l)
	if err != nil {
		return nil, err
	}
	for i := range n {
		if err := b.once(ctx, i, &r); err != nil {
			return nil, fmt.Errorf("route %d: %w", i, err)
		}
	}
	after, err := icUsage(l)
	if err != nil {
		return nil, err
	}
	r.agents = (after.agents - before.agents) / time.Duration(n)
	r.ic, r.northds = (after.ic-before.ic)/time.Duration(n), (after.northds-before.northds)/time.Duration(n)
	for _, list := range [][]time.Duration{r.learned, r.installed, r.gone, r.removed} {
		slices.Sort(list)
	}
	return &r, nil
}

// Routes that come and go before those that count, and how long one may take.
const (
	warmUps     = 5
	warmUpLimit = 10 * time.Second
)

// warmUp adds and removes some routes, beginning with the first-th. An
// ovn-controller 23.03 that connects to everything at a time may go to sleep until
// something wakes it.
func (b *icBed) warmUp(ctx context.Context, l *lab.Lab, first int) error {
	for i := range warmUps {
		limit, cancel := context.WithTimeout(ctx, warmUpLimit)
		err := b.once(limit, first+i, &icResult{})
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && l.Config().IC.Server == lab.ControlStock {
			_, err = l.Appctl(ctx, "gw_west", "controller", "inc-engine/recompute")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// icUsage is the processor time of all zones' agents, of the interconnection's
// servers, and of all northds; stock's databases count for northd.
func icUsage(l *lab.Lab) (u icResult, err error) {
	add := func(to *time.Duration, node, daemon string) {
		if pid := l.Pid(node, daemon); pid != 0 && err == nil {
			var d time.Duration
			d, err = cpu(pid)
			*to += d
		}
	}
	for _, c := range l.Centrals() {
		add(&u.agents, c.Node(), "agent")
		for _, daemon := range []string{"northd", "nb", "sb"} {
			add(&u.northds, c.Node(), daemon)
		}
	}
	for _, daemon := range []string{"server", "icnb", "icsb"} {
		add(&u.ic, "ic", daemon)
	}
	return u, err
}

// icBed is two zones at work: routes are added in one and watched for in the other.
type icBed struct {
	from, to *client
	router   any // of the zone that routes are added in
	toRouter any
	flows    *flowWatch
	limit    time.Duration
}

func newICBed(ctx context.Context, l *lab.Lab, limit time.Duration) (_ *icBed, err error) {
	b := &icBed{limit: limit}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.from, err = dial(ctx, strings.TrimPrefix(l.Central("east").NB(), "unix:"), "OVN_Northbound"); err != nil {
		return nil, err
	}
	if b.to, err = dial(ctx, strings.TrimPrefix(l.Central("west").NB(), "unix:"), "OVN_Northbound"); err != nil {
		return nil, err
	}
	if b.router, err = theRouter(ctx, b.from); err != nil {
		return nil, err
	}
	if b.toRouter, err = theRouter(ctx, b.to); err != nil {
		return nil, err
	}
	if _, _, err := b.to.call(ctx, "monitor", "OVN_Northbound", "bench", row{
		"Logical_Router_Static_Route": row{"columns": []any{"ip_prefix"}, "select": row{"initial": false, "modify": false}},
	}); err != nil {
		return nil, err
	}
	b.flows, err = watchFlows(ctx, l, "gw_west")
	return b, err
}

// theRouter is the identity of a zone's only router.
func theRouter(ctx context.Context, c *client) (any, error) {
	res, _, err := c.transact(ctx, row{"op": "select", "table": "Logical_Router", "where": []any{}, "columns": []any{"_uuid"}})
	if err != nil {
		return nil, err
	}
	return firstRow(res[0], "_uuid")
}

// fill has each zone advertise n routes, and returns when the other one has all in
// its flows.
func (b *icBed) fill(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	const batch = 500
	for first := 0; first < n; first += batch {
		for i, zone := range []struct {
			c      *client
			router any
		}{{b.to, b.toRouter}, {b.from, b.router}} {
			var ops []any
			var names []any
			for k := first; k < min(first+batch, n); k++ {
				name := fmt.Sprintf("r%d", k)
				ops = append(ops, insert("Logical_Router_Static_Route", name, row{
					"ip_prefix": fmt.Sprintf("10.%d.%d.0/24", 150+50*i+k/250, k%250), "nexthop": fmt.Sprintf("192.168.%d.10", 2-i)}))
				names = append(names, named(name))
			}
			ops = append(ops, mutate("Logical_Router", []any{"_uuid", "==", zone.router}, []any{"static_routes", "insert", set(names...)}))
			if _, _, err := zone.c.transact(ctx, ops...); err != nil {
				return err
			}
		}
	}
	if n == 0 {
		return nil
	}
	_, err := b.flows.await(ctx, "ADDED", fmt.Sprintf("10.%d.%d.0/24", 200+(n-1)/250, (n-1)%250))
	return err
}

func (b *icBed) close() (err error) {
	for _, c := range []*client{b.from, b.to} {
		if c != nil {
			err = errors.Join(err, c.close())
		}
	}
	if b.flows != nil {
		err = errors.Join(err, b.flows.close())
	}
	return err
}

// once adds a route in one zone, removes it when the other has it in its flows, and
// notes how long each took from the first byte of the transaction.
func (b *icBed) once(ctx context.Context, i int, r *icResult) error {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	prefix := fmt.Sprintf("10.%d.%d.0/24", 100+i/250, i%250)
	res, start, err := b.from.transact(ctx,
		insert("Logical_Router_Static_Route", "x", row{"ip_prefix": prefix, "nexthop": "192.168.1.10"}),
		mutate("Logical_Router", []any{"_uuid", "==", b.router}, []any{"static_routes", "insert", set(named("x"))}))
	if err != nil {
		return err
	}
	learned, uuid, err := b.learned(ctx, prefix)
	if err != nil {
		return err
	}
	installed, err := b.flows.await(ctx, "ADDED", prefix)
	if err != nil {
		return err
	}
	r.learned, r.installed = append(r.learned, learned.Sub(start)), append(r.installed, installed.Sub(start))
	_, start, err = b.from.transact(ctx, mutate("Logical_Router", []any{"_uuid", "==", b.router}, []any{"static_routes", "delete", set(res[0]["uuid"])}))
	if err != nil {
		return err
	}
	gone, err := b.gone(ctx, uuid)
	if err != nil {
		return err
	}
	removed, err := b.flows.await(ctx, "DELETED", prefix)
	if err != nil {
		return err
	}
	r.gone, r.removed = append(r.gone, gone.Sub(start)), append(r.removed, removed.Sub(start))
	return nil
}

// learned waits until the other northbound database has a route.
func (b *icBed) learned(ctx context.Context, prefix string) (at time.Time, uuid string, err error) {
	err = b.updates(ctx, func(u update) bool {
		for id, r := range u.rows["Logical_Router_Static_Route"] {
			if r.New["ip_prefix"] == prefix {
				at, uuid = u.at, id
			}
		}
		return uuid != ""
	})
	return at, uuid, err
}

// gone waits until the other northbound database has a row no longer.
func (b *icBed) gone(ctx context.Context, uuid string) (at time.Time, err error) {
	err = b.updates(ctx, func(u update) bool {
		r, ok := u.rows["Logical_Router_Static_Route"][uuid]
		at = u.at
		return ok && r.New == nil
	})
	return at, err
}

func (b *icBed) updates(ctx context.Context, done func(update) bool) error {
	for {
		select {
		case u := <-b.to.updates:
			if done(u) {
				return nil
			}
		case <-b.to.done:
			return b.to.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flowWatch is an "ovs-ofctl monitor" of a chassis' flows: Open vSwitch tells of
// each that is added or deleted (ovs-ofctl(8), "watch:"). stdbuf has it write its
// first line, which says that it watches, at once.
type flowWatch struct {
	cmd   *exec.Cmd
	lines chan flowEvent
	ended chan error
}

type flowEvent struct {
	at   time.Time
	text string
}

func watchFlows(ctx context.Context, l *lab.Lab, chassis string) (*flowWatch, error) {
	w := &flowWatch{lines: make(chan flowEvent, 4096), ended: make(chan error, 1)}
	var err error
	if w.cmd, err = l.Command(ctx, chassis, "stdbuf", "-oL", "ovs-ofctl", "-O", "OpenFlow15", "monitor", "unix:"+filepath.Join(l.Dir(), chassis, "br-int.mgmt"), "watch:!initial"); err != nil {
		return nil, err
	}
	r, pipe := io.Pipe()
	w.cmd.Stdout, w.cmd.Stderr = pipe, pipe
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = w.cmd.Wait() // ended by close
		pipe.Close()
	}()
	go func() {
		sc := bufio.NewScanner(r)
		for sc.Scan() {
			w.lines <- flowEvent{time.Now(), sc.Text()}
		}
		w.ended <- sc.Err()
	}()
	select {
	case <-w.lines: // it watches
		return w, nil
	case err := <-w.ended:
		return nil, fmt.Errorf("%v: %w", w.cmd.Args, errors.Join(err, io.ErrUnexpectedEOF))
	}
}

// await waits for an event of a flow whose match has a destination.
func (w *flowWatch) await(ctx context.Context, event, prefix string) (time.Time, error) {
	for {
		select {
		case e := <-w.lines:
			if strings.Contains(e.text, "event="+event) && strings.Contains(e.text, "nw_dst="+prefix) {
				return e.at, nil
			}
		case err := <-w.ended:
			return time.Time{}, fmt.Errorf("%v ended: %w", w.cmd.Args, errors.Join(err, io.ErrUnexpectedEOF))
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("no event %s of a flow with nw_dst=%s: %w", event, prefix, ctx.Err())
		}
	}
}

func (w *flowWatch) close() error {
	if err := w.cmd.Process.Kill(); err != nil {
		return err
	}
	for {
		select {
		case <-w.lines:
		case err := <-w.ended:
			return err
		}
	}
}
