package incr

import (
	"slices"
	"testing"
)

// check verifies, between Runs, everything that the engine's data must satisfy.
func check(t interface {
	Helper()
	Errorf(string, ...any)
}, e *Engine) {
	t.Helper()
	readers := map[uint32]int{}
	edges, live := 0, 0
	each := func(f func(id uint32, n *node)) {
		table := e.nodes.table.Load()
		if table == nil {
			return
		}
		for ci, c := range *table {
			if c == nil {
				continue
			}
			for i := range c.items {
				if n := &c.items[i]; n.state.Load() != stateFree {
					f(uint32(ci)<<chunkBits|uint32(i), n)
				}
			}
		}
	}
	each(func(id uint32, n *node) {
		live++
		edges += len(n.deps)
		if n.state.Load() != stateClean {
			t.Errorf("%s: state %d", e.nameOf(id), n.state.Load())
		}
		if !slices.IsSorted(n.deps) || len(slices.Compact(slices.Clone(n.deps))) != len(n.deps) {
			t.Errorf("%s: deps %v", e.nameOf(id), n.deps)
		}
		for _, d := range n.deps {
			readers[d]++
			if !slices.Contains(e.node(d).readers, id) {
				t.Errorf("%s is not in the readers of %s", e.nameOf(id), e.nameOf(d))
			}
			below := n.height
			if cy := e.cycles[id]; cy != nil && cy.next[id] == d {
				below++
			}
			if cy := e.cycles[id]; cy != nil && cy.next[id] == 0 {
				continue // poisoned units are in no order
			}
			if e.node(d).height >= below {
				t.Errorf("%s (%d) is not above %s (%d)", e.nameOf(id), n.height, e.nameOf(d), e.node(d).height)
			}
		}
	})
	each(func(id uint32, n *node) {
		switch k := e.kindOf(n); k {
		case kindUnit:
		case kindKey:
			if e.collOf(n).idle(n.slot) {
				t.Errorf("%s is idle", e.nameOf(id))
			}
		default:
			if int(n.refs) != readers[id] || n.refs == 0 {
				t.Errorf("%s: %d refs, %d readers", e.nameOf(id), n.refs, readers[id])
			}
		}
		if len(n.readers) > 32 && len(n.readers) > 2*int(n.refs)+1 {
			t.Errorf("%s: %d entries for %d readers", e.nameOf(id), len(n.readers), n.refs)
		}
	})
	if s := e.Stats(); s.Edges != edges || s.Nodes != live {
		t.Errorf("stats %+v, counted %d nodes and %d edges", s, live, edges)
	}
	if len(e.queue.h) != 0 || len(e.found) != 0 {
		t.Errorf("queue %d, found %d", len(e.queue.h), len(e.found))
	}
}

var _ = testing.Verbose
