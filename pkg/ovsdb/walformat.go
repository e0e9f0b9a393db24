package ovsdb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

// A write-ahead log, FILE.wal, stands beside a bbolt FILE while that is written to:
//
//	header    at 0: magic(8) id(16) crc32c(4)
//	record    from walStart on, at multiples of 8: a batch of entries
//	          magic(4) size of the payload(4) sequence(8) revision before(8)
//	          crc32c of the payload(4) crc32c of the 28 bytes before(4) payload
//	payload   of each entry: revision(8) size(4) bytes
//
// Numbers are big endian. Both checksums of a record begin with the id, which is
// random: nobody can write an entry whose bytes are taken for a record, and the records
// of another log are none.
//
// One batch is one record, written at once, and the next one is not written before it
// is durable. So of all records only the last can be torn, and what is read is whole if
// the sequence numbers above the one that bbolt knows ascend one by one: a record that
// was damaged leaves a gap. Where records are does not matter: what is in bbolt by now is
// written over, from the beginning again. The last one in bbolt stays until a
// newer one is durable, so that the newest record tells how far the log has come.
//
// The revision before a record is that of the last entry before its own: a batch that is
// too long for the log stands in bbolt alone, and an old FILE beside a new log lacks it.
const (
	walMagic  = "govnWAL1"
	walRecord = 0x6e77616c // of a record
	walStart  = 4096
	walHeader = 32 // of a record
	walAlign  = 8
	// walLargest is the size of a log above which it is none.
	walLargest = 1 << 30
)

// walHead is the first page of a log.
func walHead(id UUID) []byte {
	b := make([]byte, 0, walStart)
	b = append(b, walMagic...)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:walStart]
}

// parseWALHead returns the id of a log.
func parseWALHead(b []byte) (id UUID, err error) {
	const size = len(walMagic) + len(id)
	switch {
	case len(b) < size+4:
		return id, fmt.Errorf("%w: the header at offset 0 ends after %d bytes", ErrCorrupt, len(b))
	case string(b[:len(walMagic)]) != walMagic:
		return id, fmt.Errorf("%w: at offset 0 is no header of a log", ErrCorrupt)
	case crc32.Checksum(b[:size], castagnoli) != binary.BigEndian.Uint32(b[size:]):
		return id, fmt.Errorf("%w: the header at offset 0 has a wrong checksum", ErrCorrupt)
	}
	copy(id[:], b[len(walMagic):])
	return id, nil
}

// walSize is the size of the record of a batch.
func walSize(batch []Entry) int64 {
	size := int64(walHeader)
	for _, en := range batch {
		size += 12 + int64(len(en.Data))
	}
	return (size + walAlign - 1) &^ (walAlign - 1)
}

