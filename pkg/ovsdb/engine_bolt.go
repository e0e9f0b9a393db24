package ovsdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// BoltOptions of OpenBolt. All are optional.
type BoltOptions struct {
	// NoSync leaves out fsync: fast, and not durable. For tests and fills.
	NoSync bool
	// LockTimeout is how long to wait for another process that has the file
	// open. Default 5 s.
	LockTimeout time.Duration
	// MustExist makes it an error that there is no file.
	MustExist bool
	// ReadOnly writes nothing, and lets others read; Append and Compact fail.
	ReadOnly bool
	// LogLimit is the size in bytes up to which the write-ahead log grows; an append that
	// finds no room waits. Default 4 MiB, at least 64 KiB.
	LogLimit int64
	// ApplyAfter is how long a transaction may be in the write-ahead log alone. Default 2 s.
	ApplyAfter time.Duration
	// Logger; the default is slog.Default().
	Logger *slog.Logger
}

// boltEngine keeps the log in a bbolt file:
//
//	meta          name -> value crc32c(4), of name and value:
//	              "format" -> "2", or "3" while there is a write-ahead log,
//	              "cluster" -> UUID, "snapshot" -> revision(8),
//	              "last" -> revision(8) up to which there is something,
//	              "wal" -> walMark
//	log           revision(8) -> entry; those up to the snapshot's revision are
//	              leftovers of an interrupted compaction
//	snapshot-REV  part number(8) -> part; those that meta does not name are
//	              leftovers, too
//
// Numbers are big endian, so that the order of keys is that of numbers.
//
// Of bbolt's two meta pages a crash can spoil the one that is being written; the
// other one is the state before. So that damage to one of them loses nothing
// while nobody writes, Open and Close write both.
//
// What bbolt needs two syncs and half a dozen pages for, a write-ahead log does with one
// sync (walformat.go): Append returns when a batch is in the log, and the applier brings
// many batches at once to bbolt, which knows the number of the last one. Close brings
// all and removes the log; what a crash leaves, Open brings.
type boltEngine struct {
	db       *bbolt.DB
	path     string
	log      *slog.Logger
	readOnly bool
	cluster  []byte // the stored identity

	last     atomic.Uint64 // as in meta, and in the log
	snapshot atomic.Uint64

	options BoltOptions
	overlay []Entry                 // what the log has, if the engine only reads
	applier atomic.Pointer[applier] // from the first Append on
	metrics *walMetrics

	mu     sync.Mutex
	broken error // the medium failed: see Engine, Failure
}

const (
	boltMeta     = "meta"
	boltLog      = "log"
	boltCluster  = "cluster"
	boltFormat   = "format"
	boltSnapshot = "snapshot"
	boltLast     = "last"

	boltWAL = "wal"

	boltFormatVersion = "2"
	boltFormatWAL     = "3" // while the log has what the file has not
)

func boltKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// boltSeal is a value of bucket meta.
func boltSeal(name string, value []byte) []byte {
	sum := crc32.Update(crc32.Checksum([]byte(name), castagnoli), castagnoli, value)
	return binary.BigEndian.AppendUint32(slices.Clone(value), sum)
}

func snapshotBucket(revision uint64) []byte { return fmt.Appendf(nil, "snapshot-%d", revision) }

// OpenBolt opens or creates a bbolt file. Only one process may have it open;
// ErrInUse is returned when another one has. A file that is not whole is not touched,
// and ErrCorrupt is returned, with the place.
func OpenBolt(path string, o BoltOptions) (Engine, error) {
	e, err := openBolt(path, o)
	if err != nil {
		return nil, fmt.Errorf("ovsdb: open %w", err)
	}
	return e, nil
}

