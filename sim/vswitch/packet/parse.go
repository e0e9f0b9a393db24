package packet

import (
	"bytes"
	"encoding/binary"
)

// Tag is a VLAN tag. TCI has bit 12 set; 0: no tag.
type Tag struct{ TPID, TCI uint16 }

// State is a key with what OpenFlow cannot match but actions change: the types
// of VLAN tags, and the tag behind the outermost, which only push_vlan makes.
// The TCI of the outermost is in Key.
type State struct {
	Key   Key
	TPID  uint16
	Inner Tag
}

// PushVLAN puts a tag in front.
func (s *State) PushVLAN(tpid uint16) {
	if t := s.Key.VLANTCI(); t != 0 {
		s.Inner = Tag{s.TPID, t}
	}
	s.TPID = tpid
	s.Key.SetVLANTCI(tagPresent)
}

// PopVLAN takes the outermost tag off, if there is one.
func (s *State) PopVLAN() {
	s.TPID = s.Inner.TPID
	s.Key.SetVLANTCI(s.Inner.TCI)
	s.Inner = Tag{}
}

// FixVLAN makes the tag's type agree with its TCI, after actions wrote it.
func (s *State) FixVLAN() {
	switch tci := s.Key.VLANTCI(); {
	case tci == 0:
		s.TPID = 0
	case s.TPID == 0:
		s.TPID = EthTypeVLAN
	}
}

// Layout says where the headers of a frame are. Offsets are -1 where the header
// is missing or truncated.
type Layout struct {
	tags int // VLAN tags that were parsed, 0 or 1
	l3   int
	l4   int // of a packet that is no later fragment
	end  int // of the IP packet; padding follows
	// Offsets of the link-layer address options of neighbour discovery.
	sll, tll int
	routing  bool // there is an IPv6 routing header: the address in a checksum is another one
}

const (
	ethHeaderLen   = 14
	arpLen         = 28
	ipv6HeaderLen  = 40
	tcpHeaderLen   = 20
	udpHeaderLen   = 8
	sctpHeaderLen  = 12
	icmpHeaderLen  = 8
	ndTargetLen    = 24 // ICMPv6 header and target
	minEthType     = 0x600
	maxIPv6Headers = 16
)

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// Parse reads a frame into s. The metadata of s.Key is left as it is; the fields
// of the packet must be zero.
func Parse(data []byte, s *State) Layout {
	l := Layout{l3: -1, l4: -1, sll: -1, tll: -1}
	if len(data) < ethHeaderLen {
		return l
	}
	k := &s.Key
	k.setMAC(wEthDst, data)
	k.setMAC(wEthSrc, data[6:])
	at := 12
	if t := be16(data[at:]); (t == EthTypeVLAN || t == EthTypeQinQ) && len(data) >= at+6 {
		s.TPID = t
		k.SetVLANTCI(be16(data[at+2:]) | tagPresent)
		l.tags = 1
		at += 4
	}
	typ := be16(data[at:])
	at += 2
	if typ < minEthType {
		// IEEE 802.2 LLC with SNAP may carry an EtherType.
		typ = ethTypeNone
		if snap := data[at:]; len(snap) >= 8 && bytes.Equal(snap[:6], []byte{0xaa, 0xaa, 3, 0, 0, 0}) {
			at += 8
			if t := be16(snap[6:]); t >= minEthType {
				typ = t
			}
		}
	}
	k.SetEthType(typ)
	l.l3 = at
	switch typ {
	case EthTypeIPv4:
		l.ipv4(data, k)
	case EthTypeIPv6:
		l.ipv6(data, k)
	case EthTypeARP, EthTypeRARP:
		parseARP(data[at:], k)
	case EthTypeMPLS, EthTypeMPLSMulticast:
		if len(data) >= at+4 {
			k[wMPLS] = be32(data[at:])
		}
	}
	return l
}

func parseARP(b []byte, k *Key) {
	if len(b) < arpLen || be16(b) != 1 || be16(b[2:]) != EthTypeIPv4 || b[4] != 6 || b[5] != 4 {
		return
	}
	if op := be16(b[6:]); op <= 0xff {
		k[wFlags] = uint32(op)
	}
	k.setMAC(wARPSHA, b[8:])
	k[wIPSrc] = be32(b[14:])
	k.setMAC(wARPTHA, b[18:])
	k[wIPDst] = be32(b[24:])
}

func (l *Layout) ipv4(data []byte, k *Key) {
	b := data[l.l3:]
	if len(b) < 20 {
		return
	}
	ihl, total := int(b[0]&0xf)*4, int(be16(b[2:]))
	if ihl < 20 || ihl > len(b) || total < ihl || total > len(b) {
		return
	}
	l.end = l.l3 + total
	k[wIPSrc], k[wIPDst] = be32(b[12:]), be32(b[16:])
	frag := uint32(0)
	if f := be16(b[6:]); f&0x3fff != 0 {
		frag = fragAny
		if f&0x1fff != 0 {
			frag |= fragLater
		}
	}
	k[wIP] = uint32(b[9])<<24 | uint32(b[1])<<16 | uint32(b[8])<<8 | frag
	if frag&fragLater == 0 {
		l.layer4(data, l.l3+ihl, k)
	}
}

