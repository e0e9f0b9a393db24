package packet

import (
	"encoding/binary"

	"govn/pkg/openflow"
)

// Words is the number of words of a Key.
const Words = wordCount

// Places of fields in a Key. A field wider than a word has its most significant
// word first.
const (
	wMetadata   = 0
	wInPort     = 2 // 16 bits
	wTunID      = 3
	wTunSrc     = 5
	wTunDst     = 6
	wTunSrc6    = 7
	wTunDst6    = 11
	wTunGBP     = 15 // id, tun_flags
	wTunGBPFlag = 16
	wTunMeta    = 17
	wTunPresent = 25 // bit n: tun_metadata n is there
	wReg        = 26
	wPktMark    = 42
	wDPHash     = 43
	wRecircID   = 44
	wConjID     = 45
	wActset     = 46
	wEthDst     = 47
	wEthSrc     = 49
	wEthType    = 51 // type, VLAN TCI with bit 12 for "there is a tag"
	wMPLS       = 52
	wIPSrc      = 53 // or ARP's
	wIPDst      = 54
	wIP6Src     = 55
	wIP6Dst     = 59
	wIP6Label   = 63
	wIP         = 64 // protocol, TOS, TTL, fragment bits
	wARPSHA     = 65 // or the link-layer address option of a solicitation
	wARPTHA     = 67
	wNDTarget   = 69
	wPorts      = 73 // source, destination; or type, code of ICMP
	wFlags      = 74 // TCP flags, ARP operation
	wCTState    = 75
	wCTZone     = 76 // zone, protocol
	wCTMark     = 77
	wCTLabel    = 78
	wCTIPSrc    = 82
	wCTIPDst    = 83
	wCTIP6Src   = 84
	wCTIP6Dst   = 88
	wCTPorts    = 92
	wordCount   = 93
)

// TunnelOptions is the number of tun_metadata fields.
const TunnelOptions = wTunPresent - wTunMeta

// Key is what OpenFlow can match of a packet, with its metadata.
type Key [wordCount]uint32

// U128 is a number of 128 bits.
type U128 struct{ Hi, Lo uint64 }

// ones is n bits set.
func ones(n int) U128 {
	switch {
	case n >= 128:
		return U128{^uint64(0), ^uint64(0)}
	case n > 64:
		return U128{1<<(n-64) - 1, ^uint64(0)}
	case n == 64:
		return U128{0, ^uint64(0)}
	}
	return U128{0, 1<<n - 1}
}

func (a U128) shl(n int) U128 {
	switch {
	case n == 0:
		return a
	case n >= 64:
		return U128{a.Lo << (n - 64), 0}
	}
	return U128{a.Hi<<n | a.Lo>>(64-n), a.Lo << n}
}

func (a U128) shr(n int) U128 {
	switch {
	case n == 0:
		return a
	case n >= 64:
		return U128{0, a.Hi >> (n - 64)}
	}
	return U128{a.Hi >> n, a.Lo>>n | a.Hi<<(64-n)}
}

func (a U128) and(b U128) U128 { return U128{a.Hi & b.Hi, a.Lo & b.Lo} }
func (a U128) or(b U128) U128  { return U128{a.Hi | b.Hi, a.Lo | b.Lo} }
func (a U128) not() U128       { return U128{^a.Hi, ^a.Lo} }

// Number reads at most 16 bytes, big endian.
func Number(b []byte) (v U128) {
	for _, c := range b {
		v = v.shl(8)
		v.Lo |= uint64(c)
	}
	return v
}

// Bytes is the number in n bytes, big endian.
func (a U128) Bytes(n int) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return append([]byte(nil), b[16-n:]...)
}

// place is where a field is.
type place struct {
	word, shift, bits int
}

var places = makePlaces()

