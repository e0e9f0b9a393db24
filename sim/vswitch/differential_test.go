package vswitch

import (
	"strings"
	"testing"
)

// What people do with ovs-ofctl has the same result on both, mistakes included.
func TestOfctl(t *testing.T) {
	p := newPair(t)
	for _, line := range strings.Split(strings.TrimSpace(`
add-flow table=0,priority=100,in_port=1,actions=resubmit(,8)
add-flow cookie=0x1234,table=8,priority=50,metadata=0x1,dl_dst=00:00:00:00:00:01,actions=set_field:0x2->reg15,resubmit(,37)
add-flow table=8,priority=50,metadata=0x1,vlan_tci=0x1000/0x1000,actions=drop
add-flow table=8,priority=60,ip,nw_src=10.0.0.0/8,actions=ct(table=9,zone=NXM_NX_REG13[0..15])
add-flow table=9,ct_state=+new+trk,tcp,actions=ct(commit,zone=NXM_NX_REG13[0..15],exec(set_field:0x1->ct_mark)),output:2
add-flow table=9,ct_state=+est+trk,ip,actions=ct(commit,table=10,zone=5,nat(src=10.0.0.1-10.0.0.9:1000-2000))
add-flow idle_timeout=30,hard_timeout=60,send_flow_rem,importance=7,table=3,actions=controller(userdata=00.01.00.00,pause)
add-flow table=4,actions=learn(table=70,idle_timeout=30,priority=100,eth_type=0x800,NXM_OF_IP_SRC[],load:0x1->NXM_NX_REG10[7])
add-flow table=4,priority=5,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:NXM_NX_REG0[0..15],pop_vlan,clone(set_field:1->reg1,output:3),note:01.02.03
add-flow table=5,priority=7,tcp,tp_dst=80,actions=dec_ttl,move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],conjunction(1,1/2)
add-flow table=5,priority=7,tcp,tp_dst=81,actions=conjunction(1,1/2),conjunction(2,2/3)
add-flow table=5,priority=8,conj_id=1,actions=check_pkt_larger(1400)->NXM_NX_REG0[0],resubmit(,6)
add-flow table=6,actions=group:1
add-flow table=6,actions=meter:1
add-flow table=6,tcp,actions=set_field:1->nw_src,2
add-flow table=6,actions=set_field:10.0.0.1->ip_src
add-flow table=6,actions=write_actions(output:1),goto_table:7
add-flow table=6,priority=3,actions=write_metadata:0x5/0xff,goto_table:9
add-flow table=6,actions=output:65000
add-flow table=6,actions=output:70000
add-flow table=6,tun_metadata0=1,actions=drop
add-tlv-map {class=0x102,type=0x80,len=4}->tun_metadata0
add-tlv-map {class=0x102,type=0x80,len=4}->tun_metadata1
add-tlv-map {class=0x102,type=0x81,len=4}->tun_metadata0
add-tlv-map {class=0x102,type=0x82,len=5}->tun_metadata2
dump-tlv-map
add-flow table=6,tun_metadata0=0x10002/0xffff0000,actions=set_field:7->tun_metadata0,move:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG15[0..15],output:1
del-tlv-map {class=0x102,type=0x80,len=4}->tun_metadata0
add-group group_id=1,type=all,bucket=output:2,bucket=output:3
add-group group_id=1,type=all,bucket=output:2
add-group group_id=2,type=select,selection_method=dp_hash,bucket=bucket_id:1,weight:100,actions=ct(nat(dst=10.0.0.5),commit,table=9),bucket=weight:50,actions=output:4
add-group group_id=3,type=ff,bucket=watch_port:1,actions=output:1,bucket=watch_port:2,actions=output:2
add-group group_id=4,type=indirect,bucket=output:3
add-group group_id=5,type=indirect,bucket=output:3,bucket=output:4
add-group group_id=6,type=select,selection_method=hash,fields(ip_src,ip_dst=255.255.0.0),bucket=output:3
add-group group_id=7,type=ff,bucket=actions=output:3
mod-group group_id=9,type=all,bucket=output:2
--may-create mod-group group_id=9,type=all,bucket=output:2
insert-buckets group_id=1,command_bucket_id=last,bucket=bucket_id:9,actions=output:5
insert-buckets group_id=1,command_bucket_id=0,bucket=bucket_id:9,actions=output:5
remove-buckets group_id=1,command_bucket_id=0
remove-buckets group_id=1,command_bucket_id=77
add-flow table=6,priority=9,actions=group:1
add-meter meter=1,kbps,band=type=drop,rate=100
add-meter meter=1,kbps,band=type=drop,rate=100
add-flow table=6,priority=10,actions=meter:1,output:2
add-flow table=6,priority=11,actions=output:2,controller(userdata=01,meter_id=1)
dump-flows
dump-groups
dump-meters
mod-flows table=6,actions=output:1
mod-flows --strict table=6,priority=9,actions=output:2
mod-flows cookie=0x1234/-1,actions=drop
mod-flows cookie=0x99/-1,table=20,actions=drop
mod-flows cookie=0x99,table=20,actions=drop
dump-flows
dump-flows table=8
dump-flows out_port=2
dump-flows ip
dump-flows cookie=0x1234/-1
del-meters
dump-flows
del-groups group_id=1
dump-flows
del-flows --strict table=8,priority=50
del-flows table=8,ip
del-flows cookie=0x99/-1
del-flows out_port=2
dump-flows
del-tlv-map
del-flows
del-tlv-map
add-flow check_overlap,table=1,priority=5,ip,actions=drop
add-flow check_overlap,table=1,priority=5,in_port=1,actions=drop
add-flow check_overlap,table=1,priority=5,arp,actions=drop
add-flow table=254,actions=drop
add-flow table=255,actions=drop
dump-flows
del-groups
dump-groups
`), "\n") {
		words := strings.Fields(line)
		var opts []string
		for strings.HasPrefix(words[0], "--") {
			opts, words = append(opts, words[0]), words[1:]
		}
		if len(words) > 2 && words[1] == "--strict" {
			opts, words = append(opts, words[1]), slicesDelete(words, 1)
		}
		p.both(words[0], append(words[1:], opts...)...)
	}
}

func slicesDelete(s []string, i int) []string {
	return append(append([]string{}, s[:i]...), s[i+1:]...)
}
