package vswitch

import (
	"slices"
	"testing"

	"govn/pkg/geneve"
)

// Corners that random flows rarely meet, each judged by a real switch.
func TestCorners(t *testing.T) {
	frame := udp("10.0.0.1", 5, "10.0.0.2", 6)
	tcpFrame := segment("10.0.0.1", 5, "10.0.0.2", 6, flagSYN, 1, 0)
	tagged := slices.Concat(frame[:12], []byte{0x81, 0, 0x60, 7}, frame[12:])
	double := slices.Concat(frame[:12], []byte{0x88, 0xa8, 0, 5}, tagged[12:])
	option := func(v byte) *Tunnel {
		return &Tunnel{VNI: 5, Src: remoteEndpoint, Dst: localEndpoint, Options: []geneve.Option{{Class: 0x102, Type: 0x80, Data: []byte{0, 0, 0, v}}}}
	}
	for _, tt := range []struct {
		name    string
		groups  []string
		flows   []string
		packets []Packet
	}{
		{"exit in a clone and in a bucket", []string{"group_id=1,type=all,bucket=resubmit(,9),bucket=output:5"}, []string{
			"table=0,in_port=1,actions=clone(exit),output:3",
			"table=0,in_port=2,actions=group:1,output:3",
			"table=0,in_port=4,actions=resubmit(,9),output:3",
			"table=9,actions=output:4,exit",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}, {InPort: 4, Data: frame}}},
		{"fields written in a bucket, a clone and a lookup", []string{"group_id=1,type=all,bucket=set_field:0a:00:00:00:00:09->eth_dst,output:3,bucket=output:5"}, []string{
			"table=0,in_port=1,actions=group:1,output:4",
			"table=0,in_port=2,actions=clone(set_field:0a:00:00:00:00:09->eth_dst,output:3),output:4,resubmit(,1),output:5",
			"table=1,actions=set_field:0a:00:00:00:00:08->eth_dst",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}}},
		{"order in a bucket", []string{"group_id=1,type=indirect,bucket=output:3,set_field:0a:00:00:00:00:09->eth_dst,push_vlan:0x8100,set_field:4100->vlan_vid",
			"group_id=2,type=all,bucket=output:3,resubmit(,1),bucket=set_field:1->reg0"}, []string{
			"table=0,in_port=1,actions=group:1,output:4", "table=0,in_port=2,actions=group:2", "table=1,actions=output:5",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}}},
		{"failover and indirection", []string{"group_id=3,type=ff,bucket=watch_port:99,actions=output:3,bucket=watch_port:4,actions=output:4,bucket=watch_port:5,actions=output:5",
			"group_id=4,type=select,bucket=output:3"}, []string{
			"table=0,in_port=1,actions=group:3", "table=0,in_port=2,actions=group:4",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}}},
		{"action sets", nil, []string{
			"table=0,in_port=1,actions=write_actions(output:3,set_field:0a:00:00:00:00:09->eth_dst),goto_table:1",
			"table=1,in_port=1,actions=write_metadata:0x5,goto_table:2",
			"table=2,in_port=1,metadata=5,actions=output:4",
			"table=0,in_port=2,actions=write_actions(output:3),goto_table:3",
			"table=3,actions=clear_actions,write_actions(output:5)",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}}},
		{"conjunctions", nil, []string{
			"table=0,priority=10,ip,nw_src=10.0.0.1,actions=conjunction(7,1/2)", "table=0,priority=10,ip,nw_src=10.0.0.3,actions=conjunction(7,1/2),conjunction(8,1/2)",
			"table=0,priority=10,ip,nw_dst=10.0.0.2,actions=conjunction(7,2/2)", "table=0,priority=10,tcp,actions=conjunction(8,2/2)",
			"table=0,priority=10,conj_id=7,ip,actions=output:3", "table=0,priority=10,conj_id=8,ip,actions=output:4",
			"table=0,priority=9,ip,nw_src=10.0.0.1,nw_dst=10.0.0.9,actions=output:5", "table=0,priority=11,ip,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_tos=4,actions=output:5",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 1, Data: tcpFrame}, {InPort: 1, Data: udp("10.0.0.1", 1, "10.0.0.9", 2)},
			{InPort: 1, Data: segment("10.0.0.3", 1, "10.0.0.9", 2, flagSYN, 1, 0)}, {InPort: 1, Data: udp("10.0.0.3", 1, "10.0.0.2", 2)}, {InPort: 1, Data: udp("10.0.0.4", 1, "10.0.0.2", 2)}}},
		{"VLAN tags", nil, []string{
			"table=0,in_port=1,vlan_tci=0x1000/0x1000,actions=pop_vlan,output:3,push_vlan:0x88a8,set_field:4101->vlan_vid,set_field:5->vlan_pcp,output:4",
			"table=0,in_port=2,actions=push_vlan:0x8100,set_field:4099->vlan_vid,output:3",
			"table=0,in_port=3,actions=move:NXM_OF_VLAN_TCI[0..11]->NXM_NX_REG0[0..11],set_field:0->vlan_tci,output:4,push_vlan:0x8100,move:NXM_NX_REG0[0..11]->NXM_OF_VLAN_TCI[0..11],output:5",
		}, []Packet{{InPort: 1, Data: tagged}, {InPort: 1, Data: double}, {InPort: 2, Data: tagged}, {InPort: 2, Data: frame}, {InPort: 3, Data: tagged}, {InPort: 3, Data: double}}},
		{"tunnel options", nil, []string{
			"table=0,priority=10,in_port=7,tun_metadata0=0,actions=output:3", "table=0,priority=9,in_port=7,tun_metadata0=6/0x6,actions=in_port,output:4",
			"table=0,priority=8,in_port=7,tun_src=198.51.100.2,actions=output:5",
			"table=0,in_port=1,actions=set_field:5->tun_id,output:7", "table=0,in_port=2,actions=set_field:3->tun_metadata0,output:7,delete_field:tun_metadata0,output:7",
			"table=0,in_port=3,actions=move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA0[0..31],output:7",
		}, []Packet{{InPort: 7, Data: frame, Tunnel: option(0)}, {InPort: 7, Data: frame, Tunnel: option(6)}, {InPort: 7, Data: frame, Tunnel: option(1)},
			{InPort: 7, Data: frame, Tunnel: &Tunnel{VNI: 1, Src: remoteEndpoint, Dst: localEndpoint}},
			{InPort: 7, Data: frame, Tunnel: &Tunnel{VNI: 1, Src: remoteEndpoint, Dst: localEndpoint, Options: []geneve.Option{{Class: 0x103, Type: 1, Data: []byte{1, 2, 3, 4}}}}},
			{InPort: 7, Data: frame, Tunnel: &Tunnel{VNI: 1, Src: remoteEndpoint, Dst: localEndpoint, Options: []geneve.Option{{Class: 0x103, Type: 0x81, Data: []byte{1, 2, 3, 4}}}}},
			{InPort: 7, Data: frame, Tunnel: &Tunnel{VNI: 1, Src: remoteEndpoint, Dst: localEndpoint, Options: []geneve.Option{{Class: 0x102, Type: 0x80, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}}}}},
			{InPort: 1, Data: frame}, {InPort: 2, Data: frame}, {InPort: 3, Data: frame}}},
		{"learning", nil, []string{
			"table=0,in_port=1,actions=learn(table=1,priority=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:3",
			"table=0,in_port=2,ip,actions=learn(table=2,hard_timeout=100,eth_type=0x800,NXM_OF_IP_SRC[],load:0x1->NXM_NX_REG3[4],load:NXM_NX_REG0[]->NXM_NX_REG1[]),resubmit(,2)",
			"table=0,in_port=4,actions=resubmit(,1)", "table=2,priority=0,actions=output:3",
			"table=0,in_port=5,ip,actions=learn(table=3,limit=1,result_dst=NXM_NX_REG7[0],eth_type=0x800,NXM_OF_IP_SRC[],cookie=0x9),resubmit(,4)",
			"table=4,priority=5,reg7=1,actions=output:1", "table=4,priority=4,reg7=0,actions=output:2",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}, {InPort: 4, Data: slices.Concat(frame[6:12], frame[:6], frame[12:])}, {InPort: 2, Data: frame},
			{InPort: 5, Data: udp("10.0.0.1", 1, "10.0.0.2", 2)}, {InPort: 5, Data: udp("10.0.0.7", 1, "10.0.0.2", 2)}, {InPort: 5, Data: udp("10.0.0.1", 1, "10.0.0.2", 2)}}},
		{"output by register, bundle", nil, []string{
			"table=0,in_port=1,actions=set_field:70000->reg0,output:NXM_NX_REG0[],set_field:3->reg0,output:NXM_NX_REG0[]",
			"table=0,in_port=2,actions=bundle(eth_src,0,active_backup,ofport,members:99,4,5)",
			"table=0,in_port=3,actions=bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG1[0..15],members:99,4,5),output:NXM_NX_REG1[]",
			"table=0,in_port=4,actions=move:NXM_OF_IN_PORT[]->NXM_NX_REG1[0..15],set_field:0->in_port,output:NXM_NX_REG1[0..15]",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}, {InPort: 3, Data: frame}, {InPort: 4, Data: frame}}},
		{"lengths and time to live", nil, []string{
			"table=0,in_port=1,actions=check_pkt_larger(46)->NXM_NX_REG0[0],resubmit(,1)", "table=0,in_port=2,actions=check_pkt_larger(45)->NXM_NX_REG0[0],resubmit(,1)",
			"table=0,in_port=3,ip,actions=set_field:1->nw_ttl,resubmit(,2),output:5", "table=2,ip,actions=output:2,dec_ttl,output:4",
			"table=1,reg0=1,actions=output:3", "table=1,reg0=0,actions=output:4",
		}, []Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: frame}, {InPort: 3, Data: frame}}},
		{"malformed packets", nil, []string{
			"table=0,priority=5,udp,tp_dst=6,actions=output:2", "table=0,priority=4,ip,nw_src=10.0.0.1,actions=output:3", "table=0,priority=3,dl_type=0x800,actions=set_field:10.9.9.9->ip_src,output:4",
			"table=0,priority=2,dl_type=0x5ff,actions=output:5", "table=0,priority=1,actions=in_port",
		}, []Packet{{InPort: 1, Data: frame[:40]}, {InPort: 1, Data: frame[:30]}, {InPort: 1, Data: frame[:14]}, {InPort: 1, Data: append(slices.Clone(frame), 1, 2, 3)},
			{InPort: 1, Data: slices.Concat(frame[:12], []byte{0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, frame[14:])}, {InPort: 1, Data: slices.Concat(frame[:12], []byte{0, 40, 0x42, 0x42, 3}, make([]byte, 40))},
			{InPort: 1, Data: slices.Concat(frame[:14], []byte{0x65}, frame[15:])}, {InPort: 1, Data: slices.Concat(frame[:14], []byte{0x43}, frame[15:])}, {InPort: 1, Data: slices.Concat(tagged[:16], []byte{8, 0})}}},
		{"NORMAL and FLOOD", nil, []string{"table=0,in_port=5,actions=flood", "table=0,priority=5,actions=normal"},
			[]Packet{{InPort: 1, Data: frame}, {InPort: 2, Data: slices.Concat(frame[6:12], frame[:6], frame[12:])}, {InPort: 1, Data: frame}, {InPort: 5, Data: frame},
				{InPort: 3, Data: frame}, {InPort: 1, Data: slices.Concat([]byte{1, 0x80, 0xc2, 0, 0, 0}, frame[6:])}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOracle(t)
			for _, g := range tt.groups {
				o.both("add-group", g)
			}
			if got := len(o.install(tt.flows...)); got != len(tt.flows) {
				t.Fatalf("%d of %d flows were accepted", got, len(tt.flows))
			}
			copies := 0
			for _, p := range tt.packets {
				copies += o.compare(p)
			}
			if copies == 0 {
				t.Error("nothing came out")
			}
			o.dumps()
		})
	}
}
