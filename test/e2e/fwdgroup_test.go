//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	views "govn/proto/control"
	"govn/sim/lab"
)

const fwdGroupLab = `
name: fwdgroup
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: c1, chassis: hv1, mac: "00:11:22:33:44:55", ip: 10.0.0.100/24}
  - {name: c2, chassis: hv2, mac: "00:11:22:33:44:55", ip: 10.0.0.100/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: c1, addresses: ["50:54:00:00:00:21"]}
        - {name: c2, addresses: ["50:54:00:00:00:22"]}
`

// spray sends datagrams to an address from as many ports, one after the other.
const spray = `import socket, sys
for port in range(20000, 20000 + int(sys.argv[2])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.sendto(b"x" * 64, (sys.argv[1], 9))
    s.close()
`

// shares counts who of the workloads gets how many of n datagrams from different
// ports to an address.
func shares(t *testing.T, l *lab.Lab, from, to string, n int, at ...string) []int {
	t.Helper()
	var captures []*lab.Capture
	for _, w := range at {
		captures = append(captures, capture(t, l, w, "udp and dst port 9"))
	}
	must(t)(l.Exec(t.Context(), from, "python3", "-c", spray, to, fmt.Sprint(n)))
	got := make([]int, len(at))
	eventually(t, 10*time.Second, fmt.Sprintf("%d datagrams at %v", n, at), func() (bool, string) {
		sum := 0
		for i, c := range captures {
			text, err := c.Text(t.Context())
			if err != nil {
				return false, err.Error()
			}
			got[i] = strings.Count(text, "UDP")
			sum += got[i]
		}
		return sum >= n, fmt.Sprint(got)
	})
	for _, c := range captures {
		stop(t, c)
	}
	return got
}

// shares2 counts who of the two ports gets how many of n datagrams within half a
// second: some may be lost.
func shares2(t *testing.T, l *lab.Lab, n int) []int {
	t.Helper()
	captures := []*lab.Capture{capture(t, l, "c1", "udp and dst port 9"), capture(t, l, "c2", "udp and dst port 9")}
	must(t)(l.Exec(t.Context(), "vm1", "python3", "-c", spray, "10.0.0.100", fmt.Sprint(n)))
	_, _ = l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "2", "-i", "0.2", "-W", "0.3", "10.0.0.100") // what was sent is there when this is through
	got := make([]int, 2)
	for i, c := range captures {
		stop(t, c)
		got[i] = count(t, c, "")
	}
	return got
}

// What is sent to the address of a forwarding group is spread over its ports on
// two chassis, and goes to those that are left when one of them is gone.
func TestForwardingGroup(t *testing.T) {
	l := up(t, parse(t, fwdGroupLab), lab.ControlGovn)
	const flows = 64
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "--liveness", "fwd-group-add", "fwd", "sw0", "10.0.0.100", "00:11:22:33:44:55", "c1", "c2"))
	if out := must(t)(l.Nbctl(t.Context(), "fwd-group-list", "sw0")); !strings.Contains(out, "10.0.0.100") {
		t.Errorf("fwd-group-list says %q", out)
	}
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.100"))
	await := func(what string, cond func([]int) bool) {
		t.Helper()
		took := eventually(t, 15*time.Second, what, func() (bool, string) {
			got := shares2(t, l, flows)
			return cond(got), fmt.Sprint(got)
		})
		t.Logf("%s after %v", what, took.Round(time.Millisecond))
	}
	await("BFD on the tunnel", func(got []int) bool { return got[0] > 0 && got[1] > 0 })
	got := shares(t, l, "vm1", "10.0.0.100", flows, "c1", "c2")
	if got[0]+got[1] != flows || got[0] < flows/8 || got[1] < flows/8 {
		t.Errorf("of %d flows %v arrived at the two ports", flows, got)
	}
	t.Logf("%d flows are spread %v", flows, got)

	// The counters of the buckets are under the name of the group.
	origins := answer(t, &views.Origins{}, "flows", "-t", l.ControlSocket("hv1", "controller"), "-t", l.ControlSocket("central", "northd"), "--object", "fwd-group:fwd")
	var buckets []uint64
	for _, o := range origins.Origins {
		for _, g := range o.Groups {
			for _, b := range g.Buckets {
				if b.Counters == nil {
					t.Fatalf("no counters of bucket %s", b.Text)
				}
				buckets = append(buckets, b.Counters.Packets)
			}
		}
	}
	if len(buckets) != 2 || buckets[0] == 0 || buckets[1] == 0 {
		t.Errorf("packets by bucket: %d: %+v", buckets, origins.Origins)
	}

	// A port without carrier drains: Open vSwitch sees that by itself.
	must(t)(l.Exec(t.Context(), "c1", "ip", "link", "set", "eth0", "down"))
	eventually(t, 10*time.Second, "all flows at the other port", func() (bool, string) {
		_, err := l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "4", "-i", "0.1", "-w", "2", "10.0.0.100")
		return err == nil, fmt.Sprint(err)
	})
	if got := shares(t, l, "vm1", "10.0.0.100", flows, "c2"); got[0] != flows {
		t.Errorf("of %d flows %v arrived at the port that is left", flows, got)
	}
	must(t)(l.Exec(t.Context(), "c1", "ip", "link", "set", "eth0", "up"))

	// A chassis that dies drains: BFD on its tunnel says so.
	await("flows at both ports", func(got []int) bool { return got[0] > 0 && got[1] > 0 })
	if err := l.Signal("hv2", "vswitchd", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await("all flows at the port that is left", func(got []int) bool { return got[0] == flows })
	if err := l.Start(t.Context(), "hv2", "vswitchd"); err != nil {
		t.Fatal(err)
	}
	await("flows at both ports again", func(got []int) bool { return got[0] > 0 && got[1] > 0 && got[0]+got[1] == flows })

	// A port that is nowhere drains: it has no bucket.
	if err := l.Detach(t.Context(), "c2"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "wait-until", "Logical_Switch_Port", "c2", "up=false"))
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	if got := shares(t, l, "vm1", "10.0.0.100", flows, "c1"); got[0] != flows {
		t.Errorf("of %d flows %v arrived at the port that is left", flows, got)
	}

	// With the group, its address and its OpenFlow group go.
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "fwd-group-del", "fwd"))
	if out := groups(t, l, "hv1"); strings.Contains(out, "group_id") {
		t.Errorf("groups are left: %s", out)
	}
}
