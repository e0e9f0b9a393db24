package sim

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Epoch is when simulated time begins, so that two runs of one scenario write
// the same captures.
var Epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// clock is simulated time: it stands still but for events.
type clock struct{ ns atomic.Int64 }

// Now is the simulated time.
func (c *clock) Now() time.Time { return Epoch.Add(time.Duration(c.ns.Load())) }

// event is something that happens at a time. Of events at one time, the one
// that was planned first happens first.
type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

// timeline is what is going to happen. Anybody plans; one at a time runs.
type timeline struct {
	clock *clock

	mu     sync.Mutex
	events eventHeap
	seq    uint64
	came   chan struct{} // has a value when something was planned
}

func newTimeline(c *clock) *timeline { return &timeline{clock: c, came: make(chan struct{}, 1)} }

// after plans fn for a time from now.
func (t *timeline) after(d time.Duration, fn func()) *event {
	t.mu.Lock()
	t.seq++
	e := &event{at: t.clock.Now().Add(d), seq: t.seq, do: fn}
	heap.Push(&t.events, e)
	t.mu.Unlock()
	select {
	case t.came <- struct{}{}:
	default:
	}
	return e
}

// next is the time until the next event; false: there is none.
func (t *timeline) next() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) == 0 {
		return 0, false
	}
	return t.events[0].at.Sub(t.clock.Now()), true
}

// step lets the next event happen; false: there is none.
func (t *timeline) step() bool {
	t.mu.Lock()
	if len(t.events) == 0 {
		t.mu.Unlock()
		return false
	}
	e := heap.Pop(&t.events).(*event)
	if d := int64(e.at.Sub(Epoch)); d > t.clock.ns.Load() {
		t.clock.ns.Store(d)
	}
	t.mu.Unlock()
	e.do()
	return true
}

// wait returns when something is planned, or after d of real time: false.
func (t *timeline) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.came:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
}
