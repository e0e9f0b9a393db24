package controller

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a controller.
type metrics struct {
	gateway                                                    gatewayMetrics
	frames, resyncs, connects, punts, refused, executed        prometheus.Counter
	bfdChanges                                                 *prometheus.CounterVec
	bfdSessions, bfdSessionsUp                                 prometheus.Gauge
	bundles                                                    prometheus.Histogram
	wanted, installed, quarantined, tunnels, received, applied prometheus.Gauge
	punt                                                       *puntMetrics
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "govn_controller", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "govn_controller", Name: name, Help: help})
	}
	return &metrics{
		gateway:  newGatewayMetrics(),
		frames:   counter("frames_total", "Chunks of frames received."),
		resyncs:  counter("resyncs_total", "Times that the digest of the state differed from northd's."),
		connects: counter("openflow_connects_total", "Connections made to the integration bridge."),
		punts:    counter("packets_in_total", "Packets that flows sent to the controller."),
		refused:  counter("refused_total", "Flows and items that could not be used."),
		executed: counter("units_executed_total", "Functions that ran to compute flows."),
		bfdChanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "govn_controller", Name: "bfd_changes_total", Help: "Changes of BFD sessions of router ports, by their new state.",
		}, []string{"state"}),
		bfdSessions:   gauge("bfd_sessions", "BFD sessions of router ports that run here."),
		bfdSessionsUp: gauge("bfd_sessions_up", "BFD sessions of router ports that are up."),
		bundles: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "govn_controller", Name: "bundle_seconds", Help: "Time from the first message of a bundle until Open vSwitch has applied it.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}),
		wanted:      gauge("flows_wanted", "Flows that are wanted, shadowed ones included."),
		installed:   gauge("flows_installed", "Flows in Open vSwitch."),
		quarantined: gauge("quarantined", "Bodies, items and objects that are left out."),
		tunnels:     gauge("tunnels", "Tunnels to other chassis."),
		received:    gauge("revision_received", "Revision of the state."),
		applied:     gauge("revision_applied", "Revision whose flows are in Open vSwitch."),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	var all error
	for _, c := range []prometheus.Collector{
		m.frames, m.resyncs, m.connects, m.punts, m.refused, m.executed, m.bundles,
		m.bfdChanges, m.bfdSessions, m.bfdSessionsUp,
		m.wanted, m.installed, m.quarantined, m.tunnels, m.received, m.applied, m.punt,
	} {
		all = errors.Join(all, r.Register(c))
	}
	return errors.Join(all, m.gateway.register(r))
}

// observe sets the gauges after a round.
func (c *controller) observe() {
	wanted, installed := c.table.Len()
	c.m.wanted.Set(float64(wanted))
	c.m.installed.Set(float64(installed))
	c.m.quarantined.Set(float64(len(c.failures) + len(c.barred) + len(c.badItems)))
	c.countBFD()
	c.m.tunnels.Set(float64(c.tunnels.Len()))
	c.m.received.Set(float64(c.state.Revision().GetNumber()))
	c.m.applied.Set(float64(c.applied.GetNumber()))
	c.m.punt.observe(&c.handlers)
}
