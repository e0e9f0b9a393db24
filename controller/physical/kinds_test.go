package physical

import (
	"strings"
	"testing"

	"govn/pkg/abi"
	"govn/proto"
)

// about is the flows of the objects with that note.
func (c *chassis) about(note string) string {
	var lines []string
	for line := range strings.Lines(c.text()) {
		if flow, ok := strings.CutSuffix(strings.TrimSpace(line), " # "+note); ok {
			lines = append(lines, flow)
		}
	}
	return strings.Join(lines, "\n")
}

func (c *chassis) expect(t *testing.T, note, want string) {
	t.Helper()
	if got := c.about(note); got != strings.TrimSpace(want) {
		t.Errorf("flows of %s:\n%s\nwant:\n%s", note, got, strings.TrimSpace(want))
	}
}

func start(t *testing.T) *chassis {
	c := newChassis(t)
	c.h.SetSelf("hv1")
	c.item(proto.Kind_KIND_CHASSIS, "hv2", geneve("203.0.113.2"))
	c.h.SetTunnel("hv2@203.0.113.2", 9)
	return c
}

// A switch with a port on a physical network that is mapped here leaves by it:
// no tunnel leads to its other ports, and none carries its broadcasts.
func TestLocalnet(t *testing.T) {
	c := start(t)
	flood := []uint32{abi.GroupFlood}
	network := map[string]string{optionNetwork: "physnet1"}
	c.port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv1", Groups: flood})
	c.port(5, 2, &proto.Port{Name: "vm2", Chassis: "hv2", Groups: flood})
	c.port(5, 3, &proto.Port{Name: "ln", Type: "localnet", Groups: flood, Options: network})
	c.port(5, 4, &proto.Port{Name: "other", Type: "localnet", Tag: 20, Groups: flood, Options: network})
	c.h.SetInterface("vm1", "tap1", 3)
	c.round()
	const tunnelled = `
table=37, priority=100,reg15=0x2,metadata=0x5 actions=set_field:0x5->tun_id,set_field:0x2->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9`
	c.expect(t, "vm2", tunnelled)
	c.expect(t, "ln", "")

	c.h.SetPatch("ln", 7)
	c.round()
	c.expect(t, "vm2", "table=38, priority=100,reg15=0x2,metadata=0x5 actions=set_field:0x3->reg15,resubmit(,38)")
	c.expect(t, "other", "table=38, priority=100,reg15=0x4,metadata=0x5 actions=set_field:0x3->reg15,resubmit(,38)")
	c.expect(t, "group 5/32768", `
table=38, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0x1->reg13,set_field:0x1->reg15,resubmit(,39),set_field:0x2->reg13,set_field:0x3->reg15,resubmit(,39),set_field:0x8000->reg15`)
	c.expect(t, "ln", `
table=0, priority=100,in_port=7,vlan_tci=0x0000/0x1fff actions=set_field:0x2->reg13,set_field:0x5->metadata,set_field:0x3->reg14,resubmit(,8)
table=0, priority=100,in_port=7,dl_vlan=0 actions=pop_vlan,set_field:0x2->reg13,set_field:0x5->metadata,set_field:0x3->reg14,resubmit(,8)
table=38, priority=100,reg15=0x3,metadata=0x5 actions=set_field:0x2->reg13,resubmit(,39)
table=39, priority=100,reg10=0/0x1,reg14=0x3,reg15=0x3,metadata=0x5 actions=drop
table=39, priority=160,reg10=0x10/0x10,reg15=0x3,metadata=0x5 actions=drop
table=39, priority=160,reg10=0x400/0x400,reg15=0x3,metadata=0x5 actions=drop
table=65, priority=100,reg15=0x3,metadata=0x5 actions=output:7`)

	// A second network of the switch on this chassis does not take over.
	c.h.SetPatch("other", 8)
	c.round()
	c.expect(t, "vm2", "table=38, priority=100,reg15=0x2,metadata=0x5 actions=set_field:0x3->reg15,resubmit(,38)")
	if got := c.about("other"); !strings.Contains(got, "in_port=8,dl_vlan=20 actions=pop_vlan,") || !strings.Contains(got, "push_vlan:0x8100,set_field:4116->vlan_vid,output:8,pop_vlan") {
		t.Errorf("the tagged network:\n%s", got)
	}
	c.h.SetPatch("ln", 0)
	c.h.SetPatch("other", 0)
	c.round()
	c.expect(t, "vm2", tunnelled)
	if got := len(c.h.Provided()); got != 2 {
		t.Errorf("%d localnet ports, want 2", got)
	}
}

