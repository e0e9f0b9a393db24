package punt

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// Head is the Ethernet header of a frame, with its VLAN tag if it has one.
type Head struct {
	eth layers.Ethernet
	tag *layers.Dot1Q
}

// parser reads frames as far as the handlers look at them. It is for one
// goroutine; what it gives points into the frame.
type parser struct {
	head Head
	tag  layers.Dot1Q
	ip4  layers.IPv4
	ip6  layers.IPv6
}

// network is what follows the Ethernet header: the IP version (4 or 6, 0 if it
// is another protocol or broken) and the datagram from its header on, without
// the padding of the frame.
func (p *parser) network(frame []byte) (version int, datagram []byte) {
	if p.head.eth.DecodeFromBytes(frame, gopacket.NilDecodeFeedback) != nil {
		return 0, nil
	}
	kind, rest := p.head.eth.EthernetType, p.head.eth.Payload
	p.head.tag = nil
	if kind == layers.EthernetTypeDot1Q {
		if p.tag.DecodeFromBytes(rest, gopacket.NilDecodeFeedback) != nil {
			return 0, nil
		}
		p.head.tag = &p.tag
		kind, rest = p.tag.Type, p.tag.Payload
	}
	switch kind {
	case layers.EthernetTypeIPv4:
		if p.ip4.DecodeFromBytes(rest, gopacket.NilDecodeFeedback) != nil || p.ip4.Version != 4 {
			return 0, nil
		}
		return 4, rest[:len(p.ip4.Contents)+len(p.ip4.Payload)]
	case layers.EthernetTypeIPv6:
		// Not by its own decoder, which refuses a packet without payload and
		// broken options, both of which may be answered.
		if len(rest) < ip6Header || rest[0]>>4 != 6 {
			return 0, nil
		}
		p.ip6 = layers.IPv6{Version: 6, Length: binary.BigEndian.Uint16(rest[4:]), NextHeader: layers.IPProtocol(rest[6]), HopLimit: rest[7],
			SrcIP: rest[8:24], DstIP: rest[24:ip6Header]}
		return 6, rest[:ip6Header+min(int(p.ip6.Length), len(rest)-ip6Header)]
	}
	return 0, nil
}

// frame makes a frame: the Ethernet addresses and VLAN tag of the one that was
// read, another type, and layers. It is nil where they cannot be serialised.
func (p *parser) frame(kind layers.EthernetType, list ...gopacket.SerializableLayer) []byte {
	return serialize(p.head.eth.SrcMAC, p.head.eth.DstMAC, p.head.tag, kind, list...)
}

func serialize(src, dst net.HardwareAddr, tag *layers.Dot1Q, kind layers.EthernetType, list ...gopacket.SerializableLayer) []byte {
	eth := &layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: kind}
	all := []gopacket.SerializableLayer{eth}
	if tag != nil {
		eth.EthernetType = layers.EthernetTypeDot1Q
		all = append(all, &layers.Dot1Q{Priority: tag.Priority, DropEligible: tag.DropEligible, VLANIdentifier: tag.VLANIdentifier, Type: kind})
	}
	buf := gopacket.NewSerializeBuffer()
	if gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(all, list...)...) != nil {
		return nil
	}
	return buf.Bytes()
}

// sentToGroup tells whether a frame went to a group of Ethernet addresses.
func (p *parser) sentToGroup() bool { return p.head.eth.DstMAC[0]&1 == 1 }

// reload gives a packet that is made for p the metadata of p: where it came in,
// where it goes, and what the tables before found out.
func reload(p *Packet) []openflow.Action {
	actions := []openflow.Action{openflow.SetUint(openflow.FieldMetadata, p.Datapath)}
	for n, v := range p.Regs {
		if v != 0 {
			actions = append(actions, openflow.SetUint(openflow.FieldReg(n), uint64(v)))
		}
	}
	if p.Inport != 0 {
		actions = append(actions, openflow.SetUint(openflow.FieldReg(abi.RegInport), uint64(p.Inport)))
	}
	if p.Outport != 0 {
		actions = append(actions, openflow.SetUint(openflow.FieldReg(abi.RegOutport), uint64(p.Outport)))
	}
	if p.Mark != 0 {
		actions = append(actions, openflow.SetUint(fieldMark, uint64(p.Mark)))
	}
	return actions
}

var fieldMark = openflow.FieldByName("pkt_mark")

// inner are the actions in the userdata behind the head, whose opcode is gone.
func inner(userdata []byte) (actions []openflow.Action, ok bool) {
	if len(userdata) < headLeft {
		return nil, false
	}
	actions, err := openflow.DecodeActions(userdata[headLeft:])
	return actions, err == nil
}

// argument is that of the opcode.
func argument(userdata []byte) uint32 {
	if len(userdata) < headLeft {
		return 0
	}
	return uint32(userdata[2])<<24 | uint32(userdata[3])<<16 | uint32(userdata[4])<<8 | uint32(userdata[5])
}

// headLeft is the size of the userdata's head without the opcode.
const headLeft = 6

// Ethernet is the Ethernet address in the low 48 bits of v.
func Ethernet(v uint64) net.HardwareAddr {
	return net.HardwareAddr{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// number is an Ethernet address in the low 48 bits.
func number(mac []byte) (v uint64) {
	for _, b := range mac {
		v = v<<8 | uint64(b)
	}
	return v
}

// linkLocal is the link-local address that follows from an Ethernet address
// (RFC 4291, appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// solicitedNode is the group of a neighbour's address, and the group's Ethernet
// address (RFC 4291, 2.7.1; RFC 2464, 7).
func solicitedNode(ip netip.Addr) (netip.Addr, net.HardwareAddr) {
	b := ip.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
	return group, net.HardwareAddr{0x33, 0x33, 0xff, b[13], b[14], b[15]}
}
