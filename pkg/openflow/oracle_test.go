package openflow

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ofpPrint has ovs-ofctl print messages that this package encoded, and returns
// what it prints for each after its name and transaction id.
func ofpPrint(t testing.TB, messages ...Message) []string {
	t.Helper()
	var b []byte
	for i, m := range messages {
		var err error
		if b, err = AppendMessage(b, uint32(i+1), m); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "messages")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ovs-ofctl", "-O", "OpenFlow15", "ofp-parse", file).Output()
	if err != nil {
		t.Fatalf("ovs-ofctl ofp-parse: %v\n%s", err, out)
	}
	var printed []string
	for _, part := range strings.Split(string(out), "(OF1.5) (xid=")[1:] {
		_, part, _ = strings.Cut(part, "):")
		// What follows the last line is the name of the next message, and
		// hex dumps of what could not be read.
		var lines []string
		for i, line := range strings.Split(part, "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "000") && (i == 0 || !strings.HasPrefix(line, "OFP")) {
				lines = append(lines, line)
			}
		}
		printed = append(printed, strings.Join(lines, "\n"))
	}
	return printed
}

// comparePrinted encodes flows, has ovs-ofctl print them and compares with what
// String prints; then decodes them again.
func comparePrinted(t *testing.T, flows []FlowStats) {
	t.Helper()
	var messages []Message
	for i := range flows {
		messages = append(messages, &MultipartReply{Kind: MultipartFlowDesc, Flows: flows[i : i+1]})
	}
	lines := ofpPrint(t, messages...)
	if len(lines) != len(flows) {
		t.Fatalf("%d flows, ovs-ofctl printed %d:\n%s", len(flows), len(lines), strings.Join(lines, "\n"))
	}
	failed := 0
	for i := range flows {
		got := strings.TrimSpace(flows[i].String())
		// ovs-ofctl says that a flow has just been hit; it has no such column here.
		want := strings.Replace(lines[i], "idle_age=0, ", "", 1)
		if got != want {
			if failed++; failed > 8 {
				t.Fatal("and more")
			}
			t.Errorf("flow %d\n got %s\nwant %s", i, got, want)
		}
		actions, err := DecodeActions(flows[i].Actions)
		if err != nil {
			t.Errorf("decode %s: %v", got, err)
			continue
		}
		if again := EncodeActions(actions); string(again) != string(flows[i].Actions) {
			t.Errorf("%s: decoded and encoded again\n got %x\nwant %x", got, again, flows[i].Actions)
		}
	}
}

