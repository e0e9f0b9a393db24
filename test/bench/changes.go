package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"govn/sim/lab"
)

// bed is a lab that changes are made to.
type bed struct {
	l       *lab.Lab
	nb, sb  *client
	ovs     []*client // of each chassis
	chassis int
	limit   time.Duration
	net     *network

	nbCfg  float64
	global any // UUID of the row of NB_Global
	sw     any // a switch with a port on a chassis
	router any // the router of that switch
}

// change is one kind of change. Its i-th one begins with a transaction, whose time
// it returns, after which seen waits.
type change struct {
	name string
	make func(ctx context.Context, b *bed, i int) (time.Time, error)
	seen func(ctx context.Context, b *bed, i int) (northd, chassis time.Time, err error) // optional: the change is in sb_cfg and hv_cfg
	undo func(ctx context.Context, b *bed, i int) error                                  // optional: what must be done before the i-th, outside of its time
}

func subnet(i int) string { return fmt.Sprintf("172.%d.%d", 16+i/250%16, i%250) }

// changes in the order in which they are made: later ones build on what earlier
// ones made.
var changes = []change{
	{name: "lsp-add", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		return b.commit(ctx, insert("Logical_Switch_Port", "x", portRow(fmt.Sprintf("x%d", i), b.net.first+i)),
			mutate("Logical_Switch", []any{"_uuid", "==", b.sw}, []any{"ports", "insert", set(named("x"))}))
	}},
	{name: "ls-add", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		return b.commit(ctx, insert("Logical_Switch", "s", row{"name": fmt.Sprintf("new%d", i)}))
	}},
	{name: "lrp-add", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		// A port of the local router, and the port of the new switch that it is at.
		lrp := fmt.Sprintf("newlrp%d", i)
		return b.commit(ctx,
			insert("Logical_Router_Port", "p", row{"name": lrp, "mac": fmt.Sprintf("0a:02:00:00:%02x:%02x", byte(i>>8), byte(i)), "networks": subnet(i) + ".1/24"}),
			mutate("Logical_Router", []any{"_uuid", "==", b.router}, []any{"ports", "insert", set(named("p"))}),
			insert("Logical_Switch_Port", "q", row{"name": "to-" + lrp, "type": "router", "addresses": "router", "options": []any{"map", []any{[]any{"router-port", lrp}}}}),
			mutate("Logical_Switch", []any{"name", "==", fmt.Sprintf("new%d", i)}, []any{"ports", "insert", set(named("q"))}))
	}},
	{name: "route-add", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		return b.commit(ctx,
			insert("Logical_Router_Static_Route", "r", row{"ip_prefix": fmt.Sprintf("192.168.%d.0/24", i%250), "nexthop": subnet(i) + ".2"}),
			mutate("Logical_Router", []any{"_uuid", "==", b.router}, []any{"static_routes", "insert", set(named("r"))}))
	}},
	{name: "policy-add", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		return b.commit(ctx,
			insert("Logical_Router_Policy", "p", row{"priority": 1000 + i, "match": fmt.Sprintf("ip4.src == 198.18.%d.0/24", i%250), "action": "drop"}),
			mutate("Logical_Router", []any{"_uuid", "==", b.router}, []any{"policies", "insert", set(named("p"))}))
	}},
	{name: "gateway chassis set", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		lrp, host := fmt.Sprintf("newlrp%d", i), fmt.Sprintf("h%d", i%b.chassis)
		return b.commit(ctx,
			insert("Gateway_Chassis", "g", row{"name": lrp + "-" + host, "chassis_name": host, "priority": 10}),
			mutate("Logical_Router_Port", []any{"name", "==", lrp}, []any{"gateway_chassis", "insert", set(named("g"))}))
	}},
	{name: "chassis added", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		// As ovn-sbctl chassis-add does it.
		name, ip := fmt.Sprintf("far%d", i), fmt.Sprintf("198.19.%d.%d", i/250, 1+i%250)
		_, start, err := b.sb.transact(ctx,
			insert("Encap", "e", row{"type": "geneve", "ip": ip, "chassis_name": name, "options": []any{"map", []any{[]any{"csum", "true"}}}}),
			insert("Chassis", "c", row{"name": name, "hostname": name, "encaps": set(named("e"))}))
		if err != nil {
			return start, err
		}
		_, err = b.commit(ctx)
		return start, err
	}},
	{name: "port claimed",
		undo: func(ctx context.Context, b *bed, i int) error {
			if _, err := b.plug(ctx, i, false); err != nil {
				return err
			}
			_, err := b.portIs(ctx, fmt.Sprintf("x%d", i), false)
			return err
		},
		make: func(ctx context.Context, b *bed, i int) (time.Time, error) { return b.plug(ctx, i, true) },
		seen: func(ctx context.Context, b *bed, i int) (time.Time, time.Time, error) {
			at, err := b.portIs(ctx, fmt.Sprintf("x%d", i), true)
			return at, at, err
		},
	},
	{name: "NB_Global option changed", make: func(ctx context.Context, b *bed, i int) (time.Time, error) {
		return b.commit(ctx,
			mutate("NB_Global", []any{"_uuid", "==", b.global}, []any{"options", "delete", set("northd_probe_interval")},
				[]any{"options", "insert", []any{"map", []any{[]any{"northd_probe_interval", fmt.Sprint(5000 + i%2*1000)}}}}))
	}},
}

