package logical

import (
	"fmt"
	"sync"
)

// Symtab holds the symbols that an expression may use. It does not change
// once it is made, so any number of goroutines may share it.
type Symtab struct {
	fields map[string]*Field
	names  []string // in the order of definition
}

// Default is the table of OVN's symbols.
func Default() *Symtab { return defaultSymtab() }

var defaultSymtab = sync.OnceValue(func() *Symtab {
	st := &Symtab{fields: make(map[string]*Field)}
	st.define()
	return st
})

// Lookup is the symbol called name, nil if there is none. Bit ranges are not
// symbols, see [Symtab.Field].
func (st *Symtab) Lookup(name string) *Field { return st.fields[name] }

// Names are the symbols in the order of their definition.
func (st *Symtab) Names() []string { return append([]string(nil), st.names...) }

// Field reads a field or a bit range of one: "reg0", "reg0[3]",
// "reg0[0..15]". The error is an [*Error].
func (st *Symtab) Field(text string) (*Field, error) {
	p := newParser(text, st, false)
	f := p.field()
	if f != nil {
		p.end()
	}
	if p.l.err != nil {
		return nil, p.l.err
	}
	return f, nil
}

// MustField is Field for text in the program; it panics on an error.
func (st *Symtab) MustField(text string) *Field {
	f, err := st.Field(text)
	if err != nil {
		panic(fmt.Sprintf("logical: field %q: %v", text, err))
	}
	return f
}

func (st *Symtab) add(f *Field) *Field {
	if st.fields[f.Name] != nil {
		panic("logical: symbol defined twice: " + f.Name)
	}
	f.order = len(st.names)
	st.fields[f.Name] = f
	st.names = append(st.names, f.Name)
	if f.Prereq != "" {
		f.prereq = st.mustParse(f.Prereq)
	}
	return f
}

func (st *Symtab) mustParse(text string) *Expr {
	e, err := ParseMatch(text, st)
	if err != nil {
		panic(fmt.Sprintf("logical: %q: %v", text, err))
	}
	return e
}

// predicate defines name as short for an expression. It is nominal if
// anything in the expression is.
func (st *Symtab) predicate(name, text string) {
	e := st.mustParse(text)
	level := Boolean
	e.walk(func(e *Expr) {
		if e.Op == OpCompare && e.Field.Level == Nominal {
			level = Nominal
		}
	})
	st.add(&Field{Name: name, Bits: 1, Level: level, Predicate: text, predicate: e})
}

// subfield defines name as a bit range of a field: "vlan.tci[0..11]".
func (st *Symtab) subfield(name, prereq, text string) {
	f := *st.MustField(text)
	f.Name, f.Prereq, f.prereq = name, prereq, nil
	st.add(&f)
}

// symbols of ovn-sb(5) that are fields with bits of their own.
var symbols = []struct {
	name   string
	bits   int
	level  Level
	write  Write
	prereq string
}{
	{"eth.src", 48, Ordinal, Writable, ""},
	{"eth.dst", 48, Ordinal, Writable, ""},
	{"eth.type", 16, Nominal, ReadOnly, ""},
	{"vlan.tci", 16, Ordinal, Writable, ""},
	{"ip.proto", 8, Nominal, ReadOnly, "ip"},
	{"ip.dscp", 6, Nominal, Writable, "ip"},
	{"ip.ecn", 2, Nominal, Writable, "ip"},
	{"ip.ttl", 8, Nominal, Writable, "ip"},
	{"ip.frag", 2, Ordinal, ReadOnly, "ip"},
	{"ip4.src", 32, Ordinal, Writable, "ip4"},
	{"ip4.dst", 32, Ordinal, Writable, "ip4"},
	{"ip6.src", 128, Ordinal, Writable, "ip6"},
	{"ip6.dst", 128, Ordinal, Writable, "ip6"},
	{"ip6.label", 20, Ordinal, Writable, "ip6"},
	{"icmp4.type", 8, Nominal, Writable, "icmp4"},
	{"icmp4.code", 8, Nominal, Writable, "icmp4"},
	{"icmp6.type", 8, Nominal, Writable, "icmp6"},
	{"icmp6.code", 8, Nominal, Writable, "icmp6"},
	{"arp.op", 16, Nominal, Writable, "arp"},
	{"arp.spa", 32, Ordinal, Writable, "arp"},
	{"arp.tpa", 32, Ordinal, Writable, "arp"},
	{"arp.sha", 48, Ordinal, Writable, "arp"},
	{"arp.tha", 48, Ordinal, Writable, "arp"},
	{"rarp.op", 16, Nominal, Writable, "rarp"},
	{"rarp.spa", 32, Ordinal, Writable, "rarp"},
	{"rarp.tpa", 32, Ordinal, Writable, "rarp"},
	{"rarp.sha", 48, Ordinal, Writable, "rarp"},
	{"rarp.tha", 48, Ordinal, Writable, "rarp"},
	{"nd.target", 128, Ordinal, Writable, "nd"},
	{"nd.sll", 48, Ordinal, Writable, "nd_ns"},
	{"nd.tll", 48, Ordinal, Writable, "nd_na"},
	{"tcp.src", 16, Ordinal, Writable, "tcp"},
	{"tcp.dst", 16, Ordinal, Writable, "tcp"},
	{"tcp.flags", 12, Ordinal, ReadOnly, "tcp"},
	{"udp.src", 16, Ordinal, Writable, "udp"},
	{"udp.dst", 16, Ordinal, Writable, "udp"},
	{"sctp.src", 16, Ordinal, Writable, "sctp"},
	{"sctp.dst", 16, Ordinal, Writable, "sctp"},
	{"ct_mark", 32, Ordinal, WritableCommit, ""},
	{"ct_label", 128, Ordinal, WritableCommit, ""},
	{"pkt.mark", 32, Ordinal, Writable, ""},
	{"icmp4.frag_mtu", 16, Nominal, WritableInICMP4, "icmp4"},
	{"icmp6.frag_mtu", 32, Nominal, WritableInICMP6, "icmp6"},
	{"icmp4.inner_ip4.src", 32, Nominal, WritableInICMP4, "icmp4"},
}

