package server

import (
	"testing"

	"govn/proto/ic"
)

// TestJoin: what a zone publishes reaches the databases and the others, by
// differences, and goes when a later whole publish does not name it.
func TestJoin(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
	defer east.disconnect()
	defer west.disconnect()
	west.knows("switch ts1 key 16711682")
	refused := east.publish(&ic.Publish{
		Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw1", "203.0.113.1")}, Ports: []*ic.Port{portOn("p1", "ts1")},
		Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1"), routeTo("10.2.0.0/16", "ts1")},
	})
	if len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
	row := east.welcome.Row
	west.knows("gateway gw1 [geneve:203.0.113.1] of " + row)
	west.knows("port p1 on ts1 key 1 at gw 0a:00:00:00:00:01 169.254.100.1/24 of " + row)
	west.knows("route ts1,,10.1.0.0/16,169.254.100.1 static of " + row)
	east.knows("port p1 on ts1 key 1")
	refused = west.publish(&ic.Publish{Whole: true, Ports: []*ic.Port{portOn("p2", "ts1"), portOn("p1", "ts1"), portOn("p3", "nowhere")}})
	if len(refused) != 2 || refused[0].Kind != "port" {
		t.Errorf("refused: %v", refused)
	}
	east.knows("port p2 on ts1 key 2")
	west.knows("port p2")
	items := west.items
	east.publish(&ic.Publish{GoneRoutes: []*ic.RouteKey{routeTo("10.1.0.0/16", "ts1").Key}})
	west.forgets("route ts1,,10.1.0.0/16")
	if n := west.items - items; n != 1 {
		t.Errorf("%d items for one route", n)
	}
	// The name is free: what was refused is stored by itself.
	east.publish(&ic.Publish{GonePorts: []string{"p1"}})
	west.knows("port p1 on ts1 key 1 at gw 0a:00:00:00:00:01 169.254.100.1/24 of " + west.welcome.Row)
	west.await("answer", func() bool { return len(west.published.Refusals) == 1 })

	east.disconnect()
	east.connect(b)
	east.knows("port p1")
	if east.welcome.Row != row {
		t.Errorf("row %s, was %s", east.welcome.Row, row)
	}
	west.knows("route ts1,,10.2.0.0/16")
	east.publish(&ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw1", "203.0.113.1")}})
	west.forgets("route")
	b.delSwitch("ts1")
	west.forgets("switch")
	west.forgets("port")
	east.send(&ic.FromZone{Msg: &ic.FromZone_Heartbeat{Heartbeat: &ic.Heartbeat{Number: 7}}})
	east.await("heartbeat", func() bool { return east.beats == 7 })
}
