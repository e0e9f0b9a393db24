//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// northZone is a third zone for the lab of the walk-through, on the dummy datapath.
const northZone = `
  - name: north
    chassis:
      - {name: gw_north, datapath: dummy, external-ids: {ovn-is-interconn: "true"}}
    topology:
      nbctl:
        - lr-add router_north
        - lrp-add router_north router_north-net 0a:00:00:00:03:01 192.168.3.1/24
        - set NB_Global . options:ic-route-adv=true options:ic-route-learn=true
    transit:
      - switch: ts1
        nbctl:
          - lrp-add router_north router_north-ts1 0a:00:00:00:ff:03 169.254.100.3/24
          - lrp-set-gateway-chassis router_north-ts1 gw_north
          - lsp-add ts1 ts1-router_north
          - lsp-set-type ts1-router_north router
          - lsp-set-addresses ts1-router_north router
          - lsp-set-options ts1-router_north router-port=router_north-ts1
    learns: [192.168.1.0/24, 192.168.2.0/24]
`

// testLease is the lease of zones in these tests.
const testLease = 3 * time.Second

// TestInterconnectService is what zones of govn get from the interconnection's
// service, and those of OVN do not get from its databases.
func TestInterconnectService(t *testing.T) {
	t.Setenv("GOVN_LEASE", testLease.String())
	text, err := os.ReadFile(interconnect)
	if err != nil {
		t.Fatal(err)
	}
	const g = lab.ControlGovn
	w := linkZones(t, linkPlan{server: g, join: lab.JoinFabric, zones: []zonePlan{{g, g}, {g, g}}}, parse(t, string(text)+northZone))
	w.tell("server killed", func() { w.killed("ic", "server") })
	w.tell("agent killed", func() { w.killed("east", "agent") })
	w.tell("zone renamed", w.renamed)
	w.tell("rogue zone", w.rogue)
	w.tell("partition", w.partitioned)
	w.tell("agent gone", w.agentGone)
	w.tell("conflict", w.conflict)
	w.tell("transit switch deleted", w.transitDeleted)
}

// partitioned cuts a zone off the interconnection for longer than its lease: its
// routes leave the other zones when the lease ends, not before, and come back with
// it. It keeps what it knew of them.
func (w *linked) partitioned() {
	w.t.Helper()
	if err := w.Cut(w.t.Context(), "west", "ic"); err != nil {
		w.t.Fatal(err)
	}
	cut := time.Now()
	p := w.ping(0)
	p.waitReplies(50, 5*time.Second)
	w.unlearns(0, w.zones[1].net(), 3*testLease)
	// The last word of the zone came up to a third of the lease before the cut.
	if took := time.Since(cut); took < testLease/2 {
		w.t.Errorf("the routes left after %v, the lease is %v", took, testLease)
	} else {
		w.t.Logf("the routes left %v after the cut, the lease is %v", took, testLease)
	}
	if out := w.routes(1); !strings.Contains(out, w.zones[0].net()) {
		w.t.Errorf("the zone that is cut off has forgotten the others:\n%s", out)
	}
	if out := w.routes(0); !strings.Contains(out, w.zones[2].net()) {
		w.t.Errorf("with the zone went the routes of another:\n%s", out)
	}
	if err := w.Mend(w.t.Context(), "west", "ic"); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("back after %v", w.learns(0, w.zones[1].net(), 20*time.Second))
	p.waitReplies(50, 10*time.Second)
	p.end()
}

// agentGone ends a zone's agent for longer than the lease.
func (w *linked) agentGone() {
	w.t.Helper()
	if err := w.Signal("west", "agent", unix.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("the routes left after %v", w.unlearns(0, w.zones[1].net(), 3*testLease))
	if err := w.Start(w.t.Context(), "west", "agent"); err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("back after %v", w.learns(0, w.zones[1].net(), 10*time.Second))
	w.reaches(0, w.zones[1].vmAddr())
}

// conflict has two zones advertise one prefix: that of the first one is used, its
// traffic loses nothing, and the other is told as a conflict, until the first one
// withdraws.
func (w *linked) conflict() {
	w.t.Helper()
	const prefix, inside = "10.50.0.0/24", "10.50.0.1"
	conflicts := func(node string) string {
		return must(w.t)(w.Appctl(w.t.Context(), node, "agent", "ic/conflicts"))
	}
	for _, node := range []string{"east", "west", "north"} {
		if out := conflicts(node); strings.Contains(out, prefix) {
			w.t.Fatalf("conflicts of %s before:\n%s", node, out)
		}
	}
	must(w.t)(w.Exec(w.t.Context(), "vm1", "ip", "addr", "add", inside+"/32", "dev", "lo"))
	w.nb(0, "lr-route-add", w.zones[0].router(), prefix, w.zones[0].vmAddr())
	w.learns(1, prefix, routeLimit)
	w.nb(1, "--wait=hv", "sync")
	w.reaches(1, inside)
	p := startPing(w.t, w.Lab, "vm2", inside, 10*time.Millisecond)
	p.waitReplies(20, 5*time.Second)
	w.nb(2, "lr-route-add", w.zones[2].router(), prefix, "192.168.3.10")
	eventually(w.t, routeLimit, "west tells the conflict", func() (bool, string) {
		out := conflicts("west")
		return strings.Contains(out, prefix) && strings.Contains(out, "north"), out
	})
	p.waitReplies(50, 5*time.Second)
	if via := w.nextHops(1, prefix); len(via) != 1 || via[0] != "169.254.100.1" {
		w.t.Errorf("next hops of %s in west: %q, want that of the first zone", prefix, via)
	}
	p.unharmed(70)
	w.t.Logf("conflicts of west:\n%s", conflicts("west"))
	w.nb(0, "lr-route-del", w.zones[0].router(), prefix)
	eventually(w.t, routeLimit, "the other zone's route is used", func() (bool, string) {
		via := w.nextHops(1, prefix)
		return len(via) == 1 && via[0] == "169.254.100.3", strings.Join(via, " ")
	})
	if out := conflicts("west"); strings.Contains(out, prefix) {
		w.t.Errorf("conflicts of west after:\n%s", out)
	}
	w.nb(2, "lr-route-del", w.zones[2].router(), prefix)
	w.unlearns(1, prefix, routeLimit)
}

// nextHops are those of a prefix in a zone's router.
func (w *linked) nextHops(i int, prefix string) (via []string) {
	w.t.Helper()
	for line := range strings.Lines(w.routes(i)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == prefix {
			via = append(via, f[1])
		}
	}
	return via
}
