package bfd

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// SlowInterval is the least time between periodic packets of a session that is
// not up (RFC 5880, section 6.8.3).
const SlowInterval = time.Second

// Config is what a session wants.
type Config struct {
	Discr uint32        // required: its own discriminator, unique on this system
	MinTx time.Duration // required: least time between the packets that it sends, 1 µs to MaxInterval
	MinRx time.Duration // least time between packets that it takes; 0: it wants no periodic ones, and detects nothing
	Mult  uint8         // required: so many packets may be missing at the peer
	Admin bool          // administratively down

	// Resume lets a new session go on with one that a peer still holds up: the
	// owner was started again, or took the session over, with the same Discr. For
	// its own Mult times the longer of MinTx and MinRx it waits silently; hearing
	// in that time that the peer is up and knows Discr, it is up at once.
	Resume bool

	// Jitter gives numbers of [0, 1); optional: a generator seeded with Discr.
	Jitter func() float64
	// Changed is told each change of state, after it was made, and with Old and
	// New down that there was nothing to resume; optional. It must not call the
	// session.
	Changed func(Change)
}

// Change is a change of state.
type Change struct {
	At       time.Time
	Old, New State
	Diag     Diag // why, when New is not up
}

// Status is what there is to know about a session.
type Status struct {
	State, RemoteState State
	Diag, RemoteDiag   Diag
	Discr, RemoteDiscr uint32
	Tx                 time.Duration // between the packets that it sends, before jitter; 0: none
	Detection          time.Duration // detection time; 0: not known or not used
	Polling            bool
	Resuming           bool      // it is not known yet whether the session is up
	Since              time.Time // of State
	Heard              time.Time // when the last packet came; zero: never
	Flaps              uint64    // changes from or to up
	Sent, Received     uint64    // packets
}

// Session is one end of a session. Names of RFC 5880, section 6.8.1, are in
// comments.
type Session struct {
	c Config

	state, remoteState State // bfd.SessionState, bfd.RemoteSessionState
	diag, remoteDiag   Diag  // bfd.LocalDiag
	remoteDiscr        uint32
	remoteMinTx        time.Duration
	remoteMinRx        time.Duration // bfd.RemoteMinRxInterval
	remoteMult         uint8
	remoteDemand       bool

	desired time.Duration // bfd.DesiredMinTxInterval, as sent
	actual  time.Duration // that transmission goes by: desired, or a lower one until the poll ends
	expect  time.Duration // that detection goes by: MinRx, or a higher one until the poll ends

	poll   bool // a poll sequence runs
	repoll bool // another one must follow: values changed while one ran
	final  bool // a poll of the peer is to be answered
	urgent bool // the peer is to be told at once

	since, sent, heard time.Time
	jitter             float64 // of the period that runs
	born               time.Time
	resume             time.Time // until then it may go on with an earlier session; zero: no more
	flaps, nSent, nRcv uint64
}

// New makes a session that is down.
func New(now time.Time, c Config) (*Session, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Jitter == nil {
		c.Jitter = rand.New(rand.NewPCG(uint64(c.Discr), 5880)).Float64
	}
	s := &Session{c: c, state: Down, remoteState: Down, remoteMinRx: time.Microsecond, since: now, born: now}
	if c.Admin {
		s.state, s.diag = AdminDown, DiagAdminDown
	}
	s.desired = s.wantedTx()
	s.actual, s.expect = s.desired, c.MinRx
	s.jitter = c.Jitter()
	s.poll = s.silent()
	if c.Resume && !c.Admin {
		s.resume = now.Add(time.Duration(c.Mult) * max(c.MinTx, c.MinRx))
	}
	return s, nil
}

func (c *Config) check() error {
	switch {
	case c.Discr == 0:
		return fmt.Errorf("bfd: session has no discriminator")
	case c.MinTx < time.Microsecond || c.MinTx > MaxInterval:
		return fmt.Errorf("bfd: session %#x: least transmit interval %v is not of 1µs to %v", c.Discr, c.MinTx, MaxInterval)
	case c.MinRx < 0 || c.MinRx > MaxInterval:
		return fmt.Errorf("bfd: session %#x: least receive interval %v is not of 0 to %v", c.Discr, c.MinRx, MaxInterval)
	case c.Mult == 0:
		return fmt.Errorf("bfd: session %#x: detection multiplier is zero", c.Discr)
	}
	return nil
}

