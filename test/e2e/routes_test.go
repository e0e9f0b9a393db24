//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

// hop1 and hop2 are next hops: what is routed to them arrives, whatever it is
// for, and they have an address of the networks behind them.
const routesLab = `
name: routes
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24, gw: 10.0.0.1}
  - {name: hop1, chassis: hv1, mac: "50:54:00:00:01:01", ip: 10.1.0.11/24, gw: 10.1.0.1}
  - {name: hop2, chassis: hv2, mac: "50:54:00:00:01:02", ip: 10.1.0.12/24, gw: 10.1.0.1}
  - {name: far, chassis: hv2, mac: "50:54:00:00:09:09", ip: 10.9.0.9/24, gw: 10.9.0.1}
topology:
  switches:
    - name: in
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
        - {name: in-r1, type: router, addresses: [router], options: {router-port: r1-in}}
    - name: mid
      ports:
        - {name: hop1, addresses: ["50:54:00:00:01:01 10.1.0.11"]}
        - {name: hop2, addresses: ["50:54:00:00:01:02 10.1.0.12"]}
        - {name: mid-r1, type: router, addresses: [router], options: {router-port: r1-mid}}
    - name: far
      ports:
        - {name: far, addresses: ["50:54:00:00:09:09 10.9.0.9"]}
        - {name: far-r2, type: router, addresses: [router], options: {router-port: r2-far}}
  nbctl:
    - lr-add r1
    - lrp-add r1 r1-in 00:00:00:00:01:01 10.0.0.1/24
    - lrp-add r1 r1-mid 00:00:00:00:01:02 10.1.0.1/24
    - lrp-add r1 r1-r2 00:00:00:00:01:03 169.254.0.1/30 peer=r2-r1
    - lr-add r2
    - lrp-add r2 r2-r1 00:00:00:00:02:01 169.254.0.2/30 peer=r1-r2
    - lrp-add r2 r2-far 00:00:00:00:02:02 10.9.0.1/24
    - lr-route-add r1 10.9.0.0/16 169.254.0.2
    - lr-route-add r2 0.0.0.0/0 169.254.0.1
    - lr-route-add r1 0.0.0.0/0 10.1.0.11
    - lr-route-add r1 192.168.100.0/24 10.1.0.11
    - --ecmp lr-route-add r1 192.168.100.0/24 10.1.0.12
`

// arrived counts who of hop1 and hop2 gets how many of five datagrams to an
// address. Where none is to arrive, a ping to both that has come back by the same
// way says that nothing is under way any more.
func arrived(t *testing.T, l *lab.Lab, from, to string, some bool) [2]int {
	t.Helper()
	var captures [2]*lab.Capture
	var got [2]int
	for i, at := range []string{"hop1", "hop2"} {
		captures[i] = capture(t, l, at, "udp and dst host "+to)
	}
	must(t)(l.Exec(t.Context(), from, "python3", "-c", spray, to, "5"))
	if some {
		eventually(t, 5*time.Second, "5 packets to "+to, func() (bool, string) {
			for i, c := range captures {
				text, err := c.Text(t.Context())
				if err != nil {
					return false, err.Error()
				}
				got[i] = strings.Count(text, "UDP")
			}
			return got[0]+got[1] >= 5, fmt.Sprint(got)
		})
	} else {
		for _, hop := range []string{"10.1.0.11", "10.1.0.12"} {
			must(t)(l.Exec(t.Context(), from, "ping", "-q", "-c", "2", "-i", "0.1", "-w", "5", hop))
		}
	}
	for i, c := range captures {
		stop(t, c)
		got[i] = count(t, c, "")
	}
	return got
}

