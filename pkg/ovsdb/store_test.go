package ovsdb

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	switch dir := os.Getenv("OVSDB_TEST_DIR"); os.Getenv("OVSDB_TEST_CRASH") {
	case "synced":
		crashWriter(dir, 40, 200, smallLog(false), false)
	case "closed":
		crashWriter(dir, 40, 200, smallLog(false), true)
	case "unsynced":
		crashWriter(dir, 40, 200, smallLog(true), false)
	case "endless":
		crashWriter(dir, 0, 200, smallLog(false), false)
	case "large": // too large for the write-ahead log
		crashWriter(dir, 5, 20_000, smallLog(false), false)
	}
	if dir := os.Getenv("OVSDB_TEST_CONVERTER"); dir != "" {
		converterMain(dir)
		return
	}
	// Parallel tests wait: for probes, backoff, and leases of real programs.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const testSchemaJSON = `{"name":"Test","version":"1.0.0","cksum":"1 2","tables":{
 "Switch":{"isRoot":true,"columns":{"name":{"type":"string"},
   "ports":{"type":{"key":{"type":"uuid","refTable":"Port"},"min":0,"max":"unlimited"}},
   "main":{"type":{"key":{"type":"uuid","refTable":"Port","refType":"weak"},"min":0,"max":1}},
   "options":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
   "up":{"ephemeral":true,"type":{"key":"boolean","min":0,"max":1}}},
   "indexes":[["name"]]},
 "Port":{"columns":{"name":{"type":"string"},
   "tag":{"type":{"key":{"type":"integer","minInteger":0,"maxInteger":4095},"min":0,"max":1}},
   "addresses":{"type":{"key":"string","min":0,"max":"unlimited"}},
   "weight":{"type":"real"},
   "peers":{"type":{"key":{"type":"uuid","refTable":"Port","refType":"weak"},"min":0,"max":"unlimited"}}},
   "indexes":[["name"]]},
 "Global":{"isRoot":true,"maxRows":1,"columns":{"nb_cfg":{"type":"integer"},"sb_cfg":{"type":"integer"},"kind":{"mutable":false,"type":{"key":{"type":"string","enum":["set",["a","b"]]},"min":0,"max":1}},
   "need":{"type":{"key":{"type":"uuid","refTable":"Switch","refType":"weak"},"min":0,"max":2}}}},
 "Needy":{"isRoot":true,"columns":{"one":{"type":{"key":{"type":"uuid","refTable":"Switch","refType":"weak"},"min":1,"max":2}},
   "by":{"type":{"key":"string","value":{"type":"uuid","refTable":"Port"},"min":0,"max":"unlimited"}}}},
 "Flow":{"isRoot":true,"columns":{"match":{"type":"string"},"priority":{"type":"integer"}}}
}}`

func testSchema(t testing.TB) *DatabaseSchema {
	t.Helper()
	d, err := ParseSchema([]byte(testSchemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// openTest opens a store of the test schema and checks its invariants at the end.
func openTest(t testing.TB, e Engine, d *DatabaseSchema, change ...func(*Database)) *Store {
	t.Helper()
	db := Database{Schema: d}
	for _, f := range change {
		f(&db)
	}
	s, err := Open(context.Background(), e, []Database{db}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, state := range s.Snapshot().dbs {
			if err := state.check(); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func update(t testing.TB, s *Store, d *DatabaseSchema, fn func(*Txn)) uint64 {
	t.Helper()
	rev, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error { fn(tx); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestUpdateAndSubscribe(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	sw, port := d.Table("Switch"), d.Table("Port")
	before, sub := s.SubscribeSnapshot()
	defer sub.Close()
	var u, p UUID
	update(t, s, d, func(tx *Txn) {
		p = tx.Insert(port, UUID{}, map[string]Value{"name": "p1", "tag": 7})
		u = tx.Insert(sw, UUID{}, map[string]Value{"name": "sw0", "ports": p})
		if tx.Lookup(sw, 0, "sw0").UUID() != u {
			t.Error("a transaction does not see its own row")
		}
	})
	if before.Row(sw, u) != nil {
		t.Error("a snapshot changed")
	}
	now := s.Snapshot()
	if r := now.Lookup(port, 0, "p1"); r == nil || r.Int(port.Column("tag")) != 7 {
		t.Errorf("lookup of p1: %v", r)
	}
	for r := range now.Referrers(sw.Column("ports"), p) {
		if r != u {
			t.Errorf("referrer %s", r)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	commits, err := sub.Next(ctx)
	if err != nil || len(commits) != 1 || len(commits[0].Changes) != 2 || commits[0].Who != OwnerNorthd {
		t.Fatalf("commits %v, %v", commits, err)
	}
	// Removing the only reference deletes the port as well.
	update(t, s, d, func(tx *Txn) { tx.DelFromSet(sw, u, "ports", p) })
	if s.Snapshot().Len(port) != 0 {
		t.Error("the port stays")
	}
	rev := s.Snapshot().Revision()
	if _, err := s.Update(ctx, d, OwnerNorthd, func(tx *Txn) error {
		tx.SetColumn(sw, u, "name", "other")
		return ErrUnchanged
	}); err != nil || s.Snapshot().Revision() != rev {
		t.Errorf("given up: %v", err)
	}
	mine := errors.New("mine")
	if _, err := s.Update(ctx, d, OwnerNorthd, func(*Txn) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("error of the function: %v", err)
	}
	if err := s.WaitDurable(ctx, rev); err != nil {
		t.Error(err)
	}
}

func TestReopen(t *testing.T) {
	d := testSchema(t)
	path := filepath.Join(t.TempDir(), "db")
	open := func() *Store {
		e, err := OpenBolt(path, BoltOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	sw, port := d.Table("Switch"), d.Table("Port")
	var u UUID
	update(t, s, d, func(tx *Txn) {
		p := tx.Insert(port, UUID{}, map[string]Value{"name": "p1"})
		u = tx.Insert(sw, UUID{}, map[string]Value{"name": "sw0", "ports": p, "up": true, "options": map[string]string{"a": "b"}})
	})
	for i := range 10 {
		update(t, s, d, func(tx *Txn) {
			tx.AddToSet(sw, u, "ports", tx.Insert(port, UUID{}, map[string]Value{"name": string(rune('a' + i)), "weight": 0.5}))
		})
		if i == 5 {
			if err := s.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, id := s.Snapshot(), s.ClusterID()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	got := s.Snapshot()
	if got.Revision() != want.Revision() || got.TxnID() != want.TxnID() || s.ClusterID() != id {
		t.Errorf("revision %d, not %d; txn %s, %s", got.Revision(), want.Revision(), got.TxnID(), want.TxnID())
	}
	for r := range want.Rows(port) {
		if o := got.Row(port, r.UUID()); o == nil || !o.Equal(r) || o.Version() != r.Version() {
			t.Errorf("%v became %v", r, o)
		}
	}
	r := got.Row(sw, u)
	if _, ok := r.Opt(sw.Column("up")); ok {
		t.Error("an ephemeral column survived")
	}
	if err := got.dbs[0].check(); err != nil {
		t.Error(err)
	}
}
