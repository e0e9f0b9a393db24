package physical

import (
	"net/netip"
	"strings"
	"testing"

	"govn/proto"
	"govn/proto/state"
)

func (c *chassis) neighbour(ip string, fixed bool, v *proto.NeighbourValue) {
	c.t.Helper()
	var value []byte
	if v != nil {
		value = marshal(v)
	}
	if err := c.h.Item(proto.Kind_KIND_NEIGHBOUR, state.NeighbourKey(3, 2, netip.MustParseAddr(ip), fixed), value); err != nil {
		c.t.Fatalf("neighbour %s: %v", ip, err)
	}
	c.round()
}

func TestNeighbourFlows(t *testing.T) {
	c := newChassis(t)
	c.round()
	empty := c.text()
	c.neighbour("20.0.0.9", false, &proto.NeighbourValue{Mac: 0x0a0000000001})
	c.neighbour("fd02::9", false, &proto.NeighbourValue{Mac: 0x0a0000000002})
	want := `
table=66, priority=100,ip,reg0=0x14000009,reg15=0x2,metadata=0x3 actions=set_field:0a:00:00:00:00:01->eth_dst # neighbour 3/2 20.0.0.9
table=67, priority=50,arp,reg0=0x14000009,reg14=0x2,metadata=0x3 actions=set_field:0x4000000/0x4000000->reg10 # neighbour 3/2 20.0.0.9
table=67, priority=100,arp,reg0=0x14000009,reg14=0x2,metadata=0x3,dl_src=0a:00:00:00:00:01 actions=set_field:0x4000000/0x4000000->reg10,set_field:0x40/0x40->reg10 # neighbour 3/2 20.0.0.9
table=66, priority=100,ipv6,reg0=0xfd020000,reg1=0,reg2=0,reg3=0x9,reg15=0x2,metadata=0x3 actions=set_field:0a:00:00:00:00:02->eth_dst # neighbour 3/2 fd02::9
table=67, priority=50,ipv6,reg0=0xfd020000,reg1=0,reg2=0,reg3=0x9,reg14=0x2,metadata=0x3 actions=set_field:0x4000000/0x4000000->reg10 # neighbour 3/2 fd02::9
table=67, priority=100,ipv6,reg0=0xfd020000,reg1=0,reg2=0,reg3=0x9,reg14=0x2,metadata=0x3,dl_src=0a:00:00:00:00:02 actions=set_field:0x4000000/0x4000000->reg10,set_field:0x40/0x40->reg10 # neighbour 3/2 fd02::9
`
	var got []string
	for _, line := range strings.Split(c.text(), "\n") {
		if strings.Contains(line, "# neighbour") {
			got = append(got, line)
		}
	}
	if strings.Join(got, "\n") != strings.TrimSpace(want) {
		t.Errorf("flows\n%s\nwant%s", strings.Join(got, "\n"), want)
	}
	c.neighbour("20.0.0.9", false, nil)
	c.neighbour("fd02::9", false, nil)
	if c.text() != empty {
		t.Errorf("left after removal:\n%s", c.text())
	}
	if err := c.h.Item(proto.Kind_KIND_NEIGHBOUR, "short", nil); err == nil {
		t.Error("a key of five bytes is taken")
	}
}

// TestNeighbourSources: which of several Ethernet addresses holds.
func TestNeighbourSources(t *testing.T) {
	id := NeighbourID{3, 2, netip.MustParseAddr("20.0.0.9")}
	c := newChassis(t)
	if err := c.h.Item(proto.Kind_KIND_DATAPATH, state.DatapathKey(3), marshal(&proto.Datapath{Name: "r1"})); err != nil {
		t.Fatal(err)
	}
	holds := func(what string, mac uint64) {
		t.Helper()
		if got, _ := c.h.Neighbour(id); got != mac {
			t.Errorf("%s: %x, want %x", what, got, mac)
		}
		text := c.text()
		get := "table=66, priority=100,ip,reg0=0x14000009,reg15=0x2,metadata=0x3 actions=set_field:0a:00:00:00:00:0" + string(rune('0'+mac&0xf))
		if mac != 0 && !strings.Contains(text, get) {
			t.Errorf("%s: no %q in\n%s", what, get, text)
		}
		if mac == 0 && strings.Contains(text, "table=66") {
			t.Errorf("%s: flows\n%s", what, text)
		}
	}
	c.neighbour("20.0.0.9", true, &proto.NeighbourValue{Mac: 0x0a0000000001})
	holds("fixed", 0x0a0000000001)
	c.neighbour("20.0.0.9", false, &proto.NeighbourValue{Mac: 0x0a0000000002})
	holds("learned over fixed", 0x0a0000000002)
	c.h.SetHeard(id, 0x0a0000000003)
	c.round()
	holds("heard over learned", 0x0a0000000003)
	if c.h.HeardIn(3) != 1 {
		t.Error("not counted")
	}
	c.neighbour("20.0.0.9", true, &proto.NeighbourValue{Mac: 0x0a0000000001, Override: true})
	holds("fixed with override", 0x0a0000000001)
	if !strings.Contains(c.text(), "table=67, priority=50,arp,reg0=0x14000009,reg14=0x2,metadata=0x3 actions=set_field:0x4000000/0x4000000->reg10,set_field:0x40/0x40->reg10") {
		t.Errorf("others are listened to:\n%s", c.text())
	}
	c.neighbour("20.0.0.9", true, nil)
	c.neighbour("20.0.0.9", false, &proto.NeighbourValue{Mac: 0x0a0000000004})
	holds("northd's word supersedes what was heard", 0x0a0000000004)
	c.neighbour("20.0.0.9", false, nil)
	holds("deleted", 0)
	c.h.SetHeard(id, 0x0a0000000003)
	c.round()
	if err := c.h.Item(proto.Kind_KIND_DATAPATH, state.DatapathKey(3), nil); err != nil {
		t.Fatal(err)
	}
	c.round()
	holds("the router left", 0)
	if c.h.HeardIn(3) != 0 || len(c.h.Heard()) != 0 {
		t.Error("something heard is left")
	}
	c.h.SetHeard(id, 0x0a0000000003)
	c.h.SetHeard(NeighbourID{3, 4, id.IP}, 0x0a0000000003)
	if err := c.h.Item(proto.Kind_KIND_PORT, state.PortKey(3, 2), nil); err != nil {
		t.Fatal(err)
	}
	c.round()
	if mac, _ := c.h.Neighbour(id); mac != 0 || c.h.HeardIn(3) != 1 {
		t.Errorf("the port left: %x, %d heard on others", mac, c.h.HeardIn(3))
	}
}

// TestStandsFor finds the port that stands for a router port.
func TestStandsFor(t *testing.T) {
	c := newChassis(t)
	put := func(port uint32, m *proto.Port) {
		var value []byte
		if m != nil {
			value = marshal(m)
		}
		if err := c.h.Item(proto.Kind_KIND_PORT, state.PortKey(3, port), value); err != nil {
			t.Fatal(err)
		}
	}
	at := PortID{3, 2}
	put(2, &proto.Port{Name: "rp2", Type: "patch"})
	if got := c.h.Redirect(at); got != 2 {
		t.Error(got)
	}
	put(5, &proto.Port{Name: "cr-rp2", Type: "chassisredirect", Distributed: 2})
	if got := c.h.Redirect(at); got != 5 {
		t.Error(got)
	}
	put(5, nil)
	if got := c.h.Redirect(at); got != 2 {
		t.Error(got)
	}
}
