package openflow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// maxValue is the size of the largest value of a known field.
const maxValue = 16

// Match is a conjunction of field values. The zero value matches everything.
// Assigning a Match copies it: changing the copy leaves the original as it is.
type Match struct {
	fields []fieldMatch // by Field.order, then unknown ones by their bytes
	err    error        // the first bad Set
	owned  bool         // fields is not shared with a copy, see NewMatch
}

// fieldMatch is one field of a match.
type fieldMatch struct {
	f           *Field // nil: unknown, raw holds the TLV
	value, mask [maxValue]byte
	raw         []byte
}

func (e *fieldMatch) exact() bool { return e.mask == fullMask(e.f) }

// fullMask is the mask that covers all bits of f.
func fullMask(f *Field) (m [maxValue]byte) {
	for i := range f.size {
		m[i] = 0xff
	}
	unused := f.size*8 - f.Bits
	for i := 0; unused > 0; i++ {
		n := min(unused, 8)
		m[i] >>= n
		unused -= n
	}
	return m
}

// NewMatch returns an empty match with room for n fields. Until Done it changes in
// place, and must not be copied.
func NewMatch(n int) *Match {
	return &Match{owned: true, fields: make([]fieldMatch, 0, n)}
}

// Reset makes m match everything. One of NewMatch keeps its room.
func (m *Match) Reset() {
	*m = Match{owned: m.owned, fields: m.fields[:0]}
	if !m.owned {
		m.fields = nil
	}
}

// Done is the match that NewMatch began, which is not to be used any more.
func (m *Match) Done() Match { return Match{fields: m.fields, err: m.err} }

// Set matches all bits of the field: its value must be value. Fields wider than
// 64 bits have zeros in front.
func (m *Match) Set(f *Field, value uint64) { m.SetMasked(f, value, ^uint64(0)) }

// SetMasked matches the bits of the field that are one in mask. A mask of zero
// sets nothing; for fields wider than 64 bits, a mask of all ones covers
// everything, another one only the low 64 bits.
func (m *Match) SetMasked(f *Field, value, mask uint64) {
	var v, k [maxValue]byte
	var w [8]byte
	binary.BigEndian.PutUint64(w[:], value)
	putLow(v[:f.size], w[:])
	if mask == ^uint64(0) {
		k = fullMask(f)
		if f.Bits < 64 && value>>f.Bits != 0 {
			m.fail(f, "value %#x has more than %d bits", value, f.Bits)
		}
	} else {
		binary.BigEndian.PutUint64(w[:], mask)
		putLow(k[:f.size], w[:])
	}
	m.set(f, v, k)
}

// putLow copies the low bytes of src into dst, both right aligned.
func putLow(dst, src []byte) {
	if len(dst) < len(src) {
		src = src[len(src)-len(dst):]
	}
	copy(dst[len(dst)-len(src):], src)
}

// SetBytes matches value under mask, both of Field.Size bytes; nil is a mask of
// all ones.
func (m *Match) SetBytes(f *Field, value, mask []byte) {
	if len(value) != f.size || mask != nil && len(mask) != f.size {
		m.fail(f, "%d bytes of value and %d of mask, want %d", len(value), len(mask), f.size)
		return
	}
	var v, k [maxValue]byte
	copy(v[:], value)
	if mask == nil {
		k = fullMask(f)
	} else {
		copy(k[:], mask)
	}
	m.set(f, v, k)
}

func (m *Match) fail(f *Field, format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("%w: field %q: %s", ErrValue, f.Name, fmt.Sprintf(format, args...))
	}
}

// set stores a field; what means the same is stored the same way.
func (m *Match) set(f *Field, v, k [maxValue]byte) {
	full := fullMask(f)
	for i := range f.size {
		k[i] &= full[i]
		v[i] &= k[i]
	}
	if k == ([maxValue]byte{}) {
		m.Unset(f)
		return
	}
	if k != full && !f.Maskable {
		m.fail(f, "a mask is not allowed")
	}
	switch {
	case f.regs > 1:
		for i := range f.regs {
			var rv, rk [maxValue]byte
			copy(rv[:4], v[4*i:])
			copy(rk[:4], k[4*i:])
			m.set(FieldReg(f.reg0+i), rv, rk)
		}
		return
	case f == FieldVLANTCI:
		if m.setTCI(binary.BigEndian.Uint16(v[:]), binary.BigEndian.Uint16(k[:])) {
			return
		}
	}
	m.put(fieldMatch{f: f, value: v, mask: k})
}

