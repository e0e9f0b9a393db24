package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"govn/proto/ic"
)

// TestTenants: a switch that names zones is told to those only, and their rows on
// it to nobody else; the list may change at any time.
func TestTenants(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("open", "-")
	b.addSwitch("closed", "zone1, AA020000-0000-0000-0000-000000000000")
	zones := []*fake{newFake(t, 1), newFake(t, 2), newFake(t, 3)}
	for _, f := range zones {
		defer f.connect(b).disconnect()
	}
	publish := func(f *fake, port string) []*ic.Refusal {
		return f.publish(&ic.Publish{Whole: true, Ports: []*ic.Port{portOn(port, "closed"), portOn(port+"-open", "open")},
			Routes: []*ic.Route{routeTo("10.0."+port[1:]+".0/24", "closed")}})
	}
	for i, f := range zones {
		refused := publish(f, "p"+string(rune('1'+i)))
		if want := i / 2 * 2; len(refused) != want {
			t.Errorf("%s: refused %v", f.name, refused)
		}
	}
	first, second, third := zones[0], zones[1], zones[2]
	first.knows("port p2 on closed")
	second.knows("route closed,,10.0.1.0/24")
	for _, f := range zones {
		f.knows("port p3-open")
	}
	third.forgets("switch closed")
	third.forgets("port p1 on")
	// The list gets longer, ...
	b.configure("closed", "zone1,zone2,zone3")
	third.knows("port p1 on closed")
	third.knows("route closed,,10.0.2.0/24")
	first.knows("port p3 on closed")
	third.await("no refusals", func() bool { return len(third.published.Refusals) == 0 })
	// ... and shorter: what the zone had there goes.
	b.configure("closed", "zone1,zone3")
	first.forgets("port p2 on closed")
	third.forgets("route closed,,10.0.2.0/24")
	second.forgets("switch closed")
	second.forgets("port p1 on closed")
	second.await("refusals", func() bool { return len(second.published.Refusals) == 2 })
	// Names follow the zone.
	third.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "other"}}})
	third.forgets("switch closed")
	first.forgets("port p3 on closed")
	b.configure("closed", "")
	first.forgets("switch closed")
	// In strict mode a switch without a list is closed.
	b.strict(true)
	for _, f := range zones {
		f.forgets("switch")
		f.forgets("port")
	}
	first.await("only itself", func() bool { return len(first.view) == 1 && first.has("zone zone1") })
	b.configure("open", "zone1,zone2")
	first.knows("port p2-open on open")
	first.knows("zone zone2")
	b.strict(false)
	third.knows("zone zone1")
}

// TestRename: the zone keeps its row, and nobody sees anything of it go.
func TestRename(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
	defer west.disconnect()
	east.publish(&ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw1", "203.0.113.1")}, Ports: []*ic.Port{portOn("p1", "ts1")},
		Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}})
	west.knows("route ts1")
	west.knows("zone zone2")
	items, row := west.items, east.welcome.Row
	east.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "orient"}}})
	west.knows("zone orient aa01")
	if n := west.items - items; n != 1 {
		t.Errorf("%d items were told", n)
	}
	east.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "zone2"}}})
	east.await("refusal", func() bool {
		return len(east.published.GetRefusals()) == 1 && east.published.Refusals[0].Kind == "zone" && east.published.Refusals[0].Name == "zone2"
	})
	east.disconnect()
	east.name = "levant" // renamed while it was away
	east.connect(b)
	west.knows("zone levant aa01")
	if east.knows("port p1"); east.welcome.Row != row {
		t.Errorf("row %s, was %s", east.welcome.Row, row)
	}
	west.mu.Lock()
	if !west.has("route ts1") || !west.has("gateway gw1") {
		t.Errorf("west knows\n%s", strings.Join(west.lines(), "\n"))
	}
	west.mu.Unlock()
	defer east.disconnect()
	// A name that another zone has.
	third := newFake(t, 3)
	third.name = "zone2"
	third.connect(b)
	defer third.disconnect()
	third.await("end", func() bool { return third.ended != nil })
	if status.Code(third.ended) != codes.AlreadyExists {
		t.Errorf("ended with %v", third.ended)
	}
	// Another stream of a zone from the same place replaces the first one.
	twin := newFake(t, 2).connect(b)
	defer twin.disconnect()
	twin.knows("zone levant")
	west.await("end", func() bool { return west.ended != nil })
	if status.Code(west.ended) != codes.Aborted {
		t.Errorf("ended with %v", west.ended)
	}
}
