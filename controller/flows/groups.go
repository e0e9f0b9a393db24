package flows

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// Groups knows which OpenFlow groups are wanted and which are installed, as
// [Table] does for flows. A group has no cookie: which ones are govn's their
// ids tell, and whether one is as it is wanted its content does.
//
// A group that was refused is barred until its content changes. What Open
// vSwitch has under its id stays meanwhile, because flows may use it. It is for
// one goroutine.
type Groups struct {
	wanted    map[uint32]*openflow.GroupDesc
	installed map[uint32]string // content as text
	barred    map[uint32]error
	pending   map[uint32]struct{} // may differ
	sent      []uint32            // ids of the last Diff
	gone      []uint32            // ids that it deletes
}

// NewGroups returns groups of which none is wanted or installed.
func NewGroups() *Groups {
	return &Groups{wanted: map[uint32]*openflow.GroupDesc{}, installed: map[uint32]string{},
		barred: map[uint32]error{}, pending: map[uint32]struct{}{}}
}

// Set says what a group is to be; nil: it is not wanted. It reports whether the
// group was barred and has another try now.
func (g *Groups) Set(id uint32, want *openflow.GroupDesc) (again bool) {
	_, again = g.barred[id]
	delete(g.barred, id)
	if want == nil {
		delete(g.wanted, id)
	} else {
		g.wanted[id] = want
	}
	g.pending[id] = struct{}{}
	return again
}

// Reset takes what a new connection found installed. Barred groups have another
// try.
func (g *Groups) Reset(dump []openflow.GroupDesc) {
	clear(g.installed)
	clear(g.barred)
	for i := range dump {
		if id := dump[i].ID; abi.OwnGroup(id) {
			g.installed[id] = dump[i].String()
		}
	}
	clear(g.pending)
	for id := range g.installed {
		g.pending[id] = struct{}{}
	}
	for id := range g.wanted {
		g.pending[id] = struct{}{}
	}
	g.sent, g.gone = nil, nil
}

// Diff is what takes Open vSwitch to what is wanted: groups that are new or
// differ, which go before the flows, and deletions, which go after them: Open
// vSwitch deletes the flows that use a group with the group. Without prune
// nothing is deleted or replaced.
func (g *Groups) Diff(prune bool) (before, after []openflow.Message) {
	g.sent, g.gone = nil, nil
	for _, id := range slices.Sorted(maps.Keys(g.pending)) {
		want := g.wanted[id]
		have, there := g.installed[id]
		_, barred := g.barred[id]
		switch {
		case want == nil && !there, want != nil && there && want.String() == have, barred:
			delete(g.pending, id)
		case there && !prune: // not now: it stays pending
		case want == nil:
			g.gone = append(g.gone, id)
			after = append(after, &openflow.GroupMod{Command: openflow.GroupDelete, Group: openflow.GroupDesc{ID: id}})
		default:
			g.sent = append(g.sent, id)
			before = append(before, &openflow.GroupMod{Command: openflow.GroupAddOrModify, Group: *want})
		}
	}
	return before, after
}

// Committed tells that the messages of the last Diff have been applied.
func (g *Groups) Committed() {
	for _, id := range g.sent {
		g.installed[id] = g.wanted[id].String()
		delete(g.pending, id)
	}
	for _, id := range g.gone {
		delete(g.installed, id)
		delete(g.pending, id)
	}
	g.sent, g.gone = nil, nil
}

// BadGroup is the error of a group that Open vSwitch refuses.
type BadGroup struct {
	Group openflow.GroupDesc
	Err   error
}

func (e *BadGroup) Error() string { return fmt.Sprintf("group %v: %v", e.Group, e.Err) }

// Unwrap gives the reason.
func (e *BadGroup) Unwrap() error { return e.Err }

// Blame finds the group behind the message of before that Open vSwitch refused.
func (g *Groups) Blame(index int, err error) *BadGroup {
	if index < 0 || index >= len(g.sent) {
		return nil
	}
	return &BadGroup{*g.wanted[g.sent[index]], err}
}

// Bar leaves a group out until its content changes or another Open vSwitch is
// there.
func (g *Groups) Bar(id uint32, err error) { g.barred[id] = err }

// Barred are the groups that are left out, and why, in order.
func (g *Groups) Barred() iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		for _, id := range slices.Sorted(maps.Keys(g.barred)) {
			if !yield(id, g.barred[id]) {
				return
			}
		}
	}
}

// Wanted yields the groups that are wanted, in order.
func (g *Groups) Wanted() iter.Seq[*openflow.GroupDesc] {
	return func(yield func(*openflow.GroupDesc) bool) {
		for _, id := range slices.Sorted(maps.Keys(g.wanted)) {
			if !yield(g.wanted[id]) {
				return
			}
		}
	}
}

// Len is the number of groups that are wanted and that are installed.
func (g *Groups) Len() (wanted, installed int) { return len(g.wanted), len(g.installed) }

// Settled tells whether all that is wanted is installed, and nothing else of
// ours, as far as the last Diff told.
func (g *Groups) Settled() bool { return len(g.pending) == 0 }
