package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// connected routes to the networks of the router's own ports, and is what a
// router without other routes and without policies does (ovn-northd(8),
// "Ingress Table 13: IP Routing").
var connected = Feature{
	Name: "connected",
	Router: func(f *Flows, _ *topology.Router) {
		f.Add(LRInIPRoutingPre, 0, always, mainTable)
		f.Add(LRInIPRouting, 10550, routerDiscovery, drop)
		f.Add(LRInIPRouting, 0, always, drop)
		f.Add(LRInIPRoutingECMP, 150, noGroup, next)
		f.Add(LRInIPRoutingECMP, 0, always, drop)
		f.Add(LRInPolicy, 0, always, noPolicy)
		f.Add(LRInPolicyECMP, 150, noGroup, next)
		f.Add(LRInPolicyECMP, 0, always, drop)
	},
	RouterPort: func(f *Flows, p *topology.RouterPort) { // also where disabled: nothing goes another way
		port, mac := logical.Port("port", p.Name), logical.MAC("mac", p.MAC)
		for _, n := range p.V4 {
			f.Add(LRInIPRouting, RoutePriority(n.Bits(), RouteConnected), toNetV4, routeV4,
				logical.Prefix("net", n.Masked()), logical.IP("src", n.Addr()), mac, port)
		}
		for _, n := range p.V6 {
			to := toNetV6
			if n.Addr().IsLinkLocalUnicast() {
				to = toLinkLocal
			}
			f.Add(LRInIPRouting, RoutePriority(n.Bits(), RouteConnected), to, routeV6,
				logical.Prefix("net", n.Masked()), logical.IP("src", n.Addr()), mac, port)
		}
	},
}

// RouteOrigin is where a route comes from: of two routes to one prefix the
// higher one wins.
type RouteOrigin uint16

const (
	RouteSource    RouteOrigin = iota // a static route by source address
	RouteStatic                       // any other static route
	RouteConnected                    // a network of a port
)

// RoutePriority is the priority of a route's flow: the longest prefix first.
func RoutePriority(bits int, o RouteOrigin) uint16 { return uint16(bits)*3 + uint16(o) }

var (
	mainTable   = actions("reg7 = 0; next;")
	noGroup     = match("reg8[0..15] == 0")
	noPolicy    = actions("reg8[0..15] = 0; next;")
	toNetV4     = match("ip4.dst == {net}")
	toNetV6     = match("ip6.dst == {net}")
	toLinkLocal = match("inport == {port} && ip6.dst == {net}")
	routeV4     = actions("ip.ttl--; reg8[0..15] = 0; reg0 = ip4.dst; reg1 = {src}; eth.src = {mac}; " +
		"outport = {port}; flags.loopback = 1; next;")
	routeV6 = actions("ip.ttl--; reg8[0..15] = 0; xxreg0 = ip6.dst; xxreg1 = {src}; eth.src = {mac}; " +
		"outport = {port}; flags.loopback = 1; next;")
)
