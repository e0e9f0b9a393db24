package classifier

import (
	"math/rand/v2"
	"testing"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// linear is what a lookup must find: the highest priority of the rules that
// match, conjunctions resolved by looking at all of them.
func linear(rules map[*Rule[int]]bool, k packet.Key, conj uint32) int {
	best := -1
	soft := map[uint16]map[uint32]map[uint8]bool{}
	size := map[uint32]uint8{}
	k.SetConjID(conj)
	for r := range rules {
		if !r.matches(&k) {
			continue
		}
		if r.Conjunctions == nil {
			best = max(best, int(r.Priority))
			continue
		}
		for _, c := range r.Conjunctions {
			if soft[r.Priority] == nil {
				soft[r.Priority] = map[uint32]map[uint8]bool{}
			}
			if soft[r.Priority][c.ID] == nil {
				soft[r.Priority][c.ID] = map[uint8]bool{}
			}
			soft[r.Priority][c.ID][c.Clause] = true
			size[c.ID] = c.NClauses
		}
	}
	if conj != 0 {
		return best
	}
	for p := 20; p > best; p-- { // the highest of the test
		for id := uint32(1); id < 4; id++ {
			if clauses := soft[uint16(p)][id]; clauses != nil && len(clauses) == int(size[id]) {
				if found := linear(rules, k, id); found >= 0 {
					return found
				}
				break
			}
		}
	}
	return best
}

// A table finds what a look at every rule finds, while rules come and go.
func TestLookup(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var table Table[int]
	rules := map[*Rule[int]]bool{}
	match := func() Match {
		var value, mask packet.Key
		for range r.IntN(4) {
			f := openflow.FieldReg(r.IntN(3))
			v := packet.U128{Lo: uint64(r.IntN(4))}
			value.Or(f, v)
			mask.Or(f, packet.U128{Lo: []uint64{3, 1, 2, 0xffffffff}[r.IntN(4)] | v.Lo})
		}
		if r.IntN(6) == 0 {
			value.SetConjID(uint32(1 + r.IntN(3)))
			mask.SetConjID(^uint32(0))
		}
		return Compile(&value, &mask)
	}
	hits := 0
	for step := range 4000 {
		switch {
		case len(rules) < 60 || r.IntN(2) == 0:
			rule := &Rule[int]{Priority: uint16(r.IntN(20)), Match: match(), Value: step}
			if r.IntN(4) == 0 {
				id := uint32(1 + r.IntN(3))
				rule.Conjunctions = []openflow.Conjunction{{ID: id, Clause: uint8(r.IntN(2)), NClauses: 2}}
			}
			if found := table.Find(rule.Priority, &rule.Match); found != nil && !rules[found] {
				t.Fatal("found a rule that is gone")
			} else if old := table.Insert(rule); old != found {
				t.Fatalf("Insert replaced %v, Find found %v", old, found)
			} else if old != nil {
				delete(rules, old)
			}
			rules[rule] = true
		default:
			for rule := range rules {
				table.Remove(rule)
				delete(rules, rule)
				break
			}
		}
		if table.Len() != len(rules) {
			t.Fatalf("%d rules, want %d", table.Len(), len(rules))
		}
		var k packet.Key
		for i := range 3 {
			k.Set(openflow.FieldReg(i), packet.U128{Lo: uint64(r.IntN(4))})
		}
		got, before := -1, k
		if found := table.Lookup(&k); found != nil {
			got = int(found.Priority)
			hits++
		}
		if k != before {
			t.Fatal("the lookup changed the key")
		}
		if want := linear(rules, k, 0); got != want {
			t.Fatalf("step %d: priority %d, want %d", step, got, want)
		}
	}
	n := 0
	for range table.All() {
		n++
	}
	if n != len(rules) || hits < 500 || table.Masks() < 5 {
		t.Errorf("%d rules of %d, %d hits, %d masks", n, len(rules), hits, table.Masks())
	}
	for rule := range rules {
		table.Remove(rule)
	}
	if table.Masks() != 0 {
		t.Errorf("%d masks are left", table.Masks())
	}
}

// Covers and Overlaps agree with what packets match.
func TestRelations(t *testing.T) {
	reg := func(v, mask uint64) Match {
		var value, m packet.Key
		value.Or(openflow.FieldReg(0), packet.U128{Lo: v})
		m.Or(openflow.FieldReg(0), packet.U128{Lo: mask})
		return Compile(&value, &m)
	}
	all, even, four, odd := reg(0, 0), reg(0, 1), reg(4, 0xffffffff), reg(1, 1)
	for _, tt := range []struct {
		name             string
		a, b             Match
		covers, overlaps bool
	}{
		{"all, even", all, even, true, true}, {"even, all", even, all, false, true}, {"even, four", even, four, true, true},
		{"four, even", four, even, false, true}, {"odd, four", odd, four, false, false}, {"odd, even", odd, even, false, false}, {"odd, odd", odd, odd, true, true},
	} {
		if got := tt.a.Covers(&tt.b); got != tt.covers {
			t.Errorf("%s: covers %v", tt.name, got)
		}
		if got := tt.a.Overlaps(&tt.b); got != tt.overlaps {
			t.Errorf("%s: overlaps %v", tt.name, got)
		}
	}
}
