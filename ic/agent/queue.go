package agent

import (
	"container/heap"
	"time"
)

// queue are items that are to be written: by kind those that are due, in the order
// in which they came, and the others by time. What is done to it costs the items
// that it is done to, however many there are.
type queue struct {
	items map[item]due
	most  int           // that there were since there was none
	due   [kinds][]item // may have items that are due no more
	wait  waiting       // likewise
}

// manyItems is how many leave a map with memory that is worth giving back.
const manyItems = 1000

// due is when an item is to be written, zero: now; and since when that has been
// known.
type due struct{ at, since time.Time }

func newQueue() queue { return queue{items: make(map[item]due)} }

func (q *queue) has(it item) bool {
	_, there := q.items[it]
	return there
}

// add has an item due now. It is known since when it was if it is there.
func (q *queue) add(it item, since time.Time) {
	d, there := q.items[it]
	if there && d.at.IsZero() {
		return
	}
	if !there {
		d.since = since
	}
	d.at = time.Time{}
	q.items[it] = d
	q.due[it.kind] = append(q.due[it.kind], it)
}

// later has an item due at a time, and not before.
func (q *queue) later(it item, at, since time.Time) {
	q.items[it] = due{at, since}
	heap.Push(&q.wait, waits{it, at})
}

func (q *queue) remove(it item) {
	q.most = max(q.most, len(q.items))
	if delete(q.items, it); len(q.items) == 0 && q.most > manyItems {
		q.items, q.most = make(map[item]due), 0 // a map keeps the memory of those that were
	}
}

// ripen has those due whose time has come.
func (q *queue) ripen(now time.Time) {
	for q.trim(); len(q.wait) > 0 && !q.wait[0].at.After(now); q.trim() {
		it := q.wait[0].item
		q.add(it, q.items[it].since)
	}
}

// next is when the first one of those that wait is due; zero: none waits.
func (q *queue) next() time.Time {
	if q.trim(); len(q.wait) > 0 {
		return q.wait[0].at
	}
	return time.Time{}
}

// trim takes away what does not wait, from the front.
func (q *queue) trim() {
	for len(q.wait) > 0 {
		d, there := q.items[q.wait[0].item]
		if there && d.at.Equal(q.wait[0].at) {
			return
		}
		heap.Pop(&q.wait)
	}
	q.wait = nil
}

// peek is the first item that is due of some kinds, to but not with the last.
func (q *queue) peek(from, to kind) (it item, since time.Time, ok bool) {
	for k := from; k < to; k++ {
		for len(q.due[k]) > 0 {
			it := q.due[k][0]
			if d, there := q.items[it]; there && d.at.IsZero() {
				return it, d.since, true
			}
			q.due[k] = q.due[k][1:]
		}
		q.due[k] = nil // with the memory of those that were
	}
	return item{}, time.Time{}, false
}

// any tells whether something is due of some kinds.
func (q *queue) any(from, to kind) bool {
	_, _, ok := q.peek(from, to)
	return ok
}

// waits is an item that is due at a time.
type waits struct {
	item
	at time.Time
}

// waiting is a heap by time.
type waiting []waits

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].at.Before(w[j].at) }
func (w waiting) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waiting) Push(x any)        { *w = append(*w, x.(waits)) }
func (w *waiting) Pop() any {
	last := len(*w) - 1
	x := (*w)[last]
	*w = (*w)[:last]
	return x
}
