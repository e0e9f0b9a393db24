package ovsdb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// durability carries entries from transactions to the engine and tells waiters
// how far the engine has come.
type durability struct {
	mu       sync.Mutex
	pending  []Entry
	wake     chan struct{} // one token: pending is not empty, or closed
	closed   bool
	revision uint64 // durable up to here
	err      error
	waiters  map[chan struct{}]uint64 // to be closed when the revision is durable
	broken   chan struct{}            // closed when the engine has failed

	followed bool   // somebody calls Settled
	settled  uint64 // with at most this
	gathers  uint64 // what the writer waits for it to reach
	gathered chan struct{}

	// appending is held by who gives the engine a batch: the writer, or the session of a
	// transaction that nobody else waits with (Store.lead). It is taken before mu.
	appending sync.Mutex
	quick     bool // the last batch took no longer than leadWithin

	// lazy is how long what nobody waits for may gather before it is written.
	lazy   time.Duration
	urgent chan struct{} // one token: somebody waits, or closed
}

// lazyDelay is durability.lazy of the store of a relaxed server.
const lazyDelay = 10 * time.Millisecond

func (d *durability) init(rev uint64) {
	d.wake = make(chan struct{}, 1)
	d.urgent = make(chan struct{}, 1)
	d.waiters = make(map[chan struct{}]uint64)
	d.broken = make(chan struct{})
	d.revision = rev
}

func (d *durability) signal() { token(d.wake) }

// token puts one into a channel that holds one.
func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// linger waits while nobody does, so that many transactions share one sync.
func (d *durability) linger() {
	d.mu.Lock()
	lazy := d.lazy
	if d.closed || len(d.waiters) > 0 {
		lazy = 0
	}
	d.mu.Unlock()
	if lazy == 0 {
		return
	}
	timer := time.NewTimer(lazy)
	defer timer.Stop()
	select {
	case <-d.urgent:
	case <-timer.C:
	}
}

// add makes an entry pending. Unless the caller leads, the writer is woken for it.
func (d *durability) add(e Entry, leads bool) {
	d.mu.Lock()
	d.pending = append(d.pending, e)
	d.mu.Unlock()
	if !leads {
		d.signal()
	}
}

func (d *durability) close() {
	d.mu.Lock()
	d.closed = true
	d.release()
	d.mu.Unlock()
	d.signal()
	token(d.urgent)
}

// upTo is the last durable revision.
func (d *durability) upTo() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.revision
}

// failed tells why nothing can be written any more, or nil.
func (d *durability) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil && d.closed {
		return ErrClosed
	}
	return d.err
}

func (d *durability) done(rev uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.err = err
	} else {
		d.revision = rev
	}
	for ch, want := range d.waiters {
		if err != nil || want <= rev {
			close(ch)
			delete(d.waiters, ch)
		}
	}
}

func (d *durability) wait(ctx context.Context, rev uint64) error {
	d.mu.Lock()
	if d.revision >= rev || d.err != nil {
		defer d.mu.Unlock()
		return d.outcome(rev)
	}
	ch := make(chan struct{})
	d.waiters[ch] = rev
	d.mu.Unlock()
	token(d.urgent)
	select {
	case <-ch:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.outcome(rev)
	case <-ctx.Done():
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.waiters, ch)
		return ctx.Err()
	}
}

// outcome is the result of a wait that is over. d.mu is held.
func (d *durability) outcome(rev uint64) error {
	if d.revision >= rev {
		return nil
	}
	return d.err
}

// Settled tells that a follower of the store, such as a compiler that writes
// what comes of a commit, is done with revision rev and all before it. From its
// first call on, a commit waits for that, at most Options.FollowDelay, so that
// what comes of it is stored with it, in one batch.
func (s *Store) Settled(rev uint64) {
	d := &s.durable
	d.mu.Lock()
	defer d.mu.Unlock()
	d.followed = true
	d.settled = max(d.settled, rev)
	d.release()
}

// release lets the writer go on if it need not wait any more. d.mu is held.
func (d *durability) release() {
	if d.gathered != nil && (d.settled >= d.gathers || d.closed) {
		close(d.gathered)
		d.gathered = nil
	}
}

// gather waits until what is pending has been followed.
func (d *durability) gather(limit time.Duration) {
	d.mu.Lock()
	if !d.followed || d.closed || len(d.pending) == 0 || d.pending[len(d.pending)-1].Revision <= d.settled {
		d.mu.Unlock()
		return
	}
	ready := make(chan struct{})
	d.gathers, d.gathered = d.pending[len(d.pending)-1].Revision, ready
	d.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ready:
	case <-timer.C:
		d.mu.Lock()
		d.gathered = nil
		d.mu.Unlock()
	}
}

