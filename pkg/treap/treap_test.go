package treap

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// ops collide in priority for neighbours, so that ties are tested too.
type ops struct{}

func (ops) Compare(a, b int) int { return cmp.Compare(a, b) }
func (ops) Priority(k int) uint64 {
	h := sha256.Sum256(fmt.Append(nil, k/2))
	return binary.BigEndian.Uint64(h[:])
}
func (ops) Equal(a, b string) bool { return a == b }
func (ops) Hash(k int, v string) Sum {
	h := sha256.Sum256(fmt.Append(nil, k, ":", v))
	return Sum{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])}
}

type tree = Tree[int, string, ops]

func contents(t tree) map[int]string { return maps.Collect(t.All()) }

// same tells whether two trees are node for node alike.
func same(a, b *node[int, string]) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.key == b.key && a.value == b.value && a.sum == b.sum && a.size == b.size && same(a.left, b.left) && same(a.right, b.right)
}

// TestModel compares a tree with a map under random changes; the shape is that
// of a tree built at once, earlier versions stay, and Diff finds exactly the
// differences.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr, before tree
		model, modelBefore := map[int]string{}, map[int]string{}
		t.Repeat(map[string]func(*rapid.T){
			"with": func(t *rapid.T) {
				k, v := rapid.IntRange(0, 40).Draw(t, "k"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "v")
				tr = tr.With(k, v)
				model[k] = v
			},
			"without": func(t *rapid.T) {
				k := rapid.IntRange(0, 40).Draw(t, "k")
				tr = tr.Without(k)
				delete(model, k)
			},
			"keep": func(*rapid.T) { before, modelBefore = tr, maps.Clone(model) },
			"": func(t *rapid.T) {
				if err := tr.Check(); err != nil {
					t.Fatal(err)
				}
				if !maps.Equal(contents(tr), model) || tr.Len() != len(model) {
					t.Fatalf("tree %v, model %v", contents(tr), model)
				}
				if !maps.Equal(contents(before), modelBefore) {
					t.Fatal("an earlier version changed")
				}
				var elements []Element[int, string]
				for k, v := range model { // in random order
					elements = append(elements, Element[int, string]{k, v})
				}
				built := Build[int, string, ops](elements)
				if !same(built.root, tr.root) {
					t.Fatal("the shape depends on history")
				}
				if k, _, ok := tr.Min(); ok && k != slices.Min(slices.Collect(maps.Keys(model))) {
					t.Fatalf("least key %d", k)
				}
				after := maps.Clone(modelBefore)
				last := -1
				// Against a tree that shares no node.
				Diff(before, built, func(k int, hasOld bool, old string, hasNew bool, new string) bool {
					if k <= last {
						t.Fatalf("key %d after %d", k, last)
					}
					last = k
					if v, ok := modelBefore[k]; ok != hasOld || v != old {
						t.Fatalf("old of %d: %q", k, old)
					}
					if hasNew {
						after[k] = new
					} else {
						delete(after, k)
					}
					if hasOld && hasNew && old == new {
						t.Fatalf("key %d does not differ", k)
					}
					return true
				})
				if !maps.Equal(after, model) {
					t.Fatalf("differences lead to %v, not %v", after, model)
				}
				if before.Equal(tr) != maps.Equal(modelBefore, model) {
					t.Fatal("Equal is wrong")
				}
			},
		})
	})
}

func TestBuildLastWins(t *testing.T) {
	tr := Build[int, string, ops]([]Element[int, string]{{1, "a"}, {2, "b"}, {1, "c"}})
	if v, _ := tr.Get(1); v != "c" || tr.Len() != 2 {
		t.Errorf("%v", contents(tr))
	}
}

// counting counts comparisons, the measure of work.
type counting struct{ ops }

var compared int

func (counting) Compare(a, b int) int { compared++; return cmp.Compare(a, b) }

func TestWorkIsLogarithmic(t *testing.T) {
	var elements []Element[int, string]
	for i := range 100_000 {
		elements = append(elements, Element[int, string]{2 * i, "v"})
	}
	a := Build[int, string, counting](elements)
	b := Build[int, string, counting](slices.Clone(elements)) // shares nothing
	compared = 0
	b = b.With(77_777, "new").Without(20_000)
	if compared > 500 {
		t.Errorf("two changes took %d comparisons", compared)
	}
	compared = 0
	n := 0
	Diff(a, b, func(int, bool, string, bool, string) bool { n++; return true })
	if n != 2 || compared > 1000 {
		t.Errorf("%d differences took %d comparisons", n, compared)
	}
}

func BenchmarkWith(b *testing.B) {
	var elements []Element[int, string]
	for i := range 100_000 {
		elements = append(elements, Element[int, string]{2 * i, "v"})
	}
	tr := Build[int, string, ops](elements)
	b.ReportAllocs()
	for b.Loop() {
		tr.With(77_777, "new")
	}
}