func openBolt(path string, o BoltOptions) (*boltEngine, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.LogLimit == 0 {
		o.LogLimit = 4 << 20
	}
	o.LogLimit = max(o.LogLimit, 64<<10)
	if o.ApplyAfter == 0 {
		o.ApplyAfter = 2 * time.Second
	}
	e := &boltEngine{path: path, log: o.Logger, readOnly: o.ReadOnly, options: o, metrics: newWALMetrics()}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !o.MustExist && !o.ReadOnly {
		if err := createBolt(path, o.NoSync); err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
	}
	var layout boltLayout
	var wal walContents
	var leftover bool
	err := e.guard("open", func() (err error) {
		e.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			NoSync: o.NoSync, ReadOnly: o.ReadOnly, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
			OpenFile: func(path string, flag int, _ os.FileMode) (*os.File, error) {
				f, err := openLocked(path, flag&^os.O_CREATE, o.LockTimeout)
				if err != nil {
					return nil, err
				}
				if !o.ReadOnly && !o.NoSync {
					// A process that was killed may have left its last meta page, or the name of
					// a file that it has made, to the system's memory. Going on from that, bbolt
					// writes over pages of the state before, and what is acknowledged is in a
					// file without a name: a crash of the machine would go back to either.
					err = errors.Join(fdatasync(f), syncDir(filepath.Dir(path)))
				}
				if err == nil {
					layout, err = readBoltLayout(f)
				}
				if err == nil {
					wal, leftover, err = checkWAL(walPath(path), &layout)
				}
				if err != nil {
					f.Close()
					return nil, err
				}
				return f, nil
			},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if layout.spoiled >= 0 {
		e.log.Warn("a page was being written when the machine stopped; the state before it holds", "file", path, "page", layout.spoiled)
	}
	if wal.torn != nil {
		e.log.Warn("a record was being written when the machine stopped; nobody was told that it is there",
			"file", walPath(path), "record", wal.torn.sequence, "offset", wal.torn.at)
	}
	e.last.Store(layout.last)
	if n := len(wal.entries); n > 0 {
		e.last.Store(wal.entries[n-1].Revision)
	}
	e.snapshot.Store(layout.snapshot)
	e.cluster = layout.meta[boltCluster]
	if o.ReadOnly {
		e.overlay = wal.entries
		return e, nil
	}
	err = e.prepare(layout, wal)
	if err == nil && leftover {
		err = e.wrap(os.Remove(walPath(path)))
	}
	if err != nil {
		return nil, errors.Join(err, e.db.Close())
	}
	return e, nil
}

// prepare removes leftovers, brings an older format up to date, adds what is in the
// log, and writes both meta pages.
func (e *boltEngine) prepare(l boltLayout, wal walContents) error {
	if err := e.update("open", func(tx *bbolt.Tx) error {
		for _, rev := range l.leftovers {
			if err := tx.DeleteBucket(snapshotBucket(rev)); err != nil {
				return err
			}
		}
		if l.wal.open {
			e.log.Info("the write-ahead log is read", "file", walPath(e.path), "records", wal.records, "entries", len(wal.entries))
			if err := e.putEntries(tx, wal.entries); err != nil {
				return err
			}
			return e.putWAL(tx, walMark{id: l.wal.id, applied: wal.sequence})
		}
		if l.format == boltFormatVersion {
			return nil
		}
		meta := tx.Bucket([]byte(boltMeta))
		for name, value := range l.meta {
			if err := meta.Put([]byte(name), boltSeal(name, value)); err != nil {
				return err
			}
		}
		return e.putLast(tx, l.last)
	}); err != nil {
		return err
	}
	if l.snapshot > 0 {
		return e.deleteUpTo(context.Background(), l.snapshot)
	}
	return e.update("open", func(*bbolt.Tx) error { return nil })
}

// guard runs fn, which calls bbolt. What makes bbolt panic is a file that was
// damaged after it was checked; a fault in its mapping, that the file was cut off
// or cannot be read.
func (e *boltEngine) guard(what string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s: %v", ErrCorrupt, what, p)
		}
		err = e.wrap(err)
	}()
	return fn()
}

