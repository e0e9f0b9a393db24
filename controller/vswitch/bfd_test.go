package vswitch

import (
	"maps"
	"testing"

	"govn/test/ovstest"
)

// BFD of a tunnel follows the wish, key by key; what others set stays.
func TestBFD(t *testing.T) {
	ovs := ovstest.Start(t, ovstest.Options{})
	w := start(t, ovs.DB)
	tunnel := Tunnel{Chassis: "gw1", IP: "203.0.113.2"}
	want := func(b BFD, keys map[string]string) {
		t.Helper()
		tunnel.BFD = b
		w.c.Want(&Wish{Bridge: "br-int", Ports: true, Tunnels: Tunnels{}.With(tunnel.ID(), tunnel)})
		w.until("BFD as wished", func() bool {
			w.c.mu.Lock()
			defer w.c.mu.Unlock()
			if w.c.t == nil {
				return false
			}
			for _, i := range w.c.t.ifaces {
				if i.Name == "ovn-gw1-0" {
					return maps.Equal(i.BFD, keys)
				}
			}
			return false
		})
	}
	want(BFD{}, map[string]string{})
	want(BFD{Enable: true, MinRx: 200, MinTx: 100, Mult: 3, PathDown: true},
		map[string]string{"enable": "true", "min_rx": "200", "min_tx": "100", "mult": "3", "cpath_down": "true"})
	w.until("a status", func() bool { return w.ifaces["ovn-gw1-0"].BFDStatus["state"] != "" })
	if up, forwarding := w.ifaces["ovn-gw1-0"].BFDState(); up || forwarding {
		t.Errorf("BFD to nowhere is up: %v", w.ifaces["ovn-gw1-0"].BFDStatus)
	}
	ovs.Vsctl("set", "interface", "ovn-gw1-0", "bfd:oam=true")
	want(BFD{Enable: true, MinRx: 300}, map[string]string{"enable": "true", "min_rx": "300", "oam": "true"})
	want(BFD{}, map[string]string{"oam": "true"})
}
