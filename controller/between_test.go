package controller

import (
	"testing"

	"govn/controller/vswitch"
	"govn/proto"
)

// What a gateway tells of its tunnels to other zones: where BFD was never heard,
// silence; nothing of it decides who hosts a port, or delays that.
func TestTunnelsBetweenZones(t *testing.T) {
	c := newGatewayUnderTest(t, "gw1", "me")
	c.cfg = &vswitch.Config{SystemID: "me", Interconn: true, OtherConfig: map[string]string{"is-interconn": "true"}}
	for _, name := range []string{"east1", "east2", "east3", "odd one"} {
		c.item(proto.Kind_KIND_CHASSIS, name, marshal(&proto.Chassis{Remote: true, Encaps: []*proto.Encap{{Type: "geneve", Ip: "203.0.113.7"}}}))
	}
	c.item(proto.Kind_KIND_CHASSIS, "gw1", marshal(&proto.Chassis{Encaps: []*proto.Encap{{Type: "geneve", Ip: "203.0.113.9"}}}))
	tunnel := func(chassis, ip string, status ...string) {
		i := &vswitch.Interface{Name: "ovn-" + chassis + ip, OFPort: 7, PortIDs: map[string]string{vswitch.KeyChassisID: chassis + "@" + ip}, BFDStatus: map[string]string{}}
		for n := 0; n+1 < len(status); n += 2 {
			i.BFDStatus[status[n]] = status[n+1]
		}
		c.setInterface(i.Name, i)
	}
	quiet := c.gw.quiet
	tunnel("east1", "203.0.113.7", "state", "down", "flap_count", "0", "forwarding", "false")
	tunnel("east1", "203.0.113.8", "state", "up", "flap_count", "1", "forwarding", "true")
	tunnel("east2", "203.0.113.7", "state", "down", "flap_count", "2", "forwarding", "false")
	tunnel("east3", "203.0.113.7", "state", "down", "flap_count", "0", "forwarding", "false")
	tunnel("odd one", "203.0.113.7", "state", "up")
	if got, want := c.tunnelStates(), "east1=up east2=down east3=silent"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if up, forwarding := c.gw.seen(); len(up)+len(forwarding) != 0 || c.gw.quiet != quiet {
		t.Errorf("BFD between zones counts: %v %v", up, forwarding)
	}
	tunnel("gw1", "203.0.113.9", "state", "up", "forwarding", "true")
	if got, want := c.identity().OtherConfig[keyTunnels], "east1=up east2=down east3=silent"; got != want {
		t.Errorf("other_config: %q, want %q", got, want)
	}
	if up, _ := c.gw.seen(); len(up) != 1 || !up["gw1"] {
		t.Errorf("BFD within the zone: %v", up)
	}
	// Told where it changed, once.
	c.greeted = true
	reports := func() bool {
		c.st.mu.Lock()
		defer c.st.mu.Unlock()
		told := c.st.report.GetConfig() != nil
		c.st.report = nil
		return told
	}
	c.tellTunnels()
	if reports() {
		t.Error("what is known is told again")
	}
	tunnel("east3", "203.0.113.7", "state", "init", "flap_count", "0")
	c.tellTunnels()
	if !reports() {
		t.Error("a change is not told")
	}
	c.tellTunnels()
	if reports() {
		t.Error("a change is told twice")
	}
	c.setInterface("ovn-east1203.0.113.7", nil)
	c.setInterface("ovn-east1203.0.113.8", nil)
	if got := c.tunnelStates(); got != "east2=down east3=init" {
		t.Errorf("without the tunnels to east1: %q", got)
	}
	// The tunnels to other zones have BFD whatever the groups, and never a path that
	// is down.
	c.chassisChanged = true
	c.wishTunnels(true)
	n := 0
	for id, w := range c.tunnels.All() {
		if w.Chassis == "east1" || w.Chassis == "east2" {
			n++
			if w.BFD != betweenBFD || w.BFD.PathDown {
				t.Errorf("%s: %+v", id, w.BFD)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d tunnels to east1 and east2", n)
	}
	c.cfg.Interconn = false
	if got := c.tunnelStates(); got != "" {
		t.Errorf("of a chassis that is no gateway: %q", got)
	}
}
