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
		if p.Peer == nil {
			return
		}
		f.proxy(p)
		if !p.Peer.Enabled {
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

// proxy answers for addresses that the router stands in for. A port of the switch
// that has one of them answers itself: what is more than a list of addresses is
// asked after the ports.
func (f *Flows) proxy(p *topology.Port) {
	mac := p.Proxy.MAC
	if mac == (topology.MAC{}) {
		mac = p.Peer.MAC
	} else if p.Enabled {
		f.Add(LSInL2Lkup, 50, toMAC, deliver, logical.MAC("mac", mac), logical.Port("port", p.Name))
	}
	priority := uint16(30)
	if p.Proxy.Plain() {
		priority = 50
	}
	if len(p.Proxy.V4) > 0 {
		f.Add(LSInARPRsp, priority, arpForProxy, proxyReply, logical.MAC("mac", mac), logical.IPSet("ips", p.Proxy.V4))
	}
	if len(p.Proxy.V6) > 0 {
		f.Add(LSInARPRsp, priority, ndForProxy, proxyAdvert, logical.MAC("mac", mac), logical.IPSet("ips", p.Proxy.V6))
	}
}

var (
	arpForProxy = match("arp.op == 1 && arp.tpa == {ips}")
	proxyReply  = actions("eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; " +
		"arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;")
	ndForProxy  = match("nd_ns && nd.target == {ips}")
	proxyAdvert = actions("nd_na_router { eth.src = {mac}; ip6.src = nd.target; nd.tll = {mac}; " +
		"outport = inport; flags.loopback = 1; output; };")
	arpForRouter  = match("flags[1] == 0 && arp.op == 1 && arp.tpa == {ip}")
	ndForRouter   = match("flags[1] == 0 && nd_ns && nd.target == {ip}")
	routerAsks    = match("eth.src == {macs} && (arp.op == 1 || rarp.op == 3 || nd_ns)")
	toRouterAndL2 = actions(`clone { outport = {port}; output; }; outport = "_MC_flood_l2"; output;`)
	floodL2       = actions(`outport = "_MC_flood_l2"; output;`)
)
