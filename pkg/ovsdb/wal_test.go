package ovsdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"

	"govn/pkg/eventually"
)

// walStore is an engine whose log is applied only when somebody waits for it, with what
// was appended.
type walStore struct {
	t    testing.TB
	path string
	e    *boltEngine
	want []string
	next uint64
}

func openWAL(t testing.TB, path string, o BoltOptions) *walStore {
	t.Helper()
	o.ApplyAfter = time.Hour
	if o.Logger == nil {
		o.Logger = quiet()
	}
	e, err := OpenBolt(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return &walStore{t: t, path: path, e: e.(*boltEngine)}
}

// append stores a batch of n entries.
func (s *walStore) append(n int, data string) {
	s.t.Helper()
	var batch []Entry
	for range n {
		s.next++
		batch = append(batch, Entry{s.next, []byte(data)})
		s.want = append(s.want, fmt.Sprint(s.next, data[:min(len(data), 9)]))
	}
	if err := s.e.Append(context.Background(), batch); err != nil {
		s.t.Fatal(err)
	}
}

// entriesOf loads what an engine has.
func entriesOf(e Engine) (got []string, err error) {
	err = e.Load(context.Background(), func(uint64, []byte) error { return nil }, func(en Entry) error {
		got = append(got, fmt.Sprint(en.Revision, string(en.Data[:min(len(en.Data), 9)])))
		return nil
	})
	return got, err
}

// files are a file and its log; nil: there is none.
type files struct{ db, wal []byte }

func readFiles(t testing.TB, path string) (f files) {
	t.Helper()
	f.db = mustRead(t, path)
	if _, err := os.Stat(walPath(path)); err == nil {
		f.wal = mustRead(t, walPath(path))
	}
	return f
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (f files) write(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, f.db, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(walPath(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if f.wal != nil {
		if err := os.WriteFile(walPath(path), f.wal, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *walStore) close() {
	s.t.Helper()
	if err := s.e.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// crashedWAL is what a crash leaves of five batches, the first of which is in bbolt.
func crashedWAL(t testing.TB) (f files, want []string) {
	t.Helper()
	s := openWAL(t, filepath.Join(t.TempDir(), "db"), BoltOptions{NoSync: true})
	s.append(1, "first")
	if _, err := entriesOf(s.e); err != nil { // applies it
		t.Fatal(err)
	}
	for i := range 4 {
		s.append(i+1, fmt.Sprintf("batch %d%s", i, strings.Repeat(".", 700*i)))
	}
	f = readFiles(t, s.path)
	s.close()
	return f, s.want
}

// TestWALReplay: what a crash has left in the log is there for readers, who change
// nothing, and for a writer, who removes it.
func TestWALReplay(t *testing.T) {
	f, want := crashedWAL(t)
	path := filepath.Join(t.TempDir(), "db")
	f.write(t, path)
	info, err := InspectBolt(path)
	if err != nil || info.WALEntries != 10 || info.Entries != 1 || info.WALSize != int64(len(f.wal)) || info.Torn {
		t.Errorf("%+v, %v", info, err)
	}
	for _, readOnly := range []bool{true, true, false} {
		e, err := OpenBolt(path, BoltOptions{ReadOnly: readOnly, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := entriesOf(e); err != nil || !slices.Equal(got, want) {
			t.Errorf("reading only %t: %.300q, %v", readOnly, got, err)
		}
		revision := uint64(len(want)) // there already
		if readOnly {
			revision++
		}
		err = e.Append(context.Background(), []Entry{{revision, nil}})
		if readOnly && (err == nil || !strings.Contains(err.Error(), "reading")) || !readOnly && !errors.Is(err, ErrOrder) {
			t.Errorf("an append, reading only %t: %v", readOnly, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if now := readFiles(t, path); readOnly && (!bytes.Equal(now.db, f.db) || !bytes.Equal(now.wal, f.wal)) {
			t.Error("a reader has written")
		} else if !readOnly && now.wal != nil {
			t.Error("the log is there after Close")
		}
	}
}

// TestWALFormat: a file is of the format that has no log whenever none is needed, so that
// older programs refuse it only while there is one; their files are read.
func TestWALFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	format := func() string {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l, err := readBoltLayout(f)
		if err != nil {
			t.Fatal(err)
		}
		return l.format
	}
	s := openWAL(t, path, BoltOptions{NoSync: true})
	// As a program without a log wrote.
	if err := s.e.update("append", func(tx *bbolt.Tx) error { return s.e.putEntries(tx, []Entry{{1, []byte("old")}}) }); err != nil {
		t.Fatal(err)
	}
	s.close()
	s = openWAL(t, path, BoltOptions{NoSync: true})
	if f := format(); f != "2" {
		t.Errorf("format %q before the first append", f)
	}
	s.next = 1
	s.append(1, "new")
	if f := format(); f != "3" {
		t.Errorf("format %q with a log", f)
	}
	if got, err := entriesOf(s.e); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
	s.close()
	if f := format(); f != "2" {
		t.Errorf("format %q after Close", f)
	}
}

// TestWALDamage: what cannot come of a crash is refused by name and place, and nothing is
// changed; what can loses only what nobody was told of.
func TestWALDamage(t *testing.T) {
	f, want := crashedWAL(t)
	id, err := parseWALHead(f.wal)
	if err != nil {
		t.Fatal(err)
	}
	records := scanWAL(f.wal, id)
	slices.SortFunc(records, func(a, b walBatch) int { return int(a.sequence) - int(b.sequence) })
	if len(records) != 5 {
		t.Fatalf("%d records", len(records))
	}
	at := func(sequence int) int64 { return records[sequence-1].at }
	wal := func(change func(b []byte) []byte) files { return files{f.db, change(bytes.Clone(f.wal))} }
	flip := func(where int64) files { return wal(func(b []byte) []byte { b[where] ^= 8; return b }) }

	other, _ := crashedWAL(t)
	// Of one store, at different times.
	s := openWAL(t, filepath.Join(t.TempDir(), "db"), BoltOptions{NoSync: true, LogLimit: 1})
	s.append(2, "one")
	early := readFiles(t, s.path)
	s.append(1, "large"+strings.Repeat("x", 64<<10)) // not in the log
	s.append(1, "two")
	late := readFiles(t, s.path)
	if _, err := entriesOf(s.e); err != nil {
		t.Fatal(err)
	}
	applied := readFiles(t, s.path)
	s.close()
	closed := readFiles(t, s.path)
	s2 := openWAL(t, s.path, BoltOptions{NoSync: true})
	s2.next = s.next
	s2.append(1, "three")
	again := readFiles(t, s.path)
	s2.close()
	empty := walHead(NewUUID())

	for name, c := range map[string]struct {
		files files
		want  []string // loaded
		err   string   // or this
	}{
		"as it was":            {f, want, ""},
		"last record cut off":  {wal(func(b []byte) []byte { return b[:records[4].end-9] }), want[:7], ""},
		"last record zeroed":   {wal(func(b []byte) []byte { clear(b[at(5):]); return b }), want[:7], ""},
		"last record flipped":  {flip(at(5) + 100), want[:7], ""},
		"record in bbolt":      {flip(at(1) + walHeader), want, ""},
		"record flipped":       {flip(at(3) + 40), nil, fmt.Sprintf("record 3 at offset %d: wrong checksum, and record 4 at offset %d", at(3), at(4))},
		"record's head":        {flip(at(3) + 8), nil, fmt.Sprintf("record 3, expected at offset %d, is not there, and record 4 at offset %d", at(3), at(4))},
		"two records zeroed":   {wal(func(b []byte) []byte { clear(b[at(2):at(4)]); return b }), nil, fmt.Sprintf("record 2, expected at offset %d", at(2))},
		"only a torn one left": {wal(func(b []byte) []byte { clear(b[at(4):at(5)]); return b[:at(5)+40] }), nil, "record 4, expected"},
		"header flipped":       {flip(9), nil, "the header at offset 0 has a wrong checksum"},
		"magic flipped":        {flip(0), nil, "at offset 0 is no header of a log"},
		"empty":                {files{f.db, []byte{}}, nil, "the header at offset 0 ends after 0 bytes"},
		"log not copied":       {files{f.db, nil}, nil, "is not there, and has transactions that the file lacks"},
		"another file's log":   {files{f.db, other.wal}, nil, "of another file"},
		"cut off before bbolt": {wal(func(b []byte) []byte { return b[:walStart] }), nil, "the last record is 0, and record 1 was there"},

		"file of before, log of after a large batch": {files{early.db, late.wal}, nil, "it follows revision 3, and the revision before it is 2"},
		"late":           {late, []string{"1one", "2one", "3largexxxx", "4two"}, ""},
		"log too old":    {files{applied.db, early.wal}, nil, "the last record is 1, and record 2 was there: it is older than the file"},
		"closed":         {closed, s.want, ""},
		"leftover":       {files{closed.db, applied.wal}, s.want, ""},
		"empty leftover": {files{closed.db, empty}, s.want, ""},
		"log of a later session at a file that was closed": {files{closed.db, again.wal}, nil, "remove the log"},
		"log of an earlier session":                        {files{again.db, applied.wal}, nil, "of another file"},
		"no log at a file that was closed":                 {files{closed.db, []byte("garbage")}, nil, "remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			c.files.write(t, path)
			_, inspected := InspectBolt(path)
			e, err := OpenBolt(path, BoltOptions{NoSync: true, Logger: quiet()})
			if (inspected == nil) != (err == nil) {
				t.Errorf("check says %v, open %v", inspected, err)
			}
			if err != nil {
				if c.err == "" || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), walPath(path)) {
					t.Errorf("error %v, not %q", err, c.err)
				}
				if now := readFiles(t, path); !bytes.Equal(now.db, c.files.db) || !bytes.Equal(now.wal, c.files.wal) {
					t.Error("something was changed")
				}
				return
			}
			got, err := entriesOf(e)
			if c.err != "" || err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%.500q, %v, not %.500q", got, err, c.want)
			}
			next := uint64(len(got)) + 1
			if err := e.Append(context.Background(), []Entry{{next, []byte("goes on")}}); err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			s := openWAL(t, path, BoltOptions{NoSync: true})
			defer s.close()
			if now, err := entriesOf(s.e); err != nil || len(now) != len(got)+1 {
				t.Errorf("%.500q, %v after going on", now, err)
			}
		})
	}
}

// TestWALBitFlips: a log with any bit changed has all that was in it, or all but its last
// record, or it is refused.
func TestWALBitFlips(t *testing.T) {
	f, want := crashedWAL(t)
	path := filepath.Join(t.TempDir(), "db")
	rng := rand.New(rand.NewPCG(7, 8))
	end := bytes.LastIndexByte(f.wal, '.') + 1
	kinds := make(map[string]int)
	for range 500 {
		b := bytes.Clone(f.wal)
		at := walStart + rng.IntN(end-walStart)
		if rng.IntN(10) == 0 {
			at = rng.IntN(28)
		}
		b[at] ^= 1 << rng.IntN(8)
		files{f.db, b}.write(t, path)
		e, err := OpenBolt(path, BoltOptions{ReadOnly: true, Logger: quiet()})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d: %v", at, err)
			}
			kinds["refused"]++
			continue
		}
		got, err := entriesOf(e)
		switch {
		case err != nil:
			t.Errorf("byte %d: %v", at, err)
		case slices.Equal(got, want):
			kinds["whole"]++
		case slices.Equal(got, want[:7]):
			kinds["without the last"]++
		default:
			t.Errorf("byte %d: %.300q", at, got)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(kinds) != 3 {
		t.Errorf("outcomes %v", kinds)
	}
}

// TestWALRoom: whatever is written and applied, no record is written over that bbolt does not
// have, nor the newest, the log keeps within its limit, and there is room when
// bbolt has all.
func TestWALRoom(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		limit := int64(64<<10 + rng.IntN(64<<10))
		w := &walFile{limit: limit, early: limit / 8}
		type record struct{ at, end int64 }
		var needed []record // what must not be written over, oldest first
		var sequences []uint64
		waits, restarts := 0, 0
		for range 400 {
			size := int64(walHeader + 8*rng.IntN(int(walLargestRecord(limit)-walHeader)/8>>rng.IntN(6)+1))
			at, ok := w.room(size)
			if !ok {
				waits++
				w.release(w.sequence)
				needed, sequences = needed[len(needed)-1:], sequences[len(sequences)-1:]
				if at, ok = w.room(size); !ok {
					t.Fatalf("no room for %d of %d though bbolt has all; the newest is %v", size, limit, w.live)
				}
			}
			if at < walStart || at%walAlign != 0 || at+size > limit {
				t.Fatalf("%d bytes at %d", size, at)
			}
			for _, r := range needed {
				if at < r.end && r.at < at+size {
					t.Fatalf("%d bytes at %d, where %v is needed", size, at, r)
				}
			}
			if at == walStart {
				restarts++
			}
			w.stored(at, size)
			needed, sequences = append(needed, record{at, at + size}), append(sequences, w.sequence)
			upTo := w.applied
			if rng.IntN(4) == 0 {
				upTo += uint64(rng.IntN(int(w.sequence-w.applied) + 1))
				w.release(upTo)
			}
			for len(needed) > 1 && sequences[0] <= upTo {
				needed, sequences = needed[1:], sequences[1:]
			}
		}
		if restarts < 2 {
			t.Errorf("%d restarts, %d waits of 400", restarts, waits)
		}
	}
}

// TestWALFull: an append that finds no room waits for the applier, the log keeps its
// limit, and all is there in the end.
func TestWALFull(t *testing.T) {
	s := openWAL(t, filepath.Join(t.TempDir(), "db"), BoltOptions{NoSync: true, LogLimit: 1})
	s.append(1, "first")
	tx, err := s.e.db.Begin(true) // the applier waits for it
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			s.append(1, strings.Repeat("x", 1000))
		}
	}()
	reg := prometheus.NewRegistry()
	s.e.register(reg)
	eventually.That(t, "an append waits", func() bool { return metricValues(t, reg)["govn_store_wal_full_total"] == 1 })
	if m := metricValues(t, reg); m["govn_store_wal_bytes"] < 30<<10 || m["govn_store_wal_lag_seconds"] <= 0 || m["govn_store_wal_limit_bytes"] != 64<<10 ||
		m["govn_store_wal_sync_seconds"] < 30 || m["govn_store_wal_apply_seconds"] != 0 {
		t.Errorf("metrics %v", m)
	}
	if bytes, lag := s.e.lag(); bytes < 30<<10 || bytes > 64<<10 || lag <= 0 {
		t.Errorf("%d bytes for %v", bytes, lag)
	}
	select {
	case <-done:
		t.Error("nobody waits")
	default:
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-done
	if got, err := entriesOf(s.e); err != nil || !slices.Equal(got, s.want) {
		t.Errorf("%d entries, %v", len(got), err)
	}
	if bytes, lag := s.e.lag(); bytes != 0 || lag != 0 {
		t.Errorf("%d bytes for %v when all is applied", bytes, lag)
	}
	if info, err := os.Stat(walPath(s.path)); err != nil || info.Size() > 64<<10 {
		t.Errorf("%v, %v", info, err)
	}
	s.close()
}

// TestWALApplyAfter: what is in the log alone is brought to the file after a while.
func TestWALApplyAfter(t *testing.T) {
	e, err := OpenBolt(filepath.Join(t.TempDir(), "db"), BoltOptions{NoSync: true, ApplyAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		if err := e.Append(context.Background(), []Entry{{i + 1, []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		eventually.That(t, "it is in the file", func() bool { bytes, _ := e.(*boltEngine).lag(); return bytes == 0 })
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWALApplyFails: when the file cannot be written, nothing more is taken, and what was
// in the log is there when it is opened again.
func TestWALApplyFails(t *testing.T) {
	var logged bytes.Buffer
	s := openWAL(t, filepath.Join(t.TempDir(), "db"), BoltOptions{NoSync: true, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	s.append(3, "kept")
	if err := s.e.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := entriesOf(s.e); err == nil || !strings.Contains(err.Error(), s.path) {
		t.Errorf("load: %v", err)
	}
	if err := s.e.Append(context.Background(), []Entry{{9, []byte("not")}}); err == nil {
		t.Error("an append after a failure is stored")
	}
	if err := s.e.Close(); err == nil {
		t.Error("Close says nothing")
	}
	if !strings.Contains(logged.String(), "cannot be brought to the file") {
		t.Errorf("logged: %s", logged.String())
	}
	again := openWAL(t, s.path, BoltOptions{NoSync: true})
	defer again.close()
	if got, err := entriesOf(again.e); err != nil || !slices.Equal(got, s.want) {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzWAL: whatever is in a log, what is read of it is the beginning of what was written.
func FuzzWAL(f *testing.F) {
	file, want := crashedWAL(f)
	id, err := parseWALHead(file.wal)
	if err != nil {
		f.Fatal(err)
	}
	records := scanWAL(file.wal, id)
	f.Add(uint32(0), []byte{}, uint32(len(file.wal)))
	f.Add(uint32(walStart), []byte{1, 2, 3}, uint32(len(file.wal)))
	f.Add(uint32(records[2].at+4), []byte{0xff, 0xff, 0xff, 0xff}, uint32(len(file.wal)))
	f.Add(uint32(records[4].at), make([]byte, walHeader), uint32(len(file.wal)))
	f.Add(uint32(records[1].at), file.wal[records[3].at:records[3].end], uint32(records[3].end))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, size uint32) {
		b := bytes.Clone(file.wal)
		copy(b[int(at)%len(b):], with)
		b = b[:min(int(size), len(b))]
		if _, err := parseWALHead(b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		c, err := readWAL(b, id, 1, 1)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
			return
		}
		for i, en := range c.entries {
			if got := fmt.Sprint(en.Revision, string(en.Data[:min(len(en.Data), 9)])); i+1 >= len(want) || got != want[i+1] {
				t.Errorf("entry %d is %.40q", i, got)
			}
		}
	})
}
