package daemon

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// How much the heap may grow, in percent of what is in use, before garbage is
// collected. A daemon that starts fills its heap, and would collect it again and
// again while nearly all of it stays; one that has started idles most of the
// time and pays for growth with memory.
const (
	gcStarting = 200
	gcRunning  = 50
	// gcSlack is what a small heap may grow by in any case, in bytes: collecting
	// 10 MB each time that 5 have been allocated takes more processor time than
	// the work does. What it costs in memory is given back when the work is done.
	gcSlack   = 24 << 20
	gcMaximum = 400
)

// trimAt is how much memory, in bytes, is worth a collection when a daemon has
// become idle: this, or an eighth of the heap.
const trimAt = 4 << 20

// collect sets how garbage is collected, unless GOGC in the environment does.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// heapUse is what the runtime knows of its heap, in bytes.
type heapUse struct {
	live      uint64 // found in use by the last collection
	held      uint64 // taken from the system and not given back
	allocated uint64 // ever
}

// keeper fits the collection of garbage to the size of the heap and to the
// work:
//
//	every second: heap small -> may grow by gcSlack     heap large -> by gcRunning
//	burst over    -> collect once and give the system back what is free
type keeper struct {
	use     func() heapUse
	percent func(int)
	free    func()

	now  int // the percentage that is set
	last uint64
	busy bool // something was allocated since the last time that memory was freed
}

func newKeeper() *keeper {
	samples := []runtimemetrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
	}
	return &keeper{
		use: func() heapUse {
			runtimemetrics.Read(samples)
			v := func(i int) uint64 { return samples[i].Value.Uint64() }
			return heapUse{live: v(0), allocated: v(1), held: v(2) + v(3) + v(4)}
		},
		percent: collect, free: freeMemory, now: gcRunning,
	}
}

// freeMemory gives the system back what the heap does not need, and the pages of
// the program that only a start or a burst has used: they are clean copies of the
// file, and come back when they are touched.
func freeMemory() {
	debug.FreeOSMemory()
	dropProgram()
}

// dropProgram unmaps the read-only pages of the executable. What cannot be read or
// unmapped stays, which costs memory only.
func dropProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// FROM-TO PERMISSIONS OFFSET DEVICE INODE PATH, proc_pid_maps(5)
		f := strings.Fields(line)
		if len(f) != 6 || f[5] != exe || f[1] != "r-xp" && f[1] != "r--p" {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && start < end {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}

// tick is called every second.
func (k *keeper) tick() {
	u := k.use()
	want := gcMaximum
	if u.live > 0 {
		want = min(gcMaximum, max(gcRunning, int(gcSlack*100/u.live)))
	}
	// Setting it stops the world for a moment; small steps are not worth it.
	if want > k.now+k.now/8 || want < k.now-k.now/8 {
		k.now = want
		k.percent(want)
	}
	idle := u.allocated-k.last < 1<<20
	k.last = u.allocated
	if !idle {
		k.busy = true
		return
	}
	if k.busy && u.held > u.live+max(trimAt, u.live/8) {
		k.free()
	}
	k.busy = false
}

// run ticks, now and every second, until ctx ends.
func (k *keeper) run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	k.tick()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			k.tick()
		}
	}
}
