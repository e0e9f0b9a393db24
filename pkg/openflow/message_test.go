package openflow

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Errors have the names that Open vSwitch logs.
func TestErrorsNamedAsOfctl(t *testing.T) {
	var messages []Message
	for typ := range uint16(18) {
		for code := range uint16(22) {
			messages = append(messages, &Error{ErrType: typ, Code: code, Data: make([]byte, 8)})
		}
	}
	for code := range uint16(60) {
		messages = append(messages, &Error{ErrType: errExperimenter, Code: code, Vendor: nxVendor, Data: make([]byte, 8)})
	}
	printed := ofpPrint(t, messages...)
	if len(printed) != len(messages) {
		t.Fatalf("%d messages, ovs-ofctl printed %d", len(messages), len(printed))
	}
	named := 0
	for i, p := range printed {
		name, _, _ := strings.Cut(p, "\n")
		if strings.HasPrefix(name, "***") {
			continue // it does not know the error
		}
		if named++; messages[i].(*Error).Name() != name {
			t.Errorf("%+v is %q, want %q", messages[i], messages[i].(*Error).Name(), name)
		}
	}
	if named < 150 {
		t.Errorf("only %d names compared", named)
	}
}

// allMessages has every message that this package knows.
func allMessages() map[string]Message {
	var metadata Match
	metadata.Set(FieldMetadata, 5)
	metadata.Set(FieldInPort, 3)
	flow := flowWith(metadata, ToTable(9))
	flow.IdleTimeout, flow.HardTimeout, flow.Importance, flow.Flags = 1, 2, 3, FlagSendFlowRemoved
	group := GroupDesc{ID: 5, GroupType: GroupSelect, SelectionMethod: "dp_hash", MethodParam: 1, Buckets: []Bucket{
		{ID: 1, Weight: 2, WatchPort: 3, WatchGroup: 4, Actions: flow.Actions}, {ID: 2, Weight: 1, Actions: []byte{}}}, MethodFields: []byte{}}
	packet := PacketIn{Packet: []byte("packet"), FullLen: 60, Table: 8, Cookie: 9, Reason: ReasonAction, Metadata: metadata,
		UserData: []byte{1, 2}, Continuation: []byte{3, 4, 5}}
	add := &FlowMod{Command: FlowAdd, Flow: flow.Flow, IdleTimeout: 1, HardTimeout: 2, Importance: 7, Flags: FlagResetCounts,
		Instructions: []byte{0, 1, 0, 8, 9, 0, 0, 0}}
	return map[string]Message{
		"hello":           &Hello{Versions: 1 << Version},
		"error":           &Error{ErrType: 4, Code: 9, Data: []byte("data")},
		"nicira error":    &Error{ErrType: errExperimenter, Vendor: nxVendor, Code: 20, Data: []byte("data")},
		"echo":            &EchoRequest{Data: []byte("x")},
		"echo reply":      &EchoReply{Data: []byte("x")},
		"features":        &FeaturesRequest{},
		"features reply":  &FeaturesReply{DatapathID: 1, Buffers: 2, Tables: 254, AuxiliaryID: 1, Capabilities: 7},
		"set config":      &SetConfig{Flags: 1, MissSendLen: 0xffff},
		"barrier":         &BarrierRequest{},
		"barrier reply":   &BarrierReply{},
		"get async":       &GetAsyncRequest{},
		"get async reply": &GetAsyncReply{AsyncConfig{Masks: map[uint16]uint32{1: 2, 3: 4}}},
		"set async":       &SetAsync{AsyncConfig{Masks: map[uint16]uint32{1: 2}}},
		"bundle control":  &BundleControl{ID: 1, Control: BundleCommitRequest, Flags: 3},
		"bundle add":      &BundleAdd{ID: 1, Flags: 3, XID: 77, Message: add},
		"flow add":        add,
		"flow delete":     &FlowMod{Command: FlowDelete, Flow: Flow{Table: TableAll, Cookie: 5, Match: flow.Match}, CookieMask: 0xff, OutPort: 3, OutGroup: 4},
		"group":           &GroupMod{Command: GroupAdd, Group: group},
		"bucket":          &GroupMod{Command: GroupInsertBucket, Group: GroupDesc{ID: 5, GroupType: GroupSelect, Buckets: []Bucket{{ID: 7, Weight: 1, Actions: []byte{}}}}, CommandBucketID: BucketLast},
		"meter":           &MeterMod{Command: MeterModify, Flags: MeterKbps, ID: 1, Bands: []MeterBand{{Rate: 1, Burst: 2}, {Rate: 3}}},
		"packet in":       &packet,
		"resume":          &Resume{packet},
		"packet out":      &PacketOut{Packet: []byte("packet"), Match: metadata, Actions: flow.Actions},
		"format":          &SetPacketInFormat{Format: PacketInNXT2},
		"controller id":   &SetControllerID{ID: 7},
		"flush zone":      &CTFlushZone{Zone: 5},
		"tlv mod":         &TLVTableMod{Command: TLVDelete, Maps: []TLVMap{ovnOption}},
		"tlv request":     &TLVTableRequest{},
		"tlv reply":       &TLVTableReply{MaxOptionSpace: 256, MaxFields: 64, Maps: []TLVMap{ovnOption}},
		"flows":           &MultipartReply{Kind: MultipartFlowDesc, More: true, Flows: []FlowStats{flow, flow}},
		"group stats":     &MultipartReply{Kind: MultipartGroupStats, GroupStats: []GroupStats{{ID: 5, Refs: 2, Packets: 7, Bytes: 700, Duration: 3*time.Second + 5, Buckets: []BucketStats{{3, 300}, {4, 400}}}, {ID: 6}}},
		"groups":          &MultipartReply{Kind: MultipartGroupDesc, Groups: []GroupDesc{group, group}},
		"ports":           &MultipartReply{Kind: MultipartPortDesc, Ports: []Port{{Number: 1, Name: "p1"}, {Number: 2, MAC: [6]byte{1}, Config: 1, State: 2}}},
		"meters":          &MultipartReply{Kind: MultipartMeterDesc, Meters: []MeterMod{{Flags: 1, ID: 2, Bands: []MeterBand{{Rate: 1}}}, {ID: 3}}},
		"description":     &MultipartReply{Kind: MultipartDesc, Body: []byte("something")},
		"flow request":    FlowDescRequest(3, 5, 7),
		"port status":     &PortStatus{Reason: PortDeleted, Port: Port{Number: 5, Name: "vm1"}},
		"raw":             &RawMessage{MessageType: 99, Body: []byte("x")},
		"experimenter":    &RawMessage{MessageType: TypeExperimenter, Body: []byte("12345678")},
	}
}