// Static routes lead over two routers and back, spread flows over two next hops
// on two chassis, prefer the longer prefix, drop, and look at the source; policies
// change what routes said.
func TestRoutes(t *testing.T) {
	l := up(t, parse(t, routesLab), lab.ControlGovn)
	nbctl := func(args ...string) {
		t.Helper()
		must(t)(l.Nbctl(t.Context(), append([]string{"--wait=hv"}, args...)...))
	}
	for _, hop := range []string{"hop1", "hop2"} {
		must(t)(l.Exec(t.Context(), hop, "ip", "addr", "add", "192.168.100.100/32", "dev", "lo"))
	}
	eventually(t, 10*time.Second, "a reply over two routers", func() (bool, string) {
		out, err := l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-W", "1", "10.9.0.9")
		return err == nil && strings.Contains(out, "ttl=62"), out
	})
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "192.168.100.100"))

	const flows = 64
	got := shares(t, l, "vm1", "192.168.100.100", flows, "hop1", "hop2")
	if got[0] < flows/8 || got[1] < flows/8 {
		t.Errorf("of %d flows %v arrived at the two next hops", flows, got)
	}
	t.Logf("%d flows are spread %v", flows, got)
	nbctl("lr-route-del", "r1", "192.168.100.0/24", "10.1.0.12")
	if got := shares(t, l, "vm1", "192.168.100.100", flows, "hop1"); got[0] != flows {
		t.Errorf("of %d flows %v arrived at the next hop that is left", flows, got)
	}

	for _, tc := range []struct {
		name     string
		commands []string
		from, to string
		want     [2]int
	}{
		{"the default route", nil, "vm1", "192.168.55.5", [2]int{5, 0}},
		{"a longer prefix that discards", []string{"lr-route-add r1 192.168.55.0/24 discard"}, "vm1", "192.168.55.5", [2]int{}},
		{"a still longer one", []string{"lr-route-add r1 192.168.55.5 10.1.0.12"}, "vm1", "192.168.55.5", [2]int{0, 5}},
		{"by source", []string{"--policy=src-ip lr-route-add r1 10.0.0.12/32 10.1.0.12"}, "vm2", "192.168.56.5", [2]int{0, 5}},
		{"not for another source", nil, "vm1", "192.168.56.5", [2]int{5, 0}},
		{"a policy that reroutes", []string{"lr-policy-add r1 100 ip4.dst==192.168.77.0/24 reroute 10.1.0.12"}, "vm1", "192.168.77.7", [2]int{0, 5}},
		{"a policy that drops", []string{`lr-policy-add r1 101 ip4.dst==192.168.78.0/24&&inport=="r1-in" drop`}, "vm1", "192.168.78.7", [2]int{}},
		{"a higher one that lets go", []string{"lr-policy-add r1 102 ip4.dst==192.168.78.7 allow"}, "vm1", "192.168.78.7", [2]int{5, 0}},
		{"a table of the port", []string{"set Logical_Router_Port r1-in options:route_table=red", "--route-table=red lr-route-add r1 192.168.66.0/24 10.1.0.12"},
			"vm1", "192.168.66.6", [2]int{0, 5}},
		{"not the main table", nil, "vm1", "192.168.57.6", [2]int{}},
	} {
		for _, c := range tc.commands {
			nbctl(words(c)...)
		}
		if got := arrived(t, l, tc.from, tc.to, tc.want != [2]int{}); got != tc.want {
			t.Errorf("%s: of 5 packets to %s %v arrived at the next hops, want %v", tc.name, tc.to, got, tc.want)
		}
	}
	nbctl("remove", "Logical_Router_Port", "r1-in", "options", "route_table")

	nbctl("lr-policy-add", "r1", "103", "ip4.dst==192.168.100.0/24", "reroute", "10.1.0.11,10.1.0.12")
	got = shares(t, l, "vm1", "192.168.100.100", flows, "hop1", "hop2")
	if got[0] < flows/8 || got[1] < flows/8 {
		t.Errorf("of %d flows %v arrived at the two next hops of a policy", flows, got)
	}
	// The flows name the route; the group that chooses is shared.
	out := must(t)(run(t, "", "flows", "-t", l.ControlSocket("hv1", "controller"), "-t", l.ControlSocket("central", "northd"), "--object", "route:10.9.0.0/16"))
	if !strings.Contains(out, "r1 lr_in_ip_routing (ingress 13)") || !strings.Contains(out, "n_packets=1,") || !strings.Contains(out, `Logical_Router_Static_Route "10.9.0.0/16"`) {
		t.Errorf("flows of a route:\n%s", out)
	}
	if out := groups(t, l, "hv1"); strings.Count(out, "group_id") != 1 || !strings.Contains(out, "weight:100") {
		t.Errorf("groups:\n%s", out)
	}
}
