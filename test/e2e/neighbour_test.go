//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

// neighbourLab has a switch in, whose port the database knows, and a switch out,
// whose ports accept any address: the router has to ask for what is behind.
const neighbourLab = `
name: neighbours
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:01:11", ip: [10.0.1.11/24, "fd01::11/64"], gw: [10.0.1.1, "fd01::1"]}
  - {name: out1, chassis: hv2, mac: "50:54:00:00:02:21", ip: [10.0.2.21/24, "fd02::21/64", 10.0.2.22/24], gw: [10.0.2.1, "fd02::1"]}
topology:
  switches:
    - name: in
      ports:
        - {name: vm1, addresses: ["50:54:00:00:01:11 10.0.1.11 fd01::11"]}
        - {name: in-r1, type: router, addresses: [router], options: {router-port: r1-in}}
    - name: out
      ports:
        - {name: out1, addresses: [unknown]}
        - {name: out-r1, type: router, addresses: [router], options: {router-port: r1-out}}
  nbctl:
    - lr-add r1
    - lrp-add r1 r1-in 00:00:00:00:01:01 10.0.1.1/24 fd01::1/64
    - lrp-add r1 r1-out 00:00:00:00:01:02 10.0.2.1/24 fd02::1/64
`

var firstTime = regexp.MustCompile(`icmp_seq=1 .*`)

// macBindings are the learned addresses of the southbound database.
func macBindings(t *testing.T, l *lab.Lab) string {
	t.Helper()
	return must(t)(l.Sbctl(t.Context(), "--bare", "--columns=logical_port,ip,mac", "list", "MAC_Binding"))
}

func nbctl(t *testing.T, l *lab.Lab, args ...string) string {
	t.Helper()
	return must(t)(l.Nbctl(t.Context(), args...))
}

// neighbourFlows are the flows of tables 66 and 67 of a chassis.
func neighbourFlows(t *testing.T, l *lab.Lab, chassis string) string {
	t.Helper()
	return must(t)(l.Ofctl(t.Context(), chassis, "dump-flows", "--no-stats", "table=66")) +
		must(t)(l.Ofctl(t.Context(), chassis, "dump-flows", "--no-stats", "table=67"))
}

// The first packets to a next hop that nobody knows wait for the answer: no ping
// is lost, neither of IPv4 nor of IPv6. What was learned is in the southbound
// database and on both chassis; deleted there, it is gone, and learned again.
func TestUnknownNextHop(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	for _, tc := range []struct{ to, binding string }{
		{"10.0.2.21", "r1-out\n10.0.2.21\n50:54:00:00:02:21"}, {"fd02::21", "r1-out\nfd02::21\n50:54:00:00:02:21"},
	} {
		out, err := l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "5", "-i", "0.05", "-W", "2", tc.to)
		if err != nil || !strings.Contains(out, "5 received") {
			t.Errorf("ping %s: %v\n%s\n%s", tc.to, err, out, must(t)(l.Exec(t.Context(), "vm1", "ip", "neigh")))
		}
		t.Logf("first ping to %s: %s", tc.to, firstTime.FindString(out))
		eventually(t, 5*time.Second, "a row of MAC_Binding", func() (bool, string) {
			got := macBindings(t, l)
			return strings.Contains(got, tc.binding), got
		})
	}
	for _, hv := range []string{"hv1", "hv2"} {
		eventually(t, 5*time.Second, "flows on "+hv, func() (bool, string) {
			got := neighbourFlows(t, l, hv)
			return strings.Count(got, "50:54:00:00:02:21->eth_dst") == 2, got
		})
	}
	must(t)(l.Sbctl(t.Context(), "--all", "destroy", "MAC_Binding"))
	for _, hv := range []string{"hv1", "hv2"} {
		eventually(t, 5*time.Second, "no flows on "+hv, func() (bool, string) {
			got := neighbourFlows(t, l, hv)
			return !strings.Contains(got, "eth_dst"), got
		})
	}
	for _, to := range []string{"10.0.2.21", "fd02::21"} {
		out, err := l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "5", "-i", "0.05", "-W", "2", to)
		if err != nil || !strings.Contains(out, "5 received") {
			t.Errorf("ping %s again: %v\n%s", to, err, out)
		}
	}
}

