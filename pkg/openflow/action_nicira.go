package openflow

import (
	"fmt"
	"strconv"
	"strings"
)

// Resubmit looks the packet up again, as if it had come from InPort, in Table,
// and goes on with the next action afterwards.
type Resubmit struct {
	InPort uint16 // 16-bit port number, ResubmitInPort: as it is
	Table  uint8  // ResubmitTable: the current one
	CT     bool   // look up with the connection's addresses (ct_nw_src ...)
}

// What Resubmit leaves as it is.
const (
	ResubmitInPort = 0xfff8
	ResubmitTable  = 0xff
)

// ToTable is resubmit(,table).
func ToTable(table uint8) Resubmit { return Resubmit{InPort: ResubmitInPort, Table: table} }

// AppendTo appends NXAST_RESUBMIT_TABLE.
func (a Resubmit) AppendTo(b []byte) []byte {
	sub := uint16(nxResubmitTable)
	if a.CT {
		sub = nxResubmitCT
	}
	b = put16(nicira(b, sub, 16), a.InPort)
	return putZeros(append(b, a.Table), 3)
}

func (a Resubmit) String() string {
	port := ""
	if a.InPort != ResubmitInPort {
		port = FormatPortNumber(portOf(put16(nil, a.InPort)))
	}
	if a.Table == ResubmitTable && !a.CT && port != "" {
		return "resubmit:" + port
	}
	s := "resubmit(" + port + ","
	if a.Table != ResubmitTable {
		s += strconv.Itoa(int(a.Table))
	}
	if a.CT {
		s += ",ct"
	}
	return s + ")"
}

func decodeResubmitPort(r *reader, _ int) Action {
	return Resubmit{InPort: r.u16(), Table: ResubmitTable}
}

func decodeResubmitTable(ct bool) actionDecoder {
	return func(r *reader, _ int) Action { return Resubmit{InPort: r.u16(), Table: r.u8(), CT: ct} }
}

// Reasons why a packet comes to the controller.
const (
	ReasonNoMatch    = 0
	ReasonAction     = 1
	ReasonInvalidTTL = 2
	ReasonActionSet  = 3
	ReasonGroup      = 4
	ReasonPacketOut  = 5
)

var reasonNames = []string{"no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"}

func reasonName(r uint8) string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return strconv.Itoa(int(r))
}

// Controller sends the packet to a controller: NXAST_CONTROLLER2. ToController
// gives one with the usual values.
type Controller struct {
	MaxLen       uint16 // bytes of the packet that are sent, 65535: all
	ControllerID uint16 // which controller, as it has set it (NXT_SET_CONTROLLER_ID); 0: those that set none
	Reason       uint8  // ReasonAction and others
	UserData     []byte // comes back with the packet
	Pause        bool   // stop here; NXT_RESUME goes on with the next action
	MeterID      uint32 // limits the rate; 0: none
}

// ToController sends whole packets with userdata.
func ToController(userdata ...byte) Controller {
	return Controller{MaxLen: 0xffff, Reason: ReasonAction, UserData: userdata}
}

// Properties of NXAST_CONTROLLER2.
const (
	ctlMaxLen = iota
	ctlID
	ctlReason
	ctlUserData
	ctlPause
	ctlMeter
)

// property appends a property, padded to eight bytes.
func property(b []byte, typ uint16, value []byte) []byte {
	start := len(b)
	b = put16(put16(b, typ), uint16(4+len(value)))
	return pad8(append(b, value...), start)
}

// AppendTo appends the action; properties that have their default are left out.
func (a Controller) AppendTo(b []byte) []byte {
	start := len(b)
	b = putZeros(nicira(b, nxController2, 0), 6)
	if a.MaxLen != 0xffff {
		b = property(b, ctlMaxLen, put16(nil, a.MaxLen))
	}
	if a.ControllerID != 0 {
		b = property(b, ctlID, put16(nil, a.ControllerID))
	}
	if a.Reason != ReasonAction {
		b = property(b, ctlReason, []byte{a.Reason})
	}
	if len(a.UserData) > 0 {
		b = property(b, ctlUserData, a.UserData)
	}
	if a.Pause {
		b = property(b, ctlPause, nil)
	}
	if a.MeterID != 0 {
		b = property(b, ctlMeter, put32(nil, a.MeterID))
	}
	return setLen(b, start, 2)
}

