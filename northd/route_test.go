package northd_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/ovsdb"
)

// row makes the columns of a row; a slice of strings is a set.
func row(columns ...any) map[string]ovsdb.Value {
	m := make(map[string]ovsdb.Value)
	for i := 0; i < len(columns); i += 2 {
		v := columns[i+1]
		switch x := v.(type) {
		case []string:
			set := ovsdb.NewSet()
			for _, s := range x {
				set = set.With(s)
			}
			v = set
		case int:
			v = int64(x)
		case ovsdb.UUID:
			v = ovsdb.NewSet(x)
		}
		m[columns[i].(string)] = v
	}
	return m
}

// router adds a router with three ports: r0 10.0.0.1/24 fd00::1/64,
// r1 10.1.0.1/24 10.2.0.1/24 fd01::1/64 and p2p 169.254.0.1/30.
func (z *zone) router(t testing.TB, name string) ovsdb.UUID {
	t.Helper()
	var lr ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		ports := ovsdb.NewSet()
		for i, p := range [][]string{{"10.0.0.1/24", "fd00::1/64"}, {"10.1.0.1/24", "10.2.0.1/24", "fd01::1/64"}, {"169.254.0.1/30"}} {
			ports = ports.With(tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, row(
				"name", fmt.Sprint(name, "-", i), "mac", fmt.Sprintf("00:00:00:00:01:%02x", i+1), "networks", p)))
		}
		lr = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, row("name", name, "ports", ports))
		return tx.Err()
	})
	return lr
}

// add adds a row to a set column of a router.
func (z *zone) add(t testing.TB, lr ovsdb.UUID, list *ovsdb.ColumnSchema, elem *ovsdb.TableSchema, columns ...any) ovsdb.UUID {
	t.Helper()
	var u ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		u = tx.Insert(elem, ovsdb.UUID{}, row(columns...))
		tx.AddToSet(list.Table, lr, list.Name, u)
		return tx.Err()
	})
	return u
}

func (z *zone) route(t testing.TB, lr ovsdb.UUID, prefix, next string, columns ...any) ovsdb.UUID {
	t.Helper()
	return z.add(t, lr, z.columns.LR.StaticRoutes, z.columns.Route.Table, append([]any{"ip_prefix", prefix, "nexthop", next}, columns...)...)
}

func (z *zone) policy(t testing.TB, lr ovsdb.UUID, priority int, match, action string, columns ...any) ovsdb.UUID {
	t.Helper()
	return z.add(t, lr, z.columns.LR.Policies, z.columns.Policy.Table, append([]any{"priority", priority, "match", match, "action", action}, columns...)...)
}

var lflowColumns = regexp.MustCompile(`actions=(.*) controller_meter=.*stage-name=(\S+)\}.* match=(.*) pipeline=.* priority=(\d+) `)