var byBytes = cmp.Options{
	cmp.Comparer(func(a, b Match) bool { return bytes.Equal(a.Encode(), b.Encode()) }),
	cmp.Transformer("nilIsEmpty", func(b []byte) string { return string(b) }),
}

func TestMessagesRoundTrip(t *testing.T) {
	for name, m := range allMessages() {
		b, err := EncodeMessage(77, m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, xid, err := DecodeMessage(b)
		if err != nil || xid != 77 {
			t.Errorf("%s: xid %d, %v", name, xid, err)
			continue
		}
		if diff := cmp.Diff(m, got, byBytes); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		// Nothing that is cut short is taken for whole.
		for n := range b {
			if _, _, err := DecodeMessage(b[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes decode", name, n, len(b))
			}
		}
	}
}

// ovs-ofctl reads every message that has a meaning for a switch.
func TestMessagesReadByOfctl(t *testing.T) {
	all := allMessages()
	all["packet in"].(*PacketIn).Continuation = nil
	all["packet in"].(*PacketIn).FullLen = 0
	for _, name := range []string{"raw", "experimenter", "description", "bundle add", "flow request", "resume"} {
		delete(all, name)
	}
	for name, m := range all {
		for _, p := range ofpPrint(t, m) {
			if strings.Contains(p, "***") || strings.Contains(p, "rror") && !strings.Contains(name, "error") {
				t.Errorf("%s: %s", name, p)
			}
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range allMessages() {
		b, err := EncodeMessage(1, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, xid, err := DecodeMessage(b)
		if err != nil {
			return
		}
		again, err := EncodeMessage(xid, m)
		if err != nil {
			return // what is not canonical may get longer
		}
		m2, _, err := DecodeMessage(again)
		if err != nil {
			t.Fatalf("%#v\nencoded %x: %v", m, again, err)
		}
		if third, err := EncodeMessage(xid, m2); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("encoded %x, then %x, %v", again, third, err)
		}
	})
}

func FuzzDecodeActions(f *testing.F) {
	for _, a := range allActions {
		f.Add(EncodeActions(a))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		actions, err := DecodeActions(b)
		if err != nil {
			return
		}
		_ = FormatActions(actions)
		again := EncodeActions(actions)
		second, err := DecodeActions(again)
		if err != nil {
			t.Fatalf("%s encoded as %x: %v", FormatActions(actions), again, err)
		}
		if third := EncodeActions(second); !bytes.Equal(again, third) {
			t.Fatalf("encoded %x, then %x", again, third)
		}
	})
}

func FuzzParseMatch(f *testing.F) {
	var m Match
	for _, field := range Fields() {
		m.Set(field, 0x85)
	}
	f.Add(m.Encode())
	m = Match{}
	m.SetMasked(FieldMetadata, 5, 7)
	f.Add(m.Encode())
	f.Add([]byte{0xff, 0xff, 0, 4, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMatch(b)
		if err != nil {
			return
		}
		_ = m.String()
		_ = m.Validate()
		c := m.Encode()
		if again, err := CanonicalMatch(c); err != nil || !bytes.Equal(c, again) {
			t.Fatalf("canonical %x, then %x, %v", c, again, err)
		}
	})
}