// Configure changes what a session wants. Its discriminator cannot change.
// Values that are equal change nothing.
func (s *Session) Configure(now time.Time, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Discr != s.c.Discr {
		return fmt.Errorf("bfd: session %#x cannot become %#x", s.c.Discr, c.Discr)
	}
	if c.Jitter == nil {
		c.Jitter = s.c.Jitter
	}
	old := s.c
	s.c = c
	if old.Mult != c.Mult {
		s.urgent = true
	}
	if old.MinRx != c.MinRx {
		s.startPoll()
		if s.state != Up || c.MinRx > s.expect {
			s.expect = c.MinRx
		}
	}
	if c.Admin != (s.state == AdminDown) {
		s.resume = time.Time{}
		if c.Admin {
			s.become(now, AdminDown, DiagAdminDown)
		} else {
			s.become(now, Down, DiagNone)
			s.forget()
		}
	}
	s.retime()
	return nil
}

// wantedTx is what bfd.DesiredMinTxInterval should be in the state of now.
func (s *Session) wantedTx() time.Duration {
	if s.state != Up {
		return max(s.c.MinTx, SlowInterval)
	}
	return s.c.MinTx
}

// silent says that the peer sends nothing by itself while the session comes up,
// so that it must be asked.
func (s *Session) silent() bool { return s.c.MinRx == 0 && s.state != Up && s.state != AdminDown }

// retime follows a change of state or configuration: while up, a longer interval
// holds only when the peer has confirmed it (section 6.8.3).
func (s *Session) retime() {
	if want := s.wantedTx(); want != s.desired {
		s.desired = want
		s.startPoll()
	}
	if s.state != Up {
		s.actual, s.expect = s.desired, s.c.MinRx
	} else if s.desired < s.actual {
		s.actual = s.desired
	}
	if s.silent() {
		s.poll = true
	}
}

func (s *Session) startPoll() {
	if s.poll {
		s.repoll = true
	}
	s.poll = true
}

// endPoll takes the peer's answer to a poll.
func (s *Session) endPoll() {
	if !s.poll {
		return
	}
	again := s.repoll
	s.poll, s.repoll = again || s.silent(), false
	if again {
		return // what changed meanwhile may be unknown to the peer
	}
	s.actual, s.expect = s.desired, s.c.MinRx
}

// become changes the state.
func (s *Session) become(now time.Time, state State, diag Diag) {
	old := s.state
	if old == state {
		return
	}
	s.state, s.since, s.urgent = state, now, true
	if state != Init { // on the way up the peer may still read why it went down
		s.diag = diag
	}
	if old == Up || state == Up {
		s.flaps++
	}
	s.retime()
	s.tell(now, old)
}

func (s *Session) tell(now time.Time, old State) {
	if s.c.Changed != nil {
		s.c.Changed(Change{now, old, s.state, s.diag})
	}
}

// forget is for a peer that was not heard for the detection time.
func (s *Session) forget() {
	s.remoteDiscr, s.remoteState, s.remoteDemand = 0, Down, false
	s.remoteMinRx, s.remoteMinTx, s.remoteMult = time.Microsecond, 0, 0
	s.final = false
}

// Receive takes a packet that [Decode] accepted and that is for this session
// (RFC 5880, section 6.8.6). The error says why it was discarded.
func (s *Session) Receive(now time.Time, p Packet) error {
	if p.YourDiscr != 0 && p.YourDiscr != s.c.Discr {
		return fmt.Errorf("%w with discriminator %#x", ErrNoSession, p.YourDiscr)
	}
	s.nRcv++
	s.heard = now
	s.remoteDiscr, s.remoteState, s.remoteDiag = p.MyDiscr, p.State, p.Diag
	s.remoteDemand, s.remoteMult = p.Demand, p.Mult
	s.remoteMinTx, s.remoteMinRx = p.MinTx, p.MinRx
	if p.Final {
		s.endPoll()
	}
	if s.state == AdminDown {
		return fmt.Errorf("%w: %#x", ErrAdminDown, s.c.Discr)
	}
	resumes := !s.resume.IsZero()
	s.resume = time.Time{}
	switch {
	case resumes && p.State == Up && p.YourDiscr != 0:
		s.become(now, Up, DiagNone)
	case resumes:
		s.tell(now, Down)
	}
	switch {
	case p.State == AdminDown:
		s.become(now, Down, DiagNeighbor)
	case s.state == Down && p.State == Down:
		s.become(now, Init, DiagNone)
	case s.state == Down && p.State == Init:
		s.become(now, Up, DiagNone)
	case s.state == Init && (p.State == Init || p.State == Up):
		s.become(now, Up, DiagNone)
	case s.state == Up && p.State == Down:
		s.become(now, Down, DiagNeighbor)
	}
	if p.Poll {
		s.final = true
	}
	return nil
}

