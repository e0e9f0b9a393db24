package decode

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// protocol is the handler and the name of an upper protocol of IP.
func protocol(p uint8) (handler, string) {
	switch p {
	case 1:
		return icmp, "icmp"
	case 2:
		return igmp, "igmp"
	case 4:
		return ipv4, "ipv4"
	case 6:
		return tcp, "tcp"
	case 17:
		return udp, "udp"
	case 41:
		return ipv6, "ipv6"
	case 58:
		return icmp6, "icmp6"
	case 132:
		return sctp, "sctp"
	case 59:
		return payload("data"), "no next header"
	}
	return payload("data"), fmt.Sprintf("protocol %d", p)
}

// ipv4 decodes an IPv4 header (RFC 791).
func ipv4(w *walker, b []byte) (handler, []byte) {
	if !w.room("ipv4", b, 20) {
		return nil, nil
	}
	head, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0]>>4 != 4:
		w.broken("ipv4", b, 0, "version %d", b[0]>>4)
		return nil, nil
	case head < 20:
		w.broken("ipv4", b, 0, "header of %d bytes", head)
		return nil, nil
	case total < head:
		w.broken("ipv4", b, 2, "total length of %d bytes with a header of %d", total, head)
		return nil, nil
	case !w.room("ipv4", b, head):
		return nil, nil
	}
	id, frag := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	offset, more := int(frag&0x1fff)*8, frag&0x2000 != 0
	w.src, w.dst, w.proto = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9]
	next, name := protocol(b[9])
	text := fmt.Sprintf("%v > %v  %s ttl %d len %d", w.src, w.dst, name, b[8], total)
	if frag&0x4000 != 0 {
		text += " DF"
	}
	fragment := more || offset > 0
	w.partial = w.partial || fragment
	if fragment {
		text += fmt.Sprintf("  fragment of id %d at %d", id, offset)
		if more {
			text += " (more follow)"
		}
	}
	w.add("ipv4", b, text, Field{"src", w.src}, Field{"dst", w.dst}, Field{"protocol", b[9]}, Field{"ttl", b[8]}, Field{"tos", b[1]},
		Field{"length", total}, Field{"id", id}, Field{"df", frag&0x4000 != 0}, Field{"mf", more}, Field{"fragment_offset", offset})
	if sum := checksum(0, b[:head]); sum != 0 && !w.partial {
		got := binary.BigEndian.Uint16(b[10:])
		w.note("ipv4", b, 10, "header checksum %s, %s expected", hexN(4, got), hexN(4, expected(0, b[:head], got)))
	}
	if total > len(b) {
		w.short("ipv4", b, len(b), "%d of %d bytes of the packet", len(b), total)
	} else {
		b = b[:total]
	}
	if offset > 0 {
		return payload("data"), b[head:]
	}
	return next, b[head:]
}

// ipv6 decodes an IPv6 header (RFC 8200).
func ipv6(w *walker, b []byte) (handler, []byte) {
	const head = 40
	if !w.room("ipv6", b, head) {
		return nil, nil
	}
	if b[0]>>4 != 6 {
		w.broken("ipv6", b, 0, "version %d", b[0]>>4)
		return nil, nil
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	w.src, w.dst, w.proto = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6]
	next, name := nextHeader(b[6])
	w.add("ipv6", b, fmt.Sprintf("%v > %v  %s hops %d len %d", w.src, w.dst, name, b[7], length),
		Field{"src", w.src}, Field{"dst", w.dst}, Field{"next_header", b[6]}, Field{"hop_limit", b[7]},
		Field{"traffic_class", b[0]<<4 | b[1]>>4}, Field{"flow_label", binary.BigEndian.Uint32(b) & 0xfffff}, Field{"length", length})
	if head+length > len(b) {
		w.short("ipv6", b, len(b), "%d of %d bytes of the packet", len(b), head+length)
	} else {
		b = b[:head+length]
	}
	return next, b[head:]
}

// nextHeader is protocol with the extension headers of IPv6.
func nextHeader(p uint8) (handler, string) {
	switch p {
	case 0:
		return extension("hopopts"), "hop-by-hop options"
	case 43:
		return extension("routing"), "routing header"
	case 44:
		return fragment6, "fragment"
	case 60:
		return extension("dstopts"), "destination options"
	}
	return protocol(p)
}

// extension decodes an extension header that begins with the next header and
// its own length in words of eight bytes, less one.
func extension(name string) handler {
	return func(w *walker, b []byte) (handler, []byte) {
		if !w.room(name, b, 8) {
			return nil, nil
		}
		n := 8 + int(b[1])*8
		if !w.room(name, b, n) {
			return nil, nil
		}
		next, nextName := nextHeader(b[0])
		w.proto = b[0]
		w.add(name, b, fmt.Sprintf("len %d  %s", n, nextName), Field{"next_header", b[0]}, Field{"length", n})
		return next, b[n:]
	}
}

// fragment6 decodes a fragment header.
func fragment6(w *walker, b []byte) (handler, []byte) {
	if !w.room("frag6", b, 8) {
		return nil, nil
	}
	at, id := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	offset, more := int(at&^7), at&1 != 0
	next, name := nextHeader(b[0])
	w.proto = b[0]
	text := fmt.Sprintf("id %d at %d  %s", id, offset, name)
	if more {
		text += " (more follow)"
	}
	w.add("frag6", b, text, Field{"next_header", b[0]}, Field{"id", id}, Field{"fragment_offset", offset}, Field{"mf", more})
	w.partial = w.partial || more || offset > 0
	if offset > 0 {
		return payload("data"), b[8:]
	}
	return next, b[8:]
}

// checksum is the Internet checksum (RFC 1071) of b and a partial sum.
func checksum(partial uint16, b []byte) uint16 {
	sum := uint32(partial)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// expected is what the checksum got in b would have to be: the sum without it.
func expected(partial uint16, b []byte, got uint16) uint16 {
	sum := uint32(^checksum(partial, b)) + uint32(^got)
	return ^uint16(sum>>16 + sum&0xffff)
}

// pseudo is the partial sum of the pseudo header before an upper protocol.
func (w *walker) pseudo(length int) uint16 {
	h := append(w.src.AsSlice(), w.dst.AsSlice()...)
	h = binary.BigEndian.AppendUint32(h, uint32(length))
	return ^checksum(0, append(h, 0, 0, 0, w.proto))
}

// verify remarks on a wrong checksum at an offset in b, which is all that it
// covers; partial is what it covers besides.
func (w *walker) verify(name string, partial uint16, b []byte, at int) {
	if w.partial || w.cut(b) || checksum(partial, b) == 0 {
		return
	}
	got := binary.BigEndian.Uint16(b[at:])
	w.note(name, b, at, "checksum %s, %s expected", hexN(4, got), hexN(4, expected(partial, b, got)))
}
