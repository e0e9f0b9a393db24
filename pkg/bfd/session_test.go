package bfd

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = time.Millisecond

func conf(tx, rx time.Duration, mult uint8) Config { return Config{MinTx: tx, MinRx: rx, Mult: mult} }

// Up within 2 s without loss, the timers of the slower side, one second before.
func TestComesUp(t *testing.T) {
	l := newLink(t, 1, conf(100*ms, 300*ms, 3), conf(200*ms, 50*ms, 5))
	l.mustUp(2 * time.Second)
	l.run(5*time.Second, nil)
	a, b := l.end[0].Status(), l.end[1].Status()
	if a.Tx != 100*ms || b.Tx != 300*ms || a.Detection != 1500*ms || b.Detection != 300*ms {
		t.Errorf("negotiated %v, %v and detection %v, %v", a.Tx, b.Tx, a.Detection, b.Detection)
	}
	if a.Polling || b.Polling || a.Flaps != 1 || a.RemoteDiscr != 0xb || a.RemoteState != Up {
		t.Errorf("status %+v", a)
	}
}

// Not up, at most one packet in 750 ms beside those of state changes.
func TestSlowWhileDown(t *testing.T) {
	l := newLink(t, 2, conf(10*ms, 10*ms, 3), conf(10*ms, 10*ms, 3))
	l.cut = true
	l.run(60*time.Second, nil)
	for i := range l.sent {
		if n := len(l.sent[i]); n < 60 || n > 81 {
			t.Errorf("end %d sent %d packets in a minute", i, n)
		}
	}
}

func TestPeerSaysDown(t *testing.T) {
	l := newLink(t, 3, conf(100*ms, 100*ms, 3), conf(100*ms, 100*ms, 3))
	l.mustUp(2 * time.Second)
	c := conf(100*ms, 100*ms, 3)
	c.Discr, c.Admin = 0xb, true
	if err := l.end[1].Configure(l.now, c); err != nil {
		t.Fatal(err)
	}
	l.run(time.Millisecond, nil) // told at once
	if s := l.end[0].Status(); s.State != Down || s.Diag != DiagNeighbor || s.RemoteState != AdminDown || s.RemoteDiag != DiagAdminDown {
		t.Errorf("status %+v", s)
	}
	l.run(10*time.Second, nil)
	if s := l.end[1].Status(); s.State != AdminDown || s.Diag != DiagAdminDown {
		t.Errorf("status %+v", s)
	}
	c.Admin = false
	if err := l.end[1].Configure(l.now, c); err != nil {
		t.Fatal(err)
	}
	l.mustUp(3 * time.Second)
}

// A peer that starts anew has another discriminator and knows none of ours.
func TestPeerRestarts(t *testing.T) {
	l := newLink(t, 4, conf(100*ms, 100*ms, 3), conf(100*ms, 100*ms, 3))
	l.mustUp(2 * time.Second)
	c := l.end[1].c
	c.Discr = 0xbb
	l.end[1], _ = New(l.now, c)
	l.run(ms, nil)
	l.mustUp(3 * time.Second)
	if s := l.end[0].Status(); s.RemoteDiscr != 0xbb || s.Flaps != 3 {
		t.Errorf("status %+v", s)
	}
}

