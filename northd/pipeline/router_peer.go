package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// routerPeers is what a switch does for its ports of type router: requests for a
// router's addresses go to the router, which learns from them, and to ports that
// are no routers; what the router asks itself goes to those only, so that the
// routers of a switch do not all see each other's requests (ovn-northd(8),
// "Ingress Table 25: Destination Lookup").
var routerPeers = Feature{
	Name: "router-peers",
	Port: func(f *Flows, p *topology.Port) {
		if p.Peer == nil || !p.Peer.Enabled {
			return
		}
		port := logical.Port("port", p.Name)
		for _, n := range p.Peer.V4 {
			f.Add(LSInL2Lkup, 80, arpForRouter, toRouterAndL2, logical.IP("ip", n.Addr()), port)
		}
		for _, n := range p.Peer.V6 {
			f.Add(LSInL2Lkup, 80, ndForRouter, toRouterAndL2, logical.IP("ip", n.Addr()), port)
		}
		f.Add(LSInL2Lkup, 75, routerAsks, floodL2, logical.MACSet("macs", [][6]byte{p.Peer.MAC}))
	},
}

var (
	arpForRouter  = match("flags[1] == 0 && arp.op == 1 && arp.tpa == {ip}")
	ndForRouter   = match("flags[1] == 0 && nd_ns && nd.target == {ip}")
	routerAsks    = match("eth.src == {macs} && (arp.op == 1 || rarp.op == 3 || nd_ns)")
	toRouterAndL2 = actions(`clone { outport = {port}; output; }; outport = "_MC_flood_l2"; output;`)
	floodL2       = actions(`outport = "_MC_flood_l2"; output;`)
)
