package physical

import (
	"strings"
	"testing"

	"govn/pkg/abi"
	"govn/proto"
)

const keysOfVM = "set_field:0x5->tun_id,set_field:0x1->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30]"

// While a port is on two chassis, a third one sends to both, each of the two
// delivers here and sends to the other, and a flood reaches all three.
func TestAdditionalChassis(t *testing.T) {
	c := start(t)
	c.item(proto.Kind_KIND_CHASSIS, "hv3", geneve("203.0.113.3"))
	c.h.SetTunnel("hv3@203.0.113.3", 10)
	flood := []uint32{abi.GroupFlood}
	vm := func(chassis string, more ...string) {
		c.port(5, 1, &proto.Port{Name: "vm", Chassis: chassis, AdditionalChassis: more, Groups: flood})
	}
	c.port(5, 4, &proto.Port{Name: "here", Chassis: "hv1", Groups: flood})
	c.h.SetInterface("here", "tap4", 4)
	floods := func(outputs string) {
		t.Helper()
		if got := c.about("group 5/32768"); !strings.Contains(got, "TUN_METADATA0[16..30],"+outputs+",resubmit(,38)") {
			t.Errorf("a flood is not sent to %s:\n%s", outputs, got)
		}
	}
	vm("hv2", "hv3")
	c.round()
	c.expect(t, "vm", "table=37, priority=100,reg15=0x1,metadata=0x5 actions="+keysOfVM+",output:9,output:10")
	floods("output:9,output:10")

	vm("hv2", "hv1") // this one is to be its next
	c.h.SetInterface("vm", "tap1", 3)
	c.round()
	if got := c.about("vm"); !strings.Contains(got, "table=37, priority=100,reg15=0x1,metadata=0x5 actions="+keysOfVM+",output:9,resubmit(,38)") ||
		!strings.Contains(got, "in_port=3 actions=") || strings.Contains(got, "0x8000000") {
		t.Errorf("here and there:\n%s", got)
	}
	floods("output:9")
	if got := c.h.Resident(); got["tap1"] != "vm" {
		t.Errorf("interfaces serve %v", got)
	}

	vm("hv1")
	c.round()
	if got := c.about("vm"); strings.Contains(got, "table=37") {
		t.Errorf("here alone:\n%s", got)
	}
	if got := c.about("group 5/32768"); strings.Contains(got, "output") {
		t.Errorf("a flood leaves to nobody:\n%s", got)
	}
}

// Each chassis of a port is reached by the encapsulation that the port asks for
// there, if there is a tunnel to that, else by another one.
func TestEncapOfAdditionalChassis(t *testing.T) {
	c := start(t)
	c.item(proto.Kind_KIND_CHASSIS, "hv4", geneve("203.0.113.4", "203.0.113.40"))
	c.item(proto.Kind_KIND_CHASSIS, "hv5", geneve("203.0.113.5", "203.0.113.50"))
	for id, ofport := range map[string]int{"hv4@203.0.113.4": 14, "hv4@203.0.113.40": 24, "hv5@203.0.113.5": 15, "hv5@203.0.113.50": 25} {
		c.h.SetTunnel(id, ofport)
	}
	for _, tt := range []struct{ main, additional, want string }{
		{"", "", "output:14,output:15"},
		{"203.0.113.40", "", "output:24,output:15"},
		{"203.0.113.40", "hv5@203.0.113.50", "output:24,output:25"},
		{"", "hv5@203.0.113.99", "output:14,output:15"},
		{"", "hv6@203.0.113.50", "output:14,output:15"},
	} {
		c.port(5, 1, &proto.Port{Name: "vm", Chassis: "hv4", EncapIp: tt.main, AdditionalChassis: []string{"hv5"}, AdditionalEncaps: []string{tt.additional}})
		c.round()
		c.expect(t, "vm", "table=37, priority=100,reg15=0x1,metadata=0x5 actions="+keysOfVM+","+tt.want)
	}
}

// On a switch of a physical network, a port on two chassis is reached by
// tunnels, and reaches others by tunnels, while they reach each other by the
// network, which also brings the floods.
func TestAdditionalChassisOnLocalnet(t *testing.T) {
	c := start(t)
	flood := []uint32{abi.GroupFlood}
	c.port(5, 1, &proto.Port{Name: "vm", Chassis: "hv2", AdditionalChassis: []string{"hv1"}, Groups: flood})
	c.port(5, 2, &proto.Port{Name: "far", Chassis: "hv2", Groups: flood})
	c.port(5, 3, &proto.Port{Name: "ln", Type: "localnet", Groups: flood, Options: map[string]string{optionNetwork: "a"}})
	c.h.SetInterface("vm", "tap1", 3)
	c.h.SetPatch("ln", 7)
	c.round()
	c.expect(t, "far", `
table=38, priority=100,reg15=0x2,metadata=0x5 actions=set_field:0x3->reg15,resubmit(,38)
table=37, priority=110,reg10=0x8000000/0x8000000,reg15=0x2,metadata=0x5 actions=set_field:0x5->tun_id,set_field:0x2->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9`)
	if got := c.about("vm"); !strings.Contains(got, "table=37, priority=100,reg15=0x1,metadata=0x5 actions="+keysOfVM+",output:9,resubmit(,38)") ||
		!strings.Contains(got, "set_field:0x8000000/0x8000000->reg10,resubmit(,8)") {
		t.Errorf("the port:\n%s", got)
	}
	if got := c.about("group 5/32768"); strings.Contains(got, "table=37") {
		t.Errorf("a flood goes through tunnels:\n%s", got)
	}
	c.port(5, 1, &proto.Port{Name: "vm", Chassis: "hv2", Groups: flood}) // it stays there
	c.round()
	for _, name := range []string{"far", "vm"} {
		if got := c.about(name); strings.Contains(got, "output:9") {
			t.Errorf("%s is not reached by the network:\n%s", name, got)
		}
	}
}
