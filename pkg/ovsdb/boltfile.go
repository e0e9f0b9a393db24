package ovsdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// createBolt makes an empty file, whole or not at all: under another name first.
func createBolt(path string, noSync bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	temp := f.Name()
	f.Close()
	defer os.Remove(temp)
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{NoSync: noSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{boltMeta, boltLog} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		if err := putMeta(tx, boltLast, boltKey(0)); err != nil {
			return err
		}
		return putMeta(tx, boltFormat, []byte(boltFormatVersion))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if noSync {
		return nil
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockRetry is how often to try whether another process has closed the file.
const lockRetry = 20 * time.Millisecond

// openLocked opens a file with the lock that bbolt takes, which is that of the
// open file: bbolt takes it once more.
func openLocked(path string, flag int, timeout time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if flag&(os.O_RDWR|os.O_WRONLY) == 0 {
		how = unix.LOCK_SH
	}
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for end := time.Now().Add(timeout); ; <-retry.C {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, err
		case time.Now().After(end):
			f.Close()
			return nil, ErrInUse
		}
	}
}

// boltLayout is what there is in a file.
type boltLayout struct {
	boltShape
	format         string
	wal            walMark
	meta           map[string][]byte // format and cluster, unsealed
	last, snapshot uint64
	leftovers      []uint64 // snapshots that are none
	entries        int
	logBytes       int64 // of all entries, also of those that are leftovers
	parts          int
	partBytes      int64 // of the snapshot
}

// readBoltLayout checks a file before bbolt gets it.
func readBoltLayout(f *os.File) (l boltLayout, err error) {
	info, err := f.Stat()
	if err != nil {
		return l, err
	}
	var (
		values  = make(map[string][]byte)
		buckets = make(map[string]bool)
		parts   = make(map[string]uint64)
		bytes   = make(map[string]int64)
		lastLog uint64
	)
	l.boltShape, err = boltCheck(f, info.Size(), func(bucket string, key, value []byte) error {
		switch {
		case bucket == "" && value == nil:
			buckets[string(key)] = true
		case bucket == boltMeta:
			values[string(key)] = append([]byte{}, value...)
		case bucket == boltLog && len(key) == 8:
			lastLog = binary.BigEndian.Uint64(key)
			l.entries++
			l.logBytes += int64(len(value))
		case strings.HasPrefix(bucket, "snapshot-") && len(key) == 8:
			if parts[bucket]++; binary.BigEndian.Uint64(key) != parts[bucket] {
				return fmt.Errorf("%w: bucket %q: part %d is not there", ErrCorrupt, bucket, parts[bucket])
			}
			bytes[bucket] += int64(len(value))
		default:
			return fmt.Errorf("%w: bucket %q: key %x", ErrCorrupt, bucket, key)
		}
		return nil
	})
	if err != nil {
		return l, err
	}
	if !buckets[boltMeta] || !buckets[boltLog] {
		return l, fmt.Errorf("%w: buckets meta and log are not there", ErrCorrupt)
	}
	if err := l.readMeta(values, lastLog); err != nil {
		return l, err
	}
	for name := range buckets {
		if name == boltMeta || name == boltLog {
			continue
		}
		rev, err := strconv.ParseUint(strings.TrimPrefix(name, "snapshot-"), 10, 64)
		if err != nil || string(snapshotBucket(rev)) != name {
			return l, fmt.Errorf("%w: bucket %q", ErrCorrupt, name)
		}
		if rev != l.snapshot || rev == 0 {
			l.leftovers = append(l.leftovers, rev)
			continue
		}
		l.parts, l.partBytes = int(parts[name]), bytes[name]
	}
	if l.snapshot > 0 && l.parts == 0 {
		return l, fmt.Errorf("%w: the snapshot of revision %d is missing", ErrCorrupt, l.snapshot)
	}
	if have := max(lastLog, l.snapshot); l.last != have {
		return l, fmt.Errorf("%w: the log ends at revision %d, not at %d", ErrCorrupt, have, l.last)
	}
	return l, nil
}

// readMeta reads the values of bucket meta.
func (l *boltLayout) readMeta(values map[string][]byte, lastLog uint64) error {
	l.meta = make(map[string][]byte)
	sealed := string(values[boltFormat]) != "1"
	for name, v := range values {
		if sealed {
			n := len(v) - 4
			if n < 0 || string(boltSeal(name, v[:n])) != string(v) {
				return fmt.Errorf("%w: %q of bucket meta has a wrong checksum", ErrCorrupt, name)
			}
			v = v[:n]
		}
		number := func(to *uint64) error {
			if len(v) != 8 {
				return fmt.Errorf("%w: %q of bucket meta has %d bytes", ErrCorrupt, name, len(v))
			}
			*to = binary.BigEndian.Uint64(v)
			return nil
		}
		var err error
		switch name {
		case boltFormat:
			l.format = string(v)
		case boltCluster:
			if l.meta[name] = v; len(v) != len(UUID{}) {
				err = fmt.Errorf("%w: the cluster id has %d bytes", ErrCorrupt, len(v))
			}
		case boltSnapshot:
			l.meta[name] = v
			err = number(&l.snapshot)
		case boltLast:
			err = number(&l.last)
		case boltWAL:
			if len(v) != walMarkSize || v[walMarkSize-1] > 1 {
				return fmt.Errorf("%w: %q of bucket meta has %d bytes", ErrCorrupt, name, len(v))
			}
			copy(l.wal.id[:], v)
			l.wal.applied = binary.BigEndian.Uint64(v[len(l.wal.id):])
			l.wal.open = v[walMarkSize-1] == 1
		default:
			if sealed {
				continue // of a later version
			}
			err = fmt.Errorf("%w: %q in bucket meta", ErrCorrupt, name)
		}
		if err != nil {
			return err
		}
	}
	switch l.format {
	case boltFormatVersion, boltFormatWAL:
		if l.wal.open != (l.format == boltFormatWAL) {
			return fmt.Errorf("%w: format %q, and the log is open: %t", ErrCorrupt, l.format, l.wal.open)
		}
	case "1": // without checksums and "last"
		l.meta[boltFormat] = []byte(boltFormatVersion)
		l.last = max(lastLog, l.snapshot)
	case "":
		return fmt.Errorf("%w: bucket meta has no format", ErrCorrupt)
	default:
		return fmt.Errorf("format %q is not known: a later version of the program wrote it", l.format)
	}
	return nil
}

// BoltInfo is what a file consists of; sizes are in bytes.
type BoltInfo struct {
	Size, Used    int64
	Snapshot      uint64 // its revision; 0: there is none
	Parts         int
	SnapshotBytes int64
	Entries       int // after the snapshot, and those that wait to be deleted
	LogBytes      int64
	// Spoiled tells that a crash left a page half written that is not needed.
	Spoiled bool
	// WALSize is the size of the write-ahead log, if a crash has left one; WALEntries are
	// in it and not in the file. Torn: a crash left its last record half written.
	WALSize    int64
	WALEntries int
	Torn       bool
}

// InspectBolt reads all of a file that OpenBolt made, and its write-ahead log, and writes
// nothing.
func InspectBolt(path string) (BoltInfo, error) {
	f, err := openLocked(path, os.O_RDONLY, time.Second)
	if err != nil {
		return BoltInfo{}, fmt.Errorf("ovsdb: %q: %w", path, err)
	}
	defer f.Close()
	l, err := readBoltLayout(f)
	if err != nil {
		return BoltInfo{}, fmt.Errorf("ovsdb: %q: %w", path, err)
	}
	wal, _, err := checkWAL(walPath(path), &l)
	if err != nil {
		return BoltInfo{}, fmt.Errorf("ovsdb: %q: %w", path, err)
	}
	return BoltInfo{
		WALSize: wal.size, WALEntries: len(wal.entries), Torn: wal.torn != nil, Size: l.size, Used: int64(l.used) * l.pageSize, Snapshot: l.snapshot, Parts: l.parts, SnapshotBytes: l.partBytes,
		Entries: l.entries, LogBytes: l.logBytes, Spoiled: l.spoiled >= 0,
	}, nil
}

// ShrinkBolt writes a file anew without unused pages; a crash leaves the old
// one or the new one.
func ShrinkBolt(path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("ovsdb: shrink %q: %w", path, err)
		}
	}()
	e, err := openBolt(path, BoltOptions{MustExist: true}) // checks it, and holds the lock
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".shrunk")
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, e.Close())
	}
	defer os.Remove(temp)
	to, err := bbolt.Open(temp, 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return errors.Join(err, e.Close())
	}
	err = e.guard("shrink", func() error { return bbolt.Compact(to, e.db, boltStep) })
	if err == nil {
		err = to.Update(func(*bbolt.Tx) error { return nil }) // both meta pages
	}
	if err = errors.Join(err, to.Close()); err == nil {
		err = cutBolt(temp)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return errors.Join(err, e.Close())
}

// cutBolt gives back what bbolt has allocated and not used, and syncs the file.
func cutBolt(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		var shape boltShape
		if shape, err = boltCheck(f, info.Size(), nil); err == nil {
			err = f.Truncate(int64(shape.end) * shape.pageSize)
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}
