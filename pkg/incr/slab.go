package incr

import (
	"sync"
	"sync/atomic"
)

// chunkLen is the number of items of a chunk; a power of two.
const (
	chunkBits = 9
	chunkLen  = 1 << chunkBits
)

// slab stores items under small integers. Items never move, so a pointer stays
// good while other goroutines allocate; a chunk that becomes empty is given
// back to the collector. Slot 0 is never handed out: it means "none".
type slab[T any] struct {
	mu      sync.Mutex
	table   atomic.Pointer[[]*chunk[T]]
	partial []uint32 // chunks that may have room, the one in use last
	vacant  []uint32 // chunks given back
	live    int
}

type chunk[T any] struct {
	items  [chunkLen]T
	free   []uint16 // slots that were used and freed
	next   uint16   // slots from here on were never used
	live   uint16
	listed bool // in slab.partial
}

// at returns the item in slot i, which must be in use.
func (s *slab[T]) at(i uint32) *T {
	return &(*s.table.Load())[i>>chunkBits].items[i&(chunkLen-1)]
}

// find is at for a slot that may have been given back: nil then.
func (s *slab[T]) find(i uint32) *T {
	c := (*s.table.Load())[i>>chunkBits]
	if c == nil {
		return nil
	}
	return &c.items[i&(chunkLen-1)]
}

// alloc returns a zero item; shared says that other goroutines allocate too.
func (s *slab[T]) alloc(shared bool) (uint32, *T) {
	if shared {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	for {
		if len(s.partial) == 0 {
			s.grow()
		}
		ci := s.partial[len(s.partial)-1]
		c := (*s.table.Load())[ci]
		var i uint16
		switch {
		case c == nil:
			s.partial = s.partial[:len(s.partial)-1]
			continue
		case len(c.free) > 0:
			i = c.free[len(c.free)-1]
			c.free = c.free[:len(c.free)-1]
		case c.next < chunkLen:
			i = c.next
			c.next++
		default:
			c.listed = false
			s.partial = s.partial[:len(s.partial)-1]
			continue
		}
		c.live++
		s.live++
		return ci<<chunkBits | uint32(i), &c.items[i]
	}
}

func (s *slab[T]) grow() {
	c := &chunk[T]{listed: true}
	if n := len(s.vacant); n > 0 {
		ci := s.vacant[n-1]
		s.vacant = s.vacant[:n-1]
		if ci == 0 {
			c.next = 1
		}
		(*s.table.Load())[ci] = c
		s.partial = append(s.partial, ci)
		return
	}
	var t []*chunk[T]
	if p := s.table.Load(); p != nil {
		t = *p
	} else {
		c.next = 1
	}
	s.partial = append(s.partial, uint32(len(t)))
	t = append(t, c)
	s.table.Store(&t)
}

// release zeroes slot i and makes it free. Never called while others allocate
// without shared.
func (s *slab[T]) release(i uint32, shared bool) {
	if shared {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	ci := i >> chunkBits
	c := (*s.table.Load())[ci]
	var zero T
	c.items[i&(chunkLen-1)] = zero
	c.free = append(c.free, uint16(i&(chunkLen-1)))
	c.live--
	s.live--
	if c.live == 0 {
		(*s.table.Load())[ci] = nil
		s.vacant = append(s.vacant, ci)
		if c.listed {
			s.unlist(ci)
		}
		return
	}
	if !c.listed {
		c.listed = true
		s.partial = append(s.partial, ci)
	}
}

func (s *slab[T]) unlist(ci uint32) {
	for i, p := range s.partial {
		if p == ci {
			s.partial[i] = s.partial[len(s.partial)-1]
			s.partial = s.partial[:len(s.partial)-1]
			return
		}
	}
}
