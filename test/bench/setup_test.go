package main

import (
	"slices"
	"strings"
	"testing"

	"govn/sim/lab"
)

func TestNumbers(t *testing.T) {
	if got, err := numbers("n", "1,20,3", 1, 20); err != nil || !slices.Equal(got, []int{1, 20, 3}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "21", "1,", "x"} {
		if got, err := numbers("n", bad, 1, 20); err == nil || !strings.Contains(err.Error(), "-n ") {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestChoices(t *testing.T) {
	if got, err := choices("systems", "govn,stock", controls...); err != nil || !slices.Equal(got, []string{"govn", "stock"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "ovn", "govn,"} {
		if got, err := choices("systems", bad, controls...); err == nil || !strings.Contains(err.Error(), "-systems ") {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

// The zones of the lab learn each other's network.
func TestICLab(t *testing.T) {
	cfg, err := lab.Parse("ic", []byte(icLab()))
	if err != nil {
		t.Fatal(err)
	}
	for i, z := range cfg.Zones {
		if own := cfg.Zones[1-i].Learns[0].Addr().Next().String(); !slices.ContainsFunc(z.Topology.Nbctl, func(s string) bool { return strings.Contains(s, " "+own+"/24") }) {
			t.Errorf("zone %q has no port %s, the other learns %v: %q", z.Name, own, cfg.Zones[1-i].Learns, z.Topology.Nbctl)
		}
	}
}
