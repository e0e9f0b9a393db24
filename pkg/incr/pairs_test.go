package incr

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPairs joins two sets: a unit for every combination of a port and a router
// of one switch, and nothing else runs when either set changes.
func TestPairs(t *testing.T) {
	type member struct{ sw, port int }
	type router struct{ sw, id int }
	ports, routers := map[member]bool{}, map[router]bool{}
	e := New(Options{Workers: 1})
	key := func(sw int) Hash { return CellOf("switch", uint64(sw)) }
	col := NewCollection(e, "ports", func(k Hash) iter.Seq[member] {
		return func(yield func(member) bool) {
			for m := range ports {
				if key(m.sw) == k && !yield(m) {
					return
				}
			}
		}
	})
	sink := NewSink[string, string](e, "out", HashString)
	attached := NewPairs(e, "attached", func(c *Ctx, r router, m member) error {
		Emit(c, sink, fmt.Sprint(r, m), fmt.Sprint(r.id+m.port))
		return nil
	})
	rows := NewCollection(e, "routers", func(Hash) iter.Seq[router] {
		return func(yield func(router) bool) {
			for r := range routers {
				if !yield(r) {
					return
				}
			}
		}
	})
	unit := NewUnit(e, "router", func(c *Ctx, r router) error {
		EachPair(c, col, key(r.sw), attached)
		return nil
	})
	root := NewUnit(e, "root", func(c *Ctx, _ struct{}) error {
		Each(c, rows, Hash{}, unit)
		return nil
	})
	root.Root(struct{}{})
	e.Run()
	empty := e.Stats()
	rnd := rand.New(rand.NewPCG(1, 2))
	check := func() {
		t.Helper()
		var want, got []string
		for r := range routers {
			for m := range ports {
				if r.sw == m.sw {
					want = append(want, fmt.Sprint(r, m)+"="+fmt.Sprint(r.id+m.port))
				}
			}
		}
		for k, v := range sink.All() {
			got = append(got, k+"="+v)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Fatalf("pairs are %v, want %v", got, want)
		}
	}
	for range 500 {
		if rnd.IntN(2) == 0 {
			m := member{rnd.IntN(3), rnd.IntN(5)}
			there := !ports[m]
			if ports[m] = there; !there {
				delete(ports, m)
			}
			col.Change(key(m.sw), m, there)
			want := 0
			for r := range routers {
				if r.sw == m.sw && there {
					want++
				}
			}
			if ran := e.Run(); ran.Total != want {
				t.Fatalf("a port that came or went ran %d units, want %d: %v", ran.Total, want, ran.Executed)
			}
		} else {
			r := router{rnd.IntN(3), rnd.IntN(4)}
			there := !routers[r]
			if routers[r] = there; !there {
				delete(routers, r)
			}
			rows.Change(Hash{}, r, there)
			e.Run()
		}
		check()
	}
	for m := range ports {
		delete(ports, m)
		col.Change(key(m.sw), m, false)
	}
	for r := range routers {
		delete(routers, r)
		rows.Change(Hash{}, r, false)
	}
	e.Run()
	if now := e.Stats(); now.Nodes != empty.Nodes || now.Edges != empty.Edges {
		t.Errorf("%+v is left, %+v was there before", now, empty)
	}
}
