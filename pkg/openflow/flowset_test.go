package openflow

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func matchOn(reg uint64) []byte {
	var m Match
	m.Set(FieldReg(0), reg)
	return m.Encode()
}

func flowID(unit byte, index uint32) FlowID { return FlowID{Unit: [16]byte{unit}, Index: index} }

func candidate(unit byte, cookie uint64, actions ...Action) Candidate {
	return Candidate{ID: flowID(unit, 0), Flow: Flow{Table: 8, Priority: 1, Cookie: cookie, Match: matchOn(0), Actions: EncodeActions(actions)}}
}

func conj(id uint32, clause uint8) Action { return Conjunction{ID: id, Clause: clause, NClauses: 2} }

func TestResolve(t *testing.T) {
	const owner1, owner2 = 1 << 60, 2 << 60
	for _, tc := range []struct {
		name     string
		in       []Candidate
		cookie   uint64
		actions  string
		shadowed string
	}{
		{"one", []Candidate{candidate(1, 5<<32, Exit{})}, 5 << 32, "exit", "[]"},
		{"lowest flow id", []Candidate{candidate(1, 6<<32, Exit{}), candidate(2, 5<<32, DecTTL{}), candidate(3, 7<<32)}, 5 << 32, "dec_ttl", "[1 3]"},
		{"the owner comes after the flow id", []Candidate{candidate(1, owner1|6<<32, Exit{}), candidate(2, owner2|5<<32, DecTTL{})}, owner2 | 5<<32, "dec_ttl", "[1]"},
		{"then the cookie", []Candidate{candidate(1, 5<<32|2, Exit{}), candidate(2, 5<<32|1, DecTTL{})}, 5<<32 | 1, "dec_ttl", "[1]"},
		{"then the actions", []Candidate{candidate(1, 5, Exit{}), candidate(2, 5, DecTTL{})}, 5, "dec_ttl", "[1]"},
		{"equal ones are not shadowed", []Candidate{candidate(1, 5, Exit{}), candidate(2, 5, Exit{}), candidate(3, 6, Exit{})}, 5, "exit", "[3]"},
		{"conjunctions unite", []Candidate{candidate(1, 7, conj(2, 1), conj(1, 1)), candidate(2, 5, conj(1, 0)), candidate(3, 6, conj(1, 1))}, 5,
			"conjunction(1,1/2),conjunction(1,2/2),conjunction(2,2/2)", "[]"},
		{"not with others", []Candidate{candidate(1, 7, conj(2, 1)), candidate(2, 5, conj(1, 0)), candidate(3, 8, Exit{})}, 5, "conjunction(1,1/2)", "[1 3]"},
		{"nor with drop", []Candidate{candidate(1, 7, conj(2, 1)), candidate(3, 6)}, 6, "drop", "[1]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 5 {
				rand.Shuffle(len(tc.in), func(i, j int) { tc.in[i], tc.in[j] = tc.in[j], tc.in[i] })
				f, shadowed := Resolve(tc.in)
				units := []byte{}
				for _, c := range shadowed {
					units = append(units, c.ID.Unit[0])
				}
				if f.Cookie != tc.cookie || f.formatActions() != tc.actions || fmt.Sprint(units) != tc.shadowed {
					t.Errorf("%v, shadowed %v, want cookie %#x, %s, %s", f, units, tc.cookie, tc.actions, tc.shadowed)
				}
			}
		})
	}
}