// An end that starts again with the same discriminator goes on: the peer sees
// nothing of it.
func TestResume(t *testing.T) {
	l := newLink(t, 6, conf(100*ms, 100*ms, 3), conf(100*ms, 100*ms, 3))
	l.mustUp(3 * time.Second)
	l.run(2*time.Second, nil)
	c := l.end[0].c
	c.Resume = true
	l.end[0], _ = New(l.now, c)
	l.changes[0] = nil
	if s := l.end[0].Status(); !s.Resuming {
		t.Errorf("status %+v", s)
	}
	l.run(250*ms, nil)
	if n := l.wentDown(); n != 0 || !l.up() || len(l.changes[0]) != 1 {
		t.Errorf("went down %d times: %+v, changes %v", n, l.end[0].Status(), l.changes[0])
	}
	l.run(time.Minute, nil)
	if n := l.wentDown(); n != 0 || !l.up() {
		t.Errorf("later went down %d times", n)
	}
	// With nobody there it is down after its time, and comes up as any other.
	l.cut = true
	l.run(time.Second, nil)
	l.end[0], _ = New(l.now, c)
	l.changes[0] = nil
	l.run(290*ms, nil)
	if s := l.end[0].Status(); !s.Resuming || len(l.changes[0]) != 0 || s.Sent != 0 {
		t.Errorf("status %+v", s)
	}
	l.run(20*ms, nil)
	if s := l.end[0].Status(); s.Resuming || len(l.changes[0]) != 1 || l.changes[0][0].New != Down || s.Sent != 1 {
		t.Errorf("status %+v, changes %v", s, l.changes[0])
	}
	l.cut = false
	l.mustUp(3 * time.Second)
	// A peer that started anew, too, ends the wait.
	c.Resume = true
	l.end[0], _ = New(l.now, c)
	peer := l.end[1].c
	peer.Discr = 0xbb
	l.end[1], _ = New(l.now, peer)
	l.mustUp(3 * time.Second)
}

// Timers change while the session is up, and it stays so.
func TestReconfigure(t *testing.T) {
	l := newLink(t, 5, conf(100*ms, 100*ms, 2), conf(100*ms, 100*ms, 2))
	l.latency = 2 * ms
	l.mustUp(3 * time.Second)
	for _, c := range []Config{conf(1000*ms, 1000*ms, 2), conf(50*ms, 2000*ms, 2), conf(400*ms, 20*ms, 3), conf(100*ms, 100*ms, 2)} {
		c.Discr = 0xa
		c.Changed = l.end[0].c.Changed
		if err := l.end[0].Configure(l.now, c); err != nil {
			t.Fatal(err)
		}
		l.run(20*time.Second, nil)
		s, peer := l.end[0].Status(), l.end[1].Status()
		if s.Tx != max(c.MinTx, 100*ms) || peer.Tx != max(c.MinRx, 100*ms) || s.Polling ||
			s.Detection != 2*max(c.MinRx, 100*ms) || peer.Detection != time.Duration(c.Mult)*max(c.MinTx, 100*ms) {
			t.Errorf("%v/%v: %+v and %+v", c.MinTx, c.MinRx, s, peer)
		}
	}
	if n := l.wentDown(); n != 0 {
		t.Errorf("went down %d times", n)
	}
	bad := conf(0, 0, 0)
	bad.Discr = 0xa
	if err := l.end[0].Configure(l.now, bad); err == nil {
		t.Error("a session without times")
	}
}

// A side that wants no periodic packets gets none, and the session comes up.
func TestNoPeriodicPackets(t *testing.T) {
	for seed := range uint64(20) {
		l := newLink(t, seed, conf(100*ms, 0, 3), conf(100*ms, 100*ms, 3))
		l.loss = 0.3
		l.mustUp(time.Minute)
		l.loss = 0
		l.run(5*time.Second, nil)
		before := len(l.sent[1])
		l.run(time.Minute, nil)
		if n := len(l.sent[1]) - before; n != 0 || !l.up() {
			t.Errorf("seed %d: %d packets, %v", seed, n, l.end[1].Status())
		}
	}
}

// A peer in demand mode is left alone once both are up (section 6.6).
func TestPeerDemands(t *testing.T) {
	now := time.Unix(1000, 0)
	c := conf(100*ms, 100*ms, 3)
	c.Discr = 5
	s, err := New(now, c)
	if err != nil {
		t.Fatal(err)
	}
	hear := func(st State, final bool) {
		now = now.Add(10 * ms)
		if err := s.Receive(now, Packet{State: st, Final: final, Demand: st == Up, Mult: 200, MyDiscr: 9, YourDiscr: 5, MinTx: 100 * ms, MinRx: 100 * ms}); err != nil {
			t.Fatal(err)
		}
	}
	hear(Down, false)
	hear(Up, true)
	n := 0
	for range 100 {
		for {
			p, ok := s.Transmit(now)
			if !ok {
				break
			}
			if n++; p.Poll {
				hear(Up, true)
			}
		}
		now = now.Add(50 * ms)
	}
	if n > 5 || s.State() != Up {
		t.Errorf("sent %d packets, %v", n, s.State())
	}
}

