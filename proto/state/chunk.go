package state

import (
	"iter"

	"google.golang.org/protobuf/encoding/protowire"

	"govn/proto"
)

// MaxChunk is the size in bytes that the chunks of a frame do not exceed,
// unless a single item does.
const MaxChunk = 1 << 20

// MaxMessage is the size in bytes of the largest message that either side has
// to accept. It leaves room for an item that is larger than a chunk.
const MaxMessage = 16 << 20

// Chunker splits a frame into chunks. Put, Del and Keep collect; a chunk that
// is full goes to emit; Last ends the frame. The first error of emit is sticky:
// nothing is emitted after it, and Last returns it.
type Chunker struct {
	head proto.Frame // revision, snapshot
	emit func(*proto.Frame) error
	max  int

	chunk *proto.Frame
	size  int
	err   error
}

// NewChunker begins a frame. maxSize is in bytes; 0 means MaxChunk.
func NewChunker(revision *proto.Revision, snapshot bool, maxSize int, emit func(*proto.Frame) error) *Chunker {
	if maxSize <= 0 {
		maxSize = MaxChunk
	}
	c := &Chunker{emit: emit, max: maxSize}
	c.head.Revision, c.head.Snapshot = revision, snapshot
	c.begin()
	return c
}

// overhead is more than what the fields outside the lists take in a chunk.
const overhead = 128

func (c *Chunker) begin() {
	c.chunk = &proto.Frame{Revision: c.head.Revision, Snapshot: c.head.Snapshot}
	c.size = overhead
}

// room makes place for n bytes in the chunk; it is false after an error.
func (c *Chunker) room(n int) bool {
	if c.err == nil && c.size > overhead && c.size+n > c.max {
		c.err = c.emit(c.chunk)
		c.begin()
	}
	c.size += n
	return c.err == nil
}

// fieldSize is the size of a length-delimited field of n bytes with a one-byte
// tag.
func fieldSize(n int) int { return 1 + protowire.SizeBytes(n) }

// Put adds an item.
func (c *Chunker) Put(item *proto.Item) {
	n := fieldSize(4 + fieldSize(len(item.Key)) + fieldSize(len(item.Value)))
	if c.room(n) {
		c.chunk.Put = append(c.chunk.Put, item)
	}
}

// Del removes an item.
func (c *Chunker) Del(kind proto.Kind, key string) {
	if c.room(fieldSize(4 + fieldSize(len(key)))) {
		c.chunk.Del = append(c.chunk.Del, &proto.ItemKey{Kind: kind, Key: []byte(key)})
	}
}

// Keep names a body that the chassis holds already; for snapshots.
func (c *Chunker) Keep(body Hash) {
	if c.room(fieldSize(len(body))) {
		c.chunk.Keep = append(c.chunk.Keep, body[:])
	}
}

// Last ends the frame with the digest of the state after it, and returns the
// first error of emit.
func (c *Chunker) Last(digest Digest, nbCfg int64) error {
	if c.err != nil {
		return c.err
	}
	b := digest.Bytes()
	c.chunk.Last, c.chunk.Digest, c.chunk.NbCfg = true, b[:], nbCfg
	c.err = c.emit(c.chunk)
	return c.err
}

// Export yields the whole state as the chunks of a snapshot frame that makes an
// equal state when applied to a new one. It is meant for a cache on disk.
func (s *State) Export() iter.Seq[*proto.Frame] {
	return func(yield func(*proto.Frame) bool) {
		c := NewChunker(s.revision, true, 0, func(f *proto.Frame) error {
			if !yield(f) {
				return errStop
			}
			return nil
		})
		for k, e := range s.items {
			c.Put(&proto.Item{Kind: k.Kind, Key: []byte(k.Key), Value: e.value, Critical: e.critical})
			if c.err != nil {
				return
			}
		}
		_ = c.Last(s.digest, s.nbCfg) // errStop: the caller has had enough
	}
}
