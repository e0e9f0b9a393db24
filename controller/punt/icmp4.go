package punt

import (
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// ICMP4 handles PuntICMP4: it answers an IPv4 packet with an ICMP error and
// sends that through the actions that follow, which say which error it is and
// whose. Some packets must not be answered (RFC 1122, 3.2.2).
//
//	userdata: | zero (2) | MTU of the next hop, or 0 (4) | actions ... |
type ICMP4 struct {
	Send Sender
	// Silent counts packets that no error may be sent about.
	Silent uint64

	parser parser
}

// maxICMP4 is how long an error may be, as a datagram (RFC 1812, 4.3.2.3).
const maxICMP4 = 576

const (
	ip4Header  = 20
	icmpHeader = 8
	// tosControl is the type of service of errors: precedence "internetwork
	// control" (RFC 1812, 4.3.2.5).
	tosControl = 0xc0
)

// Handle is the [Handler].
func (h *ICMP4) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	version, datagram := h.parser.network(p.Data)
	if version != 4 {
		return false
	}
	if !h.parser.answerable4() {
		h.Silent++
		return true
	}
	ip := &h.parser.ip4
	out := layers.IPv4{Version: 4, TTL: 255, TOS: tosControl, Protocol: layers.IPProtocolICMPv4, SrcIP: ip.SrcIP, DstIP: ip.DstIP}
	icmp := layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeHost),
		Seq:      uint16(min(argument(p.Userdata), 0xffff)), // the field is the MTU there (RFC 1191, 4)
	}
	quote := datagram[:min(len(datagram), maxICMP4-ip4Header-icmpHeader)]
	frame := h.parser.frame(layers.EthernetTypeIPv4, &out, &icmp, gopacket.Payload(quote))
	if frame == nil {
		return false
	}
	h.Send(frame, append(reload(p), actions...))
	return true
}

// answerable4 tells whether an error may be sent about the packet that was read:
// not about an error, a fragment but the first, what was sent to many or comes
// from nobody (RFC 1122, 3.2.2).
func (p *parser) answerable4() bool {
	src, _ := netip.AddrFromSlice(p.ip4.SrcIP)
	dst, _ := netip.AddrFromSlice(p.ip4.DstIP)
	if p.sentToGroup() || !host4(src) || dst.IsMulticast() || dst == broadcast4 || p.ip4.FragOffset != 0 {
		return false
	}
	if p.ip4.Protocol != layers.IPProtocolICMPv4 {
		return true
	}
	if len(p.ip4.Payload) == 0 {
		return false
	}
	switch p.ip4.Payload[0] {
	case layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4TypeSourceQuench, layers.ICMPv4TypeRedirect,
		layers.ICMPv4TypeTimeExceeded, layers.ICMPv4TypeParameterProblem:
		return false
	}
	return true
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// host4 tells whether an address can be that of one host: not 0.0.0.0/8, not
// loopback, not class D or E.
func host4(ip netip.Addr) bool {
	b := ip.As4()
	return b[0] != 0 && b[0] != 127 && b[0] < 224
}
