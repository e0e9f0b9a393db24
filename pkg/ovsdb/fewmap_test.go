package ovsdb

import (
	"math/rand/v2"
	"testing"
)

// TestFewMap compares it with a Go map, about the size at which it becomes one.
func TestFewMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var m fewMap[int]
		want := make(map[UUID]int)
		for i := range 60 {
			u := UUID{15: byte(r.IntN(2 * fewMost))}
			if r.IntN(3) == 0 {
				m.Remove(u)
				delete(want, u)
			} else {
				m.Put(u, i+1)
				want[u] = i + 1
			}
			if m.Len() != len(want) {
				t.Fatalf("%d entries, not %d", m.Len(), len(want))
			}
			for k := range UUID(u)[15] + 1 {
				if k := (UUID{15: k}); m.Get(k) != want[k] {
					t.Fatalf("%s: %d, not %d", k, m.Get(k), want[k])
				}
			}
			seen := 0
			for k, v := range m.All() {
				if seen++; want[k] != v {
					t.Fatalf("%s comes with %d, not %d", k, v, want[k])
				}
			}
			if seen != len(want) {
				t.Fatalf("%d of %d entries came", seen, len(want))
			}
		}
	}
	var none *fewMap[int]
	if none.Len() != 0 || none.Get(UUID{}) != 0 || len(none.sorted()) != 0 {
		t.Error("nil is not empty")
	}
}

// TestFewMapWhileItChanges: a loop that removes entries sees each of the others once.
func TestFewMapWhileItChanges(t *testing.T) {
	for _, n := range []int{3, fewMost, 3 * fewMost} {
		var m fewMap[int]
		for i := range n {
			m.Put(UUID{15: byte(i)}, i+1)
		}
		seen := make(map[UUID]int)
		for u := range m.All() {
			seen[u]++
			if u[15]%2 == 0 {
				m.Remove(u)
			}
		}
		if len(seen) != n || m.Len() != n/2 {
			t.Errorf("of %d entries %d came, and %d are left", n, len(seen), m.Len())
		}
		for u, times := range seen {
			if times != 1 {
				t.Errorf("%s came %d times", u, times)
			}
		}
	}
}
