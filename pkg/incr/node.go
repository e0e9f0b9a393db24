package incr

import (
	"slices"
	"sync/atomic"
)

// kind says what a node is; it belongs to the node's family.
type kind uint8

const (
	kindCell  kind = iota // an input; Touch gives it a new version
	kindQuery             // a memoised value
	kindUnit              // emits, inserts and keeps children
	kindKey               // a key of a collection: settles what units inserted
	kindElem              // presence of one element under a key, read by Has
	kindAny               // whether a key has elements, read by Any
)

// States of a node. Only dirty -> running is ever contended.
const (
	stateFree    uint32 = iota
	stateClean          // its value is current as far as is known
	stateDirty          // something it read changed; waits in the queue
	stateDone           // evaluated, but what it read is not yet recorded
	stateRunning        // being evaluated; the worker is in the higher bits
)

const ownerShift = 8

// node is what the engine knows of one memoised thing. What is typed (key,
// value, emissions) is in the family's slab at slot.
type node struct {
	deps    []uint32 // what it read, sorted, each once
	readers []uint32 // who read it; may hold stale and double entries
	hash    Hash     // of the value
	state   atomic.Uint32
	height  int32  // above the heights of everything in deps
	refs    int32  // live readers; parents and roots of a unit; see keyRec for a key
	ver     uint32 // changes with the value
	slot    uint32
	round   uint32 // the Run that runs belongs to
	runs    uint16 // executions in that Run
	fam     uint16
	flags   uint8 // written between evaluations only
}

const (
	flagCycle uint8 = 1 << iota // member of a cycle, see Engine.cycles
	flagDying                   // is in Engine.dying
	flagAgain                   // to be marked once it is committed
)

// family is a set of nodes with one name and one key type.
type family interface {
	base() *famBase
	keyText(slot uint32) string
	keyAny(slot uint32) any
	compare(a, b uint32) int // of the keys in two slots
	eval(c *Ctx, slot uint32)
	release(id, slot uint32) // forget the record; the node is gone
	size() int               // bytes of a record, for Stats
}

type famBase struct {
	name  string
	kind  kind
	index uint16
	live  int // nodes; between evaluations only, except through atomics in alloc
}

func (f *famBase) base() *famBase { return f }

func (e *Engine) addFamily(f family, k kind, name string) {
	b := f.base()
	if k == kindQuery || k == kindUnit {
		for _, g := range e.fams {
			if o := g.base(); o.name == name && (o.kind == kindQuery || o.kind == kindUnit) {
				panic("incr: two queries or units are named " + name)
			}
		}
	}
	b.name, b.kind, b.index = name, k, uint16(len(e.fams))
	e.fams = append(e.fams, f)
}

// node returns a node that is in use.
func (e *Engine) node(id uint32) *node { return e.nodes.at(id) }

func (e *Engine) newNode(f *famBase, slot uint32, state uint32) (uint32, *node) {
	id, n := e.nodes.alloc(e.shared)
	n.slot, n.fam = slot, f.index
	n.state.Store(state)
	return id, n
}

// nameOf prints a node as name(key).
func (e *Engine) nameOf(id uint32) string {
	n := e.node(id)
	f := e.fams[n.fam]
	return f.base().name + "(" + f.keyText(n.slot) + ")"
}

func (e *Engine) kindOf(n *node) kind { return e.fams[n.fam].base().kind }

// reads reports whether r is alive and has id among what it read, which is
// what makes an entry in a readers list valid.
func (e *Engine) reads(r, id uint32) bool {
	n := e.nodes.find(r)
	if n == nil || n.state.Load() == stateFree {
		return false
	}
	_, ok := slices.BinarySearch(n.deps, id)
	return ok
}

func (e *Engine) addReader(id, r uint32) {
	n := e.node(id)
	n.refs++
	n.readers = append(n.readers, r)
	if len(n.readers) > 8 && len(n.readers) > 2*int(n.refs) {
		e.compact(id, n)
	}
}

// dropReader leaves the entry in the list; it is stale from now on.
func (e *Engine) dropReader(id uint32) {
	n := e.node(id)
	n.refs--
	if cy := e.cycles[id]; n.flags&flagCycle != 0 && cy != nil {
		e.islands = append(e.islands, cy)
	}
	switch {
	case n.refs == 0:
		n.readers = nil
		e.mayDie(id, n)
	case len(n.readers) > 32 && len(n.readers) > 2*int(n.refs):
		e.compact(id, n)
	}
}

func (e *Engine) compact(id uint32, n *node) {
	slices.Sort(n.readers)
	rs := slices.Compact(n.readers)
	rs = slices.DeleteFunc(rs, func(r uint32) bool { return !e.reads(r, id) })
	n.readers = slices.Clone(rs)
}

// mayDie remembers a node without readers; it is freed at the end of the Run
// unless somebody reads it again.
func (e *Engine) mayDie(id uint32, n *node) {
	if n.flags&flagDying == 0 {
		n.flags |= flagDying
		e.dying = append(e.dying, id)
	}
}

// changed gives a node a new version and marks who read the old one.
func (e *Engine) changed(id uint32, n *node) {
	n.ver++
	e.markReaders(id, n)
}

// markReaders marks the readers of id, whose value changed. Those that are
// being evaluated are left alone: when their reads are recorded, each is
// compared with the version it saw.
func (e *Engine) markReaders(id uint32, n *node) {
	for _, r := range n.readers {
		rn := e.nodes.find(r)
		if rn == nil || rn.state.Load() != stateClean || !e.reads(r, id) {
			continue
		}
		if rn.flags&flagCycle != 0 && e.sameCycle(r, id) {
			continue // a member hears of another by being run again with it
		}
		e.markDirty(r, rn)
	}
}

// markAgain is markDirty also for a node that is just being evaluated.
func (e *Engine) markAgain(id uint32) {
	n := e.node(id)
	switch n.state.Load() & (1<<ownerShift - 1) {
	case stateClean:
		e.markDirty(id, n)
	case stateDone, stateRunning:
		n.flags |= flagAgain
	}
}

func (e *Engine) markDirty(id uint32, n *node) {
	if n.state.Load() != stateClean {
		return
	}
	n.state.Store(stateDirty)
	e.queue.push(n.height, id)
	if n.flags&flagCycle != 0 {
		e.breakCycle(id)
	}
}
