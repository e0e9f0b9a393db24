//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
	"govn/test/oracle"
)

// Random microflows have the verdict and rewrites of stock OVN.
func TestOracle(t *testing.T) {
	oracles(t, "../oracle/testdata/*.yaml")
}

// The same with routers and gateways.
func TestOracleRouting(t *testing.T) {
	oracles(t, "../oracle/testdata/routing/*.yaml")
}

// oracles compares the topologies that a pattern names, which may have one list of
// alternatives in braces.
func oracles(t *testing.T, pattern string) {
	var files []string
	head, rest, _ := strings.Cut(pattern, "{")
	words, tail, _ := strings.Cut(rest, "}")
	for word := range strings.SplitSeq(words, ",") {
		list, err := filepath.Glob(head + word + tail)
		if err != nil || len(list) == 0 {
			t.Fatalf("no topologies %q: %v", head+word+tail, err)
		}
		files = append(files, list...)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			cfg := load(t, file)
			seed := *microflowSeed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			compare(t, cfg, seed, 1000)
		})
	}
}

// Random topologies with routers. A failure prints the topology and the seed that
// makes it again (-seed).
func TestOracleRandom(t *testing.T) {
	first := *randomSeed
	if first == 0 {
		first = uint64(time.Now().UnixNano()) >> 20
	}
	for seed := first; seed < first+uint64(*randomTopologies); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg, text, err := oracle.Random(seed)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if judged(t, cfg, seed, 300); t.Failed() {
				t.Logf("the topology of seed %d:\n%s", seed, text)
			}
		})
	}
}

var (
	randomSeed       = flag.Uint64("seed", 1, "of the first random topology; 0: by the clock")
	microflowSeed    = flag.Uint64("microflows", 0, "seed of the microflows in given topologies, as a failure prints it; 0: by the clock")
	randomTopologies = flag.Int("topologies", 3, "how many random topologies")
)

// compare compares n microflows by all engines; enough of them must get somewhere.
func compare(t *testing.T, cfg *lab.Config, seed uint64, n int) {
	t.Helper()
	r := judged(t, cfg, seed, n)
	if r.Unjudged > n/5 || r.Delivered < n/10 {
		t.Errorf("%d microflows are judged by one engine only, %d are delivered: the test sees too little", r.Unjudged, r.Delivered)
	}
}

// judged brings govn and stock up side by side, and govn in the simulator, and
// compares n microflows by all engines.
func judged(t *testing.T, cfg *lab.Config, seed uint64, n int) *oracle.Report {
	t.Helper()
	t.Logf("seed %d", seed)
	var engines []oracle.Engine
	for _, control := range []lab.Control{lab.ControlGovn, lab.ControlStock} {
		l := up(t, cfg, control)
		if err := oracle.LearnFDB(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		of, err := oracle.NewOFProto(t.Context(), string(control)+" ofproto/trace", l)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeOf(t, of) })
		engines = append(engines, of)
		if control == lab.ControlStock || oracle.Outside(cfg) {
			continue
		}
		trace, err := oracle.StartOVNTrace(t.Context(), "ovn-trace on govn", l)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeOf(t, trace) })
		engines = append(engines, trace)
	}
	simulator, err := oracle.NewSimulator(t.Context(), "govn in the simulator", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOf(t, simulator) })
	engines = append(engines, simulator)
	r, err := oracle.Compare(t.Context(), cfg, oracle.Generate(cfg, seed, n), engines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if len(r.Differences) > 0 {
		t.Errorf("%d differences", len(r.Differences))
	}
	return r
}

func closeOf(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
