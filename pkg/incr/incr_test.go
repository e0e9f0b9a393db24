package incr

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inputs is a little database: integer cells and indexes of integers.
type inputs struct {
	e    *Engine
	ints map[string]int
	sets map[string]map[int]bool
	col  *Collection[int]
}

func newInputs(e *Engine) *inputs {
	in := &inputs{e: e, ints: map[string]int{}, sets: map[string]map[int]bool{}}
	in.col = NewCollection(e, "index", in.enumerate)
	return in
}

func (in *inputs) enumerate(key Hash) iter.Seq[int] {
	return func(yield func(int) bool) {
		for name, set := range in.sets {
			if CellOf(name) == key {
				for v := range set {
					if !yield(v) {
						return
					}
				}
			}
		}
	}
}

func (in *inputs) read(c *Ctx, name string) int {
	c.Read(CellOf(name))
	return in.ints[name]
}

func (in *inputs) set(name string, v int) {
	in.ints[name] = v
	in.e.Touch(CellOf(name))
}

func (in *inputs) put(name string, v int, present bool) {
	if in.sets[name] == nil {
		in.sets[name] = map[int]bool{}
	}
	if present {
		in.sets[name][v] = true
	} else {
		delete(in.sets[name], v)
	}
	in.col.Change(CellOf(name), v, present)
}

