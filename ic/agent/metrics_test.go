package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// Routes are counted by what becomes of them, connections are told.
func TestMetrics(t *testing.T) {
	a, err := newAgent(Options{NB: "unix:/nb", SB: "unix:/sb", IC: "tcp:centre:1", Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	if err := a.m.register(reg); err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, in: a.in, p: a.p, rows: map[string]row{}}
	b.zone()
	b.other(1, 3, "ts0")
	b.set(&nbRouter{UUID: "r1", Name: "r1", Ports: []string{"r1-net-uuid", "r1-ts0-uuid"}, Options: map[string]string{optionDenyLearn: "11.1.2.0/24"}})
	b.run()
	a.unused()
	b.unset("az1-route0")
	g := *b.rows["g"].(*nbGlobal)
	g.Options = map[string]string{optionLearn: "true"}
	b.set(&g)
	b.run()
	a.unused()
	a.pub.took(time.Millisecond)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetValue())
			}
			value := m.GetGauge().GetValue()
			if h := m.GetHistogram(); h != nil {
				value = float64(h.GetSampleCount())
			}
			got = append(got, fmt.Sprintf("%s %s %v", strings.TrimPrefix(f.GetName(), "govn_ic_agent_"), strings.Join(labels, " "), value))
		}
	}
	slices.Sort(got)
	want := []string{
		"connected OVN_Northbound 0", "connected OVN_Southbound 0", "connected centre 0", "lease_seconds  0", "refusals  0",
		"routes advertised 0", "routes learned 1", "routes_unused advertised off 1", "routes_unused learned denied 1", "write_seconds centre 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
