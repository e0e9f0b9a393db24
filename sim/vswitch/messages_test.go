package vswitch

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"govn/pkg/openflow"
)

// script builds messages with consecutive transaction ids.
type script struct {
	t    testing.TB
	list [][]byte
}

func (s *script) add(m openflow.Message) {
	s.list = append(s.list, encode(s.t, uint32(len(s.list)+10), m))
}

// bytes adds a message of any type.
func (s *script) bytes(typ uint8, body []byte) {
	s.add(&openflow.RawMessage{MessageType: typ, Body: body})
}

func (s *script) control(id uint32, what, flags uint16) {
	s.add(&openflow.BundleControl{ID: id, Control: what, Flags: flags})
}

const atomic = openflow.BundleAtomic | openflow.BundleOrdered

func (s *script) bundle(id uint32, m openflow.Message) {
	s.add(&openflow.BundleAdd{ID: id, Flags: atomic, XID: uint32(len(s.list) + 10), Message: m})
}

// open, messages, commit.
func (s *script) whole(id uint32, messages ...openflow.Message) {
	s.control(id, openflow.BundleOpenRequest, atomic)
	for _, m := range messages {
		s.bundle(id, m)
	}
	s.control(id, openflow.BundleCommitRequest, atomic)
}

// flowMod is an ADD from raw parts.
func flowMod(table uint8, priority uint16, match []byte, actions ...openflow.Action) *openflow.FlowMod {
	return openflow.AddFlow(openflow.Flow{Table: table, Priority: priority, Match: match, Actions: openflow.EncodeActions(actions)})
}

func oxm(header uint32, value ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, header), value...)
}

func output(p uint32) openflow.Action { return openflow.Output{Port: p} }

func allGroup(id uint32, actions ...openflow.Action) openflow.GroupDesc {
	return openflow.GroupDesc{ID: id, GroupType: openflow.GroupAll, Buckets: []openflow.Bucket{{Actions: openflow.EncodeActions(actions)}}}
}

// experimenter is a Nicira action of a subtype.
func experimenter(sub uint16, body ...byte) openflow.RawAction {
	b := []byte{0xff, 0xff, 0, byte(10 + len(body)), 0, 0, 0x23, 0x20}
	return append(binary.BigEndian.AppendUint16(b, sub), body...)
}

