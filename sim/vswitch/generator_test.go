package vswitch

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"govn/pkg/geneve"
	"govn/sim/vswitch/packet"
)

// generator makes flows and packets of a few values each, so that they meet.
type generator struct{ r *rand.Rand }

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }
func (g *generator) chance(p int) bool          { return g.r.IntN(100) < p }

func (g *generator) mac() string {
	return g.pick("0a:00:00:00:00:01", "0a:00:00:00:00:02", "0a:00:00:00:00:03", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01")
}
func (g *generator) ip4() string { return fmt.Sprintf("10.0.%d.%d", g.r.IntN(2), 1+g.r.IntN(4)) }
func (g *generator) ip6() string { return fmt.Sprintf("fd00::%d:%d", g.r.IntN(2), 1+g.r.IntN(4)) }
func (g *generator) l4() int     { return []int{53, 80, 443, 4000}[g.r.IntN(4)] }

// match is a random match; kind says what of a packet it is about.
func (g *generator) match() (text, kind string) {
	var m []string
	add := func(p int, format string, args ...any) {
		if g.chance(p) {
			m = append(m, fmt.Sprintf(format, args...))
		}
	}
	add(15, "in_port=%d", 1+g.r.IntN(pairPorts))
	add(15, "reg%d=%d/0x3", g.r.IntN(4), g.r.IntN(4))
	add(10, "metadata=%d/0x3", g.r.IntN(4))
	add(15, "dl_dst=%s", g.mac())
	add(10, "dl_src=%s", g.mac())
	add(5, "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00")
	add(10, "%s", g.pick("vlan_tci=0", "vlan_tci=0x1000/0x1000", "vlan_vid=0x1064/0x1fff", "dl_vlan=7"))
	add(8, "tun_id=%d/0x3", g.r.IntN(4))
	add(8, "tun_metadata0=%d/0x3", g.r.IntN(4))
	kind = g.pick("", "arp", "ip", "icmp", "tcp", "udp", "sctp", "ipv6", "icmp6", "tcp6", "udp6", "nd", "na")
	switch kind {
	case "nd":
		m = append(m, "icmp6,icmpv6_type=135,icmpv6_code=0")
		add(40, "nd_target=%s", g.ip6())
		add(30, "nd_sll=%s", g.mac())
	case "na":
		m = append(m, "icmp6,icmpv6_type=136,icmpv6_code=0")
		add(40, "nd_tll=%s", g.mac())
	case "":
	default:
		m = append(m, kind)
	}
	switch kind {
	case "arp":
		add(30, "arp_op=%d", 1+g.r.IntN(2))
		add(30, "arp_tpa=%s/255.255.255.254", g.ip4())
		add(30, "arp_sha=%s", g.mac())
	case "ip", "icmp", "tcp", "udp", "sctp":
		add(30, "nw_src=%s/255.255.255.%d", g.ip4(), g.r.IntN(256))
		add(30, "nw_dst=%s", g.ip4())
		add(10, "nw_frag=%s", g.pick("no", "yes", "first", "later", "not_later"))
		add(8, "nw_ttl=%d", []int{1, 2, 64}[g.r.IntN(3)])
		add(8, "ip_dscp=%d", g.r.IntN(2))
	case "ipv6", "icmp6", "tcp6", "udp6":
		add(30, "ipv6_src=%s", g.ip6())
		add(30, "ipv6_dst=%s/ffff:ffff::1", g.ip6())
		add(8, "nw_ttl=%d", []int{1, 2, 64}[g.r.IntN(3)])
	}
	switch kind {
	case "tcp", "udp", "tcp6", "udp6", "sctp":
		add(40, "tp_dst=%d", g.l4())
		add(20, "tp_src=%d/0x%x", g.l4(), g.r.IntN(1<<16))
	case "icmp", "icmp6":
		add(30, "icmp_type=%d", []int{0, 8, 128, 129}[g.r.IntN(4)])
	}
	if kind == "tcp" {
		add(20, "tcp_flags=%s", g.pick("+syn", "-syn", "+ack+syn", "+rst"))
	}
	return strings.Join(m, ","), kind
}

// actions are random actions that go with a match of a kind, in a table: they
// resubmit to higher ones only.
func (g *generator) actions(table int, kind string) string {
	var a []string
	for range 1 + g.r.IntN(4) {
		a = append(a, g.action(table, kind, 0))
	}
	return strings.Join(a, ",")
}

func (g *generator) action(table int, kind string, depth int) string {
	general := []func() string{
		func() string { return fmt.Sprintf("resubmit(,%d)", table+1+g.r.IntN(2)) },
		func() string { return fmt.Sprintf("resubmit(,%d)", table+1+g.r.IntN(2)) },
		func() string { return fmt.Sprintf("resubmit(%d,%d)", 1+g.r.IntN(pairPorts), table+1) },
		func() string { return fmt.Sprintf("output:%d", 1+g.r.IntN(pairPorts)) },
		func() string { return fmt.Sprintf("output:%d", 1+g.r.IntN(pairPorts)) },
		func() string {
			return fmt.Sprintf("set_field:%d->tun_id,set_field:%d->tun_metadata0,output:7", g.r.IntN(9), g.r.IntN(9))
		},
		func() string { return "in_port" },
		func() string { return fmt.Sprintf("set_field:%d/0x3->reg%d", g.r.IntN(4), g.r.IntN(4)) },
		func() string { return fmt.Sprintf("set_field:%d->metadata", g.r.IntN(4)) },
		func() string { return fmt.Sprintf("set_field:%s->eth_src", g.mac()) },
		func() string { return fmt.Sprintf("set_field:%s/00:ff:00:00:00:ff->eth_dst", g.mac()) },
		func() string { return "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]" },
		func() string {
			return "push:NXM_OF_ETH_SRC[0..15],push:NXM_NX_REG0[],pop:NXM_NX_REG1[],pop:NXM_NX_REG2[0..15]"
		},
		func() string { return "move:NXM_NX_TUN_ID[0..3]->NXM_NX_REG0[0..3]" },
		func() string { return "move:NXM_NX_TUN_METADATA0[0..1]->NXM_NX_REG3[0..1]" },
		func() string { return "set_field:2->reg4,output:NXM_NX_REG4[0..15]" },
		func() string {
			return fmt.Sprintf("push_vlan:%s,set_field:%d->vlan_vid", g.pick("0x8100", "0x88a8"), 0x1000+g.r.IntN(9))
		},
		func() string { return "set_field:0->in_port" },
		func() string { return fmt.Sprintf("set_field:0->in_port,output:%d", 1+g.r.IntN(pairPorts)) },
		func() string { return "check_pkt_larger(64)->NXM_NX_REG0[0]" },
		func() string { return fmt.Sprintf("group:%d", 1+g.r.IntN(4)) },
		func() string { return "exit" },
		func() string { return "note:01.02" },
		func() string {
			if depth > 1 {
				return "note:03"
			}
			return "clone(" + g.action(table, kind, depth+1) + "," + g.action(table, kind, depth+1) + ")"
		},
		func() string {
			return fmt.Sprintf("learn(table=%d,priority=%d,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG5[0..15],output:NXM_OF_IN_PORT[])", table+1, 300+g.r.IntN(3))
		},
	}
	var special []func() string
	switch kind {
	case "arp":
		special = []func() string{
			func() string { return "set_field:2->arp_op" },
			func() string { return "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],set_field:" + g.mac() + "->arp_sha" },
			func() string {
				return "push:NXM_OF_ARP_SPA[],push:NXM_OF_ARP_TPA[],pop:NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[]"
			},
			func() string { return "set_field:" + g.ip4() + "->arp_spa" },
		}
	case "ip", "icmp", "tcp", "udp", "sctp":
		special = append(special,
			func() string { return "set_field:" + g.ip4() + "->ip_src" },
			func() string { return "set_field:" + g.ip4() + "/0.0.0.255->ip_dst" },
			func() string { return "dec_ttl" },
			func() string { return "set_field:3->nw_ttl" },
			func() string { return "set_field:1->ip_dscp" },
			func() string { return "set_field:1->nw_ecn" },
			func() string { return "move:NXM_OF_IP_SRC[]->NXM_NX_REG6[],move:NXM_OF_IP_DST[]->NXM_OF_IP_SRC[]" })
	case "ipv6", "icmp6", "tcp6", "udp6", "nd", "na":
		special = append(special,
			func() string { return "set_field:" + g.ip6() + "->ipv6_src" },
			func() string { return "set_field:" + g.ip6() + "->ipv6_dst" },
			func() string { return "move:NXM_NX_IPV6_SRC[]->NXM_NX_XXREG0[],dec_ttl" },
			func() string { return "set_field:5->ipv6_label" })
	}
	switch kind {
	case "tcp", "udp", "sctp", "tcp6", "udp6":
		proto := strings.TrimSuffix(kind, "6")
		special = append(special, func() string { return fmt.Sprintf("set_field:%d->%s_dst", g.l4(), proto) },
			func() string { return fmt.Sprintf("set_field:%d->%s_src", g.l4(), proto) })
	case "icmp":
		special = append(special, func() string { return "set_field:0->icmp_type" }, func() string { return "set_field:7->icmp_code" })
	case "nd":
		special = append(special, func() string { return "set_field:" + g.ip6() + "->nd_target" }, func() string { return "set_field:" + g.mac() + "->nd_sll" })
	case "na":
		special = append(special, func() string { return "set_field:" + g.mac() + "->nd_tll" })
	}
	if len(special) > 0 && g.chance(45) {
		return special[g.r.IntN(len(special))]()
	}
	return general[g.r.IntN(len(general))]()
}

// flows are random flows over a few tables; the first table has one that takes
// everything on.
func (g *generator) flows(n int) []string {
	list := []string{"table=0,priority=1,actions=resubmit(,1)", "table=5,priority=0,actions=output:5"}
	for range n {
		table := g.r.IntN(6)
		m, kind := g.match()
		switch {
		case m == "" && table == 0:
			m = fmt.Sprintf("in_port=%d,", 1+g.r.IntN(pairPorts))
		case m != "":
			m += ","
		}
		list = append(list, fmt.Sprintf("table=%d,priority=%d,%sactions=%s", table, 2+len(list), m, g.actions(table, kind)))
	}
	return list
}

// packet is a random packet at a random port.
func (g *generator) packet() Packet {
	p := Packet{InPort: uint32(1 + g.r.IntN(pairPorts)), Data: g.frame()}
	if g.chance(15) {
		p.InPort = 7
		p.Tunnel = &Tunnel{VNI: uint32(g.r.IntN(8)), Src: remoteEndpoint, Dst: localEndpoint}
		if g.chance(80) {
			p.Tunnel.Options = []geneve.Option{{Class: 0x102, Type: 0x80, Data: []byte{0, 0, 0, byte(g.r.IntN(8))}}}
		}
	}
	return p
}

func macBytes(s string) []byte {
	b := make([]byte, 0, 6)
	for part := range strings.SplitSeq(s, ":") {
		var c byte
		fmt.Sscanf(part, "%x", &c)
		b = append(b, c)
	}
	return b
}

func (g *generator) frame() []byte {
	f := append(macBytes(g.mac()), macBytes(g.pick("0a:00:00:00:00:01", "0a:00:00:00:00:02", "0a:00:00:00:00:03"))...)
	if g.chance(20) {
		f = append(f, 0x81, 0, byte(g.r.IntN(8)<<5), []byte{100, 7, 0}[g.r.IntN(3)])
		if g.chance(20) {
			f = append(f, 0x81, 0, 0, 9)
		}
	}
	switch g.r.IntN(10) {
	case 0, 1:
		f = append(f, g.arp()...)
	case 2, 3, 4, 5:
		f = append(f, g.ipv4()...)
	case 6, 7, 8:
		f = append(f, g.ipv6()...)
	default:
		f = append(f, 0x88, 0xb5, 1, 2, 3, 4)
	}
	for len(f) < 60 {
		f = append(f, 0)
	}
	return f
}

func (g *generator) arp() []byte {
	b := []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, byte(1 + g.r.IntN(2))}
	spa, tpa := netip.MustParseAddr(g.ip4()).As4(), netip.MustParseAddr(g.ip4()).As4()
	b = append(append(b, macBytes(g.mac())...), spa[:]...)
	return append(append(b, macBytes(g.mac())...), tpa[:]...)
}

