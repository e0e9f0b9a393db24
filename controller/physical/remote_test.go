package physical

import (
	"testing"

	"govn/pkg/abi"
	"govn/proto"
)

// Ports of another zone are told apart in a flood: that zone does not know our
// groups, and its router takes what is sent to the port.
func TestRemotePorts(t *testing.T) {
	c := start(t)
	flood := []uint32{abi.GroupFlood}
	c.port(16711682, 9, &proto.Port{Name: "ts1-r1", Type: "remote", Chassis: "hv2", Groups: flood})
	c.port(16711682, 10, &proto.Port{Name: "ts1-r2", Type: "remote", Chassis: "hv2", Groups: flood})
	c.round()
	c.expect(t, "ts1-r1", `
table=37, priority=100,reg15=0x9,metadata=0xff0002 actions=set_field:0xff0002->tun_id,set_field:0x9->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9`)
	c.expect(t, "group 16711682/32768", `
table=37, priority=100,reg15=0x8000,metadata=0xff0002 actions=set_field:0xff0002->tun_id,set_field:0x9->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9,set_field:0xff0002->tun_id,set_field:0xa->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9,resubmit(,38)`)

	// The port moves to another gateway, and the other one goes.
	c.item(proto.Kind_KIND_CHASSIS, "hv3", geneve("203.0.113.3"))
	c.h.SetTunnel("hv3@203.0.113.3", 11)
	c.port(16711682, 9, &proto.Port{Name: "ts1-r1", Type: "remote", Chassis: "hv3", Groups: flood})
	c.port(16711682, 10, nil)
	c.round()
	c.expect(t, "group 16711682/32768", `
table=37, priority=100,reg15=0x8000,metadata=0xff0002 actions=set_field:0xff0002->tun_id,set_field:0x9->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:11,resubmit(,38)`)

	c.h.SetTunnel("hv3@203.0.113.3", 0)
	c.round()
	c.expect(t, "ts1-r1", "")
	c.expect(t, "group 16711682/32768", "")
}
