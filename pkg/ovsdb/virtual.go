package ovsdb

import (
	"maps"
	"sync"
)

// VirtualTable renders rows on demand: while somebody monitors or selects from
// the table, and not otherwise.
type VirtualTable interface {
	// Watch returns the present rows (made by NewVirtualRow) and begins to call
	// notify with later differences, in order, until stop is called. notify
	// never blocks, so it may be called with locks held. Watch is not called
	// again before stop.
	Watch(notify func([]Change)) (initial []*Row, stop func())
}

// virtualHub shares one Watch among all who look at a table.
type virtualHub struct {
	table  *TableSchema
	source VirtualTable

	mu       sync.Mutex // guards all but queue; held during Watch
	rows     map[UUID]*Row
	watchers map[*virtualWatcher]struct{}
	stop     func()

	// The queue decouples notify from the watchers. epoch tells the changes of
	// one Watch from those of the next.
	qmu      sync.Mutex
	queue    []virtualChanges
	epoch    int
	draining bool
	idle     sync.WaitGroup
}

type virtualChanges struct {
	epoch   int
	changes []Change
}

type virtualWatcher struct {
	notify func([]Change)
}

func newVirtualHub(t *TableSchema, v VirtualTable) *virtualHub {
	return &virtualHub{table: t, source: v, watchers: make(map[*virtualWatcher]struct{})}
}

// watch returns the rows and calls notify for later changes, one call at a
// time, until the returned function is called.
func (h *virtualHub) watch(notify func([]Change)) (rows []*Row, stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop == nil {
		h.qmu.Lock()
		h.epoch++
		epoch := h.epoch
		h.qmu.Unlock()
		initial, stop := h.source.Watch(func(c []Change) { h.enqueue(virtualChanges{epoch, c}) })
		h.stop = stop
		h.rows = make(map[UUID]*Row, len(initial))
		for _, r := range initial {
			h.rows[r.uuid] = r
		}
	}
	for r := range maps.Values(h.rows) {
		rows = append(rows, r)
	}
	w := &virtualWatcher{notify}
	h.watchers[w] = struct{}{}
	return rows, func() { h.unwatch(w) }
}

func (h *virtualHub) unwatch(w *virtualWatcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
	if len(h.watchers) > 0 || h.stop == nil {
		return
	}
	h.stop()
	h.stop, h.rows = nil, nil
	h.qmu.Lock()
	h.epoch++ // what is still queued is of no interest
	h.queue = nil
	h.qmu.Unlock()
}

func (h *virtualHub) enqueue(c virtualChanges) {
	h.qmu.Lock()
	defer h.qmu.Unlock()
	if c.epoch != h.epoch {
		return
	}
	h.queue = append(h.queue, c)
	if !h.draining {
		h.draining = true
		h.idle.Add(1)
		go h.drain()
	}
}

// drain passes on what is queued and ends when nothing is left.
func (h *virtualHub) drain() {
	defer h.idle.Done()
	for {
		h.mu.Lock()
		h.qmu.Lock()
		queue, epoch := h.queue, h.epoch
		if h.queue = nil; len(queue) == 0 {
			h.draining = false
		}
		h.qmu.Unlock()
		for _, c := range queue {
			if c.epoch == epoch {
				h.apply(c.changes)
			}
		}
		h.mu.Unlock()
		if len(queue) == 0 {
			return
		}
	}
}

func (h *virtualHub) apply(changes []Change) {
	for i := range changes {
		c := &changes[i]
		// Old as we have shown it, whatever the source believes.
		if c.Old = h.rows[c.UUID]; c.New == nil {
			delete(h.rows, c.UUID)
		} else {
			h.rows[c.UUID] = c.New
		}
	}
	for w := range h.watchers {
		w.notify(changes)
	}
}

// all returns the rows once.
func (h *virtualHub) all() []*Row {
	rows, stop := h.watch(func([]Change) {})
	stop()
	return rows
}
