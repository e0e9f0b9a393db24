package ovsdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// engines are all implementations; open opens the same contents again.
var engines = map[string]func(t *testing.T) (open func() Engine){
	"memory": func(*testing.T) func() Engine {
		e := NewMemoryEngine()
		return func() Engine { return e }
	},
	"bbolt": func(t *testing.T) func() Engine {
		path := filepath.Join(t.TempDir(), "db")
		return func() Engine {
			e, err := OpenBolt(path, BoltOptions{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
	},
}

// TestStoreOnEngines runs random-looking changes, compactions and restarts on
// each engine; all end with the same data and the same transaction id.
func TestStoreOnEngines(t *testing.T) {
	for name, prepare := range engines {
		t.Run(name, func(t *testing.T) {
			d := testSchema(t)
			open := prepare(t)
			var dump string
			for round := range 4 {
				s, err := Open(context.Background(), open(), []Database{{Schema: d}}, Options{CompactAt: 2000})
				if err != nil {
					t.Fatal(err)
				}
				if got := dumpOf(s.Snapshot(), d); got != dump {
					t.Fatalf("round %d: after the restart\n%s\nnot\n%s", round, got, dump)
				}
				for i := range 40 {
					update(t, s, d, func(tx *Txn) {
						sw := tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": fmt.Sprint(round, "-", i), "options": map[string]string{"a": "b", "c": fmt.Sprint(i)}})
						for p := range 5 {
							port := tx.Insert(d.Table("Port"), UUID{}, map[string]Value{"name": fmt.Sprint(round, "-", i, "-", p), "weight": float64(p) / 3})
							tx.AddToSet(d.Table("Switch"), sw, "ports", port)
						}
						if i%3 == 0 {
							for r := range tx.Rows(d.Table("Switch")) {
								tx.Delete(d.Table("Switch"), r.UUID())
								break
							}
						}
						for r := range tx.Rows(d.Table("Switch")) {
							tx.PutInMap(d.Table("Switch"), r.UUID(), "options", "round", fmt.Sprint(round))
							ports := slices.Collect(r.Set(d.Table("Switch").Column("ports")).All())
							tx.DelFromSet(d.Table("Switch"), r.UUID(), "ports", ports[:len(ports)/2]...)
							break
						}
					})
				}
				if err := s.WaitDurable(context.Background(), s.Snapshot().Revision()); err != nil {
					t.Fatal(err)
				}
				if err := s.Snapshot().dbs[0].check(); err != nil {
					t.Fatal(err)
				}
				dump = dumpOf(s.Snapshot(), d)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// dumpOf prints all that must survive a restart.
func dumpOf(s *Snapshot, d *DatabaseSchema) string {
	if s.Revision() == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintln(&b, s.Revision(), s.TxnID())
	for _, t := range d.tables {
		for r := range s.Rows(t) {
			fmt.Fprintln(&b, r, r.Revision())
		}
	}
	return b.String()
}

// TestDamageIsNamed: an entry or part with other bytes than were written is an
// error that names it, and nothing is loaded.
func TestDamageIsNamed(t *testing.T) {
	d := testSchema(t)
	path := filepath.Join(t.TempDir(), "db")
	open := func() (*Store, error) {
		e, err := OpenBolt(path, BoltOptions{NoSync: true})
		if err != nil {
			return nil, err
		}
		return Open(context.Background(), e, []Database{{Schema: d}}, Options{})
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	insert := func(name string) {
		update(t, s, d, func(tx *Txn) { tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": name}) })
	}
	insert("a")
	insert("b")
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	insert("c")
	insert("d")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change := func(bucket string, key uint64, f func([]byte) []byte) (old []byte) {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			old = bytes.Clone(b.Get(boltKey(key)))
			if data := f(bytes.Clone(old)); data != nil {
				return b.Put(boltKey(key), data)
			}
			return b.Delete(boltKey(key))
		}); err != nil {
			t.Fatal(err)
		}
		return old
	}
	cases := map[string]func([]byte) []byte{
		"a bit":     func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"torn":      func(b []byte) []byte { return b[:len(b)-3] },
		"no bytes":  func([]byte) []byte { return []byte{} },
		"text":      func([]byte) []byte { return []byte("garbage that is long enough") },
		"missing":   func([]byte) []byte { return nil },
		"a version": func(b []byte) []byte { b[1] = 9; return seal(b[:len(b)-4]) },
	}
	for name, f := range cases {
		for _, at := range []struct {
			bucket string
			key    uint64
			want   string
		}{{"log", 3, "revision"}, {"snapshot-2", 2, "part"}} {
			old := change(at.bucket, at.key, f)
			if s, err := open(); err == nil {
				s.Close()
				t.Errorf("%s in %s: loaded", name, at.bucket)
			} else if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), at.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s in %s: %v", name, at.bucket, err)
			}
			change(at.bucket, at.key, func([]byte) []byte { return old })
		}
	}
	s, err = open()
	if err != nil || s.Snapshot().Len(d.Table("Switch")) != 4 {
		t.Fatal("the repaired file does not load", err)
	}
	s.Close()
}

// TestLogIsSmall: one port more on a large switch logs a few bytes.
func TestLogIsSmall(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	sw, port := d.Table("Switch"), d.Table("Port")
	u := fillSwitch(t, s, d, 10_000)
	before := s.logged.Load()
	update(t, s, d, func(tx *Txn) {
		tx.AddToSet(sw, u, "ports", tx.Insert(port, UUID{}, map[string]Value{"name": "one more"}))
	})
	if n := s.logged.Load() - before; n > 200 {
		t.Errorf("one port more logged %d bytes", n)
	}
}

func fillSwitch(t testing.TB, s *Store, d *DatabaseSchema, n int) (u UUID) {
	t.Helper()
	update(t, s, d, func(tx *Txn) {
		ports := make([]Atom, n)
		for i := range ports {
			ports[i] = tx.Insert(d.Table("Port"), UUID{}, map[string]Value{"name": fmt.Sprint("p", i)})
		}
		u = tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": "big", "ports": NewSet(ports...)})
	})
	return u
}
