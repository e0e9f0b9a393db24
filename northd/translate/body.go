package translate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/pipeline"
	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// Body is compiled logic without a datapath. Equal bodies have equal hashes.
type Body struct {
	Hash  [16]byte // key of the BODY item
	Bytes []byte   // proto.Body
	// Groups are those that the flows use, as far as their ids and contents tell.
	Groups []Group
	flows  int
}

// Len is the number of OpenFlow flows.
func (b *Body) Len() int { return b.flows }

// Extra is an OpenFlow flow that no logical flow stands for: a part of an
// action that is a table of its own.
type Extra struct {
	Stage    *pipeline.Stage // whose action resubmits to the table
	Table    uint8
	Priority uint16
	Match    openflow.Match
	Actions  []openflow.Action
}

// Compile makes the body of the flows. keys resolves the names of ports; nil
// knows none but the names that every datapath has.
func Compile(flows []pipeline.Flow, keys PortKeys, extra []Extra, opts ...Option) (*Body, error) {
	var groups []Group
	list := make([]*proto.Flow, 0, len(flows)+len(extra))
	for i := range flows {
		f := &flows[i]
		of, used, err := compileFlow(f, keys, opts)
		if err != nil {
			return nil, fmt.Errorf("%s, priority %d: %w", f.Stage.Name, f.Priority, err)
		}
		list, groups = append(list, of...), append(groups, used...)
	}
	for i := range extra {
		x := &extra[i]
		id := flowID(x.Stage, x.Priority, binary.BigEndian.AppendUint16(nil, uint16(x.Table)), nil)
		of, err := encode(x.Stage, id, x.Table, x.Priority, x.Match, openflow.EncodeActions(x.Actions))
		if err != nil {
			return nil, fmt.Errorf("%s, table %d, priority %d: %w", x.Stage.Name, x.Table, x.Priority, err)
		}
		list = append(list, of)
	}
	slices.SortFunc(list, compareFlows)
	list = slices.CompactFunc(list, func(a, b *proto.Flow) bool { return compareFlows(a, b) == 0 })
	b, err := gproto.MarshalOptions{Deterministic: true}.Marshal(&proto.Body{Flows: list})
	if err != nil {
		return nil, err
	}
	return &Body{Hash: state.BodyHash(b), Bytes: b, Groups: groups, flows: len(list)}, nil
}

func compareFlows(a, b *proto.Flow) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), -cmp.Compare(a.Priority, b.Priority),
		bytes.Compare(a.Match, b.Match), cmp.Compare(a.Cookie, b.Cookie), bytes.Compare(a.Actions, b.Actions))
}

func compileFlow(f *pipeline.Flow, keys PortKeys, opts []Option) ([]*proto.Flow, []Group, error) {
	conjs, err := f.Match.Normalize()
	if err != nil {
		return nil, nil, fmt.Errorf("match: %w", err)
	}
	if need := f.Actions.Prerequisites(); len(need) > 0 {
		if conjs, err = logical.And(conjs, need); err != nil {
			return nil, nil, fmt.Errorf("prerequisites of the actions: %w", err)
		}
	}
	id := FlowID(f)
	c := &compiler{stage: f.Stage, flow: id, keys: keys}
	for _, o := range opts {
		o(c)
	}
	if err := c.all(f.Actions.Actions()); err != nil {
		return nil, nil, fmt.Errorf("actions: %w", err)
	}
	acts := openflow.EncodeActions(c.out)
	out := make([]*proto.Flow, 0, len(conjs))
	for _, conj := range conjs {
		m, err := toMatch(conj, keys)
		if err != nil {
			return nil, nil, fmt.Errorf("match: %w", err)
		}
		of, err := encode(f.Stage, id, base(f.Stage.Direction)+f.Stage.Table, f.Priority, m, acts)
		if err != nil {
			return nil, nil, err
		}
		if of.Guard, err = c.guards(conj); err != nil {
			return nil, nil, fmt.Errorf("match: %w", err)
		}
		out = append(out, of)
	}
	return out, c.groups, nil
}

// FlowID is the 28 bits of cookies that name a logical flow.
func FlowID(f *pipeline.Flow) uint32 {
	return flowID(f.Stage, f.Priority, f.Match.AppendKey(nil), f.Actions.AppendKey(nil))
}

// flowID is the 28 bits that name a logical flow. Two logical flows may share
// them; cookie, table and match together are unique.
func flowID(s *pipeline.Stage, priority uint16, match, actions []byte) uint32 {
	b := binary.BigEndian.AppendUint32(nil, s.ID)
	b = binary.BigEndian.AppendUint16(b, priority)
	b = binary.BigEndian.AppendUint32(b, uint32(len(match)))
	b = append(append(b, match...), actions...)
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint32(h[:]) >> 4
}

func encode(s *pipeline.Stage, id uint32, table uint8, priority uint16, m openflow.Match, acts []byte) (*proto.Flow, error) {
	m.Set(openflow.FieldMetadata, 0)
	if err := m.Validate(); err != nil {
		return nil, err
	}
	match, offset := m.EncodeRelocatable()
	b := []byte{table, byte(priority >> 8), byte(priority)}
	b = binary.BigEndian.AppendUint32(b, uint32(len(match)))
	h := sha256.Sum256(append(append(b, match...), acts...))
	return &proto.Flow{
		Table: uint32(table), Priority: uint32(priority), Match: match, Actions: acts, Stage: s.ID,
		Cookie: abi.Cookie(abi.OwnerNorthd, id, binary.BigEndian.Uint32(h[:])),
		Relocations: []*proto.Relocation{{
			Where: proto.Relocation_WHERE_MATCH, Offset: uint32(offset), Symbol: proto.Relocation_SYMBOL_DATAPATH,
		}},
	}, nil
}
