package eventually

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a test that notes its failure.
type recorder struct{ failure string }

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	panic(r)
}

// TestThat: it asks until it is so, and no longer than the deadline.
func TestThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var r recorder
		That(&r, "a second", func() bool { return time.Since(start) >= time.Second })
		if took := time.Since(start); took < time.Second || took > time.Second+2*every || r.failure != "" {
			t.Errorf("after %v: %q", took, r.failure)
		}
		start = time.Now()
		func() {
			defer func() { recover() }()
			That(&r, "the moon", func() bool { return false })
		}()
		if took := time.Since(start); took < Deadline || took > Deadline+2*every || r.failure != "the moon: not within 20s" {
			t.Errorf("after %v: %q", took, r.failure)
		}
	})
}
