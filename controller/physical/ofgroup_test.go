package physical

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// selectGroup puts a group of a datapath whose buckets watch ports of it.
func (c *chassis) selectGroup(dp, id uint32, watch ...uint32) {
	m := &proto.Group{Type: proto.Group_TYPE_SELECT, SelectionMethod: "dp_hash"}
	for i, p := range watch {
		m.Buckets = append(m.Buckets, &proto.Bucket{Id: uint32(i), Weight: 1, WatchDatapath: dp, WatchPort: p,
			Actions: openflow.EncodeActions([]openflow.Action{openflow.ToTable(37)})})
	}
	c.item(proto.Kind_KIND_GROUP, state.GroupKey(dp, id), m)
}

// watching is what the buckets of a group watch, and who is watched by that.
func (c *chassis) watching(id uint32) string {
	var ports []uint32
	if g := c.h.OFGroup(id); g != nil {
		for _, b := range g.Desc.Buckets {
			ports = append(ports, b.WatchPort)
		}
	}
	return fmt.Sprint(ports, slices.Sorted(maps.Keys(c.h.Watched())))
}

// TestWatch follows the ports that buckets watch: here, elsewhere, nowhere. BFD
// runs to the chassis of such a port where this one has ports of the switch, and
// to all chassis with ports of the switch where such a port is here.
func TestWatch(t *testing.T) {
	c := newChassis(t)
	const id = abi.MinAllocatedGroup
	c.h.SetSelf("hv1")
	for n, name := range []string{"hv2", "hv3"} {
		ip := fmt.Sprintf("203.0.113.%d", n+2)
		c.item(proto.Kind_KIND_CHASSIS, name, geneve(ip))
		c.h.SetTunnel(name+"@"+ip, 12+n)
	}
	c.port(5, 1, &proto.Port{Name: "c1", Chassis: "hv2"})
	c.port(5, 2, &proto.Port{Name: "c2"})
	c.selectGroup(5, id, 1, 2)
	c.round()
	if got := c.watching(id); got != "[12] []" {
		t.Errorf("without a port here: %s", got)
	}
	c.port(5, 3, &proto.Port{Name: "vm", Chassis: "hv1"})
	c.h.SetInterface("vm", "tap-vm", 7)
	c.round()
	if got := c.watching(id); got != "[12] [hv2]" {
		t.Errorf("with a port here: %s", got)
	}
	c.port(5, 2, &proto.Port{Name: "c2", Chassis: "hv1"})
	c.h.SetInterface("c2", "tap-c2", 8)
	c.port(5, 4, &proto.Port{Name: "other", Chassis: "hv3"})
	c.round()
	if got := c.watching(id); got != "[12 8] [hv2 hv3]" {
		t.Errorf("with a watched port here: %s", got)
	}
	// A group that another datapath has, too, is there until none has it.
	c.selectGroup(6, id+1)
	c.selectGroup(5, id+1)
	c.round()
	if g := c.h.OFGroup(id + 1); g == nil || g.Datapath != 5 {
		t.Errorf("a shared group: %+v", g)
	}
	c.item(proto.Kind_KIND_GROUP, state.GroupKey(5, id+1), nil)
	c.round()
	if g := c.h.OFGroup(id + 1); g == nil || g.Datapath != 6 {
		t.Errorf("a shared group that one has still: %+v", g)
	}
	c.item(proto.Kind_KIND_GROUP, state.GroupKey(6, id+1), nil)
	c.item(proto.Kind_KIND_GROUP, state.GroupKey(5, id), nil)
	c.round()
	if c.h.OFGroup(id+1) != nil || c.h.OFGroup(id) != nil || c.watching(id) != "[] []" {
		t.Errorf("groups are left: %s", c.watching(id))
	}
}

// TestGroupItems: what cannot be a group is refused, and harms nobody.
func TestGroupItems(t *testing.T) {
	c := newChassis(t)
	for name, bad := range map[string]func() error{
		"a foreign id": func() error {
			return c.h.Item(proto.Kind_KIND_GROUP, state.GroupKey(5, 7), marshal(&proto.Group{Type: 1}))
		},
		"a short key": func() error { return c.h.Item(proto.Kind_KIND_GROUP, "5", marshal(&proto.Group{Type: 1})) },
		"no message": func() error {
			return c.h.Item(proto.Kind_KIND_GROUP, state.GroupKey(5, abi.MinAllocatedGroup), []byte{0xff})
		},
		"no type": func() error {
			return c.h.Item(proto.Kind_KIND_GROUP, state.GroupKey(5, abi.MinAllocatedGroup), marshal(&proto.Group{}))
		},
		"an unknown field": func() error {
			return c.h.Item(proto.Kind_KIND_GROUP, state.GroupKey(5, abi.MinAllocatedGroup), marshal(&proto.Group{Type: 2, Fields: []string{"nope"}}))
		},
		"malformed actions": func() error {
			return c.h.Item(proto.Kind_KIND_GROUP, state.GroupKey(5, abi.MinAllocatedGroup), marshal(&proto.Group{Type: 2, Buckets: []*proto.Bucket{{Actions: []byte{1}}}}))
		},
	} {
		if err := bad(); err == nil {
			t.Errorf("%s is no error", name)
		}
		c.round()
		if g := c.h.OFGroup(abi.MinAllocatedGroup); g != nil {
			t.Errorf("%s makes a group: %+v", name, g)
		}
	}
}
