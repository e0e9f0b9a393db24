package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/rpc2"
)

// session is one connection. Its goroutines:
//
//	reader   requests in order: rpc2 -> handle -> dispatch
//	pump     what must wait: for a revision to be durable (replies, updates),
//	         for a commit (updates, blocked transactions), for a timeout
//	writer   the codec's send queue
//
// The reader executes a request at once and leaves what it is to be answered as
// a step with the revision that the answer depends on. The pump takes the steps
// in order: it waits until the revision is durable, sends the updates of all
// monitors up to exactly that revision, then runs the step, which sends the
// reply. So updates come before the reply of the transaction that caused them,
// a monitor's initial rows and its updates fit together, and nobody is told
// what a crash could take back.
//
// Each change of goroutines takes about as long as a small transaction, so a request
// that is alone changes none: where nobody else writes and the disk is quick, the reader
// itself gives its transaction to the engine (Store.lead), and runs its step then.
type session struct {
	srv    *Server
	store  *Store
	codec  *codec
	remote *remote
	peer   string        // the common name of its certificate, or ""
	client *Client       // who it is
	kick   chan struct{} // one token: steps or blocked have grown
	busy   sync.Mutex    // held while a request is handled

	mu       sync.Mutex
	steps    []step
	monitors []*monitor
	ids      map[string]*monitor // monitor ids in use, as JSON
	txid     UUID                // of the last durable revision seen
	blocked  []*blocked
	waiting  int        // bytes of answers in steps
	room     *sync.Cond // of mu: steps have become fewer, or ended is set
	ended    bool       // the pump does nothing any more
	locked   int        // locks that were asked for
	aware    bool       // set_db_change_aware
	// convertedAt are the revisions at which databases were converted while the
	// connection was there.
	convertedAt map[*database]uint64
	converting  bool // by a request of this session
	// inbox holds commits of which monitors may have to send updates. inboxMu is
	// the innermost lock.
	inboxMu sync.Mutex
	inbox   []noted
	stops   []func() // of canceled monitors, to be called without s.mu
}

// step is an answer that waits for a revision.
type step struct {
	revision uint64
	// size is that of the answer, in bytes.
	size int
	// durable tells that the revision must be on disk even of a relaxed server.
	durable bool
	run     func()
}

// blocked is a transaction with a wait that does not hold.
type blocked struct {
	id       jsonValue
	tr       *transaction
	since    time.Time
	timeout  time.Duration // negative: never
	canceled bool
	running  bool  // at this moment, by the pump
	size     int64 // what it holds, in bytes
}

func newSession(r *remote, conn net.Conn, peer string) *session {
	s := &session{
		srv: r.srv, store: r.srv.store, codec: newCodec(conn, r.srv.opts.Limits, r.srv.meter), remote: r, peer: peer, client: clientOf(conn, peer),
		kick: make(chan struct{}, 1), ids: make(map[string]*monitor), convertedAt: make(map[*database]uint64),
	}
	s.room = sync.NewCond(&s.mu)
	s.codec.setProbe(conn, r.options.Load().probe)
	return s
}

// run serves the connection until it closes.
func (s *session) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	workers.Add(2)
	go func() { defer workers.Done(); s.codec.write() }()
	go func() { defer workers.Done(); s.pump(ctx) }()
	s.srv.attend(s)
	if a := s.srv.opts.Authorizer; a != nil {
		a.Connected(s.client)
		defer a.Closed(s.client)
	}
	client := rpc2.NewClientWithCodec(s.codec)
	client.SetBlocking(true)
	client.Handle(rpcMethod, func(_ *rpc2.Client, in *any, _ *any) error {
		if r, ok := (*in).(request); ok {
			s.handle(&r)
		}
		return nil
	})
	client.Run()
	s.codec.handled()
	s.codec.Close()
	s.srv.dismiss(s)
	cancel()
	workers.Wait()
	s.srv.locks.drop(s)
	s.stopMonitors()
	for _, m := range s.ids { // also what has not begun yet
		m.stop()
		s.store.disinterest(m)
	}
}

func (m *monitor) stop() {
	for _, stop := range m.stops {
		stop()
	}
	m.stops = nil
}

