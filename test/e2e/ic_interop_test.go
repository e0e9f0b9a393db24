//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/sim/lab"
)

// TestInterconnect walks through two zones, west and east: first with nothing but
// stock OVN, then with zones, agents and centres of both. Packets get across in the
// same way each time, and the databases show the same.
func TestInterconnect(t *testing.T) {
	const g, s = lab.ControlGovn, lab.ControlStock
	var want map[string]string
	for _, plan := range []linkPlan{
		allOf(s),
		{server: g, zones: []zonePlan{{g, g}, {s, s}}},
		{server: s, zones: []zonePlan{{g, g}, {s, s}}},
		{server: g, zones: []zonePlan{{g, s}, {s, g}}},
		{server: g, join: lab.JoinFabric, zones: []zonePlan{{g, g}, {g, g}}},
		{server: g, join: lab.JoinFabric, zones: []zonePlan{{g, g}, {s, s}}},
	} {
		t.Run(plan.String(), func(t *testing.T) {
			w := link(t, plan)
			w.isWhatItSays()
			got := w.shows()
			if want == nil { // stock comes first
				want = got
				for _, what := range sortedNames(got) {
					t.Logf("%s:\n%s", what, got[what])
				}
			}
			for _, what := range sortedNames(got) {
				if diff := cmp.Diff(want[what], got[what]); diff != "" {
					t.Errorf("%s: (-stock +this)\n%s", what, diff)
				}
			}
			w.hops()
			w.transfers()
			w.errorsCross()
			for i := range w.zones {
				w.routesCross(i)
			}
		})
	}
}

func sortedNames[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// isWhatItSays makes sure that the daemons are those of the plan: the programs
// that run, and the versions that they tell.
func (w *linked) isWhatItSays() {
	w.t.Helper()
	const ovn, ovs = "23.03", "3.1"
	check := func(what string, pid int, ctl string, c lab.Control, program, version string) {
		w.t.Helper()
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil {
			w.t.Errorf("%s: %v", what, err)
			return
		}
		if c == lab.ControlGovn {
			if exe != govn {
				w.t.Errorf("%s is %s, want %s", what, exe, govn)
			}
			return
		}
		if filepath.Base(exe) != program {
			w.t.Errorf("%s is %s, want %s", what, exe, program)
		}
		out, err := exec.CommandContext(w.t.Context(), "ovs-appctl", "-t", ctl, "version").CombinedOutput()
		if !regexp.MustCompile(`^`+program+`(?: \(Open vSwitch\))? `+regexp.QuoteMeta(version)).Match(out) || err != nil {
			w.t.Errorf("%s: want %s %s: %v: %s", what, program, version, err, out)
		}
	}
	ofNode := func(node, daemon string, c lab.Control, program, version string) {
		w.t.Helper()
		check(daemon+" of "+node, w.Pid(node, daemon), w.ControlSocket(node, daemon), c, program, version)
	}
	for i, z := range w.zones {
		c := w.plan.zones[i].control
		ofNode(z.Node(), "northd", c, "ovn-northd", ovn)
		ofNode(z.Node(), "agent", w.plan.zones[i].agent, "ovn-ic", ovn)
		argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.Pid(z.Node(), "agent")))
		if fabric := strings.Contains(string(argv), "\x00--ic\x00"); err != nil || fabric != (w.plan.join == lab.JoinFabric && w.plan.zones[i].agent == lab.ControlGovn) {
			w.t.Errorf("%s joins by %q: %v", z.name, argv, err)
		}
		if c == lab.ControlStock {
			ofNode(z.Node(), "nb", c, "ovsdb-server", ovs)
			ofNode(z.Node(), "sb", c, "ovsdb-server", ovs)
		}
		for _, ch := range w.Config().ChassisOf(z.name) {
			ofNode(ch.Name, "controller", c, "ovn-controller", ovn)
		}
	}
	if w.plan.server == lab.ControlStock {
		ofNode("ic", "icnb", lab.ControlStock, "ovsdb-server", ovs)
		ofNode("ic", "icsb", lab.ControlStock, "ovsdb-server", ovs)
	} else {
		ofNode("ic", "server", lab.ControlGovn, "", "")
	}
}

