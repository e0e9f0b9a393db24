package pipeline

import (
	"fmt"
	"strings"
	"sync"

	"govn/northd/topology"
	"govn/pkg/logical"
)

// OfRoutes is what the static routes of a router to one prefix do: one next hop,
// several of which one is chosen by a hash of the packet, or nothing (ovn-northd(8),
// "Ingress Table 13: IP Routing" and "Ingress Table 14: IP_ROUTING_ECMP").
func OfRoutes(g *topology.RouteGroup) ([]Flow, error) {
	return Collect(func(f *Flows) {
		priority := routePriority(&g.RouteKey)
		to := routeMatch(g)
		args := []logical.Arg{logical.Prefix("net", g.Prefix), logical.Int("table", uint64(g.TableID))}
		switch {
		case g.Discard:
			f.Add(LRInIPRouting, priority, to, drop, args...)
		case len(g.Hops) == 1:
			h := &g.Hops[0]
			f.Add(LRInIPRouting, priority, to, hopActions(&viaHop, g, h), append(args, hopArgs(h)...)...)
			if h.Exit.BFD {
				f.Add(LRInIPRouting, BFDPriority(priority), bfdRouteMatch(g), hopActions(&bfdHop, g, h), append(args, hopArgs(h)...)...)
			}
		default:
			spread, err := spread(&spreadRoutes, len(g.Hops))
			if err != nil {
				f.err = err
				return
			}
			group := logical.Int("group", uint64(g.ID))
			f.Add(LRInIPRouting, priority, to, spread, append(args, group)...)
			for i := range g.Hops {
				h := &g.Hops[i]
				f.Add(LRInIPRoutingECMP, 100, member, hopActions(&memberHop, g, h),
					append(hopArgs(h), group, logical.Int("member", uint64(i)+1))...)
			}
			if g.OneChassis {
				symmetric(f, g, args)
			}
		}
		if g.Prefix.Addr().Is6() {
			askNextHops(f, g)
		}
	})
}

// OfRouteTable is where the packets that come in by a port look for routes: in the
// table with the number, and not in the main one.
func OfRouteTable(port string, table uint32) ([]Flow, error) {
	return Collect(func(f *Flows) {
		f.Add(LRInIPRoutingPre, 100, fromPort, otherTable, logical.Port("port", port), logical.Int("table", uint64(table)))
	})
}

// askNextHops has the next hops of IPv6 routes solicited at their own group
// address, where the address of any other next hop is asked for at all nodes.
func askNextHops(f *Flows, g *topology.RouteGroup) {
	seen := make(map[string]bool)
	for i := range g.Hops {
		next := g.Hops[i].Next
		if !next.IsValid() || seen[next.String()] {
			continue
		}
		seen[next.String()] = true
		node := topology.SolicitedNode(next)
		f.Add(LRInARPRequest, 200, unknownHopV6, solicitHop, logical.IP("hop", next), logical.IP("node", node), logical.MAC("group", topology.MulticastMAC(node)))
	}
}

func routePriority(k *topology.RouteKey) uint16 {
	origin := RouteStatic
	switch {
	case k.Source:
		origin = RouteSource
	case k.Connected:
		origin = RouteConnected
	}
	return RoutePriority(k.Prefix.Bits(), origin)
}

// routeMatch tells the packets of a route. Routes by source address and those of
// other zones' networks hold in every table, if they are in none.
func routeMatch(g *topology.RouteGroup) matchText {
	version := 0
	if g.Prefix.Addr().Is6() {
		version = 1
	}
	if g.TableID == 0 && (g.Source || g.Connected) {
		if g.Source {
			return fromNet[version]
		}
		return [2]matchText{toNetV4, toNetV6}[version]
	}
	if g.Source {
		return tableFrom[version]
	}
	return tableTo[version]
}

// hopTexts are the actions to a next hop by version of IP: to one that is given,
// and to the packet's own destination.
type hopTexts [2][2]actionText

func hopActions(t *hopTexts, g *topology.RouteGroup, h *topology.Hop) actionText {
	version, direct := 0, 0
	if g.Prefix.Addr().Is6() {
		version = 1
	}
	if !h.Next.IsValid() {
		direct = 1
	}
	return t[version][direct]
}

// hopArgs fill the holes of the actions to a next hop.
func hopArgs(h *topology.Hop) []logical.Arg {
	args := []logical.Arg{logical.IP("src", h.Exit.Source), logical.MAC("mac", h.Exit.MAC), logical.Port("port", h.Exit.Name)}
	if h.Next.IsValid() {
		args = append(args, logical.IP("hop", h.Next))
	}
	return args
}

// spreadTexts are the actions that choose among a number of alternatives, made
// once for each number.
type spreadTexts struct {
	format string // with %s for "1, 2, ..."
	made   sync.Map
}

// spread chooses one of n alternatives.
func spread(t *spreadTexts, n int) (actionText, error) {
	if text, ok := t.made.Load(n); ok {
		return text.(actionText), nil
	}
	var list strings.Builder
	for i := range n {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprint(&list, i+1)
	}
	text := fmt.Sprintf(t.format, list.String())
	template, err := logical.ParseActionTemplate(text, symbols)
	if err != nil {
		return nil, fmt.Errorf("%d alternatives: %w", n, err)
	}
	made := parsedActions(template)
	t.made.Store(n, made)
	return made, nil
}

const hopTail = "{src}; eth.src = {mac}; outport = {port}; "

var (
	fromNet    = [2]matchText{match("ip4.src == {net}"), match("ip6.src == {net}")}
	tableFrom  = [2]matchText{match("reg7 == {table} && ip4.src == {net}"), match("reg7 == {table} && ip6.src == {net}")}
	tableTo    = [2]matchText{match("reg7 == {table} && ip4.dst == {net}"), match("reg7 == {table} && ip6.dst == {net}")}
	otherTable = actions("reg7 = {table}; next;")
	member     = match("reg8[0..15] == {group} && reg8[16..31] == {member}")

	viaHop = hopTexts{
		{actions("ip.ttl--; reg8[0..15] = 0; reg0 = {hop}; reg1 = " + hopTail + "flags.loopback = 1; next;"), routeV4},
		{actions("ip.ttl--; reg8[0..15] = 0; xxreg0 = {hop}; xxreg1 = " + hopTail + "flags.loopback = 1; next;"), routeV6},
	}
	memberHop = hopTexts{
		{actions("reg0 = {hop}; reg1 = " + hopTail + "next;"), actions("reg0 = ip4.dst; reg1 = " + hopTail + "next;")},
		{actions("xxreg0 = {hop}; xxreg1 = " + hopTail + "next;"), actions("xxreg0 = ip6.dst; xxreg1 = " + hopTail + "next;")},
	}
	spreadRoutes = spreadTexts{format: "ip.ttl--; flags.loopback = 1; reg8[0..15] = {group}; reg8[16..31] = select(%s);"}

	unknownHopV6 = match("eth.dst == 00:00:00:00:00:00 && ip6 && xxreg0 == {hop}")
	solicitHop   = actions("nd_ns { eth.dst = {group}; ip6.dst = {node}; nd.target = {hop}; output; };")
)
