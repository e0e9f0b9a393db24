package incr

import (
	"fmt"
	"unsafe"
)

// Unit is a function without a value: it emits into sinks, inserts into
// relations and keeps children. A unit lives while it is a root or while a
// parent's Each has its key for an element.
type Unit[K comparable] struct {
	famBase
	unitBase
	e     *Engine
	fn    func(*Ctx, K) error
	order func(a, b *K) int
	ids   map[K]uint32
	recs  slab[unitRec[K]]
	gone  int
}

// unitBase is what all families of units share whatever their key.
type unitBase struct {
	lift int32 // by how much relations have raised units above their parents
}

type unitRec[K comparable] struct {
	key K
	effects
}

// effects is what a unit did in its last evaluation.
type effects struct {
	emits []emitRef // by sink, then by key
	more  *moreEffects
	floor int32 // above the heights of parents and of their collection keys
	root  bool
}

// moreEffects is apart because few units have any.
type moreEffects struct {
	ins      []elemRef // sorted
	eachs    []eachRef // sorted
	err      error     // status
	poisoned bool      // inserts count for order only, not as elements
}

// unitFamily is a family of units.
type unitFamily interface {
	family
	effects(slot uint32) *effects
	lifted() *int32
	compareKeys(a, b any) int
}

// NewUnit registers a unit. The name appears in statistics, errors and Explain.
func NewUnit[K comparable](e *Engine, name string, fn func(*Ctx, K) error, opts ...Option[K]) *Unit[K] {
	e.mustIdle("NewUnit")
	u := &Unit[K]{e: e, fn: fn, order: optionsOf(opts).order, ids: map[K]uint32{}}
	e.addFamily(u, kindUnit, name)
	return u
}

// Root keeps the unit at k alive until Unroot; the next Run evaluates it.
// A second Root of one key changes nothing.
func (u *Unit[K]) Root(k K) {
	u.e.mustIdle("Root")
	if id := u.ids[k]; id != 0 && u.recs.at(u.e.node(id).slot).root {
		return
	}
	u.recs.at(u.e.node(u.hold(k, 0)).slot).root = true
}

// Unroot undoes Root. A unit that is no root is left as it is.
func (u *Unit[K]) Unroot(k K) {
	u.e.mustIdle("Unroot")
	id := u.ids[k]
	if id == 0 {
		return
	}
	if r := u.recs.at(u.e.node(id).slot); r.root {
		r.root = false
		u.unhold(k)
	}
}

// Alive reports whether the unit at k exists. Between Runs only.
func (u *Unit[K]) Alive(k K) bool { return u.ids[k] != 0 }

// hold adds one reason for the unit at k to live, and makes it where it does
// not exist. It will be evaluated no earlier than at height floor.
func (u *Unit[K]) hold(k K, floor int32) uint32 {
	id := u.ids[k]
	if id != 0 {
		n := u.e.node(id)
		n.refs++
		r := u.recs.at(n.slot)
		if r.floor < floor {
			r.floor = floor
			u.e.raise(id, floor)
		}
		return id
	}
	slot, r := u.recs.alloc(false)
	r.key, r.floor = k, floor
	id, n := u.e.newNode(&u.famBase, slot, stateDirty)
	n.refs, n.height = 1, floor+u.lift
	u.ids[k] = id
	u.live++
	u.e.queue.push(n.height, id)
	return id
}

// unhold takes one reason away. A unit without any goes when its height comes
// up, so that one that moves between parents survives.
func (u *Unit[K]) unhold(k K) {
	id := u.ids[k]
	n := u.e.node(id)
	if n.refs--; n.refs == 0 {
		u.e.queue.push(n.height, id)
	}
}

func (u *Unit[K]) eval(c *Ctx, slot uint32) {
	err := c.err
	if err == nil {
		err = u.call(c, u.recs.at(slot).key)
	}
	if err = c.outcome(err); err != nil {
		c.settled(hashError(err))
	} else {
		c.settled(Hash{})
	}
}

func (u *Unit[K]) call(c *Ctx, k K) (err error) {
	defer c.catch(&err)
	return u.fn(c, k)
}

func (u *Unit[K]) effects(slot uint32) *effects { return &u.recs.at(slot).effects }
func (u *Unit[K]) lifted() *int32               { return &u.lift }
func (u *Unit[K]) keyText(slot uint32) string   { return fmt.Sprint(u.recs.at(slot).key) }
func (u *Unit[K]) keyAny(slot uint32) any       { return u.recs.at(slot).key }
func (u *Unit[K]) compare(a, b uint32) int      { return u.order(&u.recs.at(a).key, &u.recs.at(b).key) }
func (u *Unit[K]) compareKeys(a, b any) int {
	x, y := a.(K), b.(K)
	return u.order(&x, &y)
}

func (u *Unit[K]) size() int {
	var k K
	return int(unsafe.Sizeof(unitRec[K]{})) + mapEntry(unsafe.Sizeof(k))
}

func (u *Unit[K]) release(id, slot uint32) {
	k := u.recs.at(slot).key
	if u.ids[k] == id {
		u.ids = forget(u.ids, k, &u.gone)
	}
	u.recs.release(slot, false)
	u.live--
}

// effectsOf returns the effects of a unit's node, nil for other nodes.
func (e *Engine) effectsOf(n *node) *effects {
	if f, ok := e.fams[n.fam].(unitFamily); ok {
		return f.effects(n.slot)
	}
	return nil
}

// compareUnits orders units by name and key: the identity by which conflicts
// are decided, whatever the order of evaluation.
func (e *Engine) compareUnits(a, b uint32) int {
	na, nb := e.node(a), e.node(b)
	fa, fb := e.fams[na.fam], e.fams[nb.fam]
	if fa == fb {
		return fa.compare(na.slot, nb.slot)
	}
	if fa.base().name != fb.base().name {
		if fa.base().name < fb.base().name {
			return -1
		}
		return 1
	}
	return int(fa.base().index) - int(fb.base().index)
}