// With vlan-passthru an untagged localnet port takes frames of every VLAN.
func TestLocalnetPassthru(t *testing.T) {
	c := start(t)
	c.port(5, 3, &proto.Port{Name: "ln", Type: "localnet", Options: map[string]string{optionNetwork: "a", optionPassthru: "true"}})
	c.h.SetPatch("ln", 7)
	c.round()
	if got := c.about("ln"); strings.Count(got, "in_port=7") != 1 || strings.Contains(got, "vlan") {
		t.Errorf("flows:\n%s", got)
	}
}

// A localport is here wherever its interface is, gets what this chassis floods,
// and nothing of it goes to another chassis.
func TestLocalport(t *testing.T) {
	c := start(t)
	flood := []uint32{abi.GroupFlood}
	c.port(5, 1, &proto.Port{Name: "lp", Type: "localport", Groups: flood})
	c.port(5, 2, &proto.Port{Name: "vm2", Chassis: "hv2", Groups: flood})
	c.round()
	c.expect(t, "lp", "")
	c.h.SetInterface("lp", "tap1", 3)
	c.round()
	c.expect(t, "lp", `
table=0, priority=100,in_port=3 actions=set_field:0x1->reg13,set_field:0x5->metadata,set_field:0x1->reg14,set_field:0x400/0x400->reg10,resubmit(,8)
table=38, priority=100,reg15=0x1,metadata=0x5 actions=set_field:0x1->reg13,resubmit(,39)
table=39, priority=100,reg10=0/0x1,reg14=0x1,reg15=0x1,metadata=0x5 actions=drop
table=37, priority=150,reg14=0x1,metadata=0x5 actions=resubmit(,38)
table=65, priority=100,reg15=0x1,metadata=0x5 actions=output:3`)
	c.expect(t, "group 5/32768", `
table=37, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0x1->reg13,set_field:0x1->reg15,resubmit(,39),set_field:0x8000->reg15,set_field:0x5->tun_id,set_field:0x8000->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9,resubmit(,38)`)
}

// A nested port is a VLAN of its parent's interface, in whatever switch.
func TestNested(t *testing.T) {
	c := start(t)
	c.port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv1"})
	c.port(6, 2, &proto.Port{Name: "c1", Chassis: "hv1", Parent: "vm1", Tag: 10})
	c.port(6, 3, &proto.Port{Name: "c2", Chassis: "hv1", Parent: "vm1"}) // no tag yet
	c.h.SetInterface("vm1", "tap1", 3)
	c.round()
	c.expect(t, "c1", `
table=0, priority=150,in_port=3,dl_vlan=10 actions=pop_vlan,set_field:0x1->reg13,set_field:0x6->metadata,set_field:0x2->reg14,set_field:0x20/0x20->reg10,resubmit(,8)
table=38, priority=100,reg15=0x2,metadata=0x6 actions=set_field:0x1->reg13,resubmit(,39)
table=39, priority=100,reg10=0/0x1,reg14=0x2,reg15=0x2,metadata=0x6 actions=drop
table=64, priority=100,reg15=0x2,metadata=0x6 actions=push:NXM_OF_IN_PORT[],set_field:ANY->in_port,resubmit(,65),pop:NXM_OF_IN_PORT[]
table=65, priority=100,reg15=0x2,metadata=0x6 actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:3,pop_vlan`)
	c.expect(t, "c2", "")
	if got := c.h.Resident(); len(got) != 1 || got["tap1"] != "vm1" {
		t.Errorf("interfaces serve %v", got)
	}
	c.h.SetInterface("vm1", "tap1", 0)
	c.round()
	c.expect(t, "c1", "")
}