// stages are the logical flows of some stages, in order.
func (z *zone) stages(names ...string) []string {
	var out []string
	for _, text := range strings.Split(z.flowText("row Logical_Flow"), "\n") {
		m := lflowColumns.FindStringSubmatch(text)
		if m == nil || !slices.Contains(names, m[2]) {
			continue
		}
		out = append(out, fmt.Sprintf("%s %s %s -> %s", m[2], m[4], m[3], m[1]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// gained are the flows of routing and policies that a change adds, without those
// that it removes.
func (z *zone) gained(change func()) string {
	names := []string{"lr_in_ip_routing_pre", "lr_in_ip_routing", "lr_in_ip_routing_ecmp", "lr_in_policy", "lr_in_policy_ecmp"}
	before := z.stages(names...)
	change()
	var out []string
	for _, f := range z.stages(names...) {
		if _, had := slices.BinarySearch(before, f); !had {
			out = append(out, strings.TrimPrefix(f, "lr_in_"))
		}
	}
	return strings.Join(out, "\n")
}

func (z *zone) problems() string {
	var out []string
	for _, p := range z.View().Lint().Problems {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

// TestRoutes says what becomes of static routes, as ovn-northd 23.03 has it.
func TestRoutes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		columns []any
		want    string // flows; "" with a problem
		problem string
	}{
		{"plain", []any{"192.168.1.0/24", "10.0.0.5"},
			`ip_routing 73 reg7 == 0 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.5; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"the second network of a port", []any{"192.168.2.0/24", "10.2.0.5"},
			`ip_routing 73 reg7 == 0 && ip4.dst == 192.168.2.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.2.0.5; reg1 = 10.2.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; next;`, ""},
		{"unreached", []any{"192.168.3.0/24", "99.0.0.5"}, "", `Logical_Router_Static_Route "192.168.3.0/24" (UUID), nexthop: 99.0.0.5: no port of the router reaches it [left out]`},
		{"by a port whose networks do not have it", []any{"192.168.4.0/24", "99.0.0.5", "output_port", []string{"lr-1"}},
			`ip_routing 73 reg7 == 0 && ip4.dst == 192.168.4.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 99.0.0.5; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; next;`, ""},
		{"by a port that is not there", []any{"192.168.4.0/24", "99.0.0.5", "output_port", []string{"none"}}, "",
			`Logical_Router_Static_Route "192.168.4.0/24" (UUID), output_port: "none": the router has no port of this name that could be used [left out]`},
		{"by a port alone", []any{"192.168.4.0/24", "", "output_port", []string{"lr-1"}},
			`ip_routing 73 reg7 == 0 && ip4.dst == 192.168.4.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = ip4.dst; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; next;`, ""},
		{"discard", []any{"192.168.5.0/24", "discard"}, `ip_routing 73 reg7 == 0 && ip4.dst == 192.168.5.0/24 -> drop;`, ""},
		{"by source", []any{"192.168.6.0/24", "10.0.0.5", "policy", []string{"src-ip"}},
			`ip_routing 72 ip4.src == 192.168.6.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.5; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"discard by source", []any{"192.168.6.0/24", "discard", "policy", []string{"src-ip"}}, `ip_routing 72 ip4.src == 192.168.6.0/24 -> drop;`, ""},
		{"IPv6", []any{"2001:db8:1::/48", "fd00::5"},
			`ip_routing 145 reg7 == 0 && ip6.dst == 2001:db8:1::/48 -> ip.ttl--; reg8[0..15] = 0; xxreg0 = fd00::5; xxreg1 = fd00::1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"IPv6 by a link-local address", []any{"2001:db8:1::/48", "fe80::5", "output_port", []string{"lr-1"}},
			`ip_routing 145 reg7 == 0 && ip6.dst == 2001:db8:1::/48 -> ip.ttl--; reg8[0..15] = 0; xxreg0 = fe80::5; xxreg1 = fe80::200:ff:fe00:102; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; next;`, ""},
		{"IPv4 over IPv6", []any{"192.168.7.0/24", "fd00::5"}, "", `nexthop: fd00::5 is not of the version of IP of the prefix [left out]`},
		{"IPv6 over IPv4", []any{"2001:db8:1::/48", "10.0.0.5"}, "", `nexthop: 10.0.0.5 is not of the version of IP of the prefix [left out]`},
		{"one address", []any{"192.168.8.5", "10.0.0.5"},
			`ip_routing 97 reg7 == 0 && ip4.dst == 192.168.8.5 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.5; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"default", []any{"0.0.0.0/0", "10.0.0.254"},
			`ip_routing 1 reg7 == 0 && ip4.dst == 0.0.0.0/0 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.254; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"host bits", []any{"192.168.9.77/24", "10.0.0.9"},
			`ip_routing 73 reg7 == 0 && ip4.dst == 192.168.9.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.9; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"learned of another zone", []any{"192.168.9.0/24", "10.0.0.9", "options", ovsdb.MapOf("origin", "connected")},
			`ip_routing 74 ip4.dst == 192.168.9.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.9; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"in a table", []any{"192.168.1.0/24", "10.0.0.6", "route_table", "t1"},
			`ip_routing 73 reg7 == 1 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.6; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`, ""},
		{"no prefix", []any{"all", "10.0.0.6"}, "", `ip_prefix "all", position 0: "all" is no IP address [left out]`},
		{"no address", []any{"10.0.0.0/8", "somewhere"}, "", `nexthop "somewhere", position 0: "somewhere" is no IP address [left out]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := newZone(t, "")
			lr := z.router(t, "lr")
			got := z.gained(func() { z.route(t, lr, tc.columns[0].(string), tc.columns[1].(string), tc.columns[2:]...) })
			if got != tc.want {
				t.Errorf("flows\n%s\nwant\n%s", got, tc.want)
			}
			problems := uuids.ReplaceAllString(z.problems(), "UUID")
			if (problems == "") != (tc.problem == "") || !strings.Contains(problems, tc.problem) {
				t.Errorf("problems %q, want %q", problems, tc.problem)
			}
		})
	}
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// TestAlternatives adds and removes routes to one prefix: their router chooses
// one of those that it can reach, by an OpenFlow group that routers share.
func TestAlternatives(t *testing.T) {
	z := newZone(t, "")
	empty := z.Program().Engine.Stats()
	lr := z.router(t, "lr")
	z.route(t, lr, "192.168.1.0/24", "10.0.0.5")
	var second, third ovsdb.UUID
	got := z.gained(func() {
		second = z.route(t, lr, "192.168.1.0/24", "10.1.0.66", "selection_fields", []string{"ip_src", "tp_dst"})
	})
	want := `ip_routing 73 reg7 == 0 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; flags.loopback = 1; reg8[0..15] = 1; reg8[16..31] = select(1, 2);
ip_routing_ecmp 100 reg8[0..15] == 1 && reg8[16..31] == 1 -> reg0 = 10.0.0.5; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; next;
ip_routing_ecmp 100 reg8[0..15] == 1 && reg8[16..31] == 2 -> reg0 = 10.1.0.66; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; next;`
	if got != want {
		t.Errorf("two alternatives:\n%s\nwant\n%s", got, want)
	}
	groups := z.groups(t)
	for id, text := range groups {
		if id < abi.MinSelectGroup || !strings.Contains(text, "selection_method=hash") ||
			!strings.Contains(text, "bucket=bucket_id:1,weight:100,actions=set_field:0x20000/0xffff0000->reg8,resubmit(,22)") {
			t.Errorf("group %d is %s", id, text)
		}
	}
	if len(groups) != 1 {
		t.Errorf("%d groups: %v", len(groups), groups)
	}
	got = z.gained(func() { third = z.route(t, lr, "192.168.1.0/24", "10.2.0.7") })
	if !strings.Contains(got, "select(1, 2, 3);") || !strings.Contains(got, "reg8[16..31] == 3 -> reg0 = 10.2.0.7") {
		t.Errorf("three alternatives:\n%s", got)
	}
	// One that is not reached does not count, another prefix has its own number.
	got = z.gained(func() { z.route(t, lr, "192.168.1.0/24", "77.0.0.1") })
	if got != "" {
		t.Errorf("one that is not reached adds\n%s", got)
	}
	z.route(t, lr, "2001:db8::/32", "fd00::2")
	got = z.gained(func() { z.route(t, lr, "2001:db8::/32", "fd01::2") })
	if !strings.Contains(got, "reg8[0..15] = 2; reg8[16..31] = select(1, 2);") || !strings.Contains(got, "-> xxreg0 = fd01::2; xxreg1 = fd01::1;") {
		t.Errorf("another prefix:\n%s", got)
	}
	// A router port that goes takes its next hops along.
	port := z.store.Snapshot().Lookup(z.columns.LRP.Table, 0, "lr-1").UUID()
	got = z.gained(func() {
		z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LR.Table, lr, "ports", port); return tx.Err() })
	})
	if !strings.Contains(got, `ip_routing 73 reg7 == 0 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.5;`) || strings.Contains(got, "select") {
		t.Errorf("without a port:\n%s", got)
	}
	if p := z.problems(); !strings.Contains(p, "10.1.0.66: no port of the router reaches it") || !strings.Contains(p, "10.2.0.7: no port") {
		t.Errorf("problems %q", p)
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.DelFromSet(z.columns.LR.Table, lr, "static_routes", second)
		tx.DelFromSet(z.columns.LR.Table, lr, "static_routes", third)
		return tx.Err()
	})
	z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.LR.Table, lr); return tx.Err() })
	if now := z.Program().Engine.Stats(); now.Nodes != empty.Nodes || now.Edges != empty.Edges || len(z.fabric.items) != 0 {
		t.Errorf("%d nodes, %d edges, %d items are left of %d and %d", now.Nodes, now.Edges, len(z.fabric.items), empty.Nodes, empty.Edges)
	}
	for row := range z.store.Snapshot().Rows(z.columns.Allocation.Table) {
		if kind := row.Str(z.columns.Allocation.Kind); strings.HasPrefix(kind, "route") || strings.HasPrefix(kind, "policy") {
			t.Errorf("a number is left: %s", rowText(z.columns.Allocation.Table, row))
		}
	}
}

