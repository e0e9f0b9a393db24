package enginetest

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"govn/pkg/ovsdb"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) Opener {
		e := ovsdb.NewMemoryEngine()
		return func() (ovsdb.Engine, error) { return e, nil }
	})
}

func TestBolt(t *testing.T) {
	for name, o := range map[string]ovsdb.BoltOptions{"synced": {}, "not synced": {NoSync: true}} {
		t.Run(name, func(t *testing.T) {
			Run(t, func(t *testing.T) Opener {
				path := filepath.Join(t.TempDir(), "db")
				return func() (ovsdb.Engine, error) { return ovsdb.OpenBolt(path, o) }
			})
		})
	}
}

// crashing is an engine that ends as in a crash: what is opened next are the files as they
// are before Close.
type crashing struct {
	ovsdb.Engine
	dir, next string
	settle    bool // all is brought to the file before, because it may be under way
}

func (c *crashing) Close() error {
	var err error
	if c.settle {
		err = c.Load(ctx, func(uint64, []byte) error { return nil }, func(ovsdb.Entry) error { return nil })
	}
	return errors.Join(err, os.CopyFS(c.next, os.DirFS(c.dir)), c.Engine.Close())
}

// TestBoltCrashing: the same promises hold where a write-ahead log is left behind each
// time, with room for all, none of which is in the file then, or only for some.
func TestBoltCrashing(t *testing.T) {
	for name, limit := range map[string]int64{"large": 64 << 20, "small": 1} {
		t.Run(name, func(t *testing.T) {
			logs := 0
			Run(t, func(t *testing.T) Opener {
				dir := t.TempDir()
				return func() (ovsdb.Engine, error) {
					if _, err := os.Stat(filepath.Join(dir, "db.wal")); err == nil {
						logs++
					}
					e, err := ovsdb.OpenBolt(filepath.Join(dir, "db"), ovsdb.BoltOptions{
						NoSync: true, LogLimit: limit, ApplyAfter: time.Hour, Logger: slog.New(slog.DiscardHandler)})
					c := &crashing{Engine: e, dir: dir, next: t.TempDir(), settle: name == "small"}
					dir = c.next
					return c, err
				}
			})
			if logs < 10 {
				t.Errorf("%d logs were left behind", logs)
			}
		})
	}
}

// mutant is a memory engine that breaks one promise. What is nil is as it should.
type mutant struct {
	ovsdb.Engine
	identity func(e ovsdb.Engine, proposed ovsdb.UUID) (ovsdb.UUID, error)
	append   func(e ovsdb.Engine, batch []ovsdb.Entry) error
	load     func(e ovsdb.Engine, part func(uint64, []byte) error, entry func(ovsdb.Entry) error) error
	compact  func(e ovsdb.Engine, revision uint64, parts iter.Seq[[]byte]) error
}

func (m *mutant) Identity(ctx context.Context, proposed ovsdb.UUID) (ovsdb.UUID, error) {
	if m.identity != nil {
		return m.identity(m.Engine, proposed)
	}
	return m.Engine.Identity(ctx, proposed)
}

func (m *mutant) Append(ctx context.Context, batch []ovsdb.Entry) error {
	if m.append != nil {
		return m.append(m.Engine, batch)
	}
	return m.Engine.Append(ctx, batch)
}

func (m *mutant) Load(ctx context.Context, part func(uint64, []byte) error, entry func(ovsdb.Entry) error) error {
	if m.load != nil {
		return m.load(m.Engine, part, entry)
	}
	return m.Engine.Load(ctx, part, entry)
}

func (m *mutant) Compact(ctx context.Context, revision uint64, parts iter.Seq[[]byte]) error {
	if m.compact != nil {
		return m.compact(m.Engine, revision, parts)
	}
	return m.Engine.Compact(ctx, revision, parts)
}

