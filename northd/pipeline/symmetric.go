package pipeline

import (
	"fmt"

	"govn/northd/topology"
	"govn/pkg/logical"
)

// symmetric has the replies of connections that came in by one of several routes go
// back the same way, whatever a hash would choose (ovn-nb(5),
// options:ecmp_symmetric_reply; ovn-northd(8), "Ingress Table 5: DEFRAG", "9: ECMP
// stateful"). Port and Ethernet address that a connection came from are in its mark
// and label. A port stands once, for the first of its routes.
func symmetric(f *Flows, g *topology.RouteGroup, args []logical.Arg) {
	version := 0
	if g.Prefix.Addr().Is6() {
		version = 1
	}
	by := 0
	if g.Source {
		by = 1
	}
	seen := make(map[string]bool)
	for i := range g.Hops {
		h := &g.Hops[i]
		if !h.Symmetric || seen[h.Exit.Name] {
			continue
		}
		if len(seen) == 0 {
			f.Add(LRInDefrag, 100, routeMatch(g), trackReply, args...)
		}
		seen[h.Exit.Name] = true
		with := append([]logical.Arg{logical.Int("key", uint64(h.Exit.Key))}, args...)
		with = append(with, hopArgs(h)...)
		f.Add(LRInDefrag, 100, cameFrom[version][by], trackRequest, with...)
		for p := range transports {
			f.Add(LRInECMPStateful, 100, opened[version][by][p], remember[version][p], with...)
			f.Add(LRInECMPStateful, 100, moved[version][by][p], remember[version][p], with...)
		}
		back := replyTo[version][by]
		if g.TableID == 0 && (g.Source || g.Connected) {
			back = replyInAnyTable[version][by]
		}
		f.Add(LRInIPRouting, symmetricPriority, back, goBack[version], with...)
		f.Add(LRInPolicy, 65535, isReply, next, with...)
		f.Add(LRInARPResolve, 200, isReply, restoreMAC, with...)
	}
}

// symmetricPriority is above that of any other route.
const symmetricPriority = 10300

// transports are the protocols whose connections are remembered.
var transports = [3]string{"tcp", "udp", "sctp"}

// transportTexts are matches or actions by transport.
type (
	transportMatches [len(transports)]matchText
	transportActions [len(transports)]actionText
)

// matchEach makes a match of a connection for each transport.
func matchEach(format, net string) (m transportMatches) {
	for i, p := range transports {
		m[i] = match("inport == {port} && " + net + fmt.Sprintf(format, p))
	}
	return m
}

// rememberEach makes the actions that remember where a connection came from for each
// transport.
func rememberEach(ipv6 bool) (a transportActions) {
	for i, p := range transports {
		a[i] = actions(fmt.Sprintf("ct_commit { ct_label.ecmp_reply_eth = eth.src; ct_mark.ecmp_reply_port = {key}; }; "+
			"commit_ecmp_nh(ipv6 = %t, proto = %s); next;", ipv6, p))
	}
	return a
}

const (
	newConnection = " && (ct.new && !ct.est) && %s"
	notYetKnown   = " && (!ct.rpl && ct.est) && %s && reg9[5] == 0"
	ofReply       = "ct.rpl && reg9[5] == 1 && ct_mark.ecmp_reply_port == {key}"
)

// By version of IP, and by whether a route is by destination or by source: what
// comes from its network has the addresses the other way round.
var (
	cameFrom = [2][2]matchText{
		{match("inport == {port} && ip4.src == {net}"), match("inport == {port} && ip4.dst == {net}")},
		{match("inport == {port} && ip6.src == {net}"), match("inport == {port} && ip6.dst == {net}")},
	}
	opened = [2][2]transportMatches{
		{matchEach(newConnection, "ip4.src == {net}"), matchEach(newConnection, "ip4.dst == {net}")},
		{matchEach(newConnection, "ip6.src == {net}"), matchEach(newConnection, "ip6.dst == {net}")},
	}
	moved = [2][2]transportMatches{
		{matchEach(notYetKnown, "ip4.src == {net}"), matchEach(notYetKnown, "ip4.dst == {net}")},
		{matchEach(notYetKnown, "ip6.src == {net}"), matchEach(notYetKnown, "ip6.dst == {net}")},
	}
	replyTo = [2][2]matchText{
		{match(ofReply + " && reg7 == {table} && ip4.dst == {net}"), match(ofReply + " && reg7 == {table} && ip4.src == {net}")},
		{match(ofReply + " && reg7 == {table} && ip6.dst == {net}"), match(ofReply + " && reg7 == {table} && ip6.src == {net}")},
	}
	replyInAnyTable = [2][2]matchText{
		{match(ofReply + " && ip4.dst == {net}"), match(ofReply + " && ip4.src == {net}")},
		{match(ofReply + " && ip6.dst == {net}"), match(ofReply + " && ip6.src == {net}")},
	}
	isReply = match(ofReply)

	trackReply   = actions("reg9[5] = chk_ecmp_nh(); ct_next;")
	trackRequest = actions("reg9[5] = chk_ecmp_nh_mac(); ct_next;")
	remember     = [2]transportActions{rememberEach(false), rememberEach(true)}
	goBack       = [2]actionText{
		actions("ip.ttl--; flags.loopback = 1; eth.src = {mac}; reg1 = {src}; outport = {port}; next;"),
		actions("ip.ttl--; flags.loopback = 1; eth.src = {mac}; xxreg1 = {src}; outport = {port}; next;"),
	}
	restoreMAC = actions("push(xxreg1); xxreg1 = ct_label; eth.dst = xxreg1[32..79]; pop(xxreg1); next;")
)
