package interop

import (
	"testing"

	"govn/test/ovstest"
)

// The OpenFlow flows behind rows are those whose cookie is the beginning of the
// row's UUID, as ovn-controller makes them.
func TestFlowsOfSwitch(t *testing.T) {
	ovs := ovstest.Start(t, ovstest.Options{})
	for _, flow := range []string{
		"cookie=0x11111111,table=8,priority=100,ip,metadata=0x1,actions=resubmit(,9)",
		"cookie=0x11111111,table=9,priority=50,ipv6,reg14=0x1,actions=set_field:0x1->reg15,resubmit(,10)",
		"cookie=0x11111111,table=9,ipv6,actions=drop",
		"cookie=0x22222222,table=0,priority=100,in_port=1,actions=load:0x1->NXM_NX_REG13[],resubmit(,8)",
		"cookie=0x33333333,table=66,priority=100,reg0=0x1,actions=set_field:50:54:00:00:00:01->eth_dst",
	} {
		ovs.Ofctl("add-flow", flow)
	}
	runScript(t, flowsScript, map[string]string{"OVS": ovs.Mgmt})
}

// The fields that count are left out: they differ between two runs.
const flowsScript = `
sb --id=00000000-1111-4000-8000-000000000001 create Datapath_Binding tunnel_key=1 external_ids:name=sw0
sb --id=11111111-1111-4000-8000-000000000001 create Logical_Flow logical_datapath=sw0 pipeline=ingress table_id=0 priority=100 match=ip4 'actions="next;"'
sb --id=22222222-1111-4000-8000-000000000001 create Port_Binding datapath=sw0 logical_port=p1 tunnel_key=1
sb --id=33333333-1111-4000-8000-000000000001 create MAC_Binding datapath=sw0 logical_port=p1 ip=10.0.0.1 'mac="50:54:00:00:00:01"'
sb --ovs=${OVS} lflow-list
sb --ovs=${OVS} --uuid lflow-list sw0
~ sb --ovs=${OVS} --vflows dump-flows
sb --ovs=${OVS} --vflows lflow-list sw0
sb --vflows=${OVS} lflow-list sw0
sb --ovs=unix:/nonexistent lflow-list sw0
sb --stats lflow-list sw0
`