// detection is the detection time, 0 while there is none (section 6.8.4).
func (s *Session) detection() time.Duration {
	if s.remoteDiscr == 0 || s.c.MinRx == 0 {
		return 0
	}
	return time.Duration(s.remoteMult) * max(s.expect, s.remoteMinTx)
}

// interval is the time between periodic packets before jitter, 0 for none
// (sections 6.8.2 and 6.8.7).
func (s *Session) interval() time.Duration {
	if s.poll && s.remoteMinRx == 0 {
		return max(s.actual, SlowInterval)
	}
	if !s.poll && (s.remoteMinRx == 0 || s.remoteDemand && s.state == Up && s.remoteState == Up) {
		return 0
	}
	return max(s.actual, s.remoteMinRx)
}

// jittered takes 0 to 25 % off, and 10 to 25 % when one packet alone keeps the
// session up (section 6.8.7).
func (s *Session) jittered(d time.Duration) time.Duration {
	if s.c.Mult == 1 {
		return time.Duration(float64(d) * (0.90 - 0.15*s.jitter))
	}
	return time.Duration(float64(d) * (1 - 0.25*s.jitter))
}

// due is when the next periodic packet goes; false: none does.
func (s *Session) due() (time.Time, bool) {
	if !s.resume.IsZero() {
		return s.resume, true
	}
	d := s.interval()
	if d == 0 {
		return time.Time{}, false
	}
	if s.sent.IsZero() { // spread what starts together
		return s.born.Add(time.Duration(float64(min(d, SlowInterval)) * 0.1 * s.jitter)), true
	}
	return s.sent.Add(s.jittered(d)), true
}

// expiry is when the peer counts as lost; false: it does not.
func (s *Session) expiry() (time.Time, bool) {
	d := s.detection()
	if d == 0 || s.heard.IsZero() {
		return time.Time{}, false
	}
	return s.heard.Add(d), true
}

// Next is when [Session.Transmit] must be called again if no packet comes; zero
// when time changes nothing. It may have passed.
func (s *Session) Next() time.Time {
	if s.final || s.urgent {
		return s.since
	}
	next, sends := s.due()
	if lost, detects := s.expiry(); detects && (!sends || lost.Before(next)) {
		return lost
	} else if !sends {
		return time.Time{}
	}
	return next
}

// Transmit does what is due at now, and tells whether a packet is to be sent. It
// is to be called until there is none.
func (s *Session) Transmit(now time.Time) (Packet, bool) {
	if lost, ok := s.expiry(); ok && !now.Before(lost) {
		if s.state == Init || s.state == Up {
			s.become(now, Down, DiagTimeExpired)
		}
		s.forget()
	}
	if !s.resume.IsZero() && !now.Before(s.resume) {
		s.resume = time.Time{}
		s.tell(now, Down)
	}
	due, sends := s.due()
	periodic := sends && !now.Before(due)
	if !s.final && !s.urgent && !periodic {
		return Packet{}, false
	}
	p := Packet{
		Diag: s.diag, State: s.state, Final: s.final, Poll: s.poll && periodic && !s.final,
		Mult: s.c.Mult, MyDiscr: s.c.Discr, YourDiscr: s.remoteDiscr, MinTx: s.desired, MinRx: s.c.MinRx,
	}
	if s.urgent || periodic && !s.final { // an answer is no reason to be silent afterwards
		s.sent, s.jitter = now, s.c.Jitter()
	}
	s.final, s.urgent = false, false
	s.nSent++
	return p, true
}

// State is the state of the session.
func (s *Session) State() State { return s.state }

// Status tells all about the session.
func (s *Session) Status() Status {
	return Status{
		State: s.state, RemoteState: s.remoteState, Diag: s.diag, RemoteDiag: s.remoteDiag,
		Discr: s.c.Discr, RemoteDiscr: s.remoteDiscr, Tx: s.interval(), Detection: s.detection(),
		Polling: s.poll, Resuming: !s.resume.IsZero(), Since: s.since, Heard: s.heard, Flaps: s.flaps, Sent: s.nSent, Received: s.nRcv,
	}
}
