package punt

import (
	"net/netip"

	"github.com/gopacket/gopacket/layers"
)

// ARP handles PuntARP: the IPv4 next hop in reg0 has no Ethernet address yet.
// The packet is held, and a request (RFC 826) goes through the actions that
// follow, which say who asks for what.
//
//	userdata: | zero (6) | actions ... |
type ARP struct {
	Hold *Hold

	parser parser
}

// Handle is the [Handler].
func (h *ARP) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	version, _ := h.parser.network(p.Data)
	if version != 4 {
		return false
	}
	return h.Hold.take(p, p.hop4(), func() (request, bool) {
		ip, eth := &h.parser.ip4, &h.parser.head.eth
		frame := h.parser.frame(layers.EthernetTypeARP, arpRequest(eth.SrcMAC, ip.SrcIP, ip.DstIP))
		return request{frame, append(reload(p), actions...)}, frame != nil
	})
}

// arpRequest asks for the Ethernet address of target.
func arpRequest(mac, sender, target []byte) *layers.ARP {
	return &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: mac, SourceProtAddress: sender,
		DstHwAddress: make([]byte, 6), DstProtAddress: target,
	}
}

// ARPRequest is a frame that asks for the Ethernet address of target: everybody,
// or only the one at dst, if that is not 0 (RFC 1122, 2.3.2.1). It is nil if the
// addresses are not of IPv4.
func ARPRequest(mac, dst uint64, sender, target netip.Addr) []byte {
	if !sender.Is4() || !target.Is4() {
		return nil
	}
	src, to := Ethernet(mac), layers.EthernetBroadcast
	if dst != 0 {
		to = Ethernet(dst)
	}
	return serialize(src, to, nil, layers.EthernetTypeARP, arpRequest(src, sender.AsSlice(), target.AsSlice()))
}
