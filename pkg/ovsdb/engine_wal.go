package ovsdb

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"
)

// applier brings what is in the log to bbolt, many batches in one transaction, in a
// goroutine of its own:
//
//	Append --> record in the log, synced --> pending --> bbolt, synced twice
//	             |                             |           |
//	             the batch is durable          in memory   the record may be written over
//
// It begins when an eighth of the log is pending, when the oldest has waited for
// BoltOptions.ApplyAfter, and when somebody waits: an append that finds no room, Load,
// Compact, Close.
type applier struct {
	e     *boltEngine
	kick  chan struct{} // one token: begin now
	begun chan struct{} // one token: something is pending that was not
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	changed sync.Cond // applied has grown, or err was set
	file    *walFile
	pending []Entry
	waiting int64     // bytes of records that bbolt does not have
	size    int64     // bytes of those in pending
	since   time.Time // the oldest of pending
	err     error
}

// putWAL says in bbolt what it has of the log.
func (e *boltEngine) putWAL(tx *bbolt.Tx, m walMark) error {
	format := boltFormatVersion
	if m.open {
		format = boltFormatWAL
	}
	return errors.Join(putMeta(tx, boltWAL, m.bytes()), putMeta(tx, boltFormat, []byte(format)))
}

// fail notes that the medium has failed.
func (e *boltEngine) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken == nil {
		e.broken = err
	}
}

// startLog makes the log, and then says in bbolt that there is one: from then on the file
// alone is not all.
func (e *boltEngine) startLog() (*applier, error) {
	o := e.options
	id := NewUUID()
	file, err := createWAL(walPath(e.path), id, o.LogLimit, o.NoSync)
	if err != nil {
		return nil, e.wrap(err)
	}
	if err := e.update("append", func(tx *bbolt.Tx) error { return e.putWAL(tx, walMark{id: id, open: true}) }); err != nil {
		return nil, errors.Join(err, file.f.Close())
	}
	a := &applier{e: e, file: file, kick: make(chan struct{}, 1), begun: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	a.changed.L = &a.mu
	go a.run()
	e.applier.Store(a)
	return a, nil
}

// appendLog stores a batch: in the log, or in bbolt if it is too large for that.
func (e *boltEngine) appendLog(batch []Entry) error {
	if err := e.usable(); err != nil {
		return err
	}
	size := walSize(batch)
	if size > walLargestRecord(e.options.LogLimit) {
		if err := e.drain(); err != nil {
			return err
		}
		return e.update("append", func(tx *bbolt.Tx) error { return e.putEntries(tx, batch) })
	}
	a := e.applier.Load()
	if a == nil {
		var err error
		if a, err = e.startLog(); err != nil {
			e.fail(err)
			return err
		}
	}
	at, err := a.reserve(size)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := a.file.write(at, e.last.Load(), batch); err != nil {
		err = e.wrap(err)
		e.fail(err)
		return err
	}
	e.metrics.sync.Observe(time.Since(began).Seconds())
	a.add(at, size, batch)
	return nil
}

// reserve waits until there is room for a record.
func (a *applier) reserve(size int64) (at int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for first := true; ; first = false {
		at, ok := a.file.room(size)
		switch {
		case a.err != nil:
			return 0, a.err
		case ok:
			return at, nil
		case first:
			a.e.metrics.full.Inc()
		}
		token(a.kick)
		a.changed.Wait()
	}
}

// add makes a batch that is in the log pending.
func (a *applier) add(at, size int64, batch []Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.file.stored(at, size)
	if len(a.pending) == 0 {
		a.since = time.Now()
		token(a.begun)
	}
	a.pending = append(a.pending, batch...)
	a.size += size
	if a.waiting += size; a.size >= a.file.early {
		token(a.kick)
	}
}

func (a *applier) run() {
	defer close(a.done)
	timer := time.NewTimer(a.e.options.ApplyAfter)
	defer timer.Stop()
	for {
		select {
		case <-a.begun:
			timer.Reset(a.e.options.ApplyAfter)
			continue
		case <-timer.C:
		case <-a.kick:
		case <-a.stop:
			return
		}
		a.apply()
	}
}

// apply brings what is pending to bbolt.
func (a *applier) apply() {
	a.mu.Lock()
	batch, size, mark := a.pending, a.size, walMark{id: a.file.id, applied: a.file.sequence, open: true}
	a.pending, a.size = nil, 0
	failed := a.err != nil
	a.mu.Unlock()
	if len(batch) == 0 || failed {
		return
	}
	began := time.Now()
	err := a.e.update("append", func(tx *bbolt.Tx) error {
		return errors.Join(a.e.putEntries(tx, batch), a.e.putWAL(tx, mark))
	})
	a.e.metrics.apply.Observe(time.Since(began).Seconds())
	if err != nil {
		a.e.fail(err)
		a.e.log.Error("what is in the write-ahead log cannot be brought to the file", "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err = err; err == nil {
		a.file.release(mark.applied)
		a.waiting -= size
	}
	a.changed.Broadcast()
}

// drain waits until bbolt has all that is in the log.
func (e *boltEngine) drain() error {
	a := e.applier.Load()
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for upTo := a.file.sequence; a.file.applied < upTo && a.err == nil; {
		token(a.kick)
		a.changed.Wait()
	}
	return a.err
}

// closeLog brings all that is in the log to bbolt, and says there that there is none.
func (e *boltEngine) closeLog() error {
	a := e.applier.Load()
	if a == nil {
		return nil
	}
	err := e.drain()
	close(a.stop)
	<-a.done
	if err = errors.Join(err, a.file.f.Close()); err != nil {
		return err
	}
	return e.update("close", func(tx *bbolt.Tx) error { return e.putWAL(tx, walMark{id: a.file.id, applied: a.file.applied}) })
}

// walMetrics are those of the write-ahead log.
type walMetrics struct {
	sync, apply prometheus.Histogram
	full        prometheus.Counter
}

func newWALMetrics() *walMetrics {
	return &walMetrics{
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "govn_store_wal_sync_seconds",
			Help: "Time to write and sync one record of the write-ahead log.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		apply: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "govn_store_wal_apply_seconds",
			Help: "Time to bring what is in the write-ahead log to the file.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		full: prometheus.NewCounter(prometheus.CounterOpts{Name: "govn_store_wal_full_total",
			Help: "Batches of transactions that waited for room in the write-ahead log."}),
	}
}

// register adds the metrics of a log to those of its store.
func (e *boltEngine) register(reg prometheus.Registerer) {
	reg.MustRegister(e.metrics.sync, e.metrics.apply, e.metrics.full,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "govn_store_wal_bytes", Help: "Bytes of the write-ahead log that the file does not have yet."},
			func() float64 { bytes, _ := e.lag(); return float64(bytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "govn_store_wal_limit_bytes", Help: "Size up to which the write-ahead log grows."},
			func() float64 { return float64(e.options.LogLimit) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "govn_store_wal_lag_seconds", Help: "For how long the oldest of that has been there."},
			func() float64 { _, lag := e.lag(); return lag.Seconds() }),
	)
}

// lag is how much is in the log alone, and since when.
func (e *boltEngine) lag() (bytes int64, since time.Duration) {
	a := e.applier.Load()
	if a == nil {
		return 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting > 0 {
		since = time.Since(a.since)
	}
	return a.waiting, since
}