func flowWith(m Match, actions ...Action) FlowStats {
	return FlowStats{Flow: Flow{Table: 8, Priority: 50, Cookie: 0x123, Match: m.Encode(), Actions: EncodeActions(actions)},
		Duration: 1500 * time.Millisecond, Packets: 3, Bytes: 180}
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// allActions has every action, in each of its shapes.
var allActions = [][]Action{
	{},
	{Output{Port: 3}},
	{Output{Port: PortInPort}, Output{Port: PortNormal}, Output{Port: PortLocal}},
	{Output{Port: PortController, MaxLen: 77}},
	{OutputReg{Source: Whole(FieldReg(15))}},
	{OutputReg{Source: Bits(FieldReg(15), 0, 15)}},
	{Group{ID: 9}},
	{SetUint(FieldReg(0), 1)},
	{SetUint(FieldReg(0), 0)},
	{SetBits(FieldReg(0), 4, 7, 3)},
	{SetUint(FieldXReg(1), 0x1234567890)},
	{SetUint(FieldXXReg(1), 0x1234567890)},
	{SetBits(FieldXXReg(0), 96, 127, 0xfe800000)},
	{SetUint(FieldMetadata, 5)},
	{SetUint(FieldInPortNXM, 5)},
	{SetUint(FieldInPortNXM, 0)},
	{SetUint(FieldInPortNXM, 0xffff)},
	{SetUint(FieldEthDst, 0x0a0000000001)},
	{SetBytes(FieldEthSrc, []byte{1, 0, 0, 0, 0, 0}, []byte{1, 0, 0, 0, 0, 0})},
	{SetUint(FieldIPv4Src, 0x0a000001), SetBits(FieldIPv4Dst, 8, 31, 0x0a0000)},
	{SetBytes(FieldIPv6Src, ip("fe80::1").AsSlice(), nil)},
	{SetUint(FieldIPTTL, 64)},
	{SetUint(FieldIPDSCP, 46)},
	{SetUint(FieldIPECN, 2)},
	{SetUint(FieldTCPDst, 80)},
	{SetUint(FieldUDPSrc, 53)},
	{SetUint(FieldSCTPSrc, 53)},
	{SetUint(FieldARPOp, 2), SetUint(FieldARPSPA, 0x0a000001), SetUint(FieldARPSHA, 0x0a0000000001)},
	{SetUint(FieldICMPType, 0), SetUint(FieldICMPCode, 0)},
	{SetUint(FieldICMPv6Type, 136), SetUint(FieldICMPv6Code, 0)},
	{SetBytes(FieldNDTarget, ip("fe80::1").AsSlice(), nil), SetUint(FieldNDTLL, 0x0a0000000001)},
	{SetUint(FieldNDSLL, 0x0a0000000001)},
	{SetUint(FieldVLANVID, 0x1005), SetUint(FieldVLANPCP, 3)},
	{SetUint(FieldTunID, 5), SetUint(FieldTunDst, 0x0a000001), SetUint(FieldTunSrc, 0x0a000001)},
	{SetBytes(FieldTunIPv6Dst, ip("fe80::1").AsSlice(), nil)},
	{SetUint(FieldPktMark, 7)},
	{Move{Src: Whole(FieldReg(0)), Dst: Whole(FieldReg(1))}},
	{Move{Src: Bits(FieldMetadata, 0, 23), Dst: Bits(FieldTunID, 0, 23)}},
	{Move{Src: Whole(FieldEthSrc), Dst: Whole(FieldEthDst)}},
	{Move{Src: Bits(FieldReg(10), 3, 3), Dst: Bits(FieldReg(10), 0, 0)}},
	{Move{Src: Whole(FieldXXReg(0)), Dst: Whole(FieldIPv6Dst)}},
	{ToTable(9)},
	{Resubmit{InPort: 3, Table: ResubmitTable}},
	{Resubmit{InPort: 3, Table: 4}},
	{Resubmit{InPort: ResubmitInPort, Table: 4, CT: true}},
	{ToController(1, 2, 3)},
	{ToController()},
	{Controller{MaxLen: 128, Reason: ReasonAction}},
	{Controller{MaxLen: 100, ControllerID: 5, Reason: ReasonNoMatch, UserData: []byte{0, 1, 2}, Pause: true, MeterID: 7}},
	{Clone{[]Action{SetUint(FieldReg(0), 1), ToTable(9)}}, Output{Port: 1}},
	{Clone{[]Action{Clone{[]Action{CTClear{}}}}}},
	{CT{Table: CTNoTable}},
	{CT{Table: 4, Zone: 3}},
	{CT{Commit: true, Table: CTNoTable, ZoneSrc: Bits(FieldReg(13), 0, 15), Actions: []Action{NAT{}, SetUint(FieldCTMark, 1)}}},
	{CT{Commit: true, Force: true, Table: 4, ALG: 21, ZoneSrc: Bits(FieldReg(13), 0, 15), Actions: []Action{
		NAT{Src: true, Min: ip("1.1.1.1"), Max: ip("1.1.1.9"), PortMin: 10, PortMax: 20, Random: true},
		SetBits(FieldCTMark, 0, 0, 1), Move{Src: Whole(FieldReg(0)), Dst: Bits(FieldCTLabel, 0, 31)}}}},
	{CT{Commit: true, Table: CTNoTable, ALG: 69, Actions: []Action{NAT{Dst: true, Min: ip("fe80::1"), PortMin: 80}}}},
	{CT{Commit: true, Table: CTNoTable, Actions: []Action{NAT{Dst: true, Min: ip("fe80::1"), Max: ip("fe80::5"), Persistent: true, Hash: true}}}},
	{CT{Commit: true, Table: CTNoTable, Actions: []Action{NAT{Src: true, Min: ip("10.0.0.1")}}}},
	{CT{Commit: true, Table: CTNoTable, Actions: []Action{SetUint(FieldCTLabel, 0x5), SetBits(FieldCTLabel, 96, 96, 1)}}},
	{CTClear{}},
	{PushVLAN{EthType: 0x8100}, PopVLAN{}},
	{StackPush{Whole(FieldReg(0))}, StackPop{Bits(FieldReg(1), 3, 7)}, StackPush{Whole(FieldXXReg(1))}, StackPush{Whole(FieldInPortNXM)}},
	{DecTTL{}},
	{Conjunction{ID: 5, Clause: 0, NClauses: 2}, Conjunction{ID: 6, Clause: 1, NClauses: 3}},
	{Note{Data: []byte{1, 2, 3}}},
	{CheckPktLarger{Length: 1500, Dst: Bits(FieldReg(9), 1, 1)}},
	{DeleteField{Field: FieldTunMetadata(0)}},
	{Bundle{Members: []uint16{1, 2}}},
	{Bundle{Fields: 1, Basis: 7, Algorithm: 1, Dst: Bits(FieldReg(15), 0, 15), Members: []uint16{5}}},
	{Learn{Table: 67, Priority: 100, IdleTimeout: 20, HardTimeout: 5, FinIdleTimeout: 1, FinHardTimeout: 2, Cookie: 5, SendFlowRemoved: true, DeleteLearned: true,
		Specs: []LearnSpec{
			{Kind: LearnMatch, Bits: 48, Src: Whole(FieldEthSrc), Dst: Whole(FieldEthDst)},
			{Kind: LearnMatch, Bits: 16, Value: []byte{8, 0}, Dst: Whole(FieldEthType)},
			{Kind: LearnMatch, Bits: 64, Src: Whole(FieldMetadata), Dst: Whole(FieldMetadata)},
			{Kind: LearnMatch, Bits: 4, Value: []byte{0, 5}, Dst: Bits(FieldReg(0), 4, 7)},
			{Kind: LearnLoad, Bits: 1, Value: []byte{0, 1}, Dst: Bits(FieldReg(10), 6, 6)},
			{Kind: LearnLoad, Bits: 16, Src: Bits(FieldReg(14), 0, 15), Dst: Bits(FieldReg(15), 0, 15)},
			{Kind: LearnOutput, Bits: 16, Src: Whole(FieldInPortNXM)},
		}}},
	{Learn{Table: 67, Priority: DefaultPriority, Limit: 3, Result: Bits(FieldReg(1), 0, 0),
		Specs: []LearnSpec{{Kind: LearnMatch, Bits: 48, Src: Whole(FieldEthDst), Dst: Whole(FieldEthDst)}}}},
	{Learn{Table: 67, Priority: 7, Limit: 3,
		Specs: []LearnSpec{{Kind: LearnMatch, Bits: 16, Value: []byte{8, 0}, Dst: Whole(FieldEthType)}, {Kind: LearnMatch, Bits: 32, Value: []byte{10, 0, 0, 1}, Dst: Whole(FieldIPv4Src)}}}},
	{Meter{ID: 3}, SetQueue{ID: 5}, Exit{}},
}

func TestActionsPrintAsOfctl(t *testing.T) {
	var flows []FlowStats
	for _, actions := range allActions {
		flows = append(flows, flowWith(Match{}, actions...))
	}
	comparePrinted(t, flows)
}

// drawMatch makes a random valid match.
func drawMatch(t *rapid.T) (m Match) {
	add := func(f *Field) {
		value := rapid.SliceOfN(rapid.Byte(), f.size, f.size).Draw(t, f.Name)
		mask := fullMask(f)
		if f.Maskable && f != FieldEthType && rapid.IntRange(0, 2).Draw(t, "masked") == 0 {
			copy(mask[:], rapid.SliceOfN(rapid.Byte(), f.size, f.size).Draw(t, "mask"))
		}
		switch f {
		case FieldIPFrag: // "first" and "not the first" exclude each other in one of four values
			value[0], mask[0] = []byte{0, 1, 3}[value[0]%3], 3
		case FieldInPort:
			value = []byte{0, 0, 0, value[3]}
		case FieldActsetOutput:
			value = []byte{0, 0, 0, value[3]}
		case FieldCTState:
			value, mask = []byte{0, 0, 0, value[3] | 0x20}, [maxValue]byte{3: mask[3] | 0x20}
		case FieldTCPFlags:
			mask[0] &= 1
		case FieldCTNwProto:
			value[0] |= 1 // Open vSwitch takes 0 for any
		}
		for i := range value {
			value[i] &= fullMask(f)[i]
		}
		m.SetBytes(f, value, mask[:f.size])
	}
	some := func(fields ...*Field) {
		for _, f := range fields {
			if rapid.IntRange(0, 3).Draw(t, "use "+f.Name) == 0 {
				add(f)
			}
		}
	}
	some(FieldMetadata, FieldInPort, FieldTunID, FieldReg(0), FieldReg(1), FieldReg(15), FieldXReg(2), FieldXXReg(2), FieldPktMark,
		FieldConjID, FieldCTZone, FieldCTMark, FieldCTLabel, FieldEthDst, FieldEthSrc, FieldCTState, FieldTunSrc, FieldTunDst, FieldActsetOutput)
	switch rapid.IntRange(0, 2).Draw(t, "vlan") {
	case 1:
		m.Set(FieldVLANVID, 0x1000|rapid.Uint64Range(0, 4095).Draw(t, "vid"))
		some(FieldVLANPCP)
	case 2:
		tci := rapid.SampledFrom([]uint64{0, 0x1000, 0x1005, 0xf005, 0xf000}).Draw(t, "tci")
		mask := rapid.SampledFrom([]uint64{0x1000, 0x1fff, 0xffff, 0x0fff, 0xf000}).Draw(t, "tci mask")
		m.SetMasked(FieldVLANTCI, tci, mask)
	}
	switch rapid.IntRange(0, 5).Draw(t, "layer 3") {
	case 0:
		m.Set(FieldEthType, rapid.SampledFrom([]uint64{0x806, 0x8035}).Draw(t, "arp"))
		some(FieldARPSPA, FieldARPTPA, FieldARPSHA, FieldARPTHA)
		if rapid.Bool().Draw(t, "op") {
			m.Set(FieldARPOp, rapid.Uint64Range(1, 4).Draw(t, "arp_op"))
		}
	case 1, 2:
		m.Set(FieldEthType, 0x800)
		some(FieldIPv4Src, FieldIPv4Dst, FieldIPDSCP, FieldIPECN, FieldIPTTL, FieldIPFrag)
		switch rapid.IntRange(0, 5).Draw(t, "proto") {
		case 0:
			m.Set(FieldIPProto, 1)
			some(FieldICMPType, FieldICMPCode)
		case 1:
			m.Set(FieldIPProto, 6)
			some(FieldTCPSrc, FieldTCPDst, FieldTCPFlags)
		case 2:
			m.Set(FieldIPProto, 17)
			some(FieldUDPSrc, FieldUDPDst)
		case 3:
			m.Set(FieldIPProto, 132)
			some(FieldSCTPSrc, FieldSCTPDst)
		case 4:
			m.Set(FieldIPProto, 47)
		}
	case 3, 4:
		m.Set(FieldEthType, 0x86dd)
		some(FieldIPv6Src, FieldIPv6Dst, FieldIPv6Label, FieldIPTTL, FieldIPFrag)
		switch rapid.IntRange(0, 4).Draw(t, "proto") {
		case 0:
			m.Set(FieldIPProto, 58)
			m.Set(FieldICMPv6Code, 0)
			m.Set(FieldICMPv6Type, 135)
			some(FieldNDTarget, FieldNDSLL)
		case 1:
			m.Set(FieldIPProto, 58)
			m.Set(FieldICMPv6Code, 0)
			m.Set(FieldICMPv6Type, 136)
			some(FieldNDTarget, FieldNDTLL)
		case 2:
			m.Set(FieldIPProto, 6)
			some(FieldTCPSrc, FieldTCPDst, FieldTCPFlags)
		case 3:
			m.Set(FieldIPProto, 17)
			some(FieldUDPSrc, FieldUDPDst)
		}
	case 5:
		m.Set(FieldEthType, 0x88cc)
	}
	if m.hasConnection() {
		switch eth, _ := m.Uint(FieldEthType); eth {
		case 0x800:
			some(FieldCTNwSrc, FieldCTNwDst)
		case 0x86dd:
			some(FieldCTIPv6Src, FieldCTIPv6Dst)
		default:
			return m
		}
		if some(FieldCTNwProto); m.index(FieldCTNwProto) >= 0 {
			some(FieldCTTPSrc, FieldCTTPDst)
		}
	}
	return m
}

func TestMatchesPrintAsOfctl(t *testing.T) {
	gen := rapid.Custom(drawMatch)
	var flows []FlowStats
	for seed := 0; len(flows) < 400; seed++ {
		m := gen.Example(seed)
		if m.laterFragment() && m.Validate() != nil {
			m.Unset(FieldIPFrag) // later fragments have no layer 4
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		f := flowWith(m)
		if seed%7 == 0 {
			f.Priority = DefaultPriority
		}
		flows = append(flows, f)
	}
	for i := 0; i < len(flows); i += 100 {
		comparePrinted(t, flows[i:i+100])
	}
}