type changeOptions struct {
	db         string
	chassis    int
	n, stockN  int
	systems    []string
	only       []string
	govn, out  string
	profiles   string
	profileFor time.Duration
	timeout    time.Duration
}

func measureChanges(ctx context.Context, args []string) error {
	var o changeOptions
	var systems, only string
	fs := flag.NewFlagSet("changes", flag.ContinueOnError)
	fs.StringVar(&o.db, "db", "", "northbound database `FILE` with routers (required)")
	fs.IntVar(&o.chassis, "chassis", 2, "dummy chassis")
	fs.IntVar(&o.n, "n", 100, "changes of each kind")
	fs.IntVar(&o.stockN, "stock-n", 3, "the same for stock OVN")
	fs.StringVar(&systems, "systems", "stock,govn", "what to measure")
	fs.StringVar(&only, "only", "", "kinds of changes, by their names (default: all; some need those before them)")
	fs.StringVar(&o.govn, "govn", "", "govn binary (default: built from this tree)")
	fs.StringVar(&o.out, "out", "", "file to which the table is appended (default: standard output only)")
	fs.StringVar(&o.profiles, "profiles", "", "directory for profiles of govn's daemons during the changes")
	fs.DurationVar(&o.profileFor, "profile-for", 10*time.Second, "how long they are profiled")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long one step may take")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.db == "" {
		return errors.New("changes: -db is required")
	}
	var err error
	if o.systems, err = choices("systems", systems, controls...); err != nil {
		return err
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	dir, err := workDir(ctx, "changes", &o.govn)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	net, err := fileNetwork(o.db, vifs*o.chassis)
	if err != nil {
		return err
	}
	var table, summary bytes.Buffer
	fmt.Fprintf(&table, "\n## One change on %s\n\n%s, %d CPUs, %d chassis, Open vSwitch with the dummy datapath, both systems in one run; load average before: %s.\n\n",
		net.title, time.Now().Format(time.DateOnly), runtime.NumCPU(), o.chassis, loadAverage())
	table.WriteString("| change | system | samples | sb_cfg p50 ms | p99 ms | hv_cfg p50 ms | p99 ms | northd CPU ms | controllers CPU ms | Open vSwitches CPU ms |\n")
	table.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	summary.WriteString("\n| system | fill s | cold start s | CPU s | northd MB | controller MB |\n|---|---|---|---|---|---|\n")
	for _, system := range o.systems {
		if err := changesOf(ctx, &o, net, lab.Control(system), filepath.Join(dir, system[:1]), &table, &summary); err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
	}
	return appendTable(o.out, append(table.Bytes(), summary.Bytes()...))
}

