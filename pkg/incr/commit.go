package incr

import "slices"

// commitMarks is the first half of recording an evaluation: who read the old
// value is marked. When several workers evaluated, all halves of this kind
// come before any of the other, so that nobody who saw the new value is marked.
func (e *Engine) commitMarks(c *Ctx) {
	e.noteCycle(c)
	if c.changed {
		e.stats.Changed++
		e.markReaders(c.id, c.n)
	}
}

// commit is the second half: reads, height and effects are recorded.
func (e *Engine) commit(c *Ctx) {
	n := c.n
	if n.flags&flagCycle != 0 && e.cycles[c.id] != c.cycle {
		// Poisoned by a commit of the same batch, for what it did before this
		// evaluation.
		e.breakCycle(c.id)
		e.leaveCycle(c.id, n)
		c.wasCycle = c.unit
	}
	stale := e.commitDeps(c)
	n.state.Store(stateClean)
	if c.unit {
		fx := e.effectsOf(n)
		e.commitHeight(c, fx)
		e.commitEffects(c, fx)
		e.raiseKeys(n, fx)
		if c.wasCycle && len(e.found) == 0 {
			e.search(c.id)
		}
	} else {
		e.commitHeight(c, nil)
	}
	if stale || n.flags&flagAgain != 0 {
		n.flags &^= flagAgain
		e.markDirty(c.id, n)
	}
	e.resolveCycles()
}

// commitDeps replaces what the node read, and reports whether something it
// read has changed since it did.
func (e *Engine) commitDeps(c *Ctx) (stale bool) {
	n := c.n
	c.deps = sortDeps(c.deps)
	var except uint32
	if c.cycle != nil {
		except = c.cycle.next[c.id]
	}
	k := 0
	for _, d := range c.deps {
		if d.id != except && e.node(d.id).ver != d.ver {
			stale = true
		}
		if k == 0 || c.deps[k-1].id != d.id {
			c.deps[k] = d
			k++
		}
	}
	c.deps = c.deps[:k]
	same := len(c.deps) == len(n.deps)
	for i := 0; same && i < k; i++ {
		same = c.deps[i].id == n.deps[i]
	}
	if same {
		return stale
	}
	old := n.deps
	fresh := make([]uint32, k)
	for i, d := range c.deps {
		fresh[i] = d.id
	}
	n.deps = fresh
	e.edges += len(fresh) - len(old)
	e.diffDeps(c.id, old, fresh)
	return stale
}

func (e *Engine) diffDeps(id uint32, old, fresh []uint32) {
	i, j := 0, 0
	for i < len(old) || j < len(fresh) {
		switch {
		case j == len(fresh) || i < len(old) && old[i] < fresh[j]:
			e.dropReader(old[i])
			i++
		case i == len(old) || old[i] > fresh[j]:
			e.addReader(fresh[j], id)
			j++
		default:
			i, j = i+1, j+1
		}
	}
}

// commitEffects makes the difference between what the unit did before and now.
func (e *Engine) commitEffects(c *Ctx, fx *effects) {
	err := c.result
	if err == nil {
		err = e.arrange(c)
	}
	if err != nil {
		e.discard(c)
	}
	e.commitEmits(c, fx)
	if fx.more != nil || len(c.ins)+len(c.eachs) > 0 || err != nil {
		if fx.more == nil {
			fx.more = &moreEffects{}
		}
		m := fx.more
		e.commitInserts(c, m)
		e.commitEachs(c, m)
		if err != nil || m.err != nil {
			m.err = err
			e.recheck[c.id] = struct{}{}
		}
		if m.err == nil && len(m.ins)+len(m.eachs) == 0 {
			fx.more = nil
		}
	}
}

// arrange sorts what the unit did and takes out what it did twice.
func (e *Engine) arrange(c *Ctx) error {
	slices.SortFunc(c.ins, elemRef.compare)
	c.ins = slices.Compact(c.ins)
	slices.SortFunc(c.eachs, eachRef.compare)
	c.eachs = slices.Compact(c.eachs)
	if len(c.emits) < 2 {
		return nil
	}
	slices.SortStableFunc(c.emits, func(a, b emitRef) int { return int(a.sink) - int(b.sink) })
	var first error
	out := c.emits[:0]
	for rest := c.emits; len(rest) > 0; {
		k := sinkRun(rest)
		s := e.sinks[rest[0].sink]
		s.sort(rest[:k])
		kept, err := s.duplicate(rest[:k])
		if first == nil {
			first = err
		}
		out = append(out, kept...)
		rest = rest[k:]
	}
	c.emits = out
	return first
}

