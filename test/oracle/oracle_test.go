package oracle

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

var microflows = flag.Int("microflows", 1000, "microflows per topology")

// labs is the directory for the run directories of all labs, which are taken down
// however the tests end.
var labs string

func TestMain(m *testing.M) {
	os.Exit(lab.Guarded("or", func(dir string) int {
		labs = dir
		return m.Run()
	}))
}

// upDummy brings a topology of testdata up on dummy chassis.
func upDummy(t *testing.T, file string, control lab.Control) *lab.Lab {
	t.Helper()
	cfg, err := lab.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(labs, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // last of all
	l, err := lab.New(cfg, lab.Options{Name: filepath.Base(labs) + "-" + filepath.Base(dir), Dir: filepath.Join(dir, "run"), Control: control, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	err = l.Up(t.Context())
	if err != nil && control == lab.ControlStock {
		// ovn-controller 23.03 now and then never claims an interface that is there.
		t.Logf("stock OVN, once more: %v", err)
		if err := l.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = l.Up(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Stock OVN agrees with itself, by ovn-trace on its southbound database and
// ofproto/trace on its chassis, and with govn in the simulator.
func TestStock(t *testing.T) {
	stock(t, "testdata/*.yaml", *microflows, true)
}

// The same with routers. There are fewer microflows, because ovn-trace has to be
// started again after some; TestOracle has all.
func TestStockRouting(t *testing.T) {
	stock(t, "testdata/routing/*.yaml", *microflows/4, false)
}

// stock compares the judges on the topologies that a pattern names, by n microflows
// each.
func stock(t *testing.T, pattern string, n int, simulated bool) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no topologies: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			if cfg, err := lab.Load(file); err != nil || Outside(cfg) {
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("ovn-trace cannot be asked about physical networks")
				return
			}
			l := upDummy(t, file, lab.ControlStock)
			if err := LearnFDB(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			trace, err := StartOVNTrace(t.Context(), "stock ovn-trace", l)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := trace.Close(); err != nil {
					t.Error(err)
				}
			}()
			of, err := NewOFProto(t.Context(), "stock ofproto/trace", l)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := of.Close(); err != nil {
					t.Error(err)
				}
			}()
			engines := []Engine{of, trace}
			if simulated {
				sm, err := NewSimulator(t.Context(), "govn in the simulator", l.Config())
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := sm.Close(); err != nil {
						t.Error(err)
					}
				}()
				engines = append(engines, sm)
			}
			r, err := Compare(t.Context(), l.Config(), Generate(l.Config(), 1, n), engines...)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			if len(r.Differences) > 0 {
				t.Errorf("%d differences", len(r.Differences))
			}
			if r.Delivered < n/10 {
				t.Errorf("%d of %d microflows are delivered: the test sees too little", r.Delivered, n)
			}
		})
	}
}
