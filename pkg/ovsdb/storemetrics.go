package ovsdb

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// storeMetrics are those of the log.
type storeMetrics struct {
	append, batch, compaction prometheus.Histogram
	failures                  prometheus.Counter
}

// newStoreMetrics makes the metrics of a store; reg may be nil.
func newStoreMetrics(s *Store, reg prometheus.Registerer) *storeMetrics {
	m := &storeMetrics{
		append: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "govn_store_append_seconds",
			Help: "Time to write and sync one batch of transactions.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "govn_store_batch_transactions",
			Help: "Transactions that shared one sync.", Buckets: prometheus.ExponentialBuckets(1, 2, 12)}),
		compaction: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "govn_store_compaction_seconds",
			Help: "Time to replace the log by a snapshot, beside the transactions.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "govn_store_compaction_failures_total",
			Help: "Compactions that failed."}),
	}
	if reg == nil {
		return m
	}
	gauge := func(name, help string, f func(StoreStats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return f(s.Stats()) })
	}
	reg.MustRegister(m.append, m.batch, m.compaction, m.failures,
		gauge("govn_store_log_bytes", "Bytes of log since the last snapshot.", func(st StoreStats) float64 { return float64(st.LogBytes) }),
		gauge("govn_store_snapshot_bytes", "Bytes of the last snapshot.", func(st StoreStats) float64 { return float64(st.SnapshotBytes) }),
		gauge("govn_store_file_bytes", "Bytes of the file and its write-ahead log.", func(st StoreStats) float64 { return float64(st.FileBytes) }),
		gauge("govn_store_pending_transactions", "Transactions that are not durable yet.", func(st StoreStats) float64 { return float64(st.Pending) }),
		gauge("govn_store_revision", "Revision that is durable.", func(st StoreStats) float64 { return float64(st.Durable) }),
	)
	if e, ok := s.engine.(*boltEngine); ok {
		e.register(reg)
	}
	return m
}

// StoreStats are figures of a store.
type StoreStats struct {
	// Revision is the present one, Durable the last that survives a crash.
	Revision, Durable uint64
	// Pending is the number of transactions between them.
	Pending uint64
	// LogBytes is how much log there is since the last snapshot, SnapshotBytes
	// the size of that, FileBytes the size of the engine's files, if it has any.
	LogBytes, SnapshotBytes, FileBytes int64
	// Rows of all databases; History is how many transactions can be replayed.
	Rows, History int
}

// Stats returns the present figures.
func (s *Store) Stats() StoreStats {
	sn := s.Snapshot()
	st := StoreStats{
		Revision: sn.revision, Durable: s.durable.upTo(),
		LogBytes: s.logged.Load(), SnapshotBytes: s.snapped.Load(),
	}
	st.Pending = st.Revision - min(st.Revision, st.Durable)
	for _, db := range sn.dbs {
		for _, t := range db.tables {
			st.Rows += t.rows.Len()
		}
	}
	if f, ok := s.engine.(*boltEngine); ok {
		for _, path := range []string{f.path, walPath(f.path)} {
			if info, err := os.Stat(path); err == nil {
				st.FileBytes += info.Size()
			}
		}
	}
	s.publish.Lock()
	st.History = s.history.len()
	s.publish.Unlock()
	return st
}

// Failed is closed when the engine has failed. What is visible then may not be
// stored: nobody is answered any more, and the process should open the log again.
func (s *Store) Failed() <-chan struct{} { return s.durable.broken }

// storeFailure is what clients see of an error of the engine, and that error.
type storeFailure struct {
	seen  *Error
	cause error
}

func (f *storeFailure) Error() string   { return f.seen.Error() }
func (f *storeFailure) Unwrap() []error { return []error{f.seen, f.cause} }

// Err returns why nothing can be stored any more, or nil. It wraps the engine's
// error, such as ErrNotLeader.
func (s *Store) Err() error { return s.durable.failed() }