// wrap names the file and, if it is damaged, what to do.
func (e *boltEngine) wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrCorrupt):
		return fmt.Errorf("%q: %w (keep a copy of the file, and restore a backup)", e.path, err)
	}
	return fmt.Errorf("%q: %w", e.path, err)
}

// update runs one transaction of bbolt. After one that failed in writing no
// other one begins: what the system has lost of it, it does not tell again.
func (e *boltEngine) update(what string, fn func(*bbolt.Tx) error) error {
	if err := e.usable(); err != nil {
		return err
	}
	var mine error
	err := e.guard(what, func() error {
		return e.db.Update(func(tx *bbolt.Tx) error {
			mine = fn(tx)
			return mine
		})
	})
	if err != nil && mine == nil {
		e.fail(err)
	}
	return err
}

// usable returns why nothing can be written, or nil.
func (e *boltEngine) usable() error {
	if e.readOnly {
		return e.wrap(errors.New("it is open for reading only"))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil {
		return fmt.Errorf("it has failed before: %w", e.broken)
	}
	return nil
}

func putMeta(tx *bbolt.Tx, name string, value []byte) error {
	return tx.Bucket([]byte(boltMeta)).Put([]byte(name), boltSeal(name, value))
}

func (e *boltEngine) putLast(tx *bbolt.Tx, last uint64) error {
	return putMeta(tx, boltLast, boltKey(last))
}

func (e *boltEngine) Identity(_ context.Context, proposed UUID) (id UUID, err error) {
	if e.cluster != nil {
		copy(id[:], e.cluster)
		return id, nil
	}
	err = e.update("identity", func(tx *bbolt.Tx) error { return putMeta(tx, boltCluster, proposed[:]) })
	if err == nil {
		e.cluster = proposed[:]
	}
	return proposed, err
}

func (e *boltEngine) Load(ctx context.Context, part func(uint64, []byte) error, entry func(Entry) error) error {
	var theirs any // a panic of part or entry is none of ours
	call := func(fn func() error) error {
		defer func() {
			if theirs = recover(); theirs != nil {
				panic(theirs)
			}
		}()
		return fn()
	}
	if err := e.drain(); err != nil {
		return err
	}
	snapshot := e.snapshot.Load()
	err := e.guard("load", func() error {
		return e.db.View(func(tx *bbolt.Tx) error {
			if snapshot > 0 {
				if err := tx.Bucket(snapshotBucket(snapshot)).ForEach(func(_, data []byte) error {
					return call(func() error { return part(snapshot, data) })
				}); err != nil {
					return err
				}
			}
			return tx.Bucket([]byte(boltLog)).ForEach(func(key, data []byte) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				revision := binary.BigEndian.Uint64(key)
				if revision <= snapshot {
					return nil
				}
				return call(func() error { return entry(Entry{revision, data}) })
			})
		})
	})
	for i := 0; i < len(e.overlay) && err == nil; i++ {
		if err = ctx.Err(); err == nil {
			err = e.wrap(entry(e.overlay[i]))
		}
	}
	if theirs != nil {
		panic(theirs)
	}
	return err
}

// putEntries adds entries in a transaction of bbolt.
func (e *boltEngine) putEntries(tx *bbolt.Tx, batch []Entry) error {
	if len(batch) == 0 {
		return nil
	}
	log := tx.Bucket([]byte(boltLog))
	log.FillPercent = 1 // keys ascend
	for _, en := range batch {
		if err := log.Put(boltKey(en.Revision), en.Data); err != nil {
			return err
		}
	}
	return e.putLast(tx, batch[len(batch)-1].Revision)
}

func (e *boltEngine) Append(_ context.Context, batch []Entry) error {
	if err := checkOrder(e.last.Load(), batch); err != nil || len(batch) == 0 {
		return e.wrap(err)
	}
	err := e.appendLog(batch)
	if err == nil {
		e.last.Store(batch[len(batch)-1].Revision)
	}
	return err
}

