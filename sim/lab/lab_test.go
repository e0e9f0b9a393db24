package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// labs is the directory for the run directories of all labs of the tests.
var labs string

func TestMain(m *testing.M) {
	os.Exit(Guarded("lt", func(dir string) (status int) {
		if file := os.Getenv(guardedEnv); file != "" {
			os.Exit(exitStatus(guardedMain(dir, file)))
		}
		labs = dir
		goleak.VerifyTestMain(m, goleak.Cleanup(func(s int) { status = s }))
		return status
	}))
}

// testLab loads a lab file under a name and directory of its own, and makes
// sure that nothing of it is left.
func testLab(t *testing.T, path string) *Lab {
	t.Helper()
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(labs, "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(cfg, Options{
		Name: filepath.Base(labs) + "-" + filepath.Base(dir), Control: ControlStock,
		Dir: filepath.Join(dir, "run"), Timeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustExec(t *testing.T, l *Lab, node string, argv ...string) string {
	t.Helper()
	out, err := l.Exec(t.Context(), node, argv...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", node, err, out)
	}
	return out
}

// The life of a lab: up, packets with the right Geneve option, every daemon
// reported, a daemon killed and started, down with nothing left.
func TestStockLab(t *testing.T) {
	l := testLab(t, "../../docs/examples/two-hypervisors.yaml")
	if err := l.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Up(t.Context()); !errors.Is(err, ErrExists) {
		t.Errorf("second Up: %v, want ErrExists", err)
	}
	wire, err := l.Capture(t.Context(), "hv1", "underlay", "udp port 6081")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, l, "vm1", "ping", "-c", "2", "-i", "0.2", "-w", "5", "10.0.0.12")
	if err := wire.Stop(); err != nil {
		t.Fatal(err)
	}
	text, err := wire.Text(t.Context(), "-vvv")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"vni 0x1", "class Open Virtual Networking (OVN) (0x102) type 0x80(C) len 8", "10.0.0.11 > 10.0.0.12: ICMP echo request"} {
		if !strings.Contains(text, want) {
			t.Errorf("capture has no %q:\n%s", want, text)
		}
	}

	st, err := l.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range st.Nodes {
		if !n.OK {
			t.Errorf("node %q is not well: %+v", n.Node, n)
		}
	}

	if err := l.Signal("hv1", "vswitchd", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := l.Signal("hv1", "vswitchd", unix.SIGKILL); !errors.Is(err, ErrNotRunning) {
		t.Errorf("second kill: %v, want ErrNotRunning", err)
	}
	if err := l.Start(t.Context(), "hv1", "vswitchd"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, l, "vm1", "ping", "-c", "1", "-w", "15", "10.0.0.12")

	// Another process finds the lab by its run directory.
	again, err := New(l.cfg, Options{Name: l.cfg.Name, Dir: l.dir})
	if err != nil {
		t.Fatal(err)
	}
	namespaces := append([]string{}, l.namespaces...)
	mustExec(t, again, "vm2", "sh", "-c", "sleep 600 >/dev/null 2>&1 &")
	if err := again.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces {
		if nsExists(ns) {
			t.Errorf("namespace %q is left", ns)
		}
	}
	if pids, err := daemonsIn(l.dir); err != nil || len(pids) > 0 {
		t.Errorf("daemons left: %v (%v)", pids, err)
	}
	if _, err := os.Stat(l.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("run directory is left: %v", err)
	}
	if err := again.Down(t.Context()); err != nil {
		t.Errorf("second Down: %v", err)
	}
}

// Attach, Detach, AddChassis and RemoveChassis on dummy chassis, where a trace
// shows the tunnel.
func TestDummyLab(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dummy.yaml")
	write(t, path, `
name: dummy
control: stock
chassis: [{name: hv1, datapath: dummy}, {name: hv2, datapath: dummy}]
workloads:
  - {name: a, chassis: hv1, mac: "0a:00:00:00:00:01"}
  - {name: b, chassis: hv2, mac: "0a:00:00:00:00:02"}
topology:
  switches:
    - {name: sw0, ports: [{name: a, addresses: ["0a:00:00:00:00:01 10.0.0.1"]}, {name: b, addresses: ["0a:00:00:00:00:02 10.0.0.2"]}]}
  nbctl:
    - lsp-add sw0 c -- lsp-set-addresses c "0a:00:00:00:00:03 10.0.0.3"
`)
	l := testLab(t, path)
	if err := l.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.AddChassis(t.Context(), Chassis{Name: "hv3", EncapIP: hostAddr(l.cfg.Underlay.Subnet, 3), Datapath: DatapathDummy}); err != nil {
		t.Fatal(err)
	}
	if err := l.Attach(t.Context(), Workload{Name: "c", Chassis: "hv3", MAC: "0a:00:00:00:00:03"}); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dst := range []string{"02", "03"} {
		out, err := l.Appctl(t.Context(), "hv1", "vswitchd", "ofproto/trace", "br-int",
			"in_port="+l.PortName("a")+",dl_src=0a:00:00:00:00:01,dl_dst=0a:00:00:00:00:"+dst)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out, "tnl_push(") || !strings.Contains(out, "class=0x102,type=0x80,len=4") {
			t.Errorf("no tunnel header towards %s:\n%s", dst, out)
		}
	}
	if err := l.RemoveChassis(t.Context(), "hv3"); err == nil {
		t.Error("a chassis with a workload was removed")
	}
	if err := l.Detach(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if err := l.RemoveChassis(t.Context(), "hv3"); err != nil {
		t.Fatal(err)
	}
}

// A lab with zones: packets from zone to zone, tools for each, and zones that are
// cut off from what joins them.
func TestZones(t *testing.T) {
	l := testLab(t, "../../docs/examples/interconnect.yaml")
	if err := l.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := mustExec(t, l, "vm1", "ping", "-c", "2", "-i", "0.2", "-w", "5", "192.168.2.10"); strings.Count(out, "ttl=62") != 2 {
		t.Errorf("ping from zone to zone:\n%s", out)
	}
	for node, router := range map[string]string{"east": "router_east", "east/vm1": "router_east", "gw_west": "router_west"} {
		if out := mustExec(t, l, node, "ovn-nbctl", "lr-list"); !strings.Contains(out, "("+router+")") {
			t.Errorf("routers of %s: %s", node, out)
		}
	}
	if out := mustExec(t, l, "ic", "ovn-ic-sbctl", "show"); !strings.Contains(out, "availability-zone west") {
		t.Errorf("interconnection: %s", out)
	}
	if _, err := l.Exec(t.Context(), "west/vm1", "true"); !errors.Is(err, ErrNoNode) {
		t.Errorf("a workload of another zone: %v, want ErrNoNode", err)
	}
	if _, err := l.Nbctl(t.Context(), "show"); !errors.Is(err, ErrNoZone) {
		t.Errorf("a database without a zone: %v, want ErrNoZone", err)
	}
	out, err := l.Central("west").Trace(t.Context(), "--minimal", "net_west",
		`inport == "vm2" && eth.src == 0a:00:00:00:02:10 && eth.dst == 0a:00:00:00:02:01 && ip4.src == 192.168.2.10 && ip4.dst == 192.168.1.10 && ip.ttl == 64`)
	if err != nil || !strings.Contains(out, "ts1-router_east") {
		t.Errorf("trace in zone west: %v\n%s", err, out)
	}
	st, err := l.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range st.Nodes {
		if !n.OK || n.Node == "gw_west" && n.Zone != "west" {
			t.Errorf("node %q is not well: %+v", n.Node, n)
		}
	}

	reaches := func() bool {
		_, err := l.Exec(t.Context(), "west", "ping", "-c", "1", "-W", "1", l.cfg.IC.MgmtIP.String())
		return err == nil
	}
	if err := l.Cut(t.Context(), "west", "ic"); err != nil || reaches() {
		t.Errorf("west is cut off (%v) and reaches the interconnection", err)
	}
	if err := l.Mend(t.Context(), "west", "ic"); err != nil || !reaches() {
		t.Errorf("west is connected again (%v) and does not reach the interconnection", err)
	}
	if err := l.Signal("west", "agent", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "west", "agent"); err != nil || l.Pid("west", "agent") == 0 {
		t.Errorf("the agent of west does not start again: %v", err)
	}
}

// A lab that cannot be built leaves nothing but its logs.
func TestFailedUpCleansUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, path, `
name: bad
control: stock
chassis: [{name: hv1}]
topology: {nbctl: ["ls-add sw0", "lsp-add no-such-switch p"]}
`)
	l := testLab(t, path)
	err := l.Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), "topology.nbctl[1]") || !strings.Contains(err.Error(), "no-such-switch") {
		t.Fatalf("Up: %v, want an error that names topology.nbctl[1]", err)
	}
	for _, node := range []string{"fabric", "central", "hv1"} {
		if ns := l.ns(node); nsExists(ns) {
			t.Errorf("namespace %q is left", ns)
		}
	}
	if pids, err := daemonsIn(l.dir); err != nil || len(pids) > 0 {
		t.Errorf("daemons left: %v (%v)", pids, err)
	}
	if _, err := os.Stat(filepath.Join(l.dir+".failed", "central", "northd.log")); err != nil {
		t.Errorf("the logs of the failed lab are gone: %v", err)
	}
	if err := l.Up(t.Context()); errors.Is(err, ErrExists) {
		t.Errorf("a failed lab is in the way of the next: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestIfName(t *testing.T) {
	seen := map[string]string{}
	for i := range 2000 {
		name := fmt.Sprintf("a-rather-long-workload-name-%d", i)
		n := ifName("v-", name, "")
		if len(n) > maxIfName {
			t.Fatalf("ifName(%q) = %q: %d bytes", name, n, len(n))
		}
		if other, ok := seen[n]; ok {
			t.Fatalf("%q and %q are both %q", name, other, n)
		}
		seen[n] = name
	}
	if got := ifName("v-", "vm1", ""); got != "v-vm1" {
		t.Errorf("ifName of a short name = %q", got)
	}
}
