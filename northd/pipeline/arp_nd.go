package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// arpND answers ARP requests and neighbour solicitations for the addresses of
// a switch's ports, so that they need not be flooded. A port's own requests for
// its own address pass, so that it can detect a duplicate. A port with unknown
// addresses answers for itself, and so does every port of a switch with
// vlan-passthru, where the same address may be in several VLANs.
var arpND = Feature{
	Name: "arp-nd",
	Port: func(f *Flows, p *topology.Port) {
		if !answers(p) {
			return
		}
		advert := ndAdvert
		if p.Type == topology.TypeRouter {
			advert = ndAdvertRouter
		}
		for _, a := range p.Addresses {
			mac := logical.MAC("mac", a.MAC)
			for _, ip := range a.V4 {
				f.Add(LSInARPRsp, 50, arpRequest, arpReply, mac, logical.IP("ip", ip.Addr()))
			}
			for _, ip := range a.V6 {
				f.Add(LSInARPRsp, 50, ndSolicit, advert, mac, logical.IP("ip", ip.Addr()),
					logical.IP("node", topology.SolicitedNode(ip.Addr())))
			}
		}
	},
	Resident: func(f *Flows, p *topology.Port) {
		if !answers(p) {
			return
		}
		port := logical.Port("port", p.Name)
		for _, a := range p.Addresses {
			for _, ip := range a.V4 {
				f.Add(LSInARPRsp, 100, arpOwnRequest, next, port, logical.IP("ip", ip.Addr()))
			}
			for _, ip := range a.V6 {
				f.Add(LSInARPRsp, 100, ndOwnSolicit, next, port, logical.IP("ip", ip.Addr()),
					logical.IP("node", topology.SolicitedNode(ip.Addr())))
			}
		}
	},
}

func answers(p *topology.Port) bool {
	return !p.Unknown && !p.Passthru && p.Type != topology.TypeLocalnet && p.Virtual == nil && p.Type != topology.TypeExternal
}

var (
	arpRequest    = match("arp.tpa == {ip} && arp.op == 1")
	arpOwnRequest = match("arp.tpa == {ip} && arp.op == 1 && inport == {port}")
	arpReply      = actions("eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; " +
		"arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;")
	ndSolicit    = match("nd_ns && ip6.dst == {{ip}, {node}} && nd.target == {ip}")
	ndOwnSolicit = match("nd_ns && ip6.dst == {{ip}, {node}} && nd.target == {ip} && inport == {port}")
	ndAdvert     = actions("nd_na { eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; " +
		"outport = inport; flags.loopback = 1; output; };")
	ndAdvertRouter = actions("nd_na_router { eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; " +
		"outport = inport; flags.loopback = 1; output; };")
)
