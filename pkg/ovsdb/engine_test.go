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

type contentsOf struct {
	revision uint64
	parts    []string
	entries  []string
}

func read(t *testing.T, e Engine) (c contentsOf) {
	t.Helper()
	err := e.Load(context.Background(), func(rev uint64, data []byte) error {
		c.revision = rev
		c.parts = append(c.parts, string(data))
		return nil
	}, func(en Entry) error {
		c.entries = append(c.entries, fmt.Sprintf("%d=%s", en.Revision, en.Data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEngine is what every engine must do.
func TestEngine(t *testing.T) {
	for name, prepare := range engines {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			open := prepare(t)
			e := open()
			first, second := NewUUID(), NewUUID()
			identity := func(proposed UUID) {
				t.Helper()
				if id, err := e.Identity(ctx, proposed); err != nil || id != first {
					t.Fatalf("identity %s, %v", id, err)
				}
			}
			reopen := func() {
				t.Helper()
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				e = open()
			}
			expect := func(revision uint64, parts, entries string) {
				t.Helper()
				for range 2 { // and after a restart
					c := read(t, e)
					if c.revision != revision || strings.Join(c.parts, " ") != parts || strings.Join(c.entries, " ") != entries {
						t.Fatalf("%+v", c)
					}
					reopen()
				}
			}
			add := func(revs ...uint64) {
				t.Helper()
				var batch []Entry
				for _, r := range revs {
					batch = append(batch, Entry{r, fmt.Appendf(nil, "e%d", r)})
				}
				if err := e.Append(ctx, batch); err != nil {
					t.Fatal(err)
				}
			}
			parts := func(p ...string) func(func([]byte) bool) {
				return func(yield func([]byte) bool) {
					buf := make([]byte, 0, 64)
					for _, s := range p {
						buf = append(buf[:0], s...) // the engine must not keep it
						if !yield(buf) {
							return
						}
					}
				}
			}
			identity(first)
			identity(second)
			expect(0, "", "")
			identity(second)
			add(1, 2, 3)
			add(256, 257, 70000)
			expect(0, "", "1=e1 2=e2 3=e3 256=e256 257=e257 70000=e70000")
			if err := e.Compact(ctx, 256, parts("p1", "p2")); err != nil {
				t.Fatal(err)
			}
			add(70001)
			expect(256, "p1 p2", "257=e257 70000=e70000 70001=e70001")
			if err := e.Compact(ctx, 70001, parts("q1")); err != nil {
				t.Fatal(err)
			}
			expect(70001, "q1", "")
			add(70002)
			expect(70001, "q1", "70002=e70002")
			stop := errors.New("stop")
			if err := e.Load(ctx, func(uint64, []byte) error { return stop }, func(Entry) error { return nil }); !errors.Is(err, stop) {
				t.Errorf("load after an error: %v", err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
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
			t.Fatal(err)
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
			} else if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), at.want) {
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
