package incr

import (
	"cmp"
	"fmt"
	"iter"
	"sync"
	"unsafe"
)

// Collection is a set of elements under each key: an input (the entries of an
// index, fed by Change) or a relation (filled by units, with Insert). Nothing
// reads a key's set whole: Each, Has and Any are all there is.
type Collection[E comparable] struct {
	e         *Engine
	name      string
	index     uint16
	derived   bool
	enumerate func(key Hash) iter.Seq[E]
	contains  func(key Hash, e E) bool
	order     func(a, b *E) int
	mu        sync.Mutex
	ids       map[Hash]uint32
	gone      int
	keys      slab[keyRec[E]]
	elems     slab[elemRec[E]]
	keyFam    keyFamily[E]
	elemFam   elemFamily[E]
	anyFam    anyFamily[E]
}

// keyRec is one key. It exists while something inserts into it or reads it.
type keyRec[E comparable] struct {
	key     Hash
	id      uint32 // its node
	any     uint32 // the node behind Any, or 0
	elems   map[E]uint32
	pending []uint32 // elements whose presence may differ from what is published
	subs    []sub
	known   int32 // published elements
	watched int32 // elements with a node behind Has
	tracked bool  // input: elems mirrors what is there
}

// sub is one Each.
type sub struct {
	parent uint32
	child  uint16 // family
}

type elemRec[E comparable] struct {
	e         E
	key       uint32 // slot of the keyRec
	node      uint32 // behind Has, or 0
	count     int32  // live inserts; 0 or 1 for an input
	refs      int32  // units that name it in their effects
	published bool   // what readers see
	pending   bool
}

// elemRef and eachRef name elements and subscriptions without their types.
type elemRef struct {
	col  uint16
	elem uint32
}

type eachRef struct {
	col   uint16
	child uint16
	key   uint32
}

func (a elemRef) compare(b elemRef) int {
	if c := cmp.Compare(a.col, b.col); c != 0 {
		return c
	}
	return cmp.Compare(a.elem, b.elem)
}

func (a eachRef) compare(b eachRef) int {
	if c := cmp.Compare(a.col, b.col); c != 0 {
		return c
	}
	if c := cmp.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.child, b.child)
}

// coll is a collection whatever its elements.
type coll interface {
	keyOf(elem uint32) (id uint32)    // node of the element's key
	keyNode(key uint32) (id uint32)   // node of a key's slot
	ref(elem uint32, by int32)        // a unit names the element, or no longer
	count(elem uint32, by int32)      // the element is inserted, or withdrawn
	tidy(elem uint32)                 // drop the element if nothing needs it
	subscribe(r eachRef, by uint32)   // parent by keeps children
	unsubscribe(r eachRef, by uint32) // and no longer
	settle(key uint32)                // publish what is pending
	idle(key uint32) bool             // the key may go
	successors(key uint32, f func(id uint32) bool) bool
	children(r eachRef, by uint32, f func(id uint32) bool) bool
	unwatch(k kind, slot uint32) // the node behind Has or Any goes
}

// Contains answers Has for an input collection without enumerating the key:
// it reports whether e is there now. Without it the first Has of a key
// enumerates it.
func Contains[E comparable](f func(key Hash, e E) bool) Option[E] {
	return func(o *options[E]) { o.contains = f }
}

// NewCollection registers an input. The owner keeps the data: enumerate lists
// what is there under a key now and is called, during a Run, when the first
// reader of the key appears; from then on the owner's Change keeps it right.
func NewCollection[E comparable](e *Engine, name string, enumerate func(key Hash) iter.Seq[E], opts ...Option[E]) *Collection[E] {
	c := newCollection(e, name, opts)
	c.enumerate = enumerate
	return c
}

// NewRelation registers a derived collection. It is a multiset: an element is
// there while at least one live unit inserts it.
func NewRelation[E comparable](e *Engine, name string, opts ...Option[E]) *Collection[E] {
	c := newCollection(e, name, opts)
	c.derived = true
	return c
}

func newCollection[E comparable](e *Engine, name string, opts []Option[E]) *Collection[E] {
	e.mustIdle("NewCollection")
	o := optionsOf(opts)
	c := &Collection[E]{e: e, name: name, index: uint16(len(e.colls)), ids: map[Hash]uint32{}, contains: o.contains, order: o.order}
	e.colls = append(e.colls, c)
	c.keyFam.c, c.elemFam.c, c.anyFam.c = c, c, c
	e.addFamily(&c.keyFam, kindKey, name)
	e.addFamily(&c.elemFam, kindElem, name)
	e.addFamily(&c.anyFam, kindAny, name)
	return c
}

// Change feeds one difference: e is under key from now on (present), or no
// longer. Repeating what is known changes nothing. A key without readers costs
// nothing.
func (col *Collection[E]) Change(key Hash, e E, present bool) {
	col.e.mustIdle("Change")
	if col.derived {
		panic("incr: Change of relation " + col.name)
	}
	id := col.ids[key]
	if id == 0 {
		return
	}
	ks := col.e.node(id).slot
	k := col.keys.at(ks)
	es, ok := k.elems[e]
	if !ok {
		if !present || !k.tracked {
			return
		}
		es = col.element(k, ks, e)
	}
	r := col.elems.at(es)
	if (r.count > 0) == present {
		return
	}
	if present {
		col.count(es, 1)
	} else {
		col.count(es, -1)
	}
}

func (col *Collection[E]) lock() func() {
	if !col.e.shared {
		return func() {}
	}
	col.mu.Lock()
	return col.mu.Unlock
}