// handle runs one request. A panic is our mistake: it ends this connection only.
func (s *session) handle(r *request) {
	defer func() {
		if p := recover(); p != nil {
			s.srv.log.Error("a request made the server panic", "method", r.method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			s.codec.fail(fmt.Errorf("internal error in %q", r.method))
		}
	}()
	s.await()
	s.busy.Lock()
	defer s.busy.Unlock()
	s.dispatch(r)
}

// await holds up the next request while too much waits for the disk.
func (s *session) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended && (len(s.steps) >= s.srv.opts.MaxOutstanding || s.waiting > s.srv.opts.MaxBacklog) {
		s.room.Wait()
	}
}

// finish closes the connection once the request at hand is answered.
func (s *session) finish() {
	s.busy.Lock()
	defer s.busy.Unlock()
	s.later(s.store.Snapshot().revision, s.codec.finish)
}

func (s *session) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// later queues a step.
func (s *session) later(revision uint64, run func()) {
	s.queue(step{revision: revision, durable: !s.srv.opts.Relaxed, run: run})
}

// queue takes a step at once when nothing is before it and nothing is left to
// wait for, and otherwise leaves it to the pump.
func (s *session) queue(st step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(st)
}

// take is queue with s.mu held.
func (s *session) take(st step) {
	if len(s.steps) > 0 || !s.waitless(st) {
		s.enqueue(st)
		return
	}
	s.updateTo(st.revision)
	monitors := len(s.monitors)
	if st.run(); len(s.monitors) != monitors {
		s.wake() // the pump waits for something else now
	}
}

// enqueue leaves a step to the pump. s.mu is held.
func (s *session) enqueue(st step) {
	s.steps = append(s.steps, st)
	s.waiting += st.size
	s.codec.held.add(int64(st.size))
	s.wake()
}

func (s *session) waitless(st step) bool {
	if s.store.durable.failed() != nil {
		return false
	}
	return !st.durable || st.revision <= s.store.durable.upTo()
}

// reply sends a result, which is JSON, or an error, to a request; notifications
// get none.
func (s *session) reply(id *jsonValue, result []byte, err error) {
	if id.kind == jsonNull {
		return
	}
	b := make([]byte, 0, len(result)+128)
	b = id.append(append(b, `{"id":`...))
	if err != nil {
		b = append(b, `,"error":`...)
		var plain plainError
		if errors.As(err, &plain) {
			b = appendString(b, string(plain))
		} else {
			b = asError(err).appendJSON(b)
		}
		b = append(b, `,"result":null}`...)
	} else {
		b = append(append(append(b, `,"error":null,"result":`...), result...), '}')
	}
	s.codec.send(b)
}

// plainError is an error that the protocol wants as a bare string.
type plainError string

func (e plainError) Error() string { return string(e) }

// pump does the waiting of the session until ctx ends.
func (s *session) pump(ctx context.Context) {
	defer func() {
		s.mu.Lock()
		s.ended = true
		s.room.Broadcast()
		s.mu.Unlock()
	}()
	defer func() {
		if p := recover(); p != nil {
			s.srv.log.Error("a session made the server panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			s.codec.fail(errors.New("internal error"))
		}
	}()
	var retried *commitNode // blocked transactions were run at this commit
	for ctx.Err() == nil {
		s.stopMonitors()
		s.mu.Lock()
		want, haveWant, durable := uint64(0), false, !s.srv.opts.Relaxed
		var commits chan struct{}
		switch {
		case len(s.steps) > 0:
			want, haveWant, durable = s.steps[0].revision, true, s.steps[0].durable
		default:
			want, haveWant = s.due()
		}
		waiting := len(s.blocked) > 0
		deadline := s.deadline()
		s.mu.Unlock()
		if haveWant {
			if err := s.waitFor(ctx, want, durable); err != nil {
				if ctx.Err() == nil {
					s.codec.fail(err)
				}
				return
			}
			s.advance()
		}
		if waiting {
			s.store.publish.Lock()
			tail := s.store.tail
			s.store.publish.Unlock()
			if tail != retried || !deadline.IsZero() && !time.Now().Before(deadline) {
				s.retry(retried)
				retried = tail
				continue
			}
			commits = tail.ready
		} else {
			retried = nil
		}
		if haveWant {
			continue
		}
		s.sleep(ctx, commits, deadline)
	}
}

// sleep waits for a commit, a kick or a deadline.
func (s *session) sleep(ctx context.Context, commits chan struct{}, deadline time.Time) {
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-ctx.Done():
	case <-commits:
	case <-s.kick:
	case <-timeout:
	}
}