// TestRouteTables: a port looks into the table that it names, and into no other.
func TestRouteTables(t *testing.T) {
	z := newZone(t, "")
	lr := z.router(t, "lr")
	got := z.gained(func() { z.route(t, lr, "192.168.1.0/24", "10.0.0.6", "route_table", "blue") })
	got += "\n" + z.gained(func() { z.route(t, lr, "192.168.1.0/24", "10.0.0.7", "route_table", "red") })
	got += "\n" + z.gained(func() {
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.PutInMap(z.columns.LRP.Table, tx.Lookup(z.columns.LRP.Table, 0, "lr-1").UUID(), "options", "route_table", "red")
			return tx.Err()
		})
	})
	for _, want := range []string{
		"reg7 == 1 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.6;",
		"reg7 == 2 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.7;",
		`ip_routing_pre 100 inport == "lr-1" -> reg7 = 2; next;`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestPolicies says what becomes of policies, as ovn-northd 23.03 has it, but for
// those that cannot be used: they are left out and named.
func TestPolicies(t *testing.T) {
	for _, tc := range []struct {
		name    string
		match   string
		action  string
		columns []any
		want    string
		problem string
	}{
		{"allow", "ip4.src == 10.0.0.0/24", "allow", nil, `policy 100 ip4.src == 10.0.0.0/24 -> reg8[0..15] = 0; next;`, ""},
		{"drop by port", `ip4.src == 10.0.0.0/24 && inport == "lr-0"`, "drop", nil, `policy 100 ip4.src == 10.0.0.0/24 && inport == "lr-0" -> drop;`, ""},
		{"reroute", "ip4.src == 10.0.0.7", "reroute", []any{"nexthops", []string{"10.1.0.9"}},
			`policy 100 ip4.src == 10.0.0.7 -> reg0 = 10.1.0.9; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; reg8[0..15] = 0; next;`, ""},
		{"the column of old", "ip4.src == 10.0.0.7", "reroute", []any{"nexthop", []string{"10.1.0.9"}},
			`policy 100 ip4.src == 10.0.0.7 -> reg0 = 10.1.0.9; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; reg8[0..15] = 0; next;`, ""},
		{"reroute with a mark", "ip4.src == 10.0.0.8", "reroute", []any{"nexthops", []string{"10.1.0.9"}, "options", ovsdb.MapOf("pkt_mark", "77")},
			`policy 100 ip4.src == 10.0.0.8 -> pkt.mark = 77; reg0 = 10.1.0.9; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; reg8[0..15] = 0; next;`, ""},
		{"allow with a mark", "ip4", "allow", []any{"options", ovsdb.MapOf("pkt_mark", "5")}, `policy 100 ip4 -> pkt.mark = 5; reg8[0..15] = 0; next;`, ""},
		{"several next hops", "ip4.src == 10.0.0.10", "reroute", []any{"nexthops", []string{"10.1.0.9", "10.0.0.99"}, "options", ovsdb.MapOf("pkt_mark", "5")},
			`policy 100 ip4.src == 10.0.0.10 -> reg8[0..15] = 1; reg8[16..31] = select(1, 2);
policy_ecmp 100 reg8[0..15] == 1 && reg8[16..31] == 1 -> pkt.mark = 5; reg0 = 10.0.0.99; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;
policy_ecmp 100 reg8[0..15] == 1 && reg8[16..31] == 2 -> pkt.mark = 5; reg0 = 10.1.0.9; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; next;`, ""},
		{"IPv6", "ip6.src == fd00::10", "reroute", []any{"nexthops", []string{"fd01::9"}},
			`policy 100 ip6.src == fd00::10 -> xxreg0 = fd01::9; xxreg1 = fd01::1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; reg8[0..15] = 0; next;`, ""},
		{"one of two is not reached", "ip4", "reroute", []any{"nexthops", []string{"10.1.0.9", "77.1.0.9"}},
			`policy 100 ip4 -> reg0 = 10.1.0.9; reg1 = 10.1.0.1; eth.src = 00:00:00:00:01:02; outport = "lr-1"; flags.loopback = 1; reg8[0..15] = 0; next;`,
			`nexthops "77.1.0.9": no port of the router reaches it [ambiguous]`},
		{"unreached", "ip4", "reroute", []any{"nexthops", []string{"77.1.0.9"}}, "", `Logical_Router_Policy "100 ip4" (UUID), nexthops: 77.1.0.9: no port of the router reaches it [left out]`},
		{"nowhere", "ip4", "reroute", nil, "", `nexthops: reroute needs a next hop [left out]`},
		{"bad match", "ip4.src == ", "drop", nil, "", `match "ip4.src == ", position 11: `},
		{"bad port", `inport == "nope"`, "drop", nil, "", `match "inport == \"nope\"", position 10: the router has no port "nope" [left out]`},
		{"bad mark", "ip4", "allow", []any{"options", ovsdb.MapOf("pkt_mark", "0x12")}, "", `options: pkt_mark "0x12" is no number of 32 bits`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := newZone(t, "")
			lr := z.router(t, "lr")
			got := z.gained(func() { z.policy(t, lr, 100, tc.match, tc.action, tc.columns...) })
			if got != tc.want {
				t.Errorf("flows\n%s\nwant\n%s", got, tc.want)
			}
			problems := uuids.ReplaceAllString(z.problems(), "UUID")
			if (problems == "") != (tc.problem == "") || !strings.Contains(problems, tc.problem) {
				t.Errorf("problems %q, want %q", problems, tc.problem)
			}
		})
	}
}

