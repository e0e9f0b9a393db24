package pipeline

import (
	"net/netip"

	"govn/northd/topology"
	"govn/pkg/logical"
)

// routerInput is what a router does with packets that are for itself or that
// nobody may route: it answers ARP and pings for its addresses, and drops what
// pretends to come from it (ovn-northd(8), "Ingress Table 3: IP Input").
var routerInput = Feature{
	Name: "router-input",
	Router: func(f *Flows, _ *topology.Router) {
		f.Add(LRInIPInput, 100, martian, drop)
		f.Add(LRInIPInput, 85, anyARPND, drop)
		f.Add(LRInIPInput, 84, routerDiscovery, next)
		f.Add(LRInIPInput, 83, mcastReserved, drop)
		f.Add(LRInIPInput, 82, mcastIP, drop)
		f.Add(LRInIPInput, 50, broadcast, drop)
		f.Add(LRInIPInput, 32, mcastExpired, drop)
		f.Add(LRInIPInput, 30, expired, drop)
	},
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		port := logical.Port("port", p.Name)
		if v4 := hosts(p.V4); len(v4) > 0 {
			f.Add(LRInIPInput, 100, fromOwnV4, drop, logical.IPSet("ips", withBroadcasts(p.V4)))
			f.Add(LRInIPInput, 90, pingV4, pongV4, logical.IPSet("ips", v4))
			f.Add(LRInIPInput, 60, toOwnV4, drop, logical.IPSet("ips", v4))
			f.Add(LRInIPInput, 31, expiredV4, timeExceeded(p, exceededV4, exceededThereV4), port, logical.IP("ip", p.V4[0].Addr()))
		}
		v6 := hosts(p.V6)
		f.Add(LRInIPInput, 90, pingV6, pongV6, logical.IPSet("ips", v6))
		f.Add(LRInIPInput, 60, toOwnV6, drop, logical.IPSet("ips", v6))
		for _, n := range p.V4 {
			m, cr := atGateway(answersAt(&p.Gateway), arpForPort, arpForGateway)
			f.Add(LRInIPInput, 90, m, routerARPReply, port, logical.IP("ip", n.Addr()), logical.Prefix("net", n.Masked()), cr)
			f.unreachable(p, n.Addr(), &unreachableV4)
		}
		for _, n := range p.V6 {
			ip := logical.IP("ip", n.Addr())
			m, cr := atGateway(p.Gateway.Redirect, ndForPort, ndForGateway)
			f.Add(LRInIPInput, 90, m, routerAdvert, port, ip, logical.IP("node", topology.SolicitedNode(n.Addr())), cr)
			if !n.Addr().IsLinkLocalUnicast() {
				f.Add(LRInIPInput, 31, expiredV6, timeExceeded(p, exceededV6, exceededThereV6), port, ip, logical.Prefix("net", n.Masked()))
			}
			f.unreachable(p, n.Addr(), &unreachableV6)
		}
	},
}

// unreachable answers what no part of the router takes: it has no services. A
// router with a gateway keeps silent, since what comes to its address may be for
// what is behind it.
func (f *Flows) unreachable(p *topology.RouterPort, ip netip.Addr, u *unreachable) {
	if p.Shape.Chassis != "" || p.Shape.Gateways {
		return
	}
	to := logical.IP("ip", ip)
	f.Add(LRInIPInput, 80, u.tcp, u.reset, to)
	f.Add(LRInIPInput, 80, u.sctp, u.abort, to)
	f.Add(LRInIPInput, 80, u.udp, u.port, to)
	f.Add(LRInIPInput, 70, u.other, u.protocol, to)
}

// timeExceeded picks the answer to an expired packet. As in OVN, that of a
// distributed gateway port comes from the address that was asked for: the port's
// own one is not everywhere.
func timeExceeded(p *topology.RouterPort, everywhere, there actionText) actionText {
	if p.Gateway.Redirect != "" {
		return there
	}
	return everywhere
}

// unreachable are the matches and answers of an IP version.
type unreachable struct {
	tcp, sctp, udp, other        matchText
	reset, abort, port, protocol actionText
}

// hosts are the addresses of networks.
func hosts(networks []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		out[i] = netip.PrefixFrom(n.Addr(), n.Addr().BitLen())
	}
	return out
}

// withBroadcasts are the addresses of networks and their broadcast addresses.
func withBroadcasts(networks []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range networks {
		out = append(out, netip.PrefixFrom(n.Addr(), 32), netip.PrefixFrom(topology.Broadcast(n), 32))
	}
	return out
}

