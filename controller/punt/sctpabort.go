package punt

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// SCTPAbort handles PuntSCTPAbort: it makes what answers an SCTP packet that
// belongs to no association (RFC 9260, 8.4), with the ports exchanged, and sends
// it through the actions that follow, which exchange the addresses.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|          source port          |       destination port        |
//	+-------------------------------+-------------------------------+
//	|                       verification tag                        |
//	+---------------------------------------------------------------+
//	|               checksum (CRC32c, little endian)                |
//	+---------------+-------------+-+-------------------------------+
//	| 6 or 14       |      0      |T|               4               |
//	+---------------+-------------+-+-------------------------------+
//
// The first packet of an association (INIT) is refused by an ABORT with the tag
// that it brings; others are answered with their own tag and the bit T, a SHUTDOWN
// ACK by a SHUTDOWN COMPLETE. What ends an association, or may be an answer, is
// not answered.
//
//	userdata: | zero (6) | actions ... |
type SCTPAbort struct {
	Send Sender

	parser parser
}

// Types of chunks (RFC 9260, 3.2).
const (
	sctpInit             = 1
	sctpAbort            = 6
	sctpShutdownAck      = 8
	sctpError            = 9
	sctpCookieAck        = 11
	sctpShutdownComplete = 14
)

const (
	sctpHeader    = 12
	sctpChunk     = 4 // header of a chunk
	sctpReflected = 1 // T: the tag is that of the packet that is answered
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Handle is the [Handler].
func (h *SCTPAbort) Handle(p *Packet) bool {
	actions, ok := inner(p.Userdata)
	if !ok {
		return false
	}
	version, datagram := h.parser.network(p.Data)
	var segment []byte
	switch {
	case version == 4 && h.parser.ip4.Protocol == layers.IPProtocolSCTP && h.parser.ip4.FragOffset == 0:
		segment = h.parser.ip4.Payload
	case version == 6 && h.parser.ip6.NextHeader == layers.IPProtocolSCTP:
		segment = datagram[ip6Header:]
	default:
		return false
	}
	if len(segment) < sctpHeader+sctpChunk {
		return false
	}
	if h.parser.sentToGroup() {
		return true
	}
	answer := sctpAnswer(segment)
	if answer == nil {
		return true
	}
	var frame []byte
	if version == 4 {
		frame = h.parser.frame(layers.EthernetTypeIPv4, &layers.IPv4{Version: 4, TTL: 255, Protocol: layers.IPProtocolSCTP,
			SrcIP: h.parser.ip4.SrcIP, DstIP: h.parser.ip4.DstIP}, gopacket.Payload(answer))
	} else {
		frame = h.parser.frame(layers.EthernetTypeIPv6, &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolSCTP,
			SrcIP: h.parser.ip6.SrcIP, DstIP: h.parser.ip6.DstIP}, gopacket.Payload(answer))
	}
	if frame == nil {
		return false
	}
	h.Send(frame, append(reload(p), actions...))
	return true
}

// sctpAnswer is the SCTP packet that answers one; nil: none does.
func sctpAnswer(segment []byte) []byte {
	kind, flags, tag := byte(sctpAbort), byte(sctpReflected), segment[4:8]
	first := true
	for rest := segment[sctpHeader:]; len(rest) >= sctpChunk; first = false {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if length < sctpChunk || length > len(rest) {
			break
		}
		switch rest[0] {
		case sctpAbort, sctpShutdownComplete, sctpError, sctpCookieAck:
			return nil
		case sctpShutdownAck:
			kind = sctpShutdownComplete
		case sctpInit: // alone in its packet, whose own tag is 0
			if length < sctpChunk+4 || !first {
				return nil
			}
			tag, flags = rest[sctpChunk:sctpChunk+4], 0
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	b := make([]byte, sctpHeader+sctpChunk)
	copy(b, segment[2:4])
	copy(b[2:], segment[:2])
	copy(b[4:], tag)
	b[sctpHeader], b[sctpHeader+1], b[sctpHeader+3] = kind, flags, sctpChunk
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, castagnoli))
	return b
}
