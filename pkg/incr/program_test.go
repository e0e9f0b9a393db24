package incr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A random program: layers of queries and units whose reads and effects are
// drawn from a hash of who they are and what they have read so far. So they
// are pure, and what they read depends on data. Queries of a layer read what
// is below, and of their own layer (any key when cyclic, lesser keys else);
// units of a layer fill its relation, and units and queries above read it.
const (
	layers   = 3
	keys     = 6
	setNames = 3
	cellIDs  = 6
)

type world struct {
	ints  [cellIDs]int
	sets  [setNames][keys]bool
	roots [layers][keys]bool
}

type program struct {
	seed   uint64
	cyclic bool // queries of a layer read each other
	wild   bool // every relation is read and filled everywhere
	w      *world
	e      *Engine
	col    *Collection[int]
	q      [layers]*Query[int, int]
	u      [layers]*Unit[int]
	r      [layers]*Collection[int]
	sink   *Sink[int, string]
	mirror map[int]string // what Drain says
}

func setKey(i int) Hash { return CellOf("set", i) }

func newProgram(seed uint64, cyclic bool, w *world, workers int) *program {
	p := &program{seed: seed, cyclic: cyclic, w: w, e: New(Options{Workers: workers}), mirror: map[int]string{}}
	p.e.batchMin = 2
	p.col = NewCollection(p.e, "set", func(key Hash) iter.Seq[int] {
		return func(yield func(int) bool) {
			for i := range setNames {
				for v, in := range p.w.sets[i] {
					if setKey(i) == key && in && !yield(v) {
						return
					}
				}
			}
		}
	})
	p.sink = NewSink[int](p.e, "sink", HashString)
	for l := range layers {
		p.r[l] = NewRelation[int](p.e, fmt.Sprint("r", l))
		p.q[l] = NewQuery(p.e, fmt.Sprint("q", l), HashInt[int], func(c *Ctx, k int) (int, error) { return p.run(c, l, k, false) })
		p.u[l] = NewUnit(p.e, fmt.Sprint("u", l), func(c *Ctx, k int) error {
			_, err := p.run(c, l, k, true)
			return err
		})
	}
	return p
}

// run is the body of every query and unit.
func (p *program) run(c *Ctx, layer, k int, unit bool) (int, error) {
	acc := k
	steps := 1 + p.draw(layer, k, unit, -1, 0)%5
	for s := range steps {
		h := p.draw(layer, k, unit, s, acc)
		op, a, b := h%16, h/16%64, h/1024%64
		switch {
		case op < 4:
			c.Read(CellOf("cell", a%cellIDs))
			acc += p.w.ints[a%cellIDs]
		case op < 6:
			if Has(c, p.col, setKey(a%setNames), b%keys) {
				acc++
			}
		case op < 7:
			if Any(c, p.col, setKey(a%setNames)) {
				acc++
			}
		case op < 11:
			l, to := a%(layer+1), b%keys
			if l == layer && !unit && !p.cyclic {
				if to = to % (k + 1); to == k {
					break
				}
			}
			v, err := p.q[l].Get(c, to)
			if err != nil {
				if b%3 == 0 {
					return 0, fmt.Errorf("q%d(%d): %w", l, to, err)
				}
				acc += 3
			}
			acc += v
		case op < 13:
			if r := p.below(layer, a); r != nil && Has(c, r, setKey(b%2), b/2%keys) {
				acc++
			}
		case op < 14:
			if r := p.below(layer, a); r != nil && Any(c, r, setKey(b%2)) {
				acc++
			}
		case op < 15 && acc%4 == 3:
			return 0, errors.New("unlucky")
		case acc%8 == 5:
			panic("very unlucky")
		}
		acc %= 8
		if !unit {
			continue
		}
		switch h := p.draw(layer, k, unit, s+100, acc); h % 4 {
		case 0:
			Emit(c, p.sink, h/4%12, fmt.Sprint(layer, k, acc))
		case 1:
			Insert(c, p.r[layer], setKey(h/4%2), h/8%keys)
		case 2:
			if layer+1 < layers {
				Each(c, p.col, setKey(h/4%setNames), p.u[layer+1])
			}
		case 3:
			if p.wild {
				Each(c, p.r[h/8%layers], setKey(h/4%2), p.u[h/32%layers])
			} else if layer > 0 && layer+1 < layers {
				Each(c, p.r[layer-1], setKey(h/4%2), p.u[layer+1])
			}
		}
	}
	return acc, nil
}

