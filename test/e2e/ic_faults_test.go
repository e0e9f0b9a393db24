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

// TestInterconnectFaults ends what links two zones, renames one, and takes the
// transit switch away, under a ping every 10 ms from one to the other: a zone of
// govn beside one of stock OVN.
func TestInterconnectFaults(t *testing.T) {
	t.Setenv("GOVN_LEASE", testLease.String())
	const g, s = lab.ControlGovn, lab.ControlStock
	w := link(t, linkPlan{server: g, zones: []zonePlan{{g, g}, {s, s}}})
	w.tell("server killed", func() { w.killed("ic", "server") })
	w.tell("agent killed", func() { w.killed("east", "agent") })
	w.tell("zone renamed", w.renamed)
	w.tell("rogue zone", w.rogue)
	w.tell("stock agent gone", w.agentGone)
	w.tell("transit switch deleted", w.transitDeleted)
}

// tell tells a story of its own of an interconnection.
func (w *linked) tell(name string, story func()) {
	whole := w.t
	defer func() { w.t = whole }()
	whole.Run(name, func(t *testing.T) {
		w.t = t
		story()
	})
}

// ping pings from a zone's workload to the other's.
func (w *linked) ping(i int) *pinger {
	w.t.Helper()
	return startPing(w.t, w.Lab, w.zones[i].vm(), w.zones[1-i].vmAddr(), 10*time.Millisecond)
}

// unharmed ends the ping and fails the test if a reply is missing, but for those that
// were on their way at the end: of a machine with much to do that may be several.
func (p *pinger) unharmed(least int) {
	p.t.Helper()
	gone := p.missing()
	sent, received := p.stop()
	if len(gone) > 0 || received < least {
		p.t.Errorf("%d of %d pings answered, want %d or more; lost before the last that was: %v", received, sent, least, gone)
	}
	p.t.Logf("%d of %d pings answered", received, sent)
}