// layer4 is the payload of an IP packet.
func (g *generator) layer4(v6 bool) (proto byte, b []byte) {
	payload := make([]byte, g.r.IntN(40))
	for i := range payload {
		payload[i] = byte(g.r.Uint32())
	}
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(g.l4())), uint16(g.l4()))
	switch g.r.IntN(5) {
	case 0:
		b = append(ports, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, []byte{2, 0x10, 0x12, 4}[g.r.IntN(4)], 0xff, 0xff, 0, 0, 0, 0)
		return 6, append(b, payload...)
	case 1, 2:
		b = binary.BigEndian.AppendUint16(ports, uint16(8+len(payload)))
		return 17, append(append(b, 0, 0), payload...)
	case 3:
		if !v6 {
			return 132, append(append(ports, 0, 0, 0, 0, 1, 2, 3, 4), payload...)
		}
		typ := byte(135 + g.r.IntN(2))
		target := netip.MustParseAddr(g.ip6()).As16()
		b = append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, target[:]...)
		if g.chance(70) {
			b = append(append(b, typ-134, 1), macBytes(g.mac())...)
		}
		return 58, b
	}
	if v6 {
		return 58, append([]byte{byte(128 + g.r.IntN(2)), 0, 0, 0, 0, 1, 0, 1}, payload...)
	}
	return 1, append([]byte{byte(8 * g.r.IntN(2)), 0, 0, 0, 0, 1, 0, 1}, payload...)
}

