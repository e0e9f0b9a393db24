package incr

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

func TestCellOf(t *testing.T) {
	type parts = []any
	same := func(a, b parts) {
		t.Helper()
		if CellOf(a...) != CellOf(b...) {
			t.Errorf("%v and %v differ", a, b)
		}
	}
	differ := func(a, b parts) {
		t.Helper()
		if CellOf(a...) == CellOf(b...) {
			t.Errorf("%v and %v are equal", a, b)
		}
	}
	same(parts{"ab"}, parts{[]byte("ab")})
	same(parts{7}, parts{uint64(7)})
	same(parts{Hash{1}}, parts{[16]byte{1}})
	differ(parts{"ab", "c"}, parts{"a", "bc"})
	differ(parts{"a"}, parts{"a", ""})
	differ(parts{uint64(1)}, parts{true})
	differ(parts{[16]byte{}}, parts{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"})
	if !noticed(func() error { CellOf(1.5); return nil }) {
		t.Error("a part of an unknown kind goes unnoticed")
	}
	id := [16]byte{1}
	if n := testing.AllocsPerRun(100, func() { CellOf("Logical_Switch_Port", id, "addresses", uint64(9)) }); n != 0 {
		t.Errorf("CellOf allocates %v times", n)
	}
}

func sorts[K comparable](t *testing.T, in ...K) {
	t.Helper()
	got := slices.Clone(in)
	rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
	sortBy(got, orderOf[K]())
	if !slices.Equal(got, in) {
		t.Errorf("sorted %v", got)
	}
}

func TestOrderOf(t *testing.T) {
	type pair struct {
		a uint16
		_ struct{}
		b string
	}
	type nested struct {
		p [2]pair
		f float64
		o bool
	}
	a := netip.MustParseAddr
	sorts(t, -2, -1, 0, 10)
	sorts(t, "", "a", "aa", "b")
	sorts(t, [2]byte{0, 9}, [2]byte{1, 0})
	sorts(t, [2]int16{-1, 9}, [2]int16{0, -3}, [2]int16{0, 0})
	sorts(t, pair{a: 1, b: "z"}, pair{a: 2, b: "a"}, pair{a: 2, b: "b"}, pair{a: 300})
	sorts(t, nested{f: -1}, nested{f: 1}, nested{f: 1, o: true}, nested{p: [2]pair{1: {a: 1}}})
	sorts(t, a("10.0.0.9"), a("10.0.0.10"), a("fd00::1"))
	sorts(t, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/24"))
	sorts[any](t, 1, "2", 3)
}

// The registered order decides how sinks drain.
func TestOrderOption(t *testing.T) {
	e := New(Options{})
	sink := NewSink(e, "out", HashInt[int], Order(func(a, b int) int { return b - a }))
	u := NewUnit(e, "u", func(c *Ctx, k int) error { Emit(c, sink, k, k); return nil })
	for k := range 4 {
		u.Root(k)
	}
	e.Run()
	want(t, "drained", drained(sink), "3:->3 2:->2 1:->1 0:->0")
}

// With Contains, Has of one element does not enumerate the key.
func TestContains(t *testing.T) {
	e := New(Options{})
	set := map[int]bool{1: true}
	enumerated := 0
	col := NewCollection(e, "set", func(Hash) iter.Seq[int] {
		enumerated++
		return func(yield func(int) bool) {
			for k := range set {
				if !yield(k) {
					return
				}
			}
		}
	}, Contains(func(_ Hash, k int) bool { return set[k] }))
	sink := NewSink[int](e, "out", HashBool)
	has := NewUnit(e, "has", func(c *Ctx, k int) error { Emit(c, sink, k, Has(c, col, Hash{}, k)); return nil })
	some := NewUnit(e, "any", func(c *Ctx, k int) error { Emit(c, sink, k, Any(c, col, Hash{})); return nil })
	has.Root(1)
	has.Root(2)
	e.Run()
	want(t, "start", drained(sink), "1:->true 2:->false")
	set[2] = true
	col.Change(Hash{}, 2, true)
	col.Change(Hash{}, 3, true) // nobody asked
	want(t, "executed", executed(e.Run()), "has=1")
	want(t, "change", drained(sink), "2:false>true")
	want(t, "enumerated", fmt.Sprint(enumerated), "0")
	some.Root(9)
	has.Unroot(1)
	e.Run()
	want(t, "any", drained(sink), "1:true>- 9:->true")
	want(t, "enumerated", fmt.Sprint(enumerated), "1")
	for k := range 3 {
		delete(set, k)
		col.Change(Hash{}, k, false)
	}
	e.Run()
	want(t, "empty", drained(sink), "2:true>false 9:true>false")
	has.Unroot(2)
	some.Unroot(9)
	e.Run()
	if n := e.Stats().Nodes; n != 0 {
		t.Errorf("%d nodes left", n)
	}
	check(t, e)
}

// A unit that reads a relation starts late enough once its family has been
// seen to, so it runs once.
func TestLateStart(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	rel := NewRelation[int](e, "unknown")
	flood := NewUnit(e, "flood", func(c *Ctx, sw int) error { Any(c, rel, CellOf("rel", sw)); return nil })
	port := NewUnit(e, "port", func(c *Ctx, k int) error { Insert(c, rel, CellOf("rel", k/100), k); return nil })
	sw := NewUnit(e, "switch", func(c *Ctx, sw int) error {
		Each(c, in.col, CellOf("one", sw), flood)
		Each(c, in.col, CellOf("ports", sw), port)
		return nil
	})
	enumerate := func(sw int) {
		in.sets["x"] = nil
		in.col.enumerate = func(key Hash) iter.Seq[int] {
			if key == CellOf("one", sw) {
				return slices.Values([]int{sw})
			}
			return slices.Values([]int{sw * 100, sw*100 + 1})
		}
	}
	enumerate(1)
	sw.Root(1)
	e.Run()
	enumerate(2)
	sw.Root(2)
	want(t, "second", executed(e.Run()), "flood=1 port=2 switch=1")
	check(t, e)
}

func TestQueue(t *testing.T) {
	var q queue
	var all []uint64
	for i := range uint32(2000) {
		h := rand.Int32N(50)
		q.push(h, i)
		all = append(all, entry(h, i))
	}
	slices.Sort(all)
	for _, x := range all {
		h, id, ok := q.peek()
		if !ok || entry(h, id) != x {
			t.Fatalf("got %d %d, want %x", h, id, x)
		}
		q.pop()
	}
	if _, _, ok := q.peek(); ok {
		t.Error("not empty")
	}
}

// A slab gives chunks back, hands no slot out twice and never slot 0.
func TestSlab(t *testing.T) {
	var s slab[int]
	used := map[uint32]int{}
	for round := range 20000 {
		if len(used) > 0 && (round/4000)%2 == 1 {
			for i, v := range used {
				if *s.at(i) != v {
					t.Fatalf("slot %d holds %d, want %d", i, *s.at(i), v)
				}
				s.release(i, false)
				delete(used, i)
				break
			}
			continue
		}
		i, p := s.alloc(false)
		if _, ok := used[i]; ok || i == 0 || *p != 0 {
			t.Fatalf("slot %d (%d) handed out", i, *p)
		}
		*p = round + 1
		used[i] = round + 1
	}
	for i := range used {
		s.release(i, false)
	}
	for ci, c := range *s.table.Load() {
		if c != nil {
			t.Errorf("chunk %d is still there", ci)
		}
	}
	if s.live != 0 {
		t.Errorf("%d live", s.live)
	}
}
