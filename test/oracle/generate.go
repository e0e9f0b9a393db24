package oracle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"govn/sim/lab"
)

// endpoint is one "MAC [IP...]" of a port.
type endpoint struct {
	mac string
	ip4 []netip.Addr
	ip6 []netip.Addr
}

// lport is a logical port as the generator sees it.
type lport struct {
	name   string
	at     string     // chassis, where the port is on several
	nested bool       // behind a VLAN of its parent's interface
	tci    string     // of frames that a machine outside sends to this switch
	own    []endpoint // what the port may send with: addresses and port security
}

// lswitch is a logical switch with the ports that packets can enter at, and all
// addresses that are on it.
type lswitch struct {
	name    string
	ingress []lport
	all     []endpoint
	routers []*rport // at its ports of type router
}

// Generate makes n microflows for a topology, the same for the same seed. They
// enter at the ports that a workload has. It panics if there are none: the
// topology of a test is wrong then.
func Generate(cfg *lab.Config, seed uint64, n int) []Microflow {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0))}
	if err := g.read(cfg); err != nil {
		panic(fmt.Sprintf("oracle: %q: %v", cfg.File, err))
	}
	if len(g.switches) == 0 {
		panic(fmt.Sprintf("oracle: no workload of %q is on a switch of the topology", cfg.File))
	}
	flows := make([]Microflow, n)
	for i := range flows {
		flows[i] = g.microflow()
	}
	return flows
}

type generator struct {
	r        *rand.Rand
	switches []lswitch
	every    []endpoint // of all switches
	ports    []*rport   // of all routers
	prefixes []netip.Prefix
}

func (g *generator) read(cfg *lab.Config) error {
	learned := stations(cfg)
	routing, err := readRouting(cfg)
	if err != nil {
		return err
	}
	g.prefixes = routing.prefixes
	for _, name := range slices.Sorted(maps.Keys(routing.ports)) {
		g.ports = append(g.ports, routing.ports[name])
	}
	for _, sw := range cfg.Topology.Switches {
		s := lswitch{name: sw.Name}
		for _, p := range sw.Ports {
			if r := routing.ports[p.Options["router-port"]]; r != nil && p.Type == "router" {
				s.routers, s.all = append(s.routers, r), append(s.all, r.endpoint())
				continue
			}
			lp := lport{name: p.Name, nested: p.Parent != ""}
			for _, text := range slices.Concat(p.Addresses, p.PortSecurity) {
				if e, ok := parseEndpoint(text); ok {
					lp.own = append(lp.own, e)
				}
			}
			if mac := learned[p.Name]; mac != "" {
				lp.own = append(lp.own, endpoint{mac: mac})
			}
			s.all = append(s.all, lp.own...)
			for _, w := range cfg.Workloads {
				if w.Port != p.Name && (w.Port != p.Parent || p.Parent == "") {
					continue
				}
				if len(lp.own) == 0 {
					lp.own = append(lp.own, endpoint{mac: w.MAC})
					s.all = append(s.all, lp.own...)
				}
				if p.Type == "localport" {
					lp.at = w.Chassis
				}
				s.ingress = append(s.ingress, lp)
			}
			outside := machines(cfg, &p)
			for i := range outside {
				s.all = append(s.all, outside[i].own...)
			}
			s.ingress = append(s.ingress, outside...)
		}
		g.every = append(g.every, s.all...)
		if len(s.ingress) > 0 {
			g.switches = append(g.switches, s)
		}
	}
	return nil
}

// machines are those outside that are on the physical network of a localnet
// port, as far as the chassis that they are at maps it to their bridge.
func machines(cfg *lab.Config, p *lab.Port) []lport {
	var list []lport
	for _, w := range cfg.Workloads {
		for _, ch := range cfg.Chassis {
			mapping := "," + ch.ExternalIDs["ovn-bridge-mappings"] + ","
			if p.Type != "localnet" || ch.Name != w.Chassis || !strings.Contains(mapping, ","+p.Options["network_name"]+":"+w.Bridge+",") {
				continue
			}
			e := endpoint{mac: w.MAC}
			for _, n := range w.IPs {
				if a := n.Addr(); a.Is4() {
					e.ip4 = append(e.ip4, a)
				} else {
					e.ip6 = append(e.ip6, a)
				}
			}
			lp := lport{name: w.Port, own: []endpoint{e}}
			if p.Tag != 0 {
				lp.tci = tci(p.Tag)
			}
			list = append(list, lp)
		}
	}
	return list
}