// predicates, and the field after whose definition each can be parsed.
var predicates = []struct{ after, name, expansion string }{
	{"eth.dst", "eth.bcast", "eth.dst == ff:ff:ff:ff:ff:ff"},
	{"eth.dst", "eth.mcastv6", "eth.dst[32..47] == 0x3333"},
	{"eth.type", "ip4", "eth.type == 0x800"},
	{"eth.type", "ip6", "eth.type == 0x86dd"},
	{"eth.type", "ip", "ip4 || ip6"},
	{"eth.type", "arp", "eth.type == 0x806"},
	{"eth.type", "rarp", "eth.type == 0x8035"},
	{"vlan.tci", "vlan.present", "vlan.tci[12]"},
	{"ip.proto", "icmp4", "ip4 && ip.proto == 1"},
	{"ip.proto", "igmp", "ip4 && ip.proto == 2"},
	{"ip.proto", "icmp6", "ip6 && ip.proto == 58"},
	{"ip.proto", "icmp", "icmp4 || icmp6"},
	{"ip.proto", "tcp", "ip.proto == 6"},
	{"ip.proto", "udp", "ip.proto == 17"},
	{"ip.proto", "sctp", "ip.proto == 132"},
	{"ip.frag", "ip.is_frag", "ip.frag[0]"},
	{"ip.frag", "ip.later_frag", "ip.frag[1]"},
	{"ip.frag", "ip.first_frag", "ip.is_frag && !ip.later_frag"},
	{"ip4.src", "ip4.src_mcast", "ip4.src[28..31] == 0xe"},
	{"ip4.dst", "ip4.mcast", "eth.dst[40] && ip4.dst[28..31] == 0xe"}, // ovn-sb(5) forgets the Ethernet part
	{"ip6.dst", "ip6.mcast_rsvd", "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0x0"},
	{"ip6.dst", "ip6.mcast_all_nodes", "ip6.dst == ff01::1 || ip6.dst == ff02::1"},
	{"ip6.dst", "ip6.mcast_all_rtrs", "ip6.dst == ff01::2 || ip6.dst == ff02::2 || ip6.dst == ff05::2"},
	{"ip6.dst", "ip6.mcast_sol_node", "ip6.dst == ff02::1:ff00:0/104"},
	{"ip6.dst", "ip6.mcast_flood", "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || ip6.mcast_sol_node)"},
	{"ip6.dst", "ip6.mcast", "eth.mcastv6 && ip6.dst[120..127] == 0xff"},
	{"icmp6.code", "nd", "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255"},
	{"icmp6.code", "nd_ns", "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"},
	{"icmp6.code", "nd_ns_mcast", "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"},
	{"icmp6.code", "nd_na", "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255"},
	{"icmp6.code", "nd_rs", "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255"},
	{"icmp6.code", "nd_ra", "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255"},
	{"icmp6.code", "mldv1", "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}"},
	{"icmp6.code", "mldv2", "ip6.dst == ff02::16 && icmp6.type == 143"},
}

