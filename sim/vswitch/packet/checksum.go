package packet

import "encoding/binary"

// Layer4 is the frame from the header of layer 4 to the end of the IP packet,
// nil when there is none.
func (l Layout) Layer4(data []byte) []byte {
	if l.l4 < 0 || l.end > len(data) || l.l4 > l.end {
		return nil
	}
	return data[l.l4:l.end]
}

// Layer3 is the frame behind the Ethernet header and its tag.
func (l Layout) Layer3(data []byte) []byte {
	if l.l3 < 0 || l.l3 > len(data) {
		return nil
	}
	return data[l.l3:]
}

// sum16 adds up b as big-endian 16-bit words.
func sum16(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(be16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// Checksum is the internet checksum (RFC 1071) of b.
func Checksum(b []byte) uint16 { return ^fold(sum16(0, b)) }

// PseudoChecksum is the checksum of b, the layer 4 of k's packet, with the
// pseudo header.
func PseudoChecksum(k *Key, b []byte) uint16 {
	s := uint32(0)
	for _, a := range [][]byte{k.IPSrc().AsSlice(), k.IPDst().AsSlice()} {
		s = sum16(s, a)
	}
	s += uint32(len(b))>>16 + uint32(len(b))&0xffff + uint32(k.Proto())
	return ^fold(sum16(s, b))
}

// ChecksumsRight tells whether the checksums of an IP packet are right; those
// that are missing are.
func (l Layout) ChecksumsRight(data []byte, k *Key) bool {
	b := l.Layer4(data)
	if b == nil {
		return false
	}
	v4 := k.EthType() == EthTypeIPv4
	if v4 {
		ip := data[l.l3:]
		if Checksum(ip[:int(ip[0]&0xf)*4]) != 0 {
			return false
		}
	}
	if k.Fragment() {
		return true // of the whole packet, which is not here
	}
	switch k.Proto() {
	case ProtoTCP, ProtoICMPv6:
		return PseudoChecksum(k, b) == 0
	case ProtoUDP:
		return be16(b[6:]) == 0 && v4 || PseudoChecksum(k, b) == 0
	case ProtoICMP:
		return Checksum(b) == 0
	case ProtoSCTP:
		return binary.LittleEndian.Uint32(b[8:]) == sctpSum(b)
	}
	return true
}