// changesOf measures all changes in one lab.
func changesOf(ctx context.Context, o *changeOptions, net *network, control lab.Control, dir string, table, summary *bytes.Buffer) (err error) {
	n := o.n
	if control == lab.ControlStock {
		n = o.stockN
	}
	cfg, err := config(net, o.chassis, n)
	if err != nil {
		return err
	}
	l, err := lab.New(cfg, lab.Options{Dir: dir, Control: control, Govn: o.govn, Timeout: o.timeout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx))) }()
	if err := l.Up(ctx); err != nil {
		return err
	}
	b, filled, err := makeBed(ctx, l, net, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var profiled func() error
	if o.profiles != "" && control == lab.ControlGovn {
		profiled = profile(ctx, l, o.profiles, "changes", o.profileFor)
	}
	for _, kind := range changes {
		if len(o.only) > 0 && !slices.Contains(o.only, kind.name) {
			continue
		}
		line, err := b.measure(ctx, &kind, control, n)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		fmt.Fprint(os.Stderr, line)
		table.WriteString(line)
	}
	if profiled != nil {
		if err := profiled(); err != nil {
			return err
		}
	}
	return coldLine(ctx, l, control, filled, summary)
}

// coldLine measures memory and a cold start of northd.
func coldLine(ctx context.Context, l *lab.Lab, control lab.Control, filled time.Duration, summary *bytes.Buffer) error {
	northd, err := memory(l.Pid("central", "northd"))
	if err != nil {
		return err
	}
	controller, err := memory(l.Pid("h0", "controller"))
	if err != nil {
		return err
	}
	cold, err := restart(ctx, l, "central", "northd", func() error {
		_, err := l.Nbctl(ctx, "--wait=hv", "sync")
		return err
	})
	if err != nil {
		return err
	}
	used, err := cpu(l.Pid("central", "northd"))
	if err != nil {
		return err
	}
	fmt.Fprintf(summary, "| %s | %.1f | %.2f | %.2f | %d | %d |\n", control, filled.Seconds(), cold.Seconds(), used.Seconds(), northd/1024, controller/1024)
	return nil
}

// makeBed fills the northbound database and finds a switch with a port on a
// chassis, and its router.
func makeBed(ctx context.Context, l *lab.Lab, net *network, o *changeOptions) (_ *bed, filled time.Duration, err error) {
	b := &bed{l: l, chassis: o.chassis, limit: o.timeout, net: net}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.nb, err = dial(ctx, strings.TrimPrefix(l.NB(), "unix:"), "OVN_Northbound"); err != nil {
		return nil, 0, err
	}
	if b.sb, err = dial(ctx, strings.TrimPrefix(l.SB(), "unix:"), "OVN_Southbound"); err != nil {
		return nil, 0, err
	}
	for h := range o.chassis {
		c, err := dial(ctx, filepath.Join(l.Dir(), fmt.Sprintf("h%d", h), "db.sock"), "Open_vSwitch")
		if err != nil {
			return nil, 0, err
		}
		b.ovs = append(b.ovs, c)
	}
	start := time.Now()
	if err := net.fill(ctx, b.nb); err != nil {
		return nil, 0, err
	}
	if _, err := l.Nbctl(ctx, "--wait=hv", "sync"); err != nil {
		return nil, 0, err
	}
	filled = time.Since(start)
	if err := b.find(ctx); err != nil {
		return nil, 0, err
	}
	_, _, err = b.nb.call(ctx, "monitor", "OVN_Northbound", "bench", row{
		"NB_Global":           row{"columns": []any{"sb_cfg", "hv_cfg"}, "select": row{"initial": false}},
		"Logical_Switch_Port": row{"columns": []any{"name", "up"}, "select": row{"initial": false, "insert": false, "delete": false}},
	})
	return b, filled, err
}

