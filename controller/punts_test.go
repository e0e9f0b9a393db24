package controller

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"govn/controller/punt"
	"govn/pkg/abi"
)

// TestPuntMetrics: every cause has a name, and what is counted is exported.
func TestPuntMetrics(t *testing.T) {
	c := newController(t.Context(), Options{Logger: slog.New(slog.DiscardHandler)})
	unnamed := 0
	for opcode := range c.punts.Counters() {
		if punt.Cause(opcode) == "unknown" {
			unnamed++
		}
	}
	if unnamed != 1 { // what has no handler
		t.Errorf("%d causes have no name", unnamed)
	}
	r := prometheus.NewPedanticRegistry()
	if err := c.m.register(r); err != nil {
		t.Fatal(err)
	}
	p := &punt.Packet{Userdata: []byte{0, abi.PuntPutARP}, Datapath: 3, Inport: 2}
	for range 2 {
		if c.punts.Admit(p) {
			c.punts.Dispatch(p)
		}
	}
	c.hold.Counters.Expired = 3
	c.m.punt.observe(&c.handlers)
	c.hold.Counters.Expired = 5
	c.m.punt.observe(&c.handlers)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{"govn_punt_packets_total put_arp malformed": 2, "govn_punt_packets_total put_arp taken": 0, "govn_punt_held_total expired": 5} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}
