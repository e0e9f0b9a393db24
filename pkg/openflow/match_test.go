package openflow

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func ExampleMatch() {
	var m Match
	m.Set(FieldReg(14), 1)
	m.Set(FieldMetadata, 5)
	m.Set(FieldEthType, 0x0800)
	m.SetMasked(FieldIPv4Dst, 0x0a000000, 0xffffff00)
	fmt.Println(m.Validate(), m)
	fmt.Printf("%x\n", m.Encode())
	// Output:
	// <nil> ip,reg14=0x1,metadata=0x5,nw_dst=10.0.0.0/24
	// 80000408000000000000000500011c040000000180000a020800800019080a000000ffffff00
}

func ExampleFlow() {
	var m Match
	m.Set(FieldMetadata, 1)
	f := Flow{Table: 8, Priority: 50, Cookie: 0x1000000200000003, Match: m.Encode(),
		Actions: EncodeActions([]Action{SetBits(FieldReg(10), 4, 4, 1), ToTable(9)})}
	fmt.Println(f)
	// Output:
	// cookie=0x1000000200000003, table=8, priority=50,metadata=0x1 actions=set_field:0x10/0x10->reg10,resubmit(,9)
}

// Metadata comes first, so that its value can be written later.
func TestRelocation(t *testing.T) {
	var m Match
	m.Set(FieldEthDst, 0x0a0000000001)
	m.Set(FieldReg(14), 3)
	b, offset := m.EncodeRelocatable()
	if at := MetadataOffset(b); at != offset {
		t.Errorf("MetadataOffset %d, EncodeRelocatable %d", at, offset)
	}
	if m.index(FieldMetadata) >= 0 {
		t.Error("EncodeRelocatable changed the match")
	}
	binary.BigEndian.PutUint64(b[offset:], 77)
	m.Set(FieldMetadata, 77)
	if want := m.Encode(); !bytes.Equal(b, want) {
		t.Errorf("relocated %x, want %x", b, want)
	}
	m.SetMasked(FieldMetadata, 1, 1)
	for name, encoded := range map[string][]byte{"masked": m.Encode(), "none": {}, "other": matchOn(5)} {
		if at := MetadataOffset(encoded); at != -1 {
			t.Errorf("%s: offset %d", name, at)
		}
	}
}

// Rule: matches that mean the same have the same bytes.
func TestCanonical(t *testing.T) {
	build := func(fn func(*Match)) string {
		var m Match
		fn(&m)
		if err := m.Validate(); err != nil {
			t.Errorf("%v: %v", m, err)
		}
		return hex.EncodeToString(m.Encode())
	}
	for _, tc := range []struct {
		name string
		a, b func(*Match)
	}{
		{"order", func(m *Match) { m.Set(FieldReg(1), 1); m.Set(FieldMetadata, 2) }, func(m *Match) { m.Set(FieldMetadata, 2); m.Set(FieldReg(1), 1) }},
		{"mask of all ones", func(m *Match) { m.SetMasked(FieldReg(1), 5, 0xffffffff) }, func(m *Match) { m.Set(FieldReg(1), 5) }},
		{"mask of all 13 bits", func(m *Match) { m.SetMasked(FieldVLANVID, 0x1005, 0x1fff) }, func(m *Match) { m.Set(FieldVLANVID, 0x1005) }},
		{"masked-out bits", func(m *Match) { m.SetMasked(FieldReg(1), 0xff, 0xf) }, func(m *Match) { m.SetMasked(FieldReg(1), 0xf, 0xf) }},
		{"empty mask", func(m *Match) { m.Set(FieldReg(1), 5); m.SetMasked(FieldReg(1), 5, 0) }, func(m *Match) {}},
		{"xreg", func(m *Match) { m.Set(FieldXReg(1), 0x100000002) }, func(m *Match) { m.Set(FieldReg(2), 1); m.Set(FieldReg(3), 2) }},
		{"half of an xreg", func(m *Match) { m.SetMasked(FieldXReg(1), 0x100000002, 0xffffffff) }, func(m *Match) { m.Set(FieldReg(3), 2) }},
		{"xxreg", func(m *Match) { m.SetBytes(FieldXXReg(1), ip("fe80::1").AsSlice(), nil) },
			func(m *Match) {
				m.Set(FieldReg(4), 0xfe800000)
				m.Set(FieldReg(5), 0)
				m.Set(FieldReg(6), 0)
				m.Set(FieldReg(7), 1)
			}},
		{"xxreg gone", func(m *Match) { m.Set(FieldXXReg(1), 1); m.Unset(FieldXXReg(1)) }, func(m *Match) {}},
		{"vlan_tci", func(m *Match) { m.Set(FieldVLANTCI, 0xf005) }, func(m *Match) { m.Set(FieldVLANVID, 0x1005); m.Set(FieldVLANPCP, 7) }},
		{"no VLAN", func(m *Match) { m.Set(FieldVLANTCI, 0) }, func(m *Match) { m.Set(FieldVLANVID, 0) }},
		{"replaced", func(m *Match) { m.Set(FieldReg(1), 5); m.Set(FieldReg(1), 6) }, func(m *Match) { m.Set(FieldReg(1), 6) }},
	} {
		if a, b := build(tc.a), build(tc.b); a != b {
			t.Errorf("%s: %s and %s", tc.name, a, b)
		}
	}
}

