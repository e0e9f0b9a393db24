//go:build e2e

package e2e

import (
	"testing"
	"time"

	"govn/sim/lab"
	"govn/test/oracle"
)

// TestOracleInterconnect: random microflows in two zones that are linked have the
// verdict and rewrites of stock OVN, followed from one zone into the other.
func TestOracleInterconnect(t *testing.T) {
	const file, n = "../oracle/testdata/interconnect/two-zones.yaml", 500
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var engines []oracle.Engine
	for _, control := range []lab.Control{lab.ControlGovn, lab.ControlStock} {
		l := up(t, load(t, file), control)
		of, err := oracle.NewOFProto(t.Context(), string(control)+" ofproto/trace", l)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeOf(t, of) })
		engines = append(engines, of)
	}
	cfg := load(t, file)
	simulator, err := oracle.NewSimulator(t.Context(), "govn in the simulator", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOf(t, simulator) })
	engines = append(engines, simulator)
	whole := oracle.Whole(cfg)
	flows := oracle.Generate(whole, seed, n)
	r, err := oracle.Compare(t.Context(), whole, flows, engines...)
	if err != nil {
		t.Fatal(err)
	}
	crossed := oracle.Crossed(cfg, flows, r)
	t.Logf("%v\n%d go from one zone to the other", r, crossed)
	if len(r.Differences) > 0 {
		t.Errorf("%d differences", len(r.Differences))
	}
	if r.Unjudged > n/5 || r.Delivered < n/10 || crossed < n/100 {
		t.Errorf("%d microflows are judged by one engine only, %d are delivered, %d in the other zone: the test sees too little", r.Unjudged, r.Delivered, crossed)
	}
}
