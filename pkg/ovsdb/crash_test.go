package ovsdb

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// How many crashes the tests make; the long ones make more.
var (
	crashPoints = 150
	killRounds  = 8
)

// smallLog are options with which the log is written over again and again.
func smallLog(noSync bool) BoltOptions {
	return BoltOptions{NoSync: noSync, LogLimit: 1, ApplyAfter: 20 * time.Millisecond}
}

// crashWriter is a process that several goroutines write with. Each transaction
// is a switch with two ports; it prints
//
//	txn REVISION TRANSACTION-ID    when it is visible
//	ack REVISION NAME              when it is durable
//
// until it is killed, or each has written n; then it closes the store, or just ends. A
// transaction has up to four times as many bytes of text as it is told.
func crashWriter(dir string, n, text int, o BoltOptions, closes bool) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	d, err := ParseSchema([]byte(testSchemaJSON))
	fail(err)
	o.Logger = slog.New(slog.DiscardHandler)
	e, err := OpenBolt(filepath.Join(dir, "db"), o)
	fail(err)
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{CompactAt: 12_000, Logger: o.Logger})
	fail(err)
	var out, order sync.Mutex
	var done sync.WaitGroup
	for w := range 4 {
		done.Go(func() {
			for i := 0; n == 0 || i < n; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				order.Lock()
				rev, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
					var ports []Atom
					for p := range 2 {
						ports = append(ports, tx.Insert(d.Table("Port"), UUID{}, map[string]Value{"name": fmt.Sprint(name, "-", p)}))
					}
					tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": name, "ports": NewSet(ports...),
						"options": map[string]string{"x": strings.Repeat("x", (4-i%5)*text)}})
					return nil
				})
				fail(err)
				id := s.Snapshot().TxnID()
				order.Unlock()
				out.Lock()
				fmt.Println("txn", rev, id)
				out.Unlock()
				fail(s.WaitDurable(context.Background(), rev))
				out.Lock()
				fmt.Println("ack", rev, name)
				out.Unlock()
			}
		})
	}
	done.Wait()
	if closes {
		fail(s.Close())
	}
	os.Exit(0)
}

// said is what a writer has printed.
type said struct {
	acked map[string]uint64 // by name of the switch
	ids   map[uint64]string // transaction ids by revision
}

func newSaid() *said { return &said{make(map[string]uint64), make(map[uint64]string)} }

func (s *said) line(text string) error {
	f := strings.Fields(text)
	if len(f) != 3 || f[0] != "ack" && f[0] != "txn" {
		return fmt.Errorf("the writer says %q", text)
	}
	rev, err := strconv.ParseUint(f[1], 10, 64)
	if f[0] == "ack" {
		s.acked[f[2]] = rev
	} else {
		s.ids[rev] = f[2]
	}
	return err
}

// judge opens what a crash has left and says what is wrong: a transaction that
// was acknowledged and is not there, one that is half there, a hole, another transaction
// id than before. Then it goes on writing.
func judge(path string, d *DatabaseSchema, before *said) error {
	open := func() (*Store, error) {
		e, err := OpenBolt(path, BoltOptions{NoSync: true, Logger: quiet()})
		if err != nil {
			return nil, err
		}
		return Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: quiet(), CompactAt: 1})
	}
	s, err := open()
	if err != nil {
		return err
	}
	defer s.Close()
	sw, port := d.Table("Switch"), d.Table("Port")
	whole := func(s *Store, ids map[uint64]string) error {
		sn := s.Snapshot()
		if id := ids[sn.Revision()]; id != "" && id != sn.TxnID().String() {
			return fmt.Errorf("revision %d is transaction %s, not %s", sn.Revision(), sn.TxnID(), id)
		}
		if n := sn.Len(sw); uint64(n) != sn.Revision() || sn.Len(port) != 2*n {
			return fmt.Errorf("%d switches and %d ports at revision %d", n, sn.Len(port), sn.Revision())
		}
		for r := range sn.Rows(sw) {
			if r.Set(sw.Column("ports")).Len() != 2 {
				return fmt.Errorf("switch %q lacks ports", r.Str(sw.Column("name")))
			}
		}
		for name, rev := range before.acked {
			if r := sn.Lookup(sw, 0, name); r == nil || r.Revision() != rev {
				return fmt.Errorf("%s of revision %d was acknowledged and is %v", name, rev, r)
			}
		}
		return sn.dbs[0].check()
	}
	if err := whole(s, before.ids); err != nil {
		return err
	}
	rev := s.Snapshot().Revision()
	for i := range 3 {
		if _, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
			a := tx.Insert(port, UUID{}, map[string]Value{"name": fmt.Sprint("after", rev, i)})
			b := tx.Insert(port, UUID{}, map[string]Value{"name": fmt.Sprint("after", rev, i, "b")})
			tx.Insert(sw, UUID{}, map[string]Value{"name": fmt.Sprint("after", rev, i), "ports": NewSet(a, b)})
			return nil
		}); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = open(); err != nil {
		return fmt.Errorf("after going on: %w", err)
	}
	defer s.Close()
	if got := s.Snapshot().Revision(); got != rev+3 {
		return fmt.Errorf("revision %d, where %d was stored", got, rev+3)
	}
	return whole(s, nil)
}