// appendWALRecord appends the record of a batch to b, which is empty.
func appendWALRecord(b []byte, id UUID, sequence, before uint64, batch []Entry) []byte {
	b = append(b, make([]byte, walHeader)...)
	for _, en := range batch {
		b = binary.BigEndian.AppendUint64(b, en.Revision)
		b = binary.BigEndian.AppendUint32(b, uint32(len(en.Data)))
		b = append(b, en.Data...)
	}
	seed := crc32.Checksum(id[:], castagnoli)
	n := binary.BigEndian
	n.PutUint32(b, walRecord)
	n.PutUint32(b[4:], uint32(len(b)-walHeader))
	n.PutUint64(b[8:], sequence)
	n.PutUint64(b[16:], before)
	n.PutUint32(b[24:], crc32.Update(seed, castagnoli, b[walHeader:]))
	n.PutUint32(b[28:], crc32.Update(seed, castagnoli, b[:28]))
	for len(b)%walAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// walBatch is a record that was read.
type walBatch struct {
	at, end          int64
	sequence, before uint64
	payload          []byte
	whole            bool // the payload has its checksum
}

// scanWAL returns the records that a log has, whole and torn, in the order of offsets.
// What is between them are remains of others.
func scanWAL(b []byte, id UUID) (found []walBatch) {
	seed := crc32.Checksum(id[:], castagnoli)
	n := binary.BigEndian
	magic := n.AppendUint32(nil, walRecord)
	for at := walStart; at+walHeader <= len(b); {
		i := bytes.Index(b[at:], magic)
		if i < 0 {
			break
		}
		if at += i; at%walAlign != 0 || at+walHeader > len(b) {
			at++
			continue
		}
		h := b[at : at+walHeader]
		if crc32.Update(seed, castagnoli, h[:28]) != n.Uint32(h[28:]) {
			at += walAlign
			continue
		}
		r := walBatch{at: int64(at), sequence: n.Uint64(h[8:]), before: n.Uint64(h[16:])}
		size := int64(n.Uint32(h[4:]))
		r.end = (r.at + walHeader + size + walAlign - 1) &^ (walAlign - 1)
		if left := b[at+walHeader:]; size <= int64(len(left)) {
			r.payload = left[:size]
			r.whole = crc32.Update(seed, castagnoli, r.payload) == n.Uint32(h[24:])
		}
		found = append(found, r)
		if r.whole {
			at = int(min(r.end, int64(len(b))))
		} else {
			at += walAlign
		}
	}
	return found
}

// entries reads the payload.
func (r *walBatch) entries() (batch []Entry, err error) {
	last := r.before
	for p := r.payload; len(p) > 0; {
		if len(p) < 12 || int64(binary.BigEndian.Uint32(p[8:])) > int64(len(p)-12) {
			return nil, r.errorf("%d bytes are no entry", len(p))
		}
		size := 12 + int(binary.BigEndian.Uint32(p[8:]))
		en := Entry{binary.BigEndian.Uint64(p), p[12:size:size]}
		if en.Revision <= last {
			return nil, r.errorf("revision %d after %d", en.Revision, last)
		}
		last = en.Revision
		batch = append(batch, en)
		p = p[size:]
	}
	if len(batch) == 0 {
		return nil, r.errorf("no entries")
	}
	return batch, nil
}

func (r *walBatch) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: record %d at offset %d: %s", ErrCorrupt, r.sequence, r.at, fmt.Sprintf(format, args...))
}

// walContents is what a log has that bbolt has not.
type walContents struct {
	entries  []Entry // share memory with the log's bytes
	records  int
	sequence uint64    // of the last record
	torn     *walBatch // was being written when the machine stopped
	size     int64     // of the log
}

// readWAL reads a log of which bbolt has all up to the record with sequence applied and
// the entry with revision last.
func readWAL(b []byte, id UUID, applied, last uint64) (c walContents, err error) {
	c.size = int64(len(b))
	var newest uint64
	var whole, torn []walBatch
	where := int64(walStart) // where the next one should be
	for _, r := range scanWAL(b, id) {
		switch {
		case !r.whole:
			if r.sequence > applied {
				torn = append(torn, r)
			}
			continue
		case r.sequence > applied:
			whole = append(whole, r)
		case r.sequence == applied:
			where = r.end
		}
		newest = max(newest, r.sequence)
	}
	if newest < applied {
		return c, fmt.Errorf("%w: the last record is %d, and record %d was there: it is older than the file, or cut off", ErrCorrupt, newest, applied)
	}
	slices.SortFunc(whole, func(a, b walBatch) int {
		if a.sequence != b.sequence {
			return cmp.Compare(a.sequence, b.sequence)
		}
		return cmp.Compare(a.at, b.at)
	})
	c.sequence = applied
	for i := range whole {
		r := &whole[i]
		if r.sequence != c.sequence+1 {
			return c, missingRecord(c.sequence+1, where, r, torn)
		}
		if r.before != last {
			return c, r.errorf("it follows revision %d, and the revision before it is %d: log and file are of different times", r.before, last)
		}
		batch, err := r.entries()
		if err != nil {
			return c, err
		}
		c.entries = append(c.entries, batch...)
		c.sequence, last, where = r.sequence, batch[len(batch)-1].Revision, r.end
		c.records++
	}
	for i := range torn {
		if torn[i].sequence != c.sequence+1 {
			return c, missingRecord(c.sequence+1, where, &torn[i], torn)
		}
		c.torn = &torn[i]
	}
	return c, nil
}

// missingRecord is the error when there is a later one.
func missingRecord(sequence uint64, where int64, later *walBatch, torn []walBatch) error {
	for i := range torn {
		if torn[i].sequence == sequence {
			return torn[i].errorf("wrong checksum, and record %d at offset %d is there", later.sequence, later.at)
		}
	}
	return fmt.Errorf("%w: record %d, expected at offset %d, is not there, and record %d at offset %d is", ErrCorrupt, sequence, where, later.sequence, later.at)
}
