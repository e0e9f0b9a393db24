package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Packet is the fields of a packet by their names in OVN's language, each value
// in its usual text form: MAC with colons, IP address, decimal number. A field
// that is not there does not exist in the packet.
type Packet map[string]string

// field is one packet field in the three languages.
type field struct {
	name    string // ovn-trace
	of      string // ofproto/trace
	dpGroup string // datapath action set(GROUP(KEY=...))
	dpKey   string
}

// fields in the order in which they are printed. A name that has two entries is
// for two protocols.
var fields = []field{
	{"eth.src", "dl_src", "eth", "src"},
	{"eth.dst", "dl_dst", "eth", "dst"},
	{"eth.type", "dl_type", "", ""},
	{"vlan.tci", "vlan_tci", "", ""},
	{"arp.op", "arp_op", "arp", "op"},
	{"arp.spa", "arp_spa", "arp", "sip"},
	{"arp.tpa", "arp_tpa", "arp", "tip"},
	{"arp.sha", "arp_sha", "arp", "sha"},
	{"arp.tha", "arp_tha", "arp", "tha"},
	{"ip4.src", "nw_src", "ipv4", "src"},
	{"ip4.dst", "nw_dst", "ipv4", "dst"},
	{"ip6.src", "ipv6_src", "ipv6", "src"},
	{"ip6.dst", "ipv6_dst", "ipv6", "dst"},
	{"ip.proto", "nw_proto", "", ""},
	{"ip.ttl", "nw_ttl", "ipv4", "ttl"},
	{"ip.ttl", "nw_ttl", "ipv6", "hlimit"},
	{"tcp.src", "tcp_src", "tcp", "src"},
	{"tcp.dst", "tcp_dst", "tcp", "dst"},
	{"udp.src", "udp_src", "udp", "src"},
	{"udp.dst", "udp_dst", "udp", "dst"},
	{"icmp4.type", "icmp_type", "icmp", "type"},
	{"icmp4.code", "icmp_code", "icmp", "code"},
	{"icmp6.type", "icmpv6_type", "icmpv6", "type"},
	{"icmp6.code", "icmpv6_code", "icmpv6", "code"},
	{"nd.target", "nd_target", "nd", "target"},
	{"nd.sll", "nd_sll", "nd", "sll"},
	{"nd.tll", "nd_tll", "nd", "tll"},
}

// Microflow is one packet at a logical port.
type Microflow struct {
	Switch string // logical switch
	Inport string // logical switch port, or a machine outside
	At     string // chassis where it enters, "" for the one that has the port
	Kind   string // what the generator meant it to be, such as "arp-request-known"
	Packet Packet
}

// OVN renders the microflow as ovn-trace takes it.
func (m *Microflow) OVN() string {
	var b strings.Builder
	fmt.Fprintf(&b, "inport == %q", m.Inport)
	for _, f := range printed(m.Packet) {
		fmt.Fprintf(&b, " && %s == %s", f.name, m.Packet[f.name])
	}
	return b.String()
}

// OpenFlow renders a packet as ofproto/trace takes it, without in_port.
func (p Packet) OpenFlow() string {
	var words []string
	for _, f := range printed(p) {
		words = append(words, f.of+"="+p[f.name])
	}
	// Open vSwitch wants the fields that others depend on first.
	slices.SortStableFunc(words, func(a, b string) int { return rank(a) - rank(b) })
	return strings.Join(words, ",")
}

func rank(word string) int {
	switch {
	case strings.HasPrefix(word, "dl_type="):
		return 0
	case strings.HasPrefix(word, "nw_proto="):
		return 1
	case strings.HasPrefix(word, "icmpv6_type="), strings.HasPrefix(word, "icmpv6_code="):
		return 2
	}
	return 3
}

// printed lists the fields of a packet, each name once.
func printed(p Packet) []field {
	var list []field
	for i, f := range fields {
		if _, ok := p[f.name]; ok && (i == 0 || fields[i-1].name != f.name) {
			list = append(list, f)
		}
	}
	return list
}

// rewrites lists the fields of now that differ from before, "name=value",
// sorted.
func rewrites(before, now Packet) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if now[name] != before[name] {
			list = append(list, name+"="+now[name])
		}
	}
	for name := range before {
		if _, ok := now[name]; !ok {
			list = append(list, name+" gone")
		}
	}
	slices.Sort(list)
	return list
}

// canonical brings a value to the form that packets hold.
func canonical(v string) string {
	if strings.HasPrefix(v, "0x") {
		if n, err := strconv.ParseUint(v[2:], 16, 64); err == nil {
			return strconv.FormatUint(n, 10)
		}
	}
	return strings.ToLower(v)
}
