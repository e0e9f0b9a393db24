package punt

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TCPReset handles PuntTCPReset: it makes the reset that answers a TCP segment
// (RFC 9293, 3.10.7.1), with the ports exchanged, and sends it through the
// actions that follow, which exchange the addresses. A reset is not answered.
//
//	userdata: | zero (6) | actions ... |
type TCPReset struct {
	Send Sender

	parser parser
	tcp    layers.TCP
}

// Handle is the [Handler].
func (h *TCPReset) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	version, datagram := h.parser.network(p.Data)
	var segment []byte
	switch {
	case version == 4 && h.parser.ip4.Protocol == layers.IPProtocolTCP && h.parser.ip4.FragOffset == 0:
		segment = h.parser.ip4.Payload
	case version == 6 && h.parser.ip6.NextHeader == layers.IPProtocolTCP:
		segment = datagram[ip6Header:]
	default:
		return false
	}
	in := &h.tcp
	if in.DecodeFromBytes(segment, gopacket.NilDecodeFeedback) != nil {
		return false
	}
	if in.RST {
		return true
	}
	out := &layers.TCP{SrcPort: in.DstPort, DstPort: in.SrcPort, RST: true}
	if in.ACK {
		out.Seq = in.Ack
	} else {
		out.ACK = true
		out.Ack = in.Seq + uint32(len(in.Payload)) + one(in.SYN) + one(in.FIN)
	}
	var frame []byte
	if version == 4 {
		ip := &layers.IPv4{Version: 4, TTL: 255, Protocol: layers.IPProtocolTCP, SrcIP: h.parser.ip4.SrcIP, DstIP: h.parser.ip4.DstIP}
		if out.SetNetworkLayerForChecksum(ip) != nil {
			return false
		}
		frame = h.parser.frame(layers.EthernetTypeIPv4, ip, out)
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolTCP, SrcIP: h.parser.ip6.SrcIP, DstIP: h.parser.ip6.DstIP}
		if out.SetNetworkLayerForChecksum(ip) != nil {
			return false
		}
		frame = h.parser.frame(layers.EthernetTypeIPv6, ip, out)
	}
	if frame == nil {
		return false
	}
	h.Send(frame, append(reload(p), actions...))
	return true
}

func one(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