// key returns the record of a key; track also mirrors an input's elements.
func (col *Collection[E]) key(key Hash, track bool) (uint32, *keyRec[E]) {
	id := col.ids[key]
	var ks uint32
	var k *keyRec[E]
	if id != 0 {
		ks = col.e.node(id).slot
		k = col.keys.at(ks)
	} else {
		ks, k = col.keys.alloc(false)
		id, n := col.e.newNode(&col.keyFam.famBase, ks, stateClean)
		k.key, k.id = key, id
		k.elems = map[E]uint32{}
		col.ids[key] = id
		col.keyFam.live++
		_ = n
	}
	if track && !k.tracked && !col.derived {
		k.tracked = true
		for e := range col.enumerate(key) {
			r := col.elems.at(col.element(k, ks, e))
			if !r.published {
				r.count, r.published = 1, true
				k.known++
			}
		}
	}
	return ks, k
}

func (col *Collection[E]) element(k *keyRec[E], ks uint32, e E) uint32 {
	es, ok := k.elems[e]
	if !ok {
		var r *elemRec[E]
		es, r = col.elems.alloc(false)
		r.e, r.key = e, ks
		k.elems[e] = es
	}
	return es
}

// Each keeps one child unit alive for every element under key. The running
// unit does not run again when elements come and go: only children do.
func Each[E comparable](c *Ctx, col *Collection[E], key Hash, child *Unit[E]) {
	c.mustUnit("Each")
	defer col.lock()()
	ks, _ := col.key(key, true)
	c.eachs = append(c.eachs, eachRef{col.index, child.index, ks})
}

// Has reports whether e is under key. The running query or unit depends on
// this one element.
func Has[E comparable](c *Ctx, col *Collection[E], key Hash, e E) bool {
	c.mustRun("Has")
	defer col.lock()()
	ks, k := col.key(key, col.contains == nil)
	es, ok := k.elems[e]
	if !ok {
		es = col.element(k, ks, e)
		if !col.derived && !k.tracked && col.contains(key, e) {
			r := col.elems.at(es)
			r.count, r.published = 1, true
			k.known++
		}
	}
	r := col.elems.at(es)
	if r.node == 0 {
		id, n := col.e.newNode(&col.elemFam.famBase, es, stateClean)
		n.height = col.e.node(k.id).height + 1
		r.node = id
		k.watched++
		col.elemFam.live++
	}
	c.dep(r.node, col.e.node(r.node).ver)
	return r.published
}

// Any reports whether anything is under key. The running query or unit depends
// on that one bit.
func Any[E comparable](c *Ctx, col *Collection[E], key Hash) bool {
	c.mustRun("Any")
	defer col.lock()()
	ks, k := col.key(key, true)
	if k.any == 0 {
		id, n := col.e.newNode(&col.anyFam.famBase, ks, stateClean)
		n.height = col.e.node(k.id).height + 1
		k.any = id
		col.anyFam.live++
	}
	c.dep(k.any, col.e.node(k.any).ver)
	return k.known > 0
}

// Insert puts e under key of a relation while the running unit lives and goes
// on doing so.
func Insert[E comparable](c *Ctx, rel *Collection[E], key Hash, e E) {
	c.mustUnit("Insert")
	if !rel.derived {
		panic("incr: Insert into input collection " + rel.name)
	}
	defer rel.lock()()
	ks, k := rel.key(key, false)
	c.ins = append(c.ins, elemRef{rel.index, rel.element(k, ks, e)})
}

// Elements lists what readers see under key, in order. It records nothing; for
// tests and debugging, between Runs.
func (col *Collection[E]) Elements(key Hash) []E {
	var out []E
	if id := col.ids[key]; id != 0 {
		for e, es := range col.keys.at(col.e.node(id).slot).elems {
			if col.elems.at(es).published {
				out = append(out, e)
			}
		}
	}
	sortBy(out, col.order)
	return out
}

type keyFamily[E comparable] struct {
	famBase
	c *Collection[E]
}

func (f *keyFamily[E]) keyText(s uint32) string { return f.c.e.label(f.c.keys.at(s).key) }
func (f *keyFamily[E]) keyAny(s uint32) any     { return f.c.keys.at(s).key }
func (f *keyFamily[E]) compare(a, b uint32) int { return cmp.Compare(f.keyText(a), f.keyText(b)) }
func (f *keyFamily[E]) eval(*Ctx, uint32)       {}
func (f *keyFamily[E]) size() int               { return int(unsafe.Sizeof(keyRec[E]{})) + 48 + mapEntry(16) }

type elemFamily[E comparable] struct {
	famBase
	c *Collection[E]
}

func (f *elemFamily[E]) keyText(s uint32) string {
	r := f.c.elems.at(s)
	return fmt.Sprintf("%s has %v", f.c.keyFam.keyText(r.key), r.e)
}
func (f *elemFamily[E]) keyAny(s uint32) any     { return f.c.elems.at(s).e }
func (f *elemFamily[E]) compare(a, b uint32) int { return cmp.Compare(f.keyText(a), f.keyText(b)) }
func (f *elemFamily[E]) eval(*Ctx, uint32)       {}
func (f *elemFamily[E]) size() int               { return int(unsafe.Sizeof(elemRec[E]{})) }

type anyFamily[E comparable] struct {
	famBase
	c *Collection[E]
}

func (f *anyFamily[E]) keyText(s uint32) string { return f.c.keyFam.keyText(s) + " any" }
func (f *anyFamily[E]) keyAny(s uint32) any     { return f.c.keys.at(s).key }
func (f *anyFamily[E]) compare(a, b uint32) int { return cmp.Compare(f.keyText(a), f.keyText(b)) }
func (f *anyFamily[E]) eval(*Ctx, uint32)       {}
func (f *anyFamily[E]) size() int               { return 0 }