func makePlaces() []place {
	all := make([]place, len(openflow.Fields()))
	put := func(f *openflow.Field, word, shift, bits int) { all[f.Index()] = place{word, shift, bits} }
	whole := func(f *openflow.Field, word int) { put(f, word, 0, f.Bits) }
	whole(openflow.FieldMetadata, wMetadata)
	whole(openflow.FieldInPort, wInPort)
	whole(openflow.FieldInPortNXM, wInPort)
	whole(openflow.FieldTunID, wTunID)
	whole(openflow.FieldTunSrc, wTunSrc)
	whole(openflow.FieldTunDst, wTunDst)
	whole(openflow.FieldTunIPv6Src, wTunSrc6)
	whole(openflow.FieldTunIPv6Dst, wTunDst6)
	put(openflow.FieldTunGBPID, wTunGBP, 16, 16)
	put(openflow.FieldTunFlags, wTunGBP, 0, 16)
	whole(openflow.FieldTunGBPFlags, wTunGBPFlag)
	for i := range TunnelOptions {
		whole(openflow.FieldTunMetadata(i), wTunMeta+i)
	}
	for i := range 16 {
		whole(openflow.FieldReg(i), wReg+i)
	}
	for i := range 8 {
		whole(openflow.FieldXReg(i), wReg+2*i)
	}
	for i := range 4 {
		whole(openflow.FieldXXReg(i), wReg+4*i)
	}
	whole(openflow.FieldPktMark, wPktMark)
	whole(openflow.FieldDPHash, wDPHash)
	whole(openflow.FieldRecircID, wRecircID)
	whole(openflow.FieldConjID, wConjID)
	whole(openflow.FieldActsetOutput, wActset)
	whole(openflow.FieldEthDst, wEthDst)
	whole(openflow.FieldEthSrc, wEthSrc)
	put(openflow.FieldEthType, wEthType, 16, 16)
	put(openflow.FieldVLANTCI, wEthType, 0, 16)
	put(openflow.FieldVLANVID, wEthType, 0, 13)
	put(openflow.FieldVLANPCP, wEthType, 13, 3)
	put(openflow.FieldMPLSLabel, wMPLS, 12, 20)
	put(openflow.FieldMPLSTC, wMPLS, 9, 3)
	put(openflow.FieldMPLSBOS, wMPLS, 8, 1)
	put(openflow.FieldMPLSTTL, wMPLS, 0, 8)
	whole(openflow.FieldIPv4Src, wIPSrc)
	whole(openflow.FieldIPv4Dst, wIPDst)
	whole(openflow.FieldIPv6Src, wIP6Src)
	whole(openflow.FieldIPv6Dst, wIP6Dst)
	whole(openflow.FieldIPv6Label, wIP6Label)
	put(openflow.FieldIPProto, wIP, 24, 8)
	put(openflow.FieldIPDSCP, wIP, 18, 6)
	put(openflow.FieldIPECN, wIP, 16, 2)
	put(openflow.FieldIPTTL, wIP, 8, 8)
	put(openflow.FieldIPFrag, wIP, 0, 2)
	whole(openflow.FieldARPOp, wFlags)
	whole(openflow.FieldARPSPA, wIPSrc)
	whole(openflow.FieldARPTPA, wIPDst)
	whole(openflow.FieldARPSHA, wARPSHA)
	whole(openflow.FieldARPTHA, wARPTHA)
	for _, f := range []*openflow.Field{openflow.FieldTCPSrc, openflow.FieldUDPSrc, openflow.FieldSCTPSrc, openflow.FieldICMPType, openflow.FieldICMPv6Type} {
		put(f, wPorts, 16, f.Bits)
	}
	for _, f := range []*openflow.Field{openflow.FieldTCPDst, openflow.FieldUDPDst, openflow.FieldSCTPDst, openflow.FieldICMPCode, openflow.FieldICMPv6Code} {
		put(f, wPorts, 0, f.Bits)
	}
	put(openflow.FieldTCPFlags, wFlags, 16, 12)
	whole(openflow.FieldNDTarget, wNDTarget)
	whole(openflow.FieldNDSLL, wARPSHA)
	whole(openflow.FieldNDTLL, wARPTHA)
	whole(openflow.FieldCTState, wCTState)
	put(openflow.FieldCTZone, wCTZone, 16, 16)
	put(openflow.FieldCTNwProto, wCTZone, 0, 8)
	whole(openflow.FieldCTMark, wCTMark)
	whole(openflow.FieldCTLabel, wCTLabel)
	whole(openflow.FieldCTNwSrc, wCTIPSrc)
	whole(openflow.FieldCTNwDst, wCTIPDst)
	whole(openflow.FieldCTIPv6Src, wCTIP6Src)
	whole(openflow.FieldCTIPv6Dst, wCTIP6Dst)
	put(openflow.FieldCTTPSrc, wCTPorts, 16, 16)
	put(openflow.FieldCTTPDst, wCTPorts, 0, 16)
	return all
}

// PortFrom32 turns an OpenFlow 1.1+ port number into the 16 bits that a Key
// holds. ok is false when there is no such number.
func PortFrom32(n uint32) (p uint16, ok bool) {
	switch {
	case n < 0xff00:
		return uint16(n), true
	case n >= 0xffffff00:
		return uint16(n), true
	}
	return 0, false
}

// PortTo32 is the inverse of PortFrom32.
func PortTo32(p uint16) uint32 {
	if p >= 0xff00 {
		return 0xffff0000 | uint32(p)
	}
	return uint32(p)
}

