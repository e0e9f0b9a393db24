package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"govn/proto/ic"
)

// Times of the stream to the centre.
const (
	centreRetryFirst = 100 * time.Millisecond
	centreRetryMax   = 5 * time.Second
	centreAnswer     = 10 * time.Second // for Hello
	minLease         = 300 * time.Millisecond
	maxLease         = time.Hour
)

// errCentre is wrapped by errors of a centre that does not keep to the contract
// (proto/ic/ic.proto).
var errCentre = errors.New("the centre does not keep to the protocol")

// caller is the part of a Join call that is used.
type caller interface {
	Send(*ic.FromZone) error
	Recv() (*ic.ToZone, error)
}

// identity is as whom a zone joins.
type identity struct {
	id   [16]byte
	name string
}

// centre follows the interconnection's service, as replica follows a database:
// what it said last counts until a new stream has told everything.
//
//	        identify       Hello                        published
//	loop ------------> session <----> Interconnect.Join --------> loop
//	     -- send -------->         updates: rows, taken by the loop
type centre struct {
	remote string
	dial   func(ctx context.Context) (c caller, end func(), err error)
	log    *slog.Logger
	wake   func()

	mu        sync.Mutex
	who       identity
	told      chan struct{} // who is known, or is another
	rows      map[rowID]row // as the centre has them
	taken     map[rowID]row // as take told them
	dirty     map[rowID]bool
	begun     bool
	sess      *session
	sessions  uint64
	own       string // row of the zone
	strict    bool
	published []*ic.Published
	bad       map[rowID]string // rows that cannot be used, and why
	status    Centre
	lease     time.Duration
}

// rowID identifies a row.
type rowID struct{ table, uuid string }

// session is one stream on which the zone was welcomed.
type session struct {
	number uint64
	name   string // of the zone, as it was told
	out    chan []*ic.FromZone
	end    context.CancelCauseFunc
	lease  time.Duration
}

func newCentre(remote string, log *slog.Logger, wake func()) *centre {
	return &centre{
		remote: remote, log: log, wake: wake, told: make(chan struct{}, 1), rows: map[rowID]row{}, taken: map[rowID]row{},
		dirty: map[rowID]bool{}, bad: map[rowID]string{}, status: Centre{Remote: remote},
	}
}

// identify tells as whom to join. Another name is told on the stream that there
// is; for another identity a new one is made.
func (c *centre) identify(who identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.who
	c.who = who
	switch {
	case who == before && (c.sess == nil || c.sess.name == who.name):
	case c.sess == nil:
		select {
		case c.told <- struct{}{}:
		default:
		}
	case who.id != before.id:
		c.sess.end(errors.New("the zone has another identity now"))
	case c.sess.send(&ic.FromZone{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: who.name}}}):
		c.log.Info("the zone is renamed", "from", c.sess.name, "to", who.name)
		c.sess.name = who.name
	}
}

// send queues messages. It returns false where the queue is full.
func (s *session) send(list ...*ic.FromZone) bool {
	select {
	case s.out <- list:
		return true
	default:
		return false
	}
}

// current is the stream that there is; nil: none.
func (c *centre) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sess
}

// zone is what Welcome said: the row of the zone, and whether nothing is shared
// that is not allowed.
func (c *centre) zone() (row string, strict bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own, c.strict
}

// answers are what came for Publish since the last call.
func (c *centre) answers() []*ic.Published {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.published
	c.published = nil
	return list
}

// take tells what changed since the last call. ready is false as long as the
// centre has not told everything once.
func (c *centre) take(changed func(old, now row)) (ready bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.dirty {
		old, now := c.taken[id], c.rows[id]
		if now == nil {
			delete(c.taken, id)
		} else {
			c.taken[id] = now
		}
		if old != nil || now != nil {
			changed(old, now)
		}
	}
	clear(c.dirty)
	return c.begun
}

// run joins, and again when a stream has ended, until ctx ends.
func (c *centre) run(ctx context.Context) error {
	delay := centreRetryFirst
	for {
		c.mu.Lock()
		who := c.who
		c.mu.Unlock()
		if who == (identity{}) {
			select {
			case <-ctx.Done():
				return nil
			case <-c.told:
			}
			continue
		}
		began := time.Now()
		err := c.session(ctx, who)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > centreRetryMax {
			delay = centreRetryFirst
		}
		if refused(err) {
			delay = centreRetryMax
		}
		wait := delay/2 + rand.N(delay)
		c.lost(err, wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		delay = min(2*delay, centreRetryMax)
	}
}

// refused tells whether the centre does not want the zone.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.AlreadyExists, codes.Unauthenticated, codes.InvalidArgument:
		return true
	}
	return false
}

// lost notes that there is no stream. One reason is logged once.
func (c *centre) lost(err error, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.Connected {
		c.status.Connected, c.status.Since = false, time.Now()
	}
	if text := err.Error(); c.status.LastError != text {
		c.status.LastError = text
		c.log.Warn("no connection to the interconnection's centre", "remote", c.remote, "err", err, "retry", wait)
	}
}

