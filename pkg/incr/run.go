package incr

import (
	"sync"
	"sync/atomic"
)

// RunStats counts what one Run did.
type RunStats struct {
	Executed map[string]int // evaluations by name of query or unit
	Total    int            // sum of Executed
	Changed  int            // evaluations whose result differed from the one before
	Freed    int            // nodes that nothing needed any more
}

// A level with fewer nodes is not worth waking workers for; one with more than
// batchMax is done in several rounds, which bounds what waits to be committed.
const (
	batchMin = 64
	batchMax = 4096
)

// Run evaluates everything that is dirty, in the order of heights, and frees
// what nothing needs any more. When it returns, all values, sinks, relations
// and errors are what a new engine would compute from the same inputs, and all
// goroutines it started have ended.
func (e *Engine) Run() RunStats {
	e.mustIdle("Run")
	e.running = true
	defer func() { e.running = false }()
	e.round++
	e.stats = RunStats{Executed: map[string]int{}}
	var batch []uint32
	for patience := maxRuns; ; {
		height, id, ok := e.queue.peek()
		if !ok && len(e.later) > 0 && patience > 0 {
			patience--
			e.reorder()
			continue
		}
		if !ok {
			break
		}
		e.queue.pop()
		if !e.due(id, height) {
			continue
		}
		if len(e.workers) == 1 {
			e.evaluateOne(id)
			continue
		}
		batch = append(batch[:0], id)
		for len(batch) < batchMax {
			h, id, ok := e.queue.peek()
			if !ok || h != height {
				break
			}
			e.queue.pop()
			if e.due(id, height) {
				batch = append(batch, id)
			}
		}
		if len(batch) >= e.batchMin {
			e.evaluateShared(batch)
			continue
		}
		for i, id := range batch {
			// An evaluation may have marked something lower: that goes first.
			if h, _, ok := e.queue.peek(); ok && h < height {
				for _, id := range batch[i:] {
					e.queue.push(height, id)
				}
				break
			}
			if e.due(id, height) {
				e.evaluateOne(id)
			}
		}
	}
	e.later = nil
	e.sweep()
	e.status.update(e)
	for _, w := range e.workers {
		for f, n := range w.executed {
			if n > 0 {
				e.stats.Executed[e.fams[f].base().name] += n
				e.stats.Total += n
				w.executed[f] = 0
			}
		}
	}
	return e.stats
}

// due reports whether a node popped from the queue is to be evaluated. Keys of
// collections are settled, and units without a parent are freed, on the spot.
func (e *Engine) due(id uint32, height int32) bool {
	n := e.nodes.find(id)
	if n == nil || n.height != height {
		return false
	}
	s := n.state.Load()
	if s != stateDirty && s != stateClean {
		return false
	}
	switch e.kindOf(n) {
	case kindKey:
		if s == stateDirty {
			n.state.Store(stateClean)
			e.collOf(n).settle(n.slot)
			e.resolveCycles()
		}
		return false
	case kindUnit:
		if n.refs == 0 {
			e.free(id, n)
			return false
		}
	case kindQuery:
		if n.refs == 0 {
			return false // sweep frees it, unless a read evaluates it first
		}
	}
	return s == stateDirty
}

func (e *Engine) evaluateOne(id uint32) {
	n := e.node(id)
	n.state.Store(stateRunning)
	e.workers[0].evaluate(id, n)
}

// evaluateShared evaluates nodes of one height by all workers, and with them
// what they read. Meanwhile nothing is recorded and no height, reader list or
// collection changes; that is done afterwards, by the caller alone.
func (e *Engine) evaluateShared(batch []uint32) {
	e.shared = true
	var next atomic.Int64
	work := func(w *worker) {
		const stride = 8
		for {
			to := int(next.Add(stride))
			from := to - stride
			if from >= len(batch) {
				return
			}
			for _, id := range batch[from:min(to, len(batch))] {
				n := e.node(id)
				if n.state.CompareAndSwap(stateDirty, stateRunning|w.index<<ownerShift) {
					w.evaluate(id, n)
				}
			}
		}
	}
	var wg sync.WaitGroup
	for _, w := range e.workers[1:] {
		wg.Go(func() { work(w) })
	}
	work(e.workers[0])
	wg.Wait()
	e.shared = false
	for _, w := range e.workers {
		for _, c := range w.done {
			e.commitMarks(c)
		}
	}
	for _, w := range e.workers {
		for _, c := range w.done {
			e.commit(c)
			w.recycle(c)
		}
		clear(w.done)
		w.done = w.done[:0]
	}
}

// sweep frees the queries, cells, elements and keys that nobody reads.
func (e *Engine) sweep() {
	for len(e.orphans)+len(e.dying)+len(e.islands) > 0 {
		for len(e.orphans) > 0 {
			r := e.orphans[len(e.orphans)-1]
			e.orphans = e.orphans[:len(e.orphans)-1]
			e.colls[r.col].tidy(r.elem)
		}
		if len(e.dying) == 0 {
			e.freeIsland()
			continue
		}
		id := e.dying[len(e.dying)-1]
		e.dying = e.dying[:len(e.dying)-1]
		n := e.node(id)
		n.flags &^= flagDying
		if n.state.Load() == stateFree {
			continue
		}
		switch e.kindOf(n) {
		case kindUnit:
			continue
		case kindKey:
			if !e.collOf(n).idle(n.slot) {
				continue
			}
		default:
			if n.refs > 0 {
				continue
			}
		}
		e.free(id, n)
	}
	for _, id := range e.retired {
		e.nodes.release(id, false)
	}
	shrink(&e.retired)
	shrink(&e.dying)
	shrink(&e.orphans)
	shrink(&e.islands)
}

// freeIsland frees a cycle whose members are read by each other only.
func (e *Engine) freeIsland() {
	if len(e.islands) == 0 {
		return
	}
	cy := e.islands[len(e.islands)-1]
	e.islands = e.islands[:len(e.islands)-1]
	refs, first := 0, uint32(0)
	for m, next := range cy.next {
		if e.cycles[m] != cy || next == 0 {
			return
		}
		refs += int(e.node(m).refs)
		first = m
	}
	if refs == len(cy.next) {
		e.free(first, e.node(first)) // the others follow, one after the other
	}
}

func shrink[T any](s *[]T) {
	if cap(*s) > 4096 {
		*s = nil
	}
	*s = (*s)[:0]
}
