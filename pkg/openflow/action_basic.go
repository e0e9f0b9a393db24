package openflow

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// Output sends the packet to a port.
type Output struct {
	Port   uint32 // number or one of the reserved ports
	MaxLen uint16 // bytes sent to the controller when Port is PortController
}

// AppendTo appends the action.
func (a Output) AppendTo(b []byte) []byte {
	return putZeros(put16(put32(action(b, actOutput, 16), a.Port), a.MaxLen), 6)
}

func (a Output) String() string {
	switch {
	case a.Port == PortController:
		return fmt.Sprintf("CONTROLLER:%d", a.MaxLen)
	case a.Port >= PortUnset:
		return FormatPortNumber(a.Port)
	}
	return "output:" + FormatPortNumber(a.Port)
}

func decodeOutput(r *reader, _ int) Action {
	a := Output{Port: r.u32(), MaxLen: r.u16()}
	if a.Port != PortController {
		a.MaxLen = 0
	}
	return a
}

// OutputReg sends the packet to the port whose number is in a field.
type OutputReg struct {
	Source Subfield
	MaxLen uint16 // bytes sent to the controller when that is the port
}

// AppendTo appends NXAST_OUTPUT_REG2.
func (a OutputReg) AppendTo(b []byte) []byte {
	b = nicira(b, nxOutputReg2, 24)
	b = put16(put16(b, a.Source.ofsNBits()), a.MaxLen)
	return putZeros(put32(b, a.Source.Field.Header()), 6)
}

func (a OutputReg) String() string { return "output:" + a.Source.String() }

func decodeOutputReg2(r *reader, _ int) Action {
	ofs, maxLen := r.u16(), r.u16()
	return OutputReg{Source: r.packed(r.field(), ofs), MaxLen: maxLen}
}

// decodeOutputReg decodes the older form, in which Open vSwitch gives it back.
func decodeOutputReg(r *reader, _ int) Action {
	ofs := r.u16()
	return OutputReg{Source: r.packed(r.field(), ofs), MaxLen: r.u16()}
}

// Group hands the packet to a group.
type Group struct{ ID uint32 }

// AppendTo appends the action.
func (a Group) AppendTo(b []byte) []byte { return put32(action(b, actGroup, 8), a.ID) }

func (a Group) String() string { return "group:" + strconv.FormatUint(uint64(a.ID), 10) }

func decodeGroup(r *reader, _ int) Action { return Group{ID: r.u32()} }

// SetField writes a value into a field. Value and Mask are left aligned in
// Field.Size bytes; SetUint, SetBits and SetBytes make one.
type SetField struct {
	Field       *Field
	Value, Mask [maxValue]byte
}

// SetUint sets all bits of a field.
func SetUint(f *Field, value uint64) SetField {
	a := SetField{Field: f, Mask: fullMask(f)}
	putLow(a.Value[:f.size], put64(nil, value))
	return a
}

// SetBits sets the bits lo to hi of a field, both included, to the low bits of
// value.
func SetBits(f *Field, lo, hi int, value uint64) SetField {
	a := SetField{Field: f}
	for i := lo; i <= hi; i++ {
		at, bit := f.size-1-i/8, byte(1)<<(i%8)
		a.Mask[at] |= bit
		if i-lo < 64 && value>>(i-lo)&1 != 0 {
			a.Value[at] |= bit
		}
	}
	return a
}

// SetBytes sets a field to value, where mask has ones; nil is all of it. Both
// must have Field.Size bytes; bytes beyond it are ignored.
func SetBytes(f *Field, value, mask []byte) SetField {
	a := SetField{Field: f, Mask: fullMask(f)}
	copy(a.Value[:f.size], value)
	if mask != nil {
		a.Mask = [maxValue]byte{}
		copy(a.Mask[:f.size], mask)
	}
	return a.normal()
}

// normal has zeros where the mask has.
func (a SetField) normal() SetField {
	full := fullMask(a.Field)
	for i := range a.Mask {
		a.Mask[i] &= full[i]
		a.Value[i] &= a.Mask[i]
	}
	return a
}

// AppendTo appends the action; a mask of all ones is left out.
func (a SetField) AppendTo(b []byte) []byte {
	start := len(b)
	a = a.normal()
	b = appendOXM(action(b, actSetField, 0), a.Field, a.Value[:a.Field.size], a.Mask[:a.Field.size], a.Mask == fullMask(a.Field))
	return setLen(pad8(b, start), start, 2)
}

func (a SetField) String() string {
	mask := a.Mask[:a.Field.size]
	if a.Mask == fullMask(a.Field) {
		mask = nil
	}
	return "set_field:" + formatValue(a.Field, a.Value[:a.Field.size], mask) + "->" + a.Field.Name
}

