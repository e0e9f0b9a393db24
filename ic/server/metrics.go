package server

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of the centre. They exist without a registry, too.
type metrics struct {
	refusedStreams prometheus.Counter
	garbage        prometheus.Counter
	expired        prometheus.Counter
	refusedWrites  *prometheus.CounterVec // by: grpc, ovsdb
	updates        *prometheus.CounterVec // type: whole, difference
	items          *prometheus.CounterVec // type
}

// newMetrics makes the metrics. A registry that has them already is the caller's
// mistake and panics, as with MustRegister.
func newMetrics(r prometheus.Registerer, c *Centre) *metrics {
	const ns = "govn_ic_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: ns + name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: ns + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, f func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ns + name, Help: help}, func() float64 { return float64(f()) })
	}
	m := &metrics{
		refusedStreams: counter("streams_refused_total", "Streams of zones that were refused."),
		garbage:        counter("garbage_total", "Streams ended because of what the peer sent."),
		expired:        counter("leases_expired_total", "Leases that ended, and the zone's routes with them."),
		refusedWrites:  vector("writes_refused_total", "Writes of zones that were refused, by protocol.", "by"),
		updates:        vector("updates_total", "Updates sent to zones, by type.", "type"),
		items:          vector("update_items_total", "Items in updates sent to zones, by type of update.", "type"),
	}
	if r != nil {
		r.MustRegister(m.refusedStreams, m.garbage, m.expired, m.refusedWrites, m.updates, m.items,
			gauge("streams", "Zones that have a stream.", func() int { return c.count(func(h *hub) int { return len(h.streams) }) }),
			gauge("zones", "Zones that are known.", func() int { return c.count(func(h *hub) int { return h.kinds(kindZone) }) }),
			gauge("zones_alive", "Zones for which somebody speaks.", c.zones.alive),
			gauge("switches", "Transit switches.", func() int { return c.count(func(h *hub) int { return h.kinds(kindSwitch) }) }),
			gauge("ports", "Ports of zones on transit switches.", func() int { return c.count(func(h *hub) int { return h.kinds(kindPort) }) }),
			gauge("routes", "Routes that zones advertise.", func() int { return c.count(func(h *hub) int { return h.kinds(kindRoute) }) }),
			gauge("conflicts", "Prefixes that overlap with those of another zone.", func() int { return c.count(func(h *hub) int { return h.conflicts.count }) }))
	}
	return m
}

// count reads a figure of the hub.
func (c *Centre) count(f func(*hub) int) int {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return f(c.hub)
}

// kinds counts the items of a kind. h.mu is held.
func (h *hub) kinds(k kind) int { return h.number[k] }

func (r *registry) alive() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, z := range r.zones {
		if z.live() {
			n++
		}
	}
	return n
}
