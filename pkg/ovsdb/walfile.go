package ovsdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// walStep is by how much a log is extended: with zeros, because the sync of a record that
// lies where the file has blocks already need not wait for the file system's journal.
const walStep = 256 << 10

// walFile is a log that is written to. It knows where records are:
//
//	| header | new | new | free ... | oldest | ... | newest | free, or not there yet |
//	                                live                 live
//
// Its methods are not safe for concurrent use, except that release may be called during
// write.
type walFile struct {
	f      *os.File
	path   string
	id     UUID
	noSync bool
	limit  int64 // of the size
	early  int64 // begins again from the start when there is that much room

	sequence uint64 // of the newest record
	applied  uint64 // of the newest that bbolt has
	live     []walSpan
	filled   int64 // size of the file
	buf      []byte
}

// walSpan is where a record is.
type walSpan struct {
	at, end  int64
	sequence uint64
}

// walPath is the log that belongs to a file.
func walPath(path string) string { return path + ".wal" }

// createWAL makes an empty log: under another name first, so that there is a whole one or
// none.
func createWAL(path string, id UUID, limit int64, noSync bool) (w *walFile, err error) {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w = &walFile{f: f, path: path, id: id, noSync: noSync, limit: limit, early: limit / 8, filled: walStart}
	_, err = f.WriteAt(walHead(id), 0)
	if err == nil && !noSync {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil && !noSync {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(temp))
	}
	return w, nil
}

// walLargestRecord is the size of the largest record in a log of a size: where ever the
// newest is, which is no longer than that, there is room once all are in bbolt.
func walLargestRecord(limit int64) int64 { return (limit - walStart) / 4 &^ (walAlign - 1) }

// room says where a record of a size goes.
func (w *walFile) room(size int64) (at int64, ok bool) {
	if len(w.live) == 0 {
		return walStart, walStart+size <= w.limit
	}
	oldest, newest := w.live[0], w.live[len(w.live)-1]
	if newest.at < oldest.at {
		return newest.end, newest.end+size <= oldest.at
	}
	low := oldest.at - walStart
	switch {
	case size <= low && (low >= w.early || oldest.sequence <= w.applied):
		return walStart, true
	case newest.end+size <= w.limit:
		return newest.end, true
	}
	return walStart, size <= low
}

// write stores a batch, durably, at a place that room has said.
func (w *walFile) write(at int64, before uint64, batch []Entry) error {
	w.buf = appendWALRecord(w.buf[:0], w.id, w.sequence+1, before, batch)
	end := at + int64(len(w.buf))
	if end > w.filled {
		to := min((end+walStep-1)/walStep*walStep, max(w.limit, end))
		// If the disk is full there may be room for the record still.
		_, _ = w.f.WriteAt(make([]byte, to-w.filled), w.filled)
		w.filled = to
	}
	_, err := w.f.WriteAt(w.buf, at)
	if err == nil && !w.noSync {
		err = fdatasync(w.f)
	}
	if err != nil {
		return fmt.Errorf("record %d at offset %d of %q: %w", w.sequence+1, at, w.path, err)
	}
	if cap(w.buf) > walStep {
		w.buf = nil
	}
	return nil
}

// stored counts the record that was written.
func (w *walFile) stored(at, size int64) {
	w.sequence++
	w.live = append(w.live, walSpan{at, at + size, w.sequence})
	w.trim()
}

// release lets records be written over: bbolt has all up to a sequence number.
func (w *walFile) release(applied uint64) {
	w.applied = applied
	w.trim()
}

// trim forgets what is in bbolt, but for the newest record.
func (w *walFile) trim() {
	n := 0
	for n < len(w.live)-1 && w.live[n].sequence <= w.applied {
		n++
	}
	w.live = append(w.live[:0], w.live[n:]...)
}

// fdatasync makes the contents of a file durable.
func fdatasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// readWALFile reads a log; nil if there is none.
func readWALFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, walLargest+1))
	if err == nil && len(b) > walLargest {
		err = fmt.Errorf("%w: more than %d bytes are no log", ErrCorrupt, walLargest)
	}
	if b == nil {
		b = []byte{}
	}
	return b, err
}

// walMark is what bbolt knows of its log: value "wal" of bucket meta is
//
//	id(16) sequence of the last record that is in bbolt(8) open(1)
type walMark struct {
	id      UUID
	applied uint64
	// open: there are, or may be, records that bbolt does not have. If not, a log
	// is a leftover, and the file is of format 2, which has none.
	open bool
}

const walMarkSize = len(UUID{}) + 8 + 1

func (m walMark) bytes() []byte {
	b := append(append([]byte{}, m.id[:]...), boltKey(m.applied)...)
	if m.open {
		return append(b, 1)
	}
	return append(b, 0)
}

// checkWAL reads the log that stands beside a bbolt file with a layout, and verifies that
// they belong together. exists says whether there is one.
func checkWAL(path string, l *boltLayout) (c walContents, exists bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%q: %w", path, err)
		}
	}()
	b, err := readWALFile(path)
	if err != nil {
		return c, true, err
	}
	if b == nil {
		if l.wal.open {
			err = fmt.Errorf("%w: the log %s is not there, and has transactions that the file lacks (copied without it, while it was in use?)", ErrCorrupt, l.wal.id)
		}
		return c, false, err
	}
	id, err := parseWALHead(b)
	switch {
	case err == nil && id == l.wal.id && l.wal.open:
		c, err = readWAL(b, id, l.wal.applied, l.last)
		return c, true, err
	case l.wal.open && err == nil:
		return c, true, fmt.Errorf("%w: it is the log %s of another file; this one's is %s", ErrCorrupt, id, l.wal.id)
	case l.wal.open:
		return c, true, err
	case err != nil:
		return c, true, fmt.Errorf("%w; the file was closed and needs no log, so remove it", err)
	}
	var applied uint64
	if id == l.wal.id {
		applied = l.wal.applied
	}
	for _, r := range scanWAL(b, id) {
		if r.sequence > applied {
			return c, true, fmt.Errorf("%w: record %d at offset %d is newer than the file or of another one: if the file is a copy that was put here, remove the log",
				ErrCorrupt, r.sequence, r.at)
		}
	}
	return c, true, nil
}
