package incr

import "fmt"

// Pair is the key of a unit that a parent keeps for an element: both of them.
type Pair[P, E comparable] struct {
	Parent P
	Elem   E
}

// Pairs is a unit for each pair of a parent and an element that it walks: what
// two sets have to do with each other, one unit a combination.
type Pairs[P, E comparable] struct {
	Unit[Pair[P, E]]
}

// NewPairs registers a unit whose keys are pairs; see EachPair. Order is that of
// the pairs.
func NewPairs[P, E comparable](e *Engine, name string, fn func(*Ctx, P, E) error, opts ...Option[Pair[P, E]]) *Pairs[P, E] {
	e.mustIdle("NewPairs")
	u := &Pairs[P, E]{Unit[Pair[P, E]]{e: e, order: optionsOf(opts).order, ids: map[Pair[P, E]]uint32{}}}
	u.fn = func(c *Ctx, k Pair[P, E]) error { return fn(c, k.Parent, k.Elem) }
	e.addFamily(u, kindUnit, name)
	return u
}

// EachPair is Each with a child for the pair of the running unit and the
// element, where Each has one for the element alone, whoever walks it. The
// running unit's key is a P.
func EachPair[P, E comparable](c *Ctx, col *Collection[E], key Hash, child *Pairs[P, E]) {
	c.mustUnit("EachPair")
	defer col.lock()()
	ks, _ := col.key(key, true)
	c.eachs = append(c.eachs, eachRef{col.index, child.index, ks})
}

// childFamily is a family of units that are kept for elements.
type childFamily[E comparable] interface {
	keep(parent uint32, e E, floor int32)
	drop(parent uint32, e E)
	kept(parent uint32, e E) uint32
}

func (u *Unit[K]) keep(_ uint32, k K, floor int32) { u.hold(k, floor) }
func (u *Unit[K]) drop(_ uint32, k K)              { u.unhold(k) }
func (u *Unit[K]) kept(_ uint32, k K) uint32       { return u.ids[k] }

func (u *Pairs[P, E]) keep(parent uint32, e E, floor int32) { u.hold(u.pair(parent, e), floor) }
func (u *Pairs[P, E]) drop(parent uint32, e E)              { u.unhold(u.pair(parent, e)) }
func (u *Pairs[P, E]) kept(parent uint32, e E) uint32       { return u.ids[u.pair(parent, e)] }

func (u *Pairs[P, E]) pair(parent uint32, e E) Pair[P, E] {
	n := u.e.node(parent)
	k, ok := u.e.fams[n.fam].keyAny(n.slot).(P)
	if !ok {
		panic(fmt.Sprintf("incr: %s is no pair of %s", u.name, u.e.fams[n.fam].base().name))
	}
	return Pair[P, E]{k, e}
}
