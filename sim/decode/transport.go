package decode

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// udp decodes a UDP header (RFC 768).
func udp(w *walker, b []byte) (handler, []byte) {
	const head = 8
	if !w.room("udp", b, head) {
		return nil, nil
	}
	src, dst, length := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
	w.add("udp", b, fmt.Sprintf("%d > %d  len %d", src, dst, length), Field{"src_port", src}, Field{"dst_port", dst}, Field{"length", length})
	switch {
	case length < head:
		w.broken("udp", b, 4, "length of %d bytes", length)
		return nil, nil
	case length > len(b):
		w.short("udp", b, len(b), "%d of %d bytes of the datagram", len(b), length)
	default:
		b = b[:length]
		if binary.BigEndian.Uint16(b[6:]) != 0 { // 0: none was made
			w.verify("udp", w.pseudo(length), b, 6)
		}
	}
	return w.d.application(src, dst), b[head:]
}

// application is what a datagram between two UDP ports holds.
func (d *Decoder) application(src, dst uint16) handler {
	if d.isGeneve(dst) {
		return geneveHeader
	}
	for _, port := range []uint16{dst, src} {
		switch port {
		case 53, 5353:
			return dns
		case 67, 68:
			return dhcp
		case 546, 547:
			return dhcp6
		case 3784:
			return bfd
		}
	}
	return payload("data")
}

// tcp decodes a TCP header (RFC 9293).
func tcp(w *walker, b []byte) (handler, []byte) {
	if !w.room("tcp", b, 20) {
		return nil, nil
	}
	head := int(b[12]>>4) * 4
	if head < 20 {
		w.broken("tcp", b, 12, "header of %d bytes", head)
		return nil, nil
	}
	if !w.room("tcp", b, head) {
		return nil, nil
	}
	var t layers.TCP
	if err := t.DecodeFromBytes(b, feedback{}); err != nil {
		return w.failed("tcp", b, err)
	}
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"SYN", t.SYN}, {"FIN", t.FIN}, {"RST", t.RST}, {"PSH", t.PSH}, {"ACK", t.ACK}, {"URG", t.URG}, {"ECE", t.ECE}, {"CWR", t.CWR}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	w.add("tcp", b, fmt.Sprintf("%d > %d  [%s] seq %d ack %d win %d len %d", uint16(t.SrcPort), uint16(t.DstPort),
		strings.Join(flags, " "), t.Seq, t.Ack, t.Window, len(b)-head),
		Field{"src_port", uint16(t.SrcPort)}, Field{"dst_port", uint16(t.DstPort)}, Field{"flags", flags},
		Field{"seq", t.Seq}, Field{"ack", t.Ack}, Field{"window", t.Window}, Field{"bytes", len(b) - head})
	w.verify("tcp", w.pseudo(len(b)), b, 16)
	if t.SrcPort == 53 || t.DstPort == 53 {
		if rest := b[head:]; len(rest) > 2 && int(binary.BigEndian.Uint16(rest)) == len(rest)-2 {
			return dns, rest[2:]
		}
	}
	return payload("data"), b[head:]
}

// sctp decodes the common header of SCTP (RFC 9260).
func sctp(w *walker, b []byte) (handler, []byte) {
	if !w.room("sctp", b, 12) {
		return nil, nil
	}
	src, dst, tag := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	w.add("sctp", b, fmt.Sprintf("%d > %d  tag %s", src, dst, hexN(8, tag)), Field{"src_port", src}, Field{"dst_port", dst}, Field{"tag", tag})
	return payload("data"), b[12:]
}
