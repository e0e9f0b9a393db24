package bfd

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// link is two sessions and the wire between them; its clock jumps from event to
// event.
type link struct {
	t       *testing.T
	now     time.Time
	end     [2]*Session
	changes [2][]Change
	sent    [2][]time.Time
	flight  []flight
	latency time.Duration
	loss    float64 // of packets
	cut     bool
	rand    *rand.Rand
}

type flight struct {
	at time.Time
	to int
	b  []byte
}

func newLink(t *testing.T, seed uint64, a, b Config) *link {
	t.Helper()
	l := &link{t: t, now: time.Unix(1000, 0), rand: rand.New(rand.NewPCG(seed, 1))}
	a.Discr, b.Discr = 0xa, 0xb
	for i, c := range []Config{a, b} {
		c.Changed = func(c Change) { l.changes[i] = append(l.changes[i], c) }
		c.Jitter = l.rand.Float64
		s, err := New(l.now, c)
		if err != nil {
			t.Fatal(err)
		}
		l.end[i] = s
	}
	return l
}

// run lets time pass until d from now or until done says so; it tells which.
func (l *link) run(d time.Duration, done func() bool) bool {
	l.t.Helper()
	until := l.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			l.t.Fatal("the sessions do not come to rest")
		}
		l.flush()
		if done != nil && done() {
			return true
		}
		next := until
		if len(l.flight) > 0 && l.flight[0].at.Before(next) {
			next = l.flight[0].at
		}
		for _, s := range l.end {
			if n := s.Next(); !n.IsZero() && n.Before(next) {
				next = n
			}
		}
		if !next.Before(until) {
			l.now = until
			return false
		}
		if next.Before(l.now) {
			l.t.Fatalf("asked for %v, which has passed", l.now.Sub(next))
		}
		l.now = next
		for len(l.flight) > 0 && !l.flight[0].at.After(l.now) {
			f := l.flight[0]
			l.flight = l.flight[1:]
			p, err := Decode(f.b)
			if err != nil {
				l.t.Fatalf("%x: %v", f.b, err)
			}
			_ = l.end[f.to].Receive(l.now, p)
		}
	}
}

// flush lets both send what is due.
func (l *link) flush() {
	for i, s := range l.end {
		for n := 0; ; n++ {
			p, ok := s.Transmit(l.now)
			if !ok {
				break
			}
			if n > 3 {
				l.t.Fatalf("end %d sends without end: %v", i, p)
			}
			if p.Poll && p.Final {
				l.t.Errorf("end %d sends poll and final together: %v", i, p)
			}
			l.sent[i] = append(l.sent[i], l.now)
			if l.cut || l.rand.Float64() < l.loss {
				continue
			}
			l.flight = append(l.flight, flight{l.now.Add(l.latency), 1 - i, p.Append(nil)})
			slices.SortStableFunc(l.flight, func(a, b flight) int { return a.at.Compare(b.at) })
		}
	}
}

func (l *link) up() bool { return l.end[0].State() == Up && l.end[1].State() == Up }

func (l *link) mustUp(d time.Duration) {
	l.t.Helper()
	if !l.run(d, l.up) {
		l.t.Fatalf("not up after %v: %+v and %+v", d, l.end[0].Status(), l.end[1].Status())
	}
}

// wentDown counts the times that an end left the state up.
func (l *link) wentDown() (n int) {
	for _, cs := range l.changes {
		for _, c := range cs {
			if c.Old == Up {
				n++
			}
		}
	}
	return n
}