func (a Controller) String() string {
	if a.Reason == ReasonAction && a.ControllerID == 0 && len(a.UserData) == 0 && !a.Pause && a.MeterID == 0 {
		return fmt.Sprintf("CONTROLLER:%d", a.MaxLen)
	}
	var s []string
	if a.Reason != ReasonAction {
		s = append(s, "reason="+reasonName(a.Reason))
	}
	if a.MaxLen != 0xffff {
		s = append(s, fmt.Sprintf("max_len=%d", a.MaxLen))
	}
	if a.ControllerID != 0 {
		s = append(s, fmt.Sprintf("id=%d", a.ControllerID))
	}
	if len(a.UserData) > 0 {
		s = append(s, "userdata="+dotted(a.UserData))
	}
	if a.Pause {
		s = append(s, "pause")
	}
	if a.MeterID != 0 {
		s = append(s, fmt.Sprintf("meter_id=%d", a.MeterID))
	}
	return "controller(" + strings.Join(s, ",") + ")"
}

func decodeController(r *reader, _ int) Action {
	r.skip(6)
	a := Controller{MaxLen: 0xffff, Reason: ReasonAction}
	if r.err != nil {
		return a
	}
	r.err = eachTLV(r.what, r.b, func(typ uint16, body []byte) error {
		p := reader{b: body, what: r.what}
		switch typ {
		case ctlMaxLen:
			a.MaxLen = p.u16()
		case ctlID:
			a.ControllerID = p.u16()
		case ctlReason:
			a.Reason = p.u8()
		case ctlUserData:
			a.UserData = append([]byte(nil), body...)
		case ctlPause:
			a.Pause = true
		case ctlMeter:
			a.MeterID = p.u32()
		default:
			p.fail("unknown property %d", typ)
		}
		return p.err
	})
	return a
}

// Clone runs actions on a copy of the packet and its metadata.
type Clone struct{ Actions []Action }

// AppendTo appends the action.
func (a Clone) AppendTo(b []byte) []byte {
	start := len(b)
	b = putZeros(nicira(b, nxClone, 0), 6)
	for _, n := range a.Actions {
		b = n.AppendTo(b)
	}
	return setLen(b, start, 2)
}

func (a Clone) String() string { return "clone(" + joinActions(a.Actions) + ")" }

func decodeClone(r *reader, depth int) Action {
	r.skip(6)
	var a Clone
	if r.err == nil {
		a.Actions, r.err = decodeActions(r.b, depth+1)
	}
	return a
}

// StackPush puts a subfield on the stack of the packet.
type StackPush struct{ Src Subfield }

// StackPop takes the top of the stack into a subfield.
type StackPop struct{ Dst Subfield }

// AppendTo appends the action.
func (a StackPush) AppendTo(b []byte) []byte { return appendStack(b, nxStackPush, a.Src) }

// AppendTo appends the action.
func (a StackPop) AppendTo(b []byte) []byte { return appendStack(b, nxStackPop, a.Dst) }

func (a StackPush) String() string { return "push:" + a.Src.String() }
func (a StackPop) String() string  { return "pop:" + a.Dst.String() }

func appendStack(b []byte, sub uint16, s Subfield) []byte {
	b = put16(nicira(b, sub, 24), uint16(s.Offset))
	return putZeros(put16(put32(b, s.Field.Header()), uint16(s.Bits)), 6)
}

func (r *reader) stack() Subfield {
	offset := int(r.u16())
	f := r.field()
	return r.subfield(f, offset, int(r.u16()))
}

func decodeStackPush(r *reader, _ int) Action { return StackPush{r.stack()} }
func decodeStackPop(r *reader, _ int) Action  { return StackPop{r.stack()} }

// Exit ends the processing of the packet, nested resubmits included.
type Exit struct{}

// AppendTo appends the action.
func (Exit) AppendTo(b []byte) []byte { return putZeros(nicira(b, nxExit, 16), 6) }

func (Exit) String() string { return "exit" }

// Conjunction makes a flow one alternative of a clause: when every clause of
// conjunction ID has one that matches, flows that match conj_id=ID are looked up.
type Conjunction struct {
	ID       uint32
	Clause   uint8 // from 0
	NClauses uint8 // 2 to 64
}

// AppendTo appends the action.
func (a Conjunction) AppendTo(b []byte) []byte {
	return put32(append(nicira(b, nxConjunction, 16), a.Clause, a.NClauses), a.ID)
}

