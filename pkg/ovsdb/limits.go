package ovsdb

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits bound what peers can make a server hold or do. Zero stands for the
// default, a negative number for no limit. What goes beyond a limit is counted by
// its name; see Server.LimitMetrics.
type Limits struct {
	// MaxMessage is the size of the longest message accepted, in bytes; a longer
	// one ends the connection, and so does one with more JSON values than an eighth
	// of it. Default 64 MiB. It cannot be without limit.
	MaxMessage int
	// MaxDepth is the deepest nesting of JSON accepted; more ends the connection.
	// Default 100. It cannot be without limit.
	MaxDepth int
	// MaxBacklog is how many bytes may wait for a slow reader before it is
	// dropped; it can go on where it was, with monitor_cond_since. One message of
	// any length may wait. Default 64 MiB.
	MaxBacklog int
	// MaxBuffers is how many bytes all connections together may have of messages
	// that are not complete, are handled (with 48 bytes for each JSON value), or not
	// read, of answers that are made, and of transactions, monitors and names of
	// locks that are kept. Beyond it, the connection that has most is dropped.
	// Default 1 GiB.
	MaxBuffers int64
	// MaxOutstanding is how many transactions of a connection may wait for a
	// condition; one more ends the connection. As many answers may wait for the
	// disk before its next request is read. Default 1000.
	MaxOutstanding int
	// MaxMonitors is how many monitors a connection may have; one more is refused.
	// Default 1000.
	MaxMonitors int
	// MaxLocks is how many locks a connection may ask for; one more is refused.
	// Default 1000.
	MaxLocks int
	// MaxOperations is how many operations a transaction may have, or else is
	// refused. Default 1,000,000.
	MaxOperations int
	// MaxRows is how many rows a transaction may insert, change and delete, or
	// else fails. Default 1,000,000.
	MaxRows int
	// MaxWork is how many rows a transaction may look at, or else fails; rows that
	// it writes, many conditions and large values count for more. Others who write
	// wait for it meanwhile. A monitor, or a change of its conditions, that looks at
	// more is refused. Default 20,000,000, a few seconds.
	MaxWork int
	// MaxConnections is how many connections there may be; the next is closed at
	// once. Default 10,000.
	MaxConnections int
	// HandshakeTimeout is how long a TLS handshake may take, until which a peer is
	// nobody. Default 10 s.
	HandshakeTimeout time.Duration
	// MessageTimeout is how long a message may take from its first byte to its
	// last. Default 2 minutes.
	MessageTimeout time.Duration
}

// withDefaults replaces what is not set.
func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		switch {
		case *p == 0:
			*p = v
		case *p < 0:
			*p = Unlimited
		}
	}
	set(&l.MaxMessage, 64<<20)
	set(&l.MaxDepth, 100)
	set(&l.MaxBacklog, 64<<20)
	set(&l.MaxOutstanding, 1000)
	set(&l.MaxMonitors, 1000)
	set(&l.MaxLocks, 1000)
	set(&l.MaxOperations, 1_000_000)
	set(&l.MaxRows, 1_000_000)
	set(&l.MaxWork, 20_000_000)
	set(&l.MaxConnections, 10_000)
	l.MaxMessage, l.MaxDepth = min(l.MaxMessage, 1<<30), min(l.MaxDepth, 10_000)
	if l.MaxBuffers == 0 {
		l.MaxBuffers = 1 << 30
	}
	if l.HandshakeTimeout == 0 {
		l.HandshakeTimeout = 10 * time.Second
	}
	if l.MessageTimeout == 0 {
		l.MessageTimeout = 2 * time.Minute
	}
	return l
}

// limit is one of Limits, as metrics name it.
type limit int

const (
	limitMessage limit = iota
	limitDepth
	limitBacklog
	limitBuffers
	limitOutstanding
	limitMonitors
	limitLocks
	limitOperations
	limitRows
	limitWork
	limitConnections
	limitHandshake
	limitMessageTime
	limitCount
)

var limitNames = [limitCount]string{
	"message", "depth", "backlog", "buffers", "outstanding", "monitors", "locks", "operations", "rows", "work", "connections", "handshake", "message-time",
}

// ErrLimit is wrapped by errors that say which of Limits a peer has exceeded.
var ErrLimit = errors.New("a limit is exceeded")

// exceeded makes such an error, and counts it; m may be nil.
func (m *meter) exceeded(l limit, format string, args ...any) error {
	if m != nil {
		m.hits[l].Add(1)
	}
	return fmt.Errorf("%w (%s): "+format, append([]any{ErrLimit, limitNames[l]}, args...)...)
}

// meter counts for a server what its peers have and exceed.
type meter struct {
	limits Limits
	hits   [limitCount]atomic.Uint64
	held   atomic.Int64 // bytes of all connections
	// connections are those that were let in and are still there.
	connections atomic.Int64
	// large is taken while a large message is read and its request run, so that
	// what comes of its text is there few times.
	large chan struct{}
	// evict drops the connection that holds most.
	evict func()
}

// smallMessage is up to how many bytes what comes of a message's text is not counted
// while the message is handled.
const smallMessage = 16 << 10

// largeMessage is from how many bytes on a message is handled beside few others.
const largeMessage = 256 << 10

func newMeter(l Limits, evict func()) *meter {
	return &meter{limits: l, large: make(chan struct{}, 2), evict: evict}
}

// holding is what one connection has of the buffers.
type holding struct {
	meter *meter        // nil: nothing is counted
	ended chan struct{} // closed by release

	mu    sync.Mutex
	bytes int64
	gone  bool
}