func (l *Layout) ipv6(data []byte, k *Key) {
	b := data[l.l3:]
	if len(b) < ipv6HeaderLen {
		return
	}
	payload := int(be16(b[4:]))
	if payload > len(b)-ipv6HeaderLen {
		return
	}
	l.end = l.l3 + ipv6HeaderLen + payload
	vtf := be32(b)
	for i := range 8 {
		k[wIP6Src+i] = be32(b[8+4*i:])
	}
	k[wIP6Label] = vtf & 0xfffff
	ip := vtf>>20&0xff<<16 | uint32(b[7])<<8
	at, proto, frag, ok := l.extensions(data[:l.end], l.l3+ipv6HeaderLen, b[6])
	if !ok {
		// The headers cannot be followed: nothing of IP's own is known but
		// addresses and label.
		return
	}
	k[wIP] = ip | uint32(proto)<<24 | frag
	if frag&fragLater == 0 {
		l.layer4(data, at, k)
	}
}

// extensions skips the extension headers of IPv6.
func (l *Layout) extensions(data []byte, at int, proto uint8) (int, uint8, uint32, bool) {
	const (
		hopByHop, routing, fragment, auth, destination, mobility = 0, 43, 44, 51, 60, 135
	)
	frag := uint32(0)
	for range maxIPv6Headers {
		b := data[at:]
		n := 0
		switch proto {
		case hopByHop, routing, destination, mobility:
			if len(b) < 8 {
				return 0, 0, 0, false
			}
			l.routing = l.routing || proto == routing
			proto, n = b[0], (int(b[1])+1)*8
		case auth:
			if len(b) < 8 {
				return 0, 0, 0, false
			}
			proto, n = b[0], (int(b[1])+2)*4
		case fragment:
			if len(b) < 8 {
				return 0, 0, 0, false
			}
			f := be16(b[2:])
			proto, n = b[0], 8
			if f&0xfff8 != 0 || f&1 != 0 {
				frag = fragAny
			}
			if f&0xfff8 != 0 {
				return at + n, proto, fragAny | fragLater, true
			}
		default:
			return at, proto, frag, true
		}
		if n > len(b) {
			return 0, 0, 0, false
		}
		at += n
	}
	return 0, 0, 0, false
}

func (l *Layout) layer4(data []byte, at int, k *Key) {
	b := data[at:l.end]
	need := 0
	switch k.Proto() {
	case ProtoTCP:
		need = tcpHeaderLen
	case ProtoUDP:
		need = udpHeaderLen
	case ProtoSCTP:
		need = sctpHeaderLen
	case ProtoICMP, ProtoICMPv6, ProtoIGMP:
		need = icmpHeaderLen
	default:
		return
	}
	if len(b) < need {
		return
	}
	v4 := k.EthType() == EthTypeIPv4
	switch k.Proto() {
	case ProtoTCP:
		k[wFlags] = uint32(be16(b[12:])&0xfff) << 16
		fallthrough
	case ProtoUDP, ProtoSCTP:
		k.SetPorts(be16(b), be16(b[2:]))
	case ProtoICMP, ProtoIGMP:
		if !v4 {
			return
		}
		k.SetPorts(uint16(b[0]), uint16(b[1]))
	case ProtoICMPv6:
		if v4 {
			return
		}
		k.SetPorts(uint16(b[0]), uint16(b[1]))
		l.neighbour(b, at, k)
	}
	l.l4 = at
}

// neighbour reads a neighbour solicitation or advertisement. A malformed one
// has neither target nor options.
func (l *Layout) neighbour(b []byte, at int, k *Key) {
	if b[1] != 0 || b[0] != 135 && b[0] != 136 || len(b) < ndTargetLen {
		return
	}
	sll, tll := -1, -1
	for o := ndTargetLen; len(b)-o >= 8; {
		n := int(b[o+1]) * 8
		if n == 0 || n > len(b)-o {
			return
		}
		switch {
		case n == 8 && b[0] == 135 && b[o] == 1:
			if sll >= 0 {
				return
			}
			sll = o
		case n == 8 && b[0] == 136 && b[o] == 2:
			if tll >= 0 {
				return
			}
			tll = o
		}
		o += n
	}
	for i := range 4 {
		k[wNDTarget+i] = be32(b[8+4*i:])
	}
	if sll >= 0 {
		k.setMAC(wARPSHA, b[sll+2:])
		l.sll = at + sll
	}
	if tll >= 0 {
		k.setMAC(wARPTHA, b[tll+2:])
		l.tll = at + tll
	}
}

// Moved is the layout of the frame that Rewrite makes of one with this layout.
func (l Layout) Moved(base, now *State) Layout {
	moved := 4 * (tagsOf(now) - tagsOf(base))
	for _, at := range []*int{&l.l3, &l.l4, &l.end, &l.sll, &l.tll} {
		if *at > 0 {
			*at += moved
		}
	}
	l.tags = tagsOf(now)
	return l
}

func tagsOf(s *State) int {
	switch {
	case s.Key.VLANTCI() == 0:
		return 0
	case s.Inner.TCI == 0:
		return 1
	}
	return 2
}