func (b *bed) close() error {
	var errs []error
	for _, c := range append([]*client{b.nb, b.sb}, b.ovs...) {
		if c != nil {
			// It ends the reader, whose error is that it was ended.
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// find looks up the rows that changes are made to.
func (b *bed) find(ctx context.Context) error {
	one := func(table, column string, where ...any) (any, error) {
		res, _, err := b.nb.transact(ctx, row{"op": "select", "table": table, "where": []any{where}, "columns": []any{column}})
		if err != nil {
			return nil, err
		}
		return firstRow(res[0], column)
	}
	all := []any{"_uuid", "!=", []any{"uuid", "00000000-0000-0000-0000-000000000000"}}
	var err error
	if b.global, err = one("NB_Global", "_uuid", all...); err != nil {
		return err
	}
	cfg, err := one("NB_Global", "nb_cfg", all...)
	if err != nil {
		return err
	}
	b.nbCfg, _ = cfg.(float64)
	port, err := one("Logical_Switch_Port", "_uuid", "name", "==", b.net.ports[0])
	if err != nil {
		return err
	}
	if b.sw, err = one("Logical_Switch", "_uuid", "ports", "includes", port); err != nil {
		return err
	}
	b.router, err = b.routerOf(ctx)
	return err
}

// routerOf is the router that a port of the switch leads to.
func (b *bed) routerOf(ctx context.Context) (any, error) {
	res, _, err := b.nb.transact(ctx,
		row{"op": "select", "table": "Logical_Switch", "where": []any{[]any{"_uuid", "==", b.sw}}, "columns": []any{"ports"}},
		row{"op": "select", "table": "Logical_Switch_Port", "where": []any{[]any{"type", "==", "router"}}, "columns": []any{"_uuid", "options"}},
		row{"op": "select", "table": "Logical_Router_Port", "where": []any{}, "columns": []any{"_uuid", "name"}},
		row{"op": "select", "table": "Logical_Router", "where": []any{}, "columns": []any{"_uuid", "ports"}})
	if err != nil {
		return nil, err
	}
	members, err := firstRow(res[0], "ports")
	if err != nil {
		return nil, err
	}
	on := uuids(members)
	name := ""
	for _, r := range rowsOf(res[1]) {
		if m, ok := r["options"].([]any); ok && on[uuidText(r["_uuid"])] {
			for _, kv := range m[1].([]any) {
				if pair := kv.([]any); pair[0] == "router-port" {
					name, _ = pair[1].(string)
				}
			}
		}
	}
	lrp := ""
	for _, r := range rowsOf(res[2]) {
		if r["name"] == name {
			lrp = uuidText(r["_uuid"])
		}
	}
	for _, r := range rowsOf(res[3]) {
		if uuids(r["ports"])[lrp] {
			return r["_uuid"], nil
		}
	}
	return nil, fmt.Errorf("the switch of port %q has no router", b.net.ports[0])
}

func rowsOf(res map[string]any) []row {
	var list []row
	rows, _ := res["rows"].([]any)
	for _, r := range rows {
		if m, ok := r.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

func uuidText(v any) string {
	if a, ok := v.([]any); ok && len(a) == 2 && a[0] == "uuid" {
		s, _ := a[1].(string)
		return s
	}
	return ""
}

// uuids are those of a set, or the one that a set of one is written as.
func uuids(v any) map[string]bool {
	m := map[string]bool{}
	if u := uuidText(v); u != "" {
		m[u] = true
	} else if a, ok := v.([]any); ok && len(a) == 2 && a[0] == "set" {
		list, _ := a[1].([]any)
		for _, e := range list {
			m[uuidText(e)] = true
		}
	}
	return m
}

// commit makes a northbound transaction of operations and the next nb_cfg.
func (b *bed) commit(ctx context.Context, ops ...any) (time.Time, error) {
	_, start, err := b.nb.transact(ctx, append(ops, mutate("NB_Global", []any{"_uuid", "==", b.global}, []any{"nb_cfg", "+=", 1}))...)
	b.nbCfg++
	return start, err
}

// plug sets or removes the iface-id of the interface for port x<i>.
func (b *bed) plug(ctx context.Context, i int, in bool) (time.Time, error) {
	name := fmt.Sprintf("x%d", i)
	mutations := []any{[]any{"external_ids", "delete", set("iface-id")}}
	if in {
		mutations = append(mutations, []any{"external_ids", "insert", []any{"map", []any{[]any{"iface-id", name}}}})
	}
	_, start, err := b.ovs[i%b.chassis].transact(ctx, mutate("Interface", []any{"name", "==", b.l.PortName(name)}, mutations...))
	return start, err
}

// updates passes updates on until done tells that it has seen enough.
func (b *bed) updates(ctx context.Context, done func(update) bool) error {
	deadline := time.NewTimer(b.limit)
	defer deadline.Stop()
	for {
		select {
		case u := <-b.nb.updates:
			if done(u) {
				return nil
			}
		case <-b.nb.done:
			return b.nb.err
		case <-deadline.C:
			return fmt.Errorf("not within %v", b.limit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// portIs waits until a port is up, or down.
func (b *bed) portIs(ctx context.Context, port string, up bool) (at time.Time, err error) {
	err = b.updates(ctx, func(u update) bool {
		for _, row := range u.rows["Logical_Switch_Port"] {
			if row.New["name"] == port && (row.New["up"] == true) == up {
				at = u.at
			}
		}
		return !at.IsZero()
	})
	if err != nil {
		err = fmt.Errorf("port %q, up=%v: %w", port, up, err)
	}
	return at, err
}

// installed waits until sb_cfg and hv_cfg have reached nb_cfg.
func (b *bed) installed(ctx context.Context) (sb, hv time.Time, err error) {
	err = b.updates(ctx, func(u update) bool {
		for _, row := range u.rows["NB_Global"] {
			if n, ok := row.New["sb_cfg"].(float64); ok && n >= b.nbCfg && sb.IsZero() {
				sb = u.at
			}
			if n, ok := row.New["hv_cfg"].(float64); ok && n >= b.nbCfg && hv.IsZero() {
				hv = u.at
			}
		}
		return !sb.IsZero() && !hv.IsZero()
	})
	return sb, hv, err
}

// measure makes n changes of a kind and returns the line of the table.
func (b *bed) measure(ctx context.Context, kind *change, control lab.Control, n int) (string, error) {
	if kind.undo != nil {
		for i := range n {
			if err := kind.undo(ctx, b, i); err != nil {
				return "", err
			}
		}
	}
	before, err := usageOf(b.l, b.chassis)
	if err != nil {
		return "", err
	}
	var northd, all []time.Duration
	for i := range n {
		start, err := kind.make(ctx, b, i)
		if err != nil {
			return "", fmt.Errorf("%d: %w", i, err)
		}
		seen := kind.seen
		if seen == nil {
			seen = func(ctx context.Context, b *bed, _ int) (time.Time, time.Time, error) { return b.installed(ctx) }
		}
		sb, hv, err := seen(ctx, b, i)
		if err != nil {
			return "", fmt.Errorf("%d: %w", i, err)
		}
		northd, all = append(northd, sb.Sub(start)), append(all, hv.Sub(start))
	}
	after, err := usageOf(b.l, b.chassis)
	if err != nil {
		return "", err
	}
	slices.Sort(northd)
	slices.Sort(all)
	used := after.per(before, n)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
	return fmt.Sprintf("| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s |\n", kind.name, control, n,
		ms(percentile(northd, 50)), ms(percentile(northd, 99)), ms(percentile(all, 50)), ms(percentile(all, 99)),
		ms(used.northd), ms(used.controllers), ms(used.vswitches)), nil
}