// crashes lets the machine crash n times at random instants of a recording and
// returns the first few verdicts that are bad, and how many there are.
func crashes(t *testing.T, events []event, n int, seed uint64, ignore func(event) bool) (bad []string, count int) {
	t.Helper()
	return crashesWithin(t, events, 0, len(events), n, seed, ignore)
}

// crashesWithin is crashes from one event on, and up to another one.
func crashesWithin(t *testing.T, events []event, from, to, n int, seed uint64, ignore func(event) bool) (bad []string, count int) {
	t.Helper()
	d := testSchema(t)
	all := newSaid()
	for _, e := range events {
		if e.kind != 'p' {
			continue
		}
		for line := range strings.Lines(string(e.data)) {
			if err := all.line(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	at := make(map[int]int)
	for range n {
		at[from+rng.IntN(to-from+1)]++
	}
	k := newDisk(ignore)
	check := func(i int) {
		before := newSaid()
		for line := range strings.Lines(k.printed.String()) {
			if err := before.line(line); err != nil {
				t.Fatal(err)
			}
		}
		before.ids = all.ids
		dir, err := os.MkdirTemp("", "crash")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := k.lay(dir, rng); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "db")
		if err := judge(path, d, before); err != nil {
			if count++; len(bad) < 5 {
				bad = append(bad, fmt.Sprintf("after event %d of %d, %d acknowledged: %v", i, len(events), len(before.acked), err))
			}
		}
	}
	for i := 0; i <= len(events); i++ {
		for range at[i] {
			check(i)
		}
		if i < len(events) {
			k.apply(events[i])
		}
	}
	return bad, count
}

// TestCrash: whatever a crash of the machine at any instant leaves of what was
// written, with the writes that were not synced lost, reordered and torn, every
// transaction that was acknowledged is there, none is half there, and the log goes on
// with the same transaction ids.
func TestCrash(t *testing.T) {
	// The second one finds what the first one has not closed, the third what was closed.
	events := recordWriter(t, "synced", "closed", "synced")
	kinds := make(map[byte]int)
	rounds, applied, last := 0, 0, int64(0)
	for _, e := range events {
		kinds[e.kind]++
		if e.kind == 'w' && e.file == "db.wal" && len(e.data) < 4096 {
			if e.offset < last {
				rounds++
			}
			last = e.offset
		}
		if e.kind == 'S' && e.file == "db" {
			applied++
		}
	}
	t.Logf("%d writes, %d syncs, %d of the file, %d lines printed; the log began %d times from the start", kinds['w'], kinds['S'], applied, kinds['p'], rounds)
	if rounds < 6 || kinds['u'] == 0 {
		t.Errorf("the log was written over %d times, %d files removed", rounds, kinds['u'])
	}
	bad, n := crashes(t, events, crashPoints, 1, nil)
	if n > 0 {
		t.Errorf("%d of %d crashes:\n%s", n, crashPoints, strings.Join(bad, "\n"))
	}
}

// TestCrashIsSeen: the test above fails if the store does not sync, or if the
// disk does not do what a sync asks for. How many crashes show it depends on how
// much is written between two syncs.
func TestCrashIsSeen(t *testing.T) {
	if bad, n := crashes(t, recordWriter(t, "unsynced"), 120, 2, nil); n == 0 {
		t.Errorf("without any sync %d of 120 crashes are seen: %s", n, strings.Join(bad, "\n"))
	}
	events := recordWriter(t, "synced")
	for what, ignore := range map[string]func(event) bool{
		"every second sync":   func(e event) bool { return e.sync%2 == 1 },
		"syncs of the log":    func(e event) bool { return e.file == "db.wal" },
		"syncs of the file":   func(e event) bool { return e.kind == 'S' && e.file == "db" },
		"syncs of the folder": func(e event) bool { return e.kind == 'd' },
	} {
		bad, n := crashes(t, events, 120, 3, ignore)
		if n == 0 {
			t.Errorf("with a disk that ignores %s, none of 120 crashes is seen", what)
		}
		t.Logf("%s: %d of 120: %.300q", what, n, bad)
	}
}

// TestKilledThenCrash: a process that is killed leaves what it has written and not
// synced, its successor goes on from that, and then the machine crashes. What the
// successor has read must be on the medium before it writes over what that replaces: of
// bbolt's two meta pages the second is the state to fall back to only while its pages are
// left alone. The same holds for the name of the file.
func TestKilledThenCrash(t *testing.T) {
	first := recordWriter(t, "synced")
	var named, metas []int // after the file gets its name, and a meta page is written, before that is synced
	for i, e := range first {
		switch {
		case e.kind == 'l' && e.to == "db":
			named = append(named, i+1)
		case e.kind == 'w' && e.file == "db" && e.offset <= 4096:
			metas = append(metas, i+1)
		}
	}
	if len(named) != 1 || len(metas) < 8 {
		t.Fatalf("%d files got the name, %d meta pages were written", len(named), len(metas))
	}
	for round, at := range []struct {
		cut    int
		mode   string
		within int // how many calls after it the machine crashes
	}{{named[0], "synced", 150}, {named[0], "large", 150}, {metas[len(metas)/4], "synced", 30}, {metas[3*len(metas)/4], "synced", 30}} {
		cut := at.cut
		k := newDisk(nil)
		for _, e := range first[:cut] {
			k.apply(e)
		}
		dir := t.TempDir()
		for name, f := range k.names {
			if err := os.WriteFile(filepath.Join(dir, name), f.now(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		second := recordOne(t, dir, at.mode)
		events := slices.Clone(first[:cut])
		for _, e := range second {
			e.sync += len(first)
			events = append(events, e)
		}
		if bad, n := crashesWithin(t, events, cut, cut+min(len(second), at.within), crashPoints/2, uint64(round), nil); n > 0 {
			t.Errorf("killed at event %d: %d of %d crashes:\n%s", cut, n, crashPoints/2, strings.Join(bad, "\n"))
		}
	}
}

// tornEach is which of the meta pages that are written TestTornMeta tears.
const tornEach = 8

// TestTornMeta: bbolt's meta page that is being written when the machine stops,
// cut off anywhere, leaves the state before or after.
func TestTornMeta(t *testing.T) {
	events := recordWriter(t, "synced")
	d := testSchema(t)
	all := newSaid()
	k := newDisk(nil)
	metas := 0
	for _, e := range events {
		if e.kind == 'p' {
			for line := range strings.Lines(string(e.data)) {
				if err := all.line(line); err != nil {
					t.Fatal(err)
				}
			}
		}
		if e.kind == 'w' && e.file == "db" && e.offset <= 4096 {
			if metas++; metas%tornEach == 0 {
				for n := 0; n <= 80; n += 3 {
					dir := t.TempDir()
					for name, f := range k.names {
						file := f.now()
						if name == "db" {
							file = event{kind: 'w', offset: e.offset, data: e.data[:n]}.on(file)
						}
						if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
							t.Fatal(err)
						}
					}
					before := newSaid()
					before.acked = all.acked
					if err := judge(filepath.Join(dir, "db"), d, before); err != nil {
						t.Errorf("meta page %d torn after %d bytes: %v", e.offset/4096, n, err)
					}
				}
			}
		}
		k.apply(e)
	}
	if metas < 3*tornEach {
		t.Errorf("%d meta pages were written", metas)
	}
}

// TestKill: transactions that were acknowledged before kill -9 are there after
// it, and the rest is a prefix of the order of revisions. The next writer goes on with
// what is there.
func TestKill(t *testing.T) {
	var dir string
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := testSchema(t)
	all, acked := newSaid(), 0
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range killRounds {
		if round%20 == 0 { // another database, before this one is large
			acked += len(all.acked)
			dir, all = t.TempDir(), newSaid()
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "OVSDB_TEST_CRASH=endless", "OVSDB_TEST_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		last := rng.IntN(400)
		for n := 0; lines.Scan(); n++ {
			if err := all.line(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if n == last {
				cmd.Process.Kill() // what the pipe still holds was acknowledged too
			}
		}
		cmd.Wait()
		// Judged on a copy, because it goes on writing.
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := judge(filepath.Join(copied, "db"), d, all); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		// What was visible and not acknowledged may be lost, and its revision used again.
		clear(all.ids)
	}
	t.Logf("%d transactions acknowledged, %d kills", acked+len(all.acked), killRounds)
}
