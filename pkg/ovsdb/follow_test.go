package ovsdb

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// batches notes the size of each batch of another engine.
type batches struct {
	Engine
	mu    sync.Mutex
	sizes []int
}

func (b *batches) Append(ctx context.Context, batch []Entry) error {
	b.mu.Lock()
	b.sizes = append(b.sizes, len(batch))
	b.mu.Unlock()
	return b.Engine.Append(ctx, batch)
}

// A commit is stored in one batch with what its follower makes of it, and
// without it when the follower takes too long.
func TestFollow(t *testing.T) {
	schema, err := ParseSchema([]byte(testSchemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		delay time.Duration
		late  bool // Settled comes after the first commit is durable
		want  int  // size of the batch with the first commit
	}{
		{"in time", time.Minute, false, 3},
		{"late", time.Millisecond, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &batches{Engine: NewMemoryEngine()}
			s, err := Open(t.Context(), e, []Database{{Schema: schema}}, Options{Logger: slog.New(slog.DiscardHandler), FollowDelay: tt.delay})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			insert := func(name string) uint64 {
				t.Helper()
				rev, err := s.Update(t.Context(), schema, OwnerNorthd, func(tx *Txn) error {
					tx.Insert(schema.Table("Switch"), UUID{}, map[string]Value{"name": name})
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				return rev
			}
			durable := func(rev uint64) {
				t.Helper()
				if err := s.WaitDurable(t.Context(), rev); err != nil {
					t.Fatal(err)
				}
			}
			start := s.Snapshot().Revision()
			durable(start)
			s.Settled(start)
			e.mu.Lock()
			from := len(e.sizes)
			e.mu.Unlock()
			first := insert("a")
			if tt.late {
				durable(first)
			}
			insert("b")
			last := insert("c")
			s.Settled(last)
			durable(last)
			e.mu.Lock()
			defer e.mu.Unlock()
			if got := e.sizes[from:]; got[0] != tt.want {
				t.Errorf("batches of %v, want %d in the first", got, tt.want)
			}
		})
	}
}
