package openflow

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"govn/test/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial connects to a fresh Open vSwitch with a few ports, a group, a meter and
// OVN's Geneve option.
func dial(t testing.TB, opts ConnOptions) (*ovstest.OVS, *Conn) {
	t.Helper()
	ovs := ovstest.Start(t, ovstest.Options{})
	c, err := Dial(testContext(t), ovs.Mgmt, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return ovs, c
}

var ovnOption = TLVMap{Class: 0x102, Option: 0x80, Length: 4, Index: 0}

var counters = regexp.MustCompile(`duration=[0-9.]*s, |n_packets=\d+, n_bytes=\d+, |idle_age=\d+, |hard_age=\d+, `)

// dumped returns the flows of the switch as ovs-ofctl prints them, without
// counters, sorted.
func dumped(ovs *ovstest.OVS) []string {
	lines := strings.Split(strings.TrimSpace(ovs.Ofctl("dump-flows")), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, " reply (OF1.5)") })
	for i, l := range lines {
		lines[i] = strings.TrimSpace(counters.ReplaceAllString(l, ""))
	}
	slices.Sort(lines)
	return lines
}

func diffLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	failed := 0
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			if failed++; failed > 8 {
				t.Fatalf("%s: and more", what)
			}
			t.Errorf("%s %d\n got %s\nwant %s", what, i, g, w)
		}
	}
}