// session is one stream, from Hello to its end.
func (c *centre) session(ctx context.Context, who identity) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}()
	c.mu.Lock()
	c.status.Attempts++
	c.mu.Unlock()
	watch := time.AfterFunc(centreAnswer, func() { cancel(fmt.Errorf("no answer to Hello within %v", centreAnswer)) })
	defer watch.Stop()
	call, end, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer end()
	hello := &ic.FromZone{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: who.id[:], Name: who.name}}}
	if err := call.Send(hello); err != nil {
		return reason(call, err)
	}
	first, err := call.Recv()
	if err != nil {
		return err
	}
	w := first.GetWelcome()
	if w == nil || !validRow(w.Row) {
		return fmt.Errorf("%w: Welcome was expected", errCentre)
	}
	s := &session{name: who.name, out: make(chan []*ic.FromZone, 8), end: cancel,
		lease: min(max(time.Duration(w.LeaseMs)*time.Millisecond, minLease), maxLease)}
	silence := fmt.Errorf("nothing was heard for %v", s.lease)
	watch.Stop()
	watch = time.AfterFunc(s.lease, func() { cancel(silence) })
	defer func() { watch.Stop() }()
	c.welcomed(s, w)
	var talking sync.WaitGroup
	talking.Go(func() { s.talk(ctx, call) })
	defer talking.Wait()
	defer cancel(nil)
	defer c.left()
	whole, pieces := false, &ic.Update{}
	for {
		m, err := call.Recv()
		if err != nil {
			return err
		}
		watch.Reset(s.lease)
		switch m := m.Msg.(type) {
		case *ic.ToZone_Update:
			if whole = whole || m.Update.GetWhole(); !whole {
				return fmt.Errorf("%w: a difference before everything", errCentre)
			}
			if err := gather(pieces, m.Update); err != nil {
				return err
			}
			if m.Update.More {
				break
			}
			if err := c.update(pieces); err != nil {
				return err
			}
			pieces = &ic.Update{}
		case *ic.ToZone_Published:
			c.mu.Lock()
			c.published = append(c.published, m.Published)
			n := len(c.published)
			c.mu.Unlock()
			if n > 2*cap(s.out) { // more than can have been asked
				return fmt.Errorf("%w: answers that nobody asked for", errCentre)
			}
			c.wake()
		case *ic.ToZone_Heartbeat:
		default:
			return fmt.Errorf("%w: unexpected %T", errCentre, m)
		}
		c.mu.Lock()
		c.status.Heard = time.Now()
		c.mu.Unlock()
	}
}

// reason is why a stream ended whose Send failed: Recv has it.
func reason(call caller, err error) error {
	if _, e := call.Recv(); e != nil {
		return e
	}
	return err
}

// talk sends what is queued, and heartbeats, until ctx ends or sending fails.
func (s *session) talk(ctx context.Context, call caller) {
	beat := time.NewTicker(s.lease / 3)
	defer beat.Stop()
	for n := uint64(1); ; {
		var list []*ic.FromZone
		select {
		case <-ctx.Done():
			return
		case list = <-s.out:
		case <-beat.C:
			list = []*ic.FromZone{{Msg: &ic.FromZone_Heartbeat{Heartbeat: &ic.Heartbeat{Number: n}}}}
			n++
		}
		for _, m := range list {
			if call.Send(m) != nil {
				return // Recv has the reason
			}
		}
	}
}

func (c *centre) welcomed(s *session, w *ic.Welcome) {
	c.mu.Lock()
	c.sessions++
	s.number = c.sessions
	c.sess, c.own, c.strict, c.lease, c.published = s, w.Row, w.Strict, s.lease, nil
	now := time.Now()
	c.status.Connected, c.status.Since, c.status.Heard, c.status.Lease, c.status.LastError = true, now, now, s.lease.String(), ""
	c.mu.Unlock()
	c.log.Info("joined the interconnection", "remote", c.remote, "zone", s.name, "lease", s.lease, "strict", w.Strict)
	c.wake()
}

func (c *centre) left() {
	c.mu.Lock()
	c.sess = nil
	c.mu.Unlock()
	c.wake()
}

// update takes in what the centre told.
func (c *centre) update(u *ic.Update) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := c.rows
	if u.Whole {
		rows = make(map[rowID]row)
		clear(c.bad)
	}
	set := func(id rowID, r row) {
		rows[id] = r
		c.dirty[id] = true
	}
	c.read(u, rows, set)
	if len(rows) > maxCentreRows {
		return fmt.Errorf("%w: more than %d rows", errCentre, maxCentreRows)
	}
	if u.Whole {
		for id := range c.rows {
			if rows[id] == nil {
				c.dirty[id] = true
			}
		}
		for id, r := range rows {
			if reflect.DeepEqual(c.taken[id], r) {
				delete(c.dirty, id)
			}
		}
		c.rows, c.begun = rows, true
	}
	c.status.Revision = u.Revision
	c.wake()
	return nil
}

// snapshot is the state of the connection.
func (c *centre) snapshot() Centre {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}