// Outside tells whether a topology has physical networks: ovn-trace knows nothing of
// what they connect, and cannot be asked about it.
func Outside(cfg *lab.Config) bool {
	return slices.ContainsFunc(cfg.Topology.Switches, func(sw lab.Switch) bool {
		return slices.ContainsFunc(sw.Ports, func(p lab.Port) bool { return p.Type == "localnet" })
	})
}

// parseEndpoint reads "MAC [IP[/LEN]...]".
func parseEndpoint(text string) (endpoint, bool) {
	words := strings.Fields(text)
	if len(words) == 0 || !strings.Contains(words[0], ":") {
		return endpoint{}, false
	}
	e := endpoint{mac: strings.ToLower(words[0])}
	for _, w := range words[1:] {
		w, _, _ = strings.Cut(w, "/")
		a, err := netip.ParseAddr(w)
		if err != nil {
			continue
		}
		if a.Is4() {
			e.ip4 = append(e.ip4, a)
		} else {
			e.ip6 = append(e.ip6, a)
		}
	}
	return e, true
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// chance is true in p of 100 cases.
func (g *generator) chance(p int) bool { return g.r.IntN(100) < p }

func (g *generator) randomMAC() string {
	v := g.r.Uint64()
	return fmt.Sprintf("06:%02x:%02x:%02x:%02x:%02x", byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32))
}

func (g *generator) random4() netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(g.r.IntN(3)), 0, byte(g.r.IntN(256))})
}

func (g *generator) random6() netip.Addr {
	a := netip.MustParseAddr("fd00::").As16()
	a[15], a[14] = byte(g.r.IntN(256)), byte(g.r.IntN(2))
	return netip.AddrFrom16(a)
}

