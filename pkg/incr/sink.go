package incr

import (
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Sink receives what units emit: for every key the value of one unit. When
// two live units emit one key, the unit with the lesser identity (name, then
// key) has it and the other carries a [ConflictError] until it is alone.
type Sink[K comparable, V any] struct {
	e       *Engine
	name    string
	index   uint16
	hash    func(V) Hash
	order   func(a, b *K) int
	mu      sync.Mutex
	recs    slab[sinkRec[K, V]]
	winner  map[K]uint32     // slot
	claims  map[K][]uint32   // slots of keys that several units emit, the winner first
	changed map[K]*before[V] // nil: it had nothing
	gone    int
}

type sinkRec[K comparable, V any] struct {
	key  K
	val  V
	hash Hash
	unit uint32
}

// before is what a key had at the last Drain.
type before[V any] struct {
	hash Hash
	val  V
}

// emitRef is one emission: a slot of a sink.
type emitRef struct {
	sink uint16
	slot uint32
}

// sinkBase is a sink whatever its types.
type sinkBase interface {
	sort(refs []emitRef)
	duplicate(refs []emitRef) ([]emitRef, error)
	replace(unit uint32, old, fresh, out []emitRef) []emitRef
	discard(refs []emitRef)
	conflict(slot uint32) error
}

// SinkChange is one net change: Old nil says that the key is new, New nil that
// it is gone.
type SinkChange[K comparable, V any] struct {
	Key      K
	Old, New *V
}

// NewSink registers a sink. Values with one hash are taken for equal.
func NewSink[K comparable, V any](e *Engine, name string, hash func(V) Hash, opts ...Option[K]) *Sink[K, V] {
	e.mustIdle("NewSink")
	s := &Sink[K, V]{e: e, name: name, index: uint16(len(e.sinks)), hash: hash, order: optionsOf(opts).order}
	s.winner, s.claims, s.changed = map[K]uint32{}, map[K][]uint32{}, map[K]*before[V]{}
	e.sinks = append(e.sinks, s)
	return s
}

// Emit gives the sink v under k while the running unit lives and goes on
// doing so. Emitting one key twice with different values fails the unit.
func Emit[K comparable, V any](c *Ctx, s *Sink[K, V], k K, v V) {
	c.mustUnit("Emit")
	h := s.hash(v)
	if c.e.shared {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	slot, r := s.recs.alloc(false)
	r.key, r.val, r.hash, r.unit = k, v, h, c.id
	c.emits = append(c.emits, emitRef{s.index, slot})
}

// Drain returns what changed since the last Drain, each key once, in the order
// of the keys. A key that came and went in between is not mentioned.
func (s *Sink[K, V]) Drain() []SinkChange[K, V] {
	s.e.mustIdle("Drain")
	out := make([]SinkChange[K, V], 0, len(s.changed))
	for k, b := range s.changed {
		c := SinkChange[K, V]{Key: k}
		slot := s.winner[k]
		if slot != 0 {
			r := s.recs.at(slot)
			if b != nil && b.hash == r.hash {
				continue
			}
			v := r.val
			c.New = &v
		} else if b == nil {
			continue
		}
		if b != nil {
			c.Old = &b.val
		}
		out = append(out, c)
	}
	if len(s.changed) > 64 {
		s.changed = map[K]*before[V]{}
	} else {
		clear(s.changed)
	}
	if len(out) == 0 {
		return nil
	}
	sortBy(out, func(a, b *SinkChange[K, V]) int { return s.order(&a.Key, &b.Key) })
	return out
}

// All yields the content in no particular order. Between Runs only.
func (s *Sink[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, slot := range s.winner {
			if !yield(k, s.recs.at(slot).val) {
				return
			}
		}
	}
}

// Get returns the value at k. Between Runs only.
func (s *Sink[K, V]) Get(k K) (v V, ok bool) {
	slot := s.winner[k]
	if slot == 0 {
		return v, false
	}
	return s.recs.at(slot).val, true
}

// Len is the number of keys.
func (s *Sink[K, V]) Len() int { return len(s.winner) }

// note remembers what k had before its first change since the last Drain.
func (s *Sink[K, V]) note(k K) {
	if _, ok := s.changed[k]; ok {
		return
	}
	var b *before[V]
	if slot := s.winner[k]; slot != 0 {
		r := s.recs.at(slot)
		b = &before[V]{r.hash, r.val}
	}
	s.changed[k] = b
}

func (s *Sink[K, V]) claim(slot uint32) {
	k := s.recs.at(slot).key
	cur := s.winner[k]
	if cur == 0 {
		s.note(k)
		s.winner[k] = slot
		return
	}
	list := s.claims[k]
	if list == nil {
		list = []uint32{cur}
	}
	unit := s.recs.at(slot).unit
	i, _ := slices.BinarySearchFunc(list, unit, func(x, unit uint32) int { return s.e.compareUnits(s.recs.at(x).unit, unit) })
	list = slices.Insert(list, i, slot)
	s.claims[k] = list
	if i == 0 {
		s.note(k)
		s.winner[k] = slot
	}
	s.recheck(list)
}

func (s *Sink[K, V]) unclaim(slot uint32) {
	k := s.recs.at(slot).key
	list := s.claims[k]
	if list == nil {
		s.note(k)
		s.winner = forget(s.winner, k, &s.gone)
		return
	}
	s.recheck(list)
	if s.winner[k] == slot {
		s.note(k)
	}
	list = slices.DeleteFunc(list, func(x uint32) bool { return x == slot })
	s.winner[k] = list[0]
	if len(list) == 1 {
		delete(s.claims, k)
	} else {
		s.claims[k] = list
	}
}

func (s *Sink[K, V]) recheck(slots []uint32) {
	for _, x := range slots {
		s.e.recheck[s.recs.at(x).unit] = struct{}{}
	}
}

func (s *Sink[K, V]) conflict(slot uint32) error {
	r := s.recs.at(slot)
	w := s.winner[r.key]
	if w == slot {
		return nil
	}
	return &ConflictError{Sink: s.name, Key: r.key, Owner: s.e.nameOf(s.recs.at(w).unit)}
}

func (s *Sink[K, V]) byKey(a, b emitRef) int {
	return s.order(&s.recs.at(a.slot).key, &s.recs.at(b.slot).key)
}

func (s *Sink[K, V]) sort(refs []emitRef) {
	if len(refs) > 1 {
		slices.SortFunc(refs, s.byKey)
	}
}

// duplicate drops repeated emissions of one key; different values are an error.
func (s *Sink[K, V]) duplicate(refs []emitRef) ([]emitRef, error) {
	var err error
	out := refs[:0]
	for _, r := range refs {
		if len(out) > 0 && s.byKey(out[len(out)-1], r) == 0 {
			a, b := s.recs.at(out[len(out)-1].slot), s.recs.at(r.slot)
			if a.hash != b.hash && err == nil {
				err = fmt.Errorf("%w: sink %q key %v", ErrEmittedTwice, s.name, a.key)
			}
			s.recs.release(r.slot, false)
			continue
		}
		out = append(out, r)
	}
	return out, err
}

// replace takes a unit from its old emissions to fresh ones, both sorted, and
// appends what it has then to out.
func (s *Sink[K, V]) replace(unit uint32, old, fresh, out []emitRef) []emitRef {
	for len(old) > 0 || len(fresh) > 0 {
		c := 0
		switch {
		case len(old) == 0:
			c = 1
		case len(fresh) == 0:
			c = -1
		default:
			c = s.byKey(old[0], fresh[0])
		}
		switch {
		case c < 0:
			s.unclaim(old[0].slot)
			s.recs.release(old[0].slot, false)
			old = old[1:]
		case c > 0:
			s.claim(fresh[0].slot)
			out = append(out, fresh[0])
			fresh = fresh[1:]
		default:
			o, f := s.recs.at(old[0].slot), s.recs.at(fresh[0].slot)
			if o.hash != f.hash {
				if s.winner[o.key] == old[0].slot {
					s.note(o.key)
				}
				o.val, o.hash = f.val, f.hash
			}
			s.recs.release(fresh[0].slot, false)
			out = append(out, old[0])
			old, fresh = old[1:], fresh[1:]
		}
	}
	return out
}

func (s *Sink[K, V]) discard(refs []emitRef) {
	for _, r := range refs {
		s.recs.release(r.slot, false)
	}
}

// sortBy sorts by an order of pointers. What is sorted are pointers, too: those to
// copies that slices.SortFunc passes would put each copy on the heap.
func sortBy[T any](s []T, order func(a, b *T) int) {
	if len(s) < 2 {
		return
	}
	sorted := make([]*T, len(s))
	for i := range s {
		sorted[i] = &s[i]
	}
	slices.SortFunc(sorted, order)
	out := make([]T, len(s))
	for i, p := range sorted {
		out[i] = *p
	}
	copy(s, out)
}
