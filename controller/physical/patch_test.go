package physical

import (
	"strings"
	"testing"

	"govn/proto"
	"govn/proto/state"
)

// crossed is a chassis with the port vm1 of switch 5, which router 6 is on, and
// the router's port to switch 7.
func crossed(t *testing.T) *chassis {
	t.Helper()
	c := newChassis(t)
	c.h.SetSelf("hv1")
	router := []byte{0x33, 0x95, 0x9a, 0x0f, 0xdc, 0x1d, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}
	c.item(proto.Kind_KIND_DATAPATH, state.DatapathKey(5), &proto.Datapath{Name: "sw5", Type: "logical-switch"})
	c.item(proto.Kind_KIND_DATAPATH, state.DatapathKey(6), &proto.Datapath{Name: "r6", Type: "logical-router", Uuid: router})
	c.item(proto.Kind_KIND_DATAPATH, state.DatapathKey(7), &proto.Datapath{Name: "sw7", Type: "logical-switch"})
	c.port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv1", Up: true, Groups: []uint32{32768}})
	c.port(5, 2, &proto.Port{Name: "sw5-r6", Type: "patch", PeerDatapath: 6, PeerPort: 1, Groups: []uint32{32768}})
	c.port(6, 1, &proto.Port{Name: "r6-sw5", Type: "patch", PeerDatapath: 5, PeerPort: 2})
	c.port(6, 2, &proto.Port{Name: "r6-sw7", Type: "patch", PeerDatapath: 7, PeerPort: 1})
	c.port(7, 1, &proto.Port{Name: "sw7-r6", Type: "patch", PeerDatapath: 6, PeerPort: 2})
	c.h.SetInterface("vm1", "v1", 3)
	return c
}

// A packet that is output to a patch port enters the datapath of the peer as if
// it came in by the peer: nothing of the first datapath is left in registers, and
// the zones are those of the second.
func TestCrossing(t *testing.T) {
	c := crossed(t)
	ch := c.round()
	text := c.text()
	dnat, snat := ch.Zones["33959a0f-dc1d-4000-8000-000000000001_dnat"], ch.Zones["33959a0f-dc1d-4000-8000-000000000001_snat"]
	if dnat == 0 || snat == 0 || dnat == snat || len(ch.Zones) != 3 {
		t.Fatalf("zones %v, want one of vm1 and two of the router", ch.Zones)
	}
	const clear = "set_field:0->reg10,set_field:0->reg15,set_field:0->reg0,set_field:0->reg1,set_field:0->reg2,set_field:0->reg3," +
		"set_field:0->reg4,set_field:0->reg5,set_field:0->reg6,set_field:0->reg7,set_field:0->reg8,set_field:0->reg9,resubmit(,8))"
	for _, want := range []string{
		// into the router
		"table=65, priority=100,reg15=0x2,metadata=0x5 actions=clone(ct_clear,set_field:" + hex(dnat) + "->reg11,set_field:" + hex(snat) +
			"->reg12,set_field:0->reg13,set_field:0x6->metadata,set_field:0x1->reg14," + clear,
		// out of it
		"table=65, priority=100,reg15=0x2,metadata=0x6 actions=clone(ct_clear,set_field:0->reg11,set_field:0->reg12,set_field:0->reg13," +
			"set_field:0x7->metadata,set_field:0x1->reg14," + clear,
		// the egress pipeline of the router has its zones, however the packet came
		"table=38, priority=100,reg15=0x2,metadata=0x6 actions=set_field:" + hex(dnat) + "->reg11,set_field:" + hex(snat) + "->reg12,set_field:0->reg13,resubmit(,39)",
		"table=39, priority=100,reg10=0/0x1,reg14=0x2,reg15=0x2,metadata=0x6 actions=drop",
		// a flood reaches the router on the chassis that sends, and by no tunnel
		"table=37, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0->reg13,set_field:0x2->reg15,resubmit(,39),set_field:0x8000->reg15,resubmit(,38)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no flow %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "table=38, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0->reg13,set_field:0x2") {
		t.Errorf("what comes by a tunnel is given to the router again:\n%s", text)
	}
}

func hex(n int) string {
	const digits = "0123456789abcdef"
	return "0x" + digits[n:n+1]
}

// A patch port is nowhere while its peer is not here, or says otherwise; the
// zones of a router go with it.
func TestCrossingNeedsPeer(t *testing.T) {
	c := crossed(t)
	c.round()
	whole := c.text()
	for _, peer := range []*proto.Port{nil, {Name: "sw7-r6", Type: "patch", PeerDatapath: 6, PeerPort: 9}, {Name: "sw7-r6", PeerDatapath: 6, PeerPort: 2}} {
		c.port(7, 1, peer)
		c.round()
		if text := c.text(); strings.Contains(text, "# r6-sw7") || !strings.Contains(text, "# r6-sw5") {
			t.Errorf("with the peer %v:\n%s", peer, text)
		}
		if got := c.h.Placed(PortID{6, 2}).Where; got != Nowhere {
			t.Errorf("with the peer %v the port is placed %v", peer, got)
		}
	}
	c.port(7, 1, &proto.Port{Name: "sw7-r6", Type: "patch", PeerDatapath: 6, PeerPort: 2})
	c.round()
	if got := c.text(); got != whole {
		t.Errorf("with the peer again:\n%s\nbefore:\n%s", got, whole)
	}
	for _, port := range []PortID{{6, 1}, {6, 2}} {
		c.port(port.Datapath, port.Port, nil)
	}
	c.item(proto.Kind_KIND_DATAPATH, state.DatapathKey(6), nil)
	c.round()
	if zones := c.h.Zones().All(); len(zones) != 1 || zones["vm1"] == 0 {
		t.Errorf("zones %v, want that of vm1 alone", zones)
	}
	if strings.Contains(c.text(), "table=65, priority=100,reg15=0x2") {
		t.Errorf("crossings are left:\n%s", c.text())
	}
}