// deadline is when the next blocked transaction times out; zero if none does.
// s.mu is held.
func (s *session) deadline() (t time.Time) {
	for _, b := range s.blocked {
		if at := b.since.Add(b.timeout); b.timeout >= 0 && (t.IsZero() || at.Before(t)) {
			t = at
		}
	}
	return t
}

// waitFor waits until a revision may be told of.
func (s *session) waitFor(ctx context.Context, revision uint64, durable bool) error {
	if durable {
		return s.store.WaitDurable(ctx, revision)
	}
	return s.store.durable.failed()
}

// advance sends updates and runs steps as far as the store is durable, or of a
// relaxed server as far as nobody asked that it be.
func (s *session) advance() {
	defer s.stopMonitors()
	durable := s.store.durable.upTo()
	shown := durable
	if s.srv.opts.Relaxed {
		shown = s.store.Snapshot().revision
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.steps) > 0 {
		st := s.steps[0]
		if st.revision > shown || st.durable && st.revision > durable {
			// What it starts may go on from its own revision only.
			shown = min(shown, st.revision)
			break
		}
		s.steps[0] = step{}
		s.steps = s.steps[1:]
		s.waiting -= st.size
		s.codec.held.add(-int64(st.size))
		s.room.Broadcast()
		s.updateTo(st.revision)
		st.run()
	}
	s.updateTo(shown)
}

// updateTo sends the updates of all commits up to a revision. s.mu is held.
func (s *session) updateTo(revision uint64) {
	for _, e := range s.collect(revision) {
		s.txid = e.node.txid
		if b := e.monitor.apply(e.node.commit.Changes, e.node.txid); b != nil {
			s.codec.send(b)
		}
	}
}

// retry runs those blocked transactions again which commits since a node may
// unblock, or whose time is up; without a node all of them.
func (s *session) retry(since *commitNode) {
	s.mu.Lock()
	list := slices.Clone(s.blocked)
	s.mu.Unlock()
	var changed map[changedTable]bool
	if since != nil {
		changed = changedSince(since)
	}
	for _, b := range list {
		if since != nil && !b.tr.concerns(changed) && (b.timeout < 0 || time.Since(b.since) < b.timeout) {
			continue
		}
		s.mu.Lock()
		b.running = slices.Contains(s.blocked, b) // or it was canceled
		s.mu.Unlock()
		if b.running {
			s.attempt(b)
		}
	}
}

// attempt runs a transaction and queues its reply, or keeps it among the
// blocked ones; ended tells that it did the former. b.running is set, so that a cancel
// leaves the answer to us.
func (s *session) attempt(b *blocked) (ended bool) {
	o := b.tr.run(time.Since(b.since))
	s.mu.Lock()
	b.running = false
	i := slices.Index(s.blocked, b)
	switch {
	case o.blocked && !b.canceled:
		b.timeout, b.tr.leads = o.timeout, false
		full := i < 0 && len(s.blocked) >= s.srv.opts.MaxOutstanding
		if i < 0 {
			s.blocked = append(s.blocked, b)
			s.codec.held.add(b.size)
		}
		s.mu.Unlock()
		if full {
			s.codec.fail(s.srv.meter.exceeded(limitOutstanding, "more than %d transactions wait", s.srv.opts.MaxOutstanding))
		}
		if i < 0 {
			s.wake()
		}
		return false
	case i >= 0:
		s.blocked = slices.Delete(s.blocked, i, i+1)
		s.codec.held.add(-b.size)
	}
	s.mu.Unlock()
	id := b.id
	if o.blocked {
		s.reply(&id, nil, plainError(ErrCanceled))
		return true
	}
	s.queue(step{o.revision, len(o.result), b.tr.durable || !s.srv.opts.Relaxed, func() { s.reply(&id, o.result, nil) }})
	return true
}
