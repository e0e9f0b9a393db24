package physical

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// ErrBody is wrapped by the errors of a body that cannot be installed.
var ErrBody = errors.New("bad body")

// Body is a body of northd, decoded and checked: what passes is sent to Open
// vSwitch, which has the last word.
type Body struct {
	Hash  state.Hash
	Flows []*proto.Flow
	Err   error  // not nil: quarantined, nothing of it is installed
	Bad   uint32 // index of the flow that Err is about
}

// Limits of what a body can say.
const (
	maxMatch   = 1 << 12 // bytes
	maxActions = 1 << 15
	maxGuards  = 64
)

// DecodeBody decodes the value of a BODY item. The body that it returns with an
// error holds no flows.
func DecodeBody(hash state.Hash, value []byte) (*Body, error) {
	b := &Body{Hash: hash}
	m := &proto.Body{}
	if err := pb.Unmarshal(value, m); err != nil {
		b.Err = fmt.Errorf("%w %x: %w", ErrBody, hash, err)
		return b, b.Err
	}
	for i, f := range m.Flows {
		if err := checkFlow(f); err != nil {
			b.Err, b.Bad = fmt.Errorf("%w %x: flow %d: %w", ErrBody, hash, i, err), uint32(i)
			return b, b.Err
		}
	}
	b.Flows = m.Flows
	return b, nil
}

func checkFlow(f *proto.Flow) error {
	switch {
	case f == nil:
		return errors.New("empty")
	case f.Table > 254:
		return fmt.Errorf("table %d", f.Table)
	case f.Priority > 65535:
		return fmt.Errorf("priority %d", f.Priority)
	case len(f.Match) > maxMatch || len(f.Actions) > maxActions || len(f.Guard) > maxGuards:
		return errors.New("too long")
	}
	for _, l := range f.Guard {
		if l.GetOp() != proto.Literal_OP_RESIDENT {
			return fmt.Errorf("guard with operation %d", l.GetOp())
		}
	}
	for _, r := range f.Relocations {
		in := f.Match
		switch r.GetWhere() {
		case proto.Relocation_WHERE_MATCH:
		case proto.Relocation_WHERE_ACTIONS:
			in = f.Actions
		default:
			return fmt.Errorf("relocation at place %d", r.GetWhere())
		}
		if r.GetSymbol() != proto.Relocation_SYMBOL_DATAPATH {
			return fmt.Errorf("relocation of symbol %d", r.GetSymbol())
		}
		if uint64(r.GetOffset())+8 > uint64(len(in)) {
			return fmt.Errorf("relocation at offset %d of %d bytes", r.GetOffset(), len(in))
		}
	}
	match, err := openflow.CanonicalMatch(f.Match)
	if err != nil {
		return fmt.Errorf("match: %w", err)
	}
	if !bytes.Equal(match, f.Match) { // it would differ from what Open vSwitch gives back
		return errors.New("match is not in canonical order")
	}
	if _, err := openflow.DecodeActions(f.Actions); err != nil {
		return fmt.Errorf("actions: %w", err)
	}
	return nil
}

// Resolved is a unit that holds on this chassis: its body in its datapath, and
// which of the body's flows have guards that hold.
type Resolved struct {
	Body     *Body
	Datapath uint32
	Port     uint32
	Active   string // a byte for each flow: 1 where its guard holds
}

func (r Resolved) hash() incr.Hash {
	return incr.CellOf(r.Body.Hash, uint64(r.Datapath), uint64(r.Port), r.Active)
}

// Flow renders a flow of the body in the datapath.
func (r *Resolved) Flow(i int) openflow.Flow {
	f := r.Body.Flows[i]
	match, actions := f.Match, f.Actions
	var copied [2]bool
	for _, rel := range f.Relocations {
		at, k := &match, 0
		if rel.Where == proto.Relocation_WHERE_ACTIONS {
			at, k = &actions, 1
		}
		if !copied[k] {
			*at, copied[k] = append([]byte(nil), *at...), true
		}
		binary.BigEndian.PutUint64((*at)[rel.Offset:], uint64(r.Datapath))
	}
	return openflow.Flow{
		Table: uint8(f.Table), Priority: uint16(f.Priority), Cookie: f.Cookie, Match: match, Actions: actions,
	}
}

// unit emits a unit where it holds.
func (h *Host) unit(c *incr.Ctx, id UnitID) error {
	c.Read(cellUnit(id))
	u := h.in.units[id]
	if u == nil {
		return nil
	}
	if u.Port != 0 {
		here, err := h.resident.Get(c, PortID{u.Datapath, u.Port})
		if err != nil || !here {
			return err
		}
	}
	hash := state.Hash(u.Body)
	c.Read(cellBody(hash))
	b := h.in.bodies[hash]
	if b == nil {
		return fmt.Errorf("unit %x: body %x is not here", id, hash)
	}
	if b.Err != nil || h.in.barred[hash] {
		return nil // reported by the controller as quarantined
	}
	if u.Datapath < abi.MinDatapathKey {
		return fmt.Errorf("unit %x: datapath %d", id, u.Datapath)
	}
	active := make([]byte, len(b.Flows))
	for i, f := range b.Flows {
		active[i] = 1
		for _, l := range f.Guard {
			here, err := h.resident.Get(c, PortID{l.Datapath, l.Port})
			if err != nil {
				return err
			}
			if here == l.Negated {
				active[i] = 0
				break
			}
		}
	}
	incr.Emit(c, h.bodies, id, Resolved{Body: b, Datapath: u.Datapath, Port: u.Port, Active: string(active)})
	return nil
}

// Source identifies an owner among the sources of flows.
func (o Owner) Source() [16]byte {
	return incr.CellOf("owner", uint64(o.Kind), uint64(o.Datapath), o.Key, o.Name)
}