// shows is what the databases show, without identities and as trees: a line for
// each leaf, below all that it is in, sorted.
func (w *linked) shows() map[string]string {
	w.t.Helper()
	all := map[string]string{"IC northbound": tree(w.icNbctl("show")), "IC southbound": tree(w.icSbctl("show"))}
	for i, z := range w.zones {
		// Ports come up when their chassis say so, which sync does not wait for.
		eventually(w.t, 10*time.Second, z.name+" has its remote ports bound", func() (bool, string) {
			out := must(w.t)(z.Sbctl(w.t.Context(), "show"))
			return strings.Contains(out, w.zones[1-i].onTS()), out
		})
		all[z.name+" northbound"] = tree(w.nb(i, "show"))
		all[z.name+" southbound"] = tree(must(w.t)(z.Sbctl(w.t.Context(), "show")))
		all[z.name+" routes"] = tree(w.routes(i))
	}
	return all
}

// tree has a line for each line of an indented text, with those that it is below.
func tree(text string) string {
	type level struct {
		indent int
		text   string
	}
	var above []level
	var lines []string
	for line := range strings.Lines(uuidRE.ReplaceAllString(text, "UUID")) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		said := strings.TrimSpace(line)
		if said == "" {
			continue
		}
		for len(above) > 0 && above[len(above)-1].indent >= indent {
			above = above[:len(above)-1]
		}
		path := ""
		for _, l := range above {
			path += l.text + " / "
		}
		lines = append(lines, path+strings.Join(strings.Fields(said), " "))
		above = append(above, level{indent, said})
	}
	return sortedLines(lines)
}

// transfers sends much by TCP, both ways.
func (w *linked) transfers() {
	w.t.Helper()
	const size = 8 << 20
	for i, z := range w.zones {
		took := stream(w.t, w.Lab, z.vm(), w.zones[1-i].vm(), w.zones[1-i].vmAddr(), size)
		w.t.Logf("%d MiB from %s by TCP: %.0f Mbit/s", size>>20, z.name, size*8/took.Seconds()/1e6)
	}
}

// errorsCross follows the way by ICMP errors: "time exceeded" from each router, then
// "port unreachable" from the other zone's workload. A router's distributed gateway
// port sends its errors in the name of the destination (ovn-northd(8), "IP Input").
func (w *linked) errorsCross() {
	w.t.Helper()
	for i, z := range w.zones {
		other := w.zones[1-i]
		way := []string{fmt.Sprintf("192.168.%d.1", z.number), other.vmAddr(), other.vmAddr()}
		out := must(w.t)(w.Exec(w.t.Context(), z.vm(), "traceroute", "-n", "-q", "1", "-w", "3", "-m", "5", other.vmAddr()))
		var hops []string
		for _, m := range regexp.MustCompile(`(?m)^ *\d+  (\S+)`).FindAllStringSubmatch(out, -1) {
			hops = append(hops, m[1])
		}
		if !slices.Equal(hops, way) {
			w.t.Errorf("traceroute from %s: want %v:\n%s", z.name, way, out)
		}
	}
}

// routeLimit is how long a route may take from one zone to the other; it is
// milliseconds when nothing else runs.
const routeLimit = 5 * time.Second

// routesCross has a static and a connected route of a zone appear in the other one,
// used, and gone again.
func (w *linked) routesCross(i int) {
	w.t.Helper()
	z, j := w.zones[i], 1-i
	inside := fmt.Sprintf("10.70.%d.1", z.number)
	prefix, network := fmt.Sprintf("10.70.%d.0/24", z.number), fmt.Sprintf("10.80.%d.0/24", z.number)
	must(w.t)(w.Exec(w.t.Context(), z.vm(), "ip", "addr", "add", inside+"/32", "dev", "lo"))
	w.nb(i, "lr-route-add", z.router(), prefix, z.vmAddr())
	static := w.learns(j, prefix, routeLimit)
	w.nb(i, "lrp-add", z.router(), "more", "0a:00:00:00:00:77", fmt.Sprintf("10.80.%d.1/24", z.number))
	connected := w.learns(j, network, routeLimit)
	w.reaches(j, inside)
	w.reaches(j, fmt.Sprintf("10.80.%d.1", z.number)) // the router itself answers
	w.nb(i, "lr-route-del", z.router(), prefix)
	w.nb(i, "lrp-del", "more")
	gone := max(w.unlearns(j, prefix, routeLimit), w.unlearns(j, network, routeLimit))
	w.nb(j, "--wait=hv", "sync")
	if out, err := w.Exec(w.t.Context(), w.zones[j].vm(), "ping", "-c", "1", "-W", "0.3", inside); err == nil {
		w.t.Errorf("%s is reached without a route:\n%s", inside, out)
	}
	w.t.Logf("a route of %s in the other zone: static %v, connected %v; gone %v", z.name, static, connected, gone)
}