// add takes n more bytes, or gives them back where n is negative. If that is too
// much for the server, the connection that has most is dropped, which may be this
// one. The caller must not hold the mutex of a codec.
func (h *holding) add(n int64) {
	if h.meter == nil || n == 0 {
		return
	}
	h.mu.Lock()
	if h.gone {
		h.mu.Unlock()
		return
	}
	h.bytes += n
	held := h.meter.held.Add(n)
	h.mu.Unlock()
	if limit := h.meter.limits.MaxBuffers; n > 0 && limit > 0 && held > limit {
		h.meter.evict()
	}
}

// release gives everything back; what comes later is not counted.
func (h *holding) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.meter != nil && !h.gone {
		h.meter.held.Add(-h.bytes)
	}
	if !h.gone {
		close(h.ended)
	}
	h.bytes, h.gone = 0, true
}

// over tells whether release was called.
func (h *holding) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

func (h *holding) now() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// enter waits for the right to handle a message of n bytes; the caller calls
// leave.
func (m *meter) enter(n int) (leave func()) {
	if m == nil || n < largeMessage {
		return func() {}
	}
	m.large <- struct{}{}
	return func() { <-m.large }
}

// admit counts a connection, and tells whether there may be one more.
func (m *meter) admit() error {
	if n := m.connections.Add(1); n > int64(m.limits.MaxConnections) {
		m.connections.Add(-1)
		return m.exceeded(limitConnections, "there are %d connections", m.limits.MaxConnections)
	}
	return nil
}

// evictGreediest drops the session that holds most.
func (srv *Server) evictGreediest() {
	var most *session
	var bytes int64
	for _, s := range srv.attending() {
		if n := s.codec.held.now(); n > bytes {
			most, bytes = s, n
		}
	}
	if most != nil {
		most.codec.fail(srv.meter.exceeded(limitBuffers, "the server holds more than %d bytes for its peers, and most, %d, for this one",
			srv.opts.MaxBuffers, bytes))
	}
}

// limitMetrics are the metrics of Limits, taken when asked for.
type limitMetrics struct {
	srv                                   *Server
	hits, connections, monitors, held, of *prometheus.Desc
}

// LimitMetrics are what peers have and what they were refused or dropped for, by
// the names of the limits, with a label for the database.
func (srv *Server) LimitMetrics(db string) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("govn_ovsdb_"+name, help, labels, prometheus.Labels{"db": db})
	}
	return &limitMetrics{
		srv:         srv,
		hits:        desc("limit_exceeded_total", "How often a peer went beyond a limit.", "limit"),
		of:          desc("limit", "The limits, in their units; seconds for times.", "limit"),
		connections: desc("sessions", "Clients that are connected, by whichever remote."),
		monitors:    desc("monitors", "Monitors of all clients."),
		held:        desc("buffered_bytes", "Bytes of messages that are not complete or not read, and of transactions that wait."),
	}
}

// Describe implements prometheus.Collector.
func (m *limitMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.hits, m.of, m.connections, m.monitors, m.held} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *limitMetrics) Collect(ch chan<- prometheus.Metric) {
	meter, l := m.srv.meter, m.srv.opts.Limits
	of := [limitCount]float64{
		float64(l.MaxMessage), float64(l.MaxDepth), float64(l.MaxBacklog), float64(l.MaxBuffers), float64(l.MaxOutstanding), float64(l.MaxMonitors), float64(l.MaxLocks),
		float64(l.MaxOperations), float64(l.MaxRows), float64(l.MaxWork), float64(l.MaxConnections), l.HandshakeTimeout.Seconds(), l.MessageTimeout.Seconds(),
	}
	for i, name := range limitNames {
		ch <- prometheus.MustNewConstMetric(m.hits, prometheus.CounterValue, float64(meter.hits[i].Load()), name)
		ch <- prometheus.MustNewConstMetric(m.of, prometheus.GaugeValue, of[i], name)
	}
	monitors := 0
	for _, s := range m.srv.attending() {
		s.mu.Lock()
		monitors += len(s.ids)
		s.mu.Unlock()
	}
	ch <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(meter.connections.Load()))
	ch <- prometheus.MustNewConstMetric(m.monitors, prometheus.GaugeValue, float64(monitors))
	ch <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, float64(meter.held.Load()))
}

// another counts a row that a transaction writes, of a table.
func (x *executor) another(t *TableSchema) error {
	x.touched++
	if x.held == nil || x.touched <= x.held.meter.limits.MaxRows {
		return nil
	}
	return errorf(ErrResources, "%v", x.held.meter.exceeded(limitRows, "table %q: the transaction writes more than %d rows", t.Name, x.held.meter.limits.MaxRows))
}

// growth counts an answer while it is made.
type growth struct{ counted int }

// to tells how long the answer is by now, and whether it may grow: the connection
// may have been dropped for it.
func (g *growth) to(h *holding, n int) bool {
	if h == nil || n < g.counted+largeMessage {
		return true
	}
	h.add(int64(n - g.counted))
	g.counted = n
	return !h.over()
}

// settle gives back what was counted.
func (g *growth) settle(h *holding) {
	if h != nil {
		h.add(-int64(g.counted))
	}
	g.counted = 0
}

// overflow counts what a transaction has read so far, to be given back when it
// ends.
func (x *executor) overflow() error {
	if !x.grown.to(x.held, len(x.out)) {
		return errorf(ErrResources, "the results are more than the server may hold")
	}
	return nil
}

func (x *executor) settle() { x.grown.settle(x.held) }
