package physical

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/incr"
	"govn/proto"
	"govn/proto/state"
)

// BFDID names a BFD session: a router port, and its peer's address.
type BFDID struct {
	Port PortID
	Peer netip.Addr
}

func (b BFDID) String() string { return fmt.Sprintf("%v to %s", b.Port, b.Peer) }

func compareBFDID(a, b BFDID) int {
	return cmp.Or(comparePortID(a.Port, b.Port), bytes.Compare(a.Peer.AsSlice(), b.Peer.AsSlice()))
}

func cellBFD(b BFDID) incr.Cell {
	return incr.CellOf("bfd", uint64(b.Port.Datapath), uint64(b.Port.Port), string(b.Peer.AsSlice()))
}

func (h *Host) bfdItem(key string, value []byte) error {
	dp, port, peer, ok := state.ParseBFDKey(key)
	if !ok {
		return fmt.Errorf("BFD item with a key of %d bytes", len(key))
	}
	m, err := decode(value, &proto.BfdSession{})
	id := BFDID{PortID{dp, port}, peer}
	had := h.in.sessions[id] != nil
	put(h.in.sessions, id, m)
	h.e.Touch(cellBFD(id))
	h.root(had, m != nil, func() { h.bfdUnit.Root(id) }, func() { h.bfdUnit.Unroot(id) })
	return err
}

// SetYielding says that another member of an HA group takes its ports over, while
// this chassis goes on with them for a moment. Sessions are not among what it
// goes on with: two ends at a time would tell the peer different things.
func (h *Host) SetYielding(group string, yields bool) {
	if h.in.yielding[group] == yields {
		return
	}
	if yields {
		h.in.yielding[group] = true
	} else {
		delete(h.in.yielding, group)
	}
	h.e.Touch(cellYielding(group))
}

func cellYielding(group string) incr.Cell { return incr.CellOf("yielding", group) }

// bfd emits a session where the port that it depends on is resident.
func (h *Host) bfd(c *incr.Ctx, id BFDID) error {
	c.Read(cellBFD(id))
	s := h.in.sessions[id]
	if s == nil {
		return nil
	}
	at := PortID{id.Port.Datapath, s.Host}
	here, err := h.resident.Get(c, at)
	if err != nil || !here {
		return err
	}
	c.Read(cellPort(at))
	if group := h.in.ports[at].GetHaGroup(); len(group) > 0 {
		if c.Read(cellYielding(string(group))); h.in.yielding[string(group)] {
			return nil
		}
	}
	incr.Emit(c, h.sessions, id, s)
	return nil
}

func hashSession(s *proto.BfdSession) incr.Hash {
	b, err := pb.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		return incr.Hash{}
	}
	return incr.CellOf("session", string(b))
}