// linkLocal is the EUI-64 link-local address of a MAC.
func linkLocal(mac string) netip.Addr {
	var m [6]byte
	_, _ = fmt.Sscanf(mac, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
}

// sender is who the packet claims to come from.
type sender struct {
	mac string
	ip4 netip.Addr
	ip6 netip.Addr
	how string // "", "-spoofed-mac", "-spoofed-ip"
}

func (g *generator) sender(p *lport) sender {
	e := pick(g.r, p.own)
	s := sender{mac: e.mac, ip4: g.random4(), ip6: linkLocal(e.mac)}
	if len(e.ip4) > 0 {
		s.ip4 = pick(g.r, e.ip4)
	}
	if len(e.ip6) > 0 && g.chance(80) {
		s.ip6 = pick(g.r, e.ip6)
	}
	switch {
	case g.chance(15):
		s.how = "-spoofed-mac"
		s.mac = pick(g.r, []string{g.randomMAC(), pick(g.r, g.every).mac, "01:00:5e:00:00:01"})
	case g.chance(15):
		s.how = "-spoofed-ip"
		s.ip4 = pick(g.r, []netip.Addr{g.random4(), g.known4(g.every), netip.IPv4Unspecified()})
		s.ip6 = pick(g.r, []netip.Addr{g.random6(), g.known6(g.every), netip.IPv6Unspecified()})
	}
	return s
}

// known4 is an address of a port, or some other one if no port has any.
func (g *generator) known4(list []endpoint) netip.Addr {
	for range 8 {
		if e := pick(g.r, list); len(e.ip4) > 0 {
			return pick(g.r, e.ip4)
		}
	}
	return g.random4()
}

func (g *generator) known6(list []endpoint) netip.Addr {
	for range 8 {
		if e := pick(g.r, list); len(e.ip6) > 0 {
			return pick(g.r, e.ip6)
		}
	}
	return g.random6()
}

// destination is a MAC to send to, with what it is.
func (g *generator) destination(sw *lswitch, p *lport) (mac, kind string) {
	switch n := g.r.IntN(100); {
	case n < 45:
		return pick(g.r, sw.all).mac, "known"
	case n < 60:
		return g.randomMAC(), "unknown"
	case n < 75:
		return "ff:ff:ff:ff:ff:ff", "broadcast"
	case n < 85:
		return pick(g.r, []string{"01:00:5e:00:00:fb", "33:33:00:00:00:01", "01:80:c2:00:00:0e"}), "multicast"
	case n < 92:
		return pick(g.r, p.own).mac, "itself"
	}
	return pick(g.r, g.every).mac, "anywhere"
}

func (g *generator) microflow() Microflow {
	sw := &g.switches[g.r.IntN(len(g.switches))]
	p := &sw.ingress[g.r.IntN(len(sw.ingress))]
	s := g.sender(p)
	m := Microflow{Switch: sw.name, Inport: p.name, At: p.at, Packet: Packet{"eth.src": s.mac}}
	switch n := g.r.IntN(100); {
	case len(sw.routers) > 0 && g.chance(75):
		g.routed(&m, sw, s)
	case n < 25:
		g.arp(&m, sw, p, s)
	case n < 45:
		g.neighbour(&m, sw, p, s)
	case n < 65:
		g.ip4(&m, sw, p, s)
	case n < 82:
		g.ip6(&m, sw, p, s)
	default:
		g.other(&m, sw, p)
	}
	switch {
	case p.tci != "" && g.chance(90): // else untagged, which is another network
		m.Packet["vlan.tci"] = p.tci
		m.Kind += "-vlan"
	case m.Packet["vlan.tci"] == "" && !p.nested && g.chance(3):
		m.Packet["vlan.tci"] = "0x1064"
		m.Kind += "-tagged"
	}
	m.Kind += s.how
	return m
}

func (g *generator) arp(m *Microflow, sw *lswitch, p *lport, s sender) {
	dst, kind := "ff:ff:ff:ff:ff:ff", "arp-request"
	op, tha := "1", "00:00:00:00:00:00"
	tpa := g.known4(sw.all)
	switch n := g.r.IntN(100); {
	case n < 50:
		kind += "-known"
	case n < 70:
		tpa, kind = g.random4(), kind+"-unknown"
	case n < 80:
		tpa, kind = s.ip4, "arp-announcement"
	case n < 90:
		dst, kind = pick(g.r, sw.all).mac, kind+"-unicast"
	default:
		op, tha, kind = "2", pick(g.r, sw.all).mac, "arp-reply"
		dst = tha
	}
	sha := s.mac
	if g.chance(10) {
		sha, kind = pick(g.r, g.every).mac, kind+"-other-sha"
	}
	m.Kind = kind
	m.set("eth.dst", dst, "eth.type", "0x0806", "arp.op", op, "arp.spa", s.ip4.String(), "arp.tpa", tpa.String(), "arp.sha", sha, "arp.tha", tha)
}

func (g *generator) neighbour(m *Microflow, sw *lswitch, p *lport, s sender) {
	target, kind := g.known6(sw.all), "nd-ns-known"
	if g.chance(30) {
		target, kind = g.random6(), "nd-ns-unknown"
	}
	if g.chance(10) {
		target, kind = linkLocal(pick(g.r, sw.all).mac), "nd-ns-link-local"
	}
	t := target.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]})
	dst, ipDst := fmt.Sprintf("33:33:ff:%02x:%02x:%02x", t[13], t[14], t[15]), group
	lladdr := s.mac
	if g.chance(10) {
		lladdr = pick(g.r, g.every).mac
	}
	if g.chance(20) {
		// an advertisement, to one or to all
		dst, ipDst = "33:33:00:00:00:01", netip.MustParseAddr("ff02::1")
		if g.chance(50) {
			dst, ipDst = pick(g.r, sw.all).mac, g.known6(sw.all)
		}
		if g.chance(70) {
			target = s.ip6
		}
		m.Kind = "nd-na"
		m.set("icmp6.type", "136", "nd.tll", lladdr)
	} else {
		if g.chance(20) {
			dst, ipDst, kind = pick(g.r, sw.all).mac, target, kind+"-unicast"
		}
		m.Kind = kind
		m.set("icmp6.type", "135", "nd.sll", lladdr)
	}
	m.set("eth.dst", dst, "eth.type", "0x86dd", "ip6.src", s.ip6.String(), "ip6.dst", ipDst.String(),
		"ip.proto", "58", "ip.ttl", "255", "icmp6.code", "0", "nd.target", target.String())
}

