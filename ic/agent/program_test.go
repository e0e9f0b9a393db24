package agent

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"govn/pkg/incr"
	"govn/pkg/interconnect"
)

// bed is a program that is fed by hand.
type bed struct {
	t    *testing.T
	in   *input
	p    *program
	rows map[string]row
}

func newBed(t *testing.T) *bed {
	in := newInput(incr.New(incr.Options{}))
	return &bed{t, in, newProgram(in), make(map[string]row)}
}

// set makes rows what they are given as.
func (b *bed) set(rows ...row) {
	for _, r := range rows {
		b.in.set(b.rows[r.id()], r)
		b.rows[r.id()] = r
	}
}

func (b *bed) unset(uuids ...string) {
	for _, u := range uuids {
		b.in.set(b.rows[u], nil)
		delete(b.rows, u)
	}
}

// run evaluates and returns how many queries that took.
func (b *bed) run() int {
	b.t.Helper()
	ran := b.in.e.Run()
	if errs := b.in.e.Errors(); len(errs) > 0 {
		b.t.Fatalf("%v", errs)
	}
	return ran.Total
}

// zone is the zone that the program is of: a router r1 with a network, and a port
// on transit switch ts0.
func (b *bed) zone() {
	b.set(&nbGlobal{UUID: "g", Name: "here", Options: map[string]string{optionAdv: "true", optionLearn: "true"}}, &icZone{UUID: "az", Name: "here"})
	b.in.setOwn("az")
	b.transit(0)
	b.router("r1", "ts0", 1)
}

func (b *bed) transit(n int) {
	ts := fmt.Sprint("ts", n)
	b.set(&icSwitch{UUID: "ic-" + ts, Name: ts}, &icDatapath{UUID: "icdp-" + ts, TransitSwitch: ts, TunnelKey: interconnect.MinTransitKey + n},
		&sbDatapath{UUID: "dp-" + ts, ExternalIDs: map[string]string{keyTransit: ts}})
}

// router is a router with a network of its own and a port on a transit switch.
func (b *bed) router(name, ts string, n int) {
	lrp, lsp := name+"-"+ts, ts+"-"+name
	b.set(&nbRouter{UUID: name, Name: name, Ports: []string{name + "-net-uuid", lrp + "-uuid"}},
		&nbRouterPort{UUID: name + "-net-uuid", Name: name + "-net", MAC: "00:00:00:00:01:01", Networks: []string{fmt.Sprintf("10.0.%d.1/24", n)}},
		&nbRouterPort{UUID: lrp + "-uuid", Name: lrp, MAC: "00:00:00:00:01:02", Networks: []string{fmt.Sprintf("169.254.100.%d/24", n)}},
		&nbPort{UUID: lsp + "-uuid", Name: lsp, Type: "router", Options: map[string]string{"router-port": lrp}},
		&sbPort{UUID: lsp + "-pb", LogicalPort: lsp, Type: "patch", Datapath: "dp-" + ts})
}

// other is another zone with a gateway, a port on a transit switch and routes.
func (b *bed) other(n, routes int, ts string) {
	az := fmt.Sprint("az", n)
	b.set(&icZone{UUID: az, Name: az}, &icEncap{UUID: az + "-encap", Type: "geneve", IP: fmt.Sprintf("203.0.%d.%d", n/250, n%250)},
		&icGateway{UUID: az + "-gw", Name: az + "-gw", AvailabilityZone: az, Encaps: []string{az + "-encap"}},
		&icPort{UUID: az + "-port", LogicalPort: az + "-port", TransitSwitch: ts, AvailabilityZone: az, TunnelKey: 100 + n, Gateway: az + "-gw", Address: "00:00:00:00:02:01 169.254.100.9/24"})
	for i := range routes {
		b.set(otherRoute(n, i, ts))
	}
}

func otherRoute(zone, i int, ts string) *icRoute {
	az := fmt.Sprint("az", zone)
	return &icRoute{UUID: fmt.Sprintf("%s-route%d", az, i), TransitSwitch: ts, AvailabilityZone: az, Origin: originConnected,
		IPPrefix: fmt.Sprintf("11.%d.%d.0/24", zone, i), Nexthop: "169.254.100.9"}
}

