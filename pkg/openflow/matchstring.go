package openflow

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// matchOrder is the order in which ovs-ofctl prints the fields of a match,
// after the shorthand of the protocol, which comes where nil is.
var matchOrder = func() []*Field {
	order := []*Field{FieldPktMark, FieldRecircID, FieldDPHash, FieldConjID, FieldActsetOutput,
		FieldCTState, FieldCTZone, FieldCTMark, FieldCTLabel, FieldCTNwSrc, FieldCTIPv6Src, FieldCTNwDst, FieldCTIPv6Dst,
		FieldCTNwProto, FieldCTTPSrc, FieldCTTPDst, FieldPacketType, nil}
	order = append(order, regFields...)
	order = append(order, FieldTunID, FieldTunSrc, FieldTunDst, FieldTunIPv6Src, FieldTunIPv6Dst, FieldTunGBPID, FieldTunGBPFlags, FieldTunFlags)
	order = append(order, tunMetadataFields[:]...)
	return append(order, FieldMetadata, FieldInPort, FieldInPortNXM, FieldVLANTCI, FieldVLANVID, FieldVLANPCP,
		FieldEthSrc, FieldEthDst, FieldEthType,
		FieldIPv6Src, FieldIPv6Dst, FieldIPv6Label, FieldARPSPA, FieldARPTPA, FieldIPv4Src, FieldIPv4Dst,
		FieldIPProto, FieldARPOp, FieldARPSHA, FieldARPTHA, FieldIPDSCP, FieldIPECN, FieldIPTTL,
		FieldMPLSLabel, FieldMPLSTC, FieldMPLSTTL, FieldMPLSBOS, FieldIPFrag,
		FieldICMPType, FieldICMPCode, FieldICMPv6Type, FieldICMPv6Code, FieldNDTarget, FieldNDSLL, FieldNDTLL,
		FieldTCPSrc, FieldTCPDst, FieldUDPSrc, FieldUDPDst, FieldSCTPSrc, FieldSCTPDst, FieldTCPFlags)
}()

// shorthands are the names that stand for an EtherType and, where it is not 0,
// an IP protocol.
var shorthands = []struct {
	eth, proto uint64
	name       string
}{
	{ethTypeIPv4, protoICMP, "icmp"}, {ethTypeIPv4, protoIGMP, "igmp"}, {ethTypeIPv4, protoTCP, "tcp"},
	{ethTypeIPv4, protoUDP, "udp"}, {ethTypeIPv4, protoSCTP, "sctp"}, {ethTypeIPv4, 0, "ip"},
	{ethTypeIPv6, protoICMPv6, "icmp6"}, {ethTypeIPv6, protoTCP, "tcp6"}, {ethTypeIPv6, protoUDP, "udp6"},
	{ethTypeIPv6, protoSCTP, "sctp6"}, {ethTypeIPv6, 0, "ipv6"},
	{ethTypeARP, 0, "arp"}, {ethTypeRARP, 0, "rarp"}, {ethTypeMPLS, 0, "mpls"}, {ethTypeMPLM, 0, "mplsm"},
}

// String prints the match as ovs-ofctl does: "ip,metadata=0x1,nw_src=10.0.0.0/8".
func (m Match) String() string {
	name, skipProto := "", false
	if eth, ok := m.Uint(FieldEthType); ok {
		proto, hasProto := m.Uint(FieldIPProto)
		for _, s := range shorthands {
			if s.eth == eth && (s.proto == 0 || hasProto && s.proto == proto) {
				name, skipProto = s.name, s.proto != 0
				break
			}
		}
	}
	var parts []string
	for _, f := range matchOrder {
		if f == nil {
			if name != "" {
				parts = append(parts, name)
			}
			continue
		}
		i := m.index(f)
		if i < 0 || f == FieldEthType && name != "" || f == FieldIPProto && skipProto {
			continue
		}
		if s := m.formatField(&m.fields[i]); s != "" {
			parts = append(parts, s)
		}
	}
	for _, e := range m.fields {
		if e.f == nil {
			parts = append(parts, "oxm="+hex.EncodeToString(e.raw))
		}
	}
	return strings.Join(parts, ",")
}

