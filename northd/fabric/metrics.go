package fabric

import (
	"github.com/prometheus/client_golang/prometheus"

	"govn/proto"
)

// metrics are the counters of a server. They exist without a registry, too.
type metrics struct {
	streams   prometheus.Gauge
	backlog   prometheus.GaugeFunc
	frames    *prometheus.CounterVec // type: snapshot, difference, empty
	bytes     *prometheus.CounterVec // kind of item; "message" is all that was sent
	kinds     map[proto.Kind]prometheus.Counter
	message   prometheus.Counter
	snapshots prometheus.Gauge
	resyncs   prometheus.Counter
	misses    prometheus.Counter
	refused   prometheus.Counter
	garbage   prometheus.Counter
	reports   prometheus.Counter
	throttled prometheus.Counter
	ackLag    prometheus.Histogram
}

// newMetrics makes the metrics. A registry that has them already, or has others
// of the name, is the caller's mistake and panics, as with MustRegister.
func newMetrics(r prometheus.Registerer, backlog func() float64) *metrics {
	const ns = "govn_fabric_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: ns + name, Help: help})
	}
	m := &metrics{
		streams:   prometheus.NewGauge(prometheus.GaugeOpts{Name: ns + "streams", Help: "Chassis that are connected."}),
		backlog:   prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ns + "backlog", Help: "Revisions not sent yet, of the stream that is furthest behind."}, backlog),
		frames:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: ns + "frames_total", Help: "Frames sent, by type."}, []string{"type"}),
		bytes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: ns + "bytes_total", Help: "Bytes of keys and values sent, by kind of item; of whole messages, for kind \"message\"."}, []string{"kind"}),
		kinds:     map[proto.Kind]prometheus.Counter{},
		snapshots: prometheus.NewGauge(prometheus.GaugeOpts{Name: ns + "snapshots", Help: "Snapshots that are being sent."}),
		resyncs:   counter("resyncs_total", "Snapshots that a chassis asked for because a digest differed."),
		misses:    counter("log_misses_total", "Differences computed from trees because the log did not reach back."),
		refused:   counter("refused_total", "Streams that were refused."),
		garbage:   counter("garbage_total", "Streams ended because of what the peer sent, and connections without a stream."),
		reports:   counter("reports_total", "Reports received."),
		throttled: counter("throttled_seconds_total", "Time for which reports were not read, because of their rate."),
		ackLag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: ns + "ack_seconds", Help: "From a frame sent to the acknowledgement that it is applied.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
	}
	for _, k := range proto.Kind_value {
		m.kind(proto.Kind(k))
	}
	m.message = m.bytes.WithLabelValues("message")
	if r != nil {
		r.MustRegister(m.streams, m.backlog, m.frames, m.bytes, m.snapshots, m.resyncs, m.misses, m.refused,
			m.garbage, m.reports, m.throttled, m.ackLag)
	}
	return m
}

// kind is the counter for the bytes of a kind; kinds that this version does not
// know count together. Only newMetrics adds to the map.
func (m *metrics) kind(k proto.Kind) prometheus.Counter {
	if name, known := proto.Kind_name[int32(k)]; known && m.kinds[k] == nil {
		m.kinds[k] = m.bytes.WithLabelValues(name)
	}
	if c := m.kinds[k]; c != nil {
		return c
	}
	return m.kinds[proto.Kind_KIND_UNSPECIFIED]
}
