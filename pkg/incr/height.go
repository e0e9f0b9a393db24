package incr

import "slices"

// Heights order the evaluation: a node is above all that it read, a relation's
// key above all units that insert into it, a child above its parent and above
// the key whose element it is. A node that is evaluated too early is evaluated
// again when what it read changes, so heights decide how much work is done and
// never what comes out. They are kept by raising: a new edge lifts its upper
// end, and whatever is above that. A node that would have to be lifted above
// itself is in a cycle.

// commitHeight sets the height of a node from what it read.
func (e *Engine) commitHeight(c *Ctx, fx *effects) {
	n := c.n
	var h int32
	if fx != nil {
		h = fx.floor
	}
	var except uint32
	if c.cycle != nil {
		except = c.cycle.next[c.id]
	}
	for _, d := range c.deps {
		if d.id != except {
			h = max(h, e.node(d.id).height+1)
		} else {
			h = max(h, e.node(d.id).height)
		}
	}
	if fx != nil {
		if l := e.fams[n.fam].(unitFamily).lifted(); h-fx.floor > *l {
			*l = min(h-fx.floor, 64)
		}
	}
	if h <= n.height {
		e.setHeight(c.id, n, h)
		return
	}
	e.raise(c.id, h)
}

// raiseKeys lifts the relation keys that a unit inserts into.
func (e *Engine) raiseKeys(n *node, fx *effects) {
	if fx.more == nil {
		return
	}
	var last uint32
	for _, r := range fx.more.ins {
		if k := e.colls[r.col].keyOf(r.elem); k != last {
			e.raise(k, n.height+1)
			last = k
		}
	}
}

// raise lifts start to height h and all that must be above it. When that leads
// back to start, the way is left in found for resolveCycles.
func (e *Engine) raise(start uint32, h int32) {
	n := e.node(start)
	if n.height >= h {
		return
	}
	if len(e.found) > 0 {
		e.later = append(e.later, entry(h, start))
		return
	}
	e.setHeight(start, n, h)
	e.propagate(start, n)
}

// reorder finishes what raise had to leave while cycles were unresolved.
func (e *Engine) reorder() {
	later := e.later
	e.later = nil
	for _, x := range later {
		id := uint32(x)
		n := e.nodes.find(id)
		if n == nil || n.state.Load() == stateFree {
			continue
		}
		e.setHeight(id, n, max(n.height, int32(x>>32)))
		e.propagate(id, n)
		e.resolveCycles()
	}
}

// propagate lifts all that must be above start and is not.
func (e *Engine) propagate(start uint32, n *node) {
	if len(n.readers) == 0 {
		fx := e.effectsOf(n)
		if fx != nil && fx.more == nil || e.kindOf(n) == kindQuery {
			return // nothing is above it: the usual case
		}
	}
	type step struct {
		from  uint32
		times int
	}
	seen := map[uint32]step{}
	q := &e.raising
	q.h = q.h[:0]
	q.push(n.height, start)
	for {
		height, id, ok := q.peek()
		if !ok {
			return
		}
		q.pop()
		n := e.node(id)
		if n.height != height {
			continue
		}
		s := seen[id]
		if s.times++; s.times > 16 {
			e.later = append(e.later, entry(n.height, id))
			continue // a cycle that is being resolved
		}
		seen[id] = s
		done := e.successors(id, n, func(x uint32) bool {
			xn := e.node(x)
			need := n.height + 1
			if cy := e.cycles[x]; xn.flags&flagCycle != 0 && cy != nil && cy.next[x] == id {
				need-- // the read that closes a cycle: members are level
			}
			if xn.height >= need {
				return true
			}
			if x == start {
				path := []uint32{start}
				for y := id; y != start; y = seen[y].from {
					path = append(path, y)
				}
				e.found = append(e.found, path)
				return false
			}
			if s := xn.state.Load(); s != stateClean && s != stateDirty {
				return true // being evaluated: its commit sees the new height
			}
			st, known := seen[x]
			if st.times > 0 && xn.flags&flagCycle != 0 && e.kindOf(xn) == kindUnit {
				return true // once around a known cycle is enough
			}
			if !known {
				seen[x] = step{from: id} // the first way leads back to start
			}
			e.setHeight(x, xn, need)
			q.push(xn.height, x)
			return true
		})
		if !done {
			if !e.hasUnit(e.found[len(e.found)-1]) {
				e.later = append(append(e.later, q.h...), entry(n.height, id))
			}
			return
		}
	}
}

func (e *Engine) setHeight(id uint32, n *node, h int32) {
	n.height = h
	if s := n.state.Load(); s == stateDirty || n.refs == 0 && e.kindOf(n) == kindUnit {
		e.queue.push(h, id)
	}
}

// successors calls f for every node that must be above id, until f says no.
func (e *Engine) successors(id uint32, n *node, f func(x uint32) bool) bool {
	switch fam := e.fams[n.fam]; fam.base().kind {
	case kindKey:
		return e.collOf(n).successors(n.slot, func(x uint32) bool { return e.lift(x, n.height) && f(x) })
	case kindUnit:
		m := fam.(unitFamily).effects(n.slot).more
		if m == nil {
			return true
		}
		for _, r := range m.ins {
			if !f(e.colls[r.col].keyOf(r.elem)) {
				return false
			}
		}
		for _, r := range m.eachs {
			if !e.colls[r.col].children(r, id, func(x uint32) bool { return e.lift(x, n.height) && f(x) }) {
				return false
			}
		}
		return true
	}
	for _, r := range n.readers {
		if !e.reads(r, id) {
			continue
		}
		if !f(r) {
			return false
		}
	}
	return true
}

