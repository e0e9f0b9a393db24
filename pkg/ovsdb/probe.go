package ovsdb

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// defaultProbe is ovsdb-server's inactivity probe interval, and leastProbe the
// least that it accepts.
const (
	defaultProbe = 5 * time.Second
	leastProbe   = time.Second
)

// prober is the inactivity probe of a connection (ovsdb-server(7), 4.1.11): a
// peer that is silent for an interval is sent an echo request, and given up after
// another one of silence.
//
//	heard --interval--> echo sent, probing --interval--> errProbe
//	  ^------ any byte -------'
type prober struct {
	probing atomic.Bool // an echo is out

	mu       sync.Mutex
	interval time.Duration // 0: never
	armed    bool          // a read deadline is set
}

// setProbe changes the interval, also of a connection that is being read.
func (p *prober) setProbe(conn net.Conn, interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interval == interval {
		return
	}
	p.interval, p.armed = interval, true
	conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader, which arms anew
}

// arm sets the deadline of the next read, of a peer silent since a time, and of a
// message that is due at another, unless that is zero.
func (p *prober) arm(conn net.Conn, since, due time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := since.Add(p.interval); !due.IsZero() && (p.interval == 0 || due.Before(at)) {
		p.armed = true
		return conn.SetReadDeadline(due)
	}
	if p.interval == 0 {
		if !p.armed {
			return nil
		}
		p.armed = false
		return conn.SetReadDeadline(time.Time{})
	}
	p.armed = true
	return conn.SetReadDeadline(since.Add(p.interval))
}

// silent tells whether a silence is long enough to be doubted.
func (p *prober) silent(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interval > 0 && d >= p.interval
}
