package translate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

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
	Match    openflow.Match // with the datapath 0
	Actions  []openflow.Action
}

// Compile makes the body of the flows. keys resolves the names of ports; nil
// knows none but the names that every datapath has.
func Compile(flows []pipeline.Flow, keys PortKeys, extra []Extra, opts ...Option) (*Body, error) {
	d := drafts.Get().(*draft)
	defer d.release()
	c := compiler{keys: keys}
	for _, o := range opts {
		o(&c)
	}
	for i := range flows {
		f := &flows[i]
		if err := d.compile(&c, f); err != nil {
			return nil, fmt.Errorf("%s, priority %d: %w", f.Stage.Name, f.Priority, err)
		}
	}
	for i := range extra {
		x := &extra[i]
		d.one = appendExtra(d.one[:0], x)
		at := len(d.arena)
		d.arena = openflow.AppendActions(d.arena, x.Actions)
		if err := d.add(x.Stage, flowID(d.one), x.Table, x.Priority, &x.Match, d.arena[at:len(d.arena):len(d.arena)], nil); err != nil {
			return nil, fmt.Errorf("%s, table %d, priority %d: %w", x.Stage.Name, x.Table, x.Priority, err)
		}
	}
	slices.SortFunc(d.flows, entry.compare)
	d.flows = slices.CompactFunc(d.flows, func(a, b entry) bool { return a.compare(b) == 0 })
	b := d.encode()
	return &Body{Hash: state.BodyHash(b), Bytes: b, Groups: c.groups, flows: len(d.flows)}, nil
}

// draft is a body in the making. It is used again for other ones: nothing of it
// may be kept.
type draft struct {
	flows []entry
	arena []byte // matches, actions and guards
	out   []openflow.Action

	match     openflow.Match // of one flow
	one, wire []byte         // of one flow, of encode
}

var drafts = sync.Pool{New: func() any { return &draft{match: *openflow.NewMatch(8)} }}

func (d *draft) release() {
	clear(d.flows)
	clear(d.out)
	d.flows, d.arena, d.out = d.flows[:0], d.arena[:0], d.out[:0]
	drafts.Put(d)
}

// entry is a proto.Flow in the making.
type entry struct {
	table, priority uint32
	cookie          uint64
	match, actions  []byte
	guard           []byte // as it is encoded
	stage           uint32
}

func (f entry) compare(g entry) int {
	return cmp.Or(cmp.Compare(f.table, g.table), -cmp.Compare(f.priority, g.priority),
		bytes.Compare(f.match, g.match), cmp.Compare(f.cookie, g.cookie), bytes.Compare(f.actions, g.actions))
}

// compile adds the flows of a logical flow. c is used for one after the other.
func (d *draft) compile(c *compiler, f *pipeline.Flow) error {
	conjs, err := f.Match.Normalize()
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	if need := f.Actions.Prerequisites(); len(need) > 0 {
		if conjs, err = logical.And(conjs, need); err != nil {
			return fmt.Errorf("prerequisites of the actions: %w", err)
		}
	}
	d.one = appendFlow(d.one[:0], f)
	c.stage, c.flow, c.out = f.Stage, flowID(d.one), d.out[:0]
	err = c.all(f.Actions.Actions())
	d.out = c.out
	if err != nil {
		return fmt.Errorf("actions: %w", err)
	}
	at := len(d.arena)
	d.arena = openflow.AppendActions(d.arena, c.out)
	acts := d.arena[at:len(d.arena):len(d.arena)]
	for _, conj := range conjs {
		if err := toMatch(&d.match, conj, c.keys); err != nil {
			return fmt.Errorf("match: %w", err)
		}
		guard, err := c.guards(conj)
		if err != nil {
			return fmt.Errorf("match: %w", err)
		}
		if err := d.add(f.Stage, c.flow, base(f.Stage.Direction)+f.Stage.Table, f.Priority, &d.match, acts, guard); err != nil {
			return err
		}
	}
	return nil
}

// FlowID is the 28 bits of cookies that name a logical flow.
func FlowID(f *pipeline.Flow) uint32 {
	return flowID(appendFlow(nil, f))
}

// appendFlow appends what identifies a logical flow.
func appendFlow(b []byte, f *pipeline.Flow) []byte {
	b = append(appendPlace(b, f.Stage, f.Priority), 0, 0, 0, 0)
	at := len(b)
	b = f.Match.AppendKey(b)
	binary.BigEndian.PutUint32(b[at-4:], uint32(len(b)-at))
	return f.Actions.AppendKey(b)
}

// appendExtra is appendFlow for a flow without a logical one.
func appendExtra(b []byte, x *Extra) []byte {
	b = append(appendPlace(b, x.Stage, x.Priority), 0, 0, 0, 2)
	return binary.BigEndian.AppendUint16(b, uint16(x.Table))
}

func appendPlace(b []byte, s *pipeline.Stage, priority uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, s.ID), priority)
}

// flowID is the 28 bits that name a logical flow. Two logical flows may share
// them; cookie, table and match together are unique.
func flowID(identity []byte) uint32 {
	h := sha256.Sum256(identity)
	return binary.BigEndian.Uint32(h[:]) >> 4
}

// add adds a flow. Its match is in the datapath 0, which the chassis replaces.
func (d *draft) add(s *pipeline.Stage, id uint32, table uint8, priority uint16, m *openflow.Match, acts []byte, guard []*proto.Literal) error {
	if err := m.Validate(); err != nil {
		return err
	}
	at := len(d.arena)
	d.arena = m.AppendTo(d.arena)
	match := d.arena[at:len(d.arena):len(d.arena)]
	if openflow.MetadataOffset(match) != openflow.MetadataAt {
		return errNoDatapath
	}
	var space [512]byte
	b := append(space[:0], table, byte(priority>>8), byte(priority))
	b = binary.BigEndian.AppendUint32(b, uint32(len(match)))
	h := sha256.Sum256(append(append(b, match...), acts...))
	at = len(d.arena)
	var err error
	if d.arena, err = appendGuard(d.arena, guard); err != nil {
		return err
	}
	d.flows = append(d.flows, entry{
		table: uint32(table), priority: uint32(priority), match: match, actions: acts, stage: s.ID, guard: d.arena[at:len(d.arena):len(d.arena)],
		cookie: abi.Cookie(abi.OwnerNorthd, id, binary.BigEndian.Uint32(h[:])),
	})
	return nil
}
