package openflow

import (
	"fmt"
	"strings"
)

// Classes of OXM and NXM headers.
const (
	classNXM0         = 0x0000 // NXM_OF_*, OpenFlow 1.0 fields
	classNXM1         = 0x0001 // NXM_NX_*, Nicira's own
	classOXM          = 0x8000 // OXM_OF_*
	classPacketReg    = 0x8001 // OXM_OF_PKT_REG*
	classExperimenter = 0xffff
)

// Format says how ovs-ofctl prints the value of a field.
type Format uint8

// Formats.
const (
	FormatDecimal  Format = iota // 17
	FormatHex                    // 0x11
	FormatMAC                    // 0a:00:00:00:00:01
	FormatIPv4                   // 10.0.0.1
	FormatIPv6                   // fe80::1
	FormatPort                   // OpenFlow port number or name
	FormatFrag                   // no, yes, first, later, not_later
	FormatTCPFlags               // +syn-ack
	FormatCTState                // +trk-new
)

// Field is a field that OpenFlow can match or set. Fields are compared by
// pointer: there is one for each header.
//
// The header of a field on the wire, as an OXM TLV:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------+-+---------------+
//	|             class             |    field    |M|    length     |
//	+-------------------------------+-------------+-+---------------+
//
// M says that a mask of the same size follows the value; length counts both.
type Field struct {
	Name     string // as ovs-ofctl takes it in set_field, such as eth_dst
	Short    string // as ovs-ofctl prints it in a match, such as dl_dst
	NXM      string // as ovs-ofctl prints it in a subfield, such as NXM_OF_ETH_DST
	Class    uint16 // OXM class
	Num      uint8  // field number in its class, 7 bits
	Bits     int    // width of the value in bits
	Maskable bool   // matches may have a mask
	Format   Format // printing style

	size  int         // bytes of the value on the wire
	order int         // place in the canonical order
	needs requirement // what a match must hold besides
	regs  int         // for xregs: how many 32-bit registers; for reg, xreg, xxreg the first in reg0
	reg0  int
}

// Size is the number of bytes of the value on the wire.
func (f *Field) Size() int { return f.size }

// Header is the OXM header of the field without a mask.
func (f *Field) Header() uint32 {
	return uint32(f.Class)<<16 | uint32(f.Num)<<9 | uint32(f.size)
}

// String is the field's name.
func (f *Field) String() string { return f.Name }

// requirement names what else a match must say for a field to be allowed.
type requirement uint8

const (
	needNothing requirement = iota
	needARP
	needIPv4
	needIPv6
	needIP
	needTCP
	needUDP
	needSCTP
	needICMPv4
	needICMPv6
	needND  // neighbour solicitation or advertisement
	needNS  // solicitation
	needNA  // advertisement
	needVID // a VLAN tag
	needMPLS
	needCT      // of an IP packet, a state that says that there is a connection
	needCTProto // and ct_nw_proto
	needCTIPv4
	needCTIPv6
)

// fieldTable holds all fields in their canonical order, so that what a field
// needs comes before it.
var fieldTable []*Field

var (
	fieldsByHeader = map[uint32]*Field{} // class and number
	fieldsByName   = map[string]*Field{}
)

func headerKey(h uint32) uint32 { return h &^ 0x1ff }

// define adds a field to the table; names are "name short NXM_NAME".
func define(names string, class uint16, num uint8, bits int, maskable bool, format Format, needs requirement) *Field {
	n := strings.Fields(names)
	f := &Field{
		Name: n[0], Short: n[1], NXM: n[2], Class: class, Num: num, Bits: bits,
		Maskable: maskable, Format: format, needs: needs,
		size: (bits + 7) / 8, order: len(fieldTable),
	}
	if f.size == 3 {
		f.size = 4 // the 20-bit fields
	}
	fieldTable = append(fieldTable, f)
	fieldsByHeader[headerKey(f.Header())] = f
	for _, name := range []string{f.NXM, f.Short, f.Name} {
		if _, taken := fieldsByName[name]; !taken || name == f.Name {
			fieldsByName[name] = f
		}
	}
	return f
}

const (
	masked = true
	exact  = false
)

