//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// threeHypervisors has what the faults need: two workloads that ping each
// other, one to unplug, and a hypervisor to lose.
const threeHypervisors = `
name: faults
chassis: [{name: hv1}, {name: hv2}, {name: hv3}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: vm3, chassis: hv1, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
  - {name: vm4, chassis: hv3, mac: "50:54:00:00:00:04", ip: 10.0.0.14/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"], port-security: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
        - {name: vm3, addresses: ["50:54:00:00:00:03 10.0.0.13"], unknown: true}
        - {name: vm4, addresses: ["50:54:00:00:00:04 10.0.0.14"]}
    - name: sw1
      ports:
        - {name: other, addresses: ["50:54:00:00:00:05 10.1.0.15"]}
`

const pingInterval = 100 * time.Millisecond

// grown checks flows across an outage: each that is in both dumps has been there
// longer than the outage lasted, and its counters have not fallen.
func grown(t *testing.T, chassis string, before, after map[string]flow, outage time.Duration) {
	t.Helper()
	survived := 0
	var bad []string
	for id, b := range before {
		a, ok := after[id]
		if !ok {
			continue
		}
		survived++
		if a.duration < outage.Seconds() || a.duration < b.duration {
			bad = append(bad, fmt.Sprintf("%.1f s old: installed anew: %s", a.duration, id))
		}
		if a.packets < b.packets {
			bad = append(bad, fmt.Sprintf("counter fell from %d to %d: %s", b.packets, a.packets, id))
		}
		if a.cookie != b.cookie {
			bad = append(bad, fmt.Sprintf("cookie changed from %s to %s: %s", b.cookie, a.cookie, id))
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		const most = 10
		t.Errorf("%s: %d findings about surviving flows after an outage of %.1f s:\n%s", chassis, len(bad), outage.Seconds(), strings.Join(bad[:min(most, len(bad))], "\n"))
	}
	if survived == 0 {
		t.Errorf("%s: no flow survived", chassis)
	}
	t.Logf("%s: %d of %d flows survived an outage of %v", chassis, survived, len(before), outage.Round(time.Millisecond))
}

// databases dumps the northbound and southbound databases, less what tells the
// time.
func databases(t *testing.T, l *lab.Lab) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{"Logical_Switch", "Logical_Switch_Port", "NB_Global"} {
		b.WriteString(must(t)(l.Nbctl(t.Context(), "list", table)))
	}
	for _, table := range []string{"Datapath_Binding", "Port_Binding", "Multicast_Group", "Chassis", "Encap", "FDB", "Logical_Flow"} {
		b.WriteString(must(t)(l.Sbctl(t.Context(), "list", table)))
	}
	var keep []string
	for line := range strings.Lines(b.String()) {
		if !strings.Contains(line, "_cfg") && !strings.Contains(line, "connection") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "")
}

// northd is killed and started again: no packet is lost, no flow is touched,
// and keys and databases are what they were.
func TestFaultNorthd(t *testing.T) {
	l := up(t, parse(t, threeHypervisors), lab.ControlGovn)
	beforeDB, before1, before2 := databases(t, l), flows(t, l, "hv1"), flows(t, l, "hv2")
	start := time.Now()
	p := startPing(t, l, "vm1", "10.0.0.12", pingInterval)
	p.waitReplies(5, 5*time.Second)
	if err := l.Signal("central", "northd", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.waitReplies(15, 5*time.Second)
	if err := l.Start(t.Context(), "central", "northd"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	p.waitReplies(5, 5*time.Second)
	p.noLoss(25)
	if after := databases(t, l); normalOrder(after) != normalOrder(beforeDB) {
		t.Errorf("the databases changed from\n%s\nto\n%s", normalOrder(beforeDB), normalOrder(after))
	}
	for chassis, before := range map[string]map[string]flow{"hv1": before1, "hv2": before2} {
		after := flows(t, l, chassis)
		sameFlows(t, chassis+" after a restart of northd", after, before)
		grown(t, chassis, before, after, time.Since(start))
	}
	// It works, and does not merely stand there.
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "lsp-add", "sw1", "later", "--", "lsp-set-addresses", "later", "50:54:00:00:00:06 10.1.0.16"))
	if got := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "get", "Port_Binding", "later", "tunnel_key"))); got != "2" {
		t.Errorf("the key of the next port of sw1 is %s, not 2", got)
	}
}

