package incr

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// One port costs the same at 100 switches of 50 and at one of 50,000.
func TestCountsAtScale(t *testing.T) {
	var counts []string
	for _, size := range [][2]int{{100, 50}, {1, 50000}} {
		f := newFabric(size[0], size[1], 1)
		f.e.Run()
		p := [2]uint32{0, 1 << 20}
		f.col.Change(HashInt(uint64(0)), p, true)
		s := executed(f.e.Run())
		f.e.Touch(portCell(p))
		s += ", " + executed(f.e.Run())
		f.col.Change(HashInt(uint64(0)), p, false)
		counts = append(counts, s+", "+executed(f.e.Run()))
	}
	want(t, "100 x 50", counts[0], "addresses=1 port=1, addresses=1, ")
	want(t, "1 x 50000", counts[1], counts[0])
}

// Create-then-delete of everything gives all nodes and the memory back.
func TestEverythingGoes(t *testing.T) {
	f := newFabric(0, 0, 1)
	before := heap()
	for range 3 {
		for s := range uint32(20) {
			f.n[s] = 1000
			f.root.Root(s)
		}
		f.e.Run()
		f.sink.Drain()
		full := heap()
		for s := range uint32(20) {
			f.root.Unroot(s)
		}
		f.e.Run()
		f.sink.Drain()
		if s := f.e.Stats(); s.Nodes != 0 || s.Edges != 0 || s.Bytes != 0 {
			t.Errorf("left over: %+v", s)
		}
		if after := heap(); after > before+(full-before)/10 {
			t.Errorf("heap was %d, was %d when full, is %d", before, full, after)
		}
	}
	check(t, f.e)
}

// A cell with very many readers costs nothing when one of them changes.
func TestManyReaders(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	u := NewUnit(e, "u", func(c *Ctx, k int) error {
		if in.read(c, fmt.Sprint(k)) == 0 {
			in.read(c, "all")
		}
		return nil
	})
	for k := range 5000 {
		u.Root(k)
	}
	e.Run()
	all := e.node(e.cells.ids[CellOf("all")])
	for round := range 7 {
		for k := range 5000 {
			in.set(fmt.Sprint(k), round%2)
			if k%100 == 0 {
				e.Run()
			}
		}
		e.Run()
		if len(all.readers) > 2*int(all.refs)+33 {
			t.Fatalf("%d entries for %d readers", len(all.readers), all.refs)
		}
		check(t, e)
	}
	in.set("all", 1)
	want(t, "executed", executed(e.Run()), "u=5000")
}

// A child that moves from one parent to another in one round is not run again.
func TestMovedChild(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	sink := NewSink[int](e, "out", HashInt[int])
	port := NewUnit(e, "port", func(c *Ctx, k int) error { Emit(c, sink, k, k); return nil })
	sw := NewUnit(e, "switch", func(c *Ctx, k string) error { Each(c, in.col, CellOf(k), port); return nil })
	in.put("a", 1, true)
	sw.Root("a")
	sw.Root("b")
	e.Run()
	drained(sink)
	in.put("a", 1, false)
	in.put("b", 1, true)
	want(t, "moved", executed(e.Run()), "")
	want(t, "sink", drained(sink), "")
	in.put("a", 1, true)
	in.put("b", 1, false)
	sw.Unroot("b")
	want(t, "and back", executed(e.Run()), "")
	in.put("a", 1, false)
	e.Run()
	want(t, "sink", drained(sink), "1:1>-")
	check(t, e)
}

// A dead unit's insertions are withdrawn before their readers run.
func TestWithdrawOrder(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	rel := NewRelation[int](e, "rel")
	sink := NewSink[int](e, "out", HashBool)
	fill := NewUnit(e, "fill", func(c *Ctx, k int) error { Insert(c, rel, Hash{}, k); return nil })
	top := NewUnit(e, "top", func(c *Ctx, k int) error { Each(c, in.col, CellOf("s"), fill); return nil })
	see := NewUnit(e, "see", func(c *Ctx, k int) error { Emit(c, sink, k, Has(c, rel, Hash{}, k)); return nil })
	in.put("s", 1, true)
	in.put("s", 2, true)
	top.Root(0)
	see.Root(1)
	see.Root(2)
	e.Run()
	drained(sink)
	in.put("s", 1, false)
	want(t, "one less", executed(e.Run()), "see=1")
	want(t, "sink", drained(sink), "1:true>false")
	// The same element from two units is there until both are gone.
	fill.Root(2)
	in.put("s", 2, false)
	want(t, "one of two", executed(e.Run()), "")
	fill.Unroot(2)
	want(t, "both", executed(e.Run()), "see=1")
	check(t, e)
}