// What this package installs, ovs-ofctl and DumpFlows give back the same, and
// matches come back with the same bytes.
func TestInstallAndDump(t *testing.T) {
	ovs, c := dial(t, ConnOptions{})
	ctx := testContext(t)
	if _, err := c.AddTLVMap(ctx, ovnOption); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(ctx, &MeterMod{Command: MeterAdd, Flags: MeterPktps, ID: 3, Bands: []MeterBand{{Rate: 100}}}); err != nil {
		t.Fatal(err)
	}
	messages := []Message{&GroupMod{Command: GroupAdd, Group: GroupDesc{ID: 9, GroupType: GroupAll}}}
	var flows []Flow
	for i, actions := range allActions {
		var m Match
		m.Set(FieldReg(0), uint64(i))
		m.SetMasked(FieldTunMetadata(0), 0x10002, 0xffff0000|0xff)
		encoded := EncodeActions(actions)
		switch text := FormatActions(actions); {
		case strings.Contains(text, "TTL") || strings.Contains(text, "ttl") || strings.Contains(text, "nw_"):
			m.Set(FieldEthType, 0x800)
		case strings.Contains(text, ",ct)"):
			m.Set(FieldEthType, 0x800)
			m.SetMasked(FieldCTState, 0x20, 0x30)
		case strings.Contains(text, "meter_id=7"):
			continue // no such meter
		}
		// Set-field has the prerequisites of a match on its field.
		for _, a := range actions {
			if s, ok := a.(SetField); ok {
				need(&m, s.Field)
			}
			if mv, ok := a.(Move); ok {
				need(&m, mv.Src.Field)
				need(&m, mv.Dst.Field)
			}
			if ct, ok := a.(CT); ok {
				m.Set(FieldEthType, 0x800)
				switch ct.ALG { // a helper is for a protocol
				case 21:
					m.Set(FieldIPProto, 6)
				case 69:
					m.Set(FieldIPProto, 17)
				}
				for _, n := range ct.Actions {
					if nat, ok := n.(NAT); ok && nat.Min.Is6() {
						m.Set(FieldEthType, 0x86dd)
					}
				}
			}
		}
		flows = append(flows, Flow{Table: 8, Priority: 100, Cookie: uint64(i), Match: m.Encode(), Actions: encoded})
	}
	gen := rapid.Custom(drawMatch)
	for i := range 400 {
		m := gen.Example(i)
		m.Unset(FieldIPFrag)
		m.Unset(FieldActsetOutput)
		flows = append(flows, Flow{Table: 9, Priority: uint16(i + 1), Cookie: uint64(i) << 32, Match: m.Encode(), Actions: EncodeActions([]Action{ToTable(10)})})
	}
	for _, f := range flows {
		messages = append(messages, AddFlow(f))
	}
	if err := c.Bundle(ctx, messages); err != nil {
		var be *BundleError
		if errors.As(err, &be) && be.Index > 0 {
			t.Fatalf("%v: %v", err, messages[be.Index].(*FlowMod).Flow)
		}
		t.Fatal(err)
	}
	stats, err := c.DumpFlows(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var ours, wanted []string
	matches := map[FlowKey]bool{}
	for _, f := range flows {
		matches[f.Key()] = true
		wanted = append(wanted, f.String())
	}
	for _, f := range stats {
		ours = append(ours, f.Flow.String())
		if !matches[f.Key()] {
			t.Errorf("came back with another match: %v\n%x", f.Flow, f.Match)
		}
	}
	slices.Sort(ours)
	slices.Sort(wanted)
	diffLines(t, "DumpFlows", ours, dumped(ovs))
	diffLines(t, "installed", ours, wanted)
}

// need adds what a field needs to a match.
func need(m *Match, f *Field) {
	switch f.needs {
	case needARP:
		m.Set(FieldEthType, 0x806)
	case needIPv4, needIP:
		m.Set(FieldEthType, 0x800)
	case needIPv6:
		m.Set(FieldEthType, 0x86dd)
	case needTCP:
		m.Set(FieldEthType, 0x800)
		m.Set(FieldIPProto, 6)
	case needUDP:
		m.Set(FieldEthType, 0x800)
		m.Set(FieldIPProto, 17)
	case needSCTP:
		m.Set(FieldEthType, 0x800)
		m.Set(FieldIPProto, 132)
	case needICMPv4:
		m.Set(FieldEthType, 0x800)
		m.Set(FieldIPProto, 1)
	case needICMPv6, needND, needNS, needNA:
		m.Set(FieldEthType, 0x86dd)
		m.Set(FieldIPProto, 58)
		switch f {
		case FieldNDTarget, FieldNDTLL:
			m.Set(FieldICMPv6Type, 136)
			m.Set(FieldICMPv6Code, 0)
		case FieldNDSLL:
			m.Set(FieldICMPv6Type, 135)
			m.Set(FieldICMPv6Code, 0)
		}
	case needVID:
		m.SetMasked(FieldVLANVID, 0x1000, 0x1000)
	}
}

// Invariant: a bundle with a message that the switch refuses changes nothing
// and names the message, whether it fails when it is added or when it is
// applied.
func TestBundleNamesFailure(t *testing.T) {
	ovs, c := dial(t, ConnOptions{})
	ctx := testContext(t)
	flow := func(i int) Message {
		var m Match
		m.Set(FieldReg(0), uint64(i))
		return AddFlow(Flow{Table: 8, Priority: 1, Match: m.Encode()})
	}
	var noPrerequisite Match
	noPrerequisite.Set(FieldTCPDst, 80)
	for name, tc := range map[string]struct {
		bad  Message
		code string
	}{
		"prerequisite":  {AddFlow(Flow{Table: 8, Match: noPrerequisite.Encode()}), "OFPBMC_BAD_PREREQ"},
		"bad action":    {AddFlow(Flow{Table: 8, Actions: []byte{0, 99, 0, 8, 0, 0, 0, 0}}), "OFPBAC_BAD_TYPE"},
		"unknown group": {AddFlow(Flow{Table: 8, Actions: EncodeActions([]Action{Group{ID: 77}})}), "OFPBAC_BAD_OUT_GROUP"},
		"table 254":     {AddFlow(Flow{Table: 255}), "OFPFMFC_BAD_TABLE_ID"},
		"group exists":  {&GroupMod{Command: GroupAdd, Group: GroupDesc{ID: 1}}, "OFPGMFC_GROUP_EXISTS"},
	} {
		t.Run(name, func(t *testing.T) {
			messages := []Message{&GroupMod{Command: GroupAdd, Group: GroupDesc{ID: 1}}}
			for i := range 200 {
				messages = append(messages, flow(i))
			}
			messages[123] = tc.bad
			err := c.Bundle(ctx, messages)
			var be *BundleError
			if !errors.As(err, &be) || be.Index != 123 || be.Err.Name() != tc.code {
				t.Errorf("error %v, want message 123, %s", err, tc.code)
			}
			if lines := dumped(ovs); len(lines) != 0 {
				t.Errorf("%d flows are there", len(lines))
			}
			messages = slices.Delete(messages, 123, 124)
			if err := c.Bundle(ctx, append(messages, &GroupMod{Command: GroupDelete, Group: GroupDesc{ID: GroupAny}}, &FlowMod{Command: FlowDelete, Flow: Flow{Table: TableAll}})); err != nil {
				t.Errorf("the rest: %v", err)
			}
		})
	}
}

// ADD of a flow that is there keeps its counters and its age.
func TestAddKeepsAge(t *testing.T) {
	_, c := dial(t, ConnOptions{})
	ctx := testContext(t)
	f := Flow{Table: 0, Priority: 7, Cookie: 1, Actions: EncodeActions([]Action{ToTable(1)})}
	if err := c.Bundle(ctx, []Message{AddFlow(f), AddFlow(Flow{Table: 1})}); err != nil {
		t.Fatal(err)
	}
	if err := c.Bundle(ctx, []Message{&PacketOut{Packet: make([]byte, 60), Actions: EncodeActions([]Action{ToTable(0)})}}); err != nil {
		t.Fatal(err)
	}
	stats := func() FlowStats {
		s, err := c.DumpTable(ctx, 0, 0, 0)
		if err != nil || len(s) != 1 {
			t.Fatalf("%v, %v", s, err)
		}
		return s[0]
	}
	for stats().Packets == 0 { // Open vSwitch pushes statistics when it likes
		if err := ctx.Err(); err != nil {
			t.Fatal("the packet is not counted")
		}
	}
	f.Cookie, f.Actions = 2, nil
	if err := c.Bundle(ctx, []Message{AddFlow(f)}); err != nil {
		t.Fatal(err)
	}
	if s := stats(); s.Packets != 1 || s.Bytes != 60 || s.Cookie != 2 || len(s.Actions) != 0 {
		t.Errorf("after ADD: %v", s)
	}
}

func TestGroupsPrintAsOfctl(t *testing.T) {
	ovs, c := dial(t, ConnOptions{})
	ctx := testContext(t)
	out := EncodeActions([]Action{Output{Port: 1}})
	var fields Match
	fields.SetBytes(FieldIPv4Src, []byte{255, 255, 255, 255}, nil)
	one := fields.Encode()
	fields.SetBytes(FieldEthDst, []byte{255, 0, 0, 0, 0, 0}, nil)
	groups := []GroupDesc{
		{ID: 1, GroupType: GroupAll, Buckets: []Bucket{{ID: 0, Actions: out}, {ID: 1}}},
		{ID: 2, GroupType: GroupSelect, SelectionMethod: "dp_hash", Buckets: []Bucket{{ID: 1, Weight: 100, Actions: out}, {ID: 2, Weight: 50, WatchPort: 3, Actions: out}}},
		{ID: 3, GroupType: GroupSelect, SelectionMethod: "hash", MethodParam: 5, MethodFields: fields.Encode(), Buckets: []Bucket{{ID: 1, Weight: 1, Actions: out}}},
		{ID: 4, GroupType: GroupSelect, SelectionMethod: "hash", MethodFields: one, Buckets: []Bucket{{ID: 1, Weight: 100, Actions: out}}},
		{ID: 5, GroupType: GroupFF, Buckets: []Bucket{{ID: 1, WatchPort: 1, Actions: out}, {ID: 2, WatchGroup: 1, Actions: out}}},
		{ID: 6, GroupType: GroupIndirect, Buckets: []Bucket{{ID: 0, Actions: EncodeActions([]Action{CT{Commit: true, Table: 5, Actions: []Action{NAT{Dst: true, Min: ip("1.1.1.1")}}}})}}},
		{ID: 7, GroupType: GroupAll},
	}
	var messages []Message
	for _, g := range groups {
		messages = append(messages, &GroupMod{Command: GroupAdd, Group: g})
	}
	if err := c.Bundle(ctx, messages); err != nil {
		t.Fatal(err)
	}
	dump, err := c.DumpGroups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got, sent []string
	for _, g := range dump {
		got = append(got, g.String())
	}
	for _, g := range groups {
		sent = append(sent, g.String())
	}
	want := strings.Split(strings.TrimSpace(ovs.Ofctl("dump-groups")), "\n")[1:]
	for i := range want {
		want[i] = strings.TrimSpace(want[i])
	}
	slices.Sort(got)
	slices.Sort(want)
	diffLines(t, "group", got, want)
	diffLines(t, "group as sent", got, sent)
}

func TestTLVTable(t *testing.T) {
	ovs, c := dial(t, ConnOptions{})
	ctx := testContext(t)
	m := ovnOption
	m.Index = 5
	for range 2 {
		if i, err := c.AddTLVMap(ctx, m); err != nil || i != 5 {
			t.Fatalf("index %d, %v", i, err)
		}
	}
	m.Index = 7 // mapped already, to 5
	if i, err := c.AddTLVMap(ctx, m); err != nil || i != 5 {
		t.Errorf("index %d, %v", i, err)
	}
	if out := ovs.Ofctl("dump-tlv-map"); !regexp.MustCompile(`0x102\s+0x80\s+4\s+tun_metadata5`).MatchString(out) {
		t.Errorf("dump-tlv-map: %s", out)
	}
	_, err := c.AddTLVMap(ctx, TLVMap{Class: 1, Option: 1, Length: 4, Index: 5})
	var e *Error
	if !errors.As(err, &e) || e.Name() != "NXTTMFC_ALREADY_MAPPED" {
		t.Errorf("index in use: %v", err)
	}
}

// A packet goes out through the tables, comes to the controller, pauses and
// resumes.
func TestPacketInAndResume(t *testing.T) {
	packets := make(chan *PacketIn, 10)
	ovs, c := dial(t, ConnOptions{PacketIn: func(p *PacketIn) { packets <- p }})
	_ = ovs
	ctx := testContext(t)
	var m Match
	m.Set(FieldMetadata, 5)
	err := c.Bundle(ctx, []Message{
		AddFlow(Flow{Table: 8, Cookie: 0x77, Match: m.Encode(), Actions: EncodeActions([]Action{
			SetUint(FieldReg(3), 42), Controller{MaxLen: 0xffff, Reason: ReasonAction, UserData: []byte{0, 1, 9}, Pause: true}, ToTable(9)})}),
		AddFlow(Flow{Table: 9, Cookie: 0x78, Match: m.Encode(), Actions: EncodeActions([]Action{ToController(2)})}),
	})
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 50)...)
	if err := c.Send(&PacketOut{Packet: frame, Actions: EncodeActions([]Action{SetUint(FieldMetadata, 5), ToTable(8)})}); err != nil {
		t.Fatal(err)
	}
	next := func() *PacketIn {
		select {
		case p := <-packets:
			return p
		case <-ctx.Done():
			t.Fatal("no packet")
		}
		return nil
	}
	p := next()
	// Open vSwitch names no table and cookie of a packet that pauses inside of
	// resubmit.
	if reg, _ := p.Metadata.Uint(FieldReg(3)); string(p.UserData) != "\x00\x01\x09" || reg != 42 || string(p.Packet) != string(frame) || len(p.Continuation) == 0 {
		t.Errorf("packet %+v", p)
	}
	p.Metadata.Set(FieldReg(3), 43)
	if err := c.Do(ctx, &Resume{*p}); err != nil {
		t.Fatal(err)
	}
	p = next()
	if reg, _ := p.Metadata.Uint(FieldReg(3)); p.Table != 9 || p.Cookie != 0x78 || string(p.UserData) != "\x02" || reg != 43 {
		t.Errorf("resumed packet %+v", p)
	}
}