// Two routers of a zone on one transit switch: both are told of, both learn.
func TestTwoRoutersOnOneSwitch(t *testing.T) {
	b := newBed(t)
	b.zone()
	b.router("r2", "ts0", 2)
	b.other(7, 1, "ts0")
	b.run()
	want := map[routeKey]wantICRoute{
		{"ts0", "", "10.0.1.1/24", "169.254.100.1"}: {originConnected, "r1-net-uuid", ""},
		{"ts0", "", "10.0.2.1/24", "169.254.100.2"}: {originConnected, "r2-net-uuid", ""},
	}
	if diff := cmp.Diff(want, maps.Collect(b.p.icRoutes.All()), cmp.AllowUnexported(routeKey{}, wantICRoute{})); diff != "" {
		t.Errorf("advertised (-want +got):\n%s", diff)
	}
	learned := wantRoute{"11.7.0.0/24", "169.254.100.9", "", originConnected}
	if diff := cmp.Diff(map[learnedKey]wantRoute{{"r1", "az7-route0"}: learned, {"r2", "az7-route0"}: learned},
		maps.Collect(b.p.routes.All()), cmp.AllowUnexported(learnedKey{}, wantRoute{})); diff != "" {
		t.Errorf("learned (-want +got):\n%s", diff)
	}
	// One leaves: what is the other's stays.
	b.unset("ts0-r2-uuid")
	b.run()
	if b.p.icRoutes.Len() != 1 || b.p.routes.Len() != 1 {
		t.Errorf("after one has left: %d advertised, %d learned", b.p.icRoutes.Len(), b.p.routes.Len())
	}
}

// A change runs the same queries whatever the number of zones and routes.
func TestQueriesOfOneChange(t *testing.T) {
	type counts struct{ Route, Withdrawn, Own, Switch, Gateway, Conflict, Network, First int }
	count := func(zones, routes int) (n counts) {
		b := newBed(t)
		b.in.first = true
		b.zone()
		for i := range zones {
			b.transit(1 + i)
			b.other(i, routes, "ts0")
		}
		b.run()
		b.set(otherRoute(0, 250, "ts0"))
		n.Route = b.run()
		b.unset(otherRoute(0, 250, "ts0").UUID)
		n.Withdrawn = b.run()
		b.set(&nbRoute{UUID: "own", IPPrefix: "12.0.0.0/8", Nexthop: "10.0.1.9"},
			&nbRouter{UUID: "r1", Name: "r1", Ports: []string{"r1-net-uuid", "r1-ts0-uuid"}, StaticRoutes: setOf([]string{"own"})})
		n.Own = b.run()
		b.transit(500)
		n.Switch = b.run()
		gw := *b.rows["az0-gw"].(*icGateway)
		gw.Hostname = "new"
		b.set(&gw)
		n.Gateway = b.run()
		second := otherRoute(1, 251, "ts0") // of what another zone has
		second.IPPrefix, second.Since = "11.0.0.0/24", 1
		b.set(second)
		n.Conflict = b.run()
		if v, ok := b.p.unused.Get(unusedKey{"r1", "", second.UUID}); !ok || v.reason != Contested || v.detail != "az0" {
			t.Errorf("the second zone's: %+v", v)
		}
		b.unset("az0-route0") // now the second one is the first
		n.First = b.run()
		if _, ok := b.p.routes.Get(learnedKey{"r1", second.UUID}); !ok {
			t.Error("the second zone's route is not used when it is alone")
		}
		net := *b.rows["r1-net-uuid"].(*nbRouterPort)
		net.Networks = []string{"10.0.77.1/24"}
		b.set(&net)
		n.Network = b.run()
		return n
	}
	few, many := count(2, 2), count(100, 200)
	if few != many {
		t.Errorf("with 2 zones of 2 routes %+v, with 100 of 200 %+v", few, many)
	}
	if few.Route == 0 || few.Route > 5 || few.Own == 0 || few.Switch == 0 || few.Gateway != 1 || few.Conflict > 6 || few.First > 6 {
		t.Errorf("%+v", few)
	}
}

// When everything is gone, so is what was wanted.
func TestNothingStays(t *testing.T) {
	b := newBed(t)
	b.run()
	before := b.in.e.Stats()
	b.zone()
	b.other(1, 3, "ts0")
	b.run()
	if b.p.routes.Len() != 3 || b.p.ports.Len() != 1 || b.p.chassis.Len() != 1 || b.p.icPorts.Len() != 1 || b.p.switches.Len() != 1 {
		t.Fatalf("%d routes, %d ports, %d chassis, %d ports of ours, %d switches",
			b.p.routes.Len(), b.p.ports.Len(), b.p.chassis.Len(), b.p.icPorts.Len(), b.p.switches.Len())
	}
	b.unset(slices.Sorted(maps.Keys(b.rows))...)
	b.run()
	if n := b.p.routes.Len() + b.p.ports.Len() + b.p.chassis.Len() + b.p.icPorts.Len() + b.p.switches.Len() + b.p.icRoutes.Len() + b.p.keys.Len(); n != 0 {
		t.Errorf("%d rows are still wanted", n)
	}
	if after := b.in.e.Stats(); after.Nodes != before.Nodes || after.Edges != before.Edges {
		t.Errorf("nodes and edges: %+v, before %+v", after, before)
	}
}
