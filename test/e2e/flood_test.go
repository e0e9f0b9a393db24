//go:build e2e

package e2e

import (
	"context"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"govn/sim/lab"
)

// number finds a number in what a daemon says.
func number(t *testing.T, text, pattern string) int {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A workload floods the controller with packets to a next hop that is not there.
// Flows are programmed meanwhile as ever, another workload reaches an unknown next
// hop, what is held stays within its bounds, and the
// counters name the cause.
func TestPuntFlood(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "lsp-add", "in", "vm2", "--", "lsp-set-addresses", "vm2", "50:54:00:00:01:12 10.0.1.12")
	w := lab.Workload{Name: "vm2", Chassis: "hv1", MAC: "50:54:00:00:01:12",
		IPs: []netip.Prefix{netip.MustParsePrefix("10.0.1.12/24")}, Gateways: []netip.Addr{netip.MustParseAddr("10.0.1.1")}}
	if err := l.Attach(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	nbctl(t, l, "wait-until", "logical_switch_port", "vm2", "up=true")

	flood, err := l.Command(context.Background(), "vm1", "ping", "-q", "-n", "-f", "-i", "0", "-l", "60000", "-w", "20", "10.0.2.200")
	if err != nil {
		t.Fatal(err)
	}
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = flood.Process.Kill()
		_ = flood.Wait() // it was killed
	}()
	punts := func() string { return must(t)(l.Appctl(t.Context(), "hv1", "controller", "debug/punts")) }
	eventually(t, 10*time.Second, "packets over the limit", func() (bool, string) {
		got := punts()
		return number(t, got, `arp: taken \d+, malformed 0, limited (\d+)`) > 100, got
	})
	// Open vSwitch itself may drop what it has no time for, before the controller
	// sees it, as long as the way is not known: the first few.
	out, err := l.Exec(t.Context(), "vm2", "ping", "-n", "-c", "20", "-i", "0.1", "-W", "2", "10.0.2.21")
	if err != nil || number(t, out, `(\d+) received`) < 15 {
		t.Errorf("ping of another workload: %v\n%s", err, out)
	}
	var worst time.Duration
	for range 5 {
		began := time.Now()
		nbctl(t, l, "--wait=hv", "lsp-add", "in", "p"+strconv.FormatInt(began.UnixNano(), 36))
		worst = max(worst, time.Since(began))
	}
	if worst > 2*time.Second {
		t.Errorf("a port took %v during the flood", worst)
	}
	got := punts()
	if held := number(t, got, `packets held: (\d+)`); held > 16+4 {
		t.Errorf("%d packets are held", held)
	}
	t.Logf("worst lsp-add --wait=hv during the flood %v\n%s", worst.Round(time.Millisecond), got)
}