// Bits of the VLAN tag control information; OpenFlow takes the CFI bit for "has
// a tag".
const (
	tciVID = 0x0fff
	tciCFI = 0x1000
	tciPCP = 0xe000
)

// setTCI stores a match on vlan_tci as one on vlan_vid and vlan_pcp where these
// can say it.
func (m *Match) setTCI(value, mask uint16) bool {
	pcp := mask & tciPCP
	if mask&tciCFI != 0 && value == 0 {
		pcp = 0 // no tag has no priority either
	}
	if pcp != 0 && (pcp != tciPCP || value&0x1fff == 0) {
		return false
	}
	m.SetMasked(FieldVLANVID, uint64(value&0x1fff), uint64(mask&0x1fff))
	if pcp != 0 {
		m.Set(FieldVLANPCP, uint64(value>>13))
	}
	return true
}

func compareFields(a, b fieldMatch) int {
	switch {
	case a.f != nil && b.f != nil:
		return a.f.order - b.f.order
	case a.f != nil:
		return -1
	case b.f != nil:
		return 1
	}
	return bytes.Compare(a.raw, b.raw)
}

func (m *Match) put(e fieldMatch) {
	i, found := slices.BinarySearchFunc(m.fields, e, compareFields)
	switch {
	case found && e.f != nil && m.fields[i].value == e.value && m.fields[i].mask == e.mask:
		return
	case found && m.owned:
		m.fields[i] = e
		return
	case m.owned:
		m.fields = slices.Insert(m.fields, i, e)
		return
	}
	n := make([]fieldMatch, 0, len(m.fields)+1)
	n = append(append(n, m.fields[:i]...), e)
	if found {
		i++
	}
	m.fields = append(n, m.fields[i:]...)
}

// Unset takes the field out of the match.
func (m *Match) Unset(f *Field) {
	if f.regs > 1 {
		for i := range f.regs {
			m.Unset(FieldReg(f.reg0 + i))
		}
		return
	}
	if i := m.index(f); i >= 0 {
		m.fields = append(append(make([]fieldMatch, 0, len(m.fields)), m.fields[:i]...), m.fields[i+1:]...)
	}
}

func (m *Match) index(f *Field) int {
	for i := range m.fields {
		if m.fields[i].f == f {
			return i
		}
	}
	return -1
}

// Get returns value and mask of a field, Field.Size bytes each; ok is false
// when the match says nothing of it.
func (m *Match) Get(f *Field) (value, mask []byte, ok bool) {
	i := m.index(f)
	if i < 0 {
		return nil, nil, false
	}
	e := m.fields[i]
	return e.value[:f.size], e.mask[:f.size], true
}

// Uint returns the value of a field that is matched exactly, its low 64 bits.
func (m *Match) Uint(f *Field) (value uint64, ok bool) {
	i := m.index(f)
	if i < 0 || !m.fields[i].exact() {
		return 0, false
	}
	return bigUint(m.fields[i].value[:f.size]), true
}

func bigUint(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// Fields returns the known fields of the match in canonical order.
func (m *Match) Fields() []*Field {
	var fs []*Field
	for _, e := range m.fields {
		if e.f != nil {
			fs = append(fs, e.f)
		}
	}
	return fs
}

// Empty tells whether the match matches everything.
func (m *Match) Empty() bool { return len(m.fields) == 0 }

// Validate reports the first value that does not fit its field and the first
// field whose prerequisites are not met. What it accepts, Open vSwitch accepts.
func (m *Match) Validate() error {
	if m.err != nil {
		return m.err
	}
	for i := range m.fields {
		if e := &m.fields[i]; e.f != nil && !m.meets(e.f.needs) {
			return fmt.Errorf("%w: field %q", ErrPrerequisite, e.f.Name)
		}
	}
	return nil
}

// IP protocol numbers and EtherTypes that matches are about.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
	protoIGMP   = 2

	ethTypeIPv4 = 0x0800
	ethTypeARP  = 0x0806
	ethTypeRARP = 0x8035
	ethTypeIPv6 = 0x86dd
	ethTypeMPLS = 0x8847
	ethTypeMPLM = 0x8848
)

