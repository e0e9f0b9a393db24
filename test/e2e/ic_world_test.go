//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// linked is an interconnection at work: a centre in a namespace of its own, and
// zones that reach it by TCP over their management networks.
//
//	zone east: br-m ---- centre ---- br-m: zone west      management
//	           br-u ------------------ br-u               tunnels
//
// Agents run in the namespaces of their zones' control planes.
type linked struct {
	t     *testing.T
	plan  linkPlan
	dir   string // sockets and logs of the centre and the agents
	ns    string // of the centre
	zones []*zone

	centre []*program
	agents []*program // one for each zone
}

// linkPlan says who does what.
type linkPlan struct {
	centre lab.Control // stock: two ovsdb-servers; govn: govn ic server
	zones  []zonePlan
	flags  []string // more flags of govn ic server
}

// zonePlan is a zone: east, then west.
type zonePlan struct {
	control lab.Control
	agent   lab.Control // stock: ovn-ic
	flags   []string    // more flags of govn ic agent
}

func (p linkPlan) String() string {
	s := string(p.centre) + "-centre"
	for i, z := range p.zones {
		s += fmt.Sprintf("_%s-%s-by-%s", zoneNames[i], z.control, z.agent)
	}
	return s
}

var zoneNames = []string{"east", "west"}

// Ports of the centre's databases; its namespace is its own.
const (
	icnbPort = 6645
	icsbPort = 6646
)

// centreAddr is the centre's address on the management network of a zone.
func centreAddr(z *zone) string { return fmt.Sprintf("198.18.%d.240", z.number) }

// link brings an interconnection up whose zones' routers reach each other by ts1.
func link(t *testing.T, plan linkPlan) *linked {
	t.Helper()
	dir, err := os.MkdirTemp("", "ic")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // last of all
	w := &linked{t: t, plan: plan, dir: dir, ns: filepath.Base(dir) + "-centre"}
	w.zonesUp()
	join(t, w.zones[0], w.zones[1])
	w.centreUp()
	for i := range w.zones {
		w.agents = append(w.agents, w.agent(i))
		w.agents[i].start()
		// Of two ovn-ic that start at a time the one that loses sleeps until
		// something changes.
		eventually(t, 20*time.Second, "the zone is known", func() (bool, string) {
			out := w.icSbctl("show")
			return strings.Contains(out, "availability-zone "+w.zones[i].name), out
		})
	}
	w.icNbctl("ts-add", "ts1")
	for _, z := range w.zones {
		z.attach(t)
	}
	w.settle()
	return w
}

// zonesUp builds the zones side by side.
func (w *linked) zonesUp() {
	w.t.Helper()
	var g errgroup.Group
	for i, p := range w.plan.zones {
		z := &zone{prepare(w.t, parse(w.t, fmt.Sprintf(zoneLab, zoneNames[i], i+1)), p.control), zoneNames[i], i + 1}
		w.zones = append(w.zones, z)
		g.Go(func() error { return z.Up(w.t.Context()) })
	}
	if err := g.Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// centreUp starts the centre, with a link to each zone's management network.
func (w *linked) centreUp() {
	w.t.Helper()
	ip := func(args ...string) { w.run("ip", args...) }
	ip("netns", "add", w.ns)
	w.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", w.ns).CombinedOutput(); err != nil {
			w.t.Errorf("remove %s: %v\n%s", w.ns, err, out)
		}
	})
	ip("-n", w.ns, "link", "set", "lo", "up")
	for _, z := range w.zones {
		fabric := strings.TrimSpace(must(w.t)(z.Exec(w.t.Context(), "fabric", "ip", "netns", "identify")))
		ip("-n", w.ns, "link", "add", z.name, "type", "veth", "peer", "name", "centre", "netns", fabric)
		ip("-n", w.ns, "addr", "add", centreAddr(z)+"/24", "dev", z.name)
		ip("-n", w.ns, "link", "set", z.name, "up")
		ip("-n", fabric, "link", "set", "centre", "master", "br-m", "up")
	}
	if w.plan.centre == lab.ControlGovn {
		w.centre = append(w.centre, w.program("ic-server", append([]string{govn, "ic", "server", "--data-dir", w.dir, "--unixctl", w.path("ic-server.ctl"),
			"--ic-nb-listen", fmt.Sprintf("punix:%s,ptcp:%d:0.0.0.0", w.path("icnb.sock"), icnbPort),
			"--ic-sb-listen", fmt.Sprintf("punix:%s,ptcp:%d:0.0.0.0", w.path("icsb.sock"), icsbPort)}, w.plan.flags...)...))
	} else {
		for _, db := range []struct {
			name, schema string
			port         int
		}{{"icnb", "ovn-ic-nb", icnbPort}, {"icsb", "ovn-ic-sb", icsbPort}} {
			w.run("ovsdb-tool", "create", w.path(db.name+".db"), "/usr/share/ovn/"+db.schema+".ovsschema")
			w.centre = append(w.centre, w.program(db.name, "ovsdb-server", "-vconsole:off", "--log-file="+w.path(db.name+".log"), "--unixctl="+w.path(db.name+".ctl"),
				"--remote=punix:"+w.path(db.name+".sock"), fmt.Sprintf("--remote=ptcp:%d:0.0.0.0", db.port), w.path(db.name+".db")))
		}
	}
	w.centreStart()
	if w.plan.centre == lab.ControlStock {
		w.icNbctl("init")
		w.icSbctl("init")
	}
}