var (
	martian = match("ip4.src_mcast || ip4.src == 255.255.255.255 || ip4.src == 127.0.0.0/8 || ip4.dst == 127.0.0.0/8 || " +
		"ip4.src == 0.0.0.0/8 || ip4.dst == 0.0.0.0/8")
	anyARPND        = match("arp || nd")
	routerDiscovery = match("nd_rs || nd_ra")
	mcastReserved   = match("ip6.mcast_rsvd")
	mcastIP         = match("ip4.mcast || ip6.mcast")
	broadcast       = match("eth.bcast")
	mcastExpired    = match("ip.ttl == {0, 1} && !ip.later_frag && (ip4.mcast || ip6.mcast)")
	expired         = match("ip.ttl == {0, 1}")
	fromOwnV4       = match("ip4.src == {ips} && reg9[0] == 0")
	toOwnV4         = match("ip4.dst == {ips}")
	toOwnV6         = match("ip6.dst == {ips}")
	pingV4          = match("ip4.dst == {ips} && icmp4.type == 8 && icmp4.code == 0")
	pongV4          = actions("ip4.dst <-> ip4.src; ip.ttl = 255; icmp4.type = 0; flags.loopback = 1; next;")
	pingV6          = match("ip6.dst == {ips} && icmp6.type == 128 && icmp6.code == 0")
	pongV6          = actions("ip6.dst <-> ip6.src; ip.ttl = 255; icmp6.type = 129; flags.loopback = 1; next;")
	arpForPort      = match("inport == {port} && arp.op == 1 && arp.tpa == {ip} && arp.spa == {net}")
	arpForGateway   = match("inport == {port} && arp.op == 1 && arp.tpa == {ip} && arp.spa == {net} && is_chassis_resident({cr})")
	routerARPReply  = actions("eth.dst = eth.src; eth.src = xreg0[0..47]; arp.op = 2; arp.tha = arp.sha; " +
		"arp.sha = xreg0[0..47]; arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;")
	ndForGateway = match("inport == {port} && ip6.dst == {{ip}, {node}} && nd_ns && nd.target == {ip} && is_chassis_resident({cr})")
	ndForPort    = match("inport == {port} && ip6.dst == {{ip}, {node}} && nd_ns && nd.target == {ip}")
	routerAdvert = actions("nd_na_router { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; " +
		"outport = inport; flags.loopback = 1; output; };")
	expiredV4       = match("inport == {port} && ip4 && ip.ttl == {0, 1} && !ip.later_frag")
	exceededThereV4 = actions("icmp4 { eth.dst <-> eth.src; icmp4.type = 11; icmp4.code = 0; ip4.dst <-> ip4.src; " +
		"ip.ttl = 254; outport = {port}; flags.loopback = 1; output; };")
	exceededThereV6 = actions("icmp6 { eth.dst <-> eth.src; ip6.dst <-> ip6.src; ip.ttl = 254; icmp6.type = 3; " +
		"icmp6.code = 0; outport = {port}; flags.loopback = 1; output; };")
	exceededV4 = actions("icmp4 { eth.dst <-> eth.src; icmp4.type = 11; icmp4.code = 0; ip4.dst = ip4.src; ip4.src = {ip}; " +
		"ip.ttl = 254; outport = {port}; flags.loopback = 1; output; };")
	expiredV6  = match("inport == {port} && ip6 && ip6.src == {net} && ip.ttl == {0, 1} && !ip.later_frag")
	exceededV6 = actions("icmp6 { eth.dst <-> eth.src; ip6.dst = ip6.src; ip6.src = {ip}; ip.ttl = 254; icmp6.type = 3; " +
		"icmp6.code = 0; outport = {port}; flags.loopback = 1; output; };")
	unreachableV4 = unreachable{
		tcp:      match("ip4 && ip4.dst == {ip} && !ip.later_frag && tcp"),
		sctp:     match("ip4 && ip4.dst == {ip} && !ip.later_frag && sctp"),
		udp:      match("ip4 && ip4.dst == {ip} && !ip.later_frag && udp"),
		other:    match("ip4 && ip4.dst == {ip} && !ip.later_frag"),
		reset:    actions("tcp_reset { eth.dst <-> eth.src; ip4.dst <-> ip4.src; next; };"),
		abort:    actions("sctp_abort { eth.dst <-> eth.src; ip4.dst <-> ip4.src; next; };"),
		port:     actions("icmp4 { eth.dst <-> eth.src; ip4.dst <-> ip4.src; ip.ttl = 255; icmp4.type = 3; icmp4.code = 3; next; };"),
		protocol: actions("icmp4 { eth.dst <-> eth.src; ip4.dst <-> ip4.src; ip.ttl = 255; icmp4.type = 3; icmp4.code = 2; next; };"),
	}
	unreachableV6 = unreachable{
		tcp:      match("ip6 && ip6.dst == {ip} && !ip.later_frag && tcp"),
		sctp:     match("ip6 && ip6.dst == {ip} && !ip.later_frag && sctp"),
		udp:      match("ip6 && ip6.dst == {ip} && !ip.later_frag && udp"),
		other:    match("ip6 && ip6.dst == {ip} && !ip.later_frag"),
		reset:    actions("tcp_reset { eth.dst <-> eth.src; ip6.dst <-> ip6.src; next; };"),
		abort:    actions("sctp_abort { eth.dst <-> eth.src; ip6.dst <-> ip6.src; next; };"),
		port:     actions("icmp6 { eth.dst <-> eth.src; ip6.dst <-> ip6.src; ip.ttl = 255; icmp6.type = 1; icmp6.code = 4; next; };"),
		protocol: actions("icmp6 { eth.dst <-> eth.src; ip6.dst <-> ip6.src; ip.ttl = 255; icmp6.type = 1; icmp6.code = 3; next; };"),
	}
)
