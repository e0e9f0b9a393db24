package northd

import (
	"os"
	"runtime"
	"runtime/debug"
	gometrics "runtime/metrics"
	"testing"
	"time"
)

// heapGoal is the size at which the next collection begins, in bytes.
func heapGoal() uint64 {
	s := []gometrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	gometrics.Read(s)
	return s[0].Value.Uint64()
}

// TestDeferCollection: while it is on, a collection leaves the goal at the floor;
// afterwards the percentage is that of before.
func TestDeferCollection(t *testing.T) {
	before := debug.SetGCPercent(150)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "150")
	deferCollection(1 << 30)()
	if now := debug.SetGCPercent(150); now != 150 {
		t.Errorf("the operator's GOGC became %d", now)
	}
}

// TestDeferCollectionGoal is about a process whose operator did not choose.
func TestDeferCollectionGoal(t *testing.T) {
	t.Setenv("GOGC", "") // to have it restored
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	before := debug.SetGCPercent(150)
	defer debug.SetGCPercent(before)
	const floor = 256 << 20
	end := deferCollection(floor)
	for range 3 {
		runtime.GC()
		for deadline := time.Now().Add(2 * time.Second); heapGoal() < floor*8/10 || heapGoal() > floor*12/10; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("after a collection the goal is %d, not about %d", heapGoal(), floor)
			}
		}
	}
	end()
	end()
	runtime.GC()
	if now := debug.SetGCPercent(150); now != 150 {
		t.Errorf("afterwards the percentage is %d, it was 150", now)
	}
}