func TestPortsAndMeters(t *testing.T) {
	changed := make(chan *PortStatus, 10)
	ovs, c := dial(t, ConnOptions{Async: func(m Message) {
		if p, ok := m.(*PortStatus); ok {
			changed <- p
		}
	}})
	ctx := testContext(t)
	ovs.AddPort("p4", 4)
	select {
	case p := <-changed:
		if p.Reason != PortAdded || p.Port.Number != 4 || p.Port.Name != "p4" {
			t.Errorf("port status %+v", p)
		}
	case <-ctx.Done():
		t.Fatal("no port status")
	}
	ports, err := c.DumpPorts(ctx)
	if err != nil || len(ports) != 2 {
		t.Fatalf("ports %v, %v", ports, err)
	}
	show := ovs.Ofctl("show")
	for _, p := range ports {
		if !strings.Contains(show, p.String()) {
			t.Errorf("%v is not in %s", p, show)
		}
	}
	want := MeterMod{Flags: MeterKbps | MeterBurst | MeterStats, ID: 3, Bands: []MeterBand{{Rate: 100, Burst: 50}}}
	if err := c.Do(ctx, &want); err != nil {
		t.Fatal(err)
	}
	meters, err := c.DumpMeters(ctx)
	if err != nil || fmt.Sprint(meters) != fmt.Sprint([]MeterMod{want}) {
		t.Errorf("meters %v, %v", meters, err)
	}
	if err := c.Do(ctx, &MeterMod{Command: MeterAdd, Flags: MeterKbps, ID: 3, Bands: []MeterBand{{Rate: 1}}}); err == nil || !strings.Contains(err.Error(), "OFPMMFC_METER_EXISTS") {
		t.Errorf("meter twice: %v", err)
	}
	if err := c.Do(ctx, &CTFlushZone{Zone: 7}); err != nil {
		t.Errorf("flush zone: %v", err)
	}
}

// A crash of ovs-vswitchd ends the connection and all calls on it.
func TestSwitchDies(t *testing.T) {
	ovs, c := dial(t, ConnOptions{})
	ovs.KillVswitchd()
	<-c.Done()
	if err := c.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	if err := c.Barrier(testContext(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("barrier: %v", err)
	}
	if err := c.Bundle(testContext(t), []Message{AddFlow(Flow{})}); !errors.Is(err, ErrClosed) {
		t.Errorf("bundle: %v", err)
	}
}