// centreStart starts the centre's programs and waits until they answer.
func (w *linked) centreStart() {
	w.t.Helper()
	for _, p := range w.centre {
		p.start()
	}
	eventually(w.t, 10*time.Second, "the centre answers", func() (bool, string) {
		for _, db := range []string{"icnb", "icsb"} {
			if out, err := exec.Command("ovsdb-client", "-t", "2", "list-dbs", "unix:"+w.path(db+".sock")).CombinedOutput(); err != nil {
				return false, string(out)
			}
		}
		return true, ""
	})
}

// agent is what joins a zone.
func (w *linked) agent(i int) *program {
	z, p := w.zones[i], w.plan.zones[i]
	nb, sb := fmt.Sprintf("tcp:%s:%d", centreAddr(z), icnbPort), fmt.Sprintf("tcp:%s:%d", centreAddr(z), icsbPort)
	ctl := w.path(z.name + "-agent.ctl")
	argv := []string{"ovn-ic", "-vconsole:off", "--log-file=" + w.path(z.name+"-agent.log"), "--ovnnb-db=" + z.NB(), "--ovnsb-db=" + z.SB(), "--ic-nb-db=" + nb, "--ic-sb-db=" + sb, "--unixctl=" + ctl}
	if p.agent == lab.ControlGovn {
		argv = append([]string{govn, "ic", "agent", "--nb", z.NB(), "--sb", z.SB(), "--ic-nb-db", nb, "--ic-sb-db", sb, "--unixctl", ctl}, p.flags...)
	}
	a := w.program(z.name+"-agent", argv...)
	a.ns = strings.TrimSpace(must(w.t)(z.Exec(w.t.Context(), "central", "ip", "netns", "identify")))
	return a
}

// settle waits until each zone has the other's network, and a ping gets through.
func (w *linked) settle() {
	w.t.Helper()
	for i, z := range w.zones {
		w.learns(i, fmt.Sprintf("192.168.%d.0/24", w.zones[1-i].number), 20*time.Second)
		must(w.t)(z.Nbctl(w.t.Context(), "--wait=hv", "sync"))
	}
	// The first packets find the tunnels' endpoints, as always.
	for i := range w.zones {
		w.reaches(i, w.zones[1-i].vmAddr())
	}
}

// learns waits until the router of a zone has a route, and returns how long it took.
func (w *linked) learns(i int, prefix string, limit time.Duration) time.Duration {
	w.t.Helper()
	return eventually(w.t, limit, w.zones[i].name+" learns "+prefix, func() (bool, string) {
		out := w.routes(i)
		return strings.Contains(out, prefix), out
	})
}

// unlearns waits until the router of a zone has a route no longer.
func (w *linked) unlearns(i int, prefix string, limit time.Duration) time.Duration {
	w.t.Helper()
	return eventually(w.t, limit, w.zones[i].name+" unlearns "+prefix, func() (bool, string) {
		out := w.routes(i)
		return !strings.Contains(out, prefix), out
	})
}

// routes are those of a zone's router.
func (w *linked) routes(i int) string {
	w.t.Helper()
	return must(w.t)(w.zones[i].Nbctl(w.t.Context(), "lr-route-list", "router_"+w.zones[i].name))
}

// reaches waits until a zone's workload gets an answer from an address.
func (w *linked) reaches(i int, addr string) {
	w.t.Helper()
	z := w.zones[i]
	eventually(w.t, 20*time.Second, z.name+" reaches "+addr, func() (bool, string) {
		out, err := z.Exec(w.t.Context(), z.vm(), "ping", "-c", "1", "-W", "1", addr)
		return err == nil, out
	})
}

func (z *zone) vm() string     { return fmt.Sprintf("vm%d", z.number) }
func (z *zone) vmAddr() string { return fmt.Sprintf("192.168.%d.10", z.number) }
func (z *zone) router() string { return "router_" + z.name }

func (w *linked) path(file string) string { return filepath.Join(w.dir, file) }

func (w *linked) icNbctl(args ...string) string {
	w.t.Helper()
	return w.run("ovn-ic-nbctl", append([]string{"--db=unix:" + w.path("icnb.sock")}, args...)...)
}

func (w *linked) icSbctl(args ...string) string {
	w.t.Helper()
	return w.run("ovn-ic-sbctl", append([]string{"--db=unix:" + w.path("icsb.sock")}, args...)...)
}

func (w *linked) run(name string, args ...string) string {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), name, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// cut takes a zone off the centre, or (up) puts it back. The tunnels stay.
func (w *linked) cut(i int, state string) {
	w.t.Helper()
	w.run("ip", "-n", w.ns, "link", "set", w.zones[i].name, state)
}

// program is a program that runs in a namespace until the test ends, and may be
// killed and started again.
type program struct {
	t    *testing.T
	ns   string
	argv []string
	log  string
	cmd  *exec.Cmd
}

func (w *linked) program(name string, argv ...string) *program {
	p := &program{t: w.t, ns: w.ns, argv: argv, log: w.path(name + ".out")}
	w.t.Cleanup(func() {
		if p.cmd != nil {
			p.end(unix.SIGTERM)
		}
		if w.t.Failed() {
			for _, file := range []string{p.log, w.path(name + ".log")} {
				if text, err := os.ReadFile(file); err == nil {
					w.t.Logf("%s:\n%s", strings.Join(p.argv, " "), text[max(0, len(text)-5000):])
				}
			}
		}
	})
	return p
}

func (p *program) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.CommandContext(context.Background(), "ip", append([]string{"netns", "exec", p.ns}, p.argv...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// end ends the program by a signal and waits until it is gone.
func (p *program) end(sig unix.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("%s: %v", p.argv[0], err)
	}
	_ = p.cmd.Wait() // ended by the signal
	p.cmd = nil
}

// pid is the process: ip netns exec becomes the program.
func (p *program) pid() int { return p.cmd.Process.Pid }
