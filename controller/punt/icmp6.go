package punt

import (
	"encoding/binary"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// ICMP6 handles PuntICMP6: it answers an IPv6 packet with an ICMPv6 error and
// sends that through the actions that follow. Some packets must not be answered
// (RFC 4443, 2.4 (e)).
//
//	userdata: | zero (2) | MTU of the next hop, or 0 (4) | actions ... |
type ICMP6 struct {
	Send Sender
	// Silent counts packets that no error may be sent about.
	Silent uint64

	parser parser
}

// maxICMP6 is how long an error may be, as a packet: the least MTU of IPv6
// (RFC 4443, 2.4 (c)).
const maxICMP6 = 1280

const ip6Header = 40

// Handle is the [Handler].
func (h *ICMP6) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	version, datagram := h.parser.network(p.Data)
	if version != 6 {
		return false
	}
	mtu := argument(p.Userdata)
	if !h.parser.answerable6(datagram, mtu != 0) {
		h.Silent++
		return true
	}
	ip := &h.parser.ip6
	out := layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: ip.SrcIP, DstIP: ip.DstIP}
	icmp := layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeAdminProhibited)}
	if icmp.SetNetworkLayerForChecksum(&out) != nil {
		return false
	}
	body := binary.BigEndian.AppendUint32(make([]byte, 0, maxICMP6), mtu)
	body = append(body, datagram[:min(len(datagram), maxICMP6-ip6Header-icmpHeader)]...)
	frame := h.parser.frame(layers.EthernetTypeIPv6, &out, &icmp, gopacket.Payload(body))
	if frame == nil {
		return false
	}
	h.Send(frame, append(reload(p), actions...))
	return true
}

// answerable6 tells whether an error may be sent about the packet that was read.
// That it is too big may be said to a group as well.
func (p *parser) answerable6(datagram []byte, tooBig bool) bool {
	src, _ := netip.AddrFromSlice(p.ip6.SrcIP)
	dst, _ := netip.AddrFromSlice(p.ip6.DstIP)
	if src.IsUnspecified() || src.IsMulticast() || src.IsLoopback() {
		return false
	}
	if (dst.IsMulticast() || p.sentToGroup()) && !tooBig {
		return false
	}
	kind, isICMP := icmpType(p.ip6.NextHeader, datagram[ip6Header:])
	return !isICMP || kind >= 128 && kind != layers.ICMPv6TypeRedirect
}

// icmpType finds the type of an ICMPv6 message behind extension headers. What is
// too short to have one counts as type 0, which is an error.
func icmpType(next layers.IPProtocol, b []byte) (kind uint8, isICMP bool) {
	for {
		switch next {
		case layers.IPProtocolICMPv6:
			if len(b) == 0 {
				return 0, true
			}
			return b[0], true
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination:
			if len(b) < 8 || len(b) < 8*(int(b[1])+1) {
				return 0, false
			}
			next, b = layers.IPProtocol(b[0]), b[8*(int(b[1])+1):]
		case layers.IPProtocolIPv6Fragment:
			if len(b) < 8 || binary.BigEndian.Uint16(b[2:])>>3 != 0 {
				return 0, false // what it was is in the first fragment
			}
			next, b = layers.IPProtocol(b[0]), b[8:]
		default:
			return 0, false
		}
	}
}