// writeLog gives the engine what is pending, all of it in one batch, until the
// store closes or the engine fails.
func (s *Store) writeLog() {
	d := &s.durable
	for range d.wake {
		d.linger()
		d.gather(s.opts.FollowDelay)
		d.appending.Lock()
		closed, failed := s.append()
		d.appending.Unlock()
		if failed {
			return
		}
		if closed {
			d.done(0, ErrClosed)
			return
		}
	}
}

// leadWithin is how long an engine may take for a batch if sessions are to lead: one that
// leads reads nothing meanwhile. It is enough for a solid-state disk.
const leadWithin = 2 * time.Millisecond

// leads tells whether a transaction that begins now may be given to the engine by the
// goroutine that runs it, which then must call lead: the writer has nothing to do, and
// nothing to wait for.
func (d *durability) leads() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending) == 0 && d.quick && !d.followed && !d.closed && d.lazy == 0
}

// lead gives the engine what is pending, unless somebody is appending: then the writer
// does it next. A single transaction so costs no change of goroutines, each of which
// takes about as long as the transaction itself.
func (s *Store) lead() {
	d := &s.durable
	if !d.appending.TryLock() {
		d.signal()
		return
	}
	s.append()
	d.appending.Unlock()
}

// append gives the engine what is pending; failed tells that it has failed, now or
// before. d.appending is held.
func (s *Store) append() (closed, failed bool) {
	d := &s.durable
	d.mu.Lock()
	batch, closed, failed := d.pending, d.closed, d.err != nil
	d.pending = nil
	d.mu.Unlock()
	if len(batch) == 0 || failed {
		return closed, failed
	}
	last := batch[len(batch)-1].Revision
	start := time.Now()
	err := s.engine.Append(context.Background(), batch)
	took := time.Since(start)
	s.metrics.append.Observe(took.Seconds())
	s.metrics.batch.Observe(float64(len(batch)))
	if err != nil {
		close(d.broken)
		err = &storeFailure{errorf(ErrIO, "revision %d cannot be stored: %v", last, err), err}
		s.log.Error("the store has failed and refuses transactions", "error", err)
		d.done(0, err)
		return closed, true
	}
	d.mu.Lock()
	d.quick = took <= leadWithin
	d.mu.Unlock()
	d.done(last, nil)
	s.maybeCompact()
	return closed, false
}

// maybeCompact replaces the log by a snapshot when it has grown, beside the
// transactions that go on.
func (s *Store) maybeCompact() {
	if n := s.logged.Load(); n < s.opts.CompactAt || n < s.snapped.Load() {
		return
	}
	if !s.compacting.TryLock() {
		return // once more at the next batch
	}
	snapshot := s.current.Load()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		defer s.compacting.Unlock()
		if err := s.compact(context.Background(), snapshot); err != nil && !errors.Is(err, ErrClosed) {
			s.log.Error("the log cannot be compacted", "revision", snapshot.revision, "error", err)
		}
	}()
}

// Compact replaces the log up to the present state by a snapshot.
func (s *Store) Compact(ctx context.Context) error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	return s.compact(ctx, s.current.Load())
}

// TrimOnCompaction makes each compaction give unused memory back to the system.
func (s *Store) TrimOnCompaction(on bool) { s.trim.Store(on) }

func (s *Store) compact(ctx context.Context, snapshot *Snapshot) error {
	if err := s.WaitDurable(ctx, snapshot.revision); err != nil {
		return err
	}
	s.logged.Store(0)
	start := time.Now()
	var size int64
	err := s.engine.Compact(ctx, snapshot.revision, func(yield func([]byte) bool) {
		for chunk := range s.snapshotChunks(snapshot) {
			size += int64(len(chunk))
			if !yield(chunk) {
				return
			}
		}
	})
	s.metrics.compaction.Observe(time.Since(start).Seconds())
	if err != nil {
		s.metrics.failures.Inc()
		return fmt.Errorf("ovsdb: compact at revision %d: %w", snapshot.revision, err)
	}
	s.snapped.Store(size)
	s.log.Info("the log was compacted", "revision", snapshot.revision, "bytes", size, "seconds", time.Since(start).Seconds())
	if s.trim.Load() {
		debug.FreeOSMemory()
	}
	return nil
}

// nextTxnID chains the ids of transactions over what they logged.
func nextTxnID(before UUID, data []byte) UUID {
	if len(data) > 1<<10 {
		h := sha256.New()
		h.Write(before[:])
		h.Write(data)
		return UUID(h.Sum(nil)[:16]).asV4()
	}
	var small [len(before) + 1<<10]byte // without a trip to the heap
	n := copy(small[:], before[:])
	n += copy(small[n:], data)
	h := sha256.Sum256(small[:n])
	return UUID(h[:16]).asV4()
}