// mutants are made anew for each check; by what they break, the check that must
// refuse them.
var mutants = map[string]struct {
	check string
	make  func() *mutant
}{
	"a new identity each time": {"identity", func() *mutant {
		return &mutant{identity: func(_ ovsdb.Engine, proposed ovsdb.UUID) (ovsdb.UUID, error) { return proposed, nil }}
	}},
	"loses the last entry of a batch": {"order", func() *mutant {
		return &mutant{append: func(e ovsdb.Engine, b []ovsdb.Entry) error {
			return e.Append(ctx, b[:max(0, len(b)-1)])
		}}
	}},
	"loses the last entry of a large batch": {"large batches", func() *mutant {
		return &mutant{append: func(e ovsdb.Engine, b []ovsdb.Entry) error {
			if len(b) > 1000 {
				b = b[:1000]
			}
			return e.Append(ctx, b)
		}}
	}},
	"tears a batch": {"stale entries", func() *mutant {
		return &mutant{append: func(e ovsdb.Engine, b []ovsdb.Entry) error {
			for _, en := range b {
				if err := e.Append(ctx, []ovsdb.Entry{en}); err != nil {
					return err
				}
			}
			return nil
		}}
	}},
	"takes stale entries": {"stale entries", func() *mutant {
		return &mutant{append: func(e ovsdb.Engine, b []ovsdb.Entry) error {
			if err := e.Append(ctx, b); !errors.Is(err, ovsdb.ErrOrder) {
				return err
			}
			return nil
		}}
	}},
	"reorders": {"order", func() *mutant {
		return &mutant{load: func(e ovsdb.Engine, part func(uint64, []byte) error, entry func(ovsdb.Entry) error) error {
			var all []ovsdb.Entry
			if err := e.Load(ctx, part, func(en ovsdb.Entry) error { all = append(all, en); return nil }); err != nil {
				return err
			}
			slices.SortFunc(all, func(a, b ovsdb.Entry) int { return slices.Compare(a.Data, b.Data) })
			for _, en := range all {
				if err := entry(en); err != nil {
					return err
				}
			}
			return nil
		}}
	}},
	"forgets everything": {"order", func() *mutant {
		return &mutant{append: func(ovsdb.Engine, []ovsdb.Entry) error { return nil }}
	}},
	"swallows errors of the functions": {"load", func() *mutant {
		return &mutant{load: func(e ovsdb.Engine, part func(uint64, []byte) error, entry func(ovsdb.Entry) error) error {
			return e.Load(ctx, func(r uint64, p []byte) error { _ = part(r, p); return nil }, func(en ovsdb.Entry) error { _ = entry(en); return nil })
		}}
	}},
	"passes the entries first": {"compaction", func() *mutant {
		return &mutant{load: func(e ovsdb.Engine, part func(uint64, []byte) error, entry func(ovsdb.Entry) error) error {
			return errors.Join(e.Load(ctx, func(uint64, []byte) error { return nil }, entry),
				e.Load(ctx, part, func(ovsdb.Entry) error { return nil }))
		}}
	}},
	"forgets to compact": {"compaction", func() *mutant {
		return &mutant{compact: func(ovsdb.Engine, uint64, iter.Seq[[]byte]) error { return nil }}
	}},
	"compacts all there is": {"compaction", func() *mutant {
		var last uint64
		return &mutant{
			append: func(e ovsdb.Engine, b []ovsdb.Entry) error {
				if len(b) > 0 {
					last = b[len(b)-1].Revision
				}
				return e.Append(ctx, b)
			},
			compact: func(e ovsdb.Engine, _ uint64, parts iter.Seq[[]byte]) error { return e.Compact(ctx, last, parts) },
		}
	}},
	"compacts one too few": {"compaction", func() *mutant {
		return &mutant{compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) error { return e.Compact(ctx, r-1, parts) }}
	}},
	"loses the last part": {"compaction", func() *mutant {
		return &mutant{compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) error {
			return e.Compact(ctx, r, func(yield func([]byte) bool) {
				var held []byte
				for p := range parts {
					if held != nil && !yield(held) {
						return
					}
					held = slices.Clone(p)
				}
			})
		}}
	}},
	"goes back to an older snapshot": {"snapshots out of order", func() *mutant {
		return &mutant{compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) error {
			if err := e.Compact(ctx, r, parts); !errors.Is(err, ovsdb.ErrOrder) {
				return err
			}
			return nil
		}}
	}},
	"keeps the bytes of parts": {"parts are copied", func() *mutant {
		return &mutant{compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) error {
			var kept [][]byte
			for p := range parts {
				kept = append(kept, p)
			}
			return e.Compact(ctx, r, slices.Values(kept))
		}}
	}},
	"loses what is appended during a compaction": {"appends during a compaction", func() *mutant {
		var mu sync.Mutex
		compacting := false
		return &mutant{
			append: func(e ovsdb.Engine, b []ovsdb.Entry) error {
				mu.Lock()
				defer mu.Unlock()
				if compacting {
					return nil
				}
				return e.Append(ctx, b)
			},
			compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) error {
				mu.Lock()
				compacting = true
				mu.Unlock()
				defer func() { compacting = false }()
				return e.Compact(ctx, r, parts)
			},
		}
	}},
	"compacts only once": {"many compactions", func() *mutant {
		var once sync.Once
		return &mutant{compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) (err error) {
			once.Do(func() { err = e.Compact(ctx, r, parts) })
			return err
		}}
	}},
	"compacts though it was given up": {"a compaction that is given up", func() *mutant {
		return &mutant{compact: func(e ovsdb.Engine, r uint64, parts iter.Seq[[]byte]) error { return e.Compact(ctx, r, parts) }}
	}},
}

var ctx = context.Background()

// TestMutants: each broken engine is refused by the check that is meant for it.
func TestMutants(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(Checks, func(c Check) bool { return c.Name == m.check })
			if i < 0 {
				t.Fatalf("there is no check %q", m.check)
			}
			e := m.make()
			e.Engine = ovsdb.NewMemoryEngine()
			if err := Checks[i].Run(func() (ovsdb.Engine, error) { return e, nil }); err == nil {
				t.Errorf("check %q passes", m.check)
			} else {
				t.Log(err)
			}
		})
	}
	for _, c := range Checks {
		used := false
		for _, m := range mutants {
			used = used || m.check == c.Name
		}
		if !used {
			t.Errorf("nothing breaks what %q checks", c.Name)
		}
	}
}
