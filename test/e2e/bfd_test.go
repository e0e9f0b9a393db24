//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// bfdNetwork is routers with BFD sessions: idle ones, and ones that routes use.
var bfdNetwork = []string{
	"lr-add r1 -- ls-add s1 -- lrp-add r1 r1-s1 00:00:00:00:01:01 172.16.0.1/24 172.16.1.1/24 fd02::1/64",
	"lsp-add s1 s1-r1 -- lsp-set-type s1-r1 router -- lsp-set-addresses s1-r1 router -- lsp-set-options s1-r1 router-port=r1-s1",
	"set logical_router r1 options:chassis=hv1",
	"create bfd logical_port=r1-s1 dst_ip=172.16.1.9 min_tx=100 min_rx=200 detect_mult=3",
	"create bfd logical_port=r1-s1 dst_ip=\"fd02::9\"",
	"create bfd logical_port=nosuch dst_ip=10.9.9.9",
	"--bfd lr-route-add r1 10.1.0.0/16 172.16.0.2 r1-s1",
	"--bfd lr-route-add r1 10.2.0.0/16 172.16.0.3 r1-s1",
	"lr-route-add r1 10.3.0.0/16 172.16.0.4",
}

var bfdOnly = regexp.MustCompile(`3784|handle_bfd|172\.16\.0\.[0-9]+; reg1`)

// TestBFDFlows compares with stock ovn-northd: the flows of BFD packets, the
// routes that are left out and come back, and both databases.
func TestBFDFlows(t *testing.T) {
	const file = `
name: bfd
chassis: [{name: hv1, datapath: dummy}]
`
	type view struct{ Flows, NB, SB string }
	csv := []string{"--format=csv", "--no-headings", "--columns=logical_port,dst_ip,min_tx,min_rx,detect_mult,status,options"}
	views := map[lab.Control]map[string]view{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		l := up(t, parse(t, file), c)
		nb := func(args ...string) string {
			return must(t)(l.Nbctl(t.Context(), append([]string{"--wait=sb"}, args...)...))
		}
		for _, line := range bfdNetwork {
			nb(words(line)...)
		}
		look := func() view {
			nb("sync")
			nb("sync") // what northd wrote to the northbound database is known now
			var keep []string
			for _, f := range meanings(t, must(t)(l.Sbctl(t.Context(), "lflow-list", "r1")), regexp.MustCompile(`^$`)) {
				if bfdOnly.MatchString(f) && !strings.Contains(f, "lr_in_arp") {
					keep = append(keep, f)
				}
			}
			return view{
				Flows: strings.Join(keep, "\n"),
				NB:    normal(nb(append(csv, "list", "bfd")...)),
				SB:    normal(must(t)(l.Sbctl(t.Context(), append(csv, "list", "bfd")...))),
			}
		}
		views[c] = map[string]view{"down": look()}
		set := func(peer, status string) {
			id := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=_uuid", "find", "bfd", "dst_ip="+peer)))
			must(t)(l.Sbctl(t.Context(), "set", "bfd", id, "status="+status))
		}
		// The chassis' session of a port on the dummy datapath hears nothing and
		// stays down, so that what is written here stands.
		set("172.16.0.2", "up")
		views[c]["up"] = look()
		set("172.16.0.2", "down")
		views[c]["down again"] = look()
		nb("lr-route-del", "r1", "10.1.0.0/16")
		views[c]["not used"] = look()
		for what, v := range views[c] {
			for name, text := range map[string]string{"flows": v.Flows, "northbound": v.NB, "southbound": v.SB} {
				if text == "" {
					t.Errorf("%s, %s: no %s", c, what, name)
				}
			}
		}
	}
	for _, what := range []string{"down", "up", "down again", "not used"} {
		if diff := cmp.Diff(views[lab.ControlStock][what], views[lab.ControlGovn][what]); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", what, diff)
		}
	}
	fmt.Fprintln(t.Output(), views[lab.ControlGovn]["up"].Flows)
}

// A gateway router on hv1 with two ways to 10.9.0.1, each watched by BFD.
const bfdRoutes = `
name: bfd-routes
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv2, mac: "50:54:00:00:01:11", ip: 10.0.1.11/24, gw: 10.0.1.1}
  - {name: p1, chassis: hv1, mac: "50:54:00:00:02:02", ip: [172.16.0.2/24, "fd02::2/64"], gw: 172.16.0.1}
  - {name: p2, chassis: hv2, mac: "50:54:00:00:02:03", ip: 172.16.0.3/24, gw: 172.16.0.1}
topology:
  switches:
    - name: inner
      ports:
        - {name: vm1, addresses: ["50:54:00:00:01:11 10.0.1.11"]}
        - {name: inner-r0, type: router, addresses: [router], options: {router-port: r0-inner}}
    - name: net
      ports:
        - {name: p1, addresses: ["50:54:00:00:02:02 172.16.0.2 fd02::2"]}
        - {name: p2, addresses: ["50:54:00:00:02:03 172.16.0.3"]}
        - {name: net-r0, type: router, addresses: [router], options: {router-port: r0-net}}
  nbctl:
    - lr-add r0 -- set logical_router r0 options:chassis=hv1
    - lrp-add r0 r0-inner 00:00:00:00:01:01 10.0.1.1/24
    - lrp-add r0 r0-net 00:00:00:00:02:01 172.16.0.1/24 fd02::1/64
    - --ecmp --bfd lr-route-add r0 10.9.0.1/32 172.16.0.2 r0-net
    - --ecmp --bfd lr-route-add r0 10.9.0.1/32 172.16.0.3 r0-net
    - --bfd lr-route-add r0 fd09::/64 fd02::2 r0-net
`