func (m *Match) meets(r requirement) bool {
	eth, _ := m.Uint(FieldEthType)
	proto, hasProto := m.Uint(FieldIPProto)
	icmp, hasICMP := m.Uint(FieldICMPv6Type)
	code, hasCode := m.Uint(FieldICMPv6Code)
	ip := eth == ethTypeIPv4 || eth == ethTypeIPv6
	l4 := ip && !m.laterFragment()
	nd := eth == ethTypeIPv6 && hasProto && proto == protoICMPv6 && hasICMP && hasCode && code == 0
	switch r {
	case needARP:
		return eth == ethTypeARP || eth == ethTypeRARP
	case needIPv4:
		return eth == ethTypeIPv4
	case needIPv6:
		return eth == ethTypeIPv6
	case needIP:
		return ip
	case needTCP:
		return l4 && hasProto && proto == protoTCP
	case needUDP:
		return l4 && hasProto && proto == protoUDP
	case needSCTP:
		return l4 && hasProto && proto == protoSCTP
	case needICMPv4:
		return eth == ethTypeIPv4 && hasProto && proto == protoICMP
	case needICMPv6:
		return eth == ethTypeIPv6 && hasProto && proto == protoICMPv6
	case needND:
		return nd && (icmp == 135 || icmp == 136)
	case needNS:
		return nd && icmp == 135
	case needNA:
		return nd && icmp == 136
	case needMPLS:
		return eth == ethTypeMPLS || eth == ethTypeMPLM
	case needCT:
		return ip && m.hasConnection()
	case needCTProto:
		_, ok := m.Uint(FieldCTNwProto)
		return ok && ip && m.hasConnection()
	case needCTIPv4:
		return eth == ethTypeIPv4 && m.hasConnection()
	case needCTIPv6:
		return eth == ethTypeIPv6 && m.hasConnection()
	case needVID:
		v, k, ok := m.Get(FieldVLANVID)
		return ok && v[0]&k[0]&(tciCFI>>8) != 0
	}
	return true
}

// laterFragment tells whether the match is on fragments other than the first,
// which have no layer 4.
func (m *Match) laterFragment() bool {
	v, k, ok := m.Get(FieldIPFrag)
	return ok && v[0]&k[0]&2 != 0
}

// hasConnection tells whether ct_state says that the packet belongs to a
// connection: one of the flags that only those have, or tracked and not invalid.
func (m *Match) hasConnection() bool {
	const new, est, rel, rpl, inv, trk, snat, dnat = 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80
	v, k, ok := m.Get(FieldCTState)
	if !ok {
		return false
	}
	state, mask := v[3]&k[3], k[3]
	return state&(new|est|rel|rpl|snat|dnat) != 0 || state&trk != 0 && mask&inv != 0 && state&inv == 0
}

// Encode returns the match as OXM TLVs in canonical order.
func (m *Match) Encode() []byte {
	n := 0
	for i := range m.fields {
		if e := &m.fields[i]; e.f == nil {
			n += len(e.raw)
		} else {
			n += 4 + 2*e.f.size
		}
	}
	return m.AppendTo(make([]byte, 0, n))
}

// AppendTo appends what Encode returns.
func (m *Match) AppendTo(b []byte) []byte {
	for i := range m.fields {
		e := &m.fields[i]
		if e.f == nil {
			b = append(b, e.raw...)
			continue
		}
		b = appendOXM(b, e.f, e.value[:e.f.size], e.mask[:e.f.size], e.exact())
	}
	return b
}

