package packet

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"govn/pkg/openflow"
)

// Rewrite returns a new frame: data, whose layout and state are l and base, with
// the fields that differ in now. Like Open vSwitch, it leaves a header alone
// that the frame has not, and ports of what is no longer the same protocol.
func Rewrite(data []byte, l Layout, base, now *State) []byte {
	if len(data) < ethHeaderLen {
		return slices.Clone(data)
	}
	out := make([]byte, 0, len(data)+8)
	dst, src := now.Key.mac(wEthDst), now.Key.mac(wEthSrc)
	out = append(append(out, dst[:]...), src[:]...)
	if t := now.Key.VLANTCI(); t != 0 {
		out = appendTag(out, now.TPID, t)
		if now.Inner.TCI != 0 {
			out = appendTag(out, now.Inner.TPID, now.Inner.TCI)
		}
	}
	front := 12 + 4*l.tags
	moved := len(out) - front
	out = append(out, data[front:]...)
	if l.l3 < 0 || !differs(&base.Key, &now.Key) {
		return out
	}
	r := rewriter{b: out, l3: l.l3 + moved, l4: -1, end: l.end + moved, base: &base.Key, now: &now.Key, layout: l, moved: moved}
	if l.l4 >= 0 {
		r.l4 = l.l4 + moved
	}
	switch base.Key.EthType() {
	case EthTypeIPv4:
		r.ipv4()
		r.layer4()
	case EthTypeIPv6:
		r.ipv6()
		r.layer4()
	case EthTypeARP, EthTypeRARP:
		r.arp()
	case EthTypeMPLS, EthTypeMPLSMulticast:
		if len(r.b) >= r.l3+4 {
			binary.BigEndian.PutUint32(r.b[r.l3:], now.Key[wMPLS])
		}
	}
	return out
}

// differs tells whether anything behind the Ethernet header is different.
func differs(a, b *Key) bool {
	for w := wMPLS; w < wCTState; w++ {
		if a[w] != b[w] {
			return true
		}
	}
	return false
}

func appendTag(b []byte, tpid, tci uint16) []byte {
	// Bit 12 of the TCI says "there is a tag" in OpenFlow, something else on the
	// wire.
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, tpid), tci&^tagPresent)
}

type rewriter struct {
	b         []byte
	l3, l4    int
	end       int
	base, now *Key
	layout    Layout
	moved     int
}

func (r *rewriter) arp() {
	b := r.b[r.l3:]
	if len(b) < arpLen || r.base[wFlags]&0xff == 0 || r.now[wFlags]&0xffff == 0 {
		return
	}
	binary.BigEndian.PutUint16(b[6:], uint16(r.now[wFlags]))
	sha, tha := r.now.mac(wARPSHA), r.now.mac(wARPTHA)
	copy(b[8:], sha[:])
	binary.BigEndian.PutUint32(b[14:], r.now[wIPSrc])
	copy(b[18:], tha[:])
	binary.BigEndian.PutUint32(b[24:], r.now[wIPDst])
}

func (r *rewriter) ipv4() {
	if r.end <= r.moved || r.base.Proto() == 0 {
		return // no valid header
	}
	b := r.b[r.l3:]
	sum := b[10:]
	if tos := byte(r.now[wIP] >> 16); tos != b[1] {
		adjust16(sum, uint16(b[0])<<8|uint16(b[1]), uint16(b[0])<<8|uint16(tos))
		b[1] = tos
	}
	if ttl := r.now.TTL(); ttl != b[8] {
		adjust16(sum, uint16(b[8])<<8, uint16(ttl)<<8)
		b[8] = ttl
	}
	for _, w := range []struct{ word, at int }{{wIPSrc, 12}, {wIPDst, 16}} {
		if r.base[w.word] == r.now[w.word] {
			continue
		}
		var v [4]byte
		binary.BigEndian.PutUint32(v[:], r.now[w.word])
		adjust(sum, b[w.at:w.at+4], v[:])
		r.pseudo(b[w.at:w.at+4], v[:])
		copy(b[w.at:], v[:])
	}
}

