package physical

import (
	"strings"
	"testing"

	"govn/proto"
)

const (
	routerMAC = 0x00002020ff01
	ownMAC    = 0xaabbcc000101
	otherMAC  = 0xaabbcc000201
)

// What a distributed router sends to a VLAN comes from the chassis' address, and
// what comes in from the address of another chassis is the router's.
func TestChassisMACs(t *testing.T) {
	c := start(t)
	network := map[string]string{optionNetwork: "physnet1"}
	c.port(5, 3, &proto.Port{Name: "ln", Type: "localnet", Tag: 20, Options: network})
	c.port(5, 4, &proto.Port{Name: "to-lr", Type: "patch", PeerDatapath: 9, PeerPort: 1, Mac: routerMAC})
	c.h.SetPatch("ln", 7)
	hv2 := geneve("203.0.113.2")
	hv2.Macs = []uint64{otherMAC}
	c.item(proto.Kind_KIND_CHASSIS, "hv2", hv2)
	c.round()
	const back = `
table=0, priority=180,in_port=7,dl_vlan=20 actions=conjunction(100,2/2)
table=0, priority=180,conj_id=100,in_port=7,dl_vlan=20 actions=pop_vlan,set_field:00:00:20:20:ff:01->eth_src,set_field:0x1->reg13,set_field:0x5->metadata,set_field:0x3->reg14,resubmit(,8)`
	const forth = `
table=65, priority=150,reg15=0x3,metadata=0x5,dl_src=00:00:20:20:ff:01 actions=set_field:aa:bb:cc:00:01:01->eth_src,push_vlan:0x8100,set_field:4116->vlan_vid,output:7,pop_vlan,set_field:00:00:20:20:ff:01->eth_src`
	special := func(want string) {
		t.Helper()
		var got []string
		for line := range strings.Lines(c.about("ln")) {
			if strings.Contains(line, "priority=180") || strings.Contains(line, "table=65, priority=150") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if strings.Join(got, "\n") != strings.TrimSpace(want) {
			t.Errorf("flows:\n%s\nwant:%s", strings.Join(got, "\n"), want)
		}
	}
	c.expect(t, "chassis hv2", "table=0, priority=180,dl_src=aa:bb:cc:00:02:01 actions=conjunction(100,1/2)")
	special(back) // this chassis has no address of its own
	c.h.SetMACMappings(map[string]uint64{"physnet1": ownMAC, "physnet2": 1})
	c.round()
	special(forth + back)

	// A distributed gateway port is where its chassisredirect port is.
	c.port(5, 4, &proto.Port{Name: "to-lr", Type: "patch", PeerDatapath: 9, PeerPort: 1, Mac: routerMAC, GatewayPort: 2})
	c.item(proto.Kind_KIND_HA_GROUP, "g", &proto.HAGroup{Members: []*proto.HAMember{{Chassis: "hv1"}, {Chassis: "hv2"}}})
	c.port(9, 2, &proto.Port{Name: "cr-lr", Type: "chassisredirect", HaGroup: []byte("g"), Distributed: 1})
	c.round()
	special(forth)
	c.h.SetHosting("g", true)
	c.round()
	special(back)

	c.port(5, 4, nil)
	c.item(proto.Kind_KIND_CHASSIS, "hv2", geneve("203.0.113.2"))
	c.round()
	special("")
	c.expect(t, "chassis hv2", "")
	if len(c.h.routers) != 0 {
		t.Errorf("routers left: %v", c.h.routers)
	}
}
