package oracle

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Frame is the packet as bytes, complete with lengths and checksums.
func (p Packet) Frame() ([]byte, error) {
	b := frameBuilder{p: p}
	list := b.layers()
	if b.err != nil {
		return nil, fmt.Errorf("packet %v: %w", p, b.err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		return nil, fmt.Errorf("packet %v: %w", p, err)
	}
	out := bytes.Clone(buf.Bytes())
	if len(out) < 60 {
		out = append(out, make([]byte, 60-len(out))...)
	}
	return out, nil
}

// frameBuilder reads fields; the first error sticks.
type frameBuilder struct {
	p   Packet
	err error
}

func (b *frameBuilder) fail(name string, err error) {
	if b.err == nil {
		b.err = fmt.Errorf("%s=%q: %w", name, b.p[name], err)
	}
}

func (b *frameBuilder) num(name string, bits int) uint64 {
	if b.p[name] == "" {
		return 0
	}
	n, err := strconv.ParseUint(b.p[name], 0, bits)
	if err != nil {
		b.fail(name, err)
	}
	return n
}

func (b *frameBuilder) mac(name string) net.HardwareAddr {
	m, err := net.ParseMAC(b.p[name])
	if err != nil {
		b.fail(name, err)
	}
	return m
}

func (b *frameBuilder) ip(name string) net.IP {
	a, err := netip.ParseAddr(b.p[name])
	if err != nil {
		b.fail(name, err)
	}
	return a.AsSlice()
}

func (b *frameBuilder) layers() []gopacket.SerializableLayer {
	eth := &layers.Ethernet{SrcMAC: b.mac("eth.src"), DstMAC: b.mac("eth.dst"), EthernetType: layers.EthernetType(b.num("eth.type", 16))}
	list := []gopacket.SerializableLayer{eth}
	if b.p["vlan.tci"] != "" {
		tci := b.num("vlan.tci", 16)
		list = append(list, &layers.Dot1Q{Priority: uint8(tci >> 13), VLANIdentifier: uint16(tci & 0xfff), Type: eth.EthernetType})
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	proto := layers.IPProtocol(b.num("ip.proto", 8))
	switch b.p["eth.type"] {
	case "0x0806":
		return append(list, &layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: uint16(b.num("arp.op", 16)), SourceHwAddress: b.mac("arp.sha"), SourceProtAddress: b.ip("arp.spa"),
			DstHwAddress: b.mac("arp.tha"), DstProtAddress: b.ip("arp.tpa"),
		})
	case "0x0800":
		ip := &layers.IPv4{Version: 4, TTL: uint8(b.num("ip.ttl", 8)), Protocol: proto, SrcIP: b.ip("ip4.src"), DstIP: b.ip("ip4.dst")}
		return append(append(list, ip), b.transport(ip, proto)...)
	case "0x86dd":
		ip := &layers.IPv6{Version: 6, HopLimit: uint8(b.num("ip.ttl", 8)), NextHeader: proto, SrcIP: b.ip("ip6.src"), DstIP: b.ip("ip6.dst")}
		return append(append(list, ip), b.transport(ip, proto)...)
	}
	return append(list, gopacket.Payload(make([]byte, 46)))
}

func (b *frameBuilder) transport(ip gopacket.NetworkLayer, proto layers.IPProtocol) []gopacket.SerializableLayer {
	payload := gopacket.Payload("0123456789")
	switch proto {
	case layers.IPProtocolTCP:
		tcp := &layers.TCP{SrcPort: layers.TCPPort(b.num("tcp.src", 16)), DstPort: layers.TCPPort(b.num("tcp.dst", 16)), SYN: true, Window: 1000}
		b.check(tcp.SetNetworkLayerForChecksum(ip))
		return []gopacket.SerializableLayer{tcp, payload}
	case layers.IPProtocolUDP:
		udp := &layers.UDP{SrcPort: layers.UDPPort(b.num("udp.src", 16)), DstPort: layers.UDPPort(b.num("udp.dst", 16))}
		b.check(udp.SetNetworkLayerForChecksum(ip))
		return []gopacket.SerializableLayer{udp, payload}
	case layers.IPProtocolICMPv4:
		return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(uint8(b.num("icmp4.type", 8)), uint8(b.num("icmp4.code", 8)))}, payload}
	case layers.IPProtocolICMPv6:
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(uint8(b.num("icmp6.type", 8)), uint8(b.num("icmp6.code", 8)))}
		b.check(icmp.SetNetworkLayerForChecksum(ip))
		return []gopacket.SerializableLayer{icmp, gopacket.Payload(b.icmp6())}
	}
	return []gopacket.SerializableLayer{payload}
}

