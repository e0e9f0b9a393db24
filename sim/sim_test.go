package sim

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"govn/sim/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const twoHypervisors = "../docs/examples/two-hypervisors.yaml"

// up starts a lab file.
func up(t testing.TB, file string, o Options) *Scenario {
	t.Helper()
	cfg, err := lab.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, cfg, o)
}

func start(t testing.TB, cfg *lab.Config, o Options) *Scenario {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s, err := Start(ctx, cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ping(t testing.TB, s *Scenario, from, to string) *PingResult {
	t.Helper()
	r, err := s.Station(from).Ping(t.Context(), netip.MustParseAddr(to))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A ping goes through the tunnel with the metadata that OVN defines, by the
// unchanged controller.
func TestPing(t *testing.T) {
	s := up(t, twoHypervisors, Options{Trace: true})
	s.KeepUnderlay()
	r := ping(t, s, "vm1", "10.0.0.12")
	if !r.Answered || r.TTL != 64 {
		t.Fatalf("%+v", r)
	}
	var ports []string
	for _, c := range s.Underlay() {
		o, _, err := decapsulate(c.Data)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, o.Geneve.VNI.String()+" "+o.Ports.String())
	}
	if want := []string{"vni 0x1 00010002", "vni 0x1 00020001"}; !slices.Equal(ports, want) {
		t.Errorf("on the underlay: %q, want %q", ports, want)
	}
	for _, j := range r.Journeys {
		j.Walk(func(d *Node) {
			t.Logf("%v %s %s->%s end=%q", d.Kind, d.At.Format("05.000000"), d.Where, d.To, d.End)
			ls, err := s.Explain(t.Context(), d.Where, d.Trace)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range ls {
				t.Logf("   %d %+v %+v %s %v", l.Table, l.Stage, l.Logical, l.Purpose, l.ObjectNames())
			}
		})
	}
}
