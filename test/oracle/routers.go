package oracle

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"govn/sim/lab"
)

// rport is a router port, as its switch and the generator see it.
type rport struct {
	name     string
	router   string
	mac      string
	networks []netip.Prefix // with the port's own address
}

// routing is what a topology's nbctl commands say about routers: the ports by
// name, and the prefixes that routes and policies speak of.
type routing struct {
	ports    map[string]*rport
	prefixes []netip.Prefix
}

// readRouting reads "lrp-add ROUTER PORT MAC NETWORK... [COLUMN=VALUE]", and from
// lr-route-add and lr-policy-add every word that is a prefix. What cannot be read
// is left to ovn-nbctl to judge.
func readRouting(cfg *lab.Config) (*routing, error) {
	r := &routing{ports: map[string]*rport{}}
	for i, line := range cfg.Topology.Nbctl {
		words, err := lab.SplitWords(line)
		if err != nil {
			return nil, fmt.Errorf("topology.nbctl[%d]: %w", i, err)
		}
		for len(words) > 0 && strings.HasPrefix(words[0], "--") {
			words = words[1:]
		}
		switch {
		case len(words) >= 5 && words[0] == "lrp-add":
			p := &rport{router: words[1], name: words[2], mac: strings.ToLower(words[3])}
			for _, w := range words[4:] {
				if n, err := netip.ParsePrefix(w); err == nil {
					p.networks = append(p.networks, n)
				}
			}
			r.ports[p.name] = p
		case len(words) >= 4 && (words[0] == "lr-route-add" || words[0] == "lr-policy-add"):
			for _, w := range strings.FieldsFunc(strings.Join(words[2:], " "), func(c rune) bool { return strings.ContainsRune(" {},", c) }) {
				if n, err := netip.ParsePrefix(w); err == nil {
					r.prefixes = append(r.prefixes, n)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.ports)) {
		for _, n := range r.ports[name].networks {
			r.prefixes = append(r.prefixes, n.Masked())
		}
	}
	return r, nil
}

// endpoint is the router port as one that owns addresses on its switch.
func (p *rport) endpoint() endpoint {
	e := endpoint{mac: p.mac, ip6: []netip.Addr{linkLocal(p.mac)}}
	for _, n := range p.networks {
		if a := n.Addr(); a.Is4() {
			e.ip4 = append(e.ip4, a)
		} else {
			e.ip6 = append(e.ip6, a)
		}
	}
	return e
}

// address is one of a port's own addresses of that family.
func (g *generator) address(p *rport, four bool) (netip.Addr, bool) {
	e := p.endpoint()
	list := e.ip6
	if four {
		list = e.ip4
	}
	if len(list) == 0 {
		return netip.Addr{}, false
	}
	return pick(g.r, list), true
}

// within is a random address of a prefix: mostly a small one, sometimes its first
// or its last.
func (g *generator) within(n netip.Prefix) netip.Addr {
	b := n.Masked().Addr().AsSlice()
	host := len(b)*8 - n.Bits()
	last := g.chance(10)
	for i := range b {
		bits := min(max(host-(len(b)-1-i)*8, 0), 8) // of this byte that are the host's
		switch {
		case last:
			b[i] |= byte(1<<bits - 1)
		case i >= len(b)-2:
			b[i] |= byte(g.r.IntN(1 << bits))
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// far is where a routed packet is to go, and what that is.
func (g *generator) far(sw *lswitch, via *rport, four bool) (netip.Addr, string) {
	known := g.known6
	if four {
		known = g.known4
	}
	switch n := g.r.IntN(100); {
	case n < 40:
		return known(g.every), "known"
	case n < 45:
		return known(sw.all), "hairpin"
	case n < 53:
		if a, ok := g.address(via, four); ok {
			return a, "router"
		}
	case n < 63:
		if a, ok := g.address(g.ports[g.r.IntN(len(g.ports))], four); ok {
			return a, "router-elsewhere"
		}
	case n < 90:
		same := slices.DeleteFunc(slices.Clone(g.prefixes), func(n netip.Prefix) bool { return n.Addr().Is4() != four })
		if len(same) > 0 {
			return g.within(pick(g.r, same)), "prefix"
		}
	case n < 95:
		if four {
			return pick(g.r, []netip.Addr{
				netip.AddrFrom4([4]byte{255, 255, 255, 255}), netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.AddrFrom4([4]byte{224, 0, 0, 5}),
				netip.AddrFrom4([4]byte{169, 254, 1, 1}), netip.AddrFrom4([4]byte{}),
			}), "special"
		}
		return pick(g.r, []netip.Addr{
			netip.IPv6Loopback(), netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("ff05::2"), netip.MustParseAddr("fe80::1"),
		}), "special"
	}
	if four {
		return netip.AddrFrom4([4]byte{8, 8, byte(g.r.IntN(256)), 8}), "outside"
	}
	return netip.MustParseAddr("2001:db8::8"), "outside"
}

// routed makes a packet that goes to a router of the switch, or through it.
func (g *generator) routed(m *Microflow, sw *lswitch, s sender) {
	via := pick(g.r, sw.routers)
	switch n := g.r.IntN(100); {
	case n < 10:
		g.askRouter4(m, sw, via, s)
	case n < 20:
		g.askRouter6(m, via, s)
	case n < 24:
		// a router solicitation, or an advertisement of somebody else
		m.Kind = "router-solicitation"
		m.set("eth.dst", "33:33:00:00:00:02", "eth.type", "0x86dd", "ip6.src", s.ip6.String(), "ip6.dst", "ff02::2",
			"ip.proto", "58", "ip.ttl", "255", "icmp6.type", pick(g.r, []string{"133", "133", "134"}), "icmp6.code", "0")
	case n < 65:
		to, kind := g.far(sw, via, true)
		m.Kind = "routed4-" + kind
		m.set("eth.dst", via.mac, "eth.type", "0x0800", "ip4.src", s.ip4.String(), "ip4.dst", to.String())
		g.ttl(m)
		g.payload4(m)
	default:
		to, kind := g.far(sw, via, false)
		m.Kind = "routed6-" + kind
		m.set("eth.dst", via.mac, "eth.type", "0x86dd", "ip6.src", s.ip6.String(), "ip6.dst", to.String())
		g.ttl(m)
		g.payload6(m)
	}
}

func (g *generator) ttl(m *Microflow) {
	ttl := pick(g.r, []string{"64", "64", "64", "64", "64", "255", "3", "2", "1", "0"})
	if ttl != "64" {
		m.Kind += "-ttl-" + ttl
	}
	m.set("ip.ttl", ttl)
}

func (g *generator) payload4(m *Microflow) {
	switch g.r.IntN(5) {
	case 0:
		m.set("ip.proto", "6", "tcp.src", "40000", "tcp.dst", pick(g.r, []string{"80", "8080"}))
	case 1:
		m.set("ip.proto", "17", "udp.src", "40000", "udp.dst", pick(g.r, []string{"53", "4789", "33434"}))
	case 2:
		m.set("ip.proto", "1", "icmp4.type", pick(g.r, []string{"0", "3", "11", "13"}), "icmp4.code", "0")
	case 3:
		m.set("ip.proto", "47")
	default:
		m.set("ip.proto", "1", "icmp4.type", "8", "icmp4.code", "0")
	}
}

func (g *generator) payload6(m *Microflow) {
	switch g.r.IntN(5) {
	case 0:
		m.set("ip.proto", "6", "tcp.src", "40000", "tcp.dst", pick(g.r, []string{"80", "8080"}))
	case 1:
		m.set("ip.proto", "17", "udp.src", "40000", "udp.dst", pick(g.r, []string{"53", "4789", "33434"}))
	case 2:
		m.set("ip.proto", "58", "icmp6.type", pick(g.r, []string{"1", "3", "129"}), "icmp6.code", "0")
	case 3:
		m.set("ip.proto", "47")
	default:
		m.set("ip.proto", "58", "icmp6.type", "128", "icmp6.code", "0")
	}
}

// askRouter4 is ARP about a router's addresses, or an answer to it.
func (g *generator) askRouter4(m *Microflow, sw *lswitch, via *rport, s sender) {
	tpa, ok := g.address(via, true)
	if !ok || g.chance(20) {
		tpa = g.known4(g.every)
	}
	m.Kind = "arp-router"
	dst, op, tha := "ff:ff:ff:ff:ff:ff", "1", "00:00:00:00:00:00"
	switch n := g.r.IntN(100); {
	case n < 20:
		dst, m.Kind = via.mac, "arp-router-unicast"
	case n < 40:
		dst, op, tha, m.Kind = via.mac, "2", via.mac, "arp-router-reply"
	}
	spa := s.ip4
	if g.chance(15) {
		spa, m.Kind = g.known4(g.every), m.Kind+"-other-spa"
	}
	sha := s.mac
	if g.chance(5) {
		sha, m.Kind = pick(g.r, sw.all).mac, m.Kind+"-other-sha"
	}
	m.set("eth.dst", dst, "eth.type", "0x0806", "arp.op", op, "arp.spa", spa.String(), "arp.tpa", tpa.String(), "arp.sha", sha, "arp.tha", tha)
}

// askRouter6 is neighbour discovery about a router's addresses, or an answer to it.
func (g *generator) askRouter6(m *Microflow, via *rport, s sender) {
	target, _ := g.address(via, false)
	if g.chance(10) {
		target = g.known6(g.every)
	}
	m.set("eth.type", "0x86dd", "ip6.src", s.ip6.String(), "ip.proto", "58", "ip.ttl", "255", "icmp6.code", "0")
	switch n := g.r.IntN(100); {
	case n < 25:
		own, _ := g.address(via, false)
		m.Kind = "nd-na-router"
		m.set("eth.dst", via.mac, "ip6.dst", own.String(), "icmp6.type", "136", "nd.target", s.ip6.String(), "nd.tll", s.mac)
	case n < 45:
		m.Kind = "nd-ns-router-unicast"
		m.set("eth.dst", via.mac, "ip6.dst", target.String(), "icmp6.type", "135", "nd.target", target.String(), "nd.sll", s.mac)
	default:
		t := target.As16()
		m.Kind = "nd-ns-router"
		m.set("eth.dst", fmt.Sprintf("33:33:ff:%02x:%02x:%02x", t[13], t[14], t[15]), "icmp6.type", "135", "nd.target", target.String(), "nd.sll", s.mac,
			"ip6.dst", netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}).String())
	}
}
