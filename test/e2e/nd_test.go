//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

const ndLab = `
name: nd
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: ["fd00::11/64"]}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: ["fd00::12/64"]}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 fd00::11"], port-security: ["50:54:00:00:00:01 fd00::11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 fd00::12"]}
`

// Workloads ping each other by IPv6. The switch answers the neighbour
// solicitation (RFC 4861, 7.2.4) at the hypervisor of the one that asks, so that
// it does not cross the underlay; the port that owns the address never sees it.
func TestNeighbourSolicitationIsAnswered(t *testing.T) {
	l := up(t, parse(t, ndLab), lab.ControlGovn)
	const (
		solicitation  = "icmp6 and ip6[40] == 135"
		advertisement = "icmp6 and ip6[40] == 136 and ether src 50:54:00:00:00:02"
	)
	asked, answered := capture(t, l, "vm2", solicitation+" and ether src 50:54:00:00:00:01"), capture(t, l, "vm1", advertisement)
	for _, way := range []struct{ from, to string }{{"vm1", "fd00::12"}, {"vm2", "fd00::11"}} {
		out := must(t)(l.Exec(t.Context(), way.from, "ping", "-6", "-c", "3", "-i", "0.1", "-w", "5", way.to))
		if !strings.Contains(out, "3 received") {
			t.Errorf("%s to %s:\n%s", way.from, way.to, out)
		}
	}
	eventually(t, 3*time.Second, "advertisements at vm1", func() (bool, string) {
		n := count(t, answered, "")
		return n > 0, fmt.Sprint(n)
	})
	for _, c := range []*lab.Capture{asked, answered} {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	text := must(t)(answered.Text(t.Context(), "-vv"))
	if !hasPacket(text, "fd00::12 > fd00::11", "neighbor advertisement", "tgt is fd00::12", "Flags [solicited, override]", "50:54:00:00:00:02") {
		t.Errorf("no proper advertisement from fd00::12 at vm1:\n%s", text)
	}
	// The kernel probes a neighbour that it knows after a while, by unicast; what
	// asks everybody must not arrive.
	if n := count(t, asked, "ether multicast"); n > 0 {
		t.Errorf("vm2 saw %d solicitations that the switch should have answered:\n%s", n, must(t)(asked.Text(t.Context(), "-e")))
	}
	if out := must(t)(l.Exec(t.Context(), "vm1", "ip", "-6", "neigh", "show", "fd00::12")); !strings.Contains(out, "50:54:00:00:00:02") {
		t.Errorf("vm1 knows about fd00::12: %q", out)
	}
	// A workload that looks whether its own address is taken is not answered.
	must(t)(l.Exec(t.Context(), "vm1", "sh", "-ec", "sysctl -qw net.ipv6.conf.eth0.accept_dad=1; ip addr del fd00::11/64 dev eth0; ip addr add fd00::11/64 dev eth0"))
	eventually(t, 5*time.Second, "vm1's address is found to be unique", func() (bool, string) {
		out := must(t)(l.Exec(t.Context(), "vm1", "ip", "-6", "addr", "show", "dev", "eth0"))
		if strings.Contains(out, "dadfailed") {
			t.Fatalf("duplicate address detection failed:\n%s", out)
		}
		return strings.Contains(out, "fd00::11") && !strings.Contains(out, "tentative"), out
	})
}