// A copy of a match is another match.
func TestMatchIsValue(t *testing.T) {
	var m Match
	m.Set(FieldReg(1), 1)
	a, b := m, m
	a.Set(FieldReg(2), 2)
	b.Set(FieldReg(3), 3)
	b.Set(FieldReg(1), 9)
	a.Unset(FieldReg(1))
	if m.String() != "reg1=0x1" || a.String() != "reg2=0x2" || b.String() != "reg1=0x9,reg3=0x3" {
		t.Errorf("%v; %v; %v", m, a, b)
	}
}

func TestValidate(t *testing.T) {
	set := func(pairs ...any) (m Match) {
		for i := 0; i < len(pairs); i += 2 {
			m.Set(pairs[i].(*Field), uint64(pairs[i+1].(int)))
		}
		return m
	}
	masked := set(FieldEthType, 0x800)
	masked.SetMasked(FieldIPProto, 6, 7)
	short := Match{}
	short.SetBytes(FieldEthDst, []byte{1, 2, 3}, nil)
	fragment := set(FieldEthType, 0x800, FieldIPProto, 6, FieldTCPDst, 80, FieldIPFrag, 3)
	for _, tc := range []struct {
		m    Match
		want error
	}{
		{set(FieldEthType, 0x800, FieldIPProto, 6, FieldTCPDst, 80), nil},
		{set(FieldEthType, 0x86dd, FieldIPProto, 6, FieldTCPDst, 80), nil},
		{set(FieldIPProto, 6, FieldTCPDst, 80), ErrPrerequisite},
		{set(FieldEthType, 0x800, FieldTCPDst, 80), ErrPrerequisite},
		{set(FieldEthType, 0x800, FieldIPProto, 17, FieldTCPDst, 80), ErrPrerequisite},
		{set(FieldEthType, 0x86dd, FieldIPv4Src, 1), ErrPrerequisite},
		{set(FieldEthType, 0x800, FieldARPOp, 1), ErrPrerequisite},
		{set(FieldEthType, 0x86dd, FieldIPProto, 58, FieldICMPv6Type, 135, FieldICMPv6Code, 0, FieldNDSLL, 1), nil},
		{set(FieldEthType, 0x86dd, FieldIPProto, 58, FieldICMPv6Type, 136, FieldICMPv6Code, 0, FieldNDSLL, 1), ErrPrerequisite},
		{set(FieldVLANVID, 5, FieldVLANPCP, 1), ErrPrerequisite},
		{set(FieldEthType, 0x800, FieldCTNwSrc, 1), ErrPrerequisite},
		{fragment, ErrPrerequisite},
		{set(FieldEthType, 0x10000), ErrValue},
		{set(FieldIPDSCP, 64), ErrValue},
		{masked, ErrValue},
		{short, ErrValue},
	} {
		if err := tc.m.Validate(); !errors.Is(err, tc.want) {
			t.Errorf("%v: %v, want %v", tc.m, err, tc.want)
		}
	}
}

