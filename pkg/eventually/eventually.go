package eventually

import "time"

// Deadline is how long a test waits for what has to happen.
const Deadline = 20 * time.Second

// every is the time between two looks.
const every = time.Millisecond

// TB is what both testing.TB and rapid.T offer.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// That returns once ok does so with true. After Deadline the test fails with what it was
// that did not come.
func That(t TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(Deadline)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, Deadline)
		}
		<-tick.C
	}
}