// formatField prints one field of a match. Matches differ from set_field in a
// few fields.
func (m *Match) formatField(e *fieldMatch) string {
	value, mask := e.value[:e.f.size], e.mask[:e.f.size]
	v, k := bigUint(value), bigUint(mask)
	switch e.f {
	case FieldVLANVID, FieldVLANPCP:
		return m.formatVLAN(e.f)
	case FieldVLANTCI:
		return formatTCI(uint16(v), uint16(k))
	case FieldIPDSCP:
		return "nw_tos=" + strconv.FormatUint(v<<2, 10)
	case FieldEthType:
		return fmt.Sprintf("dl_type=0x%04x", v)
	case FieldTCPFlags:
		if e.exact() {
			return "tcp_flags=" + formatFlags(tcpFlagNames, v)
		}
	case FieldCTState:
		if k&ctStateBits == ctStateBits {
			return "ct_state=" + formatFlags(ctStateNames, v)
		}
	case FieldIPv6Label:
		if e.exact() {
			return fmt.Sprintf("ipv6_label=0x%05x", v)
		}
		return fmt.Sprintf("ipv6_label=0x%05x/0x%05x", v, k)
	case FieldTCPSrc, FieldTCPDst, FieldUDPSrc, FieldUDPDst, FieldSCTPSrc, FieldSCTPDst, FieldCTTPSrc, FieldCTTPDst:
		if !e.exact() {
			return fmt.Sprintf("%s=0x%x/0x%x", e.f.Short, v, k)
		}
	case FieldARPOp:
		return "arp_op=" + strconv.FormatUint(v, 10)
	}
	if e.exact() {
		mask = nil
	}
	return e.f.Short + "=" + formatValue(e.f, value, mask)
}

// formatVLAN prints vlan_vid and vlan_pcp together.
func (m *Match) formatVLAN(f *Field) string {
	vid, vidMask := uint64(0), uint64(0)
	if v, k, ok := m.Get(FieldVLANVID); ok {
		vid, vidMask = bigUint(v), bigUint(k)
	}
	pcp, hasPCP := m.Uint(FieldVLANPCP)
	full := vid&tciCFI != 0 && (vidMask == 0x1fff || vidMask == tciCFI && hasPCP)
	switch {
	case f == FieldVLANPCP && full:
		return fmt.Sprintf("dl_vlan_pcp=%d", pcp)
	case f == FieldVLANPCP && vidMask != 0:
		return "" // printed with the vid
	case full && vidMask == 0x1fff:
		return fmt.Sprintf("dl_vlan=%d", vid&tciVID)
	case full:
		return ""
	}
	k := uint16(vidMask)
	if hasPCP {
		k |= tciPCP
	}
	return formatTCI(uint16(vid|pcp<<13), k)
}

func formatTCI(v, k uint16) string {
	if k == 0xffff {
		return fmt.Sprintf("vlan_tci=0x%04x", v)
	}
	return fmt.Sprintf("vlan_tci=0x%04x/0x%04x", v, k)
}

var (
	tcpFlagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"}
	ctStateNames = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}
)

// ctStateBits are the bits of ct_state that have a meaning.
const ctStateBits = 0xff

// formatFlags prints flags that are matched exactly: "syn|ack".
func formatFlags(names []string, v uint64) string {
	var s []string
	for i, name := range names {
		if v>>i&1 != 0 {
			s = append(s, name)
		}
	}
	if rest := v >> len(names) << len(names); rest != 0 {
		s = append(s, fmt.Sprintf("%#x", rest))
	}
	if len(s) == 0 {
		return "0"
	}
	return strings.Join(s, "|")
}

// formatFlagsMasked prints flags of which some are matched: "+syn-ack".
func formatFlagsMasked(names []string, v, k uint64) string {
	var s strings.Builder
	for i := range bits.Len64(k) {
		if k>>i&1 == 0 {
			continue
		}
		if v>>i&1 != 0 {
			s.WriteByte('+')
		} else {
			s.WriteByte('-')
		}
		if i < len(names) {
			s.WriteString(names[i])
		} else {
			fmt.Fprintf(&s, "[%d]", i)
		}
	}
	return s.String()
}