func (a Conjunction) String() string {
	return fmt.Sprintf("conjunction(%d,%d/%d)", a.ID, a.Clause+1, a.NClauses)
}

func decodeConjunction(r *reader, _ int) Action {
	return Conjunction{Clause: r.u8(), NClauses: r.u8(), ID: r.u32()}
}

// CheckPktLarger sets one bit of a field to whether the packet is longer than
// Length bytes, Ethernet header included.
type CheckPktLarger struct {
	Length uint16
	Dst    Subfield // one bit
}

// AppendTo appends the action.
func (a CheckPktLarger) AppendTo(b []byte) []byte {
	b = put16(put16(nicira(b, nxCheckPktLarger, 24), a.Length), uint16(a.Dst.Offset))
	return putZeros(put32(b, a.Dst.Field.Header()), 6)
}

func (a CheckPktLarger) String() string {
	return fmt.Sprintf("check_pkt_larger(%d)->%s", a.Length, a.Dst)
}

func decodeCheckPktLarger(r *reader, _ int) Action {
	a := CheckPktLarger{Length: r.u16()}
	offset := int(r.u16())
	a.Dst = r.subfield(r.field(), offset, 1)
	return a
}

// DeleteField takes a tunnel option out of the packet's metadata.
type DeleteField struct{ Field *Field }

// AppendTo appends the action.
func (a DeleteField) AppendTo(b []byte) []byte {
	return putZeros(put32(nicira(b, nxDeleteField, 24), a.Field.Header()), 10)
}

func (a DeleteField) String() string { return "delete_field:" + a.Field.Name }

func decodeDeleteField(r *reader, _ int) Action { return DeleteField{Field: r.field()} }

// Bundle outputs to the first live one of its members, or hashes over the live
// ones; with Dst it writes the port there instead.
type Bundle struct {
	Fields    uint16 // what is hashed: 0 source MAC, 1 symmetric L4, and others
	Basis     uint16
	Algorithm uint16   // 0 active_backup, 1 hrw
	Dst       Subfield // Field nil: output
	Members   []uint16 // port numbers
}

var (
	bundleFields = []string{"eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"}
	bundleAlgs   = []string{"active_backup", "hrw"}
)

// AppendTo appends NXAST_BUNDLE or NXAST_BUNDLE_LOAD.
func (a Bundle) AppendTo(b []byte) []byte {
	start := len(b)
	sub, ofs, dst := uint16(nxBundle), uint16(0), uint32(0)
	if a.Dst.Field != nil {
		sub, ofs, dst = nxBundleLoad, a.Dst.ofsNBits(), a.Dst.Field.Header()
	}
	b = put16(put16(put16(nicira(b, sub, 0), a.Algorithm), a.Fields), a.Basis)
	b = put16(put32(b, FieldInPortNXM.Header()), uint16(len(a.Members)))
	b = putZeros(put32(put16(b, ofs), dst), 4)
	for _, p := range a.Members {
		b = put16(b, p)
	}
	return setLen(pad8(b, start), start, 2)
}

func (a Bundle) String() string {
	name := func(names []string, i uint16) string {
		if int(i) < len(names) {
			return names[i]
		}
		return fmt.Sprintf("<unknown:%d>", i)
	}
	s := "bundle("
	if a.Dst.Field != nil {
		s = "bundle_load("
	}
	s += fmt.Sprintf("%s,%d,%s,ofport,", name(bundleFields, a.Fields), a.Basis, name(bundleAlgs, a.Algorithm))
	if a.Dst.Field != nil {
		s += a.Dst.String() + ","
	}
	ports := make([]string, len(a.Members))
	for i, p := range a.Members {
		ports[i] = FormatPortNumber(portOf(put16(nil, p)))
	}
	return s + "members:" + strings.Join(ports, ",") + ")"
}

func decodeBundle(load bool) actionDecoder {
	return func(r *reader, _ int) Action {
		a := Bundle{Algorithm: r.u16(), Fields: r.u16(), Basis: r.u16()}
		r.skip(4)
		n, ofs := int(r.u16()), r.u16()
		if load {
			a.Dst = r.packed(r.field(), ofs)
		} else {
			r.skip(4)
		}
		r.skip(4)
		a.Members = chunks2(r.take(2 * n))
		return a
	}
}

// chunks2 reads b as 16-bit numbers.
func chunks2(b []byte) []uint16 {
	v := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		v = append(v, be16(b))
	}
	return v
}