// TestLateNames: a policy and a route that name ports which are not there yet
// work as soon as those are.
func TestLateNames(t *testing.T) {
	z := newZone(t, "")
	lr := z.router(t, "lr")
	z.policy(t, lr, 100, `inport == "late"`, "drop")
	z.route(t, lr, "192.168.0.0/16", "10.7.0.9")
	if p := z.problems(); !strings.Contains(p, `the router has no port "late"`) || !strings.Contains(p, "10.7.0.9: no port of the router reaches it") {
		t.Errorf("problems %q", p)
	}
	got := z.gained(func() {
		z.add(t, lr, z.columns.LR.Ports, z.columns.LRP.Table, "name", "late", "mac", "00:00:00:00:01:09", "networks", []string{"10.7.0.1/24"})
	})
	for _, want := range []string{`policy 100 inport == "late" -> drop;`, "reg0 = 10.7.0.9; reg1 = 10.7.0.1;"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if p := z.problems(); p != "" {
		t.Errorf("problems %q", p)
	}
}

// TestStrictRoutes: where the zone is strict, what can never be used is refused in
// the transaction; what only waits for something else is not.
func TestStrictRoutes(t *testing.T) {
	z := newZone(t, "")
	lr := z.router(t, "lr")
	z.nb(t, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(z.columns.NBGlobal.Table) {
			tx.PutInMap(z.columns.NBGlobal.Table, row.UUID(), "options", topology.StrictOption, "true")
			break
		}
		return tx.Err()
	})
	try := func(list *ovsdb.ColumnSchema, elem *ovsdb.TableSchema, columns ...any) error {
		_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			u := tx.Insert(elem, ovsdb.UUID{}, row(columns...))
			tx.AddToSet(list.Table, lr, list.Name, u)
			return tx.Err()
		})
		return err
	}
	routes, policies := z.columns.LR.StaticRoutes, z.columns.LR.Policies
	for _, tc := range []struct {
		list    *ovsdb.ColumnSchema
		elem    *ovsdb.TableSchema
		columns []any
		want    string
	}{
		{routes, z.columns.Route.Table, []any{"ip_prefix", "all", "nexthop", "10.0.0.9"}, `"all" is no IP address`},
		{routes, z.columns.Route.Table, []any{"ip_prefix", "10.0.0.0/8", "nexthop", "fd00::1"}, "version of IP"},
		{routes, z.columns.Route.Table, []any{"ip_prefix", "10.0.0.0/8", "nexthop", "99.0.0.1"}, ""},
		{policies, z.columns.Policy.Table, []any{"priority", 1, "match", "ip4.src ==", "action", "drop"}, "Logical_Router_Policy"},
		{policies, z.columns.Policy.Table, []any{"priority", 1, "match", "ip4", "action", "reroute"}, "reroute needs a next hop"},
		{policies, z.columns.Policy.Table, []any{"priority", 1, "match", `inport == "later"`, "action", "drop"}, ""},
	} {
		err := try(tc.list, tc.elem, tc.columns...)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.columns, err, tc.want)
		}
	}
}

