package ovsdb

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// remoteMetrics are the metrics of a server's remotes, taken when asked for. They
// go with their remote.
type remoteMetrics struct {
	srv                                      *Server
	connections, handshakes, probes, failing *prometheus.Desc
}

// RemoteMetrics are the connections by remote and what failed there, with a label
// for the database.
func (srv *Server) RemoteMetrics(db string) prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("govn_ovsdb_"+name, help, []string{"remote"}, prometheus.Labels{"db": db})
	}
	return &remoteMetrics{
		srv:         srv,
		connections: desc("connections", "Clients that are connected."),
		handshakes:  desc("handshake_failures_total", "TLS handshakes that failed."),
		probes:      desc("probe_failures_total", "Clients given up because they did not answer an inactivity probe."),
		failing:     desc("remote_failing", "1 for each remote that is wanted and cannot be opened."),
	}
}

// Describe implements prometheus.Collector.
func (m *remoteMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connections, m.handshakes, m.probes, m.failing} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *remoteMetrics) Collect(ch chan<- prometheus.Metric) {
	rs := m.srv.remotes.Load()
	if rs == nil {
		return
	}
	for _, r := range rs.list() {
		r.mu.Lock()
		n := len(r.sessions)
		r.mu.Unlock()
		ch <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(n), r.name)
		ch <- prometheus.MustNewConstMetric(m.handshakes, prometheus.CounterValue, float64(r.handshakes.Load()), r.name)
		ch <- prometheus.MustNewConstMetric(m.probes, prometheus.CounterValue, float64(r.probes.Load()), r.name)
	}
	rs.mu.Lock()
	failing := slices.Collect(maps.Keys(rs.failing))
	rs.mu.Unlock()
	for _, name := range failing {
		ch <- prometheus.MustNewConstMetric(m.failing, prometheus.GaugeValue, 1, name)
	}
}
