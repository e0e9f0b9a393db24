package translate

import (
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// fields maps the symbols of the logical language to OpenFlow fields.
var fields = fieldTable()

func fieldTable() map[string]*openflow.Field {
	t := map[string]*openflow.Field{
		"inport":  openflow.FieldReg(abi.RegInport),
		"outport": openflow.FieldReg(abi.RegOutport),
		"flags":   openflow.FieldReg(abi.RegFlags),
	}
	for i := range abi.LogicalRegs {
		t[fmt.Sprintf("reg%d", i)] = openflow.FieldReg(i)
	}
	for symbol, name := range map[string]string{
		"eth.src": "eth_src", "eth.dst": "eth_dst", "eth.type": "eth_type", "vlan.tci": "vlan_tci",
		"ip.proto": "nw_proto", "ip.dscp": "ip_dscp", "ip.ecn": "nw_ecn", "ip.ttl": "nw_ttl", "ip.frag": "ip_frag",
		"ip4.src": "ip_src", "ip4.dst": "ip_dst", "ip6.src": "ipv6_src", "ip6.dst": "ipv6_dst", "ip6.label": "ipv6_label",
		"icmp4.type": "icmp_type", "icmp4.code": "icmp_code", "icmp6.type": "icmpv6_type", "icmp6.code": "icmpv6_code",
		"arp.op": "arp_op", "arp.spa": "arp_spa", "arp.sha": "arp_sha", "arp.tpa": "arp_tpa", "arp.tha": "arp_tha",
		"rarp.op": "arp_op", "rarp.spa": "arp_spa", "rarp.sha": "arp_sha", "rarp.tpa": "arp_tpa", "rarp.tha": "arp_tha",
		"nd.target": "nd_target", "nd.sll": "nd_sll", "nd.tll": "nd_tll",
		"tcp.src": "tcp_src", "tcp.dst": "tcp_dst", "tcp.flags": "tcp_flags", "udp.src": "udp_src", "udp.dst": "udp_dst",
		"sctp.src": "sctp_src", "sctp.dst": "sctp_dst", "pkt.mark": "pkt_mark",
		"ct_state": "ct_state", "ct_mark": "ct_mark", "ct_label": "ct_label",
		"xreg0": "xreg0", "xreg1": "xreg1", "xreg2": "xreg2", "xreg3": "xreg3", "xreg4": "xreg4",
		"xxreg0": "xxreg0", "xxreg1": "xxreg1",
	} {
		f := openflow.FieldByName(name)
		if f == nil {
			panic("translate: no OpenFlow field " + name)
		}
		t[symbol] = f
	}
	return t
}

// place is where a logical field lives: a field of OpenFlow and the lowest bit.
func place(f *logical.Field) (*openflow.Field, int, error) {
	root, low := f.Root()
	if of := fields[root.Name]; of != nil {
		return of, low, nil
	}
	return nil, 0, fmt.Errorf("the field %q has no place in OpenFlow", f.Name)
}

// PortKeys resolves the name of a port or multicast group to its tunnel key.
type PortKeys func(name string) (uint32, error)

// groups are the names that every datapath has.
var groups = map[string]uint32{
	"none":              0,
	"_MC_flood":         abi.GroupFlood,
	"_MC_unknown":       abi.GroupUnknown,
	"_MC_mrouter_flood": abi.GroupMrouterFlood,
	"_MC_static":        abi.GroupStatic,
	"_MC_flood_l2":      abi.GroupFloodL2,
}

func (k PortKeys) key(name string) (uint32, error) {
	if key, ok := groups[name]; ok {
		return key, nil
	}
	if k == nil {
		return 0, fmt.Errorf("no port %q", name)
	}
	return k(name)
}