// TestBFDRoutes: routes follow their neighbours. A neighbour that dies takes its
// route with it in its detection time and a little, and comes back; a restart of
// the controller is no news to anybody.
func TestBFDRoutes(t *testing.T) {
	l := up(t, parse(t, bfdRoutes), lab.ControlGovn)
	for _, p := range []string{"p1", "p2"} {
		must(t)(l.Exec(t.Context(), p, "ip", "address", "add", "10.9.0.1/32", "dev", "lo"))
	}
	for _, id := range strings.Fields(must(t)(l.Nbctl(t.Context(), "--bare", "--columns=_uuid", "list", "bfd"))) {
		must(t)(l.Nbctl(t.Context(), "set", "bfd", id, "min_tx=100", "min_rx=100", "detect_mult=20"))
	}
	status := func(dst string) string {
		return strings.TrimSpace(must(t)(l.Nbctl(t.Context(), "--bare", "--columns=status", "find", "bfd", "dst_ip=\""+dst+"\"")))
	}
	await := func(what, dst, want string) {
		t.Helper()
		took := eventually(t, 10*time.Second, what, func() (bool, string) {
			got := status(dst)
			return got == want, got
		})
		t.Logf("%s: %s is %s after %v", what, dst, want, took.Round(10*time.Millisecond))
	}
	show := func() string {
		out, err := l.Exec(t.Context(), "hv1", "ovs-appctl", "-t", l.ControlSocket("hv1", "controller"), "bfd/show")
		if err != nil {
			return err.Error()
		}
		return out
	}
	ways := func() int {
		return len(regexp.MustCompile(`reg0 = 172\.16\.0\.[23];`).FindAllString(must(t)(l.Sbctl(t.Context(), "lflow-list", "r0")), -1))
	}
	for _, dst := range []string{"172.16.0.2", "172.16.0.3", "fd02::2"} {
		if got := status(dst); got != "down" {
			t.Errorf("%s is %s before its neighbour is there", dst, got)
		}
	}
	if n := ways(); n != 0 {
		t.Errorf("%d ways though both are down", n)
	}
	one, two := startPeer(t, l, "p1", "172.16.0.2", "172.16.0.1"), startPeer(t, l, "p2", "172.16.0.3", "172.16.0.1")
	six := startPeer(t, l, "p1", "fd02::2", "fd02::1")
	for _, dst := range []string{"172.16.0.2", "172.16.0.3", "fd02::2"} {
		await("begin", dst, "up")
	}
	eventually(t, 5*time.Second, "ping through the router", func() (bool, string) {
		return ttlOf(t, l, "vm1", "10.9.0.1") != 0, "no reply"
	})
	if out := show(); strings.Count(out, "\tState: up") != 3 || !strings.Contains(out, "r0-net 172.16.0.1 -> 172.16.0.2") {
		t.Errorf("bfd/show:\n%s", out)
	}

	// The host of one way dies, its link is cut and its process is killed; then
	// that of the other. At least one of them has the pings.
	six.kill()
	await("nobody answers at fd02::2", "fd02::2", "down")
	hosts := []struct {
		host, address, other string
		peer                 **peer
	}{{"p1", "172.16.0.2", "172.16.0.3", &one}, {"p2", "172.16.0.3", "172.16.0.2", &two}}
	for _, way := range hosts {
		ping := startPing(t, l, "vm1", "10.9.0.1", 20*time.Millisecond)
		ping.waitReplies(5, 5*time.Second)
		(*way.peer).kill()
		must(t)(l.Exec(t.Context(), way.host, "ip", "link", "set", "eth0", "down"))
		await(way.host+" is dead", way.address, "down")
		ping.waitReplies(ping.replies()+50, 10*time.Second)
		if sent, received := ping.stop(); sent-received > 75 { // 1.5 s
			t.Errorf("%d of %d pings lost when %s died", sent-received, sent, way.host)
		} else {
			t.Logf("%d of %d pings lost when %s died, 20 ms each", sent-received, sent, way.host)
		}
		if got := status(way.other); got != "up" {
			t.Errorf("the other way is %s", got)
		}
		must(t)(l.Exec(t.Context(), way.host, "ip", "link", "set", "eth0", "up"))
		must(t)(l.Exec(t.Context(), way.host, "ip", "route", "replace", "default", "via", "172.16.0.1"))
		*way.peer = startPeer(t, l, way.host, way.address, "172.16.0.1")
		await(way.host+" is back", way.address, "up")
	}

	// The controller of the gateway is killed and starts again.
	if err := l.Signal("hv1", "controller", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "hv1", "controller"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "sessions after the restart", func() (bool, string) {
		out := show()
		return strings.Count(out, "\tState: up") == 2, out
	})
	for _, p := range []*peer{one, two} {
		if got := strings.Join(p.states(), " "); got != "up" && got != "init up" {
			t.Errorf("a peer came to %s", got)
		}
	}
	// What is not used any more is administratively down, and says so.
	must(t)(l.Nbctl(t.Context(), "lr-route-del", "r0", "10.9.0.1/32", "172.16.0.3"))
	eventually(t, 5*time.Second, "the peer hears that it is not used", func() (bool, string) {
		s := two.states()
		return s[len(s)-1] == "down", strings.Join(s, " ")
	})
}