func (b *frameBuilder) check(err error) {
	if err != nil && b.err == nil {
		b.err = err
	}
}

// icmp6 is what follows type, code and checksum (RFC 4861, sections 4.3 and 4.4):
// four bytes, and of neighbour discovery the target and a link-layer address.
func (b *frameBuilder) icmp6() []byte {
	body := make([]byte, 4)
	if b.p["nd.target"] == "" {
		return append(body, make([]byte, 8)...)
	}
	body = append(body, b.ip("nd.target")...)
	if b.p["nd.sll"] != "" {
		body = append(append(body, 1, 1), b.mac("nd.sll")...)
	}
	if b.p["nd.tll"] != "" {
		body = append(append(body, 2, 1), b.mac("nd.tll")...)
	}
	return body
}

// ParseFrame reads the fields of a frame.
func ParseFrame(frame []byte) (Packet, error) {
	g := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, ok := g.LinkLayer().(*layers.Ethernet)
	if !ok {
		return nil, fmt.Errorf("frame %x: %w: no Ethernet header", frame, ErrSyntax)
	}
	p := Packet{"eth.src": eth.SrcMAC.String(), "eth.dst": eth.DstMAC.String()}
	set := func(name string, n uint64) { p[name] = strconv.FormatUint(n, 10) }
	typ := eth.EthernetType
	for _, l := range g.Layers() {
		switch l := l.(type) {
		case *layers.Dot1Q:
			p["vlan.tci"] = fmt.Sprintf("%#04x", uint64(l.Priority)<<13|0x1000|uint64(l.VLANIdentifier))
			typ = l.Type
		case *layers.ARP:
			set("arp.op", uint64(l.Operation))
			p["arp.sha"], p["arp.tha"] = net.HardwareAddr(l.SourceHwAddress).String(), net.HardwareAddr(l.DstHwAddress).String()
			p["arp.spa"], p["arp.tpa"] = addrText(l.SourceProtAddress), addrText(l.DstProtAddress)
		case *layers.IPv4:
			p["ip4.src"], p["ip4.dst"] = addrText(l.SrcIP), addrText(l.DstIP)
			set("ip.ttl", uint64(l.TTL))
			set("ip.proto", uint64(l.Protocol))
		case *layers.IPv6:
			p["ip6.src"], p["ip6.dst"] = addrText(l.SrcIP), addrText(l.DstIP)
			set("ip.ttl", uint64(l.HopLimit))
			set("ip.proto", uint64(l.NextHeader))
		case *layers.TCP:
			set("tcp.src", uint64(l.SrcPort))
			set("tcp.dst", uint64(l.DstPort))
		case *layers.UDP:
			set("udp.src", uint64(l.SrcPort))
			set("udp.dst", uint64(l.DstPort))
		case *layers.ICMPv4:
			set("icmp4.type", uint64(l.TypeCode.Type()))
			set("icmp4.code", uint64(l.TypeCode.Code()))
		case *layers.ICMPv6:
			set("icmp6.type", uint64(l.TypeCode.Type()))
			set("icmp6.code", uint64(l.TypeCode.Code()))
			parseND(p, l.TypeCode.Type(), l.Payload)
		}
	}
	p["eth.type"] = "0x" + hex.EncodeToString(binary.BigEndian.AppendUint16(nil, uint16(typ)))
	return p, nil
}

func addrText(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

func parseND(p Packet, typ uint8, body []byte) {
	if typ != layers.ICMPv6TypeNeighborSolicitation && typ != layers.ICMPv6TypeNeighborAdvertisement || len(body) < 20 {
		return
	}
	p["nd.target"] = addrText(body[4:20])
	for o := body[20:]; len(o) >= 8 && o[1] > 0 && int(o[1])*8 <= len(o); o = o[int(o[1])*8:] {
		switch o[0] {
		case 1:
			p["nd.sll"] = net.HardwareAddr(o[2:8]).String()
		case 2:
			p["nd.tll"] = net.HardwareAddr(o[2:8]).String()
		}
	}
}
