package agent

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of an agent.
type metrics struct {
	routes   *prometheus.GaugeVec // by direction
	unused   *prometheus.GaugeVec // by direction and reason
	refusals prometheus.Gauge
	writes   *prometheus.HistogramVec
	a        *agent
}

func newMetrics(a *agent) *metrics {
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "govn_ic_agent", Name: name, Help: help}
	}
	return &metrics{
		a:        a,
		routes:   prometheus.NewGaugeVec(gauge("routes", "Routes that others are told (advertised), and that routers have from others (learned)."), []string{"direction"}),
		unused:   prometheus.NewGaugeVec(gauge("routes_unused", "Routes that others are not told, or that routers do not use, by reason."), []string{"direction", "reason"}),
		refusals: prometheus.NewGauge(gauge("refusals", "Things that the centre does not take.")),
		writes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "govn_ic_agent", Name: "write_seconds", Help: "Time from a change until what follows from it was written.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"to"}),
	}
}

// register registers all, with the state of the connections.
func (m *metrics) register(reg prometheus.Registerer) (err error) {
	add := func(c prometheus.Collector) { err = errors.Join(err, reg.Register(c)) }
	connected := func(to string, fn func() bool) {
		add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "govn_ic_agent", Name: "connected", Help: "Whether there is a connection.", ConstLabels: prometheus.Labels{"to": to},
		}, func() float64 {
			if fn() {
				return 1
			}
			return 0
		}))
	}
	for _, r := range m.a.replicas {
		connected(r.name, func() bool { return r.snapshot().Connected })
	}
	if c := m.a.centre; c != nil {
		connected("centre", func() bool { return c.current() != nil })
		add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "govn_ic_agent", Name: "lease_seconds", Help: "Time after which the centre gives up a zone that it does not hear.",
		}, func() float64 {
			if s := c.current(); s != nil {
				return s.lease.Seconds()
			}
			return 0
		}))
	}
	add(m.routes)
	add(m.unused)
	add(m.refusals)
	add(m.writes)
	return err
}

// took notes how long a change took until it was written.
func (m *metrics) took(to string, d time.Duration) { m.writes.WithLabelValues(to).Observe(d.Seconds()) }

// count notes that a route is not used for another reason than before.
func (m *metrics) count(direction string, old, now *verdict) {
	if old != nil {
		m.unused.WithLabelValues(direction, old.reason.String()).Dec()
	}
	if now != nil {
		m.unused.WithLabelValues(direction, now.reason.String()).Inc()
	}
}

func (m *metrics) sizes(a *agent) {
	m.routes.WithLabelValues("advertised").Set(float64(a.p.icRoutes.Len()))
	m.routes.WithLabelValues("learned").Set(float64(a.p.routes.Len()))
	if a.pub != nil {
		m.refusals.Set(float64(len(a.pub.refused)))
	}
}
