package bfd

import (
	"container/heap"
	"fmt"
	"time"
)

// Table holds the sessions of a system. K says which session a packet is for
// that does not know our discriminator yet: addresses and what they came in by
// (RFC 5881, section 3). Use [NewTable].
type Table[K comparable] struct {
	byKey   map[K]*entry[K]
	byDiscr map[uint32]*entry[K]
	queue   queue[K]
}

type entry[K comparable] struct {
	key   K
	s     *Session
	next  time.Time
	index int // in the queue; -1: time changes nothing
}

// NewTable returns an empty table.
func NewTable[K comparable]() *Table[K] {
	return &Table[K]{byKey: map[K]*entry[K]{}, byDiscr: map[uint32]*entry[K]{}}
}

// Put makes the session of a key, or configures the one that is there. A new
// discriminator makes it a new session. An error changes nothing.
func (t *Table[K]) Put(now time.Time, key K, c Config) error {
	if other := t.byDiscr[c.Discr]; other != nil && other.key != key {
		return fmt.Errorf("bfd: discriminator %#x of %v belongs to %v", c.Discr, key, other.key)
	}
	if e := t.byKey[key]; e != nil && e.s.c.Discr == c.Discr {
		err := e.s.Configure(now, c)
		t.settle(e)
		return err
	}
	s, err := New(now, c)
	if err != nil {
		return err
	}
	t.Delete(key)
	e := &entry[K]{key: key, s: s, index: -1}
	t.byKey[key], t.byDiscr[c.Discr] = e, e
	t.settle(e)
	return nil
}

// Delete ends the session of a key; the peer is not told. That there is none is
// no error.
func (t *Table[K]) Delete(key K) {
	e := t.byKey[key]
	if e == nil {
		return
	}
	delete(t.byKey, key)
	delete(t.byDiscr, e.s.c.Discr)
	if e.index >= 0 {
		heap.Remove(&t.queue, e.index)
	}
}

// Get is the session of a key, nil if there is none. It is for reading.
func (t *Table[K]) Get(key K) *Session {
	if e := t.byKey[key]; e != nil {
		return e.s
	}
	return nil
}

// Len is the number of sessions.
func (t *Table[K]) Len() int { return len(t.byKey) }

// Receive gives a packet to its session: the one whose discriminator it holds,
// or if it holds none that of the key (RFC 5880, section 6.3). It returns the key
// of the session.
func (t *Table[K]) Receive(now time.Time, key K, p Packet) (K, error) {
	e := t.byKey[key]
	if p.YourDiscr != 0 {
		e = t.byDiscr[p.YourDiscr]
	}
	if e == nil {
		return key, fmt.Errorf("%w: %#x of %v", ErrNoSession, p.YourDiscr, key)
	}
	err := e.s.Receive(now, p)
	t.settle(e)
	return e.key, err
}

// Transmit does what is due at now in all sessions and hands over their packets.
func (t *Table[K]) Transmit(now time.Time, send func(K, Packet)) {
	for len(t.queue) > 0 && !now.Before(t.queue[0].next) {
		e := t.queue[0]
		for {
			p, ok := e.s.Transmit(now)
			if !ok {
				break
			}
			send(e.key, p)
		}
		t.settle(e)
	}
}

// Next is when Transmit must be called again; zero: when a packet comes.
func (t *Table[K]) Next() time.Time {
	if len(t.queue) == 0 {
		return time.Time{}
	}
	return t.queue[0].next
}

// settle puts a session where it belongs in the queue.
func (t *Table[K]) settle(e *entry[K]) {
	e.next = e.s.Next()
	switch {
	case e.next.IsZero() && e.index >= 0:
		heap.Remove(&t.queue, e.index)
	case e.next.IsZero():
	case e.index >= 0:
		heap.Fix(&t.queue, e.index)
	default:
		heap.Push(&t.queue, e)
	}
}

// queue is a heap by time.
type queue[K comparable] []*entry[K]

func (q queue[K]) Len() int           { return len(q) }
func (q queue[K]) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue[K]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}
func (q *queue[K]) Push(x any) {
	e := x.(*entry[K])
	e.index = len(*q)
	*q = append(*q, e)
}
func (q *queue[K]) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = -1
	return e
}
