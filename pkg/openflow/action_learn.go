package openflow

import (
	"fmt"
	"strings"
)

// Learn adds or renews a flow that is made from the packet.
type Learn struct {
	Table                          uint8
	Priority                       uint16
	Cookie                         uint64
	IdleTimeout, HardTimeout       uint16 // seconds, 0: none
	FinIdleTimeout, FinHardTimeout uint16 // after FIN or RST
	SendFlowRemoved                bool
	DeleteLearned                  bool     // when this flow goes, those that it learned go too
	Limit                          uint32   // flows learned at most, 0: no limit
	Result                         Subfield // with Limit: one bit that tells whether it was learned; Field nil: none
	Specs                          []LearnSpec
}

// LearnKind says what a LearnSpec does to the new flow.
type LearnKind uint8

// Kinds of LearnSpec.
const (
	LearnMatch  LearnKind = iota // the flow matches Dst
	LearnLoad                    // the flow loads Dst
	LearnOutput                  // the flow outputs to Src
)

// LearnSpec is one match or action of the new flow. Its value comes from Src,
// taken from the packet now, or is Value when Src.Field is nil.
type LearnSpec struct {
	Kind  LearnKind
	Bits  int
	Src   Subfield
	Value []byte   // big endian, 2*ceil(Bits/16) bytes
	Dst   Subfield // not with LearnOutput
}

const (
	learnFlowRemoved = 1
	learnDelete      = 2
	learnResult      = 4

	learnImmediate = 1 << 13
)

// AppendTo appends NXAST_LEARN, or NXAST_LEARN2 when there is a limit.
func (a Learn) AppendTo(b []byte) []byte {
	start := len(b)
	flags, sub := uint16(0), uint16(nxLearn)
	if a.SendFlowRemoved {
		flags |= learnFlowRemoved
	}
	if a.DeleteLearned {
		flags |= learnDelete
	}
	if a.Limit != 0 {
		sub = nxLearn2
		if a.Result.Field != nil {
			flags |= learnResult
		}
	}
	b = put16(put16(put16(nicira(b, sub, 0), a.IdleTimeout), a.HardTimeout), a.Priority)
	b = append(put16(put64(b, a.Cookie), flags), a.Table, 0)
	b = put16(put16(b, a.FinIdleTimeout), a.FinHardTimeout)
	if sub == nxLearn2 {
		b = put16(put16(put32(b, a.Limit), uint16(a.Result.Offset)), 0)
		if flags&learnResult != 0 {
			b = put32(b, a.Result.Field.Header())
		}
	}
	for _, s := range a.Specs {
		b = s.appendTo(b)
	}
	return setLen(pad8(b, start), start, 2)
}

func (s LearnSpec) appendTo(b []byte) []byte {
	h := uint16(s.Kind)<<11 | uint16(s.Bits)
	if s.Src.Field == nil {
		b = put16(b, h|learnImmediate)
		n := immediateLen(s.Bits)
		v := make([]byte, n)
		putLow(v, s.Value)
		b = append(b, v...)
	} else {
		b = put16(put32(put16(b, h), s.Src.Field.Header()), uint16(s.Src.Offset))
	}
	if s.Kind != LearnOutput {
		b = put16(put32(b, s.Dst.Field.Header()), uint16(s.Dst.Offset))
	}
	return b
}

func immediateLen(bits int) int { return 2 * ((bits + 15) / 16) }

func (a Learn) String() string {
	s := []string{fmt.Sprintf("table=%d", a.Table)}
	add := func(on bool, format string, args ...any) {
		if on {
			s = append(s, fmt.Sprintf(format, args...))
		}
	}
	add(a.IdleTimeout != 0, "idle_timeout=%d", a.IdleTimeout)
	add(a.HardTimeout != 0, "hard_timeout=%d", a.HardTimeout)
	add(a.FinIdleTimeout != 0, "fin_idle_timeout=%d", a.FinIdleTimeout)
	add(a.FinHardTimeout != 0, "fin_hard_timeout=%d", a.FinHardTimeout)
	add(a.Priority != DefaultPriority, "priority=%d", a.Priority)
	add(a.SendFlowRemoved, "send_flow_rem")
	add(a.DeleteLearned, "delete_learned")
	add(a.Cookie != 0, "cookie=%#x", a.Cookie)
	add(a.Limit != 0, "limit=%d", a.Limit)
	if a.Limit != 0 && a.Result.Field != nil {
		add(true, "result_dst=%s", a.Result)
	}
	for _, spec := range a.Specs {
		s = append(s, spec.String())
	}
	return "learn(" + strings.Join(s, ",") + ")"
}

// String prints NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[], load:0x1->NXM_NX_REG0[] or
// output:NXM_OF_IN_PORT[].
func (s LearnSpec) String() string {
	switch s.Kind {
	case LearnOutput:
		return "output:" + s.Src.String()
	case LearnLoad:
		if s.Src.Field == nil {
			return "load:" + formatHex(s.Value) + "->" + s.Dst.String()
		}
		return "load:" + s.Src.String() + "->" + s.Dst.String()
	}
	if s.Src.Field == nil {
		return s.formatMatchValue()
	}
	if s.Src == s.Dst {
		return s.Dst.String()
	}
	return s.Dst.String() + "=" + s.Src.String()
}

// formatMatchValue prints a match on a constant. A whole field is printed in
// its own style.
func (s LearnSpec) formatMatchValue() string {
	if s.Dst.Offset == 0 && s.Dst.Bits == s.Dst.Field.Bits {
		v := make([]byte, s.Dst.Field.size)
		putLow(v, s.Value)
		return s.Dst.Field.Name + "=" + formatValue(s.Dst.Field, v, nil)
	}
	return s.Dst.String() + "=" + formatHex(s.Value)
}

func decodeLearn(limited bool) actionDecoder {
	return func(r *reader, _ int) Action {
		a := Learn{IdleTimeout: r.u16(), HardTimeout: r.u16(), Priority: r.u16(), Cookie: r.u64()}
		flags := r.u16()
		a.Table = r.u8()
		r.skip(1)
		a.FinIdleTimeout, a.FinHardTimeout = r.u16(), r.u16()
		a.SendFlowRemoved, a.DeleteLearned = flags&learnFlowRemoved != 0, flags&learnDelete != 0
		if limited {
			a.Limit = r.u32()
			offset := int(r.u16())
			r.skip(2)
			if flags&learnResult != 0 {
				a.Result = r.subfield(r.field(), offset, 1)
			}
		}
		for r.err == nil && len(r.b) >= 2 && be16(r.b) != 0 {
			a.Specs = append(a.Specs, r.learnSpec())
		}
		return a
	}
}

func (r *reader) learnSpec() LearnSpec {
	h := r.u16()
	s := LearnSpec{Kind: LearnKind(h >> 11 & 3), Bits: int(h & 0x7ff)}
	if h>>14 != 0 || s.Kind > LearnOutput || s.Bits == 0 {
		r.fail("bad spec %#04x", h)
	}
	if h&learnImmediate != 0 {
		if s.Kind == LearnOutput {
			r.fail("output of a constant")
		}
		s.Value = append([]byte(nil), r.take(immediateLen(s.Bits))...)
	} else {
		f := r.field()
		s.Src = r.subfield(f, int(r.u16()), s.Bits)
	}
	if s.Kind != LearnOutput {
		f := r.field()
		s.Dst = r.subfield(f, int(r.u16()), s.Bits)
	}
	return s
}