func decodeSetField(r *reader, _ int) Action {
	h := r.u32()
	f := FieldByHeader(h)
	size := int(h & 0xff)
	hasMask := h&0x100 != 0
	if hasMask {
		size /= 2
	}
	if r.err != nil || f == nil || size != f.size && !f.shorter(size) {
		return nil // kept as bytes
	}
	value := f.widen(r.take(size))
	if !hasMask {
		return SetBytes(f, value, nil)
	}
	mask := f.widen(r.take(size))
	if r.err != nil {
		return nil
	}
	return SetBytes(f, value, mask)
}

// Move copies bits from one field to another of the same width: copy_field of
// OpenFlow 1.5, printed as move.
type Move struct{ Src, Dst Subfield }

// AppendTo appends the action.
func (a Move) AppendTo(b []byte) []byte {
	b = put16(action(b, actCopyField, 24), uint16(a.Src.Bits))
	b = put16(put16(b, uint16(a.Src.Offset)), uint16(a.Dst.Offset))
	b = put32(putZeros(b, 2), a.Src.Field.Header())
	return putZeros(put32(b, a.Dst.Field.Header()), 4)
}

func (a Move) String() string { return "move:" + a.Src.String() + "->" + a.Dst.String() }

func decodeMove(r *reader, _ int) Action {
	n, src, dst := int(r.u16()), int(r.u16()), int(r.u16())
	r.skip(2)
	return Move{Src: r.subfield(r.field(), src, n), Dst: r.subfield(r.field(), dst, n)}
}

// PushVLAN puts a VLAN tag in front, with EtherType 0x8100 or 0x88a8.
type PushVLAN struct{ EthType uint16 }

// AppendTo appends the action.
func (a PushVLAN) AppendTo(b []byte) []byte {
	return putZeros(put16(action(b, actPushVLAN, 8), a.EthType), 2)
}

func (a PushVLAN) String() string { return fmt.Sprintf("push_vlan:0x%x", a.EthType) }

func decodePushVLAN(r *reader, _ int) Action { return PushVLAN{EthType: r.u16()} }

// PopVLAN takes the outermost VLAN tag off.
type PopVLAN struct{}

// AppendTo appends the action.
func (PopVLAN) AppendTo(b []byte) []byte { return putZeros(action(b, actPopVLAN, 8), 4) }

func (PopVLAN) String() string { return "pop_vlan" }

// DecTTL decrements the IP TTL; a packet whose TTL is spent goes no further.
type DecTTL struct{}

// AppendTo appends the action.
func (DecTTL) AppendTo(b []byte) []byte { return putZeros(action(b, actDecTTL, 8), 4) }

func (DecTTL) String() string { return "dec_ttl" }

// SetQueue sets the queue in which the port puts the packet.
type SetQueue struct{ ID uint32 }

// AppendTo appends the action.
func (a SetQueue) AppendTo(b []byte) []byte { return put32(action(b, actSetQueue, 8), a.ID) }

func (a SetQueue) String() string { return "set_queue:" + strconv.FormatUint(uint64(a.ID), 10) }

func decodeSetQueue(r *reader, _ int) Action { return SetQueue{ID: r.u32()} }

// Meter passes the packet through a meter, which may drop it.
type Meter struct{ ID uint32 }

// AppendTo appends the action.
func (a Meter) AppendTo(b []byte) []byte { return put32(action(b, actMeter, 8), a.ID) }

func (a Meter) String() string { return "meter:" + strconv.FormatUint(uint64(a.ID), 10) }

func decodeMeter(r *reader, _ int) Action { return Meter{ID: r.u32()} }

// Note does nothing; its bytes are padded with zeros so that the action is a
// multiple of eight.
type Note struct{ Data []byte }

// AppendTo appends the action.
func (a Note) AppendTo(b []byte) []byte {
	start := len(b)
	b = append(nicira(b, nxNote, 0), a.Data...)
	if len(a.Data) < 6 {
		b = putZeros(b, 6-len(a.Data))
	}
	return setLen(pad8(b, start), start, 2)
}

func (a Note) String() string { return "note:" + dotted(a.Data) }

// dotted prints bytes as 00.01.02.
func dotted(data []byte) string {
	s := make([]byte, 0, 3*len(data))
	for i, c := range data {
		if i > 0 {
			s = append(s, '.')
		}
		s = hex.AppendEncode(s, []byte{c})
	}
	return string(s)
}

func decodeNote(r *reader, _ int) Action { return Note{Data: append([]byte(nil), r.b...)} }
