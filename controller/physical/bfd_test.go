package physical

import (
	"net/netip"
	"testing"

	"govn/proto"
	"govn/proto/state"
)

// A session runs where the port that it depends on is resident, and ends where
// that leaves.
func TestBFD(t *testing.T) {
	c := newChassis(t)
	c.h.SetSelf("hv1")
	peer := netip.MustParseAddr("172.16.0.2")
	id := BFDID{PortID{5, 7}, peer}
	item := func(key string, s *proto.BfdSession) error {
		if s == nil {
			return c.h.Item(proto.Kind_KIND_BFD, key, nil)
		}
		return c.h.Item(proto.Kind_KIND_BFD, key, marshal(s))
	}
	key := state.BFDKey(5, 7, peer)
	if err := item(key, &proto.BfdSession{Discriminator: 1, Host: 8}); err != nil {
		t.Fatal(err)
	}
	if ch := c.round(); len(ch.Sessions) != 0 {
		t.Errorf("a session though its port is nowhere: %v", ch.Sessions)
	}
	if err := c.h.Item(proto.Kind_KIND_PORT, state.PortKey(5, 8), marshal(&proto.Port{Name: "vif", Chassis: "hv1"})); err != nil {
		t.Fatal(err)
	}
	c.h.SetInterface("vif", "tap0", 3)
	if ch := c.round(); ch.Sessions[id].GetDiscriminator() != 1 {
		t.Errorf("no session: %v", ch.Sessions)
	}
	if err := item(key, &proto.BfdSession{Discriminator: 1, Host: 8, MinTx: 100}); err != nil {
		t.Fatal(err)
	}
	if ch := c.round(); ch.Sessions[id].GetMinTx() != 100 {
		t.Errorf("not changed: %v", ch.Sessions)
	}
	c.h.SetInterface("vif", "tap0", 0)
	if s, told := c.round().Sessions[id]; s != nil || !told {
		t.Error("the session runs on")
	}
	c.h.SetInterface("vif", "tap0", 3)
	c.round()
	if err := item(key, nil); err != nil {
		t.Fatal(err)
	}
	if s, told := c.round().Sessions[id]; s != nil || !told {
		t.Error("the session is gone and runs on")
	}
	if err := item("short", &proto.BfdSession{}); err == nil {
		t.Error("a key that is none")
	}
	if err := c.h.Item(proto.Kind_KIND_BFD, key, []byte{0xff}); err == nil || len(c.h.in.sessions) != 0 {
		t.Errorf("a value that is none: %v, %v", err, c.h.in.sessions)
	}
}

// A member of an HA group that yields the ports ends their sessions at once.
func TestBFDYields(t *testing.T) {
	c := start(t)
	peer := netip.MustParseAddr("172.16.0.2")
	id := BFDID{PortID{6, 1}, peer}
	c.item(proto.Kind_KIND_HA_GROUP, "g", groupOf(nil, "hv1", "hv2"))
	c.port(6, 2, &proto.Port{Name: "cr-p", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1})
	c.item(proto.Kind_KIND_BFD, state.BFDKey(6, 1, peer), &proto.BfdSession{Discriminator: 1, Host: 2})
	if s := c.round().Sessions; len(s) != 0 {
		t.Errorf("sessions %v of a port that others host", s)
	}
	c.h.SetHosting("g", true)
	if s := c.round().Sessions; s[id] == nil {
		t.Errorf("sessions %v", s)
	}
	c.h.SetYielding("g", true)
	if s, told := c.round().Sessions[id]; s != nil || !told {
		t.Errorf("session %v while another member takes over", s)
	}
	c.h.SetYielding("g", false) // it is away again
	if s := c.round().Sessions; s[id] == nil {
		t.Errorf("sessions %v", s)
	}
	c.h.SetHosting("g", false)
	if s, told := c.round().Sessions[id]; s != nil || !told {
		t.Errorf("session %v of a port that is gone", s)
	}
}
