package vswitch

import (
	"encoding/binary"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// checker walks over instructions and actions. What it finds wrong with their
// form comes first; then, in consistent, what does not go with the match.
type checker struct {
	match   openflow.Match
	actions []openflow.Action // of every list, in order
	depth   int
	table   uint8 // of the flow
	inCT    bool  // the actions are those of a ct action
}

const maxNesting = 16

func (c *checker) instructions(b []byte) error {
	var seen [8]bool
	for len(b) > 0 {
		if len(b) < 8 {
			return refuse(etBadInst, bicBadLen)
		}
		typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if n < 8 || n%8 != 0 || n > len(b) {
			return refuse(etBadInst, bicBadLen)
		}
		switch {
		case typ == 0xffff:
			return refuse(etBadInst, 5)
		case typ == 0 || typ > instMeter:
			return refuse(etBadInst, bicUnknown)
		case seen[typ]:
			return refuse(etBadInst, bicDup)
		}
		seen[typ] = true
		switch typ {
		case instApply, instWriteActions:
			if err := c.list(b[8:n]); err != nil {
				return err
			}
		case instGoto:
			if b[4] == openflow.TableAll || c.table != openflow.TableAll && b[4] <= c.table {
				return refuse(etBadInst, bicBadTable)
			}
		case instWriteMetadata:
			if n != 24 {
				return refuse(etBadInst, bicBadLen)
			}
		}
		b = b[n:]
	}
	return nil
}

// list checks the form of actions.
func (c *checker) list(b []byte) error {
	start := len(c.actions)
	for len(b) > 0 {
		if len(b) < 8 {
			return refuse(etBadAction, bacBadLen)
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 8 || n%8 != 0 || n > len(b) {
			return refuse(etBadAction, bacBadLen)
		}
		if err := c.form(b[:n:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return conjunctionsAlone(c.actions[start:])
}

// conjunctionsAlone refuses conjunction beside other actions than note.
func conjunctionsAlone(actions []openflow.Action) error {
	conj, other := false, false
	for _, a := range actions {
		switch a.(type) {
		case openflow.Conjunction:
			conj = true
		case openflow.Note:
		default:
			other = true
		}
	}
	if conj && other {
		return refuseVendor(nxBadConjunction)
	}
	return nil
}

// form checks one action by itself.
func (c *checker) form(b []byte) error {
	typ := binary.BigEndian.Uint16(b)
	if typ == 0xffff {
		if len(b) < 16 {
			return refuse(etBadAction, bacBadLen)
		}
		switch vendor := binary.BigEndian.Uint32(b[4:]); {
		case vendor == vendorNicira:
		case vendor == vendorONF:
			return refuse(etBadAction, bacBadVendorTyp)
		default:
			return refuse(etBadAction, bacBadVendor)
		}
	}
	list, err := openflow.DecodeActions(b)
	if err != nil {
		return c.malformed(typ, b)
	}
	a := list[0]
	if err := c.arguments(a, b); err != nil {
		return err
	}
	c.actions = append(c.actions, a)
	return nil
}

const vendorONF = 0x4f4e4600

// malformed is the error for an action that cannot be decoded.
func (c *checker) malformed(typ uint16, b []byte) error {
	if typ == 0xffff && len(b) >= 20 {
		for _, at := range []int{12, 16, 20} { // where subfields of Nicira's actions are
			if len(b) >= at+4 && openflow.FieldByHeader(binary.BigEndian.Uint32(b[at:])) != nil {
				return refuse(etBadAction, bacBadSetLen)
			}
		}
		return refuse(etBadAction, bacBadArgument)
	}
	if typ == actionCopyField {
		return refuse(etBadAction, bacBadSetLen)
	}
	return refuse(etBadAction, bacBadLen)
}

// OpenFlow's numbers of actions that need a look at their bytes.
const (
	actionOutput    = 0
	actionSetField  = 25
	actionCopyField = 28
)

func (c *checker) arguments(a openflow.Action, b []byte) error {
	switch a := a.(type) {
	case openflow.RawAction:
		return unknownAction(b)
	case openflow.Output:
		return checkOutput(a.Port)
	case openflow.SetField:
		switch {
		case !c.writable(a.Field):
			return refuse(etBadAction, bacBadSetArg)
		case !validValue(a.Field, packet.Number(a.Value[:a.Field.Size()])):
			return refuse(etBadAction, bacBadSetArg)
		case overMask(b, a.Field):
			return refuse(etBadMatch, bmcBadWildcards)
		}
	case openflow.Move:
		if !c.writable(a.Dst.Field) {
			return refuse(etBadAction, bacBadSetArg)
		}
	case openflow.StackPop:
		if !c.writable(a.Dst.Field) {
			return refuse(etBadAction, bacBadSetArg)
		}
	case openflow.Conjunction:
		if a.NClauses < 2 || a.NClauses > 64 || a.Clause >= a.NClauses {
			return refuseVendor(nxBadConjunction)
		}
	case openflow.PushVLAN:
		if a.EthType != packet.EthTypeVLAN && a.EthType != packet.EthTypeQinQ {
			return refuse(etBadAction, bacBadArgument)
		}
	case openflow.Clone:
		return c.nested(b[cloneActions:], c.inCT)
	case openflow.CT:
		return c.nested(b[ctActions:], true)
	}
	return nil
}

// Where the actions begin that are inside of others.
const (
	cloneActions = 16
	ctActions    = 24
)

func (c *checker) nested(b []byte, inCT bool) error {
	if c.depth++; c.depth > maxNesting {
		return refuse(etBadAction, bacTooMany)
	}
	defer func() { c.depth-- }()
	sub := checker{match: c.match, depth: c.depth, inCT: inCT}
	return sub.list(b)
}

const bacTooMany = 7

// overMask tells whether a masked set-field has bits outside of its mask.
func overMask(b []byte, f *openflow.Field) bool {
	h := binary.BigEndian.Uint32(b[4:])
	if h&0x100 == 0 {
		return false
	}
	v, k := b[8:8+f.Size()], b[8+f.Size():8+2*f.Size()]
	for i := range v {
		if v[i]&^k[i] != 0 {
			return true
		}
	}
	return false
}

func unknownAction(b []byte) error {
	typ := binary.BigEndian.Uint16(b)
	switch {
	case typ == 0xffff:
		return refuse(etBadAction, bacBadVendorTyp)
	case typ == actionSetField:
		return refuse(etBadAction, bacBadSetType)
	}
	return refuse(etBadAction, bacBadType)
}

func checkOutput(port uint32) error {
	p, ok := packet.PortFrom32(port)
	switch {
	case !ok:
		return refuse(etBadAction, bacBadOutPort)
	case p < 0xff00, p == portInPort, p == portTable, p == portNormal, p == portFlood, p == portAll, p == portController, p == portLocal:
		return nil
	}
	return refuse(etBadAction, bacBadOutPort)
}

// consistent checks that the match implies what the actions need.
func (c *checker) consistent() error {
	m := c.match
	inconsistent := refuse(etBadAction, bacInconsistent)
	for _, a := range c.actions {
		switch a := a.(type) {
		case openflow.SetField:
			if !m.Meets(a.Field.Requires()) || a.Field == openflow.FieldVLANVID && !m.Meets(openflow.RequiresVLAN) {
				return inconsistent
			}
			if a.Field == openflow.FieldVLANTCI {
				m.Unset(openflow.FieldVLANTCI)
				m.SetMasked(openflow.FieldVLANVID, packet.Number(a.Value[:2]).Lo&0x1000, 0x1000)
			}
		case openflow.Move:
			if !m.Meets(a.Src.Field.Requires()) || !m.Meets(a.Dst.Field.Requires()) {
				return inconsistent
			}
		case openflow.StackPush:
			if !m.Meets(a.Src.Field.Requires()) {
				return inconsistent
			}
		case openflow.StackPop:
			if !m.Meets(a.Dst.Field.Requires()) {
				return inconsistent
			}
		case openflow.OutputReg:
			if !m.Meets(a.Source.Field.Requires()) {
				return inconsistent
			}
		case openflow.DecTTL:
			if !m.Meets(openflow.RequiresIP) {
				return inconsistent
			}
		case openflow.PushVLAN:
			m.Unset(openflow.FieldVLANTCI)
			m.SetMasked(openflow.FieldVLANVID, 0x1000, 0x1000)
		case openflow.PopVLAN:
			if !m.Meets(openflow.RequiresVLAN) {
				return inconsistent
			}
			m.Unset(openflow.FieldVLANVID)
			m.Unset(openflow.FieldVLANPCP)
		case openflow.CT:
			if err := c.consistentCT(&m, a); err != nil {
				return err
			}
		case openflow.Clone:
			sub := checker{match: m, actions: a.Actions}
			if err := sub.consistent(); err != nil {
				return err
			}
		case openflow.Learn:
			if !consistentLearn(&m, a) {
				return inconsistent
			}
		}
	}
	return nil
}

// writable tells whether an action here may write a field: mark and label of a
// connection only inside of ct.
func (c *checker) writable(f *openflow.Field) bool {
	return f.Writable() && (c.inCT || f != openflow.FieldCTMark && f != openflow.FieldCTLabel)
}

// consistentLearn checks what is read against the match of the flow, and what
// is matched and written against the match of the flow that is learned.
func consistentLearn(m *openflow.Match, a openflow.Learn) bool {
	var learned openflow.Match
	for _, s := range a.Specs {
		if s.Src.Field != nil && !m.Meets(s.Src.Field.Requires()) {
			return false
		}
		if s.Kind == openflow.LearnOutput {
			continue
		}
		if !learned.Meets(s.Dst.Field.Requires()) {
			return false
		}
		if s.Kind == openflow.LearnMatch && s.Src.Field == nil {
			addMatch(&learned, s.Dst, packet.Number(s.Value))
		}
	}
	return true
}

func (c *checker) consistentCT(m *openflow.Match, a openflow.CT) error {
	inconsistent := refuse(etBadAction, bacInconsistent)
	proto, _ := m.Uint(openflow.FieldIPProto)
	if !m.Meets(openflow.RequiresIP) || a.ALG == 21 && proto != packet.ProtoTCP || a.ALG == 69 && proto != packet.ProtoUDP {
		return inconsistent
	}
	for _, n := range a.Actions {
		if nat, ok := n.(openflow.NAT); ok && nat.Min.IsValid() && nat.Min.Is4() != m.Meets(openflow.RequiresIPv4) {
			return inconsistent
		}
	}
	sub := checker{match: *m, actions: a.Actions}
	return sub.consistent()
}
