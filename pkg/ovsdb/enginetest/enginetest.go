package enginetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/pkg/ovsdb"
)

// Opener opens the same contents each time, after the engine that it gave
// before was closed.
type Opener func() (ovsdb.Engine, error)

// Check is one promise of the interface.
type Check struct {
	Name string
	// Run tests a new, empty engine.
	Run func(Opener) error
}

// Checks are all promises.
var Checks = []Check{
	{"identity", identity},
	{"order", order},
	{"stale entries", stale},
	{"large batches", large},
	{"load", load},
	{"compaction", compaction},
	{"snapshots out of order", oldSnapshot},
	{"parts are copied", copied},
	{"appends during a compaction", concurrent},
	{"a compaction that is given up", givenUp},
	{"many compactions", many},
}

// Run runs all checks; prepare returns the opener of a new, empty engine.
func Run(t *testing.T, prepare func(t *testing.T) Opener) {
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(prepare(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// stuck is after how long something counts as blocked.
const stuck = 20 * time.Second

// subject is an engine under test; the first mistake sticks.
type subject struct {
	open Opener
	e    ovsdb.Engine
	err  error
}

// with runs fn on an engine that has been prepared as a store does.
func with(open Opener, fn func(*subject)) error {
	s := &subject{open: open}
	s.reopen()
	if s.err == nil {
		fn(s)
	}
	if s.e != nil {
		s.fail(s.e.Close())
	}
	return s.err
}

func (s *subject) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *subject) failf(format string, args ...any) { s.fail(fmt.Errorf(format, args...)) }

// reopen closes the engine and opens it again.
func (s *subject) reopen() {
	if s.e != nil {
		s.fail(s.e.Close())
	}
	var err error
	if s.e, err = s.open(); err != nil {
		s.fail(err)
		s.e = nil
	}
}

// entry is the entry of a revision; some are longer than others.
func entry(revision uint64) ovsdb.Entry {
	return ovsdb.Entry{Revision: revision, Data: fmt.Appendf(nil, "e%d%s", revision, strings.Repeat(".", int(revision%7)*30))}
}

func entries(revisions ...uint64) (batch []ovsdb.Entry) {
	for _, r := range revisions {
		batch = append(batch, entry(r))
	}
	return batch
}

func (s *subject) append(revisions ...uint64) {
	if s.err == nil {
		s.fail(s.e.Append(context.Background(), entries(revisions...)))
	}
}

func parts(p ...string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, s := range p {
			if !yield([]byte(s)) {
				return
			}
		}
	}
}

func (s *subject) compact(revision uint64, p ...string) {
	if s.err == nil {
		s.fail(s.e.Compact(context.Background(), revision, parts(p...)))
	}
}

// expect compares the contents, before and after reopening.
func (s *subject) expect(revision uint64, p []string, revisions ...uint64) {
	for _, when := range []string{"before", "after"} {
		if s.err != nil {
			return
		}
		if when == "after" {
			s.reopen()
			if s.err != nil {
				return
			}
		}
		var gotParts []string
		var gotRevisions []uint64
		s.fail(s.e.Load(context.Background(), func(rev uint64, data []byte) error {
			if rev != revision {
				return fmt.Errorf("%s reopening: a part of revision %d, not %d", when, rev, revision)
			}
			if len(gotRevisions) > 0 {
				return fmt.Errorf("%s reopening: a part after an entry", when)
			}
			gotParts = append(gotParts, string(data))
			return nil
		}, func(en ovsdb.Entry) error {
			if want := entry(en.Revision); string(want.Data) != string(en.Data) {
				return fmt.Errorf("%s reopening: entry %d is %q", when, en.Revision, en.Data)
			}
			gotRevisions = append(gotRevisions, en.Revision)
			return nil
		}))
		if !slices.Equal(gotParts, p) {
			s.failf("%s reopening: parts %.200q, not %.200q", when, gotParts, p)
		}
		if !slices.Equal(gotRevisions, revisions) {
			s.failf("%s reopening: entries %.200s, not %.200s", when, fmt.Sprint(gotRevisions), fmt.Sprint(revisions))
		}
	}
}

// identity: the first proposed one is stored, and another engine has another.
func identity(open Opener) error {
	first := ovsdb.NewUUID()
	return with(open, func(s *subject) {
		for range 3 {
			for _, proposed := range []ovsdb.UUID{first, ovsdb.NewUUID()} {
				if id, err := s.e.Identity(context.Background(), proposed); err != nil || id != first {
					s.failf("identity %s, %v, not %s", id, err, first)
					return
				}
			}
			if s.reopen(); s.err != nil {
				return
			}
			if id, err := s.e.Identity(context.Background(), ovsdb.NewUUID()); err != nil || id != first {
				s.failf("identity %s, %v, not %s", id, err, first)
				return
			}
		}
	})
}

// order: what was appended comes back as it was, and survives.
func order(open Opener) error {
	return with(open, func(s *subject) {
		s.expect(0, nil)
		s.append()
		s.expect(0, nil)
		s.append(1, 2, 3)
		s.append(4)
		s.expect(0, nil, 1, 2, 3, 4)
		s.append(255, 256, 257, 65535, 65536, 1<<32, 1<<40)
		s.expect(0, nil, 1, 2, 3, 4, 255, 256, 257, 65535, 65536, 1<<32, 1<<40)
	})
}

// stale: an entry that is not above all others is refused with its batch.
func stale(open Opener) error {
	return with(open, func(s *subject) {
		refuse := func(revisions ...uint64) {
			if err := s.e.Append(context.Background(), entries(revisions...)); !errors.Is(err, ovsdb.ErrOrder) {
				s.failf("entries %v: error %v, not ErrOrder", revisions, err)
			}
		}
		s.append(1, 2, 5)
		refuse(5)
		refuse(4)
		refuse(6, 7, 7)
		refuse(8, 7)
		s.expect(0, nil, 1, 2, 5)
		refuse(3)
		s.append(6)
		s.compact(6, "p")
		refuse(6)
		s.reopen()
		if s.err == nil {
			refuse(6)
			s.append(7)
			s.expect(6, []string{"p"}, 7)
		}
	})
}

// large: a batch of many entries and entries of many bytes.
func large(open Opener) error {
	return with(open, func(s *subject) {
		var all []uint64
		for r := uint64(1); r <= 3000; r++ {
			all = append(all, r)
		}
		s.append(all...)
		s.expect(0, nil, all...)
		big := []byte(strings.Repeat("0123456789abcdef", 300_000))
		if err := s.e.Append(context.Background(), []ovsdb.Entry{{Revision: 3001, Data: big}}); err != nil {
			s.fail(err)
			return
		}
		s.compact(3000, "p")
		if s.reopen(); s.err != nil {
			return
		}
		n := 0
		s.fail(s.e.Load(context.Background(), func(uint64, []byte) error { return nil }, func(en ovsdb.Entry) error {
			n++
			if string(en.Data) != string(big) {
				return fmt.Errorf("the large entry has %d other bytes", len(en.Data))
			}
			return nil
		}))
		if n != 1 {
			s.failf("%d large entries", n)
		}
	})
}

// load: errors of the functions end it, and so does the context.
func load(open Opener) error {
	return with(open, func(s *subject) {
		s.append(1, 2, 3, 4)
		s.compact(2, "p1", "p2")
		for stopAt := range 4 {
			stop, n := errors.New("stop"), 0
			count := func() error {
				if n++; n > stopAt {
					return stop
				}
				return nil
			}
			err := s.e.Load(context.Background(), func(uint64, []byte) error { return count() }, func(ovsdb.Entry) error { return count() })
			if !errors.Is(err, stop) || n != stopAt+1 {
				s.failf("an error after %d calls: %v after %d", stopAt+1, err, n)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := s.e.Load(ctx, func(uint64, []byte) error { return nil }, func(ovsdb.Entry) error { return nil })
		if !errors.Is(err, context.Canceled) {
			s.failf("with a context that has ended: %v", err)
		}
		s.expect(2, []string{"p1", "p2"}, 3, 4)
	})
}

// compaction: the parts replace the entries up to the revision, and no other.
func compaction(open Opener) error {
	return with(open, func(s *subject) {
		s.append(1, 2, 3, 256, 257, 70000)
		s.compact(256, "p1", "p2")
		s.append(70001)
		s.expect(256, []string{"p1", "p2"}, 257, 70000, 70001)
		s.compact(70001, "q1")
		s.expect(70001, []string{"q1"})
		s.append(70002)
		s.expect(70001, []string{"q1"}, 70002)
	})
}

// oldSnapshot: a snapshot is never replaced by an older one.
func oldSnapshot(open Opener) error {
	return with(open, func(s *subject) {
		s.append(1, 2, 3, 4, 5)
		s.compact(3, "p")
		s.compact(3, "q") // nothing to do
		if err := s.e.Compact(context.Background(), 2, parts("r")); !errors.Is(err, ovsdb.ErrOrder) {
			s.failf("an older snapshot: %v", err)
		}
		if err := s.e.Compact(context.Background(), 6, parts("r")); !errors.Is(err, ovsdb.ErrOrder) {
			s.failf("a snapshot of what was not appended: %v", err)
		}
		s.expect(3, []string{"p"}, 4, 5)
	})
}

// copied: the bytes of a part are the engine's for the call only.
func copied(open Opener) error {
	return with(open, func(s *subject) {
		s.append(1)
		buffer := make([]byte, 0, 64)
		s.fail(s.e.Compact(context.Background(), 1, func(yield func([]byte) bool) {
			for _, p := range []string{"first", "second", "third"} {
				if buffer = append(buffer[:0], p...); !yield(buffer) {
					return
				}
			}
			copy(buffer[:cap(buffer)], strings.Repeat("x", cap(buffer)))
		}))
		s.expect(1, []string{"first", "second", "third"})
	})
}

// concurrent: an Append during a compaction ends, and its entries stay.
func concurrent(open Opener) error {
	return with(open, func(s *subject) {
		s.append(1, 2, 3)
		next := uint64(3)
		var want []uint64
		s.fail(s.e.Compact(context.Background(), 2, func(yield func([]byte) bool) {
			for i := range 3 {
				next++
				want = append(want, next)
				done := make(chan error, 1)
				go func() { done <- s.e.Append(context.Background(), entries(next)) }()
				select {
				case err := <-done:
					s.fail(err)
				case <-time.After(stuck):
					s.failf("an append waits for the compaction")
				}
				if !yield(fmt.Appendf(nil, "p%d", i)) || s.err != nil {
					return
				}
			}
		}))
		s.expect(2, []string{"p0", "p1", "p2"}, append([]uint64{3}, want...)...)
	})
}

// givenUp: a compaction whose context ends changes nothing, and a later one is
// not disturbed by what it left.
func givenUp(open Opener) error {
	return with(open, func(s *subject) {
		s.append(1, 2, 3, 4)
		s.compact(1, "p")
		giveUp := func(revision uint64) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			err := s.e.Compact(ctx, revision, func(yield func([]byte) bool) {
				if yield([]byte("x1")) && yield([]byte("x2")) {
					cancel()
					yield([]byte("x3"))
				}
			})
			if !errors.Is(err, context.Canceled) {
				s.failf("a compaction that was given up: %v", err)
			}
		}
		giveUp(2)
		giveUp(3)
		s.expect(1, []string{"p"}, 2, 3, 4)
		giveUp(2)
		s.compact(2, "q")
		s.expect(2, []string{"q"}, 3, 4)
	})
}

// many compactions, each over what was appended since the one before.
func many(open Opener) error {
	return with(open, func(s *subject) {
		revision := uint64(0)
		for round := range 20 {
			var batch []uint64
			for range 50 {
				revision++
				batch = append(batch, revision)
			}
			s.append(batch...)
			want := make([]string, round%4+1)
			for i := range want {
				want[i] = fmt.Sprintf("%d-%d%s", round, i, strings.Repeat("-", 5000))
			}
			s.compact(revision-3, want...)
			s.expect(revision-3, want, revision-2, revision-1, revision)
		}
	})
}