// A chain of queries that never ends is an error.
func TestTooDeep(t *testing.T) {
	e := New(Options{})
	var q *Query[int, int]
	q = NewQuery(e, "q", HashInt[int], func(c *Ctx, k int) (int, error) { return q.Get(c, k+1) })
	u := NewUnit(e, "u", func(c *Ctx, k int) error { _, err := q.Get(c, k); return err })
	u.Root(0)
	e.Run()
	if !strings.Contains(failing(e), ErrTooDeep.Error()) {
		t.Error(failing(e))
	}
	u.Unroot(0)
	e.Run()
	if n := e.Stats().Nodes; n != 0 {
		t.Errorf("%d nodes left", n)
	}
}

// Two workers that wait for each other's query find the cycle.
func TestCycleAcrossWorkers(t *testing.T) {
	for range 20 {
		e := New(Options{Workers: 2})
		e.batchMin = 2
		var q *Query[int, int]
		var inside atomic.Int32
		both := make(chan struct{})
		q = NewQuery(e, "q", HashInt[int], func(c *Ctx, k int) (int, error) {
			if e.shared && inside.Add(1) == 2 {
				close(both)
			}
			if e.shared {
				select {
				case <-both:
				case <-time.After(10 * time.Second):
					t.Error("the workers did not meet")
				}
			}
			return q.Get(c, 1-k)
		})
		u := NewUnit(e, "u", func(c *Ctx, k int) error { _, err := q.Get(c, k/8%2); return err })
		for k := range 16 { // a worker takes eight at a time
			u.Root(k)
		}
		e.Run()
		const cycle = "cycle: q(0) -> q(1) -> q(0)"
		if n := len(e.Errors()); n != 16 {
			t.Fatalf("%d errors", n)
		}
		for _, x := range e.Errors() {
			want(t, "error", x.Err.Error(), cycle)
		}
		check(t, e)
	}
}

// Explain names what was read, kept and filled.
func TestExplain(t *testing.T) {
	e := New(Options{CellLabel: func(c Cell) string {
		if c == CellOf("x") {
			return "x"
		}
		return "s"
	}})
	in := newInputs(e)
	rel := NewRelation[int](e, "rel")
	sink := NewSink[int](e, "out", HashInt[int])
	q := NewQuery(e, "q", HashInt[int], func(c *Ctx, k int) (int, error) { return in.read(c, "x"), nil })
	child := NewUnit(e, "child", func(c *Ctx, k int) error { return nil })
	u := NewUnit(e, "u", func(c *Ctx, k int) error {
		q.Get(c, 4)
		Has(c, in.col, CellOf("s"), 9)
		Each(c, in.col, CellOf("s"), child)
		Insert(c, rel, CellOf("s"), 1)
		Emit(c, sink, 1, 1)
		return nil
	})
	u.Root(3)
	e.Run()
	x, _ := u.Explain(3)
	want(t, "unit", x.String(), "u(3) height=2 refs=1 emits=1\n  reads index(s has 9)\n  reads q(4)\n  keeps index(s) by child\n  fills rel(s)")
	y, _ := q.Explain(4)
	want(t, "query", y.String(), "q(4) height=1 refs=1 emits=0\n  reads cell(x)")
	if _, ok := u.Explain(8); ok {
		t.Error("explains what is not there")
	}
}

// Effects in a query, and reads after the end, are mistakes that are told.
func TestMisuse(t *testing.T) {
	e := New(Options{})
	in := newInputs(e)
	sink := NewSink[int](e, "out", HashInt[int])
	var kept *Ctx
	q := NewQuery(e, "q", HashInt[int], func(c *Ctx, k int) (int, error) { Emit(c, sink, 1, 1); return 0, nil })
	u := NewUnit(e, "u", func(c *Ctx, k int) error {
		kept = c
		switch k {
		case 0:
			_, err := q.Get(c, 0)
			return err
		case 1:
			Emit(c, sink, 1, 1)
			Emit(c, sink, 1, 2)
		case 2:
			Insert(c, in.col, Hash{}, 1)
		case 3:
			e.Run()
		}
		return nil
	})
	for k := range 4 {
		u.Root(k)
	}
	e.Run()
	want(t, "errors", failing(e), `u(0): panic: incr: Emit in a query; only units have effects; `+
		`u(1): emitted twice with different values: sink "out" key 1; `+
		`u(2): panic: incr: Insert into input collection index; u(3): panic: incr: Run during Run`)
	if !noticed(func() error { kept.Read(Cell{}); return nil }) {
		t.Error("reads after the end go unnoticed")
	}
	if sink.Len() != 0 {
		t.Error("a failing unit emitted")
	}
	check(t, e)
}
