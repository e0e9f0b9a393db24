package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Entry is one transaction in the log.
type Entry struct {
	// Revision is where in the log the entry is.
	Revision uint64
	// Data is what the store wrote, sealed by a checksum. Nobody changes it after
	// Append; an engine may keep it.
	Data []byte
}

var (
	// ErrCorrupt is wrapped by errors that say which file, page, entry or part of
	// a snapshot does not have the bytes that were written.
	ErrCorrupt = errors.New("ovsdb: the log is damaged")
	// ErrNotLeader is returned by Append when another process owns the log now.
	// Nothing of the batch is stored, nor will be.
	ErrNotLeader = errors.New("ovsdb: another process leads")
	// ErrInUse is returned when another process has the file open.
	ErrInUse = errors.New("ovsdb: another process uses the file")
	// ErrOrder is returned when a revision is not where it belongs: an entry that
	// is not above all before it, a snapshot that is older than the present one.
	ErrOrder = errors.New("ovsdb: the revision is out of order")
)

// Engine keeps the log: a snapshot, and the entries after it. It keeps bytes and
// does not look into them. What is above it needs no more than this, so that
// any log will do that keeps what is said here; package enginetest tests it.
//
//	Identity, Load      in this order, before all others; Load may be repeated
//	Append              one at a time
//	Compact             one at a time, beside Append, at any time after Load
//	Close               last, when nothing else runs
//
// # Order
//
// Revisions ascend, in a batch and from batch to batch; Append refuses others
// with ErrOrder. Load passes what was appended in that order.
//
// # Durability
//
// When Append has returned nil, all entries of the batch survive the loss of
// the process, and of the machine unless the engine says otherwise. A crash
// during Append leaves either all entries of the batch or none, or, where the
// medium cannot do that, a prefix of them: a later one is never there without
// those before it. Load of what a crash left behind needs no repair. What Load
// passes survives as well, also what a process that was killed had written and
// not synced: its successor builds on it, and tells others of it.
//
// # Failure
//
// If Append returns ErrOrder or ErrNotLeader, nothing of the batch is stored. After any
// other error it is unknown whether the batch is stored (a disk may fail after
// the bytes are on it, an answer may be lost on the network): the engine takes
// no further entry, because that one might come to stand after a hole, and the
// store that sits on it refuses all transactions. Whoever opens the engine
// again sees what became of the batch, as after a crash. So nobody is told that
// a transaction failed which is there later: they are told that the outcome is
// unknown (the connection ends). An error of Compact leaves the old snapshot
// and entries, and does not keep Append from going on unless the medium failed.
//
// Data that is not what was written is an error that wraps ErrCorrupt and names
// the place; Load then passes no bytes that it knows to be wrong, and nothing
// on the medium is changed.
//
// # Replicated logs
//
// Only one process at a time may append: the one that leads. An engine on top
// of a replicated log holds the lead (a lease, an election) for as long as it is
// open, takes part in no other way, and fences: Append is conditional on the
// lead, and on the last revision being the one that it knows, in the same
// transaction of the replicated log. It returns ErrNotLeader once the lead is
// lost. What was shown but not stored then must be forgotten, which is what the failure of a
// store does: close it, and open it again when the process leads again. Terms need no
// place in an entry: revisions alone order the log, because no two leaders can
// append the same one. A batch that is larger than the replicated log takes at
// once is stored in pieces, first entry first; that is the prefix above.
// Processes that do not lead read the snapshot and the entries with Load as
// often as they like: nothing in it depends on who appended.
type Engine interface {
	// Identity returns the id of the stored data, having stored the proposed
	// one if there is none yet.
	Identity(ctx context.Context, proposed UUID) (UUID, error)
	// Load passes the parts of the snapshot in order, then each entry after it
	// in order of revisions. The bytes are valid only during the call. It ends
	// at the first error, which it returns.
	Load(ctx context.Context, part func(revision uint64, data []byte) error, entry func(Entry) error) error
	// Append stores entries with ascending revisions.
	Append(ctx context.Context, batch []Entry) error
	// Compact replaces the snapshot and all entries up to revision by the parts,
	// whose bytes it must not keep. Entries that are appended meanwhile stay, and
	// do not wait for longer than one step of it takes. After a crash either the old
	// or the new ones are there. A revision that the snapshot has already is no
	// error and changes nothing; an older one, or one that was not appended, is
	// ErrOrder. If ctx ends the old ones stay.
	Compact(ctx context.Context, revision uint64, parts iter.Seq[[]byte]) error
	// Close releases the engine.
	Close() error
}

// memoryEngine keeps everything in memory: for tests, and for simulations that
// need no durability.
type memoryEngine struct {
	mu       sync.Mutex
	id       UUID
	revision uint64
	parts    [][]byte
	entries  []Entry
}

// NewMemoryEngine returns an engine whose contents live as long as it does. It
// can be opened again after Close, as if after a restart.
func NewMemoryEngine() Engine { return &memoryEngine{} }

func (e *memoryEngine) Identity(_ context.Context, proposed UUID) (UUID, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.id.IsZero() {
		e.id = proposed
	}
	return e.id, nil
}

func (e *memoryEngine) Load(ctx context.Context, part func(uint64, []byte) error, entry func(Entry) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		if err := part(e.revision, p); err != nil {
			return err
		}
	}
	for _, en := range e.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := entry(en); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// last is the revision up to which there is something. e.mu is held.
func (e *memoryEngine) last() uint64 {
	if n := len(e.entries); n > 0 {
		return e.entries[n-1].Revision
	}
	return e.revision
}

func (e *memoryEngine) Append(_ context.Context, batch []Entry) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := checkOrder(e.last(), batch); err != nil {
		return err
	}
	e.entries = append(e.entries, batch...)
	return nil
}

// checkOrder verifies that revisions ascend from last.
func checkOrder(last uint64, batch []Entry) error {
	for _, en := range batch {
		if en.Revision <= last {
			return fmt.Errorf("%w: entry of revision %d after %d", ErrOrder, en.Revision, last)
		}
		last = en.Revision
	}
	return nil
}

func (e *memoryEngine) Compact(ctx context.Context, revision uint64, parts iter.Seq[[]byte]) error {
	e.mu.Lock()
	before, last := e.revision, e.last()
	e.mu.Unlock()
	switch {
	case revision == before:
		return nil
	case revision < before || revision > last:
		return fmt.Errorf("%w: snapshot of revision %d after one of %d, where the log ends at %d", ErrOrder, revision, before, last)
	}
	var all [][]byte
	for p := range parts {
		all = append(all, slices.Clone(p))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parts, e.revision = all, revision
	e.entries = slices.DeleteFunc(slices.Clone(e.entries), func(en Entry) bool { return en.Revision <= revision })
	return nil
}

func (e *memoryEngine) Close() error { return nil }