// The fields. Numbers are of OpenFlow 1.5 (section 7.2.3.7) and of ovs-fields(7).
var (
	FieldMetadata = define("metadata metadata OXM_OF_METADATA", classOXM, 2, 64, masked, FormatHex, needNothing)
	// FieldInPort is for matches and packet-out; Open vSwitch lets actions set
	// only FieldInPortNXM.
	FieldInPort     = define("in_port_oxm in_port OXM_OF_IN_PORT", classOXM, 0, 32, exact, FormatPort, needNothing)
	FieldInPortNXM  = define("in_port in_port NXM_OF_IN_PORT", classNXM0, 0, 16, exact, FormatPort, needNothing)
	FieldPacketType = define("packet_type packet_type OXM_OF_PACKET_TYPE", classOXM, 44, 32, exact, FormatHex, needNothing)

	FieldTunID       = define("tun_id tun_id NXM_NX_TUN_ID", classOXM, 38, 64, masked, FormatHex, needNothing)
	FieldTunSrc      = define("tun_src tun_src NXM_NX_TUN_IPV4_SRC", classNXM1, 31, 32, masked, FormatIPv4, needNothing)
	FieldTunDst      = define("tun_dst tun_dst NXM_NX_TUN_IPV4_DST", classNXM1, 32, 32, masked, FormatIPv4, needNothing)
	FieldTunIPv6Src  = define("tun_ipv6_src tun_ipv6_src NXM_NX_TUN_IPV6_SRC", classNXM1, 109, 128, masked, FormatIPv6, needNothing)
	FieldTunIPv6Dst  = define("tun_ipv6_dst tun_ipv6_dst NXM_NX_TUN_IPV6_DST", classNXM1, 110, 128, masked, FormatIPv6, needNothing)
	FieldTunGBPID    = define("tun_gbp_id tun_gbp_id NXM_NX_TUN_GBP_ID", classNXM1, 38, 16, masked, FormatDecimal, needNothing)
	FieldTunGBPFlags = define("tun_gbp_flags tun_gbp_flags NXM_NX_TUN_GBP_FLAGS", classNXM1, 39, 8, masked, FormatHex, needNothing)
	FieldTunFlags    = define("tun_flags tun_flags NXM_NX_TUN_FLAGS", classNXM1, 104, 16, masked, FormatHex, needNothing)

	tunMetadataFields = defineTunMetadata()
	regFields         = defineRegs("reg", "NXM_NX_REG", classNXM1, 0, 16, 1)
	xregFields        = defineRegs("xreg", "OXM_OF_PKT_REG", classPacketReg, 0, 8, 2)
	xxregFields       = defineRegs("xxreg", "NXM_NX_XXREG", classNXM1, 111, 4, 4)

	FieldPktMark      = define("pkt_mark pkt_mark NXM_NX_PKT_MARK", classNXM1, 33, 32, masked, FormatHex, needNothing)
	FieldDPHash       = define("dp_hash dp_hash NXM_NX_DP_HASH", classNXM1, 35, 32, masked, FormatHex, needNothing)
	FieldRecircID     = define("recirc_id recirc_id NXM_NX_RECIRC_ID", classNXM1, 36, 32, exact, FormatHex, needNothing)
	FieldConjID       = define("conj_id conj_id NXM_NX_CONJ_ID", classNXM1, 37, 32, exact, FormatDecimal, needNothing)
	FieldActsetOutput = define("actset_output actset_output OXM_OF_ACTSET_OUTPUT", classOXM, 43, 32, exact, FormatPort, needNothing)

	FieldEthDst  = define("eth_dst dl_dst NXM_OF_ETH_DST", classOXM, 3, 48, masked, FormatMAC, needNothing)
	FieldEthSrc  = define("eth_src dl_src NXM_OF_ETH_SRC", classOXM, 4, 48, masked, FormatMAC, needNothing)
	FieldEthType = define("eth_type dl_type NXM_OF_ETH_TYPE", classOXM, 5, 16, exact, FormatHex, needNothing)
	FieldVLANTCI = define("vlan_tci vlan_tci NXM_OF_VLAN_TCI", classNXM0, 4, 16, masked, FormatHex, needNothing)
	FieldVLANVID = define("vlan_vid vlan_vid OXM_OF_VLAN_VID", classOXM, 6, 13, masked, FormatDecimal, needNothing)
	FieldVLANPCP = define("vlan_pcp dl_vlan_pcp OXM_OF_VLAN_PCP", classOXM, 7, 3, exact, FormatDecimal, needVID)

	FieldMPLSLabel = define("mpls_label mpls_label OXM_OF_MPLS_LABEL", classOXM, 34, 20, exact, FormatDecimal, needMPLS)
	FieldMPLSTC    = define("mpls_tc mpls_tc OXM_OF_MPLS_TC", classOXM, 35, 3, exact, FormatDecimal, needMPLS)
	FieldMPLSBOS   = define("mpls_bos mpls_bos OXM_OF_MPLS_BOS", classOXM, 36, 1, exact, FormatDecimal, needMPLS)
	FieldMPLSTTL   = define("mpls_ttl mpls_ttl NXM_NX_MPLS_TTL", classNXM1, 30, 8, exact, FormatDecimal, needMPLS)

	FieldIPv4Src   = define("ip_src nw_src NXM_OF_IP_SRC", classOXM, 11, 32, masked, FormatIPv4, needIPv4)
	FieldIPv4Dst   = define("ip_dst nw_dst NXM_OF_IP_DST", classOXM, 12, 32, masked, FormatIPv4, needIPv4)
	FieldIPv6Src   = define("ipv6_src ipv6_src NXM_NX_IPV6_SRC", classOXM, 26, 128, masked, FormatIPv6, needIPv6)
	FieldIPv6Dst   = define("ipv6_dst ipv6_dst NXM_NX_IPV6_DST", classOXM, 27, 128, masked, FormatIPv6, needIPv6)
	FieldIPv6Label = define("ipv6_label ipv6_label NXM_NX_IPV6_LABEL", classOXM, 28, 20, masked, FormatHex, needIPv6)
	FieldIPProto   = define("nw_proto nw_proto NXM_OF_IP_PROTO", classOXM, 10, 8, exact, FormatDecimal, needIP)
	FieldIPDSCP    = define("ip_dscp nw_tos OXM_OF_IP_DSCP", classOXM, 8, 6, exact, FormatDecimal, needIP)
	FieldIPECN     = define("nw_ecn nw_ecn NXM_NX_IP_ECN", classOXM, 9, 2, exact, FormatDecimal, needIP)
	FieldIPTTL     = define("nw_ttl nw_ttl NXM_NX_IP_TTL", classNXM1, 29, 8, exact, FormatDecimal, needIP)
	FieldIPFrag    = define("ip_frag nw_frag NXM_NX_IP_FRAG", classNXM1, 26, 2, masked, FormatFrag, needIP)

	FieldARPOp  = define("arp_op arp_op NXM_OF_ARP_OP", classOXM, 21, 16, exact, FormatDecimal, needARP)
	FieldARPSPA = define("arp_spa arp_spa NXM_OF_ARP_SPA", classOXM, 22, 32, masked, FormatIPv4, needARP)
	FieldARPTPA = define("arp_tpa arp_tpa NXM_OF_ARP_TPA", classOXM, 23, 32, masked, FormatIPv4, needARP)
	FieldARPSHA = define("arp_sha arp_sha NXM_NX_ARP_SHA", classOXM, 24, 48, masked, FormatMAC, needARP)
	FieldARPTHA = define("arp_tha arp_tha NXM_NX_ARP_THA", classOXM, 25, 48, masked, FormatMAC, needARP)

	FieldTCPSrc     = define("tcp_src tp_src NXM_OF_TCP_SRC", classOXM, 13, 16, masked, FormatDecimal, needTCP)
	FieldTCPDst     = define("tcp_dst tp_dst NXM_OF_TCP_DST", classOXM, 14, 16, masked, FormatDecimal, needTCP)
	FieldTCPFlags   = define("tcp_flags tcp_flags NXM_NX_TCP_FLAGS", classOXM, 42, 12, masked, FormatTCPFlags, needTCP)
	FieldUDPSrc     = define("udp_src tp_src NXM_OF_UDP_SRC", classOXM, 15, 16, masked, FormatDecimal, needUDP)
	FieldUDPDst     = define("udp_dst tp_dst NXM_OF_UDP_DST", classOXM, 16, 16, masked, FormatDecimal, needUDP)
	FieldSCTPSrc    = define("sctp_src tp_src OXM_OF_SCTP_SRC", classOXM, 17, 16, masked, FormatDecimal, needSCTP)
	FieldSCTPDst    = define("sctp_dst tp_dst OXM_OF_SCTP_DST", classOXM, 18, 16, masked, FormatDecimal, needSCTP)
	FieldICMPType   = define("icmp_type icmp_type NXM_OF_ICMP_TYPE", classOXM, 19, 8, exact, FormatDecimal, needICMPv4)
	FieldICMPCode   = define("icmp_code icmp_code NXM_OF_ICMP_CODE", classOXM, 20, 8, exact, FormatDecimal, needICMPv4)
	FieldICMPv6Type = define("icmpv6_type icmp_type NXM_NX_ICMPV6_TYPE", classOXM, 29, 8, exact, FormatDecimal, needICMPv6)
	FieldICMPv6Code = define("icmpv6_code icmp_code NXM_NX_ICMPV6_CODE", classOXM, 30, 8, exact, FormatDecimal, needICMPv6)
	FieldNDTarget   = define("nd_target nd_target NXM_NX_ND_TARGET", classOXM, 31, 128, masked, FormatIPv6, needND)
	FieldNDSLL      = define("nd_sll nd_sll NXM_NX_ND_SLL", classOXM, 32, 48, masked, FormatMAC, needNS)
	FieldNDTLL      = define("nd_tll nd_tll NXM_NX_ND_TLL", classOXM, 33, 48, masked, FormatMAC, needNA)

	// What connection tracking knows of a packet. The ct_nw and ct_tp fields
	// need the layers of the packet, so all of them come last.
	FieldCTState   = define("ct_state ct_state NXM_NX_CT_STATE", classNXM1, 105, 32, masked, FormatCTState, needNothing)
	FieldCTZone    = define("ct_zone ct_zone NXM_NX_CT_ZONE", classNXM1, 106, 16, exact, FormatDecimal, needNothing)
	FieldCTMark    = define("ct_mark ct_mark NXM_NX_CT_MARK", classNXM1, 107, 32, masked, FormatHex, needNothing)
	FieldCTLabel   = define("ct_label ct_label NXM_NX_CT_LABEL", classNXM1, 108, 128, masked, FormatHex, needNothing)
	FieldCTNwProto = define("ct_nw_proto ct_nw_proto NXM_NX_CT_NW_PROTO", classNXM1, 119, 8, exact, FormatDecimal, needCT)
	FieldCTNwSrc   = define("ct_nw_src ct_nw_src NXM_NX_CT_NW_SRC", classNXM1, 120, 32, masked, FormatIPv4, needCTIPv4)
	FieldCTNwDst   = define("ct_nw_dst ct_nw_dst NXM_NX_CT_NW_DST", classNXM1, 121, 32, masked, FormatIPv4, needCTIPv4)
	FieldCTIPv6Src = define("ct_ipv6_src ct_ipv6_src NXM_NX_CT_IPV6_SRC", classNXM1, 122, 128, masked, FormatIPv6, needCTIPv6)
	FieldCTIPv6Dst = define("ct_ipv6_dst ct_ipv6_dst NXM_NX_CT_IPV6_DST", classNXM1, 123, 128, masked, FormatIPv6, needCTIPv6)
	FieldCTTPSrc   = define("ct_tp_src ct_tp_src NXM_NX_CT_TP_SRC", classNXM1, 124, 16, masked, FormatDecimal, needCTProto)
	FieldCTTPDst   = define("ct_tp_dst ct_tp_dst NXM_NX_CT_TP_DST", classNXM1, 125, 16, masked, FormatDecimal, needCTProto)
)

