package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// OfFwdGroup is what a forwarding group contributes: an answer to ARP requests
// for its address, and the ports for what is sent to its Ethernet address
// (ovn-nb(5), Forwarding_Group). A group without a port that it could send to
// answers, and what is sent to it goes nowhere.
func OfFwdGroup(g *topology.FwdGroup) ([]Flow, error) {
	var f Flows
	mac := logical.MAC("mac", g.VMAC)
	f.Add(LSInARPRsp, 50, arpRequest, arpReply, mac, logical.IP("ip", g.VIP))
	switch {
	case len(g.Children) == 0:
		f.Add(LSInL2Lkup, 50, toMAC, drop, mac)
	case g.Liveness:
		f.Add(LSInL2Lkup, 50, toMAC, forwardAlive, mac, logical.PortSet("ports", g.Children))
	default:
		f.Add(LSInL2Lkup, 50, toMAC, forward, mac, logical.PortSet("ports", g.Children))
	}
	return f.list, f.err
}

var (
	forward      = actions("fwd_group(childports={ports});")
	forwardAlive = actions(`fwd_group(liveness="true", childports={ports});`)
)