// sinkRun is the length of the first run of emissions into one sink.
func sinkRun(refs []emitRef) int {
	k := 1
	for k < len(refs) && refs[k].sink == refs[0].sink {
		k++
	}
	return k
}

// discard takes back what a failing unit did before it failed.
func (e *Engine) discard(c *Ctx) {
	for i := range c.emits {
		e.sinks[c.emits[i].sink].discard(c.emits[i : i+1])
	}
	e.orphans = append(e.orphans, c.ins...)
	for _, r := range c.eachs {
		id := e.colls[r.col].keyNode(r.key)
		e.mayDie(id, e.node(id))
	}
	c.emits, c.ins, c.eachs = c.emits[:0], c.ins[:0], c.eachs[:0]
}

func (e *Engine) commitEmits(c *Ctx, fx *effects) {
	old, fresh := fx.emits, c.emits
	if len(old)+len(fresh) == 0 {
		return
	}
	out := make([]emitRef, 0, len(fresh))
	for len(old)+len(fresh) > 0 {
		var s uint16
		if len(fresh) == 0 || len(old) > 0 && old[0].sink < fresh[0].sink {
			s = old[0].sink
		} else {
			s = fresh[0].sink
		}
		i, j := 0, 0
		if len(old) > 0 && old[0].sink == s {
			i = sinkRun(old)
		}
		if len(fresh) > 0 && fresh[0].sink == s {
			j = sinkRun(fresh)
		}
		out = e.sinks[s].replace(c.id, old[:i], fresh[:j], out)
		old, fresh = old[i:], fresh[j:]
	}
	fx.emits = out
	if len(out) == 0 {
		fx.emits = nil
	}
}

func (e *Engine) commitInserts(c *Ctx, m *moreEffects) {
	old, fresh := m.ins, c.ins
	if m.poisoned {
		m.poisoned = false
		for _, r := range old {
			e.colls[r.col].count(r.elem, 1)
		}
	}
	if slices.Equal(old, fresh) {
		return
	}
	for _, r := range fresh {
		e.colls[r.col].ref(r.elem, 1)
		e.colls[r.col].count(r.elem, 1)
	}
	for _, r := range old {
		e.colls[r.col].ref(r.elem, -1)
		e.colls[r.col].count(r.elem, -1)
		e.orphans = append(e.orphans, r)
	}
	m.ins = slices.Clone(fresh)
}

func (e *Engine) commitEachs(c *Ctx, m *moreEffects) {
	old, fresh := m.eachs, c.eachs
	if slices.Equal(old, fresh) {
		return
	}
	// Known first, so that a cycle through a new child is seen; and new ones
	// before old ones, so that a unit that both keep does not go in between.
	m.eachs = slices.Clone(fresh)
	for _, r := range fresh {
		if _, ok := slices.BinarySearchFunc(old, r, eachRef.compare); !ok {
			e.colls[r.col].subscribe(r, c.id)
		}
	}
	for _, r := range old {
		if _, ok := slices.BinarySearchFunc(fresh, r, eachRef.compare); !ok {
			e.colls[r.col].unsubscribe(r, c.id)
		}
	}
}

// free gives a node back that nothing needs, with its effects.
func (e *Engine) free(id uint32, n *node) {
	if fx := e.effectsOf(n); fx != nil {
		if skip := e.mutant.skipWithdraw; skip == nil || !skip(id) {
			e.withdraw(id, fx, false)
		}
		e.status.forget(e, id)
		delete(e.recheck, id)
	}
	if n.flags&flagCycle != 0 {
		e.leaveCycle(id, n)
	}
	for _, d := range n.deps {
		e.dropReader(d)
	}
	e.edges -= len(n.deps)
	e.fams[n.fam].release(id, n.slot)
	n.state.Store(stateFree)
	n.deps, n.readers, n.flags = nil, nil, 0
	e.retired = append(e.retired, id)
	e.stats.Freed++
}

// withdraw takes a unit's effects back; keep leaves its inserts as edges.
func (e *Engine) withdraw(id uint32, fx *effects, keep bool) {
	for rest := fx.emits; len(rest) > 0; {
		k := sinkRun(rest)
		e.sinks[rest[0].sink].replace(id, rest[:k], nil, nil)
		rest = rest[k:]
	}
	fx.emits = nil
	m := fx.more
	if m == nil {
		return
	}
	for _, r := range m.ins {
		if !m.poisoned {
			e.colls[r.col].count(r.elem, -1)
		}
		if !keep {
			e.colls[r.col].ref(r.elem, -1)
			e.orphans = append(e.orphans, r)
		}
	}
	m.poisoned = keep
	for _, r := range m.eachs {
		e.colls[r.col].unsubscribe(r, id)
	}
	m.eachs = nil
	if !keep {
		fx.more = nil
	}
}
