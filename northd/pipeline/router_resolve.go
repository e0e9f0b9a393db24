package pipeline

import (
	"net/netip"

	"govn/northd/topology"
	"govn/pkg/logical"
)

// resolve finds the Ethernet address of the next hop, which is in reg0 or xxreg0,
// where it is known from the northbound database: that of a port of the switch
// that the router port is on, or of the router at the other end (ovn-northd(8),
// "Ingress Table 17: ARP/ND Resolution").
var resolve = Feature{
	Name: "resolve",
	Router: func(f *Flows, _ *topology.Router) {
		f.Add(LRInARPResolve, 500, mcastIP, next)
		f.Add(LRInARPResolve, 0, always, drop)
		f.Add(LRInARPRequest, 0, always, output)
	},
	RouterNeighbour: func(f *Flows, a *topology.Attachment, p *topology.Port) {
		if p.Type == topology.TypeRouter {
			if p.Peer != nil && !a.Dynamic {
				f.neighbourRouter(a, p.Peer)
			}
			return
		}
		if !p.Enabled {
			return
		}
		if p.Virtual != nil {
			f.virtualNeighbour(a, p.Virtual)
			return
		}
		for _, addr := range p.Addresses {
			for _, ip := range addr.V4 {
				f.neighbour(a, ip.Addr(), addr.MAC)
			}
			for _, ip := range addr.V6 {
				f.neighbour(a, ip.Addr(), addr.MAC)
			}
		}
	},
	RouterPeer: func(f *Flows, a *topology.Attachment, peer *topology.RouterPort) { f.neighbourRouter(a, peer) },
}

// neighbourRouter resolves all addresses of a router port behind another one.
func (f *Flows) neighbourRouter(a *topology.Attachment, p *topology.RouterPort) {
	port, mac := logical.Port("port", a.Name), logical.MAC("mac", p.MAC)
	if v4 := hosts(p.V4); len(v4) > 0 {
		f.Add(LRInARPResolve, 100, nextHopsV4, resolved, port, mac, logical.IPSet("ips", v4))
	}
	f.Add(LRInARPResolve, 100, nextHopsV6, resolved, port, mac, logical.IPSet("ips", hosts(p.V6)))
}

// neighbour resolves one address behind a router port.
func (f *Flows) neighbour(a *topology.Attachment, ip netip.Addr, mac topology.MAC) {
	if !a.Reaches(ip) {
		return
	}
	hop := nextHopV6
	if ip.Is4() {
		hop = nextHopV4
	}
	f.Add(LRInARPResolve, 100, hop, resolved, logical.Port("port", a.Name), logical.IP("ip", ip), logical.MAC("mac", mac))
}

var (
	nextHopV4  = match("outport == {port} && reg0 == {ip}")
	nextHopV6  = match("outport == {port} && xxreg0 == {ip}")
	resolved   = actions("eth.dst = {mac}; next;")
	nextHopsV4 = match("outport == {port} && reg0 == {ips}")
	nextHopsV6 = match("outport == {port} && xxreg0 == {ips}")
)
