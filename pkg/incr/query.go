package incr

import (
	"fmt"
	"sync"
	"unsafe"
)

// Query is a pure function of its key and of what it reads, memoised by key.
type Query[K comparable, V any] struct {
	famBase
	e     *Engine
	hash  func(V) Hash
	fn    func(*Ctx, K) (V, error)
	order func(a, b *K) int
	mu    sync.RWMutex
	ids   map[K]uint32
	recs  slab[queryRec[K, V]]
	gone  int
}

type queryRec[K comparable, V any] struct {
	key K
	val V
	err error
}

// Option adjusts a registration.
type Option[K comparable] func(*options[K])

type options[K comparable] struct {
	order    func(a, b *K) int
	contains func(key Hash, e K) bool
}

func optionsOf[K comparable](opts []Option[K]) options[K] {
	var o options[K]
	for _, f := range opts {
		f(&o)
	}
	if o.order == nil {
		o.order = orderOf[K]()
	}
	return o
}

// Order gives a total order of keys, by which sinks are drained, conflicts
// decided and errors listed. The default orders numbers, strings, arrays and
// structs by value, field by field.
func Order[K comparable](cmp func(a, b K) int) Option[K] {
	return func(o *options[K]) { o.order = func(a, b *K) int { return cmp(*a, *b) } }
}

// NewQuery registers a query. The name appears in statistics, errors and
// Explain. Values must be comparable by hash: two values with one hash are
// taken for equal, and readers do not run again. Values are shared between
// readers and goroutines, so nobody may change one after it was returned.
func NewQuery[K comparable, V any](e *Engine, name string, hash func(V) Hash, fn func(*Ctx, K) (V, error), opts ...Option[K]) *Query[K, V] {
	e.mustIdle("NewQuery")
	q := &Query[K, V]{e: e, hash: hash, fn: fn, order: optionsOf(opts).order, ids: map[K]uint32{}}
	e.addFamily(q, kindQuery, name)
	return q
}

// Get returns the value at k, evaluating it when needed, and records the read.
// An error of the query is returned as it is; it is a value like any other.
func (q *Query[K, V]) Get(c *Ctx, k K) (V, error) {
	c.mustRun("Get")
	id, n, fresh := q.find(c, k)
	if fresh {
		c.w.evaluate(id, n)
	}
	for !fresh {
		s := n.state.Load()
		if s == stateClean || s == stateDone {
			break
		}
		if s == stateDirty {
			if n.state.CompareAndSwap(stateDirty, stateRunning|c.w.index<<ownerShift) {
				c.w.evaluate(id, n)
			}
			continue
		}
		c.await(id, n)
	}
	r := q.recs.at(n.slot)
	c.dep(id, n.ver)
	if r.err != nil {
		if ce, ok := r.err.(*CycleError); ok && ce.cycle.next[c.id] == id {
			c.cycle = ce.cycle
			panic(abort{})
		}
	}
	return r.val, r.err
}

// find returns the node at k; fresh says that the caller has just made it and
// must evaluate it.
func (q *Query[K, V]) find(c *Ctx, k K) (id uint32, n *node, fresh bool) {
	shared := q.e.shared
	if shared {
		q.mu.RLock()
	}
	id = q.ids[k]
	if shared {
		q.mu.RUnlock()
	}
	if id != 0 {
		return id, q.e.node(id), false
	}
	if shared {
		q.mu.Lock()
		defer q.mu.Unlock()
		if id := q.ids[k]; id != 0 {
			return id, q.e.node(id), false
		}
	}
	slot, r := q.recs.alloc(false)
	r.key = k
	id, n = q.e.newNode(&q.famBase, slot, stateRunning|c.w.index<<ownerShift)
	q.ids[k] = id
	q.live++
	return id, n, true
}

func (q *Query[K, V]) eval(c *Ctx, slot uint32) {
	r := q.recs.at(slot)
	var v V
	var h Hash
	err := c.err
	if err == nil {
		v, h, err = q.call(c, r.key)
	}
	if err = c.outcome(err); err != nil {
		var zero V
		v, h = zero, hashError(err)
	}
	r.val, r.err = v, err
	c.settled(h)
}

func (q *Query[K, V]) call(c *Ctx, k K) (v V, h Hash, err error) {
	defer c.catch(&err)
	v, err = q.fn(c, k)
	if err == nil && c.err == nil {
		h = q.hash(v)
	}
	return v, h, err
}

// Peek returns the memoised value at k without evaluating or recording
// anything; ok is false when nothing that lives has read it. Between Runs only.
func (q *Query[K, V]) Peek(k K) (v V, err error, ok bool) {
	id := q.ids[k]
	if id == 0 {
		return v, nil, false
	}
	r := q.recs.at(q.e.node(id).slot)
	return r.val, r.err, true
}

func (q *Query[K, V]) keyText(slot uint32) string { return fmt.Sprint(q.recs.at(slot).key) }
func (q *Query[K, V]) keyAny(slot uint32) any     { return q.recs.at(slot).key }
func (q *Query[K, V]) compare(a, b uint32) int    { return q.order(&q.recs.at(a).key, &q.recs.at(b).key) }
func (q *Query[K, V]) size() int {
	var k K
	return int(unsafe.Sizeof(queryRec[K, V]{})) + mapEntry(unsafe.Sizeof(k))
}

// mapEntry estimates what a key of this size costs in a map of ids.
func mapEntry(key uintptr) int { return int(key+4+1) * 3 / 2 }

func (q *Query[K, V]) release(_, slot uint32) {
	q.ids = forget(q.ids, q.recs.at(slot).key, &q.gone)
	q.recs.release(slot, false)
	q.live--
}