// Invariant: what is installed and what is shadowed follow from the candidates
// that are there, not from the order in which they came or what was there
// before; the changes, applied one after the other, lead to it.
func TestFlowSetIndependentOfHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawFlow := func() Flow {
			var actions []Action
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				actions = []Action{ToTable(rapid.Uint8Range(0, 2).Draw(t, "to"))}
			case 1, 2:
				for range rapid.IntRange(1, 3).Draw(t, "n") {
					actions = append(actions, conj(rapid.Uint32Range(1, 2).Draw(t, "conj"), rapid.Uint8Range(0, 1).Draw(t, "clause")))
				}
			}
			return Flow{
				Table:    rapid.Uint8Range(8, 9).Draw(t, "table"),
				Priority: rapid.Uint16Range(1, 2).Draw(t, "priority"),
				Cookie:   rapid.Uint64Range(0, 2).Draw(t, "flow id")<<32 | rapid.Uint64Range(0, 2).Draw(t, "content"),
				Match:    matchOn(rapid.Uint64Range(0, 1).Draw(t, "match")),
				Actions:  EncodeActions(actions),
			}
		}
		set := NewFlowSet()
		model := map[FlowID]Flow{}
		installed := map[FlowKey]Flow{}
		apply := func() {
			changes := set.Changes()
			for i, c := range changes {
				if i > 0 && changes[i-1].Key.Compare(c.Key) >= 0 {
					t.Fatal("changes are out of order")
				}
				old, was := installed[c.Key]
				if (c.Old != nil) != was || was && !old.Equal(c.Old) {
					t.Fatalf("old flow %v, want %v", c.Old, old)
				}
				if c.New == nil {
					delete(installed, c.Key)
				} else {
					installed[c.Key] = *c.New
				}
				if c.Old == nil && c.New == nil || c.Old != nil && c.New != nil && c.Old.Equal(c.New) {
					t.Fatalf("no change: %v", c)
				}
			}
		}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			id := flowID(rapid.ByteRange(0, 4).Draw(t, "unit"), rapid.Uint32Range(0, 2).Draw(t, "index"))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				set.Remove(id)
				delete(model, id)
			case 1:
				apply()
			default:
				f := drawFlow()
				set.Put(id, f)
				model[id] = f
			}
		}
		apply()

		fresh := NewFlowSet()
		ids := slices.Collect(maps.Keys(model)) // in random order
		for _, id := range ids {
			fresh.Put(id, model[id])
		}
		want := map[FlowKey]Flow{}
		for _, c := range fresh.Changes() {
			want[c.Key] = *c.New
		}
		if diff := cmp.Diff(want, installed); diff != "" {
			t.Fatalf("installed:\n%s", diff)
		}
		if diff := cmp.Diff(fresh.Flows(), set.Flows()); diff != "" || len(set.Flows()) != len(want) {
			t.Fatalf("Flows:\n%s", diff)
		}
		if diff := cmp.Diff(fresh.Shadowed(), set.Shadowed()); diff != "" {
			t.Fatalf("Shadowed:\n%s", diff)
		}
		if set.Len() != len(model) || len(set.slots) != len(want) || len(set.multi) > len(want) {
			t.Fatalf("%d candidates, %d slots, want %d, %d", set.Len(), len(set.slots), len(model), len(want))
		}
	})
}

// A flow that goes and comes back between two calls is no change.
func TestChangesAreNet(t *testing.T) {
	set := NewFlowSet()
	f := candidate(1, 5, Exit{}).Flow
	set.Put(flowID(1, 0), f)
	if n := len(set.Changes()); n != 1 {
		t.Fatalf("%d changes", n)
	}
	set.Remove(flowID(1, 0))
	set.Put(flowID(2, 0), f)
	set.Put(flowID(3, 0), Flow{Table: 9})
	set.Remove(flowID(3, 0))
	set.Remove(flowID(9, 9))
	if changes := set.Changes(); len(changes) != 0 {
		t.Errorf("changes %v", changes)
	}
	if got := set.Candidates(f.Key()); len(got) != 1 || got[0].ID != flowID(2, 0) {
		t.Errorf("candidates %v", got)
	}
	if got, ok := set.Get(f.Key()); !ok || !got.Equal(&f) {
		t.Errorf("flow %v, %v", got, ok)
	}
}

func BenchmarkFlowSetPut(b *testing.B) {
	flows := make([]Flow, 50_000)
	for i := range flows {
		flows[i] = Flow{Table: 8, Priority: 100, Cookie: uint64(i) << 32, Match: matchOn(uint64(i))}
	}
	b.ReportAllocs()
	for b.Loop() {
		set := NewFlowSet()
		for i, f := range flows {
			set.Put(flowID(1, uint32(i)), f)
		}
		set.Changes()
	}
}
