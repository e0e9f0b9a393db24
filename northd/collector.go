package northd

import (
	"os"
	"runtime"
	"runtime/debug"
	gometrics "runtime/metrics"
	"sync"
)

// startHeap is up to where the heap may grow during a start before garbage is
// collected. What a start makes mostly stays, so collecting early finds little and
// marks all again: of the reference network of docs/benchmarks.md a start would be
// collected thirteen times on its way to 370 MB that live.
const startHeap = 640 << 20

// collector holds the garbage collector back while a heap grows.
type collector struct {
	mu    sync.Mutex
	floor uint64 // bytes; smaller heaps are not collected
	was   int    // percent, to go back to
	ended bool
}

// deferCollection lets the heap grow to floor bytes, or as usual to twice of what
// lives, until the function that it returns is called. It does nothing where the
// operator chose (GOGC).
func deferCollection(floor uint64) (end func()) {
	if _, chosen := os.LookupEnv("GOGC"); chosen {
		return func() {}
	}
	c := &collector{floor: floor, was: debug.SetGCPercent(usualPercent)}
	runtime.GC() // for its figures; there is hardly anything yet
	c.adjust()
	return c.end
}

// usualPercent is what runtime/debug takes by default.
const usualPercent = 100

// leastBase is what the percentage is of in small heaps, in bytes: the runtime
// takes 4 MB for the heap to grow to at 100 %.
const leastBase = 4 << 20

// adjust sets the next goal, and comes back when the collector was there.
func (c *collector) adjust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	live, roots := lastCollection()
	percent := 0
	if live < c.floor {
		percent = int((c.floor - live) * 100 / max(live+roots, leastBase))
	}
	debug.SetGCPercent(max(usualPercent, percent))
	type sentinel struct{ _ [16]byte }
	runtime.AddCleanup(&sentinel{}, func(c *collector) { c.adjust() }, c)
}

func (c *collector) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		debug.SetGCPercent(c.was)
	}
}

// lastCollection is what the last collection left and what else it had to scan, in
// bytes: the next one comes when the heap has grown by a percentage of both.
func lastCollection() (live, roots uint64) {
	s := []gometrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	gometrics.Read(s)
	value := func(i int) uint64 {
		if s[i].Value.Kind() != gometrics.KindUint64 {
			return 0
		}
		return s[i].Value.Uint64()
	}
	return value(0), value(1) + value(2)
}
