package ovsdb

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestGroupCommit: transactions that come at the same time share a sync, and no
// writer waits while others go on.
func TestGroupCommit(t *testing.T) {
	d := testSchema(t)
	bolt, err := OpenBolt(filepath.Join(t.TempDir(), "db"), BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := &batches{Engine: bolt}
	s := openTest(t, e, d)
	const writers, each = 16, 40
	var counts [writers]atomic.Int64
	var mu sync.Mutex
	var latencies []time.Duration
	var lag atomic.Int64 // how far the slowest was behind when the first was done
	var first sync.Once
	var done sync.WaitGroup
	began := time.Now()
	for w := range writers {
		done.Go(func() {
			for i := range each {
				start := time.Now()
				rev, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
					tx.Insert(d.Table("Flow"), UUID{}, map[string]Value{"match": fmt.Sprint(w, i)})
					return nil
				})
				if err == nil {
					err = s.WaitDurable(context.Background(), rev)
				}
				if err != nil {
					t.Error(err)
					return
				}
				counts[w].Add(1)
				mu.Lock()
				latencies = append(latencies, time.Since(start))
				mu.Unlock()
			}
			first.Do(func() {
				least := int64(each)
				for i := range counts {
					least = min(least, counts[i].Load())
				}
				lag.Store(each - least)
			})
		})
	}
	done.Wait()
	took := time.Since(began)
	slices.Sort(latencies)
	e.mu.Lock()
	syncs := len(e.sizes)
	largest := slices.Max(e.sizes)
	e.mu.Unlock()
	n := len(latencies)
	t.Logf("%d transactions of %d writers in %v (%.0f/s): %d batches of at most %d; latency median %v, 99%% %v, at most %v; the last writer was %d of %d behind",
		n, writers, took, float64(n)/took.Seconds(), syncs, largest, latencies[n/2], latencies[n*99/100], latencies[n-1], lag.Load(), each)
	if syncs*3 > n {
		t.Errorf("%d transactions took %d syncs", n, syncs)
	}
	if lag.Load() > each*2/3 {
		t.Errorf("a writer was %d of %d transactions behind", lag.Load(), each)
	}
}
