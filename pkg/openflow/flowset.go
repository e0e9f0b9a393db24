package openflow

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// FlowID identifies who wants a flow: a unit and the number of the flow in it.
type FlowID struct {
	Unit  [16]byte
	Index uint32
}

func (a FlowID) compare(b FlowID) int {
	return cmp.Or(bytes.Compare(a.Unit[:], b.Unit[:]), cmp.Compare(a.Index, b.Index))
}

// Candidate is a flow that a unit wants.
type Candidate struct {
	ID   FlowID
	Flow Flow
}

// FlowSet merges the flows of many units into those that are installed.
//
//	Put(unit A, flow)  --+
//	Put(unit B, flow)  --+--> candidates of one key --Resolve--> one flow
//	Remove(unit A)     --+                             |
//	                                                   +--> shadowed candidates
//
// Several units may want flows of one key (table, priority, match). Which one
// is installed follows from the candidates alone, by Resolve: not from the order
// in which they came, nor from what was installed before.
//
// A FlowSet is for one goroutine at a time.
type FlowSet struct {
	slots map[FlowKey]*slot
	ids   map[FlowID]*slot
	dirty []*slot            // to be resolved by Changes
	multi map[*slot]struct{} // those with more than one candidate
}

// slot is one key with its candidates, sorted by id.
type slot struct {
	key        FlowKey
	candidates []Candidate
	installed  *Flow // as of the last Changes
	dirty      bool
}

// NewFlowSet returns an empty set.
func NewFlowSet() *FlowSet {
	return &FlowSet{
		slots: map[FlowKey]*slot{}, ids: map[FlowID]*slot{},
		multi: map[*slot]struct{}{},
	}
}

// FlowChange is a difference of what is to be installed. Old or New is nil
// where there is no flow of the key.
type FlowChange struct {
	Key      FlowKey
	Old, New *Flow
}

// Put adds a candidate or replaces the one of the same id, whatever its key
// was. The flow's bytes must not change afterwards.
func (s *FlowSet) Put(id FlowID, f Flow) {
	key := f.Key()
	if old := s.ids[id]; old != nil && old.key != key {
		s.Remove(id)
	}
	sl := s.slots[key]
	if sl == nil {
		sl = &slot{key: key}
		s.slots[key] = sl
	}
	i, found := sl.find(id)
	if found {
		if sl.candidates[i].Flow.Equal(&f) {
			return
		}
		sl.candidates[i].Flow = f
	} else {
		sl.candidates = slices.Insert(sl.candidates, i, Candidate{ID: id, Flow: f})
		s.ids[id] = sl
	}
	s.touch(sl)
}

// Remove takes a candidate away; one that is not there is no error.
func (s *FlowSet) Remove(id FlowID) {
	sl := s.ids[id]
	if sl == nil {
		return
	}
	i, _ := sl.find(id)
	sl.candidates = slices.Delete(sl.candidates, i, i+1)
	delete(s.ids, id)
	s.touch(sl)
}

func (sl *slot) find(id FlowID) (int, bool) {
	return slices.BinarySearchFunc(sl.candidates, id, func(c Candidate, id FlowID) int { return c.ID.compare(id) })
}

func (s *FlowSet) touch(sl *slot) {
	if !sl.dirty {
		sl.dirty = true
		s.dirty = append(s.dirty, sl)
	}
	if len(sl.candidates) > 1 {
		s.multi[sl] = struct{}{}
	} else {
		delete(s.multi, sl)
	}
}

// Changes returns the net difference since the last call, by table, then
// priority, highest first, then match.
func (s *FlowSet) Changes() []FlowChange {
	var changes []FlowChange
	for _, sl := range s.dirty {
		sl.dirty = false
		var now *Flow
		if len(sl.candidates) > 0 {
			f, _ := Resolve(sl.candidates)
			now = &f
		} else {
			delete(s.slots, sl.key)
		}
		if sl.installed == nil && now == nil || sl.installed != nil && now != nil && sl.installed.Equal(now) {
			continue
		}
		changes = append(changes, FlowChange{Key: sl.key, Old: sl.installed, New: now})
		sl.installed = now
	}
	clear(s.dirty)
	s.dirty = s.dirty[:0]
	slices.SortFunc(changes, func(a, b FlowChange) int { return a.Key.Compare(b.Key) })
	return changes
}

// Compare orders keys by table, then priority, highest first, then match.
func (k FlowKey) Compare(o FlowKey) int {
	return cmp.Or(cmp.Compare(k.Table, o.Table), -cmp.Compare(k.Priority, o.Priority), strings.Compare(k.Match, o.Match))
}