// normalOrder sorts lines and keeps UUIDs: they must not change.
func normalOrder(text string) string {
	lines := strings.Split(text, "\n")
	return sortedLines(lines)
}

// A controller is killed, and the world changes while it is away: no packet is
// lost, flows that stay are not touched, and after the start the flows are those
// of a fresh chassis.
func TestFaultController(t *testing.T) {
	l := up(t, parse(t, threeHypervisors), lab.ControlGovn)
	p := startPing(t, l, "vm1", "10.0.0.12", pingInterval)
	p.waitReplies(5, 5*time.Second)
	before := flows(t, l, "hv1")
	outage := time.Now()
	if err := l.Signal("hv1", "controller", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A port is unplugged, a remote chassis goes, the topology changes.
	if err := l.Detach(t.Context(), "vm3"); err != nil {
		t.Fatal(err)
	}
	if err := l.Detach(t.Context(), "vm4"); err != nil {
		t.Fatal(err)
	}
	if err := l.RemoveChassis(t.Context(), "hv3"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Sbctl(t.Context(), "chassis-del", "hv3"))
	must(t)(l.Nbctl(t.Context(), "--wait=sb",
		"lsp-del", "vm4", "--",
		"lsp-add", "sw0", "vm5", "--", "lsp-set-addresses", "vm5", "50:54:00:00:00:05 10.0.0.15", "--",
		"lsp-set-addresses", "vm2", "50:54:00:00:00:02 10.0.0.12 fd00::12", "--",
		"ls-del", "sw1"))
	p.waitReplies(15, 5*time.Second)
	if err := l.Start(t.Context(), "hv1", "controller"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	took := time.Since(outage)
	p.waitReplies(10, 5*time.Second)
	after, afterGroups := flows(t, l, "hv1"), groups(t, l, "hv1")
	p.noLoss(30)
	grown(t, "hv1", before, after, took)
	gone := 0
	for id := range before {
		if _, ok := after[id]; !ok {
			gone++
		}
	}
	if gone == 0 {
		t.Error("no flow is gone: the changes made no difference")
	}

	// A fresh chassis: the same ports, nothing installed, nothing remembered.
	if err := l.Signal("hv1", "controller", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Ofctl(t.Context(), "hv1", "del-flows"))
	must(t)(l.Ofctl(t.Context(), "hv1", "del-groups"))
	if err := os.RemoveAll(filepath.Join(l.Dir(), "hv1", "cache")); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "hv1", "controller"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	sameFlows(t, "hv1 after the controller's absence (want: a fresh chassis)", after, flows(t, l, "hv1"))
	if fresh := groups(t, l, "hv1"); fresh != afterGroups {
		t.Errorf("groups after the controller's absence:\n%s\nof a fresh chassis:\n%s", afterGroups, fresh)
	}
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-w", "5", "10.0.0.12"))
}

// ovs-vswitchd is killed and started: traffic flows again within two seconds,
// with the same flows.
func TestFaultVswitchd(t *testing.T) {
	l := up(t, parse(t, threeHypervisors), lab.ControlGovn)
	before, beforeGroups := flows(t, l, "hv1"), groups(t, l, "hv1")
	p := startPing(t, l, "vm1", "10.0.0.12", pingInterval)
	p.waitReplies(5, 5*time.Second)
	if err := l.Signal("hv1", "vswitchd", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "hv1", "vswitchd"); err != nil {
		t.Fatal(err)
	}
	took := p.waitReplies(1, 10*time.Second)
	t.Logf("traffic %v after the start", took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("traffic %v after the start, 2 s at most expected", took)
	}
	p.waitReplies(10, 5*time.Second)
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	sameFlows(t, "hv1 after a restart of vswitchd", flows(t, l, "hv1"), before)
	if after := groups(t, l, "hv1"); after != beforeGroups {
		t.Errorf("groups:\n%s\nbefore:\n%s", after, beforeGroups)
	}
}