func TestRefuses(t *testing.T) {
	now := time.Unix(1000, 0)
	c := conf(100*ms, 100*ms, 3)
	c.Discr, c.Admin = 5, true
	s, _ := New(now, c)
	p := Packet{State: Down, Mult: 3, MyDiscr: 9, YourDiscr: 6, MinTx: time.Second, MinRx: time.Second}
	if err := s.Receive(now, p); !errors.Is(err, ErrNoSession) {
		t.Errorf("packet of another session: %v", err)
	}
	p.YourDiscr = 5
	if err := s.Receive(now, p); !errors.Is(err, ErrAdminDown) || s.State() != AdminDown {
		t.Errorf("administratively down: %v, %v", err, s.State())
	}
	for _, c := range []Config{{}, {Discr: 1, MinRx: 1, Mult: 1}, {Discr: 1, MinTx: time.Second, Mult: 0},
		{Discr: 1, MinTx: 2 * time.Hour, Mult: 1}, {Discr: 1, MinTx: time.Second, MinRx: -1, Mult: 1}} {
		if _, err := New(now, c); err == nil {
			t.Errorf("session of %+v", c)
		}
	}
}

// The properties of a link of any two configurations: it comes up through loss;
// without loss it stays up; a cut is found within the detection time and no
// sooner than a packet is missing; nobody sends more often than it may.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		times := rapid.Custom(func(r *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(1000, 2_000_000).Draw(r, "µs")) * time.Microsecond
		})
		draw := func() Config {
			return conf(times.Draw(r, "tx"), times.Draw(r, "rx"), uint8(rapid.IntRange(2, 10).Draw(r, "mult")))
		}
		l := newLink(t, rapid.Uint64().Draw(r, "seed"), draw(), draw())
		l.latency = time.Duration(rapid.IntRange(0, 400).Draw(r, "latency µs")) * time.Microsecond

		l.loss = float64(rapid.IntRange(0, 50).Draw(r, "loss")) / 100
		l.run(5*time.Second, nil)
		l.loss = 0
		l.run(30*time.Second, nil)
		if !l.up() {
			r.Fatalf("not up: %+v and %+v", l.end[0].Status(), l.end[1].Status())
		}
		flaps := l.wentDown()
		start := [2]int{len(l.sent[0]), len(l.sent[1])}
		l.run(20*time.Second, nil)
		if n := l.wentDown() - flaps; n != 0 {
			r.Fatalf("flapped %d times", n)
		}
		for i, s := range l.end {
			tx := max(s.c.MinTx, l.end[1-i].c.MinRx)
			if s.Status().Tx != tx {
				r.Fatalf("end %d sends every %v, want %v", i, s.Status().Tx, tx)
			}
			for k := start[i] + 1; k < len(l.sent[i]); k++ {
				if d := l.sent[i][k].Sub(l.sent[i][k-1]); d < tx*74/100 || d > tx {
					r.Fatalf("end %d sends after %v of %v", i, d, tx)
				}
			}
		}
		l.cut = true
		cut := l.now
		l.run(time.Minute, nil)
		for i, cs := range l.changes {
			last, peer := cs[len(cs)-1], l.end[1-i]
			detect := time.Duration(peer.c.Mult) * max(l.end[i].c.MinRx, peer.c.MinTx)
			took := last.At.Sub(cut)
			if last.New != Down || last.Diag != DiagTimeExpired || took > detect+l.latency || took < detect-max(l.end[i].c.MinRx, peer.c.MinTx) {
				r.Fatalf("end %d: %v after %v with %q, detection time %v", i, last.New, took, last.Diag, detect)
			}
		}
	})
}