func TestParseMatchErrors(t *testing.T) {
	for name, in := range map[string]string{
		"half a header": "8000",
		"cut short":     "80000408000000",
		"twice":         "000100040000000100010004" + "00000001",
		"mask on proto": "80001502" + "0607",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := ParseMatch(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	// What is unknown is kept.
	in, _ := hex.DecodeString("ffff000400000001" + "000100040000000500015008" + strings.Repeat("01", 8))
	m, err := ParseMatch(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(m.Encode()); got != "0001000400000005"+"000150080101010101010101"+"ffff000400000001" {
		t.Errorf("encoded again: %s", got)
	}
}

func TestFieldTable(t *testing.T) {
	for i, f := range Fields() {
		if f.order != i || FieldByHeader(f.Header()) != f || FieldByHeader(f.Header()|0x100) != f {
			t.Errorf("%v: order %d, by header %v", f, f.order, FieldByHeader(f.Header()))
		}
		if FieldByName(f.Name) != f && f != FieldInPortNXM {
			t.Errorf("%v: by name %v", f, FieldByName(f.Name))
		}
		if f.Size()*8 < f.Bits || f.Size() > maxValue {
			t.Errorf("%v: %d bits in %d bytes", f, f.Bits, f.Size())
		}
	}
	for name, f := range map[string]*Field{"dl_dst": FieldEthDst, "in_port": FieldInPort, "NXM_NX_REG3": FieldReg(3), "ipv4_src": FieldIPv4Src, "nothing": nil} {
		if got := FieldByName(name); got != f {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// benchFlows are like those of logical switches: a destination and a port.
func benchFlows(n int) []Message {
	r := rand.New(rand.NewPCG(1, 2))
	messages := make([]Message, n)
	for i := range messages {
		var m Match
		m.Set(FieldMetadata, uint64(i%500))
		m.Set(FieldReg(14), uint64(i))
		m.Set(FieldEthDst, r.Uint64N(1<<48))
		messages[i] = AddFlow(Flow{Table: uint8(8 + i%20), Priority: 50, Cookie: uint64(i), Match: m.Encode(),
			Actions: EncodeActions([]Action{SetUint(FieldReg(15), uint64(i)), ToTable(37)})})
	}
	return messages
}

func BenchmarkEncodeBundle50k(b *testing.B) {
	messages := benchFlows(50_000)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		for i, m := range messages {
			buf, _ = AppendMessage(buf[:0], uint32(i), &BundleAdd{ID: 1, XID: uint32(i), Message: m})
		}
	}
}

func BenchmarkDecodeFlowDump50k(b *testing.B) {
	var parts [][]byte
	var m MultipartReply
	for i, f := range benchFlows(50_000) {
		m.Kind = MultipartFlowDesc
		m.Flows = append(m.Flows, FlowStats{Flow: f.(*FlowMod).Flow})
		if len(m.Flows) == 400 || i == 49_999 {
			part, err := EncodeMessage(1, &m)
			if err != nil {
				b.Fatal(err)
			}
			parts, m.Flows = append(parts, part), nil
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range parts {
			if _, _, err := DecodeMessage(p); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBundle50k installs 50,000 flows in a real ovs-vswitchd and dumps them.
func BenchmarkBundle50k(b *testing.B) {
	_, c := dial(b, ConnOptions{})
	ctx := testContext(b)
	messages := benchFlows(50_000)
	b.Run("install", func(b *testing.B) {
		for b.Loop() {
			if err := c.Bundle(ctx, messages); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("dump", func(b *testing.B) {
		for b.Loop() {
			if flows, err := c.DumpFlows(ctx); err != nil || len(flows) != len(messages) {
				b.Fatal(len(flows), err)
			}
		}
	})
}

// TestMatchInPlace makes matches field by field in any order, in place and by
// copies: they are the same, and what Done gave out does not change any more.
func TestMatchInPlace(t *testing.T) {
	steps := []struct {
		f    *Field
		v, k uint64
	}{
		{FieldIPv4Dst, 0x0a000001, ^uint64(0)}, {FieldEthType, ethTypeIPv4, ^uint64(0)}, {FieldMetadata, 7, ^uint64(0)},
		{FieldReg(14), 3, 0xff}, {FieldIPv4Dst, 0x0a000002, ^uint64(0)}, {FieldReg(14), 0, 0}, {FieldVLANTCI, 0x1005, 0x1fff}, {FieldMetadata, 7, ^uint64(0)},
	}
	var copied Match
	m := NewMatch(2)
	for i, s := range steps {
		copied.SetMasked(s.f, s.v, s.k)
		m.SetMasked(s.f, s.v, s.k)
		if !bytes.Equal(m.Encode(), copied.Encode()) {
			t.Fatalf("after step %d: %s in place, %s by copies", i, m, &copied)
		}
	}
	done := m.Done()
	before := done.Encode()
	again := done
	again.Set(FieldIPProto, protoTCP)
	if !bytes.Equal(done.Encode(), before) {
		t.Errorf("a copy of a match changed the match to %s", &done)
	}
	if m.Reset(); !m.Empty() {
		t.Errorf("a match that was reset is %s", m)
	}
}