func (g *generator) ip4(m *Microflow, sw *lswitch, p *lport, s sender) {
	dst, kind := g.destination(sw, p)
	to := g.known4(sw.all)
	switch kind {
	case "broadcast":
		to = netip.MustParseAddr("255.255.255.255")
	case "multicast":
		to, dst = netip.MustParseAddr("224.0.0.251"), "01:00:5e:00:00:fb"
	case "unknown":
		to = g.random4()
	}
	m.set("eth.dst", dst, "eth.type", "0x0800", "ip4.src", s.ip4.String(), "ip4.dst", to.String(), "ip.ttl", "64")
	switch g.r.IntN(4) {
	case 0:
		m.Kind = "tcp-" + kind
		m.set("ip.proto", "6", "tcp.src", "40000", "tcp.dst", "80")
	case 1:
		m.Kind = "udp-" + kind
		m.set("ip.proto", "17", "udp.src", "40000", "udp.dst", "53")
	case 2:
		m.Kind = "dhcp-" + kind
		m.set("ip.proto", "17", "udp.src", "68", "udp.dst", "67")
		if g.chance(70) {
			m.set("ip4.src", "0.0.0.0", "ip4.dst", "255.255.255.255", "eth.dst", "ff:ff:ff:ff:ff:ff")
		}
	default:
		m.Kind = "icmp-" + kind
		m.set("ip.proto", "1", "icmp4.type", "8", "icmp4.code", "0")
	}
}

func (g *generator) ip6(m *Microflow, sw *lswitch, p *lport, s sender) {
	dst, kind := g.destination(sw, p)
	to := g.known6(sw.all)
	switch kind {
	case "broadcast", "multicast":
		to, dst = netip.MustParseAddr("ff02::fb"), "33:33:00:00:00:fb"
	case "unknown":
		to = g.random6()
	}
	m.set("eth.dst", dst, "eth.type", "0x86dd", "ip6.src", s.ip6.String(), "ip6.dst", to.String(), "ip.ttl", "64")
	switch g.r.IntN(4) {
	case 0:
		m.Kind = "tcp6-" + kind
		m.set("ip.proto", "6", "tcp.src", "40000", "tcp.dst", "80")
	case 1:
		m.Kind = "udp6-" + kind
		m.set("ip.proto", "17", "udp.src", "40000", "udp.dst", "53")
	case 2:
		// router solicitation, MLD report
		m.Kind = "icmp6-rs"
		m.set("ip.proto", "58", "ip.ttl", "255", "icmp6.type", "133", "icmp6.code", "0", "ip6.dst", "ff02::2", "eth.dst", "33:33:00:00:00:02")
		if g.chance(50) {
			m.Kind = "icmp6-mld"
			m.set("ip.ttl", "1", "icmp6.type", "143", "ip6.dst", "ff02::16", "eth.dst", "33:33:00:00:00:16")
		}
	default:
		m.Kind = "icmp6-" + kind
		m.set("ip.proto", "58", "icmp6.type", "128", "icmp6.code", "0")
	}
}

func (g *generator) other(m *Microflow, sw *lswitch, p *lport) {
	dst, kind := g.destination(sw, p)
	m.Kind = "ethernet-" + kind
	m.set("eth.dst", dst, "eth.type", pick(g.r, []string{"0x88cc", "0x8847", "0x9000", "0x88b5"}))
}

// set sets fields given as name, value, name, value.
func (m *Microflow) set(nv ...string) {
	for i := 0; i+1 < len(nv); i += 2 {
		m.Packet[nv[i]] = nv[i+1]
	}
}