// Names by which people know some fields besides the one that is printed.
var _ = func() bool {
	for alias, f := range map[string]*Field{
		"in_port": FieldInPort, "ip_proto": FieldIPProto, "ip_ecn": FieldIPECN, "ip_ttl": FieldIPTTL,
		"ipv4_src": FieldIPv4Src, "ipv4_dst": FieldIPv4Dst, "dl_vlan_pcp": FieldVLANPCP,
		"tp_src": FieldTCPSrc, "tp_dst": FieldTCPDst, "icmp_type": FieldICMPType, "icmp_code": FieldICMPCode,
		"tunnel_id": FieldTunID, "icmpv4_type": FieldICMPType, "icmpv4_code": FieldICMPCode,
		"NXM_OF_IN_PORT": FieldInPortNXM,
	} {
		fieldsByName[alias] = f
	}
	// The headers that Open vSwitch had before OpenFlow 1.2 named the field.
	for h, f := range map[uint32]*Field{
		classNXM0<<16 | 1<<9: FieldEthDst, classNXM0<<16 | 2<<9: FieldEthSrc, classNXM0<<16 | 3<<9: FieldEthType,
		classNXM0<<16 | 6<<9: FieldIPProto, classNXM0<<16 | 7<<9: FieldIPv4Src, classNXM0<<16 | 8<<9: FieldIPv4Dst,
		classNXM0<<16 | 9<<9: FieldTCPSrc, classNXM0<<16 | 10<<9: FieldTCPDst, classNXM0<<16 | 11<<9: FieldUDPSrc,
		classNXM0<<16 | 12<<9: FieldUDPDst, classNXM0<<16 | 13<<9: FieldICMPType, classNXM0<<16 | 14<<9: FieldICMPCode,
		classNXM0<<16 | 15<<9: FieldARPOp, classNXM0<<16 | 16<<9: FieldARPSPA, classNXM0<<16 | 17<<9: FieldARPTPA,
		classNXM1<<16 | 16<<9: FieldTunID, classNXM1<<16 | 17<<9: FieldARPSHA, classNXM1<<16 | 18<<9: FieldARPTHA,
		classNXM1<<16 | 19<<9: FieldIPv6Src, classNXM1<<16 | 20<<9: FieldIPv6Dst, classNXM1<<16 | 21<<9: FieldICMPv6Type,
		classNXM1<<16 | 22<<9: FieldICMPv6Code, classNXM1<<16 | 23<<9: FieldNDTarget, classNXM1<<16 | 24<<9: FieldNDSLL,
		classNXM1<<16 | 25<<9: FieldNDTLL, classNXM1<<16 | 27<<9: FieldIPv6Label, classNXM1<<16 | 28<<9: FieldIPECN,
		classNXM1<<16 | 34<<9: FieldTCPFlags,
	} {
		fieldsByHeader[h] = f
	}
	return true
}()