// below is a relation that the layer may read.
func (p *program) below(layer, a int) *Collection[int] {
	switch {
	case p.wild:
		return p.r[a%layers]
	case layer == 0:
		return nil
	}
	return p.r[a%layer]
}

func (p *program) draw(layer, k int, unit bool, step, acc int) int {
	h := CellOf(p.seed, layer, k, unit, step, acc)
	return int(binary.LittleEndian.Uint32(h[:]))
}

// step changes the inputs by code and tells the engine, if any.
func (p *program) step(code uint32) {
	a, b, w := int(code>>8%251), int(code>>16%253), p.w
	switch code % 8 {
	case 0, 1, 2:
		w.ints[a%cellIDs] = b % 4
		p.e.Touch(CellOf("cell", a%cellIDs))
	case 3, 4, 5:
		x := &w.sets[a%setNames][b%keys]
		*x = !*x
		p.col.Change(setKey(a%setNames), b%keys, *x)
	default:
		x := &w.roots[a%layers][b%keys]
		*x = !*x
		if *x {
			p.u[a%layers].Root(b % keys)
		} else {
			p.u[a%layers].Unroot(b % keys)
		}
	}
}

func (p *program) drain() {
	for _, c := range p.sink.Drain() {
		if c.New == nil {
			delete(p.mirror, c.Key)
		} else {
			p.mirror[c.Key] = *c.New
		}
	}
}

// state prints everything that must not depend on history.
func (p *program) state() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sink %v\n", maps.Collect(p.sink.All()))
	for l := range layers {
		for i := range 2 {
			fmt.Fprintf(&b, "r%d(%d) %v\n", l, i, p.r[l].Elements(setKey(i)))
		}
		for k := range keys {
			if v, err, ok := p.q[l].Peek(k); ok {
				fmt.Fprintf(&b, "q%d(%d) = %d, %v\n", l, k, v, err)
			}
			if p.u[l].Alive(k) {
				fmt.Fprintf(&b, "u%d(%d)\n", l, k)
			}
		}
	}
	fmt.Fprintf(&b, "errors %v\n", failing(p.e))
	s := p.e.Stats()
	fmt.Fprintf(&b, "nodes %d edges %d\n", s.Nodes, s.Edges)
	return b.String()
}

// fresh is the same program evaluated from the same inputs in a new engine.
func (p *program) fresh(workers int) *program {
	f := newProgram(p.seed, p.cyclic, p.w, workers)
	for l := range layers {
		for k, in := range p.w.roots[l] {
			if in {
				f.u[l].Root(k)
			}
		}
	}
	f.e.Run()
	return f
}

type complaints struct{ s []string }

func (c *complaints) Helper()                   {}
func (c *complaints) Errorf(f string, a ...any) { c.s = append(c.s, fmt.Sprintf(f, a...)) }

// play runs changes and reports the first difference from scratch.
func (p *program) play(rounds [][]uint32) (err error) {
	for i, round := range rounds {
		for _, code := range round {
			p.step(code)
		}
		p.e.Run()
		p.drain()
		f := p.fresh(1)
		if got, want := p.state(), f.state(); got != want {
			return fmt.Errorf("after round %d:\nincremental\n%sfrom scratch\n%s", i, got, want)
		}
		if !maps.Equal(p.mirror, maps.Collect(p.sink.All())) {
			return fmt.Errorf("after round %d: drained %v, has %v", i, p.mirror, maps.Collect(p.sink.All()))
		}
		var bad complaints
		if check(&bad, p.e); len(bad.s) > 0 {
			return fmt.Errorf("after round %d: %v", i, bad.s)
		}
	}
	return nil
}

