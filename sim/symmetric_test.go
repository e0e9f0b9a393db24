package sim

import (
	"net/netip"
	"testing"
)

// As test/e2e's network of symmetric replies: a gateway router with two ways to
// 192.168.100.0/24.
const symmetric = `
name: symmetric
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv2, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: hop1, chassis: hv1, mac: "50:54:00:00:01:01", ip: 10.1.0.11/24, gw: 10.1.0.1}
  - {name: hop2, chassis: hv2, mac: "50:54:00:00:02:02", ip: 10.2.0.12/24, gw: 10.2.0.1}
topology:
  switches:
    - name: in
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: in-r1, type: router, addresses: [router], options: {router-port: r1-in}}
    - name: one
      ports:
        - {name: hop1, addresses: ["50:54:00:00:01:01 10.1.0.11"]}
        - {name: one-r1, type: router, addresses: [router], options: {router-port: r1-one}}
    - name: two
      ports:
        - {name: hop2, addresses: ["50:54:00:00:02:02 10.2.0.12"]}
        - {name: two-r1, type: router, addresses: [router], options: {router-port: r1-two}}
  nbctl:
    - create Logical_Router name=r1 options:chassis=hv1
    - lrp-add r1 r1-in 00:00:00:00:01:01 10.0.0.1/24
    - lrp-add r1 r1-one 00:00:00:00:01:02 10.1.0.1/24
    - lrp-add r1 r1-two 00:00:00:00:01:03 10.2.0.1/24
    - --ecmp-symmetric-reply lr-route-add r1 192.168.100.0/24 10.1.0.11
    - --ecmp-symmetric-reply lr-route-add r1 192.168.100.0/24 10.2.0.12
`

// What comes in by one of two next hops is answered by the same one, and what begins
// inside is spread over both.
func TestSymmetricReply(t *testing.T) {
	s := up(t, load(t, symmetric), Options{})
	vm1, hops := s.Station("vm1"), []string{"hop1", "hop2"}
	toVM1 := map[string][]byte{"hop1": {0, 0, 0, 0, 1, 2}, "hop2": {0, 0, 0, 0, 1, 3}}
	inside := func(port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("10.0.0.11"), uint16(port))
	}
	outside := func(port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("192.168.100.100"), uint16(port))
	}
	// answered is where what vm1 sends from a port to one outside arrives.
	answered := func(from, to int) string {
		t.Helper()
		d := vm1.Send(vm1.UDP([]byte{0, 0, 0, 0, 1, 1}, inside(from), outside(to), []byte("y")))
		run(t, s)
		if got := d.Delivered(); len(got) == 1 {
			return got[0]
		}
		t.Errorf("the answer to port %d arrives at %v", to, d.Delivered())
		return ""
	}
	const flows = 32
	spread := map[string]int{}
	for i := range flows {
		spread[answered(9, 20000+i)]++
	}
	if spread["hop1"] < flows/8 || spread["hop2"] < flows/8 {
		t.Errorf("of %d connections from inside %v", flows, spread)
	}
	ask := func(name string, port int) {
		t.Helper()
		hop := s.Station(name)
		d := hop.Send(hop.UDP(toVM1[name], outside(port), inside(9), []byte("x")))
		run(t, s)
		if got := d.Delivered(); len(got) != 1 || got[0] != "vm1" {
			t.Errorf("from %s port %d arrives at %v", name, port, got)
		}
	}
	for i := range flows {
		for j, name := range hops {
			port := 30000 + 2*i + j
			ask(name, port)
			for range 2 {
				if got := answered(9, port); got != name {
					t.Errorf("the answer to port %d of %s arrives at %q", port, name, got)
				}
			}
		}
	}
	// A connection that moves is answered where it came from last.
	ask("hop1", 40000)
	if got := answered(9, 40000); got != "hop1" {
		t.Errorf("the answer arrives at %q", got)
	}
	ask("hop2", 40000)
	if got := answered(9, 40000); got != "hop2" {
		t.Errorf("after the move the answer arrives at %q", got)
	}
}
