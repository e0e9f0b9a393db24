package openflow

// Commands of FlowMod.
const (
	FlowAdd          = 0
	FlowModify       = 1
	FlowModifyStrict = 2
	FlowDelete       = 3
	FlowDeleteStrict = 4
)

// Flags of FlowMod.
const (
	FlagSendFlowRemoved = 1
	FlagCheckOverlap    = 2
	FlagResetCounts     = 4
	FlagNoPacketCounts  = 8
	FlagNoByteCounts    = 16
)

// TableAll is the table of a deletion or a request that means every table.
const TableAll = 0xff

// FlowMod adds, modifies or deletes flows. An ADD of a flow whose key is there
// replaces its cookie and actions and keeps its counters, unless
// FlagResetCounts.
type FlowMod struct {
	Command      uint8
	Flow         Flow
	CookieMask   uint64 // deletion: only flows whose cookie agrees with Flow.Cookie in these bits
	IdleTimeout  uint16 // seconds, 0: none
	HardTimeout  uint16 // seconds, 0: none
	OutPort      uint32 // deletion: only flows that output here; 0: any
	OutGroup     uint32 // deletion: only flows that use this group; 0: any
	Flags        uint16
	Importance   uint16
	Instructions []byte // besides Flow.Actions, as they are
}

// AddFlow adds f, or replaces the flow of its key.
func AddFlow(f Flow) *FlowMod { return &FlowMod{Command: FlowAdd, Flow: f} }

// DeleteFlow deletes the flow of f's key.
func DeleteFlow(f Flow) *FlowMod { return &FlowMod{Command: FlowDeleteStrict, Flow: f} }

// noBuffer is the buffer id of messages that carry their packet.
const noBuffer = 0xffffffff

const instApplyActions = 4

// Type is TypeFlowMod.
func (*FlowMod) Type() uint8 { return TypeFlowMod }

func (m *FlowMod) appendBody(b []byte) []byte {
	cookie := m.Flow.Cookie
	del := m.Command == FlowDelete || m.Command == FlowDeleteStrict
	if del && m.CookieMask == 0 {
		cookie = 0
	}
	b = put64(put64(b, cookie), m.CookieMask)
	b = append(b, m.Flow.Table, m.Command)
	b = put16(put16(put16(b, m.IdleTimeout), m.HardTimeout), m.Flow.Priority)
	b = put32(put32(put32(b, noBuffer), anyIfZero(m.OutPort)), anyIfZero(m.OutGroup))
	b = put16(put16(b, m.Flags), m.Importance)
	b = appendMatch(b, m.Flow.Match)
	if del {
		return b
	}
	return append(appendApply(b, m.Flow.Actions), m.Instructions...)
}

func anyIfZero(v uint32) uint32 {
	if v == 0 {
		return 0xffffffff
	}
	return v
}

// appendMatch appends an ofp_match: type, length, TLVs, padding.
func appendMatch(b, tlvs []byte) []byte {
	start := len(b)
	b = put16(put16(b, 1), uint16(4+len(tlvs)))
	return pad8(append(b, tlvs...), start)
}

// match reads an ofp_match.
func (r *reader) match() []byte {
	typ, n := r.u16(), int(r.u16())
	if r.err == nil && (typ != 1 || n < 4) {
		r.fail("match of type %d, length %d", typ, n)
	}
	b := r.take(n - 4)
	r.skip(pad8len(n) - n)
	return append([]byte(nil), b...)
}

// appendApply appends an apply-actions instruction, nothing for no actions.
func appendApply(b, actions []byte) []byte {
	if len(actions) == 0 {
		return b
	}
	b = putZeros(put16(put16(b, instApplyActions), uint16(8+len(actions))), 4)
	return append(b, actions...)
}

// instructions reads instructions to the end: the actions of apply-actions, and
// the others as they are.
func (r *reader) instructions() (actions, others []byte) {
	seen := false
	for r.err == nil && len(r.b) > 0 {
		if len(r.b) < 8 {
			r.fail("%d bytes of an instruction", len(r.b))
			return
		}
		typ, n := be16(r.b), int(be16(r.b[2:]))
		if n < 8 || n%8 != 0 || n > len(r.b) {
			r.fail("instruction %d: length %d of %d", typ, n, len(r.b))
			return
		}
		inst := r.take(n)
		if typ == instApplyActions {
			if seen {
				r.fail("two apply-actions")
			}
			seen, actions = true, append([]byte(nil), inst[8:]...)
		} else {
			others = append(others, inst...)
		}
	}
	return actions, others
}

func decodeFlowMod(r *reader) Message {
	m := &FlowMod{}
	m.Flow.Cookie, m.CookieMask = r.u64(), r.u64()
	m.Flow.Table, m.Command = r.u8(), r.u8()
	m.IdleTimeout, m.HardTimeout, m.Flow.Priority = r.u16(), r.u16(), r.u16()
	r.skip(4)
	m.OutPort, m.OutGroup = r.u32(), r.u32()
	if m.OutPort == PortAny {
		m.OutPort = 0
	}
	if m.OutGroup == 0xffffffff {
		m.OutGroup = 0
	}
	m.Flags, m.Importance = r.u16(), r.u16()
	m.Flow.Match = r.match()
	m.Flow.Actions, m.Instructions = r.instructions()
	return m
}
