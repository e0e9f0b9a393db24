//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	views "govn/proto/control"
	"govn/sim/lab"
)

// count is how many packets a capture has now.
func count(t *testing.T, c *lab.Capture, filter string) int {
	t.Helper()
	n, err := c.Count(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func capture(t *testing.T, l *lab.Lab, node, filter string) *lab.Capture {
	t.Helper()
	c, err := l.Capture(t.Context(), node, "", filter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

// send sends n ping requests from a workload without expecting replies.
func send(t *testing.T, l *lab.Lab, from, to string, n int) {
	t.Helper()
	_, _ = l.Exec(t.Context(), from, "ping", "-q", "-c", fmt.Sprint(n), "-i", "0.02", "-W", "0.2", to)
}

// identity gives a workload's interface a MAC and an address, and it a neighbour.
func identity(t *testing.T, l *lab.Lab, vm, mac, ip, peerIP, peerMAC string) {
	t.Helper()
	must(t)(l.Exec(t.Context(), vm, "sh", "-ec", fmt.Sprintf(
		"ip addr flush dev eth0; ip link set eth0 address %s; ip addr add %s/24 dev eth0; ip neigh replace %s lladdr %s dev eth0", mac, ip, peerIP, peerMAC)))
}

const securityLab = `
name: security
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"], port-security: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
`

// Port security drops a spoofed MAC and a spoofed IP at the port; what is
// allowed passes.
func TestPortSecurity(t *testing.T) {
	l := up(t, parse(t, securityLab), lab.ControlGovn)
	const packets = 10
	for _, tc := range []struct {
		name, mac, ip string
		passes        bool
	}{
		{"own addresses", "50:54:00:00:00:01", "10.0.0.11", true},
		{"spoofed MAC", "50:54:00:00:00:99", "10.0.0.11", false},
		{"spoofed IP", "50:54:00:00:00:01", "10.0.0.77", false},
		{"own addresses again", "50:54:00:00:00:01", "10.0.0.11", true},
	} {
		identity(t, l, "vm1", tc.mac, tc.ip, "10.0.0.12", "50:54:00:00:00:02")
		seen := capture(t, l, "vm2", "icmp")
		before := flows(t, l, "hv1")
		var refused uint64
		if *control == "" {
			refused, _ = refusals(t, l, "hv1", "vm1")
		}
		send(t, l, "vm1", "10.0.0.12", packets)
		if tc.passes {
			eventually(t, 3*time.Second, tc.name+": requests at the receiver", func() (bool, string) {
				n := count(t, seen, "icmp[icmptype] == icmp-echo")
				return n == packets, fmt.Sprint(n)
			})
		}
		if err := seen.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, seen, ""); !tc.passes && n > 0 {
			t.Errorf("%s: the receiver saw %d packets:\n%s", tc.name, n, must(t)(seen.Text(t.Context(), "-e")))
		}
		if tc.passes {
			continue
		}
		// The drop is counted. Open vSwitch brings the counters of the
		// datapath to the flows within a second or so.
		var counted, cookies []string
		eventually(t, 5*time.Second, tc.name+": a dropping flow that counts the packets", func() (bool, string) {
			counted, cookies = nil, nil
			for id, f := range flows(t, l, "hv1") {
				if f.packets-before[id].packets >= packets && strings.HasSuffix(id, "actions=drop") {
					counted, cookies = append(counted, id), append(cookies, f.cookie)
				}
			}
			return len(counted) > 0, ""
		})
		if *control != "" {
			continue
		}
		// The flow that refuses is that of the port, and counts them too.
		var by string
		eventually(t, 5*time.Second, tc.name+": a flow of vm1 that counts the packets", func() (bool, string) {
			var now uint64
			now, by = refusals(t, l, "hv1", "vm1")
			return now-refused >= packets, fmt.Sprintf("%d before, %d now", refused, now)
		})
		// The flow that drops is where every refused packet of the switch goes.
		drops := explain(t, l, "hv1", cookies...)
		if !slices.ContainsFunc(drops.Origins, func(o views.Origin) bool {
			return o.Stage != nil && o.Stage.Name == "ls_in_apply_port_sec" && o.Logical != nil && o.Logical.Actions == "drop;" &&
				len(o.Objects) == 1 && o.Objects[0].Name == "sw0"
		}) {
			t.Errorf("%s: %q are explained by %+v", tc.name, counted, drops.Origins)
		}
		t.Logf("%s: refused by %s; dropped by %s", tc.name, by, strings.Join(counted, "; "))
	}
}

const floodLab = `
name: flood
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: vm3, chassis: hv1, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, unknown: true}
        - {name: vm3, unknown: true}
`

// A packet to an unknown MAC goes to the ports with unknown addresses; when the
// MAC has been learned, to its port only.
func TestUnknownIsLearned(t *testing.T) {
	l := up(t, parse(t, floodLab), lab.ControlGovn)
	const mac, ip = "50:54:00:00:00:aa", "10.0.0.99"
	must(t)(l.Exec(t.Context(), "vm1", "ip", "neigh", "replace", ip, "lladdr", mac, "dev", "eth0"))
	at2, at3 := capture(t, l, "vm2", "ether dst "+mac), capture(t, l, "vm3", "ether dst "+mac)
	send(t, l, "vm1", ip, 3)
	for node, c := range map[string]*lab.Capture{"vm2": at2, "vm3": at3} {
		eventually(t, 3*time.Second, "flooded packets at "+node, func() (bool, string) {
			n := count(t, c, "")
			return n == 3, fmt.Sprint(n)
		})
	}
	// vm2 takes that MAC, and speaks.
	identity(t, l, "vm2", mac, ip, "10.0.0.11", "50:54:00:00:00:01")
	send(t, l, "vm2", "10.0.0.11", 1)
	eventually(t, 3*time.Second, "the MAC in the southbound database", func() (bool, string) {
		out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=mac", "list", "FDB"))
		return strings.Contains(out, mac), out
	})
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	had := count(t, at3, "")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "5", "-i", "0.05", "-w", "3", ip))
	if err := at3.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, at3, ""); n != had {
		t.Errorf("vm3 saw %d packets to a MAC that has been learned elsewhere", n-had)
	}
}