// formatValue prints a value and, when it is not nil, its mask.
func formatValue(f *Field, value, mask []byte) string {
	switch f.Format {
	case FormatMAC:
		if mask == nil {
			return formatMAC(value)
		}
		return formatMAC(value) + "/" + formatMAC(mask)
	case FormatIPv4, FormatIPv6:
		return formatIP(value, mask)
	case FormatFrag:
		return formatFrag(value, mask)
	case FormatPort:
		return FormatPortNumber(portOf(value))
	case FormatCTState:
		if mask == nil {
			return formatFlagsMasked(ctStateNames, bigUint(value), 1<<32-1)
		}
		return formatFlagsMasked(ctStateNames, bigUint(value), bigUint(mask))
	case FormatTCPFlags:
		if mask == nil {
			return formatFlagsMasked(tcpFlagNames, bigUint(value), 0xfff)
		}
		return formatFlagsMasked(tcpFlagNames, bigUint(value), bigUint(mask))
	case FormatDecimal:
		if mask == nil {
			return strconv.FormatUint(bigUint(value), 10)
		}
	}
	if mask == nil {
		return formatHex(value)
	}
	return formatHex(value) + "/" + formatHex(mask)
}

// portOf is the port number in the value of an in_port field of 16 or 32 bits.
func portOf(value []byte) uint32 {
	v := uint32(bigUint(value))
	if len(value) == 2 && v >= 0xff00 {
		v |= 0xffff0000
	}
	return v
}

// formatHex prints a number of any size as C's %#x does.
func formatHex(b []byte) string {
	s := strings.TrimLeft(hex.EncodeToString(b), "0")
	if s == "" {
		return "0"
	}
	return "0x" + s
}

func formatMAC(b []byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

// formatIP prints an address and its mask, as a prefix length where it is one.
func formatIP(value, mask []byte) string {
	a, _ := netip.AddrFromSlice(value)
	if mask == nil {
		return a.String()
	}
	ones, ended := 0, false
	for _, c := range mask {
		n := bits.LeadingZeros8(^c)
		if ended && c != 0 || c<<n != 0 {
			k, _ := netip.AddrFromSlice(mask)
			return a.String() + "/" + k.String()
		}
		ones += n
		ended = ended || n < 8
	}
	return a.String() + "/" + strconv.Itoa(ones)
}

// formatFrag prints ip_frag: bit 0 is "any fragment", bit 1 "not the first".
func formatFrag(value, mask []byte) string {
	v, k := value[0], byte(3)
	if mask != nil {
		k = mask[0]
	}
	switch k & 3 {
	case 3:
		return [...]string{"no", "first", "<error>", "later"}[v&3]
	case 1:
		return [...]string{"no", "yes"}[v&1]
	}
	return [...]string{"not_later", "later"}[v>>1&1]
}

// Reserved port numbers of OpenFlow 1.1 and later.
const (
	PortInPort     = 0xfffffff8 // back out of the port it came in by
	PortTable      = 0xfffffff9
	PortNormal     = 0xfffffffa
	PortFlood      = 0xfffffffb
	PortAll        = 0xfffffffc
	PortController = 0xfffffffd
	PortLocal      = 0xfffffffe
	PortAny        = 0xffffffff
	PortNone       = PortAny
	PortUnset      = 0xfffffff7
)

var portNames = map[uint32]string{
	PortUnset: "UNSET", PortInPort: "IN_PORT", PortTable: "TABLE", PortNormal: "NORMAL", PortFlood: "FLOOD",
	PortAll: "ALL", PortController: "CONTROLLER", PortLocal: "LOCAL", PortAny: "ANY",
}

// FormatPortNumber prints a port as ovs-ofctl does: a number, or the name of a
// reserved port.
func FormatPortNumber(p uint32) string {
	if name, ok := portNames[p]; ok {
		return name
	}
	return strconv.FormatUint(uint64(p), 10)
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
