package controller

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// handlers are those of packets that the state of the loop is not needed for,
// and what they count.
type handlers struct {
	fdb        *punt.FDB
	hold       *punt.Hold
	neighbours *punt.Neighbours
	icmp4      *punt.ICMP4
	icmp6      *punt.ICMP6

	probes, advertisements uint64 // sent
}

// handle makes the handlers of punted packets.
func (c *controller) handle() {
	h := &c.handlers
	h.fdb = &punt.FDB{Learn: c.learn, Known: c.known, Count: c.host.LearnedIn}
	h.hold = punt.NewHold(nil)
	h.hold.Send, h.hold.Known, h.hold.Port = c.sendPacket, c.neighbourAt, c.distributed
	h.neighbours = &punt.Neighbours{Learn: c.learnNeighbour, Known: c.neighbourAt, Count: c.host.HeardIn}
	h.icmp4, h.icmp6 = &punt.ICMP4{Send: c.sendPacket}, &punt.ICMP6{Send: c.sendPacket}
	for opcode, fn := range map[uint16]punt.Handler{
		abi.PuntPutFDB:     h.fdb.Handle,
		abi.PuntNDNA:       (&punt.NDNA{Send: c.sendPacket}).Handle,
		abi.PuntNDNARouter: (&punt.NDNA{Send: c.sendPacket, Router: true}).Handle,
		abi.PuntARP:        (&punt.ARP{Hold: h.hold}).Handle,
		abi.PuntNDNS:       (&punt.NDNS{Hold: h.hold}).Handle,
		abi.PuntPutARP:     h.neighbours.HandleARP,
		abi.PuntPutND:      h.neighbours.HandleND,
		abi.PuntICMP4:      h.icmp4.Handle,
		abi.PuntICMP6:      h.icmp6.Handle,
		abi.PuntTCPReset:   (&punt.TCPReset{Send: c.sendPacket}).Handle,
		abi.PuntSCTPAbort:  (&punt.SCTPAbort{Send: c.sendPacket}).Handle,
		abi.PuntNDRAOpts:   (&punt.NDRA{Resume: c.resume}).Handle,
		abi.PuntActivate:   c.activate,
		abi.PuntBindVPort:  (&punt.VirtualPorts{Bind: c.bindVirtual}).Handle,
	} {
		c.punts.Register(opcode, fn)
	}
}

// sendPacket sends a packet of a handler through actions. A connection that is
// away or breaks loses it, as a switch loses packets.
func (c *controller) sendPacket(data []byte, actions []openflow.Action) {
	if c.session == nil {
		return
	}
	if err := c.session.SendPacket(data, actions); err != nil {
		c.log.Debug("packet not sent", "err", err)
	}
}

// resume lets a paused packet go on.
func (c *controller) resume(in *openflow.PacketIn) {
	if c.session == nil {
		return
	}
	if err := c.session.Resume(in); err != nil {
		c.log.Debug("packet not resumed", "err", err)
	}
}

// puntMetrics are the counters of punted packets. What the dispatcher counts is
// collected when it is asked for, the rest is written by the loop.
type puntMetrics struct {
	punts *punt.Dispatcher
	held  prometheus.Gauge
	holds *prometheus.CounterVec
	last  punt.HoldCounters
	other *prometheus.CounterVec
	seen  map[string]float64
}

var puntDesc = prometheus.NewDesc("govn_punt_packets_total",
	"Packets that flows sent to the controller, by cause and by what became of them.", []string{"cause", "verdict"}, nil)

func newPuntMetrics(punts *punt.Dispatcher) *puntMetrics {
	return &puntMetrics{
		punts: punts,
		held: prometheus.NewGauge(prometheus.GaugeOpts{Name: "govn_punt_held",
			Help: "Packets that wait for the Ethernet address of their next hop."}),
		holds: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "govn_punt_held_total",
			Help: "Packets that had to wait for the Ethernet address of their next hop, by what became of them."}, []string{"verdict"}),
		other: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "govn_punt_events_total",
			Help: "Other events of punted packets: requests for neighbours, probes of them, errors that may not be sent, tables that are full, advertisements."}, []string{"event"}),
		seen: map[string]float64{},
	}
}

// Describe is prometheus.Collector.
func (m *puntMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- puntDesc
	m.held.Describe(ch)
	m.holds.Describe(ch)
	m.other.Describe(ch)
}

// Collect is prometheus.Collector.
func (m *puntMetrics) Collect(ch chan<- prometheus.Metric) {
	for opcode, n := range m.punts.Counters() {
		cause := punt.Cause(opcode)
		for verdict, v := range map[string]uint64{"taken": n.Taken - n.Malformed, "malformed": n.Malformed, "limited": n.Limited, "queue_full": n.Full} {
			ch <- prometheus.MustNewConstMetric(puntDesc, prometheus.CounterValue, float64(v), cause, verdict)
		}
	}
	m.held.Collect(ch)
	m.holds.Collect(ch)
	m.other.Collect(ch)
}

// observe brings the counters to what the handlers count.
func (m *puntMetrics) observe(h *handlers) {
	m.held.Set(float64(h.hold.Len()))
	now := h.hold.Counters
	m.holds.WithLabelValues("sent").Add(float64(now.Sent - m.last.Sent))
	m.holds.WithLabelValues("expired").Add(float64(now.Expired - m.last.Expired))
	m.holds.WithLabelValues("full").Add(float64(now.Full - m.last.Full))
	m.last = now
	m.level("request", now.Requests)
	m.level("silent_icmp4", h.icmp4.Silent)
	m.level("silent_icmp6", h.icmp6.Silent)
	m.level("probe", h.probes)
	m.level("advertisement", h.advertisements)
	m.level("fdb_full", h.fdb.Full)
	m.level("neighbours_full", h.neighbours.Full)
}

// level sets a counter to what another one says.
func (m *puntMetrics) level(event string, v uint64) {
	m.other.WithLabelValues(event).Add(float64(v) - m.seen[event])
	m.seen[event] = float64(v)
}

// puntText is what the control socket says about punted packets.
func (c *controller) puntText() string {
	out := ""
	counters := c.punts.Counters()
	for _, op := range sortedKeys(counters) {
		n := counters[op]
		out += punt.Cause(op) + ": taken " + utoa(n.Taken) + ", malformed " + utoa(n.Malformed) + ", limited " + utoa(n.Limited) + ", queue full " + utoa(n.Full) + "\n"
	}
	h := c.hold
	out += "packets held: " + strconv.Itoa(h.Len()) + "; held " + utoa(h.Counters.Held) + ", sent " + utoa(h.Counters.Sent) +
		", expired " + utoa(h.Counters.Expired) + ", dropped " + utoa(h.Counters.Full) + ", requests " + utoa(h.Counters.Requests) + "\n"
	out += "probes " + utoa(c.probes) + ", advertisements " + utoa(c.advertisements) + ", router ports that advertise " + strconv.Itoa(len(c.advertised)) + "\n"
	return out
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
