package sim

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"govn/sim/lab"
)

var scale = flag.Int("scale", 30, "chassis of TestScale")

// TestScale brings many chassis up in this process, one switch with a port on
// each, so that every chassis has a tunnel to every other one, and pings from the
// first to the last.
func TestScale(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	n := *scale
	cfg := &lab.Config{Name: "scale"}
	sw := lab.Switch{Name: "sw0"}
	for i := range n {
		hv, vm := fmt.Sprint("hv", i), fmt.Sprint("vm", i)
		mac := net.HardwareAddr{0x0a, 0, 0, 0, byte(i >> 8), byte(i)}.String()
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		cfg.Chassis = append(cfg.Chassis, lab.Chassis{Name: hv, EncapIP: netip.AddrFrom4([4]byte{172, 31, byte(i >> 8), byte(i)})})
		cfg.Workloads = append(cfg.Workloads, lab.Workload{Name: vm, Port: vm, Chassis: hv, Bridge: "br-int", MAC: mac, IPs: []netip.Prefix{netip.PrefixFrom(ip, 16)}, MTU: 1500})
		sw.Ports = append(sw.Ports, lab.Port{Name: vm, Addresses: []string{mac + " " + ip.String()}})
	}
	cfg.Topology.Switches = []lab.Switch{sw}
	s := up(t, cfg, Options{})
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	flows := 0
	for _, c := range s.Chassis() {
		flows += len(c.Flows())
	}
	// A flow for every remote port on every chassis, and one for every tunnel.
	if want := 2 * n * (n - 1); flows < want {
		t.Errorf("%d flows on %d chassis, want at least %d", flows, n, want)
	}
	if r := ping(t, s, "vm0", cfg.Workloads[n-1].IPs[0].Addr().String()); !r.Answered {
		t.Errorf("%+v", r)
	}
	change := time.Now()
	if _, err := s.Zone.Nbctl(within(t), "lsp-set-addresses", "vm0", "0a:00:00:00:ff:ff 10.0.200.1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	settled := time.Since(change)
	t.Logf("%d chassis with %d flows: up in %v, %d MB of heap (%d KB a chassis); a change on all of them in %v", n, flows, took.Round(time.Millisecond),
		(after.HeapAlloc-before.HeapAlloc)>>20, (after.HeapAlloc-before.HeapAlloc)>>10/uint64(n), settled.Round(time.Millisecond))
}