// clear takes everything away and reports what is left.
func (p *program) clear() error {
	for l := range layers {
		for k := range keys {
			p.u[l].Unroot(k)
		}
	}
	p.e.Run()
	p.drain()
	if s := p.e.Stats(); s.Nodes != 0 || s.Edges != 0 || p.sink.Len() != 0 || len(p.mirror) != 0 || len(p.e.Errors()) != 0 || len(p.e.cycles) != 0 {
		return fmt.Errorf("left over: %+v, %d in the sink, %v", s, p.sink.Len(), p.e.Errors())
	}
	return nil
}

func testProgram(t *testing.T, workers int, cyclic bool) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		rounds := rapid.SliceOfN(rapid.SliceOfN(rapid.Uint32(), 1, 5), 1, 25).Draw(t, "rounds")
		p := newProgram(seed, cyclic, &world{}, workers)
		for l := range layers {
			for k := range 2 {
				p.w.roots[l][k] = true
				p.u[l].Root(k)
			}
		}
		if err := p.play(rounds); err != nil {
			t.Fatal(err)
		}
		if err := p.clear(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestProgram(t *testing.T)         { testProgram(t, 1, false) }
func TestProgramParallel(t *testing.T) { testProgram(t, 4, false) }
func TestProgramCyclic(t *testing.T)   { testProgram(t, 1, true) }
func TestProgramCyclicParallel(t *testing.T) {
	testProgram(t, 4, true)
}

// Programs whose relations feed each other are wrong, but every Run ends, with
// sinks that say what they did.
func TestProgramWild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newProgram(rapid.Uint64().Draw(t, "seed"), true, &world{}, rapid.SampledFrom([]int{1, 4}).Draw(t, "workers"))
		p.wild = true
		for _, round := range rapid.SliceOfN(rapid.SliceOfN(rapid.Uint32(), 1, 5), 1, 10).Draw(t, "rounds") {
			for _, code := range round {
				p.step(code)
			}
			p.e.Run()
			p.drain()
			if !maps.Equal(p.mirror, maps.Collect(p.sink.All())) {
				t.Fatalf("drained %v, has %v", p.mirror, maps.Collect(p.sink.All()))
			}
		}
	})
}

// The property above must notice a recorded read that is dropped and an
// emission that is left behind.
func TestMutants(t *testing.T) {
	for name, seed := range map[string]func(p *program){
		"a read of a cell is dropped": func(p *program) {
			p.e.mutant.dropRead = func(r, d uint32) bool {
				return p.e.kindOf(p.e.node(d)) == kindCell && p.e.nameOf(r) == "q1(1)"
			}
		},
		"a read of a query is dropped": func(p *program) {
			p.e.mutant.dropRead = func(r, d uint32) bool {
				return p.e.kindOf(p.e.node(d)) == kindQuery && p.e.nameOf(r) == "u2(1)"
			}
		},
		"a read of a relation is dropped": func(p *program) {
			p.e.mutant.dropRead = func(r, d uint32) bool {
				return strings.HasPrefix(p.e.nameOf(d), "r") && p.e.nameOf(r) == "u1(1)"
			}
		},
		"a unit goes and leaves its emissions": func(p *program) {
			p.e.mutant.skipWithdraw = func(u uint32) bool { return p.e.nameOf(u) == "u1(1)" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			detected := 0
			for i := range 60 {
				p := newProgram(uint64(i), false, &world{}, 1)
				seed(p)
				var rounds [][]uint32
				for r := range 20 {
					h := CellOf("round", i, r)
					rounds = append(rounds, []uint32{binary.LittleEndian.Uint32(h[:]), binary.LittleEndian.Uint32(h[4:])})
				}
				if noticed(func() error { return p.play(rounds) }) {
					detected++
				}
			}
			if detected == 0 {
				t.Error("nobody noticed")
			}
			t.Logf("noticed in %d of 60 programs", detected)
		})
	}
}

func noticed(f func() error) (yes bool) {
	defer func() { yes = yes || recover() != nil }()
	return f() != nil
}