// checksum fills in the checksum of layer 4.
func (g *generator) checksum(k *packet.Key, proto byte, b []byte) {
	at := map[byte]int{6: 16, 17: 6, 1: 2, 58: 2}[proto]
	if at == 0 || proto == 17 && k.EthType() == packet.EthTypeIPv4 && g.chance(20) {
		return
	}
	s := packet.PseudoChecksum(k, b)
	if proto == 1 {
		s = packet.Checksum(b)
	}
	binary.BigEndian.PutUint16(b[at:], s)
}

func (g *generator) ipv4() []byte {
	proto, payload := g.layer4(false)
	src, dst := netip.MustParseAddr(g.ip4()), netip.MustParseAddr(g.ip4())
	var k packet.Key
	k.SetEthType(packet.EthTypeIPv4)
	k.SetIPSrc(src)
	k.SetIPDst(dst)
	k.SetProto(proto)
	g.checksum(&k, proto, payload)
	b := []byte{0x45, byte(g.r.IntN(8)), 0, 0, 0, 1, 0, 0, []byte{1, 2, 64}[g.r.IntN(3)], proto, 0, 0}
	if g.chance(10) {
		b[6] = 0x20 // a first fragment
		if g.chance(50) {
			b[7] = 5 // a later one
		}
	}
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(b[10:], sum(b))
	return append(append([]byte{8, 0}, b...), payload...)
}

func (g *generator) ipv6() []byte {
	proto, payload := g.layer4(true)
	src, dst := netip.MustParseAddr(g.ip6()), netip.MustParseAddr(g.ip6())
	var k packet.Key
	k.SetEthType(packet.EthTypeIPv6)
	k.SetIPSrc(src)
	k.SetIPDst(dst)
	k.SetProto(proto)
	g.checksum(&k, proto, payload)
	b := []byte{0x60, byte(g.r.IntN(4)) << 4, 0, byte(g.r.IntN(4)), 0, 0, proto, []byte{1, 2, 64}[g.r.IntN(3)]}
	if g.chance(10) {
		b[6] = 60 // destination options come first
		payload = append([]byte{proto, 0, 1, 4, 0, 0, 0, 0}, payload...)
	}
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(append([]byte{0x86, 0xdd}, b...), payload...)
}
