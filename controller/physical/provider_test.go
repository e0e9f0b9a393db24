package physical

import (
	"strings"
	"testing"

	"govn/pkg/abi"
	"govn/proto"
)

// The tag of a localnet port is of 802.1ad where ethtype says so.
func TestLocalnetEthType(t *testing.T) {
	c := start(t)
	for name, ethType := range map[string]string{"": "0x8100", "802.11q": "0x8100", "802.11ad": "0x88a8"} {
		c.port(5, 3, &proto.Port{Name: "ln", Type: "localnet", Tag: 20, Options: map[string]string{optionNetwork: "a", optionEthType: name}})
		c.h.SetPatch("ln", 7)
		c.round()
		if got := c.about("ln"); !strings.Contains(got, "push_vlan:"+ethType+",set_field:4116->vlan_vid,output:7,pop_vlan") ||
			!strings.Contains(got, "in_port=7,dl_vlan=20 actions=pop_vlan,") {
			t.Errorf("ethtype %q:\n%s", name, got)
		}
	}
}

// An l2gateway port is a patch port on the chassis that it is bound to, and
// behind a tunnel for the others. Unlike a localnet port it leads to no other
// port, and what stays on a chassis may leave by it.
func TestL2Gateway(t *testing.T) {
	c := start(t)
	flood := []uint32{abi.GroupFlood}
	port := func(chassis string) {
		c.port(5, 3, &proto.Port{Name: "gw", Type: "l2gateway", Chassis: chassis, Tag: 30, Groups: flood, Options: map[string]string{optionNetwork: "a"}})
	}
	c.port(5, 2, &proto.Port{Name: "vm2", Chassis: "hv2", Groups: flood})
	c.h.SetPatch("gw", 7)
	port("hv2")
	c.round()
	c.expect(t, "gw", `
table=37, priority=100,reg15=0x3,metadata=0x5 actions=set_field:0x5->tun_id,set_field:0x3->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9`)
	if n := len(c.h.Provided()); n != 0 {
		t.Errorf("%d patch ports are wanted where the port is not", n)
	}
	port("hv1")
	c.round()
	c.expect(t, "gw", `
table=0, priority=150,in_port=7,dl_vlan=30 actions=pop_vlan,set_field:0x1->reg13,set_field:0x5->metadata,set_field:0x3->reg14,resubmit(,8)
table=38, priority=100,reg15=0x3,metadata=0x5 actions=set_field:0x1->reg13,resubmit(,39)
table=39, priority=100,reg10=0/0x1,reg14=0x3,reg15=0x3,metadata=0x5 actions=drop
table=65, priority=100,reg15=0x3,metadata=0x5 actions=push_vlan:0x8100,set_field:4126->vlan_vid,output:7,pop_vlan`)
	if got := c.about("vm2"); !strings.Contains(got, "output:9") {
		t.Errorf("another port is not behind its tunnel:\n%s", got)
	}
	if got := c.h.Provided(); len(got) != 1 || !IsL2Gateway(got[0]) {
		t.Errorf("patch ports wanted: %v", got)
	}
	port("")
	c.round()
	c.expect(t, "gw", "")
}

// A virtual port is the interface of the port that has its address.
func TestVirtualPort(t *testing.T) {
	c := start(t)
	virtual := func(chassis, parent string) {
		c.port(5, 3, &proto.Port{Name: "vip", Type: "virtual", Chassis: chassis, Parent: parent})
	}
	c.port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv1"})
	c.h.SetInterface("vm1", "tap1", 3)
	virtual("hv1", "vm1")
	c.round()
	c.expect(t, "vip", `
table=38, priority=100,reg15=0x3,metadata=0x5 actions=set_field:0x1->reg13,resubmit(,39)
table=39, priority=100,reg10=0/0x1,reg14=0x3,reg15=0x3,metadata=0x5 actions=drop
table=65, priority=100,reg15=0x3,metadata=0x5 actions=output:3`)
	if got := c.h.Resident(); got["tap1"] != "vm1" {
		t.Errorf("interfaces serve %v", got)
	}
	virtual("hv2", "vm2")
	c.round()
	if got := c.about("vip"); !strings.HasPrefix(got, "table=37") || !strings.HasSuffix(got, "output:9") {
		t.Errorf("on another chassis:\n%s", got)
	}
	virtual("", "")
	c.round()
	c.expect(t, "vip", "")
}
