package ovsdb

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestUUIDTree makes random changes, with and without an edit, and compares with
// a map; earlier versions stay as they were.
func TestUUIDTree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	type version struct {
		tree uuidTree[int]
		want map[UUID]int
	}
	var tree uuidTree[int]
	want := map[UUID]int{}
	var old []version
	same := func(v version) {
		t.Helper()
		if err := v.tree.check(); err != nil {
			t.Fatal(err)
		}
		got := maps.Collect(v.tree.All())
		if !maps.Equal(got, v.want) || v.tree.Len() != len(v.want) {
			t.Fatalf("%d entries, want %d", len(got), len(v.want))
		}
	}
	for step := range 60 {
		old = append(old, version{tree, maps.Clone(want)})
		if step%3 > 0 {
			tree = tree.edit(new(treeEdit))
		}
		grow := step%20 < 12
		for range rng.IntN(1000) {
			var u UUID // few enough that most are hit again
			binary.BigEndian.PutUint16(u[rng.IntN(2)*14:], uint16(rng.IntN(3000)))
			if rng.IntN(3) == 0 == grow {
				tree = tree.Without(u)
				delete(want, u)
			} else {
				tree = tree.With(u, step)
				want[u] = step
			}
			v, ok := tree.Get(u)
			if w, has := want[u]; v != w || ok != has {
				t.Fatalf("%s: %d %t, want %d %t", u, v, ok, w, has)
			}
		}
		tree = tree.freeze()
		same(version{tree, want})
	}
	for _, v := range old {
		same(v)
	}
	for u := range want {
		tree = tree.Without(u)
	}
	same(version{tree, nil})
}

func TestUUIDTreeBuild(t *testing.T) {
	for _, n := range []int{0, 1, 28, 29, 1000, 30_000} {
		var entries []uuidEntry[int]
		for i := range n {
			entries = append(entries, uuidEntry[int]{Key: NewUUID(), Value: i})
		}
		if n > 1 {
			entries = append(entries, entries[0])
		}
		want := map[UUID]int{}
		for _, e := range entries {
			want[e.Key] = e.Value
		}
		tree := buildUUIDTree(entries)
		if err := tree.check(); err != nil {
			t.Fatal(err)
		}
		if got := maps.Collect(tree.All()); !maps.Equal(got, want) || tree.Len() != n {
			t.Errorf("%d entries of %d, Len %d", len(got), n, tree.Len())
		}
		var keys []UUID
		for u := range tree.All() {
			keys = append(keys, u)
		}
		if !slices.IsSortedFunc(keys, UUID.Compare) {
			t.Error("out of order")
		}
	}
}