// TunMetadataSize is the size in bytes that tun_metadata fields have here. On
// the switch it is what NXT_TLV_TABLE_MOD says; OVN's option has 4.
const TunMetadataSize = 4

func defineTunMetadata() (fields [8]*Field) {
	for i := range fields {
		fields[i] = define(fmt.Sprintf("tun_metadata%d tun_metadata%d NXM_NX_TUN_METADATA%d", i, i, i),
			classNXM1, uint8(40+i), 8*TunMetadataSize, masked, FormatHex, needNothing)
	}
	return fields
}

func defineRegs(name, nxm string, class uint16, num uint8, n, words int) []*Field {
	fields := make([]*Field, n)
	for i := range fields {
		f := define(fmt.Sprintf("%s%d %s%d %s%d", name, i, name, i, nxm, i), class, num+uint8(i), 32*words, masked, FormatHex, needNothing)
		f.regs, f.reg0 = words, i*words
		fields[i] = f
	}
	return fields
}

// FieldTunMetadata is tun_metadata n, 0 to 7.
func FieldTunMetadata(n int) *Field { return tunMetadataFields[n] }

// FieldReg is register n, 0 to 15, of 32 bits.
func FieldReg(n int) *Field { return regFields[n] }

// FieldXReg is the pair of registers 2n and 2n+1 as one of 64 bits, n 0 to 7.
// The register of the lower number is the more significant half.
func FieldXReg(n int) *Field { return xregFields[n] }

// FieldXXReg is the four registers from 4n as one of 128 bits, n 0 to 3.
func FieldXXReg(n int) *Field { return xxregFields[n] }

// FieldByName finds a field by any of its names, nil when there is none. Names
// that mean different fields in different packets are the IPv4 or TCP one.
func FieldByName(name string) *Field { return fieldsByName[name] }

// FieldByHeader finds the field of an OXM or NXM header, whatever its mask bit
// and length; nil when it is not known.
func FieldByHeader(header uint32) *Field { return fieldsByHeader[headerKey(header)] }

// Fields returns all fields in canonical order.
func Fields() []*Field { return append([]*Field(nil), fieldTable...) }