// Get reads a field.
func (k *Key) Get(f *openflow.Field) U128 {
	p := &places[f.Index()]
	w := k[p.word:]
	switch {
	case f == openflow.FieldInPort:
		return U128{0, uint64(PortTo32(uint16(w[0])))}
	case p.bits == 0:
		return U128{} // not kept: packet_type is always Ethernet
	case p.bits <= 32:
		return U128{0, uint64(w[0]>>p.shift) & (1<<p.bits - 1)}
	case p.bits <= 64:
		return U128{0, uint64(w[0])<<32 | uint64(w[1])}
	}
	return U128{uint64(w[0])<<32 | uint64(w[1]), uint64(w[2])<<32 | uint64(w[3])}
}

// Set writes a field. A VLAN priority makes a tag, tun_metadata becomes
// present.
func (k *Key) Set(f *openflow.Field, v U128) {
	p := &places[f.Index()]
	w := k[p.word:]
	switch {
	case f == openflow.FieldInPort:
		n, _ := PortFrom32(uint32(v.Lo))
		w[0] = uint32(n)
	case p.bits == 0:
	case p.bits <= 32:
		mask := uint32(1<<p.bits-1) << p.shift
		w[0] = w[0]&^mask | uint32(v.Lo)<<p.shift&mask
	case p.bits <= 64:
		w[0], w[1] = uint32(v.Lo>>32), uint32(v.Lo)
	default:
		w[0], w[1], w[2], w[3] = uint32(v.Hi>>32), uint32(v.Hi), uint32(v.Lo>>32), uint32(v.Lo)
	}
	switch {
	case f == openflow.FieldVLANPCP:
		k[wEthType] |= tagPresent
	case p.word >= wTunMeta && p.word < wTunPresent:
		k[wTunPresent] |= 1 << (p.word - wTunMeta)
	}
}

// Subfield reads some bits of a field.
func (k *Key) Subfield(s openflow.Subfield) U128 {
	return k.Get(s.Field).shr(s.Offset).and(ones(s.Bits))
}

// SetSubfield writes some bits of a field.
func (k *Key) SetSubfield(s openflow.Subfield, v U128) {
	mask := ones(s.Bits).shl(s.Offset)
	k.Set(s.Field, k.Get(s.Field).and(mask.not()).or(v.shl(s.Offset).and(mask)))
}

// SetMasked writes the bits of a field that are one in mask.
func (k *Key) SetMasked(f *openflow.Field, v, mask U128) {
	k.Set(f, k.Get(f).and(mask.not()).or(v.and(mask)))
}

// Meets tells whether the packet is what a field requires.
func (k *Key) Meets(r openflow.Requirement) bool {
	eth := k.EthType()
	v4, v6 := eth == EthTypeIPv4, eth == EthTypeIPv6
	l4 := (v4 || v6) && !k.LaterFragment()
	proto := k.Proto()
	nd := v6 && proto == ProtoICMPv6 && k.PortDst() == 0 && (k.PortSrc() == 135 || k.PortSrc() == 136)
	ct := k[wCTState]&ctTracked != 0 && k[wCTState]&ctInvalid == 0
	switch r {
	case openflow.RequiresARP:
		return eth == EthTypeARP || eth == EthTypeRARP
	case openflow.RequiresIPv4:
		return v4
	case openflow.RequiresIPv6:
		return v6
	case openflow.RequiresIP:
		return v4 || v6
	case openflow.RequiresTCP:
		return l4 && proto == ProtoTCP
	case openflow.RequiresUDP:
		return l4 && proto == ProtoUDP
	case openflow.RequiresSCTP:
		return l4 && proto == ProtoSCTP
	case openflow.RequiresICMPv4:
		return v4 && proto == ProtoICMP
	case openflow.RequiresICMPv6:
		return v6 && proto == ProtoICMPv6
	case openflow.RequiresND:
		return nd
	case openflow.RequiresNS:
		return nd && k.PortSrc() == 135
	case openflow.RequiresNA:
		return nd && k.PortSrc() == 136
	case openflow.RequiresVLAN:
		return k[wEthType]&tagPresent != 0
	case openflow.RequiresMPLS:
		return eth == EthTypeMPLS || eth == EthTypeMPLSMulticast
	case openflow.RequiresCT:
		return (v4 || v6) && ct
	case openflow.RequiresCTProto:
		return (v4 || v6) && ct && k[wCTZone]&0xff != 0
	case openflow.RequiresCTIPv4:
		return v4 && ct
	case openflow.RequiresCTIPv6:
		return v6 && ct
	}
	return true
}

// Or sets bits of a field that are one in v, and nothing besides: it builds the
// values and masks of a match. A match on a VLAN priority is one on a tag too.
// A match on tun_metadata is one on its presence.
func (k *Key) Or(f *openflow.Field, v U128) { k.Set(f, k.Get(f).or(v)) }
