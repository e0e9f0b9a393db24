package punt

import (
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// NDRA handles PuntNDRAOpts: it puts a router advertisement (RFC 4861, 4.2) in
// the place of a solicitation and lets it go on, with one bit that tells whether
// it did. The tables that follow send it back.
//
//	userdata: | zero (2) | bit of the result (4) | ICMPv6 message ... |
type NDRA struct {
	// Resume lets a paused packet go on.
	Resume func(*openflow.PacketIn)

	parser parser
}

// Handle is the [Handler].
func (h *NDRA) Handle(p *Packet) bool {
	register, bit, ok := abi.ParseResultBit(argument(p.Userdata))
	if !ok || p.Paused == nil || len(p.Userdata) < headLeft {
		return false
	}
	frame := h.advertisement(p.Data, p.Userdata[headLeft:])
	in := *p.Paused
	value := uint64(p.Regs[register]) &^ (1 << bit)
	if frame != nil {
		in.Packet = frame
		value |= 1 << bit
	}
	in.Metadata.Set(openflow.FieldReg(register), value)
	h.Resume(&in)
	return frame != nil
}

var allNodes = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}

// advertisement is the answer to a solicitation, nil if the frame is none. Its
// addresses are those of the solicitation, for the flows to exchange; one from
// a host that has no address yet is answered to all nodes (RFC 4861, 6.2.6).
func (h *NDRA) advertisement(frame, body []byte) []byte {
	version, datagram := h.parser.network(frame)
	ip := &h.parser.ip6
	if version != 6 || ip.HopLimit != 255 || ip.NextHeader != layers.IPProtocolICMPv6 || len(datagram) < ip6Header+8 {
		return nil
	}
	if message := datagram[ip6Header:]; message[0] != layers.ICMPv6TypeRouterSolicitation || message[1] != 0 {
		return nil
	}
	src, eth := ip.SrcIP, h.parser.head.eth.SrcMAC
	if src.IsUnspecified() {
		src, eth = net.IPv6linklocalallnodes, allNodes
	}
	return advertise(eth, h.parser.head.eth.DstMAC, src, ip.DstIP, h.parser.head.tag, body)
}

// advertise makes the frame of an advertisement whose ICMPv6 message is there
// but for its checksum.
func advertise(srcMAC, dstMAC net.HardwareAddr, src, dst net.IP, tag *layers.Dot1Q, message []byte) []byte {
	if len(message) < 16 || message[0] != layers.ICMPv6TypeRouterAdvertisement {
		return nil
	}
	out := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: src, DstIP: dst}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeRouterAdvertisement, 0)}
	if icmp.SetNetworkLayerForChecksum(out) != nil {
		return nil
	}
	return serialize(srcMAC, dstMAC, tag, layers.EthernetTypeIPv6, out, icmp, gopacket.Payload(message[4:]))
}

// RouterAdvertisement is a frame of an advertisement to all nodes, from the
// link-local address of a router port. It is nil where the message is none.
func RouterAdvertisement(mac uint64, message []byte) []byte {
	src := Ethernet(mac)
	return advertise(src, allNodes, linkLocal(src).AsSlice(), net.IPv6linklocalallnodes, nil, message)
}