// killed ends a daemon by SIGKILL: no packet is lost; what changes meanwhile, a route
// that comes and one that goes, reaches the other zone when it is back.
func (w *linked) killed(node, daemon string) {
	w.t.Helper()
	const added, removed, gone = "10.90.1.0/24", "10.90.2.0/24", "10.90.3.0/24"
	w.nb(0, "lr-route-add", w.zones[0].router(), gone, w.zones[0].vmAddr())
	w.learns(1, gone, routeLimit)
	p := w.ping(0)
	p.waitReplies(20, 5*time.Second)
	if err := w.Signal(node, daemon, unix.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	w.nb(0, "lr-route-add", w.zones[0].router(), added, w.zones[0].vmAddr())
	w.nb(0, "lr-route-del", w.zones[0].router(), gone)
	p.waitReplies(30, 5*time.Second)
	if out := w.routes(1); strings.Contains(out, added) || !strings.Contains(out, gone) || !strings.Contains(out, w.zones[0].net()) {
		w.t.Errorf("routes of %s while %s of %s is away:\n%s", w.zones[1].name, daemon, node, out)
	}
	if err := w.Start(w.t.Context(), node, daemon); err != nil {
		w.t.Fatal(err)
	}
	// Agents of OVN try again after 1, 2, 4, 8 s.
	w.t.Logf("what changed meanwhile: %v after the start", w.learns(1, added, 15*time.Second))
	w.unlearns(1, gone, routeLimit)
	w.nb(0, "lr-route-del", w.zones[0].router(), added)
	w.unlearns(1, added, routeLimit)
	w.nb(1, "lr-route-add", w.zones[1].router(), removed, w.zones[1].vmAddr())
	w.learns(0, removed, routeLimit)
	w.nb(1, "lr-route-del", w.zones[1].router(), removed)
	w.unlearns(0, removed, routeLimit)
	p.unharmed(50)
}

// renamed gives a zone another name: the other one sees the new one, the rows stay,
// and no packet is lost.
func (w *linked) renamed() {
	w.t.Helper()
	p := w.ping(1)
	p.waitReplies(20, 5*time.Second)
	rows := func() string {
		return normalLines(w.icSbctl("--columns=_uuid,logical_port", "list", "Port_Binding") + w.icSbctl("--columns=_uuid", "list", "Availability_Zone"))
	}
	before := rows()
	for _, name := range []string{"orient", w.zones[0].name} {
		w.nb(0, "set", "NB_Global", ".", "name="+name)
		eventually(w.t, 5*time.Second, "the zone is called "+name, func() (bool, string) {
			out := w.icSbctl("show")
			return strings.Contains(out, "availability-zone "+name), out
		})
		p.waitReplies(50, 5*time.Second)
		w.nb(1, "--wait=hv", "sync")
		if after := rows(); after != before {
			w.t.Errorf("the rows of the zone when it is called %q:\n%s\nbefore:\n%s", name, after, before)
		}
	}
	p.unharmed(100)
}

func normalLines(text string) string {
	return sortedLines(strings.Split(strings.TrimSpace(text), "\n"))
}

// transitDeleted takes the transit switch away under traffic: nothing of it stays
// in a zone of govn, not even a flow. A new one under the same name works.
func (w *linked) transitDeleted() {
	w.t.Helper()
	key := fmt.Sprintf("metadata=%#x", int(w.zones[0].datapathKey(w.t, "ts1")))
	p := w.ping(0)
	p.waitReplies(20, 5*time.Second)
	if flows := w.flowsOf(0); !strings.Contains(flows, key) {
		w.t.Fatalf("no flow with %s before:\n%s", key, flows)
	}
	w.icNbctl("ts-del", "ts1")
	for i, z := range w.zones {
		eventually(w.t, 10*time.Second, z.name+" has no transit switch", func() (bool, string) {
			out := w.nb(i, "ls-list")
			return !strings.Contains(out, "(ts1)"), out
		})
	}
	for i := range w.zones[:2] {
		if w.plan.zones[i].agent == lab.ControlStock {
			continue // ovn-ic 23.03 leaves the routes that it learned
		}
		w.unlearns(i, w.zones[1-i].net(), routeLimit)
	}
	if w.plan.zones[0].control == lab.ControlGovn {
		w.nb(0, "--wait=hv", "sync")
		flows := w.flowsOf(0)
		for _, stale := range []string{key, strings.Replace(key, "metadata=", "tun_id=", 1), "->tun_id,set_field:" + strings.TrimPrefix(key, "metadata=")} {
			if strings.Contains(flows, stale) {
				w.t.Errorf("flows with %s are left:\n%s", stale, flows)
			}
		}
		for _, port := range []string{w.zones[0].onTS(), w.zones[1].onTS()} {
			if out := must(w.t)(w.zones[0].Sbctl(w.t.Context(), "find", "Port_Binding", "logical_port="+port)); out != "" {
				w.t.Errorf("port %s is left:\n%s", port, out)
			}
		}
	}
	sent, received := p.stop()
	if received == sent {
		w.t.Errorf("all of %d pings were answered without a transit switch", sent)
	}
	w.icNbctl("ts-add", "ts1")
	for i, z := range w.zones {
		must(w.t)(z.Nbctl(w.t.Context(), "wait-until", "Logical_Switch", "ts1"))
		for _, line := range z.Zone().Transit[0].Nbctl {
			if strings.HasPrefix(line, "lsp-") { // the router's port is there still
				w.nb(i, words(line)...)
			}
		}
	}
	for i := range w.zones[:2] {
		w.learns(i, w.zones[1-i].net(), 10*time.Second)
		w.nb(i, "--wait=hv", "sync")
	}
	if w.plan.zones[1].control == lab.ControlStock {
		// ovn-controller 23.03 may keep the first key of a port on a transit switch.
		must(w.t)(w.Appctl(w.t.Context(), "gw_"+w.zones[1].name, "controller", "inc-engine/recompute"))
	}
	for i := range w.zones[:2] {
		w.reaches(i, w.zones[1-i].vmAddr())
	}
}

// flowsOf are the flows of all chassis of a zone.
func (w *linked) flowsOf(i int) (all string) {
	w.t.Helper()
	for _, ch := range w.Config().ChassisOf(w.zones[i].name) {
		all += must(w.t)(w.Ofctl(w.t.Context(), ch.Name, "dump-flows", "--no-names"))
	}
	return all
}

// rogue has one zone write rows of another, and new ones in its name, as whoever has
// taken over its machine would: nothing changes, the server says who tried what, and no packet is lost.
func (w *linked) rogue() {
	w.t.Helper()
	p := w.ping(0)
	p.waitReplies(20, 5*time.Second)
	db := fmt.Sprintf("--db=tcp:%v:6646", w.Config().IC.MgmtIP)
	port := strings.TrimSpace(w.icSbctl("--bare", "--columns=_uuid", "find", "Port_Binding", "logical_port="+w.zones[0].onTS()))
	zone := strings.TrimSpace(w.icSbctl("--bare", "--columns=_uuid", "find", "Availability_Zone", "name="+w.zones[0].name))
	routes := strings.Fields(w.icSbctl("--bare", "--columns=_uuid", "find", "Route", "availability_zone="+zone))
	if len(routes) == 0 {
		w.t.Fatal("the zone advertises no routes")
	}
	rows := func() string {
		return normalLines(w.icSbctl("list", "Port_Binding") + w.icSbctl("list", "Route") + w.icSbctl("list", "Gateway") + w.icSbctl("list", "Availability_Zone"))
	}
	before := rows()
	for _, write := range [][]string{
		{"destroy", "Route", routes[0]},
		{"set", "Route", routes[0], "nexthop=169.254.100.66"},
		{"set", "Port_Binding", port, "gateway=gw_" + w.zones[1].name},
		{"destroy", "Port_Binding", port},
		{"set", "Gateway", "gw_" + w.zones[0].name, "hostname=rogue"},
		{"set", "Availability_Zone", zone, "name=rogue"},
		{"create", "Route", "transit_switch=ts1", "availability_zone=" + zone, "ip_prefix=10.66.0.0/24", "nexthop=169.254.100.2", "origin=static"},
		{"create", "Port_Binding", "logical_port=rogue", "transit_switch=ts1", "tunnel_key=66", "availability_zone=" + zone},
		{"--id=@e", "create", "Encap", "type=geneve", "ip=203.0.113.66", "gateway_name=rogue", "--", "create", "Gateway", "name=rogue", "availability_zone=" + zone, "encaps=@e"},
	} {
		out, err := w.Exec(w.t.Context(), w.zones[1].Node(), append([]string{"ovn-ic-sbctl", "--timeout=5", db}, write...)...)
		if err == nil || !strings.Contains(err.Error(), "permission error") {
			w.t.Errorf("%v from %s: want a permission error: %v %s", write, w.zones[1].name, err, out)
		}
	}
	if after := rows(); after != before {
		w.t.Errorf("rows after:\n%s\nbefore:\n%s", after, before)
	}
	log, err := os.ReadFile(filepath.Join(w.Dir(), "ic", "server.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(log), "refused a write") {
		w.t.Errorf("the server's log does not tell of it:\n%s", log)
	}
	p.waitReplies(20, 5*time.Second)
	p.unharmed(40)
}
