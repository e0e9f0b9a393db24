package incr

import (
	"fmt"
	"iter"
	"runtime"
	"testing"
)

// A fabric of switches with ports: a unit per port reads its own row, the
// row of its switch through a query, and emits one item.
type fabric struct {
	e    *Engine
	rows map[uint64]uint64
	sw   *Query[uint32, uint64]
	port *Unit[[2]uint32]
	root *Unit[uint32]
	col  *Collection[[2]uint32]
	sink *Sink[[2]uint32, uint64]
	n    map[uint32]uint32 // ports by switch
}

func portCell(p [2]uint32) Cell {
	return HashInt(uint64(p[0])<<32 | uint64(p[1]))
}

func newFabric(switches, ports, workers int) *fabric {
	f := &fabric{e: New(Options{Workers: workers}), rows: map[uint64]uint64{}, n: map[uint32]uint32{}}
	f.col = NewCollection(f.e, "ports of switch", func(key Hash) iter.Seq[[2]uint32] {
		return func(yield func([2]uint32) bool) {
			sw := uint32(key[14])<<8 | uint32(key[15])
			for p := range f.n[sw] {
				if !yield([2]uint32{sw, p}) {
					return
				}
			}
		}
	})
	f.sink = NewSink[[2]uint32](f.e, "items", HashInt[uint64])
	f.sw = NewQuery(f.e, "switch", HashInt[uint64], func(c *Ctx, k uint32) (uint64, error) {
		c.Read(HashInt(uint64(k) | 1<<63))
		return uint64(k) * 3, nil
	})
	addr := NewQuery(f.e, "addresses", HashInt[uint64], func(c *Ctx, p [2]uint32) (uint64, error) {
		c.Read(portCell(p))
		return f.rows[uint64(p[0])<<32|uint64(p[1])], nil
	})
	f.port = NewUnit(f.e, "port", func(c *Ctx, p [2]uint32) error {
		s, err := f.sw.Get(c, p[0])
		if err != nil {
			return err
		}
		a, err := addr.Get(c, p)
		Emit(c, f.sink, p, s+a)
		return err
	})
	f.root = NewUnit(f.e, "ports", func(c *Ctx, sw uint32) error {
		Each(c, f.col, HashInt(uint64(sw)), f.port)
		return nil
	})
	for s := range switches {
		f.n[uint32(s)] = uint32(ports)
		f.root.Root(uint32(s))
	}
	return f
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCold evaluates 200,000 nodes from nothing.
func BenchmarkCold(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				f := newFabric(667, 100, workers)
				f.e.Run()
				b.ReportMetric(float64(f.e.Stats().Nodes), "nodes")
			}
		})
	}
}

// BenchmarkOneChange changes one row among a million nodes.
func BenchmarkOneChange(b *testing.B) {
	f := newFabric(333, 1000, 1)
	f.e.Run()
	f.sink.Drain()
	b.ReportMetric(float64(f.e.Stats().Nodes), "nodes")
	i := uint32(0)
	for b.Loop() {
		p := [2]uint32{i % 333, i % 1000}
		f.rows[uint64(p[0])<<32|uint64(p[1])]++
		f.e.Touch(portCell(p))
		f.e.Run()
		if len(f.sink.Drain()) != 1 {
			b.Fatal("no change")
		}
		i++
	}
}

// BenchmarkOnePort adds and removes one port of a switch among a million nodes.
func BenchmarkOnePort(b *testing.B) {
	f := newFabric(33, 10000, 1)
	f.e.Run()
	f.sink.Drain()
	p := [2]uint32{7, 1 << 20}
	present := true
	for b.Loop() {
		f.col.Change(HashInt(uint64(7)), p, present)
		if s := f.e.Run(); present && s.Total != 2 {
			b.Fatal(s)
		}
		if len(f.sink.Drain()) != 1 {
			b.Fatal("no change")
		}
		present = !present
	}
}

// BenchmarkMemory reports bytes a node and bytes an edge at a million nodes:
// the first from queries with one read each, the second from what one more
// read of each adds.
func BenchmarkMemory(b *testing.B) {
	const n = 500_000
	measure := func(reads int) (perNode, bytes float64, s Stats) {
		before := heap()
		e := New(Options{})
		q := NewQuery(e, "q", HashInt[uint64], func(c *Ctx, k uint64) (uint64, error) {
			c.Read(HashInt(k))
			for i := range reads {
				c.Read(HashInt(uint64(n + (k*7+uint64(i)*13)%1000)))
			}
			return k, nil
		})
		u := NewUnit(e, "u", func(c *Ctx, _ int) error {
			for k := range uint64(n) {
				if _, err := q.Get(c, k); err != nil {
					return err
				}
			}
			return nil
		})
		u.Root(0)
		e.Run()
		bytes = float64(heap() - before)
		s = e.Stats()
		runtime.KeepAlive(u)
		return (bytes - 8*float64(s.Edges)) / float64(s.Nodes), bytes, s
	}
	for b.Loop() {
		perNode, base, s0 := measure(0)
		_, more, s1 := measure(10)
		b.ReportMetric(float64(s0.Nodes), "nodes")
		b.ReportMetric(perNode, "B/node")
		b.ReportMetric((more-base)/float64(s1.Edges-s0.Edges), "B/edge")
		b.ReportMetric(float64(s0.Bytes)/base, "estimate/heap")
	}
}

func BenchmarkCellOf(b *testing.B) {
	b.ReportAllocs()
	id := [16]byte{1, 2, 3}
	for b.Loop() {
		CellOf("Logical_Switch_Port", id, "addresses")
	}
}
