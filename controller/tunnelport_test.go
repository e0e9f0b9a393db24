package controller

import (
	"testing"

	"govn/controller/vswitch"
	"govn/proto"
)

// A tunnel is carried by whatever interface of it there is, in whatever order one
// takes the place of another.
func TestTunnelIsReplaced(t *testing.T) {
	c := newGatewayUnderTest(t, "gw1", "me")
	c.cfg = &vswitch.Config{SystemID: "me"}
	c.item(proto.Kind_KIND_CHASSIS, "hv2", marshal(&proto.Chassis{Encaps: []*proto.Encap{{Type: "geneve", Ip: "203.0.113.2"}}}))
	const id = "hv2@203.0.113.2"
	set := func(name string, port int) {
		c.setInterface(name, &vswitch.Interface{Name: name, OFPort: port, PortIDs: map[string]string{vswitch.KeyChassisID: id}})
	}
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"made", func() { set("ovn-hv2-1", 1) }, 1},
		{"a second one without a port yet", func() { set("ovn-hv2-0", 0) }, 1},
		{"the second one has a port", func() { set("ovn-hv2-0", 2) }, 2},
		{"the first one goes", func() { c.setInterface("ovn-hv2-1", nil) }, 2},
		{"a third one", func() { set("ovn-hv2-2", 3) }, 3},
		{"the third one goes", func() { c.setInterface("ovn-hv2-2", nil) }, 2},
		{"an interface becomes another tunnel's", func() {
			c.setInterface("ovn-hv2-0", &vswitch.Interface{Name: "ovn-hv2-0", OFPort: 2, PortIDs: map[string]string{vswitch.KeyChassisID: "hv3@203.0.113.3"}})
		}, 0},
		{"another one", func() { set("ovn-hv2-3", 4) }, 4},
		{"it cannot be made", func() { set("ovn-hv2-3", -1) }, 0},
		{"all gone", func() { c.setInterface("ovn-hv2-3", nil) }, 0},
	} {
		step.do()
		if got := c.carrierPort(id); got != step.want {
			t.Errorf("%s: port %d, want %d", step.what, got, step.want)
		}
		if got := c.host.TunnelPort(id); got != step.want {
			t.Errorf("%s: the flows use port %d, want %d", step.what, got, step.want)
		}
	}
	if len(c.carriers) != 1 {
		t.Errorf("what is left: %v", c.carriers)
	}
}
