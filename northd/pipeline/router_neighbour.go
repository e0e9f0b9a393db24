package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// routerNeighbours learns the Ethernet addresses of the neighbours of a router
// from what they say in ARP and neighbour discovery, and asks for those of next
// hops that are not known (ovn-northd(8), "Ingress Table 1: Neighbor lookup",
// "2: Neighbor learning", "17: ARP/ND Resolution", "21: ARP Request").
//
//	reg9[2]  the address is known, with this Ethernet address: nothing to learn
//	reg9[3]  it may be learned: it is known, or somebody talks to this router
//
// With options:always_learn_from_arp_request=false nobody is learned who only
// asks for others.
var routerNeighbours = Feature{
	Name: "router-neighbours",
	Router: func(f *Flows, r *topology.Router) {
		f.Add(LRInLookupNeighbor, 0, always, nothingToLearn)
		f.Add(LRInLearnNeighbor, 0, always, drop)
		if r.AlwaysLearn {
			f.Add(LRInLookupNeighbor, 100, arpAnswer, lookupARP)
			f.Add(LRInLookupNeighbor, 100, ndAnswer, lookupAdvert)
			f.Add(LRInLookupNeighbor, 100, ndSolicitation, lookupSolicit)
			f.Add(LRInLearnNeighbor, 100, knownAlready, next)
		} else {
			f.Add(LRInLookupNeighbor, 100, arpAnswer, lookupARPAlways)
			f.Add(LRInLookupNeighbor, 110, ndUnasked, lookupUnasked)
			f.Add(LRInLookupNeighbor, 100, ndAnswer, lookupAdvertAlways)
			f.Add(LRInLookupNeighbor, 100, ndSolicitation, lookupSolicitKnown)
			f.Add(LRInLearnNeighbor, 100, knownOrForeign, next)
		}
		f.Add(LRInLearnNeighbor, 95, advertWithoutMAC, putSender)
		f.Add(LRInLearnNeighbor, 95, solicitWithoutMAC, next)
		f.Add(LRInLearnNeighbor, 90, anyARP, putARP)
		f.Add(LRInLearnNeighbor, 90, ndAnswer, putAdvert)
		f.Add(LRInLearnNeighbor, 90, ndSolicitation, putSolicit)

		f.Add(LRInARPResolve, 1, anyIP4, getARP)
		f.Add(LRInARPResolve, 1, anyIP6, getND)
		f.Add(LRInARPRequest, 100, unresolved4, requestARP)
		f.Add(LRInARPRequest, 100, unresolved6, requestND)
	},
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		port := logical.Port("port", p.Name)
		for _, n := range p.V4 {
			net, ip := logical.Prefix("net", n.Masked()), logical.IP("ip", n.Addr())
			from, cr := atGateway(p.Gateway.Redirect, arpFrom, arpFromGateway)
			if p.Shape.AlwaysLearn {
				f.Add(LRInLookupNeighbor, 100, from, lookupARP, port, net, cr)
				continue
			}
			to, _ := atGateway(p.Gateway.Redirect, arpFromTo, arpFromToGateway)
			f.Add(LRInLookupNeighbor, 110, to, lookupARPAlways, port, net, ip, cr)
			f.Add(LRInLookupNeighbor, 100, from, lookupARPKnown, port, net, cr)
		}
	},
}

var (
	nothingToLearn = actions("reg9[2] = 1; next;")

	arpAnswer = match("arp.op == 2")
	ndAnswer  = match("nd_na")
	ndUnasked = match("nd_na && ip6.src == fe80::/10 && ip6.dst == ff00::/8")
	arpFrom   = match("inport == {port} && arp.spa == {net} && arp.op == 1")
	arpFromTo = match("inport == {port} && arp.spa == {net} && arp.tpa == {ip} && arp.op == 1")

	arpFromGateway   = match("inport == {port} && arp.spa == {net} && arp.op == 1 && is_chassis_resident({cr})")
	arpFromToGateway = match("inport == {port} && arp.spa == {net} && arp.tpa == {ip} && arp.op == 1 && is_chassis_resident({cr})")

	lookupARP          = actions("reg9[2] = lookup_arp(inport, arp.spa, arp.sha); next;")
	lookupARPAlways    = actions("reg9[2] = lookup_arp(inport, arp.spa, arp.sha); reg9[3] = 1; next;")
	lookupARPKnown     = actions("reg9[2] = lookup_arp(inport, arp.spa, arp.sha); reg9[3] = lookup_arp_ip(inport, arp.spa); next;")
	lookupAdvert       = actions("reg9[2] = lookup_nd(inport, nd.target, nd.tll); next;")
	lookupAdvertAlways = actions("reg9[2] = lookup_nd(inport, nd.target, nd.tll); reg9[3] = 1; next;")
	lookupUnasked      = actions("reg9[2] = lookup_nd(inport, ip6.src, nd.tll); reg9[3] = lookup_nd_ip(inport, ip6.src); next;")
	lookupSolicit      = actions("reg9[2] = lookup_nd(inport, ip6.src, nd.sll); next;")
	lookupSolicitKnown = actions("reg9[2] = lookup_nd(inport, ip6.src, nd.sll); reg9[3] = lookup_nd_ip(inport, ip6.src); next;")

	knownAlready      = match("reg9[2] == 1")
	knownOrForeign    = match("reg9[2] == 1 || reg9[3] == 0")
	advertWithoutMAC  = match("nd_na && nd.tll == 0")
	solicitWithoutMAC = match("nd_ns && (ip6.src == 0 || nd.sll == 0)")
	anyARP            = match("arp")
	putSender         = actions("put_nd(inport, nd.target, eth.src); next;")
	putARP            = actions("put_arp(inport, arp.spa, arp.sha); next;")
	putAdvert         = actions("put_nd(inport, nd.target, nd.tll); next;")
	putSolicit        = actions("put_nd(inport, ip6.src, nd.sll); next;")

	anyIP4      = match("ip4")
	anyIP6      = match("ip6")
	getARP      = actions("get_arp(outport, reg0); next;")
	getND       = actions("get_nd(outport, xxreg0); next;")
	unresolved4 = match("eth.dst == 00:00:00:00:00:00 && ip4")
	unresolved6 = match("eth.dst == 00:00:00:00:00:00 && ip6")
	requestARP  = actions("arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = reg1; arp.tpa = reg0; arp.op = 1; output; };")
	requestND   = actions("nd_ns { nd.target = xxreg0; output; };")
)
