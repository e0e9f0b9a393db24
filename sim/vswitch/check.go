package vswitch

import (
	"encoding/binary"

	"govn/pkg/openflow"
	"govn/sim/vswitch/classifier"
	"govn/sim/vswitch/packet"
)

// compiledMod is what the checks of a FlowMod found out.
type compiledMod struct {
	match    openflow.Match
	compiled classifier.Match
	prog     program
}

// Places in the body of a FlowMod.
const (
	flowModTable   = 16
	flowModCommand = 17
	flowModFlags   = 36
	flowModMatch   = 40
)

// checkFlowMod checks a whole message, header included, in the order in which
// Open vSwitch does, so that of several mistakes the same one is reported.
func (b *Bridge) checkFlowMod(raw []byte) (*openflow.FlowMod, *compiledMod, error) {
	body := raw[openflow.HeaderLen:]
	if len(body) < flowModMatch+8 || len(raw)%8 != 0 {
		return nil, nil, refuse(etBadRequest, brcBadLen)
	}
	match, rest, err := b.pullMatch(body[flowModMatch:])
	if err != nil {
		return nil, nil, err
	}
	c := &compiledMod{match: match}
	state := checker{match: c.match, table: body[flowModTable]}
	if err := state.instructions(rest); err != nil {
		return nil, nil, err
	}
	if f := binary.BigEndian.Uint16(body[flowModFlags:]); f&^0x1f != 0 {
		return nil, nil, refuse(etFlowMod, fmfcBadFlags)
	}
	if body[flowModCommand] > openflow.FlowDeleteStrict {
		return nil, nil, refuse(etFlowMod, fmfcBadCommand)
	}
	if err := state.consistent(); err != nil {
		return nil, nil, err
	}
	decoded, _, err := openflow.DecodeMessage(raw)
	if err != nil {
		return nil, nil, refuse(etBadRequest, brcBadLen)
	}
	m, ok := decoded.(*openflow.FlowMod)
	if !ok {
		return nil, nil, refuse(etBadRequest, brcBadType)
	}
	if c.prog, err = newProgram(m.Flow.Actions, m.Instructions); err != nil {
		return nil, nil, asRefusal(err)
	}
	c.compiled = compileMatch(&c.match)
	return m, c, nil
}

// pullMatch checks an ofp_match at the front of b and returns what follows it.
func (b *Bridge) pullMatch(in []byte) (m openflow.Match, rest []byte, err error) {
	if len(in) < 4 {
		return m, nil, refuse(etBadMatch, bmcBadLen)
	}
	typ, n := binary.BigEndian.Uint16(in), int(binary.BigEndian.Uint16(in[2:]))
	end := (n + 7) &^ 7
	if typ > 1 {
		return m, nil, refuse(etBadMatch, 0)
	}
	if typ == 0 {
		return m, nil, refuse(etBadMatch, bmcBadLen) // OpenFlow 1.1's, of fixed length
	}
	if n < 4 || end > len(in) {
		return m, nil, refuse(etBadMatch, bmcBadLen)
	}
	m, err = b.checkMatch(in[4:n])
	return m, in[end:], err
}

// checkMatch checks OXM TLVs one after the other: a field needs what stands
// before it.
func (b *Bridge) checkMatch(tlvs []byte) (m openflow.Match, err error) {
	for len(tlvs) > 0 {
		if len(tlvs) < 4 {
			return m, refuse(etBadMatch, bmcBadLen)
		}
		h := binary.BigEndian.Uint32(tlvs)
		n := 4 + int(h&0xff)
		masked := h&0x100 != 0
		f := openflow.FieldByHeader(h)
		size := int(h & 0xff)
		if masked {
			size /= 2
		}
		if f != nil && !b.mapped(f) {
			return m, refuseVendor(nxInvalidTLVField)
		}
		if f == nil || size != f.Size() && (b.mappedField(f) < 0 || size > f.Size()) {
			return m, refuse(etBadMatch, bmcBadField)
		}
		if n > len(tlvs) {
			return m, refuse(etBadMatch, bmcBadLen)
		}
		value := tlvs[4 : 4+size]
		var mask []byte
		if masked {
			mask = tlvs[4+size : n]
		}
		tlvs = tlvs[n:]
		if size < f.Size() {
			// Tunnel options come without leading zeros.
			value = packet.Number(value).Bytes(f.Size())
			if masked {
				mask = packet.Number(mask).Bytes(f.Size())
			}
		}
		if err := b.checkField(&m, f, value, mask); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (b *Bridge) checkField(m *openflow.Match, f *openflow.Field, value, mask []byte) error {
	v := packet.Number(value)
	if mask != nil {
		for i := range value {
			if value[i]&^mask[i] != 0 {
				return refuse(etBadMatch, bmcBadWildcards)
			}
		}
	}
	if _, _, dup := m.Get(f); dup {
		return refuse(etBadMatch, bmcDupField)
	}
	if !m.Meets(f.Requires()) {
		return refuse(etBadMatch, bmcBadPrereq)
	}
	if !validValue(f, v) {
		return refuse(etBadMatch, bmcBadValue)
	}
	if mask != nil && !f.Maskable && !allOnes(mask) && !allZeros(mask) {
		return refuse(etBadMatch, bmcBadMask)
	}
	m.SetBytes(f, value, mask)
	return nil
}

// mapped tells whether a field is no tun_metadata without an option.
func (b *Bridge) mapped(f *openflow.Field) bool {
	i := b.mappedField(f)
	if i < 0 {
		return true
	}
	_, ok := b.tlv[uint16(i)]
	return ok
}

// mappedField is n of tun_metadata n, -1 of other fields.
func (b *Bridge) mappedField(f *openflow.Field) int {
	for i := range packet.TunnelOptions {
		if f == openflow.FieldTunMetadata(i) {
			return i
		}
	}
	return -1
}

func allOnes(b []byte) bool {
	for _, c := range b {
		if c != 0xff {
			return false
		}
	}
	return true
}

func allZeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// validValue tells whether a field can have a value (OVS: mf_is_value_valid).
func validValue(f *openflow.Field, v packet.U128) bool {
	switch {
	case f == openflow.FieldInPort || f == openflow.FieldActsetOutput:
		_, ok := packet.PortFrom32(uint32(v.Lo))
		return ok
	case f == openflow.FieldARPOp:
		return v.Lo <= 0xff
	case f.Bits < 64 && v.Lo>>f.Bits != 0, f.Bits < 64 && v.Hi != 0:
		return false
	case f == openflow.FieldCTState:
		return v.Lo&^0xff == 0
	}
	return true
}
