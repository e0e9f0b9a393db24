package openflow

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Action is one OpenFlow action. The types that implement it are the structs of
// this package, used by value.
type Action interface {
	// AppendTo appends the action as an OpenFlow 1.5 TLV.
	AppendTo(b []byte) []byte
	// String prints the action as ovs-ofctl does.
	String() string
}

// Types of OpenFlow actions (section 7.2.6) and subtypes of Nicira's.
const (
	actOutput     = 0
	actPushVLAN   = 17
	actPopVLAN    = 18
	actSetQueue   = 21
	actGroup      = 22
	actDecTTL     = 24
	actSetField   = 25
	actCopyField  = 28
	actMeter      = 29
	actExperiment = 0xffff

	nxResubmit       = 1
	nxNote           = 8
	nxBundle         = 12
	nxBundleLoad     = 13
	nxResubmitTable  = 14
	nxOutputReg      = 15
	nxLearn          = 16
	nxExit           = 17
	nxStackPush      = 27
	nxStackPop       = 28
	nxOutputReg2     = 32
	nxConjunction    = 34
	nxCT             = 35
	nxNAT            = 36
	nxController2    = 37
	nxClone          = 42
	nxCTClear        = 43
	nxResubmitCT     = 44
	nxLearn2         = 45
	nxCheckPktLarger = 49
	nxDeleteField    = 50

	nxVendor = 0x00002320
)

// maxActionDepth bounds how deep clone and ct may nest in bytes from a peer.
const maxActionDepth = 64

// EncodeActions returns the actions as they stand in an apply-actions
// instruction; no actions, which drops the packet, are no bytes.
func EncodeActions(actions []Action) []byte {
	return AppendActions(nil, actions)
}

// AppendActions appends what EncodeActions returns.
func AppendActions(b []byte, actions []Action) []byte {
	for _, a := range actions {
		b = a.AppendTo(b)
	}
	return b
}

// FormatActions prints actions as ovs-ofctl does, "drop" for none.
func FormatActions(actions []Action) string {
	if len(actions) == 0 {
		return "drop"
	}
	return joinActions(actions)
}

func joinActions(actions []Action) string {
	s := make([]string, len(actions))
	for i, a := range actions {
		s[i] = a.String()
	}
	return strings.Join(s, ",")
}

// DecodeActions decodes what EncodeActions returns. Actions that it does not
// know become RawAction.
func DecodeActions(b []byte) ([]Action, error) { return decodeActions(b, 0) }

func decodeActions(b []byte, depth int) ([]Action, error) {
	if depth > maxActionDepth {
		return nil, malformed("actions nest deeper than %d", maxActionDepth)
	}
	var actions []Action
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, malformed("action: %d bytes of a header", len(b))
		}
		n := int(be16(b[2:]))
		if n < 8 || n%8 != 0 || n > len(b) {
			return nil, malformed("action: length %d of %d", n, len(b))
		}
		a, err := decodeAction(b[:n:n], depth)
		if err != nil {
			return nil, err
		}
		actions = append(actions, a)
		b = b[n:]
	}
	return actions, nil
}

// actionDecoder decodes an action from what follows its header: four bytes for
// OpenFlow's own, ten for Nicira's.
type actionDecoder func(r *reader, depth int) Action

// The decoders, by type and by Nicira subtype. They are filled by init because
// actions nest.
var (
	actionDecoders map[uint16]actionDecoder
	niciraDecoders map[uint16]actionDecoder
)

