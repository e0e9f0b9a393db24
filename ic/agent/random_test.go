package agent

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"govn/pkg/incr"
)

// state is all that a program wants, by sink.
func (b *bed) state() map[string]string {
	out := make(map[string]string)
	add := func(sink string, k, v any) { out[fmt.Sprintf("%s %+v", sink, k)] = fmt.Sprintf("%+v", v) }
	all(b.p.switches, "switch", add)
	all(b.p.datapaths, "datapath", add)
	all(b.p.gateways, "gateway", add)
	all(b.p.chassis, "chassis", add)
	all(b.p.icPorts, "ic port", add)
	all(b.p.keys, "key", add)
	all(b.p.ports, "port", add)
	all(b.p.bindings, "binding", add)
	all(b.p.icRoutes, "ic route", add)
	all(b.p.routes, "route", add)
	all(b.p.kept, "kept", add)
	all(b.p.unused, "unused", add)
	return out
}

func all[K comparable, V any](s *incr.Sink[K, V], name string, add func(string, any, any)) {
	for k, v := range s.All() {
		add(name, k, v)
	}
}

// fresh is a program that never saw anything else than these rows.
func (b *bed) fresh(first, strict bool) *bed {
	f := &bed{t: b.t, in: newInput(incr.New(incr.Options{})), rows: make(map[string]row)}
	f.in.first = first
	f.p = newProgram(f.in)
	f.in.setOwn("az")
	f.in.setStrict(strict)
	f.set(slices.Collect(maps.Values(b.rows))...)
	f.in.e.Run()
	return f
}

// randomRow is a row as somebody may have it: of few names, prefixes and lists, so
// that they meet.
func randomRow(t *rapid.T) row {
	pick := func(label string, list ...string) string { return rapid.SampledFrom(list).Draw(t, label) }
	zone := func() string { return pick("zone", "az", "az1", "az2", "az3") }
	prefix := func() string {
		return pick("prefix", "10.0.1.0/24", "10.0.1.128/25", "10.0.0.0/16", "10.9.0.0/16", "0.0.0.0/0", "169.254.9.0/24", "fd00::/64", "bad", "10.0.1.1/24")
	}
	nexthop := func() string {
		return pick("nexthop", "169.254.100.1", "169.254.100.7", "169.254.100.8", "169.254.200.9", "10.0.1.9", "fd01::1", "bad")
	}
	options := func() map[string]string {
		m := make(map[string]string)
		for _, key := range []string{optionFilterAdv, optionFilterLearn, optionDenyAdv, optionDenyLearn} {
			if v := pick(key, "", "", "", "10.0.0.0/8", "10.0.0.0/8 ge 17 le 24", "bad,10.0.1.0/24"); v != "" {
				m[key] = v
			}
		}
		return m
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		m := map[string]string{}
		for _, key := range []string{optionAdv, optionLearn, optionAdvDefault, optionLearnDefault, optionStrict, optionECMP} {
			m[key] = pick(key, "true", "true", "false", "")
		}
		m[optionDenylist] = pick("denylist", "", "", "10.0.1.0/25")
		return &nbGlobal{UUID: "g", Name: "here", Options: m}
	case 1:
		o := options()
		o[optionECMP] = pick("ecmp", "", "true", "false")
		return &nbRouter{UUID: "r1", Name: "r1", Ports: []string{"r1-net-uuid", "r1-ts0-uuid"}, StaticRoutes: setOf(slices.Collect(maps.Keys(rapid.MapOf(
			rapid.SampledFrom([]string{"own1", "own2"}), rapid.Bool()).Draw(t, "static")))), Options: o}
	case 2:
		o := options()
		o["route_table"], o[keyTag], o[optionFilterTag] = pick("table", "", "", "t1"), pick("tag", "", "red"), pick("filter tag", "", "red")
		n := pick("port", "1", "2")
		return &nbRouterPort{UUID: "r" + n + "-ts0-uuid", Name: "r" + n + "-ts0", MAC: "00:00:00:00:01:02", Networks: []string{"169.254.100." + n + "/24"}, Options: o}
	case 3:
		return &nbRoute{UUID: pick("own", "own1", "own2"), IPPrefix: prefix(), Nexthop: nexthop(), RouteTable: pick("table", "", "t1")}
	case 4:
		return &nbRouterPort{UUID: "r1-net-uuid", Name: "r1-net", Networks: []string{prefix()}}
	case 5:
		return &icPort{UUID: pick("port", "az1-port", "az2-port", "mine"), LogicalPort: pick("name", "ts0-r1", "other"), TransitSwitch: "ts0", AvailabilityZone: zone(), TunnelKey: 7}
	case 6:
		return &icGateway{UUID: pick("gw", "gw1", "gw2"), Name: pick("name", "gw1", "gw2"), AvailabilityZone: zone(), Hostname: pick("host", "", "h")}
	}
	return &icRoute{UUID: fmt.Sprint("route", rapid.IntRange(0, 7).Draw(t, "route")), TransitSwitch: pick("switch", "ts0", "ts0", "ts1"), AvailabilityZone: zone(),
		IPPrefix: prefix(), Nexthop: nexthop(), RouteTable: pick("table", "", "", "t1"), Origin: pick("origin", originConnected, originStatic, originLoadBalancer),
		ExternalIDs: map[string]string{keyTag: pick("tag", "", "red")}, Since: uint64(rapid.IntRange(0, 3).Draw(t, "since"))}
}

// After any changes, the program wants what a fresh one wants of the same rows.
func TestIncrementalEqualsFresh(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBed(t)
		b.in.first = rapid.Bool().Draw(rt, "first")
		b.zone()
		b.router("r2", "ts0", 2)
		strict := false
		for range rapid.IntRange(1, 40).Draw(rt, "changes") {
			switch rapid.IntRange(0, 9).Draw(rt, "change") {
			case 0:
				b.unset(rapid.SampledFrom(slices.Sorted(maps.Keys(b.rows))).Draw(rt, "gone"))
				if len(b.rows) == 0 {
					b.zone()
				}
			case 1:
				strict = !strict
				b.in.setStrict(strict)
			default:
				b.set(randomRow(rt))
			}
			b.in.e.Run()
			if diff := cmp.Diff(b.fresh(b.in.first, strict).state(), b.state()); diff != "" {
				rt.Fatalf("fresh and incremental:\n%s", diff)
			}
		}
		for _, list := range b.in.contenders {
			if !slices.IsSortedFunc(list, contender.compare) || len(list) == 0 {
				rt.Fatalf("contenders %v", list)
			}
		}
	})
}
