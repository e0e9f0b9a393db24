//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

const twoRouters = "../../docs/examples/two-routers.yaml"

var replyTTL = regexp.MustCompile(`ttl=(\d+)`)

// ttlOf pings once and returns the TTL of the reply, 0 if there was none.
func ttlOf(t *testing.T, l *lab.Lab, from, to string) int {
	t.Helper()
	out, _ := l.Exec(t.Context(), from, "ping", "-n", "-c", "1", "-W", "1", to)
	m := replyTTL.FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Workloads on two hypervisors reach each other, and their router, through one
// distributed router, and through two; each takes one off the TTL. A router's
// own answers begin with 255 and come back through its own routing.
func TestRouterPing(t *testing.T) {
	l := up(t, load(t, twoRouters), lab.ControlGovn)
	for _, tc := range []struct {
		from, to string
		ttl      int
	}{
		{"web1", "10.0.1.1", 254}, {"web1", "10.0.2.1", 254}, {"db1", "fd02::1", 254}, {"db1", "fd01::1", 254},
		{"web1", "10.0.2.21", 63}, {"web1", "10.0.2.22", 63}, {"db1", "10.0.1.11", 63}, {"db2", "10.0.1.11", 63},
		{"web1", "fd02::21", 63}, {"db2", "fd01::11", 63},
		{"web1", "10.0.3.31", 62}, {"far1", "10.0.1.11", 62}, {"far1", "10.0.2.21", 62}, {"far1", "fd01::11", 62}, {"db1", "fd03::31", 62},
	} {
		took := eventually(t, 5*time.Second, fmt.Sprintf("ping %s from %s", tc.to, tc.from), func() (bool, string) {
			got := ttlOf(t, l, tc.from, tc.to)
			return got != 0, "no reply"
		})
		if got := ttlOf(t, l, tc.from, tc.to); got != tc.ttl {
			t.Errorf("%s to %s: TTL %d, want %d", tc.from, tc.to, got, tc.ttl)
		}
		t.Logf("%s to %s after %v", tc.from, tc.to, took.Round(time.Millisecond))
	}
	for _, tc := range []struct{ from, to, hops string }{
		{"web1", "10.0.2.21", "10.0.1.1 10.0.2.21"}, {"db2", "10.0.1.11", "10.0.2.1 10.0.1.11"},
		{"web1", "fd02::21", "fd01::1 fd02::21"}, {"web1", "10.0.3.31", "10.0.1.1 169.254.0.2 10.0.3.31"},
		{"far1", "10.0.2.21", "10.0.3.1 169.254.0.1 10.0.2.21"},
	} {
		if got := strings.Join(hops(t, l, tc.from, tc.to), " "); got != tc.hops {
			t.Errorf("%s to %s goes by %s, want %s", tc.from, tc.to, got, tc.hops)
		}
	}
}

var hopLine = regexp.MustCompile(`(?m)^(?:From|\d+ bytes from) ([0-9a-f.:]+?):? `)

// hops are who answers to pings with a TTL of 1, 2 and so on, up to the one that
// is pinged: what traceroute tells.
func hops(t *testing.T, l *lab.Lab, from, to string) []string {
	t.Helper()
	var list []string
	for ttl := 1; ttl < 6; ttl++ {
		out, _ := l.Exec(t.Context(), from, "ping", "-n", "-c", "1", "-W", "1", "-t", strconv.Itoa(ttl), to)
		m := hopLine.FindStringSubmatch(out)
		if m == nil {
			list = append(list, "*")
			continue
		}
		if list = append(list, m[1]); m[1] == to {
			break
		}
	}
	return list
}

// Two switches that are joined by ports of type switch are one to workloads on
// two hypervisors: they find each other by ARP, which is flooded, and learn where
// the other one is.
func TestJoinedSwitches(t *testing.T) {
	l := up(t, parse(t, `
name: joined
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: vm3, chassis: hv1, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
topology:
  switches:
    - name: leaf1
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: leaf1-spine, unknown: true}
    - name: spine
      ports:
        - {name: spine-leaf1, unknown: true}
        - {name: spine-leaf2, unknown: true}
        - {name: vm3, addresses: ["50:54:00:00:00:03 10.0.0.13"]}
    - name: leaf2
      ports:
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
        - {name: leaf2-spine, unknown: true}
  nbctl: # ovn-nbctl 23.03 does not know the type
    - set Logical_Switch_Port leaf1-spine type=switch options:peer=spine-leaf1
    - set Logical_Switch_Port spine-leaf1 type=switch options:peer=leaf1-spine
    - set Logical_Switch_Port leaf2-spine type=switch options:peer=spine-leaf2
    - set Logical_Switch_Port spine-leaf2 type=switch options:peer=leaf2-spine
`), lab.ControlGovn)
	for _, tc := range [][2]string{{"vm1", "10.0.0.12"}, {"vm2", "10.0.0.11"}, {"vm3", "10.0.0.12"}, {"vm1", "10.0.0.13"}} {
		eventually(t, 5*time.Second, fmt.Sprintf("ping %s from %s", tc[1], tc[0]), func() (bool, string) {
			return ttlOf(t, l, tc[0], tc[1]) == 64, "no reply with a TTL of 64"
		})
	}
	eventually(t, 5*time.Second, "the address of vm2 learned on leaf1", func() (bool, string) {
		out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=mac,dp_key,port_key", "list", "FDB"))
		return strings.Contains(out, "50:54:00:00:00:02"), out
	})
}

// Path MTU discovery through a router: the sender hears the gateway_mtu of the port
// that its packets would leave by, and of the port that they came in by, and its
// kernel keeps to it.
func TestGatewayMTU(t *testing.T) {
	l := up(t, load(t, twoRouters), lab.ControlGovn)
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Router_Port", "r1-db", "options:gateway_mtu=1300"))
	for _, tc := range []struct {
		from, to string
		headers  int // IP and ICMP
		says     string
	}{
		{"web1", "10.0.2.21", 28, `From 10\.0\.1\.1 .*mtu ?= ?1300`},
		{"db1", "10.0.1.11", 28, `From 10\.0\.2\.1 .*mtu ?= ?1300`},
		{"web1", "fd02::21", 48, `From fd01::1 .*[Pp]acket too big.*mtu ?= ?1300`},
	} {
		ping := func(size int) string {
			out, _ := l.Exec(t.Context(), tc.from, "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", strconv.Itoa(size-tc.headers), tc.to)
			return out
		}
		eventually(t, 5*time.Second, "a packet that fits, from "+tc.from+" to "+tc.to, func() (bool, string) {
			out := ping(1300)
			return replyTTL.MatchString(out), out
		})
		if out := ping(1301); !regexp.MustCompile(tc.says).MatchString(out) {
			t.Errorf("%s to %s with 1301 bytes: %q, want %s", tc.from, tc.to, out, tc.says)
		}
		// The kernel has learned it.
		if out := must(t)(l.Exec(t.Context(), tc.from, "ip", "route", "get", tc.to)); !strings.Contains(out, "mtu 1300") {
			t.Errorf("%s has no path MTU to %s: %s", tc.from, tc.to, out)
		}
	}
}
