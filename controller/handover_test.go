package controller

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"govn/controller/flows"
	"govn/controller/vswitch"
	"govn/proto"
	"govn/proto/state"
)

// gatewayUnderTest is a controller of chassis me, a member of the group of port 2
// of datapath 6, with the tunnels that others are heard on.
type gatewayUnderTest struct {
	*controller
	t *testing.T
}

func newGatewayUnderTest(t *testing.T, members ...string) *gatewayUnderTest {
	c := &gatewayUnderTest{newController(t.Context(), Options{Logger: slog.New(slog.DiscardHandler)}), t}
	c.cfg = &vswitch.Config{SystemID: "me"}
	c.host.SetSelf("me")
	c.members(members...)
	for _, name := range []string{"gw1", "gw2", "hv1"} {
		c.item(proto.Kind_KIND_CHASSIS, name, marshal(&proto.Chassis{Encaps: []*proto.Encap{{Type: "geneve", Ip: "203.0.113.9"}}}))
	}
	c.item(proto.Kind_KIND_HA_USER, string(state.HAUserKey(6, "hv1")), marshal(&proto.Fdb{}))
	c.item(proto.Kind_KIND_PORT, string(state.PortKey(6, 2)), marshal(&proto.Port{Name: "cr-p", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1}))
	return c
}

func (c *gatewayUnderTest) item(kind proto.Kind, key string, value []byte) {
	c.t.Helper()
	if err := c.host.Item(kind, key, value); err != nil {
		c.t.Fatal(err)
	}
}

// members are those of the group, best first.
func (c *gatewayUnderTest) members(names ...string) {
	c.t.Helper()
	g := &proto.HAGroup{Name: "g"}
	for i, name := range names {
		g.Members = append(g.Members, &proto.HAMember{Chassis: name, Priority: uint32(100 - i)})
	}
	c.item(proto.Kind_KIND_HA_GROUP, "g", marshal(g))
}

// hears is what BFD says of another chassis.
func (c *gatewayUnderTest) hears(chassis string, up, forwarding bool) {
	text := map[bool]string{true: "true", false: "false"}
	state := map[bool]string{true: "up", false: "down"}
	c.watchTunnel("ovn-"+chassis, &vswitch.Interface{
		PortIDs:   map[string]string{vswitch.KeyChassisID: chassis + "@203.0.113.9"},
		BFDStatus: map[string]string{"state": state[up], "forwarding": text[forwarding]},
	})
}

// round is what a round does about gateways, but for the flows.
func (c *gatewayUnderTest) round() {
	c.decide()
	c.evaluate()
	c.gatewaysInstalled()
}

// passes lets time pass, with the rounds that are due meanwhile.
func (c *gatewayUnderTest) passes(d time.Duration) {
	for end := time.Now().Add(d); ; {
		next := c.gw.next
		if next.IsZero() || next.After(end) {
			time.Sleep(time.Until(end))
			c.round()
			return
		}
		time.Sleep(time.Until(next))
		c.round()
	}
}

func (c *gatewayUnderTest) expect(what string, hosts, announces bool) {
	c.t.Helper()
	may, _ := c.gw.announces("g", time.Now())
	if got := c.host.Hosting("g"); got != hosts || may != announces {
		c.t.Errorf("%s: hosts %v, announces %v; want %v, %v", what, got, may, hosts, announces)
	}
}

// pathDown tells what the others are told, and whether a round tells them.
func (c *gatewayUnderTest) pathDown(what string, want bool) {
	c.t.Helper()
	if got := c.bfdOf("gw1").PathDown; got != want {
		c.t.Errorf("%s: cpath_down %v, want %v", what, got, want)
	}
	if !c.chassisChanged {
		c.t.Errorf("%s: nobody is told", what)
	}
	c.chassisChanged = false
}

// A member whose Open vSwitch is started anew says that its path is down, however
// fast that was, until its flows are in and the others are heard; and announces
// itself when they had time to send to it.
func TestHandoverAfterRestart(t *testing.T) {
	for _, away := range []time.Duration{10 * time.Millisecond, time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newGatewayUnderTest(t, "me", "gw1")
				c.switched(flows.Event{Up: &flows.Session{}})
				c.round()
				c.hears("gw1", true, true)
				c.hears("hv1", true, true)
				c.round()
				c.passes(2 * time.Second)
				c.expect("at first", true, true)
				c.pathDown("at first", false)

				c.switched(flows.Event{Down: errors.New("closed by the peer"), Session: c.session})
				c.round()
				c.expect("Open vSwitch is away", true, true)
				c.passes(away)
				if away > pathDownDelay {
					c.pathDown("Open vSwitch is away", true)
				}
				c.switched(flows.Event{Up: &flows.Session{}})
				c.round()
				c.pathDown("Open vSwitch is back", true)
				c.expect("Open vSwitch is back", false, false)
				c.hears("hv1", true, true)
				c.round()
				c.expect("it is heard", true, false)
				c.hears("gw1", true, true)
				c.round()
				c.passes(readyDelay)
				c.pathDown("flows are in", false)
				c.expect("the others are told", true, false)
				c.passes(moveTime(nil) - time.Millisecond)
				c.expect("the others may send elsewhere", true, false)
				c.passes(time.Millisecond)
				c.expect("nobody does any more", true, true)
			})
		})
	}
}

// One that takes over from a dead one announces itself at once. When that comes
// back it keeps silent, sends what starts here to it, and goes on with the rest
// for longer than the other needs.
func TestHandoverToBetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGatewayUnderTest(t, "gw1", "me")
		c.switched(flows.Event{Up: &flows.Session{}})
		c.hears("hv1", true, true)
		c.hears("gw1", true, true)
		c.round()
		c.passes(2 * time.Second)
		c.expect("the better one works", false, false)
		c.hears("gw1", false, false)
		c.round()
		c.expect("it died", true, true)
		c.hears("gw1", true, false)
		c.round()
		c.expect("it is heard, and not ready", true, true)
		c.hears("gw1", true, true)
		c.round()
		c.expect("it is ready", true, false)
		c.passes(moveTime(nil) + yieldSlack - time.Millisecond)
		c.expect("it may not have announced itself", true, false)
		c.passes(time.Millisecond)
		c.expect("it has", false, false)
	})
}

// An operator makes a member the best: it waits for the others as well.
func TestHandoverByOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGatewayUnderTest(t, "gw1", "me")
		c.switched(flows.Event{Up: &flows.Session{}})
		c.hears("hv1", true, true)
		c.hears("gw1", true, true)
		c.round()
		c.passes(2 * time.Second)
		c.expect("the better one works", false, false)
		c.members("me", "gw1")
		c.round()
		c.expect("this one is better", true, false)
		c.passes(moveTime(nil))
		c.expect("nobody sends to the other one", true, true)
	})
}

// moveTime follows the timers of BFD.
func TestMoveTime(t *testing.T) {
	for _, tt := range []struct {
		bfd  *proto.Bfd
		want time.Duration
	}{
		{nil, 500 * time.Millisecond},
		{&proto.Bfd{MinRx: 50, MinTx: 50}, 200 * time.Millisecond},
		{&proto.Bfd{MinTx: 1000}, 2100 * time.Millisecond},
	} {
		if got := moveTime(tt.bfd); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.bfd, got, tt.want)
		}
	}
}
