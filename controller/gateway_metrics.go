package controller

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// gatewayMetrics are those of tunnels that BFD watches and of ports that one of
// several chassis hosts.
type gatewayMetrics struct {
	changes, takeovers, announced prometheus.Counter
	watched, up, hosting          prometheus.Gauge
}

func newGatewayMetrics() gatewayMetrics {
	counter := func(namespace, name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	gauge := func(namespace, name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	return gatewayMetrics{
		changes:   counter("govn_bfd", "tunnel_changes_total", "Times that BFD on a tunnel came up, went down or was forbidden to forward."),
		watched:   gauge("govn_bfd", "chassis", "Chassis that BFD on tunnels watches."),
		up:        gauge("govn_bfd", "chassis_up", "Chassis that BFD on tunnels watches and hears."),
		takeovers: counter("govn_gateway", "takeovers_total", "Times that this chassis began to host the ports of an HA group."),
		announced: counter("govn_gateway", "announcements_total", "Gratuitous ARP, neighbour advertisements and reverse ARP sent."),
		hosting:   gauge("govn_gateway", "groups", "HA groups whose ports this chassis hosts."),
	}
}

func (m *gatewayMetrics) register(r prometheus.Registerer) error {
	var all error
	for _, c := range []prometheus.Collector{m.changes, m.watched, m.up, m.takeovers, m.announced, m.hosting} {
		all = errors.Join(all, r.Register(c))
	}
	return all
}
