//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

const neighbourPing = 20 * time.Millisecond

// What a router learned survives the end of every daemon: packets go on to the
// next hop, and nobody asks for it again. Without northd and without the
// controller no ping is lost; without Open vSwitch those that were sent meanwhile.
func TestNeighboursSurviveRestarts(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	for _, to := range []string{"10.0.2.21", "fd02::21"} {
		must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-n", "-c", "2", "-i", "0.1", "-w", "5", to))
	}
	eventually(t, 5*time.Second, "both rows", func() (bool, string) {
		got := macBindings(t, l)
		return strings.Contains(got, "10.0.2.21") && strings.Contains(got, "fd02::21"), got
	})
	rows := must(t)(l.Sbctl(t.Context(), "--columns=_uuid,logical_port,ip,mac,timestamp", "list", "MAC_Binding"))
	for _, hv := range []string{"hv1", "hv2"} {
		eventually(t, 5*time.Second, "flows on "+hv, func() (bool, string) {
			got := neighbourFlows(t, l, hv)
			return strings.Count(got, "50:54:00:00:02:21->eth_dst") == 2, got
		})
	}
	kill := func(node, daemon string) {
		t.Helper()
		if err := l.Signal(node, daemon, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	start := func(node, daemon string) {
		t.Helper()
		if err := l.Start(t.Context(), node, daemon); err != nil {
			t.Fatal(err)
		}
	}
	// The state goes to disk some seconds after it changed.
	cached := func() {
		t.Helper()
		eventually(t, 20*time.Second, "the state of hv1 on disk", func() (bool, string) {
			files, err := filepath.Glob(filepath.Join(l.Dir(), "hv1", "cache", "*"))
			return len(files) > 0, fmt.Sprint(files, err)
		})
	}
	for _, tc := range []struct {
		what   string
		least  int           // replies while the daemon is away
		outage time.Duration // that is allowed
		away   func()
		back   func()
	}{
		{"northd", 30, 0, func() { kill("central", "northd") }, func() { start("central", "northd") }},
		{"controller of the sender", 30, 0, func() { kill("hv1", "controller") }, func() { start("hv1", "controller") }},
		{"controller of the sender, without its cache", 30, 0, func() { kill("hv1", "controller") }, func() {
			if err := os.RemoveAll(filepath.Join(l.Dir(), "hv1", "cache")); err != nil {
				t.Fatal(err)
			}
			start("hv1", "controller")
		}},
		{"northd and both controllers", 30, 0, func() { kill("central", "northd"); kill("hv1", "controller"); kill("hv2", "controller") },
			func() { start("hv1", "controller"); start("hv2", "controller"); start("central", "northd") }},
		{"Open vSwitch of the sender", 0, 2 * time.Second, func() { kill("hv1", "vswitchd") }, func() { start("hv1", "vswitchd") }},
		{"Open vSwitch and the controller of the sender, without northd", 0, 3 * time.Second,
			func() { cached(); kill("central", "northd"); kill("hv1", "controller"); kill("hv1", "vswitchd") },
			func() { start("hv1", "vswitchd"); start("hv1", "controller") }},
	} {
		asked := capture(t, l, "out1", "ether broadcast and arp[24:4] == 0x0a000215 and arp[6:2] == 1 or dst host ff02::1:ff00:21")
		pings := map[string]*pinger{}
		for _, to := range []string{"10.0.2.21", "fd02::21"} {
			pings[to] = startPing(t, l, "vm1", to, neighbourPing)
			pings[to].waitReplies(5, 5*time.Second)
		}
		tc.away()
		for _, p := range pings {
			p.waitReplies(tc.least, 10*time.Second)
		}
		tc.back()
		for to, p := range pings {
			p.waitReplies(30, 10*time.Second)
			gone := p.missing()
			t.Logf("%s, to %s: %d pings lost, one every %v", tc.what, to, len(gone), neighbourPing)
			if len(gone) > int(tc.outage/neighbourPing) {
				t.Errorf("%s: %d pings to %s lost, %v allowed: %s", tc.what, len(gone), to, tc.outage, strings.Join(gone, " "))
			}
		}
		stop(t, asked)
		if n := count(t, asked, ""); n > 0 {
			t.Errorf("%s: the router asked %d times for what it knew:\n%s", tc.what, n, must(t)(asked.Text(t.Context(), "-e")))
		}
		for _, hv := range []string{"hv1", "hv2"} {
			if got := neighbourFlows(t, l, hv); strings.Count(got, "50:54:00:00:02:21->eth_dst") != 2 {
				t.Errorf("%s: flows of %s:\n%s", tc.what, hv, got)
			}
		}
	}
	start("central", "northd")
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	if got := must(t)(l.Sbctl(t.Context(), "--columns=_uuid,logical_port,ip,mac,timestamp", "list", "MAC_Binding")); normalOrder(got) != normalOrder(rows) {
		t.Errorf("MAC_Binding after all:\n%s\nbefore:\n%s", got, rows)
	}
}
