package daemon

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestKeeper: a small heap may grow by more than half, a large one not; when a
// burst is over, memory is freed once.
func TestKeeper(t *testing.T) {
	const mb = 1 << 20
	var u heapUse
	freed := 0
	k := &keeper{use: func() heapUse { return u }, free: func() { freed++ }, now: gcRunning}
	k.percent = func(p int) { k.now = p }
	for _, step := range []struct {
		live, held, allocated uint64
		percent, freed        int
	}{
		{4 * mb, 6 * mb, 0, 400, 0},                           // idle since the start
		{16 * mb, 40 * mb, 500 * mb, 150, 0},                  // busy
		{17 * mb, 50 * mb, 1500 * mb, 150, 0},                 // still, and about as large
		{20 * mb, 50 * mb, 1500*mb + 100, 120, 1},             // over
		{20 * mb, 50 * mb, 1500*mb + 200, 120, 1},             // freed already
		{600 * mb, 800 * mb, 9000 * mb, gcRunning, 1},         // large and busy
		{600 * mb, 660 * mb, 9000*mb + 300_000, gcRunning, 1}, // little to be had
	} {
		u = heapUse{live: step.live, held: step.held, allocated: step.allocated}
		k.tick()
		if k.now != step.percent || freed != step.freed {
			t.Errorf("%+v: %d %%, freed %d times; want %d %%, %d", u, k.now, freed, step.percent, step.freed)
		}
	}
}

// TestKeeperReads: the runtime has the metrics that it reads.
func TestKeeperReads(t *testing.T) {
	if u := newKeeper().use(); u.allocated == 0 || u.held == 0 {
		t.Errorf("%+v", u)
	}
}

// TestDropProgram: the program goes on after its pages were dropped, and has
// fewer of them.
func TestDropProgram(t *testing.T) {
	file := func() int {
		data, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(line, "RssFile:"); ok {
				n, err := strconv.Atoi(strings.Fields(v)[0])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatal("no RssFile")
		return 0
	}
	before := file()
	dropProgram()
	if after := file(); after >= before {
		t.Errorf("%d KiB of files, %d before", after, before)
	}
}
