package northd

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	rounds, executed prometheus.Counter
	took             prometheus.Histogram
	nodes, edges     prometheus.Gauge
	revision         prometheus.Gauge
}

// newMetrics makes the metrics of the compiler; reg may be nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		rounds:   prometheus.NewCounter(prometheus.CounterOpts{Name: "govn_northd_rounds_total", Help: "Rounds of the compiler."}),
		executed: prometheus.NewCounter(prometheus.CounterOpts{Name: "govn_northd_queries_total", Help: "Queries and units that were evaluated."}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "govn_northd_round_seconds", Help: "Time of a round.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10)}),
		nodes:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "govn_northd_nodes", Help: "Nodes of the incremental engine."}),
		edges:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "govn_northd_edges", Help: "Recorded reads of the incremental engine."}),
		revision: prometheus.NewGauge(prometheus.GaugeOpts{Name: "govn_northd_revision", Help: "Database revision that was compiled last."}),
	}
	if reg != nil {
		reg.MustRegister(m.rounds, m.executed, m.took, m.nodes, m.edges, m.revision)
	}
	return m
}

func (m *metrics) round(r Round) {
	m.rounds.Inc()
	m.executed.Add(float64(r.Executed))
	m.took.Observe(r.Took.Seconds())
	m.nodes.Set(float64(r.Nodes))
	m.edges.Set(float64(r.Edges))
	m.revision.Set(float64(r.Revision))
}
