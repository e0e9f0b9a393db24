//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"govn/sim/lab"
)

const twoRouters = "../../docs/examples/two-routers.yaml"

var replyTTL = regexp.MustCompile(`ttl=(\d+)`)

// ttlOf pings once and returns the TTL of the reply, 0 if there was none.
func ttlOf(t *testing.T, l *lab.Lab, from, to string) int {
	t.Helper()
	out, _ := l.Exec(t.Context(), from, "ping", "-n", "-c", "1", "-W", "1", to)
	m := replyTTL.FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Workloads on two hypervisors reach each other, and their router, through one
// distributed router, and through two; each takes one off the TTL. A router's
// own answers begin with 255 and come back through its own routing.
func TestRouterPing(t *testing.T) {
	l := up(t, load(t, twoRouters), lab.ControlGovn)
	for _, tc := range []struct {
		from, to string
		ttl      int
	}{
		{"web1", "10.0.1.1", 254}, {"web1", "10.0.2.1", 254}, {"db1", "fd02::1", 254}, {"db1", "fd01::1", 254},
		{"web1", "10.0.2.21", 63}, {"web1", "10.0.2.22", 63}, {"db1", "10.0.1.11", 63}, {"db2", "10.0.1.11", 63},
		{"web1", "fd02::21", 63}, {"db2", "fd01::11", 63},
	} {
		took := eventually(t, 5*time.Second, fmt.Sprintf("ping %s from %s", tc.to, tc.from), func() (bool, string) {
			got := ttlOf(t, l, tc.from, tc.to)
			return got != 0, "no reply"
		})
		if got := ttlOf(t, l, tc.from, tc.to); got != tc.ttl {
			t.Errorf("%s to %s: TTL %d, want %d", tc.from, tc.to, got, tc.ttl)
		}
		t.Logf("%s to %s after %v", tc.from, tc.to, took.Round(time.Millisecond))
	}
}