// TestLintSymmetricReply names routes whose replies do not go back the way that
// requests came.
func TestLintSymmetricReply(t *testing.T) {
	z := newZone(t, "")
	lr := z.router(t, "lr")
	z.route(t, lr, "192.168.0.0/16", "10.0.0.9", "options", ovsdb.MapOf("ecmp_symmetric_reply", "true"))
	if p := z.problems(); !strings.Contains(p, `options "ecmp_symmetric_reply": works on gateway routers only`) {
		t.Errorf("problems %q", p)
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.PutInMap(z.columns.LR.Table, lr, "options", "chassis", "hv1")
		return tx.Err()
	})
	if p := z.problems(); strings.Contains(p, "ecmp_symmetric_reply") {
		t.Errorf("problems of a gateway router %q", p)
	}
	z.route(t, lr, "192.168.0.0/16", "10.0.0.9", "options", ovsdb.MapOf("ecmp_symmetric_reply", "true"), "route_table", "red")
	if p := z.problems(); !strings.Contains(p, `options "ecmp_symmetric_reply": works in the main route table only`) {
		t.Errorf("problems %q", p)
	}
}

// TestLintLoop names routes by which two routers send packets to and fro, and
// not those that summarise what the other router knows better.
func TestLintLoop(t *testing.T) {
	z := newZone(t, "")
	var lr [2]ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		for i := range lr {
			port := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, row("name", fmt.Sprint("p", i), "mac", fmt.Sprintf("00:00:00:00:02:%02x", i),
				"networks", []string{fmt.Sprintf("10.9.0.%d/24", i+1)}, "peer", []string{fmt.Sprint("p", 1-i)}))
			lr[i] = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("lr", i), "ports": ovsdb.NewSet(port)})
		}
		return tx.Err()
	})
	z.route(t, lr[0], "192.168.0.0/16", "10.9.0.2")
	if p := z.problems(); p != "" {
		t.Errorf("problems %q", p)
	}
	z.route(t, lr[1], "0.0.0.0/0", "10.9.0.1")
	if p := z.problems(); !strings.Contains(p, `nexthop "10.9.0.2": packets to 192.168.0.0, for one, go round until their time to live ends: router "lr0" to router "lr1" to router "lr0"`) {
		t.Errorf("problems %q", p)
	}
	z.route(t, lr[1], "192.168.7.0/24", "discard")
	if p := z.problems(); !strings.Contains(p, "packets to 192.168.0.0, for one") {
		t.Errorf("problems %q: the other router has a better route for a part only", p)
	}
	z.route(t, lr[1], "192.168.0.0/17", "discard")
	if p := z.problems(); !strings.Contains(p, "packets to 192.168.128.0, for one") {
		t.Errorf("problems %q: the other router has a better route for the first half only", p)
	}
	z.route(t, lr[1], "192.168.128.0/17", "discard")
	if p := z.problems(); p != "" {
		t.Errorf("problems %q although the other router has a better route", p)
	}
	z.route(t, lr[0], "0.0.0.0/0", "10.9.0.2")
	if p := z.problems(); strings.Count(p, "packets to 1.0.0.0, for one") != 2 {
		t.Errorf("problems %q with default routes to each other", p)
	}
}

