package enginetest

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"testing"

	"govn/pkg/ovsdb"
)

// sharedLog stands for a replicated log that several processes reach, with an
// election: whoever opens it last leads.
type sharedLog struct {
	mu   sync.Mutex
	log  ovsdb.Engine
	term int
	// unanswered makes the next append lose its answer: it is stored, or it is not.
	unanswered, stored bool
}

// member is a process' engine on a sharedLog. As the contract of Engine wants, it
// appends on condition that it leads.
type member struct {
	shared *sharedLog
	term   int
	failed bool
}

func (s *sharedLog) open() (ovsdb.Engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.term++
	return &member{shared: s, term: s.term}, nil
}

var errNoAnswer = errors.New("the log does not answer")

// leading runs fn, which writes, if the member leads.
func (m *member) leading(fn func() error) error {
	m.shared.mu.Lock()
	defer m.shared.mu.Unlock()
	switch {
	case m.failed:
		return errNoAnswer
	case m.term != m.shared.term:
		return ovsdb.ErrNotLeader
	}
	return fn()
}

func (m *member) Identity(ctx context.Context, proposed ovsdb.UUID) (ovsdb.UUID, error) {
	return m.shared.log.Identity(ctx, proposed)
}

func (m *member) Load(ctx context.Context, part func(uint64, []byte) error, entry func(ovsdb.Entry) error) error {
	return m.shared.log.Load(ctx, part, entry)
}

func (m *member) Append(ctx context.Context, batch []ovsdb.Entry) error {
	return m.leading(func() error {
		if m.shared.unanswered {
			m.shared.unanswered, m.failed = false, true
			if m.shared.stored {
				return errors.Join(m.shared.log.Append(ctx, batch), errNoAnswer)
			}
			return errNoAnswer
		}
		return m.shared.log.Append(ctx, batch)
	})
}

func (m *member) Compact(ctx context.Context, revision uint64, parts iter.Seq[[]byte]) error {
	if err := m.leading(func() error { return nil }); err != nil {
		return err
	}
	return m.shared.log.Compact(ctx, revision, parts)
}

func (m *member) Close() error { return nil }

func TestReplicated(t *testing.T) {
	Run(t, func(*testing.T) Opener { return (&sharedLog{log: ovsdb.NewMemoryEngine()}).open })
}

// TestLeadership: the store on an engine of a replicated log needs nothing more than
// the contract. What a leader showed and could not store is gone with it; the next
// one has what was acknowledged, and what became of the rest.
func TestLeadership(t *testing.T) {
	schema, err := ovsdb.ParseSchema([]byte(`{"name":"D","version":"1.0.0","tables":{"T":{"columns":{"name":{"type":"string"}},"indexes":[["name"]]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	table := schema.Table("T")
	shared := &sharedLog{log: ovsdb.NewMemoryEngine()}
	open := func() *ovsdb.Store {
		t.Helper()
		e, err := shared.open()
		if err != nil {
			t.Fatal(err)
		}
		s, err := ovsdb.Open(t.Context(), e, []ovsdb.Database{{Schema: schema}}, ovsdb.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	insert := func(s *ovsdb.Store, name string) error {
		rev, err := s.Update(t.Context(), schema, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			tx.Insert(table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name})
			return nil
		})
		if err != nil {
			return err
		}
		return s.WaitDurable(t.Context(), rev)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(s *ovsdb.Store, name string) bool { return s.Snapshot().Lookup(table, 0, name) != nil }
	failed := func(s *ovsdb.Store, want error) {
		t.Helper()
		<-s.Failed()
		if err := s.Err(); !errors.Is(err, want) || !errors.Is(err, &ovsdb.Error{Kind: ovsdb.ErrIO}) {
			t.Errorf("the store has failed with %v, not %v", err, want)
		}
	}

	a := open()
	must(insert(a, "one"))
	b := open() // leads now
	if err := insert(a, "two, of one that leads no more"); err == nil {
		t.Error("a transaction of one that leads no more is acknowledged")
	}
	failed(a, ovsdb.ErrNotLeader)
	must(insert(b, "two"))
	if has(b, "two, of one that leads no more") || !has(b, "one") || b.Snapshot().Revision() != 2 || a.ClusterID() != b.ClusterID() {
		t.Errorf("revision %d", b.Snapshot().Revision())
	}
	for _, stored := range []bool{false, true} {
		shared.unanswered, shared.stored = true, stored
		name := "unanswered"
		if err := insert(b, name); err == nil {
			t.Error("a transaction without an answer is acknowledged")
		}
		failed(b, errNoAnswer)
		b = open()
		if has(b, name) != stored {
			t.Errorf("stored %t, seen %t", stored, has(b, name))
		}
		must(insert(b, "after "+map[bool]string{false: "loss", true: "doubt"}[stored]))
	}
	id := b.Snapshot().TxnID()
	must(b.Compact(t.Context()))
	if c := open(); c.Snapshot().TxnID() != id || c.Snapshot().Len(table) != 5 {
		t.Errorf("%d rows, transaction %s, not %s", c.Snapshot().Len(table), c.Snapshot().TxnID(), id)
	}
}
