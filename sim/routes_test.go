package sim

import (
	"net"
	"net/netip"
	"testing"
)

// As test/e2e's network of routes: hop1 and hop2 are next hops on two chassis.
const routed = `
name: routes
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: hop1, chassis: hv1, mac: "50:54:00:00:01:01", ip: 10.1.0.11/24, gw: 10.1.0.1}
  - {name: hop2, chassis: hv2, mac: "50:54:00:00:01:02", ip: 10.1.0.12/24, gw: 10.1.0.1}
  - {name: far, chassis: hv2, mac: "50:54:00:00:09:09", ip: 10.9.0.9/24, gw: 10.9.0.1}
topology:
  switches:
    - name: in
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
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
    - lr-route-add r1 192.168.55.0/24 discard
    - lr-route-add r1 192.168.55.5 10.1.0.12
    - lr-policy-add r1 100 ip4.dst==192.168.77.0/24 reroute 10.1.0.12
    - lr-policy-add r1 101 ip4.dst==192.168.78.0/24 drop
    - lr-policy-add r1 102 ip4.dst==192.168.79.0/24 reroute 10.1.0.11,10.1.0.12
`

// Routes and policies lead packets in the simulator as on Open vSwitch: over two
// routers and back, to the longest prefix, nowhere, and spread over next hops.
func TestRoutes(t *testing.T) {
	s := up(t, load(t, routed), Options{})
	if r := ping(t, s, "vm1", "10.9.0.9"); !r.Answered || r.TTL != 62 {
		t.Errorf("over two routers: %+v", r)
	}
	router := net.HardwareAddr{0, 0, 0, 0, 1, 1}
	// to is how many of n flows to an address arrive at hop1 and at hop2.
	to := func(dst string, n int) (got [2]int) {
		t.Helper()
		at := netip.AddrPortFrom(netip.MustParseAddr(dst), 9)
		vm1 := s.Station("vm1")
		for i := range n {
			d := vm1.Send(vm1.UDP(router, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.11"), uint16(20000+i)), at, []byte("x")))
			run(t, s)
			for _, name := range d.Delivered() {
				switch name {
				case "hop1":
					got[0]++
				case "hop2":
					got[1]++
				default:
					t.Errorf("a packet to %s arrived at %s", dst, name)
				}
			}
		}
		return got
	}
	for _, tc := range []struct {
		name, to string
		want     [2]int
	}{
		{"the default route", "192.168.56.5", [2]int{1, 0}},
		{"discard", "192.168.55.6", [2]int{}},
		{"a longer prefix", "192.168.55.5", [2]int{0, 1}},
		{"a policy that reroutes", "192.168.77.7", [2]int{0, 1}},
		{"a policy that drops", "192.168.78.7", [2]int{}},
	} {
		if got := to(tc.to, 1); got != tc.want {
			t.Errorf("%s: a packet to %s arrived %v, want %v", tc.name, tc.to, got, tc.want)
		}
	}
	const flows = 64
	for _, dst := range []string{"192.168.100.100", "192.168.79.9"} {
		if got := to(dst, flows); got[0]+got[1] != flows || got[0] < flows/8 || got[1] < flows/8 {
			t.Errorf("of %d flows to %s %v arrived", flows, dst, got)
		}
	}
}