// The same messages, good and bad, get the same replies and leave the same flows
// and groups.
func TestMessages(t *testing.T) {
	ethIPv4 := oxm(openflow.FieldEthType.Header(), 8, 0)
	tcp := slices.Concat(ethIPv4, oxm(openflow.FieldIPProto.Header(), 6))
	for _, tt := range []struct {
		name string
		make func(s *script)
	}{
		{"a bundle", func(s *script) {
			s.whole(1, flowMod(1, 5, nil, output(1)), &openflow.GroupMod{Command: openflow.GroupAdd, Group: allGroup(5, output(2))},
				flowMod(1, 6, ethIPv4, openflow.Group{ID: 5}), flowMod(1, 6, tcp, output(2)))
		}},
		{"a bundle that fails in the middle", func(s *script) {
			s.add(flowMod(1, 1, nil, output(3)))
			s.whole(2, flowMod(1, 1, nil, output(1)), flowMod(1, 2, nil, openflow.Group{ID: 77}), flowMod(1, 3, nil, output(1)))
			s.whole(2, flowMod(1, 4, nil, output(1)))
		}},
		{"a bundle undone over groups and deletions", func(s *script) {
			s.add(&openflow.GroupMod{Command: openflow.GroupAdd, Group: allGroup(5, output(2))})
			s.add(flowMod(2, 1, nil, openflow.Group{ID: 5}))
			s.add(flowMod(2, 2, ethIPv4, output(1)))
			s.whole(9, &openflow.FlowMod{Command: openflow.FlowDelete, Flow: openflow.Flow{Table: openflow.TableAll}},
				flowMod(2, 2, ethIPv4, output(4)), &openflow.GroupMod{Command: openflow.GroupDelete, Group: openflow.GroupDesc{ID: 5}},
				&openflow.GroupMod{Command: openflow.GroupAdd, Group: allGroup(6, output(2))},
				&openflow.GroupMod{Command: openflow.GroupAdd, Group: allGroup(6, output(2))})
		}},
		{"bad messages inside of a bundle", func(s *script) {
			s.control(3, openflow.BundleOpenRequest, atomic)
			s.bundle(3, flowMod(1, 1, oxm(openflow.FieldTCPDst.Header(), 0, 80), output(1)))
			s.bundle(3, flowMod(1, 1, nil, output(1)))
			s.bundle(3, &openflow.BarrierRequest{})
			s.bundle(3, &openflow.MeterMod{Command: openflow.MeterAdd, ID: 1, Flags: openflow.MeterKbps})
			s.add(&openflow.BundleAdd{ID: 3, Flags: atomic, XID: 12345, Message: flowMod(1, 2, nil, output(1))})
			s.control(3, openflow.BundleCommitRequest, atomic)
		}},
		{"bundles out of order", func(s *script) {
			s.control(4, openflow.BundleCommitRequest, atomic)
			s.control(4, openflow.BundleDiscardRequest, atomic)
			s.control(4, openflow.BundleCloseRequest, atomic)
			s.control(4, openflow.BundleOpenRequest, atomic)
			s.control(4, openflow.BundleOpenRequest, atomic)
			s.control(4, openflow.BundleOpenRequest, atomic)
			s.control(4, openflow.BundleCloseRequest, atomic)
			s.bundle(4, flowMod(1, 1, nil, output(1)))
			s.control(5, openflow.BundleOpenRequest, atomic)
			s.control(5, openflow.BundleCloseRequest, atomic)
			s.control(5, openflow.BundleCloseRequest, atomic)
			s.control(6, openflow.BundleOpenRequest, atomic)
			s.bundle(6, flowMod(1, 7, nil, output(1)))
			s.control(6, openflow.BundleCloseRequest, atomic)
			s.control(6, openflow.BundleCommitRequest, atomic)
			s.control(7, openflow.BundleOpenRequest, openflow.BundleAtomic)
			s.bundle(7, flowMod(1, 8, nil, output(1)))
			s.bundle(8, flowMod(1, 9, nil, output(1)))
			s.control(8, openflow.BundleCommitRequest, atomic)
			s.control(9, openflow.BundleOpenRequest, atomic)
			s.control(9, openflow.BundleCommitRequest, openflow.BundleOrdered)
			s.control(10, 9, atomic)
			s.control(11, openflow.BundleOpenRequest, 0x80)
		}},
		{"a packet-out in a bundle", func(s *script) {
			s.whole(1, flowMod(1, 5, nil, output(1)), &openflow.PacketOut{Packet: udp("10.0.0.1", 1, "10.0.0.2", 2), Actions: openflow.EncodeActions([]openflow.Action{output(1)})})
		}},
		{"matches", func(s *script) {
			for _, m := range [][]byte{
				oxm(openflow.FieldIPv4Src.Header(), 1, 2, 3, 4),
				slices.Concat(ethIPv4, ethIPv4),
				slices.Concat(oxm(openflow.FieldTCPDst.Header(), 0, 80), tcp),
				slices.Concat(tcp, oxm(openflow.FieldTCPDst.Header(), 0, 80)),
				slices.Concat(tcp, oxm(openflow.FieldUDPDst.Header(), 0, 80)),
				oxm(openflow.FieldEthType.Header()&^0xff|0x104, 8, 0, 0xff, 0xff),
				oxm(openflow.FieldEthType.Header()&^0xff|0x104, 8, 0, 0xff, 0),
				oxm(openflow.FieldReg(0).Header()&^0xff|0x108, 0, 0, 0, 7, 0, 0, 0, 1),
				oxm(openflow.FieldReg(0).Header()&^0xff|0x108, 0, 0, 0, 1, 0, 0, 0, 1),
				oxm(openflow.FieldReg(0).Header()&^0xff|0x108, 0, 0, 0, 0, 0, 0, 0, 0),
				oxm(0x80004e04, 0, 0, 0, 0),
				oxm(openflow.FieldInPort.Header(), 0, 1, 0, 0),
				oxm(openflow.FieldInPort.Header(), 0xff, 0xff, 0xff, 0xfe),
				oxm(openflow.FieldVLANVID.Header(), 0x20, 0),
				oxm(openflow.FieldVLANVID.Header(), 0x10, 5),
				oxm(openflow.FieldVLANVID.Header(), 0, 0),
				oxm(openflow.FieldVLANPCP.Header(), 1),
				slices.Concat(oxm(openflow.FieldVLANVID.Header(), 0x10, 5), oxm(openflow.FieldVLANPCP.Header(), 9)),
				slices.Concat(ethIPv4, oxm(openflow.FieldIPDSCP.Header(), 0x40)),
				slices.Concat(oxm(openflow.FieldEthType.Header(), 8, 6), oxm(openflow.FieldARPOp.Header(), 1, 1)),
				oxm(openflow.FieldCTState.Header(), 0, 0, 1, 0),
				oxm(openflow.FieldMetadata.Header(), 1, 2, 3),
				{0x80, 0},
			} {
				s.add(flowMod(1, uint16(len(s.list)), m, output(1)))
			}
		}},
		{"actions", func(s *script) {
			for _, a := range []openflow.Action{
				output(0), output(0xff00), output(0xfeff), output(0x10000), output(0xfffffffd), output(0xffffffff), output(0xfffffff8), output(0xfffffff7),
				openflow.RawAction{0, 99, 0, 8, 0, 0, 0, 0}, openflow.RawAction{0, 0, 0, 8, 0, 0, 0, 1}, openflow.RawAction{0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0},
				openflow.RawAction{0xff, 0xff, 0, 16, 0, 0, 0x99, 0x99, 0, 0, 0, 0, 0, 0, 0, 0}, experimenter(999, 0, 0, 0, 0, 0, 0),
				openflow.Group{ID: 3}, openflow.Meter{ID: 4}, openflow.DecTTL{}, openflow.PopVLAN{}, openflow.PushVLAN{EthType: 0x8100}, openflow.PushVLAN{EthType: 0x800},
				openflow.SetUint(openflow.FieldTCPDst, 80), openflow.SetUint(openflow.FieldEthType, 0x800), openflow.SetUint(openflow.FieldTCPFlags, 1),
				openflow.SetUint(openflow.FieldReg(3), 80), openflow.SetUint(openflow.FieldInPortNXM, 1), openflow.SetUint(openflow.FieldInPort, 1), openflow.SetUint(openflow.FieldCTMark, 1),
				openflow.SetUint(openflow.FieldVLANVID, 0x1005), openflow.SetUint(openflow.FieldVLANTCI, 0x1005), openflow.SetUint(openflow.FieldCTState, 1), openflow.SetUint(openflow.FieldMetadata, 1),
				openflow.SetUint(openflow.FieldConjID, 1), openflow.SetUint(openflow.FieldPktMark, 1), openflow.SetUint(openflow.FieldDPHash, 1),
				openflow.Move{Src: openflow.Whole(openflow.FieldReg(0)), Dst: openflow.Whole(openflow.FieldReg(1))},
				openflow.Move{Src: openflow.Whole(openflow.FieldIPv4Src), Dst: openflow.Whole(openflow.FieldReg(1))},
				openflow.Move{Src: openflow.Whole(openflow.FieldEthSrc), Dst: openflow.Whole(openflow.FieldEthDst)},
				openflow.Move{Src: openflow.Bits(openflow.FieldReg(0), 0, 15), Dst: openflow.Whole(openflow.FieldEthType)},
				openflow.CT{Table: 3}, openflow.CT{Commit: true, Table: openflow.CTNoTable}, openflow.Clone{Actions: []openflow.Action{output(0x10000)}},
				openflow.Conjunction{ID: 1, Clause: 0, NClauses: 1}, openflow.Conjunction{ID: 1, Clause: 2, NClauses: 2}, openflow.Conjunction{ID: 1, Clause: 1, NClauses: 2},
				openflow.Resubmit{InPort: openflow.ResubmitInPort, Table: 254}, openflow.ToTable(200), openflow.ToController(1, 2, 3),
				openflow.CheckPktLarger{Length: 100, Dst: openflow.Bits(openflow.FieldReg(0), 3, 3)},
				openflow.Learn{Table: 9, Specs: []openflow.LearnSpec{{Kind: openflow.LearnMatch, Bits: 32, Src: openflow.Whole(openflow.FieldIPv4Src), Dst: openflow.Whole(openflow.FieldIPv4Src)}}},
				openflow.StackPop{Dst: openflow.Whole(openflow.FieldReg(1))}, openflow.StackPush{Src: openflow.Whole(openflow.FieldTCPDst)},
				openflow.OutputReg{Source: openflow.Whole(openflow.FieldReg(1))}, openflow.OutputReg{Source: openflow.Whole(openflow.FieldTCPDst)},
			} {
				s.add(flowMod(3, uint16(len(s.list)), nil, a))
				s.add(flowMod(4, uint16(len(s.list)), tcp, a, output(1)))
			}
			s.add(flowMod(3, 1, nil, openflow.Conjunction{ID: 1, Clause: 1, NClauses: 2}, output(1)))
		}},
		{"flow mods", func(s *script) {
			for _, m := range []*openflow.FlowMod{
				{Command: 9}, {Flags: 0x80}, {Flags: 0x20}, {Flow: openflow.Flow{Table: 255}}, {Flow: openflow.Flow{Table: 254}}, {Flow: openflow.Flow{Table: 253}},
				{Instructions: []byte{0, 1, 0, 8, 254, 0, 0, 0}}, {Instructions: []byte{0, 1, 0, 8, 0, 0, 0, 0}}, {Instructions: []byte{0, 1, 0, 8, 9, 0, 0, 0}, Flow: openflow.Flow{Table: 3}},
				{Instructions: []byte{0, 9, 0, 8, 9, 0, 0, 0}}, {Instructions: []byte{0, 1, 0, 4, 9, 0, 0, 0}}, {Instructions: []byte{0, 1, 0, 8, 9, 0, 0, 0, 0, 1, 0, 8, 9, 0, 0, 0}},
				{Command: openflow.FlowDelete, Flow: openflow.Flow{Table: 200}}, {Command: openflow.FlowModify, Flow: openflow.Flow{Table: 200}},
				{Command: openflow.FlowModifyStrict, Flow: openflow.Flow{Table: 3, Cookie: 7}}, {Command: openflow.FlowDeleteStrict, Flow: openflow.Flow{Table: 253}},
				{IdleTimeout: 5, HardTimeout: 6, Importance: 8, Flags: openflow.FlagSendFlowRemoved | openflow.FlagNoByteCounts | openflow.FlagNoPacketCounts, Flow: openflow.Flow{Table: 9}},
			} {
				s.add(m)
			}
			s.bytes(openflow.TypeFlowMod, make([]byte, 20))
			s.bytes(openflow.TypeFlowMod, make([]byte, 48))
		}},
		{"groups", func(s *script) {
			group := func(command uint16, g openflow.GroupDesc) {
				s.add(&openflow.GroupMod{Command: command, Group: g})
			}
			group(openflow.GroupAdd, allGroup(1, output(1)))
			group(openflow.GroupAdd, allGroup(1, output(1)))
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 2, GroupType: 9})
			group(9, allGroup(3))
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 0xffffff01})
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 4, GroupType: openflow.GroupIndirect})
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 5, GroupType: openflow.GroupSelect, Buckets: []openflow.Bucket{{ID: 1, Weight: 3}, {ID: 1, Weight: 4}}})
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 6, GroupType: openflow.GroupSelect, Buckets: []openflow.Bucket{{ID: 1, Weight: 3}, {ID: 2, Weight: 4}}})
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 7, GroupType: openflow.GroupFF, Buckets: []openflow.Bucket{{ID: 1, WatchPort: 1}, {ID: 2}}})
			group(openflow.GroupAdd, openflow.GroupDesc{ID: 8, GroupType: openflow.GroupFF, Buckets: []openflow.Bucket{{ID: 1, WatchPort: 1}, {ID: 2, WatchGroup: 1}}})
			group(openflow.GroupAdd, allGroup(9, openflow.Group{ID: 99}))
			group(openflow.GroupAdd, allGroup(10, output(0x10000)))
			group(openflow.GroupAdd, allGroup(11, openflow.SetUint(openflow.FieldTCPDst, 80), output(1)))
			group(openflow.GroupModify, allGroup(99, output(1)))
			group(openflow.GroupModify, allGroup(1, output(2)))
			group(openflow.GroupAddOrModify, allGroup(98, output(2)))
			group(openflow.GroupDelete, openflow.GroupDesc{ID: 97})
			s.add(flowMod(1, 1, nil, openflow.Group{ID: 98}))
			group(openflow.GroupDelete, openflow.GroupDesc{ID: 98})
			s.add(flowMod(1, 2, nil, openflow.Group{ID: 1}))
			group(openflow.GroupDelete, openflow.GroupDesc{ID: openflow.GroupAny})
			s.bytes(openflow.TypeGroupMod, make([]byte, 4))
		}},
		{"meters", func(s *script) {
			for _, m := range []*openflow.MeterMod{
				{ID: 1, Flags: openflow.MeterKbps, Bands: []openflow.MeterBand{{Rate: 10}}}, {ID: 1, Flags: openflow.MeterKbps, Bands: []openflow.MeterBand{{Rate: 10}}},
				{ID: 2, Flags: openflow.MeterKbps | openflow.MeterPktps}, {ID: 0, Flags: openflow.MeterKbps}, {Command: 7, ID: 3, Flags: openflow.MeterKbps},
				{Command: openflow.MeterModify, ID: 9, Flags: openflow.MeterPktps, Bands: []openflow.MeterBand{{Rate: 10}}},
				{Command: openflow.MeterDelete, ID: 9}, {ID: 4, Flags: 0x40},
			} {
				s.add(m)
			}
			s.add(flowMod(1, 1, nil, openflow.Meter{ID: 1}, output(1)))
			s.add(&openflow.MeterMod{Command: openflow.MeterDelete, ID: 1})
		}},
		{"packet-outs", func(s *script) {
			frame := udp("10.0.0.1", 1, "10.0.0.2", 2)
			for _, port := range []uint64{1, 99, 0xfffffffd, 0xfffffffe, 0xffffffff, 0xfffffff8, 0xff00} {
				var m openflow.Match
				m.Set(openflow.FieldInPort, port)
				s.add(&openflow.PacketOut{Packet: frame, Match: m, Actions: openflow.EncodeActions([]openflow.Action{output(2)})})
			}
			for _, a := range []openflow.Action{output(0x10000), openflow.Group{ID: 9}, openflow.SetUint(openflow.FieldTCPDst, 9), openflow.SetUint(openflow.FieldUDPDst, 9), openflow.DecTTL{}, openflow.PopVLAN{}} {
				s.add(&openflow.PacketOut{Packet: frame, Actions: openflow.EncodeActions([]openflow.Action{a})})
			}
		}},
		{"others", func(s *script) {
			s.add(&openflow.EchoRequest{Data: []byte("hello")})
			s.bytes(99, nil)
			s.bytes(openflow.TypeExperimenter, []byte{0, 0, 0x23, 0x20, 0, 0, 9, 9})
			s.bytes(openflow.TypeExperimenter, []byte{0, 0, 0x11, 0x11, 0, 0, 9, 9})
			s.bytes(openflow.TypeMultipartRequest, []byte{0, 99, 0, 0, 0, 0, 0, 0})
			s.add(&openflow.SetConfig{MissSendLen: 100})
			s.bytes(openflow.TypeGetConfigRequest, nil)
			s.add(&openflow.SetAsync{AsyncConfig: openflow.AsyncConfig{Masks: map[uint16]uint32{1: 3}}})
			s.bytes(typeRoleRequest, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
			s.bytes(typeRoleRequest, []byte{0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5})
			s.bytes(typeRoleRequest, []byte{0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4})
			s.bytes(typeRoleRequest, []byte{0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			s := &script{t: t}
			tt.make(s)
			compareReplies(p, s)
			p.dumps()
			p.both("dump-meters")
		})
	}
}

// compareReplies sends each message by itself, so that a difference names its
// cause.
func compareReplies(p *pair, s *script) {
	p.t.Helper()
	sim, ovs := dialRaw(p.t, p.s), dialRaw(p.t, p.o)
	for _, m := range s.list {
		got, want := strings.Join(sim.exchange(m), "; "), strings.Join(ovs.exchange(m), "; ")
		if got != want {
			decoded, _, err := openflow.DecodeMessage(m)
			p.t.Errorf("%T %+v (%v)\n     sent %x\nsimulator %s\nOpen vSwitch %s", decoded, decoded, err, m, got, want)
		}
	}
}

// Random transactions leave the same flows.
func TestRandomBundles(t *testing.T) {
	p := newPair(t)
	r := rand.New(rand.NewPCG(3, 4))
	ethIPv4 := oxm(openflow.FieldEthType.Header(), 8, 0)
	random := func() openflow.Message {
		var match []byte
		if r.IntN(2) == 0 {
			match = ethIPv4
		}
		if r.IntN(3) == 0 {
			match = append(slices.Clone(match), oxm(openflow.FieldReg(1).Header()&^0xff|0x108, 0, 0, 0, byte(r.IntN(2)), 0, 0, 0, 1)...)
		}
		f := openflow.Flow{Table: uint8(r.IntN(3)), Priority: uint16(r.IntN(3)), Cookie: uint64(r.IntN(4)), Match: match,
			Actions: openflow.EncodeActions([]openflow.Action{output(uint32(1 + r.IntN(3)))})}
		switch r.IntN(12) {
		case 0: // No deletion: Open vSwitch 3.1 aborts when a flow of the same bundle uses the group.
			return &openflow.GroupMod{Command: []uint16{openflow.GroupAdd, openflow.GroupModify, openflow.GroupAddOrModify}[r.IntN(3)], Group: allGroup(uint32(1+r.IntN(2)), output(1))}
		case 1, 2:
			f.Actions = openflow.EncodeActions([]openflow.Action{openflow.Group{ID: uint32(1 + r.IntN(2))}})
			return openflow.AddFlow(f)
		case 3, 4, 5, 6, 7:
			return openflow.AddFlow(f)
		}
		m := &openflow.FlowMod{Command: uint8(1 + r.IntN(4)), Flow: f}
		if r.IntN(2) == 0 {
			m.CookieMask = uint64(r.IntN(4))
		}
		if r.IntN(4) == 0 {
			m.OutPort = uint32(1 + r.IntN(3))
		}
		return m
	}
	for i := range 40 {
		s := &script{t: t}
		var messages []openflow.Message
		for range 1 + r.IntN(8) {
			messages = append(messages, random())
		}
		s.whole(uint32(i+1), messages...)
		compareReplies(p, s)
		if i%4 == 3 {
			p.dumps()
		}
		if t.Failed() {
			t.Fatal(fmt.Sprint("transaction ", i))
		}
	}
}
