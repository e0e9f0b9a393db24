package decode

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/gopacket/gopacket/layers"
)

// ethernet decodes an Ethernet header.
func ethernet(w *walker, b []byte) (handler, []byte) {
	if !w.room("eth", b, 14) {
		return nil, nil
	}
	dst, src, typ := net.HardwareAddr(b[:6]), net.HardwareAddr(b[6:12]), binary.BigEndian.Uint16(b[12:])
	fields := []Field{{"src", src.String()}, {"dst", dst.String()}}
	if typ < 0x600 { // IEEE 802.3: a length
		w.add("eth", b, fmt.Sprintf("%v > %v  802.3 len %d", src, dst, typ), append(fields, Field{"length", typ})...)
		return payload("llc"), b[14:]
	}
	next, name := etherType(typ)
	w.add("eth", b, fmt.Sprintf("%v > %v  %s", src, dst, name), append(fields, Field{"type", hexN(4, typ)})...)
	return next, b[14:]
}

// etherType is the handler and the name of an EtherType.
func etherType(t uint16) (handler, string) {
	switch t {
	case 0x0800:
		return ipv4, "IPv4"
	case 0x86dd:
		return ipv6, "IPv6"
	case 0x0806:
		return arp("arp"), "ARP"
	case 0x8035:
		return arp("rarp"), "RARP"
	case 0x8100:
		return vlan, "802.1Q"
	case 0x88a8:
		return vlan, "802.1ad"
	case 0x6558:
		return ethernet, "Ethernet"
	}
	return payload("data"), "type " + hexN(4, t)
}

// vlan decodes a VLAN tag behind its EtherType.
func vlan(w *walker, b []byte) (handler, []byte) {
	if !w.room("vlan", b, 4) {
		return nil, nil
	}
	tci, typ := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	next, name := etherType(typ)
	text := fmt.Sprintf("id %d priority %d  %s", tci&0xfff, tci>>13, name)
	w.add("vlan", b, text, Field{"id", tci & 0xfff}, Field{"priority", tci >> 13}, Field{"dei", tci>>12&1 == 1}, Field{"type", hexN(4, typ)})
	return next, b[4:]
}

// arp decodes ARP (RFC 826) and RARP (RFC 903).
func arp(name string) handler {
	return func(w *walker, b []byte) (handler, []byte) {
		if !w.room(name, b, 8) {
			return nil, nil
		}
		var a layers.ARP
		if err := a.DecodeFromBytes(b, feedback{}); err != nil {
			return w.failed(name, b, err)
		}
		sha, tha := net.HardwareAddr(a.SourceHwAddress), net.HardwareAddr(a.DstHwAddress)
		spa, tpa := net.IP(a.SourceProtAddress), net.IP(a.DstProtAddress)
		var text string
		switch {
		case a.Operation == layers.ARPRequest && name == "arp":
			text = fmt.Sprintf("who has %v, tell %v (%v)", tpa, spa, sha)
		case a.Operation == layers.ARPReply && name == "arp":
			text = fmt.Sprintf("%v is at %v", spa, sha)
		default:
			text = fmt.Sprintf("operation %d: %v (%v) > %v (%v)", a.Operation, spa, sha, tpa, tha)
		}
		w.add(name, b, text, Field{"op", a.Operation}, Field{"sha", sha.String()}, Field{"spa", spa.String()},
			Field{"tha", tha.String()}, Field{"tpa", tpa.String()})
		return nil, nil
	}
}

// sll decodes the header of tcpdump -i any, first version.
func sll(w *walker, b []byte) (handler, []byte) {
	if !w.room("sll", b, 16) {
		return nil, nil
	}
	typ := binary.BigEndian.Uint16(b[14:])
	next, name := etherType(typ)
	w.add("sll", b, name, Field{"packet_type", binary.BigEndian.Uint16(b)}, Field{"type", hexN(4, typ)})
	return next, b[16:]
}

// sll2 decodes the header of tcpdump -i any, second version.
func sll2(w *walker, b []byte) (handler, []byte) {
	if !w.room("sll2", b, 20) {
		return nil, nil
	}
	typ := binary.BigEndian.Uint16(b)
	next, name := etherType(typ)
	index := binary.BigEndian.Uint32(b[4:])
	w.add("sll2", b, fmt.Sprintf("interface %d  %s", index, name), Field{"interface", index}, Field{"packet_type", b[10]}, Field{"type", hexN(4, typ)})
	return next, b[20:]
}

// loopback decodes the address family before a packet, in either byte order.
func loopback(w *walker, b []byte) (handler, []byte) {
	if !w.room("loop", b, 4) {
		return nil, nil
	}
	family := binary.BigEndian.Uint32(b)
	if family > 0xffff {
		family = binary.LittleEndian.Uint32(b)
	}
	w.add("loop", b, fmt.Sprintf("family %d", family), Field{"family", family})
	return rawIP, b[4:]
}

// rawIP tells the version of IP by its first bits.
func rawIP(w *walker, b []byte) (handler, []byte) {
	if !w.room("ip", b, 1) {
		return nil, nil
	}
	switch b[0] >> 4 {
	case 4:
		return ipv4, b
	case 6:
		return ipv6, b
	}
	w.broken("ip", b, 0, "version %d", b[0]>>4)
	return nil, nil
}
