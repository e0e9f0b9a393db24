package incr

import (
	"bytes"
	"sync"
)

// cellFamily holds the inputs that something has read.
type cellFamily struct {
	famBase
	e    *Engine
	mu   sync.RWMutex
	ids  map[Cell]uint32
	keys slab[Cell]
	gone int
}

func (f *cellFamily) init(e *Engine) {
	f.e, f.ids = e, map[Cell]uint32{}
	e.addFamily(f, kindCell, "cell")
}

func (f *cellFamily) keyText(slot uint32) string { return f.e.label(*f.keys.at(slot)) }
func (f *cellFamily) keyAny(slot uint32) any     { return *f.keys.at(slot) }
func (f *cellFamily) eval(*Ctx, uint32)          {}
func (f *cellFamily) size() int                  { return 16 + 32 }
func (f *cellFamily) compare(a, b uint32) int {
	return bytes.Compare(f.keys.at(a)[:], f.keys.at(b)[:])
}

func (f *cellFamily) release(_, slot uint32) {
	f.ids = forget(f.ids, *f.keys.at(slot), &f.gone)
	f.keys.release(slot, false)
	f.live--
}

func (f *cellFamily) find(cell Cell) uint32 {
	shared := f.e.shared
	if shared {
		f.mu.RLock()
	}
	id := f.ids[cell]
	if shared {
		f.mu.RUnlock()
	}
	if id != 0 {
		return id
	}
	if shared {
		f.mu.Lock()
		defer f.mu.Unlock()
		if id := f.ids[cell]; id != 0 {
			return id
		}
	}
	slot, key := f.keys.alloc(false)
	*key = cell
	id, _ = f.e.newNode(&f.famBase, slot, stateClean)
	f.ids[cell] = id
	f.live++
	return id
}

// forget deletes a key from a map of ids and rebuilds the map when most of
// what it once held is gone, since Go's maps do not shrink.
func forget[K comparable](m map[K]uint32, k K, gone *int) map[K]uint32 {
	delete(m, k)
	*gone++
	if *gone < 64 || *gone < 4*len(m) {
		return m
	}
	*gone = 0
	small := make(map[K]uint32, len(m))
	for k, v := range m {
		small[k] = v
	}
	return small
}

// Read records that the running query depends on an input cell. It does not
// matter whether anything is there: the absence of a row is read like a row.
func (c *Ctx) Read(cell Cell) {
	c.mustRun("Read")
	id := c.e.cells.find(cell)
	c.dep(id, c.e.node(id).ver)
}

// Touch says that an input changed: whatever read the cell runs again in the
// next Run. A cell that nobody read costs nothing.
func (e *Engine) Touch(cell Cell) {
	e.mustIdle("Touch")
	if id := e.cells.ids[cell]; id != 0 {
		e.changed(id, e.node(id))
	}
}