// TestLintLoopOfThree: routers that send packets round between them, and routers
// with default and better routes to each other that do not.
func TestLintLoopOfThree(t *testing.T) {
	z := newZone(t, "")
	lr := make([]ovsdb.UUID, 3)
	z.nb(t, func(tx *ovsdb.Txn) error {
		for i := range lr {
			out, in := fmt.Sprintf("p%d-%d", i, (i+1)%3), fmt.Sprintf("p%d-%d", i, (i+2)%3)
			ports := []ovsdb.Atom{
				tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, row("name", out, "mac", fmt.Sprintf("00:00:00:00:03:%02x", i),
					"networks", []string{fmt.Sprintf("10.8.%d.1/24", i)}, "peer", []string{fmt.Sprintf("p%d-%d", (i+1)%3, i)})),
				tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, row("name", in, "mac", fmt.Sprintf("00:00:00:00:04:%02x", i),
					"networks", []string{fmt.Sprintf("10.8.%d.2/24", (i+2)%3)}, "peer", []string{fmt.Sprintf("p%d-%d", (i+2)%3, i)})),
				tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, row("name", fmt.Sprint("net", i), "mac", fmt.Sprintf("00:00:00:00:05:%02x", i),
					"networks", []string{fmt.Sprintf("10.7.%d.1/24", i)})),
			}
			lr[i] = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("lr", i), "ports": ovsdb.NewSet(ports...)})
		}
		return tx.Err()
	})
	for i := range lr { // each knows its own network, and the next one's by the next one
		z.route(t, lr[i], fmt.Sprintf("10.7.%d.0/24", (i+1)%3), fmt.Sprintf("10.8.%d.2", i))
	}
	z.route(t, lr[0], "10.7.0.0/16", "10.8.0.2")
	z.route(t, lr[1], "10.7.0.0/16", "10.8.1.2")
	if p := z.problems(); p != "" {
		t.Errorf("problems %q", p)
	}
	z.route(t, lr[2], "0.0.0.0/0", "10.8.2.2")
	if p := z.problems(); !strings.Contains(p, `router "lr0" to router "lr1" to router "lr2" to router "lr0"`) || strings.Count(p, "go round") != 3 {
		t.Errorf("problems %q", p)
	}
}

