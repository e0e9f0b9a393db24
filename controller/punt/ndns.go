package punt

import (
	"net"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
)

// NDNS handles PuntNDNS: the IPv6 next hop in xxreg0 has no Ethernet address
// yet. The packet is held, and a neighbour solicitation (RFC 4861, 4.3) from the
// router's link-local address goes through the actions that follow.
//
//	userdata: | zero (6) | actions ... |
type NDNS struct {
	Hold *Hold

	parser parser
}

// Handle is the [Handler].
func (h *NDNS) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	version, _ := h.parser.network(p.Data)
	if version != 6 {
		return false
	}
	target := p.hop6()
	return h.Hold.take(p, target, func() (request, bool) {
		mac := h.parser.head.eth.SrcMAC
		frame := solicit(mac, nil, linkLocal(mac), target, h.parser.head.tag)
		return request{frame, append(reload(p), actions...)}, frame != nil
	})
}

// solicit makes a neighbour solicitation to the group of the target, or, with an
// Ethernet address to, to the target itself.
func solicit(mac, to net.HardwareAddr, src, target netip.Addr, tag *layers.Dot1Q) []byte {
	group, groupMAC := solicitedNode(target)
	if to != nil {
		group, groupMAC = target, to
	}
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: src.AsSlice(), DstIP: group.AsSlice()}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)}
	if icmp.SetNetworkLayerForChecksum(ip) != nil {
		return nil
	}
	return serialize(mac, groupMAC, tag, layers.EthernetTypeIPv6, ip, icmp, &layers.ICMPv6NeighborSolicitation{
		TargetAddress: target.AsSlice(),
		Options:       layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: mac}},
	})
}

// NeighbourSolicitation is a frame that asks for the Ethernet address of target,
// from the link-local address of mac: the group of the target, or only the one
// at dst, if that is not 0 (RFC 4861, 7.3.3). It is nil if target is not of IPv6.
func NeighbourSolicitation(mac, dst uint64, target netip.Addr) []byte {
	if !target.Is6() {
		return nil
	}
	src := Ethernet(mac)
	var to net.HardwareAddr
	if dst != 0 {
		to = Ethernet(dst)
	}
	return solicit(src, to, linkLocal(src), target, nil)
}
