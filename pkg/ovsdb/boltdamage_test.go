package ovsdb

import (
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
)

// damageFile makes a file with a snapshot of several parts, a log of several
// pages and free pages, and returns its bytes and the contents.
func damageFile(t testing.TB, d *DatabaseSchema) (file []byte, dump string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	e, err := OpenBolt(path, BoltOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for i := range 60 {
			update(t, s, d, func(tx *Txn) {
				port := tx.Insert(d.Table("Port"), UUID{}, map[string]Value{"name": fmt.Sprint(round, "-", i)})
				tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": fmt.Sprint(round, "-", i), "ports": NewSet(port),
					"options": map[string]string{"long": strings.Repeat("x", 40*i)}})
			})
			if i%7 == 0 {
				if err := s.WaitDurable(context.Background(), s.Snapshot().Revision()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round < 2 {
			if err := s.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	dump = dumpOf(s.Snapshot(), d)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return file, dump
}

// reload opens a store on the bytes, and closes it again.
func reload(path string, file []byte, d *DatabaseSchema) (dump string, err error) {
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return "", err
	}
	e, err := OpenBolt(path, BoltOptions{NoSync: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	dump = dumpOf(s.Snapshot(), d)
	return dump, s.Close()
}

// TestTruncation: a file that was cut off anywhere is as it was, or it is refused
// with its name, and not changed.
func TestTruncation(t *testing.T) {
	d := testSchema(t)
	file, want := damageFile(t, d)
	path := filepath.Join(t.TempDir(), "cut")
	cuts := []int{0, 1, 79, 80, 4095, 4097, len(file) - 1}
	for at := 0; at < len(file); at += 4096 {
		cuts = append(cuts, at, at+512)
	}
	refused := 0
	for _, at := range cuts {
		dump, err := reload(path, file[:at], d)
		switch {
		case err == nil && dump != want:
			t.Errorf("cut off at %d: other contents", at)
		case err != nil && !(errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), path)):
			t.Errorf("cut off at %d: %v", at, err)
		case err != nil:
			refused++
			if b, err := os.ReadFile(path); err != nil || string(b) != string(file[:at]) {
				t.Errorf("cut off at %d: the file was changed", at)
			}
		}
	}
	if refused < len(cuts)/2 {
		t.Errorf("%d of %d truncated files are refused", refused, len(cuts))
	}
}

// TestBitFlips: a file with other bytes than were written has the same contents,
// or it is refused with its name.
func TestBitFlips(t *testing.T) {
	d := testSchema(t)
	file, want := damageFile(t, d)
	shape, err := boltCheck(strings.NewReader(string(file)), int64(len(file)), nil)
	if err != nil {
		t.Fatal(err)
	}
	end := int(shape.end) * int(shape.pageSize)
	t.Logf("%d pages, %d in use", shape.end, shape.used)
	path := filepath.Join(t.TempDir(), "flipped")
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	try := func(what string, spoiled []byte) {
		t.Helper()
		dump, err := reload(path, spoiled, d)
		switch {
		case err == nil && dump != want:
			t.Errorf("%s: other contents", what)
		case err != nil && !(errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), path)):
			t.Errorf("%s: %v", what, err)
		case err != nil:
			refused++
		}
	}
	n := 600
	if testing.Short() {
		n = 150
	}
	for range n {
		spoiled := append([]byte{}, file...)
		at := rng.IntN(end)
		if rng.IntN(2) == 0 { // headers and elements rather than contents
			at = rng.IntN(end/4096)*4096 + rng.IntN(64)
		}
		bit := rng.IntN(8)
		spoiled[at] ^= 1 << bit
		try(fmt.Sprintf("bit %d of byte %d", bit, at), spoiled)
	}
	for range n / 4 { // a sector, a page, two pages exchanged
		spoiled := append([]byte{}, file...)
		a, b := rng.IntN(end/4096)*4096, rng.IntN(end/4096)*4096
		what := rng.IntN(3)
		switch what {
		case 0:
			clear(spoiled[a+512 : a+1024])
		case 1:
			clear(spoiled[a : a+4096])
		case 2:
			copy(spoiled[a:], file[b:b+4096])
			copy(spoiled[b:], file[a:a+4096])
		}
		try(fmt.Sprintf("kind %d at %d and %d", what, a, b), spoiled)
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	t.Logf("%d refused", refused)
}

// FuzzBoltCheck: what the check lets through, bbolt can read.
func FuzzBoltCheck(f *testing.F) {
	d := testSchema(f)
	file, _ := damageFile(f, d)
	f.Add(uint32(0), []byte{})
	f.Add(uint32(4096*5), []byte{1, 2, 3})
	f.Add(uint32(16), []byte{0xed})
	f.Fuzz(func(t *testing.T, at uint32, with []byte) {
		spoiled := append([]byte{}, file...)
		copy(spoiled[int(at)%len(spoiled):], with)
		path := filepath.Join(t.TempDir(), "db")
		if _, err := reload(path, spoiled, d); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	})
}

// TestFormat1: a file of the first format is read, and is one of the present
// format then.
func TestFormat1(t *testing.T) {
	d := testSchema(t)
	file, want := damageFile(t, d)
	path := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte(boltMeta))
		for _, name := range []string{boltCluster, boltSnapshot} {
			v := meta.Get([]byte(name))
			if err := meta.Put([]byte(name), slices.Clone(v[:len(v)-4])); err != nil {
				return err
			}
		}
		return errors.Join(meta.Put([]byte(boltFormat), []byte("1")), meta.Delete([]byte(boltLast)), meta.Delete([]byte(boltWAL)))
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if file, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if dump, err := reload(path, file, d); err != nil || dump != want {
			t.Errorf("%v: %.300s", err, dump)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if l, err := readBoltLayout(f); err != nil || l.format != boltFormatVersion {
		t.Errorf("format %q, %v", l.format, err)
	}
}

// TestBoltLock: two processes never have one file.
func TestBoltLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	e, err := OpenBolt(path, BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBolt(path, BoltOptions{LockTimeout: 1}); !errors.Is(err, ErrInUse) {
		t.Errorf("open twice: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBolt(filepath.Join(t.TempDir(), "none"), BoltOptions{MustExist: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that must exist: %v", err)
	}
}

// TestShrink: a file that is written anew has the same contents, less space, and
// goes on.
func TestShrink(t *testing.T) {
	d := testSchema(t)
	file, want := damageFile(t, d)
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ShrinkBolt(path); err != nil {
		t.Fatal(err)
	}
	info, err := InspectBolt(path)
	if err != nil || info.Size >= int64(len(file)) || info.Size > info.Used+4*4096 {
		t.Errorf("%+v, %v; was %d bytes", info, err, len(file))
	}
	small, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if dump, err := reload(path, small, d); err != nil || dump != want {
		t.Errorf("other contents, %v", err)
	}
	e, err := OpenBolt(path, BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := openTest(t, e, d)
	for i := range 50 {
		update(t, s, d, func(tx *Txn) {
			tx.Insert(d.Table("Flow"), UUID{}, map[string]Value{"match": strings.Repeat("x", 100*i)})
		})
	}
	if err := s.WaitDurable(context.Background(), s.Snapshot().Revision()); err != nil {
		t.Error(err)
	}
	if err := ShrinkBolt(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestCutWhileOpen: a file that is cut off while it is read makes Load fail, not
// the process.
func TestCutWhileOpen(t *testing.T) {
	d := testSchema(t)
	file, _ := damageFile(t, d)
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := OpenBolt(path, BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	nothing := func(uint64, []byte) error { return nil }
	if err := e.Load(context.Background(), nothing, func(Entry) error { return nil }); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("load: %v", err)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	// A panic of the caller's own function is not the file's.
	e, err = OpenBolt(filepath.Join(t.TempDir(), "other"), BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Append(context.Background(), []Entry{{1, []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("panic %v", p)
		}
	}()
	e.Load(context.Background(), nothing, func(Entry) error { panic("mine") })
}

// metricValues are those of gauges and counters, and how many samples histograms have.
func metricValues(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]float64)
	for _, f := range families {
		metric := f.GetMetric()[0]
		m[f.GetName()] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
	}
	return m
}

// TestStoreMetrics: what is written shows.
func TestStoreMetrics(t *testing.T) {
	d := testSchema(t)
	e, err := OpenBolt(filepath.Join(t.TempDir(), "db"), BoltOptions{ApplyAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: quiet(), Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 3 {
		rev := update(t, s, d, func(tx *Txn) { tx.Insert(d.Table("Flow"), UUID{}, map[string]Value{"match": fmt.Sprint(i)}) })
		if err := s.WaitDurable(context.Background(), rev); err != nil {
			t.Fatal(err)
		}
	}
	before := metricValues(t, reg)
	if err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	after := metricValues(t, reg)
	for name, ok := range map[string]bool{
		"govn_store_append_seconds":     before["govn_store_append_seconds"] == 3,
		"govn_store_batch_transactions": before["govn_store_batch_transactions"] == 3,
		"govn_store_revision":           before["govn_store_revision"] == 3,
		"govn_store_log_bytes":          before["govn_store_log_bytes"] > 100 && after["govn_store_log_bytes"] == 0,
		"govn_store_snapshot_bytes":     before["govn_store_snapshot_bytes"] == 0 && after["govn_store_snapshot_bytes"] > 100,
		"govn_store_file_bytes":         after["govn_store_file_bytes"] >= 16384,
		"govn_store_compaction_seconds": before["govn_store_compaction_seconds"] == 0 && after["govn_store_compaction_seconds"] == 1,
		"govn_store_wal_sync_seconds":   before["govn_store_wal_sync_seconds"] == 3 && after["govn_store_wal_sync_seconds"] == 3,
		"govn_store_wal_apply_seconds":  before["govn_store_wal_apply_seconds"] == 0 && after["govn_store_wal_apply_seconds"] == 1,
		"govn_store_wal_bytes":          before["govn_store_wal_bytes"] > 300 && after["govn_store_wal_bytes"] == 0,
		"pending":                       after["govn_store_pending_transactions"] == 0 && after["govn_store_compaction_failures_total"] == 0,
	} {
		if !ok {
			t.Errorf("%s: %v, then %v", name, before[name], after[name])
		}
	}
}
