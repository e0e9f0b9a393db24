package incr

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Options configures an engine. The zero value is good.
type Options struct {
	// Workers is the number of goroutines that evaluate independent nodes;
	// up to 1 everything runs on the caller of Run. Results do not depend on it.
	Workers int
	// Logger hears of panics in queries. Optional; nil is silence.
	Logger *slog.Logger
	// CellLabel names input cells and collection keys in Explain and in the
	// paths of cycles. Optional; nil prints hashes.
	CellLabel func(Cell) string
}

// Engine owns the memo table. Registration, Touch, Change, Root and Run must
// not overlap; all of them belong to one goroutine at a time.
type Engine struct {
	opts     Options
	nodes    slab[node]
	fams     []family
	colls    []coll
	sinks    []sinkBase
	cells    cellFamily
	queue    queue
	workers  []*worker
	shared   bool // several workers are evaluating right now
	running  bool
	batchMin int // batchMin, but for tests
	round    uint32
	edges    int

	wait    sync.Mutex // guards waiting among workers
	wake    *sync.Cond
	waiters atomic.Int32

	dying   []uint32            // nodes that may have nobody left
	retired []uint32            // ids freed in this Run, handed out from the next on
	orphans []elemRef           // elements that may have nobody left
	cycles  map[uint32]*cycle   // of nodes with flagCycle
	islands []*cycle            // cycles that may be read by nobody but themselves
	recheck map[uint32]struct{} // units whose status may have changed
	status  statusBook
	stats   RunStats
	found   [][]uint32 // cycles met while raising, to be resolved
	later   []uint64   // raises to be done again, as in queue
	raising queue      // of raise, kept for its space

	mutant mutant // faults that tests seed
}

// mutant seeds one fault, so that tests can show that they would notice it.
type mutant struct {
	dropRead     func(reader, dep uint32) bool // do not record this read
	skipWithdraw func(unit uint32) bool        // leave the emissions of a unit that goes
}

// New returns an empty engine.
func New(o Options) *Engine {
	e := &Engine{opts: o, batchMin: batchMin, cycles: map[uint32]*cycle{}, recheck: map[uint32]struct{}{}}
	e.wake = sync.NewCond(&e.wait)
	e.status.init()
	e.cells.init(e)
	for i := range max(1, o.Workers) {
		e.workers = append(e.workers, &worker{e: e, index: uint32(i)})
	}
	return e
}

// Stats is the size of an engine.
type Stats struct {
	Nodes int   // queries, units, cells, collection keys and elements that are read
	Edges int   // recorded reads
	Bytes int64 // estimate: nodes, records and edges, without what values point to
}

// Stats returns the size of the engine. It is cheap.
func (e *Engine) Stats() Stats {
	s := Stats{Nodes: e.nodes.live, Edges: e.edges}
	s.Bytes = int64(s.Nodes)*int64(unsafe.Sizeof(node{})) + int64(s.Edges)*8
	for _, f := range e.fams {
		s.Bytes += int64(f.base().live) * int64(f.size())
	}
	return s
}

func (e *Engine) mustIdle(what string) {
	if e.running {
		panic("incr: " + what + " during Run")
	}
}

// label prints a cell or a collection's key.
func (e *Engine) label(h Hash) string {
	if e.opts.CellLabel != nil {
		if s := e.opts.CellLabel(h); s != "" {
			return s
		}
	}
	return h.String()[:12]
}
