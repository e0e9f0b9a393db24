package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"govn/pkg/eventually"
)

// gate is an engine whose Append waits, and may fail.
type gate struct {
	Engine
	open    chan struct{}
	fail    atomic.Bool
	batches atomic.Int64
}

func (g *gate) Append(ctx context.Context, batch []Entry) error {
	<-g.open
	if g.fail.Load() {
		return errors.New("no space left")
	}
	g.batches.Add(1)
	return g.Engine.Append(ctx, batch)
}

func (g *gate) Compact(ctx context.Context, rev uint64, parts iter.Seq[[]byte]) error {
	return g.Engine.Compact(ctx, rev, parts)
}

// TestReplyWaitsForTheLog: the visible state runs ahead; replies and updates do
// not, and many transactions share one write.
func TestReplyWaitsForTheLog(t *testing.T) {
	d := testSchema(t)
	g := &gate{Engine: NewMemoryEngine(), open: make(chan struct{})}
	s := openTest(t, g, d)
	sock := serve(t, s, ServerOptions{})
	c, watcher := dial(t, sock), dial(t, sock)
	watcher.result("monitor", `["Test","m",{"Flow":{"columns":["match"]}}]`)
	var ids []string
	for i := range 10 {
		ids = append(ids, c.request("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"match":"%d"}}]`, i)))
	}
	eventually.That(t, "all are visible", func() bool { return s.Snapshot().Len(d.Table("Flow")) == 10 })
	for _, silent := range []*client{c, watcher} {
		silent.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := silent.conn.Read(make([]byte, 1)); err == nil || n > 0 {
			t.Fatal("an answer came before the log was written")
		}
	}
	close(g.open)
	for _, id := range ids {
		c.await(id)
	}
	for range ids {
		watcher.receive()
	}
	if n := g.batches.Load(); n > 2 {
		t.Errorf("10 transactions took %d writes", n)
	}
}

func TestEngineFailure(t *testing.T) {
	d := testSchema(t)
	g := &gate{Engine: NewMemoryEngine(), open: make(chan struct{})}
	g.fail.Store(true)
	close(g.open)
	s, err := Open(context.Background(), g, []Database{{Schema: d}}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	insert := func(tx *Txn) error {
		tx.Insert(d.Table("Flow"), UUID{}, nil)
		return nil
	}
	rev, err := s.Update(context.Background(), d, OwnerNorthd, insert)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WaitDurable(context.Background(), rev); !errors.Is(err, &Error{Kind: ErrIO}) {
		t.Errorf("wait: %v", err)
	}
	if _, err := s.Update(context.Background(), d, OwnerNorthd, insert); !errors.Is(err, &Error{Kind: ErrIO}) {
		t.Errorf("update: %v", err)
	}
	select {
	case <-s.Failed():
	default:
		t.Error("the store does not say that it has failed")
	}
	if err := s.Err(); !errors.Is(err, &Error{Kind: ErrIO}) {
		t.Errorf("reason: %v", err)
	}
}