// A host behind the router changes its Ethernet address and says nothing. The
// router keeps sending to the old one until it asks, and then to the new one.
func TestNeighbourChangesMAC(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "set", "logical_router", "r1", "options:mac_binding_age_threshold=4")
	p := startPing(t, l, "vm1", "10.0.2.21", 100*time.Millisecond)
	p.waitReplies(5, 5*time.Second)
	must(t)(l.Exec(t.Context(), "out1", "ip", "link", "set", "eth0", "address", "50:54:00:00:02:99"))
	took := eventually(t, 15*time.Second, "the binding to be refreshed", func() (bool, string) {
		got := macBindings(t, l)
		return strings.Contains(got, "50:54:00:00:02:99"), got
	})
	p.waitReplies(5, 5*time.Second)
	sent, received := p.stop()
	t.Logf("the new address was known after %v; %d of %d pings answered", took.Round(10*time.Millisecond), received, sent)
}

// What traffic uses does not age, what nobody uses goes after its time.
func TestNeighbourAging(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "set", "logical_router", "r1", `options:mac_binding_age_threshold="10.0.0.0/8:3;0"`)
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "1", "-W", "2", "10.0.2.22"))
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "1", "-W", "2", "fd02::21"))
	p := startPing(t, l, "vm1", "10.0.2.21", 100*time.Millisecond)
	p.waitReplies(3, 5*time.Second)
	eventually(t, 3*time.Second, "three rows", func() (bool, string) {
		got := macBindings(t, l)
		return strings.Contains(got, "10.0.2.21") && strings.Contains(got, "10.0.2.22") && strings.Contains(got, "fd02::21"), got
	})
	eventually(t, 10*time.Second, "the unused row to go", func() (bool, string) {
		got := macBindings(t, l)
		if !strings.Contains(got, "10.0.2.21") {
			t.Fatalf("a row in use is gone: %s", got)
		}
		return !strings.Contains(got, "10.0.2.22"), got
	})
	p.waitReplies(60, 10*time.Second) // two thresholds more
	if got := macBindings(t, l); !strings.Contains(got, "10.0.2.21") || !strings.Contains(got, "fd02::21") {
		t.Errorf("MAC_Binding:\n%s", got)
	}
	p.noLoss(60)
}

// A static binding is used without asking; with override_dynamic_mac it holds
// against what is learned.
func TestStaticMACBinding(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "create", "static_mac_binding", "logical_port=r1-out", "ip=10.0.2.21", `mac="50:54:00:00:02:21"`)
	asked := capture(t, l, "out1", "arp and arp[24:4] == 0x0a000215 and arp[6:2] == 1")
	out, err := l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", "10.0.2.21")
	if err != nil || !strings.Contains(out, "3 received") {
		t.Errorf("ping: %v\n%s", err, out)
	}
	if err := asked.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, asked, ""); n > 0 {
		t.Errorf("%d requests for an address with a static binding", n)
	}
	row := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=logical_port,ip,mac,override_dynamic_mac", "list", "Static_MAC_Binding"))
	if strings.Join(strings.Fields(row), " ") != "r1-out 10.0.2.21 50:54:00:00:02:21 False" && !strings.Contains(strings.ToLower(row), "false") {
		t.Errorf("southbound row %q", row)
	}
	// A wrong address holds, whatever the host says itself.
	uuid := strings.TrimSpace(nbctl(t, l, "--bare", "--columns=_uuid", "find", "static_mac_binding", "ip=10.0.2.21"))
	nbctl(t, l, "--wait=hv", "set", "static_mac_binding", uuid, "override_dynamic_mac=true", `mac="50:54:00:00:02:77"`)
	if out, err := l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "1", "-W", "1", "10.0.2.21"); err == nil {
		t.Errorf("the address of the binding is not used:\n%s", out)
	}
	must(t)(l.Exec(t.Context(), "out1", "arping", "-q", "-U", "-c", "1", "-I", "eth0", "10.0.2.21"))
	if got := neighbourFlows(t, l, "hv1"); strings.Count(got, "50:54:00:00:02:77->eth_dst") != 1 || strings.Contains(got, "50:54:00:00:02:21->eth_dst") {
		t.Errorf("flows:\n%s", got)
	}
}

