package incr

import "slices"

// What the engine does with a collection between evaluations. A change of
// presence is pending until the key's own height comes up: by then all units
// that insert have run, and what came and went in between was never seen.

func (col *Collection[E]) keyOf(elem uint32) uint32  { return col.keys.at(col.elems.at(elem).key).id }
func (col *Collection[E]) keyNode(key uint32) uint32 { return col.keys.at(key).id }
func (col *Collection[E]) ref(elem uint32, by int32) { col.elems.at(elem).refs += by }

func (col *Collection[E]) count(elem uint32, by int32) {
	r := col.elems.at(elem)
	r.count += by
	if r.pending || (r.count > 0) == r.published {
		return
	}
	r.pending = true
	k := col.keys.at(r.key)
	k.pending = append(k.pending, elem)
	col.e.markDirty(k.id, col.e.node(k.id))
}

func (col *Collection[E]) settle(key uint32) {
	k := col.keys.at(key)
	pending := k.pending
	k.pending = nil
	had := k.known > 0
	height := col.e.node(k.id).height
	for _, es := range pending {
		r := col.elems.at(es)
		r.pending = false
		now := r.count > 0
		if now == r.published {
			col.e.orphan(elemRef{col.index, es}, r.count, r.refs)
			continue
		}
		r.published = now
		if now {
			k.known++
		} else {
			k.known--
		}
		for _, s := range k.subs {
			u := col.e.fams[s.child].(childFamily[E])
			if now {
				u.keep(s.parent, r.e, max(height, col.e.node(s.parent).height)+1)
			} else {
				u.drop(s.parent, r.e)
			}
		}
		if r.node != 0 {
			col.e.changed(r.node, col.e.node(r.node))
		}
		col.e.orphan(elemRef{col.index, es}, r.count, r.refs)
	}
	if k.any != 0 && had != (k.known > 0) {
		col.e.changed(k.any, col.e.node(k.any))
	}
	if len(k.elems) == 0 || col.idle(key) {
		col.e.mayDie(k.id, col.e.node(k.id))
	}
}

// orphan remembers an element that may have become useless.
func (e *Engine) orphan(r elemRef, count, refs int32) {
	if count == 0 && refs == 0 {
		e.orphans = append(e.orphans, r)
	}
}

func (col *Collection[E]) tidy(elem uint32) {
	r := col.elems.find(elem)
	if r == nil || r.key == 0 || r.count > 0 || r.refs > 0 || r.node != 0 || r.pending || r.published {
		return
	}
	k := col.keys.at(r.key)
	delete(k.elems, r.e)
	col.elems.release(elem, false)
	if col.idle(col.e.node(k.id).slot) {
		col.e.mayDie(k.id, col.e.node(k.id))
	}
}

func (col *Collection[E]) subscribe(ref eachRef, by uint32) {
	k := col.keys.at(ref.key)
	k.subs = append(k.subs, sub{by, ref.child})
	u := col.e.fams[ref.child].(childFamily[E])
	floor := max(col.e.node(k.id).height, col.e.node(by).height) + 1
	for e, es := range k.elems {
		if col.elems.at(es).published {
			u.keep(by, e, floor)
		}
	}
}

func (col *Collection[E]) unsubscribe(ref eachRef, by uint32) {
	k := col.keys.at(ref.key)
	i := slices.Index(k.subs, sub{by, ref.child})
	k.subs[i] = k.subs[len(k.subs)-1]
	k.subs = k.subs[:len(k.subs)-1]
	u := col.e.fams[ref.child].(childFamily[E])
	for e, es := range k.elems {
		if col.elems.at(es).published {
			u.drop(by, e)
		}
	}
	if col.idle(ref.key) {
		col.e.mayDie(k.id, col.e.node(k.id))
	}
}

// idle reports that nothing reads the key and, for a relation, nothing fills it.
func (col *Collection[E]) idle(key uint32) bool {
	k := col.keys.at(key)
	if k.any != 0 || len(k.subs) > 0 || k.watched > 0 {
		return false
	}
	return !col.derived || len(k.elems) == 0
}

// unwatch forgets the node behind a Has or an Any, which has no readers left.
func (col *Collection[E]) unwatch(kd kind, slot uint32) {
	ks := slot
	if kd == kindElem {
		r := col.elems.at(slot)
		r.node = 0
		ks = r.key
		k := col.keys.at(ks)
		k.watched--
		if !col.derived && !k.tracked {
			k.known -= int32(min(1, r.count))
			r.count, r.published = 0, false
		}
		col.e.orphan(elemRef{col.index, slot}, r.count, r.refs)
	} else {
		col.keys.at(ks).any = 0
	}
	if col.idle(ks) {
		id := col.keys.at(ks).id
		col.e.mayDie(id, col.e.node(id))
	}
}

// successors are the nodes that must come after a key.
func (col *Collection[E]) successors(key uint32, f func(id uint32) bool) bool {
	k := col.keys.at(key)
	if k.any != 0 && !f(k.any) {
		return false
	}
	if k.watched > 0 {
		for _, es := range k.elems {
			if n := col.elems.at(es).node; n != 0 && !f(n) {
				return false
			}
		}
	}
	for _, s := range k.subs {
		if !col.children(eachRef{col.index, s.child, key}, s.parent, f) {
			return false
		}
	}
	return true
}

// children are the units that an Each of the unit by keeps.
func (col *Collection[E]) children(ref eachRef, by uint32, f func(id uint32) bool) bool {
	u := col.e.fams[ref.child].(childFamily[E])
	for e, es := range col.keys.at(ref.key).elems {
		if !col.elems.at(es).published {
			continue
		}
		if id := u.kept(by, e); id != 0 && !f(id) {
			return false
		}
	}
	return true
}

func (f *keyFamily[E]) release(id, slot uint32) {
	c := f.c
	k := c.keys.at(slot)
	for _, es := range k.elems {
		c.elems.release(es, false)
	}
	c.ids = forget(c.ids, k.key, &c.gone)
	c.keys.release(slot, false)
	f.live--
}

func (f *elemFamily[E]) release(_, slot uint32) {
	f.c.unwatch(kindElem, slot)
	f.live--
}

func (f *anyFamily[E]) release(_, slot uint32) {
	f.c.unwatch(kindAny, slot)
	f.live--
}