// TestQueriesOfOneRoute counts what a route and a policy cost: the same on a
// router with few and with many of them; alternatives cost as many as there are.
func TestQueriesOfOneRoute(t *testing.T) {
	type cost struct{ route, alternative, change, remove, policy, unpolicy int }
	var costs []cost
	for _, n := range []int{10, 10_000} {
		z := newZone(t, "")
		lr := z.router(t, "lr")
		z.nb(t, func(tx *ovsdb.Txn) error {
			routes, policies := make([]ovsdb.Atom, n), make([]ovsdb.Atom, n)
			for i := range n {
				routes[i] = tx.Insert(z.columns.Route.Table, ovsdb.UUID{}, row("ip_prefix", fmt.Sprintf("172.%d.%d.0/24", 16+i>>8, i&255), "nexthop", fmt.Sprintf("10.0.0.%d", 2+i%200)))
				policies[i] = tx.Insert(z.columns.Policy.Table, ovsdb.UUID{}, row("priority", i, "match", fmt.Sprintf("ip4.src == 10.%d.%d.0/24", i>>8, i&255), "action", "drop"))
			}
			tx.SetColumn(z.columns.LR.Table, lr, "static_routes", ovsdb.NewSet(routes...))
			tx.SetColumn(z.columns.LR.Table, lr, "policies", ovsdb.NewSet(policies...))
			return tx.Err()
		})
		var c cost
		ran := func(to *int, change func()) { change(); *to = z.last.Executed }
		var u ovsdb.UUID
		ran(&c.route, func() { z.route(t, lr, "192.168.0.0/24", "10.0.0.2") })
		ran(&c.alternative, func() { u = z.route(t, lr, "192.168.0.0/24", "10.1.0.2") })
		ran(&c.change, func() {
			z.nb(t, func(tx *ovsdb.Txn) error {
				tx.SetColumn(z.columns.Route.Table, u, "nexthop", "10.2.0.2")
				return tx.Err()
			})
		})
		ran(&c.remove, func() {
			z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LR.Table, lr, "static_routes", u); return tx.Err() })
		})
		ran(&c.policy, func() {
			u = z.policy(t, lr, 30000, "ip4.src == 1.2.3.4", "reroute", "nexthops", []string{"10.0.0.7", "10.1.0.7"})
		})
		ran(&c.unpolicy, func() {
			z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LR.Table, lr, "policies", u); return tx.Err() })
		})
		t.Logf("%d routes and policies: %+v queries, the last change took %v", n, c, z.last.Took)
		costs = append(costs, c)
	}
	if costs[0] != costs[1] || costs[0].route == 0 || costs[0].policy == 0 {
		t.Errorf("the cost of a route depends on the size of the router: %+v", costs)
	}
}