// executed prints what a Run executed as "name=n ...", sorted.
func executed(s RunStats) string {
	var out []string
	for name, n := range s.Executed {
		out = append(out, fmt.Sprintf("%s=%d", name, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func drained[K comparable, V any](s *Sink[K, V]) string {
	var out []string
	for _, c := range s.Drain() {
		old, fresh := "-", "-"
		if c.Old != nil {
			old = fmt.Sprint(*c.Old)
		}
		if c.New != nil {
			fresh = fmt.Sprint(*c.New)
		}
		out = append(out, fmt.Sprintf("%v:%s>%s", c.Key, old, fresh))
	}
	return strings.Join(out, " ")
}

func failing(e *Engine) string {
	var out []string
	for _, u := range e.Errors() {
		out = append(out, fmt.Sprintf("%s(%v): %v", u.Unit, u.Key, u.Err))
	}
	return strings.Join(out, "; ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// A changed input re-runs what read it, and stops where a result is equal.
func TestCutOff(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	parity := NewQuery(e, "parity", HashInt[int], func(c *Ctx, k string) (int, error) { return in.read(c, k) % 2, nil })
	double := NewQuery(e, "double", HashInt[int], func(c *Ctx, k string) (int, error) {
		v, err := parity.Get(c, k)
		return 2 * v, err
	})
	sink := NewSink[string](e, "out", HashInt[int])
	unit := NewUnit(e, "unit", func(c *Ctx, k string) error {
		v, err := double.Get(c, k)
		Emit(c, sink, k, v)
		return err
	})
	unit.Root("x")
	for _, s := range []struct {
		v         int
		ran, sink string
	}{
		{1, "double=1 parity=1 unit=1", "x:->2"},
		{3, "parity=1", ""},
		{4, "double=1 parity=1 unit=1", "x:2>0"},
		{4, "parity=1", ""},
	} {
		in.set("x", s.v)
		want(t, fmt.Sprintf("executed after x=%d", s.v), executed(e.Run()), s.ran)
		want(t, "sink", drained(sink), s.sink)
	}
	in.set("y", 1)
	want(t, "an input nobody reads", executed(e.Run()), "")
	unit.Unroot("x")
	e.Run()
	want(t, "gone", drained(sink), "x:0>-")
	if s := e.Stats(); s.Nodes != 0 || s.Edges != 0 {
		t.Errorf("left over: %+v", s)
	}
	check(t, e)
}

// Each keeps a child per element; the parent does not run again.
func TestEach(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	sink := NewSink[int](e, "out", HashInt[int])
	port := NewUnit(e, "port", func(c *Ctx, k int) error { Emit(c, sink, k, k*10); return nil })
	sw := NewUnit(e, "switch", func(c *Ctx, k string) error { Each(c, in.col, CellOf(k), port); return nil })
	in.put("sw", 1, true)
	in.put("sw", 2, true)
	sw.Root("sw")
	want(t, "start", executed(e.Run()), "port=2 switch=1")
	want(t, "sink", drained(sink), "1:->10 2:->20")
	in.put("sw", 3, true)
	want(t, "one more", executed(e.Run()), "port=1")
	want(t, "sink", drained(sink), "3:->30")
	in.put("sw", 1, false)
	in.put("sw", 4, true)
	in.put("sw", 4, false)
	want(t, "one less", executed(e.Run()), "")
	want(t, "sink", drained(sink), "1:10>-")
	sw.Unroot("sw")
	e.Run()
	want(t, "sink", drained(sink), "2:20>- 3:30>-")
	if n := e.Stats().Nodes; n != 0 {
		t.Errorf("%d nodes left", n)
	}
	check(t, e)
}

// Has depends on one element, Any on emptiness.
func TestHasAny(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	sink := NewSink[int](e, "out", HashBool)
	has := NewUnit(e, "has", func(c *Ctx, k int) error { Emit(c, sink, k, Has(c, in.col, CellOf("s"), k)); return nil })
	some := NewUnit(e, "any", func(c *Ctx, k int) error { Emit(c, sink, k, Any(c, in.col, CellOf("s"))); return nil })
	has.Root(1)
	has.Root(2)
	some.Root(100)
	want(t, "start", executed(e.Run()), "any=1 has=2")
	drained(sink)
	for _, s := range []struct {
		elem      int
		present   bool
		ran, sink string
	}{
		{1, true, "any=1 has=1", "1:false>true 100:false>true"},
		{3, true, "", ""},
		{1, false, "has=1", "1:true>false"},
		{3, false, "any=1", "100:true>false"},
	} {
		in.put("s", s.elem, s.present)
		want(t, "executed", executed(e.Run()), s.ran)
		want(t, "sink", drained(sink), s.sink)
	}
	check(t, e)
}

// A relation is read after all units that fill it.
func TestRelation(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	rel := NewRelation[int](e, "unknown")
	sink := NewSink[string](e, "out", HashBool)
	flood := NewUnit(e, "flood", func(c *Ctx, k string) error { Emit(c, sink, k, Any(c, rel, CellOf(k))); return nil })
	port := NewUnit(e, "port", func(c *Ctx, k int) error {
		if in.read(c, fmt.Sprint("p", k)) > 0 {
			Insert(c, rel, CellOf("sw"), k)
		}
		return nil
	})
	flood.Root("sw")
	for i := range 3 {
		port.Root(i)
	}
	e.Run()
	want(t, "start", drained(sink), "sw:->false")
	in.set("p0", 1)
	want(t, "first", executed(e.Run()), "flood=1 port=1")
	want(t, "sink", drained(sink), "sw:false>true")
	in.set("p1", 1)
	in.set("p0", 0)
	want(t, "another", executed(e.Run()), "port=2")
	want(t, "elements", fmt.Sprint(rel.Elements(CellOf("sw"))), "[1]")
	port.Unroot(1)
	want(t, "last", executed(e.Run()), "flood=1")
	want(t, "sink", drained(sink), "sw:true>false")
	check(t, e)
}

// Errors are values; a unit that fails emits nothing and is tried again.
func TestErrors(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	sink := NewSink[string](e, "out", HashInt[int])
	q := NewQuery(e, "q", HashInt[int], func(c *Ctx, k string) (int, error) {
		switch v := in.read(c, k); v {
		case 1:
			return 0, errors.New("one")
		case 2:
			panic("two")
		default:
			return v, nil
		}
	})
	u := NewUnit(e, "u", func(c *Ctx, k string) error {
		Emit(c, sink, k, 7)
		_, err := q.Get(c, k)
		return err
	})
	u.Root("x")
	for _, s := range []struct {
		v          int
		sink, errs string
	}{
		{0, "x:->7", ""},
		{1, "x:7>-", "u(x): one"},
		{2, "", "u(x): panic: two"},
		{3, "x:->7", ""},
	} {
		in.set("x", s.v)
		e.Run()
		want(t, "sink", drained(sink), s.sink)
		want(t, "errors", failing(e), s.errs)
	}
	want(t, "feed", fmt.Sprint(len(e.DrainErrors())), "0")
	in.set("x", 1)
	e.Run()
	want(t, "feed", fmt.Sprint(e.DrainErrors()), "[{u x one}]")
	u.Unroot("x")
	e.Run()
	want(t, "feed", fmt.Sprint(e.DrainErrors()), "[{u x <nil>}]")
	check(t, e)
}

// A key that two units emit belongs to the lesser, whoever came first.
func TestConflict(t *testing.T) {
	for _, order := range [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"b", "c", "a"}} {
		e := New(Options{})
		sink := NewSink[string](e, "out", HashString)
		u := NewUnit(e, "u", func(c *Ctx, k string) error { Emit(c, sink, "k", k); Emit(c, sink, k, k); return nil })
		for _, k := range order {
			u.Root(k)
			e.Run()
		}
		want(t, "errors", failing(e), `u(b): sink "out" key k: already emitted by u(a); u(c): sink "out" key k: already emitted by u(a)`)
		want(t, "sink", drained(sink), "a:->a b:->b c:->c k:->a")
		u.Unroot("a")
		e.Run()
		want(t, "errors", failing(e), `u(c): sink "out" key k: already emitted by u(b)`)
		want(t, "sink", drained(sink), "a:a>- k:a>b")
		u.Unroot("c")
		e.Run()
		want(t, "errors", failing(e), "")
		check(t, e)
	}
}

// Queries that need each other fail with the path, wherever one enters, and
// recover when one of them reads something else.
func TestCycle(t *testing.T) {
	for _, entry := range [][]int{{1}, {2}, {3}, {1, 2, 3}, {3, 1}} {
		e := New(Options{})
		in := newInputs(e)
		var q *Query[int, int]
		q = NewQuery(e, "q", HashInt[int], func(c *Ctx, k int) (int, error) {
			next := in.read(c, fmt.Sprint("next", k))
			if next == 0 {
				return k, nil
			}
			return q.Get(c, next)
		})
		u := NewUnit(e, "u", func(c *Ctx, k int) error { _, err := q.Get(c, k); return err })
		in.set("next1", 2)
		in.set("next2", 3)
		in.set("next3", 1)
		for _, k := range entry {
			u.Root(k)
		}
		all := func(err string) string {
			keys := slices.Sorted(slices.Values(entry))
			var out []string
			for _, k := range keys {
				out = append(out, fmt.Sprintf("u(%d): %s", k, err))
			}
			return strings.Join(out, "; ")
		}
		e.Run()
		want(t, "cycle", failing(e), all("cycle: q(1) -> q(2) -> q(3) -> q(1)"))
		in.set("next2", 1)
		e.Run()
		want(t, "shorter", failing(e), all("cycle: q(1) -> q(2) -> q(1)"))
		in.set("next2", 0)
		e.Run()
		want(t, "none", failing(e), "")
		in.set("next2", 3)
		e.Run()
		want(t, "cycle again", failing(e), all("cycle: q(1) -> q(2) -> q(3) -> q(1)"))
		check(t, e)
	}
}

// A unit that reads a relation that it fills fails with the path.
func TestRelationCycle(t *testing.T) {
	e := New(Options{CellLabel: func(Cell) string { return "k" }})
	in := newInputs(e)
	r1, r2 := NewRelation[int](e, "r1"), NewRelation[int](e, "r2")
	a := NewUnit(e, "a", func(c *Ctx, k int) error {
		if in.read(c, "off") == 0 {
			Any(c, r1, Hash{})
		}
		Insert(c, r2, Hash{}, k)
		return nil
	})
	b := NewUnit(e, "b", func(c *Ctx, k int) error {
		Has(c, r2, Hash{}, 5)
		Insert(c, r1, Hash{}, k)
		return nil
	})
	self := NewUnit(e, "self", func(c *Ctx, k int) error { Any(c, r1, CellOf("s")); Insert(c, r1, CellOf("s"), 1); return nil })
	a.Root(1)
	b.Root(2)
	self.Root(3)
	path := "cycle: a(1) -> r1(k any) -> r1(k) -> b(2) -> r2(k has 5) -> r2(k) -> a(1)"
	cyclic := "a(1): " + path + "; b(2): " + path
	const own = "self(3): cycle: r1(k any) -> r1(k) -> self(3) -> r1(k any)"
	for _, s := range []struct {
		off  int
		want string
	}{{0, cyclic + "; " + own}, {1, own}, {0, cyclic + "; " + own}, {0, cyclic + "; " + own}} {
		in.set("off", s.off)
		e.Run()
		want(t, fmt.Sprint("off ", s.off), failing(e), s.want)
		check(t, e)
	}
	want(t, "r1", fmt.Sprint(r1.Elements(Hash{})), "[]")
}
