package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// bfd takes the packets of BFD sessions of a router port to the chassis, and
// lets those that the chassis sends pass (ovn-northd(8), "Ingress Table 3: IP
// Input"). They are routed with the TTL that they have: a peer takes none with
// less than 255 (RFC 5881, section 5).
var bfd = Feature{
	Name: "bfd",
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		if !p.BFD {
			return
		}
		if v4 := hosts(p.V4); len(v4) > 0 {
			f.Add(LRInIPInput, 110, bfdFromV4, next, logical.IPSet("ips", v4))
			f.Add(LRInIPInput, 110, bfdToV4, handleBFD, logical.IPSet("ips", v4))
		}
		v6 := hosts(p.V6)
		f.Add(LRInIPInput, 110, bfdFromV6, next, logical.IPSet("ips", v6))
		f.Add(LRInIPInput, 110, bfdToV6, handleBFD, logical.IPSet("ips", v6))
		if !p.Enabled {
			return
		}
		port, mac := logical.Port("port", p.Name), logical.MAC("mac", p.MAC)
		for _, n := range p.V4 {
			f.Add(LRInIPRouting, BFDPriority(RoutePriority(n.Bits(), RouteConnected)), bfdToNetV4, bfdRouteV4,
				logical.Prefix("net", n.Masked()), logical.IP("src", n.Addr()), mac, port)
		}
		for _, n := range p.V6 {
			to := bfdToNetV6
			if n.Addr().IsLinkLocalUnicast() {
				to = bfdToLinkLocal
			}
			f.Add(LRInIPRouting, BFDPriority(RoutePriority(n.Bits(), RouteConnected)), to, bfdRouteV6,
				logical.Prefix("net", n.Masked()), logical.IP("src", n.Addr()), mac, port)
		}
	},
}

// BFDPriority is the priority of the flow by which BFD packets take a route of
// the given priority.
func BFDPriority(route uint16) uint16 { return route + 1 }

// bfdRouteMatch tells the BFD packets of a route, as routeMatch all of them.
func bfdRouteMatch(g *topology.RouteGroup) matchText {
	version := 0
	if g.Prefix.Addr().Is6() {
		version = 1
	}
	switch {
	case g.TableID == 0 && g.Source:
		return bfdFromNet[version]
	case g.TableID == 0 && g.Connected:
		return [2]matchText{bfdToNetV4, bfdToNetV6}[version]
	case g.Source:
		return bfdFromTable[version]
	}
	return bfdToTable[version]
}

var (
	bfdFromV4      = match("ip4.src == {ips} && udp.dst == 3784")
	bfdToV4        = match("ip4.dst == {ips} && udp.dst == 3784")
	bfdFromV6      = match("ip6.src == {ips} && udp.dst == 3784")
	bfdToV6        = match("ip6.dst == {ips} && udp.dst == 3784")
	handleBFD      = actions("handle_bfd_msg();")
	bfdToNetV4     = match("ip4.dst == {net} && udp.dst == 3784")
	bfdToNetV6     = match("ip6.dst == {net} && udp.dst == 3784")
	bfdToLinkLocal = match("inport == {port} && ip6.dst == {net} && udp.dst == 3784")
	bfdRouteV4     = actions("reg8[0..15] = 0; reg0 = ip4.dst; reg1 = {src}; eth.src = {mac}; " +
		"outport = {port}; flags.loopback = 1; next;")
	bfdRouteV6 = actions("reg8[0..15] = 0; xxreg0 = ip6.dst; xxreg1 = {src}; eth.src = {mac}; " +
		"outport = {port}; flags.loopback = 1; next;")
	bfdHop = hopTexts{
		{actions("reg8[0..15] = 0; reg0 = {hop}; reg1 = " + hopTail + "flags.loopback = 1; next;"), bfdRouteV4},
		{actions("reg8[0..15] = 0; xxreg0 = {hop}; xxreg1 = " + hopTail + "flags.loopback = 1; next;"), bfdRouteV6},
	}
	bfdFromNet = [2]matchText{match("ip4.src == {net} && udp.dst == 3784"), match("ip6.src == {net} && udp.dst == 3784")}
	bfdToTable = [2]matchText{match("reg7 == {table} && ip4.dst == {net} && udp.dst == 3784"),
		match("reg7 == {table} && ip6.dst == {net} && udp.dst == 3784")}
	bfdFromTable = [2]matchText{match("reg7 == {table} && ip4.src == {net} && udp.dst == 3784"),
		match("reg7 == {table} && ip6.src == {net} && udp.dst == 3784")}
)
