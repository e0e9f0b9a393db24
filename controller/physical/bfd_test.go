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