// lift keeps a child's floor above what it exists by.
func (e *Engine) lift(x uint32, below int32) bool {
	if fx := e.effectsOf(e.node(x)); fx != nil {
		fx.floor = max(fx.floor, below+1)
	}
	return true
}

// collOf is the collection of a key's node.
func (e *Engine) collOf(n *node) coll { return e.fams[n.fam].(interface{ coll() coll }).coll() }

func (f *keyFamily[E]) coll() coll { return f.c }

// cycle is a set of nodes each of which needs the next.
type cycle struct {
	err  *CycleError
	next map[uint32]uint32 // member -> the member whose read closes it; 0 for units
}

// newCycle makes the error of the nodes on path, where each needs the next and
// the last the first. The error is the same wherever the path begins.
func (e *Engine) newCycle(path []uint32, blocking bool) *cycle {
	cy := &cycle{next: map[uint32]uint32{}}
	names := make([]string, len(path))
	least := 0
	for i, id := range path {
		names[i] = e.nameOf(id)
		if names[i] < names[least] {
			least = i
		}
		if blocking {
			cy.next[id] = path[(i+1)%len(path)]
		} else if e.kindOf(e.node(id)) == kindUnit {
			cy.next[id] = 0
		}
	}
	names = append(names[least:], names[:least]...)
	cy.err = &CycleError{Path: append(slices.Clip(names), names[0]), cycle: cy}
	return cy
}

// noteCycle keeps track of who is in which cycle.
func (e *Engine) noteCycle(c *Ctx) {
	if c.n.flags&flagCycle != 0 {
		c.wasCycle = c.unit
		e.leaveCycle(c.id, c.n)
	}
	if c.cycle != nil {
		c.n.flags |= flagCycle
		e.cycles[c.id] = c.cycle
		e.islands = append(e.islands, c.cycle)
	}
}

func (e *Engine) leaveCycle(id uint32, n *node) {
	delete(e.cycles, id)
	n.flags &^= flagCycle
}

func (e *Engine) sameCycle(a, b uint32) bool {
	cy := e.cycles[a]
	return cy != nil && cy == e.cycles[b]
}

// breakCycle marks all members when one of them is marked: whether the cycle
// is still there can only be told from all of them.
func (e *Engine) breakCycle(id uint32) {
	cy := e.cycles[id]
	for m := range cy.next {
		if e.cycles[m] == cy && m != id {
			e.markAgain(m)
		}
	}
}

// resolveCycles deals with cycles that raising has met. Queries that read each
// other run again, and then meet in evaluation, which gives them their error.
// Where a unit is among them, the cycle goes through a relation or through
// Each; then its units fail: they lose their effects, but what they inserted
// still counts for order, so the cycle is seen again until one of them differs.
func (e *Engine) resolveCycles() {
	for len(e.found) > 0 {
		path := e.found[0]
		e.found = e.found[1:]
		if !e.hasUnit(path) {
			e.suspect(path[0])
			continue
		}
		// path goes from what is needed to who needs it, except its first.
		cy := e.newCycle(path, false)
		for id := range cy.next {
			e.poison(id, cy)
		}
	}
}

func (e *Engine) hasUnit(path []uint32) bool {
	return slices.ContainsFunc(path, func(id uint32) bool { return e.kindOf(e.node(id)) == kindUnit })
}

func (e *Engine) poison(id uint32, cy *cycle) {
	n := e.node(id)
	fx := e.effectsOf(n)
	e.withdraw(id, fx, true)
	if fx.more == nil {
		fx.more = &moreEffects{}
	}
	fx.more.err = cy.err
	n.flags |= flagCycle
	e.cycles[id] = cy
	e.recheck[id] = struct{}{}
}

// search looks for a way from a unit back to itself, whatever the heights say:
// around a known cycle they are not in order, so raising may not notice that
// the cycle is still there.
func (e *Engine) search(start uint32) {
	from := map[uint32]uint32{}
	for work := []uint32{start}; len(work) > 0; {
		id := work[0]
		work = work[1:]
		e.successors(id, e.node(id), func(x uint32) bool {
			if x == start {
				path := []uint32{start}
				for y := id; y != start; y = from[y] {
					path = append(path, y)
				}
				e.found = append(e.found, path)
				work = nil
				return false
			}
			if _, ok := from[x]; !ok {
				from[x] = id
				work = append(work, x)
			}
			return true
		})
		if len(e.found) > 0 {
			return
		}
	}
}

// suspect marks all queries that are on some way from start back to start.
func (e *Engine) suspect(start uint32) {
	above := map[uint32]bool{start: true}
	for work := []uint32{start}; len(work) > 0; {
		id := work[len(work)-1]
		work = work[:len(work)-1]
		for _, r := range e.node(id).readers {
			if !above[r] && e.reads(r, id) {
				above[r] = true
				work = append(work, r)
			}
		}
	}
	on := map[uint32]bool{start: true}
	for work := []uint32{start}; len(work) > 0; {
		id := work[len(work)-1]
		work = work[:len(work)-1]
		for _, d := range e.node(id).deps {
			if above[d] && !on[d] {
				on[d] = true
				work = append(work, d)
			}
		}
	}
	for id := range on {
		if n := e.node(id); n.round != e.round || n.runs <= maxRuns {
			e.markAgain(id)
		}
	}
}
