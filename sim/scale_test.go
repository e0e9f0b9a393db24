package sim

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"govn/sim/lab"
)

var (
	scale         = flag.Int("scale", 30, "chassis of TestScale")
	scaleSwitches = flag.Int("scale.switches", 1, "switches of TestScale; it must divide the chassis")
)

// TestScale brings many chassis up in this process, each with a port of one
// switch, so that it has tunnels to all others of that switch, and pings from the
// first to the last one of a switch.
func TestScale(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	n := *scale
	cfg := &lab.Config{Name: "scale"}
	sw := make([]lab.Switch, *scaleSwitches)
	for i := range sw {
		sw[i].Name = fmt.Sprint("sw", i)
	}
	for i := range n {
		hv, vm := fmt.Sprint("hv", i), fmt.Sprint("vm", i)
		mac := net.HardwareAddr{0x0a, 0, 0, 0, byte(i >> 8), byte(i)}.String()
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		cfg.Chassis = append(cfg.Chassis, lab.Chassis{Name: hv, EncapIP: netip.AddrFrom4([4]byte{172, 31, byte(i >> 8), byte(i)})})
		cfg.Workloads = append(cfg.Workloads, lab.Workload{Name: vm, Port: vm, Chassis: hv, Bridge: "br-int", MAC: mac, IPs: []netip.Prefix{netip.PrefixFrom(ip, 16)}, MTU: 1500})
		on := &sw[i%len(sw)]
		on.Ports = append(on.Ports, lab.Port{Name: vm, Addresses: []string{mac + " " + ip.String()}})
	}
	cfg.Topology.Switches = sw
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := Start(ctx, cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	flows := 0
	for _, c := range s.Chassis() {
		flows += len(c.Flows())
	}
	// A flow for every remote port on every chassis, and one for every tunnel.
	if want := 2 * n * (n/len(sw) - 1); flows < want {
		t.Errorf("%d flows on %d chassis, want at least %d", flows, n, want)
	}
	if r := ping(t, s, "vm0", cfg.Workloads[n-len(sw)].IPs[0].Addr().String()); !r.Answered {
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
	t.Logf("%d chassis, %d switches, %d flows: up in %v, %d MB of heap (%d KB a chassis); a change on all of them in %v", n, len(sw), flows, took.Round(time.Millisecond),
		(after.HeapAlloc-before.HeapAlloc)>>20, (after.HeapAlloc-before.HeapAlloc)>>10/uint64(n), settled.Round(time.Millisecond))
}