func (r *rewriter) ipv6() {
	if r.end <= r.moved || r.base.Proto() == 0 {
		return
	}
	b := r.b[r.l3:]
	for _, w := range []struct{ word, at int }{{wIP6Src, 8}, {wIP6Dst, 24}} {
		var v [16]byte
		r.now.put(v[:], w.word)
		if string(v[:]) == string(b[w.at:w.at+16]) {
			continue
		}
		if w.word == wIP6Src || !r.layout.routing {
			r.pseudo(b[w.at:w.at+16], v[:])
		}
		copy(b[w.at:], v[:])
	}
	vtf := be32(b)&0xf0000000 | r.now[wIP]>>16&0xff<<20 | r.now[wIP6Label]&0xfffff
	binary.BigEndian.PutUint32(b, vtf)
	b[7] = r.now.TTL()
}

// pseudo corrects the layer 4 checksum for a changed address.
func (r *rewriter) pseudo(old, now []byte) {
	if r.l4 < 0 {
		return
	}
	b := r.b[r.l4:]
	switch r.base.Proto() {
	case ProtoTCP:
		adjust(b[16:], old, now)
	case ProtoUDP:
		adjustUDP(b[6:], old, now)
	case ProtoICMPv6:
		adjust(b[2:], old, now)
	}
}

func (r *rewriter) layer4() {
	if r.l4 < 0 || r.base.Proto() == 0 {
		return
	}
	b := r.b[r.l4:r.end]
	var ports [4]byte
	binary.BigEndian.PutUint32(ports[:], r.now[wPorts])
	switch r.base.Proto() {
	case ProtoTCP:
		adjust(b[16:], b[:4], ports[:])
		copy(b, ports[:])
	case ProtoUDP:
		adjustUDP(b[6:], b[:4], ports[:])
		copy(b, ports[:])
	case ProtoSCTP:
		if string(b[:4]) == string(ports[:]) {
			return
		}
		had, right := binary.LittleEndian.Uint32(b[8:]), sctpSum(b)
		copy(b, ports[:])
		binary.LittleEndian.PutUint32(b[8:], had^right^sctpSum(b))
	case ProtoICMP, ProtoICMPv6:
		v := []byte{byte(r.now[wPorts] >> 16), byte(r.now[wPorts])}
		adjust(b[2:], b[:2], v)
		copy(b, v)
		r.neighbour(b)
	}
}

func (r *rewriter) neighbour(b []byte) {
	if !r.base.Meets(openflow.RequiresND) {
		return
	}
	if len(b) < ndTargetLen {
		return
	}
	var target [16]byte
	r.now.put(target[:], wNDTarget)
	if r.base[wNDTarget] != r.now[wNDTarget] || r.base[wNDTarget+1] != r.now[wNDTarget+1] ||
		r.base[wNDTarget+2] != r.now[wNDTarget+2] || r.base[wNDTarget+3] != r.now[wNDTarget+3] {
		adjust(b[2:], b[8:24], target[:])
		copy(b[8:], target[:])
	}
	for _, o := range []struct{ at, word int }{{r.layout.sll, wARPSHA}, {r.layout.tll, wARPTHA}} {
		if o.at < 0 {
			continue
		}
		at := o.at - r.layout.l4
		mac := r.now.mac(o.word)
		adjust(b[2:], b[at+2:at+8], mac[:])
		copy(b[at+2:], mac[:])
	}
}

// adjust corrects an internet checksum for changed bytes (RFC 1624, equation 3)
// that start at an even offset; they must be of even number.
func adjust(sum, old, now []byte) {
	for i := 0; i+1 < len(old); i += 2 {
		adjust16(sum, be16(old[i:]), be16(now[i:]))
	}
}

func adjust16(sum []byte, old, now uint16) {
	if old == now {
		return
	}
	v := uint32(^be16(sum)) + uint32(^old) + uint32(now)
	v = v>>16 + v&0xffff
	v += v >> 16
	binary.BigEndian.PutUint16(sum, ^uint16(v))
}

// adjustUDP is adjust for a checksum of which zero means that there is none.
func adjustUDP(sum, old, now []byte) {
	if be16(sum) == 0 {
		return
	}
	before := be16(sum)
	adjust(sum, old, now)
	if be16(sum) == 0 && before != 0 {
		binary.BigEndian.PutUint16(sum, 0xffff)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sctpSum is the checksum that an SCTP packet should have (RFC 9260, appendix A).
func sctpSum(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:8])
	c = crc32.Update(c, castagnoli, []byte{0, 0, 0, 0})
	return crc32.Update(c, castagnoli, b[12:])
}