func init() {
	actionDecoders = map[uint16]actionDecoder{
		actOutput: decodeOutput, actPushVLAN: decodePushVLAN, actPopVLAN: constant(PopVLAN{}),
		actSetQueue: decodeSetQueue, actGroup: decodeGroup, actDecTTL: constant(DecTTL{}),
		actSetField: decodeSetField, actCopyField: decodeMove, actMeter: decodeMeter,
	}
	niciraDecoders = map[uint16]actionDecoder{
		nxResubmit: decodeResubmitPort, nxResubmitTable: decodeResubmitTable(false), nxResubmitCT: decodeResubmitTable(true),
		nxNote: decodeNote, nxBundle: decodeBundle(false), nxBundleLoad: decodeBundle(true),
		nxOutputReg: decodeOutputReg, nxOutputReg2: decodeOutputReg2, nxLearn: decodeLearn(false), nxLearn2: decodeLearn(true),
		nxExit: constant(Exit{}), nxStackPush: decodeStackPush, nxStackPop: decodeStackPop,
		nxConjunction: decodeConjunction, nxCT: decodeCT, nxNAT: decodeNAT, nxController2: decodeController,
		nxClone: decodeClone, nxCTClear: constant(CTClear{}),
		nxCheckPktLarger: decodeCheckPktLarger, nxDeleteField: decodeDeleteField,
	}
}

// constant decodes an action without arguments.
func constant(a Action) actionDecoder { return func(*reader, int) Action { return a } }

func decodeAction(b []byte, depth int) (Action, error) {
	typ := be16(b)
	r := &reader{b: b[4:], what: fmt.Sprintf("action %d", typ)}
	decode := actionDecoders[typ]
	if typ == actExperiment && len(b) >= 16 && be32(b[4:]) == nxVendor {
		sub := be16(b[8:])
		r.what, r.b = fmt.Sprintf("Nicira action %d", sub), b[10:]
		decode = niciraDecoders[sub]
	}
	if decode == nil {
		return RawAction(append([]byte(nil), b...)), nil
	}
	a := decode(r, depth)
	if r.err != nil {
		return nil, r.err
	}
	if a == nil {
		return RawAction(append([]byte(nil), b...)), nil
	}
	return a, nil
}

// RawAction is an action that this package does not know, with its header.
type RawAction []byte

// AppendTo appends the bytes.
func (a RawAction) AppendTo(b []byte) []byte { return append(b, a...) }

// String prints the bytes in hexadecimal; ovs-ofctl has no name for them.
func (a RawAction) String() string { return "raw:" + hex.EncodeToString(a) }

// action appends an OpenFlow action header; its length is set by setLen.
func action(b []byte, typ, length uint16) []byte { return put16(put16(b, typ), length) }

// nicira appends the ten bytes that begin a Nicira action.
func nicira(b []byte, subtype, length uint16) []byte {
	return put16(put32(action(b, actExperiment, length), nxVendor), subtype)
}

// Subfield is a range of bits of a field.
type Subfield struct {
	Field  *Field
	Offset int // of the least significant bit
	Bits   int
}

// Whole is all bits of a field.
func Whole(f *Field) Subfield { return Subfield{Field: f, Bits: f.Bits} }

// Bits is the bits lo to hi of a field, both included, as f[lo..hi].
func Bits(f *Field, lo, hi int) Subfield { return Subfield{Field: f, Offset: lo, Bits: hi - lo + 1} }

// String prints NXM_NX_REG0[0..15].
func (s Subfield) String() string {
	switch {
	case s.Offset == 0 && s.Bits == s.Field.Bits:
		return s.Field.NXM + "[]"
	case s.Bits == 1:
		return fmt.Sprintf("%s[%d]", s.Field.NXM, s.Offset)
	}
	return fmt.Sprintf("%s[%d..%d]", s.Field.NXM, s.Offset, s.Offset+s.Bits-1)
}

// ofsNBits packs offset and width into 16 bits, as Nicira actions want them.
func (s Subfield) ofsNBits() uint16 { return uint16(s.Offset)<<6 | uint16(s.Bits-1) }

// packed reads a subfield whose offset and width are packed in ofs.
func (r *reader) packed(f *Field, ofs uint16) Subfield {
	return r.subfield(f, int(ofs>>6), int(ofs&0x3f)+1)
}