// A disabled port neither receives nor sends; enabled, it works. The switch
// answers ARP for it all the same, as stock OVN does.
func TestDisabledPortIsSilent(t *testing.T) {
	l := up(t, load(t, twoHypervisors), lab.ControlGovn)
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-w", "5", "10.0.0.12"))
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "lsp-set-enabled", "vm2", "disabled"))
	at1, at2 := capture(t, l, "vm1", "ether src 50:54:00:00:00:02 and not arp[6:2] == 2"), capture(t, l, "vm2", "ether src 50:54:00:00:00:01")
	send(t, l, "vm1", "10.0.0.12", 3)
	send(t, l, "vm2", "10.0.0.11", 3)
	// vm2 asks everybody, too.
	must(t)(l.Exec(t.Context(), "vm2", "ip", "neigh", "flush", "dev", "eth0"))
	send(t, l, "vm2", "10.0.0.11", 1)
	for node, c := range map[string]*lab.Capture{"vm1": at1, "vm2": at2} {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, c, ""); n > 0 {
			t.Errorf("%s saw %d packets:\n%s", node, n, must(t)(c.Text(t.Context(), "-e")))
		}
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "lsp-set-enabled", "vm2", "enabled"))
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-w", "5", "10.0.0.12"))
}

// A port whose iface-id appears on another chassis is reached there within a
// second.
func TestMovedPortFollows(t *testing.T) {
	cfg := parse(t, strings.Replace(threeHypervisors, "name: faults", "name: moved", 1))
	l := up(t, cfg, lab.ControlGovn)
	p := startPing(t, l, "vm1", "10.0.0.12", 50*time.Millisecond)
	p.waitReplies(5, 5*time.Second)
	if err := l.Detach(t.Context(), "vm2"); err != nil {
		t.Fatal(err)
	}
	w := *workload(t, cfg, "vm2")
	w.Name, w.Chassis = "vm2b", "hv3"
	if err := l.Attach(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	took := p.waitReplies(1, 10*time.Second)
	t.Logf("reached %v after it appeared", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("reached %v after it appeared, one second at most expected", took)
	}
	p.waitReplies(10, 5*time.Second)
	if out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=chassis", "find", "Port_Binding", "logical_port=vm2")); strings.TrimSpace(out) !=
		strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=_uuid", "find", "Chassis", "name=hv3"))) {
		t.Errorf("Port_Binding says chassis %q", out)
	}
}

func workload(t *testing.T, cfg *lab.Config, name string) *lab.Workload {
	t.Helper()
	for i := range cfg.Workloads {
		if cfg.Workloads[i].Name == name {
			return &cfg.Workloads[i]
		}
	}
	t.Fatalf("no workload %q", name)
	return nil
}