// appendOXM appends one field as an OXM TLV.
func appendOXM(b []byte, f *Field, value, mask []byte, exact bool) []byte {
	h := f.Header()
	if !exact {
		h = h&^0xff | 1<<8 | uint32(2*f.size)
	}
	b = binary.BigEndian.AppendUint32(b, h)
	b = append(b, value...)
	if !exact {
		b = append(b, mask...)
	}
	return b
}

// EncodeRelocatable sets metadata to an exact zero and returns the encoding and
// the offset of metadata's eight bytes in it, where the key of a datapath is
// written later.
func (m Match) EncodeRelocatable() (b []byte, metadataValueOffset int) {
	m.Set(FieldMetadata, 0)
	return m.Encode(), MetadataAt
}

// MetadataAt is the offset of the value of an exact metadata in the encoding of a
// canonical match that has one: it is the first field.
const MetadataAt = 4

// MetadataOffset is the offset of the value of an exact metadata in an encoded
// canonical match, or -1 when the match has none.
func MetadataOffset(encoded []byte) int {
	if len(encoded) >= 12 && binary.BigEndian.Uint32(encoded) == FieldMetadata.Header() {
		return MetadataAt
	}
	return -1
}

// ParseMatch decodes OXM TLVs. Fields that it does not know, and known ones of
// another length, are kept as they are. It does not check prerequisites.
func ParseMatch(b []byte) (Match, error) {
	m := NewMatch(8)
	for len(b) > 0 {
		if len(b) < 4 {
			return Match{}, malformed("match: %d bytes of an OXM header", len(b))
		}
		h := binary.BigEndian.Uint32(b)
		n := 4 + int(h&0xff)
		if len(b) < n {
			return Match{}, malformed("match: OXM %#08x needs %d bytes, has %d", h, n, len(b))
		}
		if err := m.parseOne(h, b[:n]); err != nil {
			return Match{}, err
		}
		b = b[n:]
	}
	return m.Done(), nil
}

// shorter tells whether a value of n bytes is one of the field that lacks its
// leading zeros, as Open vSwitch writes tunnel options that are not mapped.
func (f *Field) shorter(n int) bool {
	return f.Class == classNXM1 && f.Num >= 40 && f.Num < 40+64 && n < f.size
}

// widen puts zeros in front of a value that is shorter than the field.
func (f *Field) widen(v []byte) []byte {
	w := make([]byte, f.size)
	putLow(w, v)
	return w
}

func (m *Match) parseOne(h uint32, tlv []byte) error {
	body, hasMask := tlv[4:], h&0x100 != 0
	f := FieldByHeader(h)
	want := 0
	if f != nil {
		if want = f.size; hasMask {
			want *= 2
		}
	}
	if f != nil && hasMask && f.shorter(len(body)/2) && len(body)%2 == 0 {
		body = append(f.widen(body[:len(body)/2]), f.widen(body[len(body)/2:])...)
	} else if f != nil && !hasMask && f.shorter(len(body)) {
		body = f.widen(body)
	}
	if f == nil || len(body) != want {
		e := fieldMatch{raw: bytes.Clone(tlv)}
		if _, dup := slices.BinarySearchFunc(m.fields, e, compareFields); dup {
			return malformed("match: OXM %#08x occurs twice", h)
		}
		m.put(e)
		return nil
	}
	if m.index(f) >= 0 {
		return malformed("match: field %q occurs twice", f.Name)
	}
	var v, k [maxValue]byte
	copy(v[:], body[:f.size])
	k = fullMask(f)
	if hasMask {
		k = [maxValue]byte{}
		copy(k[:], body[f.size:])
	}
	m.set(f, v, k)
	if m.err != nil {
		return fmt.Errorf("%w: match: %w", ErrMalformed, m.err)
	}
	return nil
}

// CanonicalMatch returns the canonical encoding of an encoded match.
func CanonicalMatch(b []byte) ([]byte, error) {
	m, err := ParseMatch(b)
	if err != nil {
		return nil, err
	}
	return m.Encode(), nil
}