// subfields with names of their own.
var subfields = []struct{ name, prereq, expansion string }{
	{"eth.mcast", "", "eth.dst[40]"},
	{"vlan.pcp", "vlan.present", "vlan.tci[13..15]"},
	{"vlan.vid", "vlan.present", "vlan.tci[0..11]"},

	{"ct.trk", "", "ct_state[5]"},
	{"ct.new", "ct.trk", "ct_state[0]"},
	{"ct.est", "ct.trk", "ct_state[1]"},
	{"ct.rel", "ct.trk", "ct_state[2]"},
	{"ct.rpl", "ct.trk", "ct_state[3]"},
	{"ct.inv", "ct.trk", "ct_state[4]"},
	{"ct.snat", "ct.trk", "ct_state[6]"},
	{"ct.dnat", "ct.trk", "ct_state[7]"},

	{"ct_mark.blocked", "", "ct_mark[0]"},
	{"ct_mark.natted", "", "ct_mark[1]"},
	{"ct_mark.skip_snat", "", "ct_mark[2]"},
	{"ct_mark.force_snat", "", "ct_mark[3]"},
	{"ct_mark.obs_stage", "", "ct_mark[4..5]"},
	{"ct_mark.allow_established", "", "ct_mark[6]"},
	{"ct_mark.ecmp_reply_port", "", "ct_mark[16..31]"},
	{"ct_mark.obs_collector_id", "", "ct_mark[16..23]"},
	{"ct_label.nf", "", "ct_label[7]"},
	{"ct_label.tun_if", "", "ct_label[8]"},
	{"ct_label.nf_id", "", "ct_label[17..24]"},
	{"ct_label.ecmp_reply_eth", "", "ct_label[32..79]"},
	{"ct_label.acl_id", "", "ct_label[80..95]"},
	{"ct_label.tun_if_id", "", "ct_label[80..95]"},
	{"ct_label.obs_unused", "", "ct_label[0..95]"},
	{"ct_label.obs_point_id", "", "ct_label[96..127]"},
	{"ct_label.label", "", "ct_label[96..127]"},

	{"flags.loopback", "", "flags[0]"},
	{"flags.force_snat_for_dnat", "", "flags[2]"},
	{"flags.force_snat_for_lb", "", "flags[3]"},
	{"flags.skip_snat_for_lb", "", "flags[9]"},
	{"flags.use_snat_zone", "", "flags[11]"},
	{"flags.localnet", "", "flags[15]"},
	{"flags.tunnel_rx", "", "flags[16]"},
	{"flags.icmp_snat", "", "flags[17]"},
	{"flags.from_ctrl", "", "flags[19]"},
	{"flags.unsnat_new", "", "flags[20]"},
	{"flags.unsnat_not_tracked", "", "flags[21]"},
	{"flags.igmp_loopback", "", "flags[22]"},
	{"flags.pkt_sampled", "", "flags[23]"},
	{"flags.network_id", "", "flags[28..31]"},
}

// define adds the symbols of OVN, those of the packet's metadata first.
func (st *Symtab) define() {
	for _, name := range []string{"inport", "outport", "remote_outport"} {
		st.add(&Field{Name: name, Kind: String, Level: Nominal, Write: Writable})
	}
	for _, name := range []string{"__inport", "__outport", "flags"} {
		st.add(&Field{Name: name, Bits: 32, Write: Writable})
	}
	var regs []*Field
	for i := range 10 {
		regs = append(regs, st.add(&Field{Name: fmt.Sprintf("reg%d", i), Bits: 32, Write: Writable}))
	}
	for i := range 5 {
		st.add(&Field{Name: fmt.Sprintf("xreg%d", i), Bits: 64, Write: Writable, Parts: regs[2*i : 2*i+2]})
	}
	for i := range 2 {
		st.add(&Field{Name: fmt.Sprintf("xxreg%d", i), Bits: 128, Write: Writable, Parts: regs[4*i : 4*i+4]})
	}
	st.add(&Field{Name: "ct_state", Bits: 32})
	for _, s := range symbols {
		st.add(&Field{Name: s.name, Bits: s.bits, Level: s.level, Write: s.write, Prereq: s.prereq})
		for _, p := range predicates {
			if p.after == s.name {
				st.predicate(p.name, p.expansion)
			}
		}
	}
	for _, s := range subfields {
		st.subfield(s.name, s.prereq, s.expansion)
	}
}
