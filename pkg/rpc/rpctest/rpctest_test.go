package rpctest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// failing is a test that fails.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) { f.said = fmt.Sprintf(format, args...) }

func TestMetric(t *testing.T) {
	r := prometheus.NewRegistry()
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n", Help: "n"}, []string{"by"})
	r.MustRegister(v)
	v.WithLabelValues("a").Add(2)
	v.WithLabelValues("b").Inc()
	if n := Metric(t, r, "n"); n != 3 {
		t.Errorf("%v, want 3", n)
	}
	f := &failing{}
	if Metric(f, r, "other"); !strings.Contains(f.said, `"other"`) {
		t.Errorf("what is not there: %q", f.said)
	}
}
