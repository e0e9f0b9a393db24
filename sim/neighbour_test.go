package sim

import (
	"net"
	"net/netip"
	"testing"
)

// behind has a router between a switch whose port is known and one whose ports
// may have any address.
const behind = `
name: neighbours
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:01:11", ip: [10.0.1.11/24, "fd01::11/64"], gw: [10.0.1.1, "fd01::1"]}
  - {name: out1, chassis: hv2, mac: "50:54:00:00:02:21", ip: [10.0.2.21/24, "fd02::21/64"], gw: [10.0.2.1, "fd02::1"]}
topology:
  switches:
    - name: in
      ports:
        - {name: vm1, addresses: ["50:54:00:00:01:11 10.0.1.11 fd01::11"]}
        - {name: in-r1, type: router, addresses: [router], options: {router-port: r1-in}}
    - name: out
      ports:
        - {name: out1, addresses: [unknown]}
        - {name: out2, addresses: [unknown]}
        - {name: out-r1, type: router, addresses: [router], options: {router-port: r1-out}}
  nbctl:
    - lr-add r1
    - lrp-add r1 r1-in 00:00:00:00:01:01 10.0.1.1/24 fd01::1/64
    - lrp-add r1 r1-out 00:00:00:00:01:02 10.0.2.1/24 fd02::1/64
    - set logical_router r1 options:mac_binding_age_threshold=2
    - set logical_router_port r1-out options:gateway_mtu=1300
    - set logical_router_port r1-out ipv6_ra_configs:address_mode=slaac
`

// The first ping to a next hop that nobody knows is answered: it waits for the
// neighbour. The router says what is wrong with what it drops.
func TestNeighbours(t *testing.T) {
	s := up(t, load(t, behind), Options{})
	for _, to := range []string{"10.0.2.21", "fd02::21"} {
		if r := ping(t, s, "vm1", to); !r.Answered || r.TTL != 63 {
			t.Errorf("%s: %+v", to, r)
		}
	}
	if err := s.Zone.Until(within(t), "two neighbours are known", func() bool { return s.Zone.Store.Snapshot().Len(s.Zone.Columns.MACBinding.Table) >= 2 }); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		to, from  string
		o         PingOptions
		kind, mtu int
	}{
		{"10.0.2.21", "10.0.1.1", PingOptions{TTL: 1}, 11, 0}, {"fd02::21", "fd01::1", PingOptions{TTL: 1}, 3, 0},
		{"10.0.2.21", "10.0.1.1", PingOptions{Size: 1350}, 3, 1300}, {"fd02::21", "fd01::1", PingOptions{Size: 1350}, 2, 1300},
	} {
		r, err := s.Station("vm1").PingWith(within(t), netip.MustParseAddr(tc.to), tc.o)
		if err != nil {
			t.Fatal(err)
		}
		if e := r.Refused; e == nil || e.From != netip.MustParseAddr(tc.from) || int(e.Type) != tc.kind || e.MTU != tc.mtu {
			t.Errorf("%s, %+v: %+v", tc.to, tc.o, r)
		}
	}
	// Another Ethernet address that the neighbour tells nobody: packets are lost
	// until the chassis asks.
	s.Station("out1").SetMAC(net.HardwareAddr{0x50, 0x54, 0, 0, 2, 0x99})
	ctx := within(t)
	for lost := 0; ; lost++ {
		if r := ping(t, s, "vm1", "10.0.2.21"); r.Answered {
			t.Logf("answered after %d pings that were lost", lost)
			break
		}
		if ctx.Err() != nil {
			t.Fatal("nobody asks for a neighbour that is silent")
		}
	}
}

// A workload makes itself an address from what the router says.
func TestAutoconf(t *testing.T) {
	cfg := load(t, behind)
	s := up(t, cfg, Options{})
	out2, err := s.AddStation(within(t), StationOptions{Name: "out2", Chassis: "hv1", MAC: net.HardwareAddr{0x50, 0x54, 0, 0, 2, 0x22}, Autoconf: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Up(within(t), "out2"); err != nil {
		t.Fatal(err)
	}
	out2.SolicitRouter()
	run(t, s)
	want := netip.MustParsePrefix("fd02::5254:ff:fe00:222/64")
	if got := out2.Addresses(); len(got) != 1 || got[0] != want {
		t.Fatalf("addresses %v, want %v", got, want)
	}
	if r := ping(t, s, "out2", "fd01::11"); !r.Answered || r.TTL != 63 {
		t.Errorf("%+v", r)
	}
}