// TestRouteBFD: a route with a BFD session is there as long as that is not down,
// and keeps the session in use; the packets of BFD take it with the TTL that they
// have.
func TestRouteBFD(t *testing.T) {
	z := newZone(t, "")
	lr := z.router(t, "lr")
	var session ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		session = tx.Insert(z.columns.BFD.Table, ovsdb.UUID{}, row("logical_port", "lr-0", "dst_ip", "10.0.0.5"))
		return tx.Err()
	})
	set := func(status string) func() {
		return func() {
			z.nb(t, func(tx *ovsdb.Txn) error {
				tx.SetColumn(z.columns.BFD.Table, session, "status", ovsdb.NewSet(status))
				return tx.Err()
			})
		}
	}
	if got := z.gained(func() { z.route(t, lr, "192.168.1.0/24", "10.0.0.5", "bfd", session) }); got != "" {
		t.Errorf("before the session has begun:\n%s", got)
	}
	want := `ip_routing 73 reg7 == 0 && ip4.dst == 192.168.1.0/24 -> ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.0.5; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;
ip_routing 74 reg7 == 0 && ip4.dst == 192.168.1.0/24 && udp.dst == 3784 -> reg8[0..15] = 0; reg0 = 10.0.0.5; reg1 = 10.0.0.1; eth.src = 00:00:00:00:01:01; outport = "lr-0"; flags.loopback = 1; next;`
	if got := z.gained(set("up")); got != want {
		t.Errorf("while the session is up:\n%s\nwant\n%s", got, want)
	}
	// Of two, only the other one is left while this one is down.
	z.route(t, lr, "192.168.1.0/24", "10.1.0.5")
	if got := z.gained(set("down")); !strings.Contains(got, "reg0 = 10.1.0.5;") || strings.Contains(got, "10.0.0.5") {
		t.Errorf("while it is down:\n%s", got)
	}
	if got := z.gained(set("up")); !strings.Contains(got, "select(1, 2)") {
		t.Errorf("when it is up again:\n%s", got)
	}
	// A session with somebody else does not matter.
	if got := z.gained(func() { z.route(t, lr, "192.168.2.0/24", "10.0.0.6", "bfd", session) }); !strings.Contains(got, "reg0 = 10.0.0.6;") {
		t.Errorf("a session with somebody else:\n%s", got)
	}
}

// BenchmarkAddRoute adds one route more, to a router with 10,000, and takes it
// away again.
func BenchmarkAddRoute(b *testing.B) {
	z := newZone(b, "")
	lr := z.router(b, "lr")
	const n = 10_000
	z.nb(b, func(tx *ovsdb.Txn) error {
		routes := make([]ovsdb.Atom, n)
		for i := range n {
			routes[i] = tx.Insert(z.columns.Route.Table, ovsdb.UUID{}, row("ip_prefix", fmt.Sprintf("172.%d.%d.0/24", 16+i>>8, i&255), "nexthop", fmt.Sprintf("10.0.0.%d", 2+i%200)))
		}
		tx.SetColumn(z.columns.LR.Table, lr, "static_routes", ovsdb.NewSet(routes...))
		return tx.Err()
	})
	var took time.Duration
	rounds := 0
	for b.Loop() {
		u := z.route(b, lr, "192.168.0.0/24", "10.0.0.2")
		took += z.last.Took
		z.nb(b, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LR.Table, lr, "static_routes", u); return tx.Err() })
		rounds++
	}
	b.ReportMetric(float64(took.Microseconds())/float64(rounds), "µs/route")
	st := z.Program().Engine.Stats()
	b.ReportMetric(float64(st.Nodes)/n, "nodes/route")
}
