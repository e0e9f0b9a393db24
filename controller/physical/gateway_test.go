package physical

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"govn/proto"
	"govn/proto/state"
)

func groupOf(bfd *proto.Bfd, members ...string) *proto.HAGroup {
	g := &proto.HAGroup{Name: "g", Bfd: bfd}
	for i, name := range members {
		g.Members = append(g.Members, &proto.HAMember{Chassis: name, Priority: uint32(100 - i)})
	}
	return g
}

// A chassisredirect port is behind the tunnels to the members, best first, as
// long as this chassis does not host it; then it is its distributed port.
func TestRedirect(t *testing.T) {
	c := start(t)
	c.item(proto.Kind_KIND_CHASSIS, "gw1", geneve("203.0.113.11"))
	c.item(proto.Kind_KIND_CHASSIS, "gw2", geneve("203.0.113.12"))
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "gw1", "hv1", "gw2"))
	c.port(6, 2, &proto.Port{Name: "cr-p", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1})
	c.round()
	c.expect(t, "cr-p", "")

	const keys = "table=37, priority=100,reg15=0x2,metadata=0x6 actions=set_field:0x6->tun_id,set_field:0x2->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],"
	c.h.SetTunnel("gw2@203.0.113.12", 12)
	c.round()
	c.expect(t, "cr-p", keys+"output:12")
	c.h.SetTunnel("gw1@203.0.113.11", 11)
	c.round()
	c.expect(t, "cr-p", keys+"bundle(eth_src,0,active_backup,ofport,members:11,12)")

	c.h.SetHosting("g", true)
	c.round()
	c.expect(t, "cr-p", "table=38, priority=100,reg15=0x2,metadata=0x6 actions=set_field:0x1->reg15,set_field:0x1/0x1->reg10,resubmit(,38)")
	if zones := c.h.Zones().All(); len(zones) != 0 {
		t.Errorf("conntrack zones %v", zones)
	}

	// The port moves to gw1: what starts here goes there already.
	const redirect = "table=38, priority=100,reg15=0x2,metadata=0x6 actions=set_field:0x1->reg15,set_field:0x1/0x1->reg10,resubmit(,38)"
	c.h.SetYielding("g", true)
	c.round()
	c.expect(t, "cr-p", redirect+"\n"+keys+"bundle(eth_src,0,active_backup,ofport,members:11)")
	c.h.SetYielding("g", false)
	c.round()
	c.expect(t, "cr-p", redirect)

	c.h.SetHosting("g", false)
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "gw2"))
	c.round()
	c.expect(t, "cr-p", keys+"output:12")
}

// With redirect-type=bridged the physical network of the switch leads to the
// gateway, where this chassis is on it.
func TestBridgedRedirect(t *testing.T) {
	c := start(t)
	c.item(proto.Kind_KIND_CHASSIS, "gw1", geneve("203.0.113.11"))
	c.h.SetTunnel("gw1@203.0.113.11", 11)
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "gw1"))
	c.port(6, 1, &proto.Port{Name: "p", Type: "patch", PeerDatapath: 7, PeerPort: 4})
	c.port(7, 4, &proto.Port{Name: "sw-p", Type: "patch", PeerDatapath: 6, PeerPort: 1})
	c.port(7, 5, &proto.Port{Name: "ln", Type: "localnet", Options: map[string]string{optionNetwork: "phys"}})
	c.port(6, 2, &proto.Port{Name: "cr-p", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1, Options: map[string]string{optionRedirectType: "bridged"}})
	c.round()
	if got := c.about("cr-p"); !strings.HasSuffix(got, "output:11") {
		t.Errorf("without the network here:\n%s", got)
	}
	c.h.SetPatch("ln", 9)
	c.round()
	got := c.about("cr-p")
	if !strings.HasPrefix(got, "table=38, priority=100,reg15=0x2,metadata=0x6 actions=set_field:0x7->metadata,set_field:0x4->reg14,set_field:0x5->reg15,set_field:0->reg10,") ||
		!strings.HasSuffix(got, "resubmit(,38)") {
		t.Errorf("with the network here:\n%s", got)
	}
}

// A flow with the guard of such a port is there while the chassis hosts it, and
// so is a unit of the port.
func TestHostingGuard(t *testing.T) {
	c := start(t)
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "hv1"))
	c.port(6, 2, &proto.Port{Name: "cr-p", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1})
	hash, body := makeBody(8, &proto.Literal{Op: proto.Literal_OP_RESIDENT, Datapath: 6, Port: 2})
	c.body(hash, body)
	c.unit(1, &proto.Unit{Body: hash[:], Datapath: 6})
	plain, body := makeBody(9)
	c.body(plain, body)
	c.unit(2, &proto.Unit{Body: plain[:], Datapath: 6, Port: 2})
	for _, hosting := range []bool{false, true, false} {
		c.h.SetHosting("g", hosting)
		c.round()
		text := c.text()
		for _, flow := range []string{"table=8, priority=50,metadata=0x6", "table=9, priority=50,metadata=0x6"} {
			if strings.Contains(text, flow) != hosting {
				t.Errorf("hosting %v: %q there: %v\n%s", hosting, flow, !hosting, text)
			}
		}
	}
}

// The members of a group of several watch each other and those who use it; the
// others watch the members.
func TestMonitored(t *testing.T) {
	c := start(t)
	for _, name := range []string{"gw1", "gw2", "hv3"} {
		c.item(proto.Kind_KIND_CHASSIS, name, geneve("203.0.113.9"))
	}
	want := func(step string, names ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(c.h.Monitored())); strings.Join(got, " ") != strings.Join(names, " ") {
			t.Errorf("%s: %v is watched, want %v", step, got, names)
		}
	}
	port := &proto.Port{Name: "cr-p", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1}
	c.port(6, 2, port)
	want("no group")
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "gw1"))
	want("one member")
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(&proto.Bfd{MinRx: 100}, "gw1", "gw2", "unknown"))
	want("an observer", "gw1", "gw2")
	if got := c.h.Monitored()["gw1"].GetMinRx(); got != 100 || c.h.Member() {
		t.Errorf("min_rx %d", got)
	}
	c.item(proto.Kind_KIND_HA_USER, state.HAUserKey(6, "hv2"), &proto.Fdb{})
	c.item(proto.Kind_KIND_HA_USER, state.HAUserKey(7, "hv3"), &proto.Fdb{})
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "gw1", "hv1"))
	want("a member", "gw1", "hv2")
	if !c.h.Member() || !c.h.TakeHA() || c.h.TakeHA() {
		t.Error("a member that is none, or changes that never end")
	}
	port.Type = "external"
	c.port(6, 2, port)
	want("a member for an external port", "gw1")
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "gw1", "gw2"))
	want("nobody to an external port")
}

func (c *chassis) unit(n int, u *proto.Unit) {
	c.t.Helper()
	id := unitID(n)
	c.item(proto.Kind_KIND_UNIT, string(id[:]), u)
}
