package punt

import (
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// NDNA handles PuntNDNA and PuntNDNARouter: it answers a neighbour solicitation
// with an advertisement (RFC 4861, 4.4) and sends that through the actions that
// follow the opcode, as if it had come in by the port that asked.
//
//	userdata: | zero (6) | OpenFlow actions ... |
type NDNA struct {
	Send   Sender
	Router bool // the answer is a router's
}

const (
	naRouter    = 0x80
	naSolicited = 0x40
	naOverride  = 0x20
)

// Handle is the [Handler].
func (n *NDNA) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	var flags uint8
	if n.Router {
		flags = naRouter
	}
	data := advertisement(p.Data, flags)
	if data == nil {
		return false
	}
	n.Send(data, append(reload(p), actions...))
	return true
}

// advertisement is the answer to a solicitation, nil if the frame is none. Its
// link-layer addresses are for the actions to set.
func advertisement(frame []byte, flags uint8) []byte {
	var (
		eth layers.Ethernet
		ip6 layers.IPv6
		icm layers.ICMPv6
		ns  layers.ICMPv6NeighborSolicitation
		got []gopacket.LayerType
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip6, &icm, &ns)
	parser.IgnoreUnsupported = true
	if err := parser.DecodeLayers(frame, &got); err != nil || len(got) != 4 || got[3] != layers.LayerTypeICMPv6NeighborSolicitation {
		return nil
	}
	if len(ns.TargetAddress) != net.IPv6len || ns.TargetAddress.IsMulticast() {
		return nil
	}
	dst := ip6.SrcIP
	flags |= naOverride
	if dst.IsUnspecified() { // somebody looks for duplicates: tell all nodes
		dst = net.IPv6linklocalallnodes
	} else {
		flags |= naSolicited
	}
	out := layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: ns.TargetAddress, DstIP: dst}
	na := layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)}
	if err := na.SetNetworkLayerForChecksum(&out); err != nil {
		return nil
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: eth.DstMAC, DstMAC: eth.SrcMAC, EthernetType: layers.EthernetTypeIPv6}, &out, &na,
		&layers.ICMPv6NeighborAdvertisement{Flags: flags, TargetAddress: ns.TargetAddress,
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: make([]byte, 6)}}})
	if err != nil {
		return nil
	}
	return buf.Bytes()
}