// A workload learns the path MTU from the router (options:gateway_mtu): RFC 1191
// and RFC 8201.
func TestPathMTU(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "set", "logical_router_port", "r1-out", "options:gateway_mtu=1300")
	for _, tc := range []struct{ to, route string }{{"10.0.2.21", "mtu 1300"}, {"fd02::21", "mtu 1300"}} {
		must(t)(l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-s", "1000", tc.to))
		out, _ := l.Exec(t.Context(), "vm1", "ping", "-n", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1350", tc.to)
		if !strings.Contains(out, "1300") {
			t.Errorf("%s: nobody says that 1350 bytes are too much:\n%s", tc.to, out)
		}
		route := must(t)(l.Exec(t.Context(), "vm1", "ip", "route", "get", tc.to))
		if !strings.Contains(route, tc.route) {
			t.Errorf("%s: the kernel has not learned the MTU: %s", tc.to, route)
		}
		// A datagram that may be fragmented arrives; the first answer to one tells
		// the other side about the MTU of its way back.
		out, err := l.Exec(t.Context(), "vm1", "ping", "-n", "-M", "want", "-c", "4", "-i", "0.2", "-W", "1", "-s", "1350", tc.to)
		if err != nil || !strings.Contains(out, "4 received") && !strings.Contains(out, "3 received") {
			t.Errorf("%s: with fragments: %v\n%s", tc.to, err, out)
		}
	}
}

// The kernel of a workload makes itself an address from the router's
// advertisements, first because it asks, then because it is told, and takes the
// router as its default.
func TestSLAAC(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "set", "logical_router_port", "r1-out", `ipv6_ra_configs={address_mode=slaac,mtu="1400"}`)
	const conf = "net.ipv6.conf.eth0."
	reset := func(solicit int) {
		t.Helper()
		must(t)(l.Exec(t.Context(), "out1", "ip", "link", "set", "eth0", "down"))
		must(t)(l.Exec(t.Context(), "out1", "sysctl", "-qw", conf+"accept_ra=2", conf+"autoconf=1", conf+fmt.Sprintf("router_solicitations=%d", solicit), conf+"addr_gen_mode=0"))
		must(t)(l.Exec(t.Context(), "out1", "ip", "link", "set", "eth0", "up"))
	}
	configured := func(what string) {
		t.Helper()
		took := eventually(t, 15*time.Second, what, func() (bool, string) {
			out := must(t)(l.Exec(t.Context(), "out1", "ip", "-6", "addr", "show", "dev", "eth0")) + must(t)(l.Exec(t.Context(), "out1", "ip", "-6", "route"))
			return strings.Contains(out, "fd02::5254:ff:fe00:221/64") && strings.Contains(out, "default via fe80::200:ff:fe00:102"), out
		})
		t.Logf("%s after %v", what, took.Round(10*time.Millisecond))
	}
	reset(3)
	configured("an address because it asks")
	if out := must(t)(l.Exec(t.Context(), "out1", "sysctl", "-n", conf+"mtu")); strings.TrimSpace(out) != "1400" {
		t.Errorf("the MTU is %s", out)
	}
	out, err := l.Exec(t.Context(), "vm1", "ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "fd02::5254:ff:fe00:221")
	if err != nil || !strings.Contains(out, "3 received") {
		t.Errorf("ping to the address: %v\n%s", err, out)
	}

	reset(0)
	if out := must(t)(l.Exec(t.Context(), "out1", "ip", "-6", "addr", "show", "dev", "eth0")); strings.Contains(out, "fd02::5254") {
		t.Fatalf("the address is still there:\n%s", out)
	}
	nbctl(t, l, "--wait=hv", "set", "logical_router_port", "r1-out", `ipv6_ra_configs={address_mode=slaac,send_periodic="true",max_interval="4"}`)
	configured("an address because it is told")
}

// An Ethernet address that sends does not age in the table of its switch; one that
// is silent goes.
func TestFDBAgingByUse(t *testing.T) {
	l := up(t, parse(t, neighbourLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "set", "logical_switch", "out", "other_config:fdb_age_threshold=3")
	fdb := func() string {
		t.Helper()
		return must(t)(l.Sbctl(t.Context(), "--bare", "--columns=mac", "list", "FDB"))
	}
	p := startPing(t, l, "vm1", "10.0.2.21", 100*time.Millisecond)
	p.waitReplies(90, 15*time.Second) // three thresholds
	if got := fdb(); !strings.Contains(got, "50:54:00:00:02:21") {
		t.Errorf("an address in use is gone: %q", got)
	}
	p.noLoss(90)
	eventually(t, 10*time.Second, "the silent address to go", func() (bool, string) {
		got := fdb()
		return !strings.Contains(got, "50:54:00:00:02:21"), got
	})
}
