package ovsdb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// growthUpdates is how many small transactions TestGrowth makes.
var growthUpdates = 20_000

// TestGrowth: small changes without end do not make the file grow without end.
func TestGrowth(t *testing.T) {
	d := testSchema(t)
	path := filepath.Join(t.TempDir(), "db")
	const logLimit = 64 << 10
	e, err := OpenBolt(path, BoltOptions{NoSync: true, LogLimit: logLimit})
	if err != nil {
		t.Fatal(err)
	}
	compactAt := int64(growthUpdates) * 4 // of about 90 bytes each: some twenty compactions
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: quiet(), CompactAt: compactAt})
	if err != nil {
		t.Fatal(err)
	}
	flow := d.Table("Flow")
	var rows []UUID
	update(t, s, d, func(tx *Txn) {
		for i := range 100 {
			rows = append(rows, tx.Insert(flow, UUID{}, map[string]Value{"match": fmt.Sprint(i)}))
		}
	})
	var largest int64
	for i := range growthUpdates {
		rev := update(t, s, d, func(tx *Txn) { tx.SetColumn(flow, rows[i%100], "priority", int64(i)) })
		if i%200 == 0 {
			if err := s.WaitDurable(context.Background(), rev); err != nil {
				t.Fatal(err)
			}
			largest = max(largest, s.Stats().FileBytes)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	largest = max(largest, info.Size())
	logged := int64(growthUpdates) * 60 // at least
	t.Logf("%d updates of more than %d kB in all; compaction at %d kB; the file has at most %d kB", growthUpdates, logged/1000, compactAt/1000, largest/1000)
	// Twice the log, two snapshots, pages half full; bbolt grows in powers of two.
	if limit := 8*compactAt + 128<<10 + logLimit; largest > limit || largest > logged && growthUpdates > 100_000 {
		t.Errorf("the file has grown to %d bytes, limit %d", largest, limit)
	}
}

// TestCompactionDoesNotStall: commits go on while a large database is compacted.
func TestCompactionDoesNotStall(t *testing.T) {
	d := testSchema(t)
	e, err := OpenBolt(filepath.Join(t.TempDir(), "db"), BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := openTest(t, e, d)
	for range 100 { // 25,500 rows
		update(t, s, d, func(tx *Txn) {
			for range 5 {
				var ports []Atom
				for range 50 {
					u := NewUUID()
					ports = append(ports, tx.Insert(d.Table("Port"), u, map[string]Value{"name": u.String(),
						"addresses": NewSet("02:00:00:00:00:01 10.0.0.1", u.String())}))
				}
				u := NewUUID()
				tx.Insert(d.Table("Switch"), u, map[string]Value{"name": u.String(), "ports": NewSet(ports...)})
			}
		})
	}
	if err := s.WaitDurable(context.Background(), s.Snapshot().Revision()); err != nil {
		t.Fatal(err)
	}
	commit := func(i int) time.Duration {
		began := time.Now()
		rev := update(t, s, d, func(tx *Txn) {
			tx.Insert(d.Table("Flow"), UUID{}, map[string]Value{"match": fmt.Sprint(i)})
		})
		if err := s.WaitDurable(context.Background(), rev); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	var alone, during []time.Duration
	for i := range 50 {
		alone = append(alone, commit(i))
	}
	var compacting time.Duration
	for round := range 2 { // the second one deletes the snapshot of the first, too
		var done sync.WaitGroup
		ended := make(chan struct{})
		began := time.Now()
		done.Go(func() {
			defer close(ended)
			if err := s.Compact(context.Background()); err != nil {
				t.Error(err)
			}
			compacting += time.Since(began)
		})
		for i := 0; ; i++ {
			during = append(during, commit(1000*round+i))
			select {
			case <-ended:
			default:
				continue
			}
			break
		}
		done.Wait()
	}
	slices.Sort(alone)
	slices.Sort(during)
	worst := during[len(during)-1]
	t.Logf("compactions took %v; commits meanwhile: %d, median %v, at most %v; alone: median %v, at most %v; snapshot %d kB",
		compacting, len(during), during[len(during)/2], worst, alone[len(alone)/2], alone[len(alone)-1], s.Stats().SnapshotBytes/1000)
	// If they waited for it, there would be one or two for each compaction.
	if len(during) < 8 || worst > max(compacting/2, 500*time.Millisecond) {
		t.Errorf("commits stall: %d during %v, at most %v", len(during), compacting, worst)
	}
}

// TestDiskFull: a writer whose file cannot grow is told so, and what was
// acknowledged before is there.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "ulimit -f 256 && exec "+exe) // 128 KiB
	cmd.Env = append(os.Environ(), "OVSDB_TEST_CRASH=endless", "OVSDB_TEST_DIR="+dir)
	out, err := cmd.Output()
	if err == nil {
		t.Fatal("the writer has not failed")
	}
	before := newSaid()
	failed := false
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "error") && strings.Contains(line, ErrIO) {
			failed = true
		} else if err := before.line(line); err != nil {
			t.Fatal(err)
		}
	}
	if !failed || len(before.acked) < 20 {
		t.Errorf("%d transactions acknowledged, then: %.300s", len(before.acked), out[max(0, len(out)-300):])
	}
	if err := judge(filepath.Join(dir, "db"), testSchema(t), before); err != nil {
		t.Error(err)
	}
}