// Flows returns all flows that are to be installed as of now, in the order of
// Changes.
func (s *FlowSet) Flows() []Flow {
	flows := make([]Flow, 0, len(s.slots))
	for _, sl := range s.slots {
		if len(sl.candidates) > 0 {
			f, _ := Resolve(sl.candidates)
			flows = append(flows, f)
		}
	}
	slices.SortFunc(flows, func(a, b Flow) int { return a.Key().Compare(b.Key()) })
	return flows
}

// Get returns the flow of a key that is to be installed as of now.
func (s *FlowSet) Get(key FlowKey) (Flow, bool) {
	sl := s.slots[key]
	if sl == nil || len(sl.candidates) == 0 {
		return Flow{}, false
	}
	f, _ := Resolve(sl.candidates)
	return f, true
}

// Candidates returns all candidates of a key, by id: those who want the flow.
func (s *FlowSet) Candidates(key FlowKey) []Candidate {
	if sl := s.slots[key]; sl != nil {
		return slices.Clone(sl.candidates)
	}
	return nil
}

// Len is the number of candidates.
func (s *FlowSet) Len() int { return len(s.ids) }

// Shadowed returns the candidates that are not installed because another one
// of their key is, by key and id.
func (s *FlowSet) Shadowed() []Candidate {
	var all []Candidate
	for sl := range s.multi {
		_, shadowed := Resolve(sl.candidates)
		all = append(all, shadowed...)
	}
	slices.SortFunc(all, func(a, b Candidate) int {
		return cmp.Or(a.Flow.Key().Compare(b.Flow.Key()), a.ID.compare(b.ID))
	})
	return all
}

// Resolve makes one flow of candidates of one key; there must be at least one.
// The result depends only on what they say, in whatever order:
//
//   - When all have nothing but conjunction actions, the flow has all of these,
//     sorted and without doubles, and the cookie of the first of them.
//   - Otherwise the first one is the flow, and those that differ from it are
//     shadowed.
//
// First is the lowest flow id (bits 32 to 59 of the cookie), then the lowest
// cookie, then the lowest bytes of actions. The shadowed ones are in order of
// their FlowID.
func Resolve(candidates []Candidate) (f Flow, shadowed []Candidate) {
	first, unite := &candidates[0].Flow, true
	for i := range candidates {
		c := &candidates[i].Flow
		unite = unite && conjunctionsOnly(c.Actions)
		if flowLess(c, first) {
			first = c
		}
	}
	f = *first
	if unite {
		f.Actions = uniteConjunctions(candidates)
		return f, nil
	}
	for _, c := range candidates {
		if !c.Flow.Equal(first) {
			shadowed = append(shadowed, c)
		}
	}
	slices.SortFunc(shadowed, func(a, b Candidate) int { return a.ID.compare(b.ID) })
	return f, shadowed
}

func flowLess(a, b *Flow) bool {
	const idMask = 1<<28 - 1
	return cmp.Or(
		cmp.Compare(a.Cookie>>32&idMask, b.Cookie>>32&idMask),
		cmp.Compare(a.Cookie, b.Cookie),
		bytes.Compare(a.Actions, b.Actions)) < 0
}

// conjunctionLen is the size of an encoded Conjunction.
const conjunctionLen = 16

// conjunctionsOnly tells whether actions are one or more Conjunction and
// nothing else.
func conjunctionsOnly(b []byte) bool {
	if len(b) == 0 || len(b)%conjunctionLen != 0 {
		return false
	}
	for ; len(b) > 0; b = b[conjunctionLen:] {
		if be16(b) != actExperiment || be16(b[2:]) != conjunctionLen || be32(b[4:]) != nxVendor || be16(b[8:]) != nxConjunction {
			return false
		}
	}
	return true
}

// uniteConjunctions returns the conjunction actions of all candidates, sorted
// by id and clause.
func uniteConjunctions(candidates []Candidate) []byte {
	var parts [][]byte
	for i := range candidates {
		for b := candidates[i].Flow.Actions; len(b) > 0; b = b[conjunctionLen:] {
			parts = append(parts, b[:conjunctionLen])
		}
	}
	slices.SortFunc(parts, func(a, b []byte) int {
		return cmp.Or(bytes.Compare(a[12:16], b[12:16]), bytes.Compare(a, b))
	})
	parts = slices.CompactFunc(parts, bytes.Equal)
	return bytes.Join(parts, nil)
}