// What one transaction of a compaction writes or deletes at most, in bytes and
// in keys, so that appends are not held up for longer than it takes.
const (
	boltStep     = 1 << 20
	boltStepKeys = 2000
)

func (e *boltEngine) Compact(ctx context.Context, revision uint64, parts iter.Seq[[]byte]) error {
	switch old := e.snapshot.Load(); {
	case revision == old:
		return nil
	case revision < old || revision > e.last.Load():
		return e.wrap(fmt.Errorf("%w: snapshot of revision %d after one of %d, where the log ends at %d", ErrOrder, revision, old, e.last.Load()))
	}
	if err := e.drain(); err != nil { // the snapshot is not to come before what it replaces
		return err
	}
	name := snapshotBucket(revision)
	if err := e.writeParts(ctx, name, parts); err != nil {
		// Not deleted here: the next one, or the next Open, does.
		return err
	}
	var old []byte
	if err := e.update("compact", func(tx *bbolt.Tx) error {
		if rev := e.snapshot.Load(); rev > 0 {
			old = snapshotBucket(rev)
		}
		return putMeta(tx, boltSnapshot, boltKey(revision))
	}); err != nil {
		return err
	}
	// From here on the old ones are not needed.
	e.snapshot.Store(revision)
	if old != nil {
		if err := e.update("compact", func(tx *bbolt.Tx) error { return tx.DeleteBucket(old) }); err != nil {
			return err
		}
	}
	return e.deleteUpTo(ctx, revision)
}

// writeParts makes a bucket of the parts, in several transactions.
func (e *boltEngine) writeParts(ctx context.Context, name []byte, parts iter.Seq[[]byte]) error {
	if err := e.update("compact", func(tx *bbolt.Tx) error {
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		_, err := tx.CreateBucket(name)
		return err
	}); err != nil {
		return err
	}
	var step [][]byte
	var n uint64
	size := 0
	write := func() error {
		err := e.update("compact", func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(name)
			bucket.FillPercent = 1
			for _, p := range step {
				n++
				if err := bucket.Put(boltKey(n), p); err != nil {
					return err
				}
			}
			return nil
		})
		step, size = nil, 0
		return err
	}
	for p := range parts {
		step = append(step, slices.Clone(p))
		if size += len(p); size >= boltStep {
			if err := write(); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return e.wrap(err)
		}
	}
	if err := ctx.Err(); err != nil { // the parts may have ended for it
		return e.wrap(err)
	}
	return write()
}

// deleteUpTo deletes the entries up to a revision, in several transactions. The
// last of them writes nothing, so that both meta pages know of all.
func (e *boltEngine) deleteUpTo(ctx context.Context, revision uint64) error {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return e.wrap(err)
		}
		if err := e.update("compact", func(tx *bbolt.Tx) error {
			log := tx.Bucket([]byte(boltLog))
			var keys [][]byte
			size := 0
			c := log.Cursor()
			for k, v := c.First(); k != nil && binary.BigEndian.Uint64(k) <= revision; k, v = c.Next() {
				if keys = append(keys, slices.Clone(k)); len(keys) >= boltStepKeys {
					break
				}
				if size += len(v); size >= boltStep {
					break
				}
			}
			for _, k := range keys {
				if err := log.Delete(k); err != nil {
					return err
				}
			}
			more = len(keys) > 0
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (e *boltEngine) Close() error {
	if e.readOnly {
		return e.guard("close", e.db.Close)
	}
	err := e.closeLog()
	if err == nil {
		err = e.update("close", func(*bbolt.Tx) error { return nil })
	}
	if err == nil && e.applier.Load() != nil {
		// Both meta pages say now that it is not needed.
		err = e.wrap(os.Remove(walPath(e.path)))
	}
	return errors.Join(err, e.guard("close", e.db.Close))
}
