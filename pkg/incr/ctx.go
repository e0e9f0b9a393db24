package incr

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
)

// maxDepth bounds how deep queries may call queries that were never evaluated,
// so that an endless chain is an error and not the end of the process.
const maxDepth = 100_000

// maxRuns is how often one node may be evaluated in one Run before it is
// declared unsettled. Healthy programs need one, or two where a relation's
// emitter turns up late.
const maxRuns = 100

// Ctx is the evaluation of one node: through it the function reads, and it
// records what was read. It is good only until the function returns, and only
// on the goroutine that called it.
type Ctx struct {
	e      *Engine
	w      *worker
	parent *Ctx // who waits for this value on the same goroutine
	id     uint32
	n      *node
	depth  int32
	unit   bool

	deps  []depRec
	emits []emitRef
	ins   []elemRef
	eachs []eachRef

	err      error  // from the engine: it overrules what the function returns
	result   error  // what came out
	cycle    *cycle // the node is a member
	wasCycle bool   // it is a unit and was a member before
	changed  bool   // the value differs from the one before
}

// depRec is one read and the version that was seen.
type depRec struct{ id, ver uint32 }

// abort unwinds the function of a node that turned out to be in a cycle.
type abort struct{}

// worker is one goroutine of a Run, the caller's being the first.
type worker struct {
	e        *Engine
	index    uint32
	top      *Ctx
	blocked  uint32 // node that the worker waits for; under Engine.wait
	done     []*Ctx // evaluated while shared, to be committed
	pool     []*Ctx
	executed []int // by family
}

func (w *worker) enter(id uint32, n *node) *Ctx {
	var c *Ctx
	if k := len(w.pool); k > 0 {
		c = w.pool[k-1]
		w.pool = w.pool[:k-1]
	} else {
		c = &Ctx{e: w.e, w: w}
	}
	c.parent, c.id, c.n, c.depth = w.top, id, n, 1
	if w.top != nil {
		c.depth = w.top.depth + 1
	}
	c.unit = w.e.kindOf(n) == kindUnit
	w.top = c
	return c
}

func (w *worker) recycle(c *Ctx) {
	*c = Ctx{e: c.e, w: w, deps: c.deps[:0], emits: c.emits[:0], ins: c.ins[:0], eachs: c.eachs[:0]}
	if len(w.pool) < 8192 && cap(c.deps)+cap(c.emits)+cap(c.ins) < 4096 {
		w.pool = append(w.pool, c)
	}
}

// evaluate runs a node that the worker has claimed (state running), with all
// that it reads and that is dirty.
func (w *worker) evaluate(id uint32, n *node) {
	e := w.e
	c := w.enter(id, n)
	if n.round != e.round {
		n.round, n.runs = e.round, 0
	}
	n.runs++
	switch {
	case n.runs > maxRuns:
		c.err = &UnsettledError{Name: e.nameOf(id), Runs: maxRuns}
	case c.depth > maxDepth:
		c.err = fmt.Errorf("%s: %w", e.nameOf(id), ErrTooDeep)
	}
	if c.err != nil {
		for _, d := range n.deps {
			c.deps = append(c.deps, depRec{d, e.node(d).ver})
		}
	} else {
		for int(n.fam) >= len(w.executed) {
			w.executed = append(w.executed, 0)
		}
		w.executed[n.fam]++
	}
	e.fams[n.fam].eval(c, n.slot)
	w.top = c.parent
	if e.shared {
		w.done = append(w.done, c)
		n.state.Store(stateDone)
		if e.waiters.Load() > 0 {
			e.wait.Lock()
			e.wake.Broadcast()
			e.wait.Unlock()
		}
		return
	}
	n.state.Store(stateDone)
	e.commitMarks(c)
	e.commit(c)
	w.recycle(c)
}

// settled stores the hash of a fresh value.
func (c *Ctx) settled(h Hash) {
	if n := c.n; n.ver == 0 || n.hash != h {
		n.hash = h
		n.ver++
		c.changed = true
	}
}

// catch turns a panic in a user's function into the error of its node.
func (c *Ctx) catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case abort:
	default:
		*err = &PanicError{Value: r, Stack: debug.Stack()}
		if l := c.e.opts.Logger; l != nil {
			l.Error("panic in the incremental engine", "node", c.e.nameOf(c.id), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}
}

// outcome is the error of the node after its function returned err.
func (c *Ctx) outcome(err error) error {
	switch {
	case c.cycle != nil:
		err = c.cycle.err
	case c.err != nil:
		err = c.err
	}
	c.result = err
	return err
}

// dep records a read.
func (c *Ctx) dep(id, ver uint32) {
	if k := len(c.deps); k > 0 && c.deps[k-1] == (depRec{id, ver}) {
		return
	}
	if d := c.e.mutant.dropRead; d != nil && d(c.id, id) {
		return
	}
	c.deps = append(c.deps, depRec{id, ver})
}

func (c *Ctx) mustRun(what string) {
	if c == nil || c.n == nil {
		panic("incr: " + what + " after the function returned")
	}
}

func (c *Ctx) mustUnit(what string) {
	c.mustRun(what)
	if !c.unit {
		panic("incr: " + what + " in a query; only units have effects")
	}
}

// await returns when node id, which somebody is evaluating, is done; if that
// cannot be because it waits for the caller, the caller is in a cycle.
func (c *Ctx) await(id uint32, n *node) {
	for f := c; f != nil; f = f.parent {
		if f.id == id {
			c.inCycle(c.w.stack(id))
		}
	}
	e := c.e
	e.wait.Lock()
	e.waiters.Add(1)
	for {
		s := n.state.Load()
		if s&(1<<ownerShift-1) != stateRunning {
			break
		}
		if path := e.deadlock(c.w, id); path != nil {
			e.waiters.Add(-1)
			e.wait.Unlock()
			c.inCycle(path)
		}
		c.w.blocked = id
		e.wake.Wait()
		c.w.blocked = 0
	}
	e.waiters.Add(-1)
	e.wait.Unlock()
}

// stack lists what the worker is evaluating from node id inwards.
func (w *worker) stack(id uint32) []uint32 {
	var path []uint32
	for f := w.top; f != nil; f = f.parent {
		path = append(path, f.id)
		if f.id == id {
			break
		}
	}
	slices.Reverse(path)
	return path
}

// deadlock follows who waits for whom from node id; when that comes back to
// worker w it returns the nodes on the way, in the order in which they read.
// Blocked workers do not move, so their stacks can be read under Engine.wait.
func (e *Engine) deadlock(w *worker, id uint32) []uint32 {
	var path []uint32
	for {
		s := e.node(id).state.Load()
		if s&(1<<ownerShift-1) != stateRunning {
			return nil
		}
		owner := e.workers[s>>ownerShift]
		if owner == w {
			return append(path, w.stack(id)...)
		}
		if owner.blocked == 0 {
			return nil
		}
		path = append(path, owner.stack(id)...)
		id = owner.blocked
	}
}

// inCycle makes the caller a member of the cycle through path and unwinds it.
func (c *Ctx) inCycle(path []uint32) {
	cy := c.e.newCycle(path, true)
	c.cycle = cy
	c.dep(cy.next[c.id], c.e.node(cy.next[c.id]).ver)
	panic(abort{})
}

func sortDeps(deps []depRec) []depRec {
	slices.SortFunc(deps, func(a, b depRec) int {
		if c := cmp.Compare(a.id, b.id); c != 0 {
			return c
		}
		return cmp.Compare(a.ver, b.ver)
	})
	return slices.Compact(deps)
}
