package ovsdb

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// BoltOptions of OpenBolt.
type BoltOptions struct {
	// NoSync leaves out fsync: fast, and not durable. For tests and fills.
	NoSync bool
	// LockTimeout is how long to wait for another process that has the file
	// open. Default 5 s.
	LockTimeout time.Duration
}

// boltEngine keeps the log in a bbolt file:
//
//	meta          "cluster" -> UUID, "format" -> 1, "snapshot" -> revision(8)
//	log           revision(8) -> entry
//	snapshot-REV  part number(8) -> part; those that meta does not name are
//	              leftovers of an interrupted compaction
//
// Numbers are big endian, so that the order of keys is that of numbers.
type boltEngine struct {
	db   *bbolt.DB
	path string
}

var (
	boltMeta     = []byte("meta")
	boltLog      = []byte("log")
	boltCluster  = []byte("cluster")
	boltFormat   = []byte("format")
	boltSnapshot = []byte("snapshot")
)

const boltFormatVersion = "1"

// OpenBolt opens or creates a bbolt file. Only one process may have it open.
func OpenBolt(path string, o BoltOptions) (Engine, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = 5 * time.Second
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: o.LockTimeout, NoSync: o.NoSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, fmt.Errorf("ovsdb: open %q: %w", path, err)
	}
	e := &boltEngine{db: db, path: path}
	if err := db.Update(e.prepare); err != nil {
		db.Close()
		return nil, fmt.Errorf("ovsdb: open %q: %w", path, err)
	}
	return e, nil
}

// prepare creates what is missing and removes leftovers.
func (e *boltEngine) prepare(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(boltMeta)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucketIfNotExists(boltLog); err != nil {
		return err
	}
	switch format := string(meta.Get(boltFormat)); format {
	case "":
		if err := meta.Put(boltFormat, []byte(boltFormatVersion)); err != nil {
			return err
		}
	case boltFormatVersion:
	default:
		return fmt.Errorf("format %q is not known", format)
	}
	keep := snapshotBucket(meta.Get(boltSnapshot))
	var leftovers [][]byte
	err = tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if !slices.Equal(name, boltMeta) && !slices.Equal(name, boltLog) && !slices.Equal(name, keep) {
			leftovers = append(leftovers, slices.Clone(name))
		}
		return nil
	})
	for _, name := range leftovers {
		if err == nil {
			err = tx.DeleteBucket(name)
		}
	}
	return err
}

func boltKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func snapshotBucket(revision []byte) []byte {
	if len(revision) != 8 {
		return nil
	}
	return fmt.Appendf(nil, "snapshot-%d", binary.BigEndian.Uint64(revision))
}

func (e *boltEngine) Identity(_ context.Context, proposed UUID) (id UUID, err error) {
	err = e.db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(boltMeta)
		switch stored := meta.Get(boltCluster); len(stored) {
		case 0:
			id = proposed
			return meta.Put(boltCluster, id[:])
		case len(id):
			copy(id[:], stored)
			return nil
		default:
			return fmt.Errorf("%w: the cluster id has %d bytes", ErrCorrupt, len(stored))
		}
	})
	return id, e.wrap(err)
}

func (e *boltEngine) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("%q: %w", e.path, err)
	}
	return nil
}

func (e *boltEngine) Load(ctx context.Context, part func(uint64, []byte) error, entry func(Entry) error) error {
	return e.wrap(e.db.View(func(tx *bbolt.Tx) error {
		var revision uint64
		if stored := tx.Bucket(boltMeta).Get(boltSnapshot); stored != nil {
			bucket := tx.Bucket(snapshotBucket(stored))
			if bucket == nil {
				return fmt.Errorf("%w: the snapshot is missing", ErrCorrupt)
			}
			revision = binary.BigEndian.Uint64(stored)
			if err := bucket.ForEach(func(_, data []byte) error { return part(revision, data) }); err != nil {
				return err
			}
		}
		return tx.Bucket(boltLog).ForEach(func(key, data []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(key) != 8 {
				return fmt.Errorf("%w: entry with key %x", ErrCorrupt, key)
			}
			return entry(Entry{binary.BigEndian.Uint64(key), data})
		})
	}))
}

func (e *boltEngine) Append(_ context.Context, batch []Entry) error {
	return e.wrap(e.db.Update(func(tx *bbolt.Tx) error {
		log := tx.Bucket(boltLog)
		log.FillPercent = 1 // keys ascend
		for _, en := range batch {
			if err := log.Put(boltKey(en.Revision), en.Data); err != nil {
				return err
			}
		}
		return nil
	}))
}

// boltStep is how much one transaction of a compaction writes or deletes, so
// that appends are not held up for long.
const boltStep = 4 << 20

func (e *boltEngine) Compact(ctx context.Context, revision uint64, parts iter.Seq[[]byte]) error {
	name := snapshotBucket(boltKey(revision))
	err := e.db.Update(func(tx *bbolt.Tx) error {
		if slices.Equal(tx.Bucket(boltMeta).Get(boltSnapshot), boltKey(revision)) {
			return errSameSnapshot
		}
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		_, err := tx.CreateBucket(name)
		return err
	})
	if err == errSameSnapshot {
		return nil
	}
	if err != nil {
		return e.wrap(err)
	}
	var step [][]byte
	var n uint64
	size := 0
	write := func() error {
		err := e.db.Update(func(tx *bbolt.Tx) error {
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
				return e.wrap(err)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := write(); err != nil {
		return e.wrap(err)
	}
	// The switch; from here on the old entries are not needed.
	err = e.db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(boltMeta)
		old := snapshotBucket(meta.Get(boltSnapshot))
		if err := meta.Put(boltSnapshot, boltKey(revision)); err != nil {
			return err
		}
		if old != nil {
			if err := tx.DeleteBucket(old); err != nil {
				return err
			}
		}
		return deleteUpTo(tx.Bucket(boltLog), revision)
	})
	return e.wrap(err)
}

var errSameSnapshot = fmt.Errorf("ovsdb: the snapshot is there")

func deleteUpTo(log *bbolt.Bucket, revision uint64) error {
	var keys [][]byte
	c := log.Cursor()
	for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint64(k) <= revision; k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	for _, k := range keys {
		if err := log.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (e *boltEngine) Close() error { return e.wrap(e.db.Close()) }
