package ovsdb

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
)

// Entry is one transaction in the log.
type Entry struct {
	Revision uint64
	Data     []byte
}

// ErrCorrupt is wrapped by errors that say which entry or part of a snapshot
// does not have the bytes that were written.
var ErrCorrupt = errors.New("ovsdb: the log is damaged")

// Engine keeps a snapshot and the log of entries after it. The store calls
// Identity and Load first, once each; Append from one goroutine; Compact from
// one other at a time; Close last, when nothing else runs. An engine keeps bytes
// and does not look into them.
type Engine interface {
	// Identity returns the id of the stored data, having stored the proposed
	// one if there is none yet.
	Identity(ctx context.Context, proposed UUID) (UUID, error)
	// Load passes the parts of the snapshot in order, then each entry after it
	// in order of revisions. The bytes are valid only during the call. It ends
	// at the first error, which it returns.
	Load(ctx context.Context, part func(revision uint64, data []byte) error, entry func(Entry) error) error
	// Append stores entries with ascending revisions; all of them, or none, are
	// there after a crash during the call, and all after it has returned nil.
	Append(ctx context.Context, batch []Entry) error
	// Compact replaces the snapshot and all entries up to revision by the parts.
	// After a crash either the old or the new ones are there.
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
		if err := entry(en); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (e *memoryEngine) Append(_ context.Context, batch []Entry) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.entries = append(e.entries, batch...)
	return nil
}

func (e *memoryEngine) Compact(_ context.Context, revision uint64, parts iter.Seq[[]byte]) error {
	var all [][]byte
	for p := range parts {
		all = append(all, slices.Clone(p))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parts, e.revision = all, revision
	e.entries = slices.DeleteFunc(slices.Clone(e.entries), func(en Entry) bool { return en.Revision <= revision })
	return nil
}

func (e *memoryEngine) Close() error { return nil }
