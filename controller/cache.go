package controller

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/rpc"
	"govn/proto"
	"govn/proto/state"
)

// cacheMagic begins the file of a cache: a name and a version.
const cacheMagic = "govn-state-1\n"

// How long a state has to stand before it is written: cacheDelay, or, for a
// large one that changes all the time, saveShare times as long as it took the
// last time, but no longer than cacheDelayMax.
const (
	cacheDelay    = 5 * time.Second
	cacheDelayMax = time.Minute
	saveShare     = 100
)

func saveDelay(took time.Duration) time.Duration {
	return min(max(cacheDelay, saveShare*took), cacheDelayMax)
}

// errCache is wrapped by the errors of a cache that cannot be used.
var errCache = errors.New("unusable cache")

// cache keeps the last state of a chassis on disk: the chunks of a snapshot
// frame, each behind its length (4 bytes, big endian).
//
//	magic | length | Frame | length | Frame (last, with the digest)
//
// The file is replaced as a whole; a torn or changed one has another digest
// and is not used.
type cache struct{ path string }

// newCache keeps the state of one chassis in dir; no dir: nothing is kept.
func newCache(dir, chassis string) *cache {
	if dir == "" || chassis == "" {
		return nil
	}
	return &cache{path: filepath.Join(dir, "state-"+fileName(chassis))}
}

// fileName makes a name safe as part of a path.
func fileName(name string) string {
	out := []byte(name)
	for i, c := range out {
		if c == '/' || c == 0 || c == '.' {
			out[i] = '_'
		}
	}
	return string(out)
}

// load reads the state; with no file it is nil without an error.
func (c *cache) load() (*state.State, []state.Change, error) {
	if c == nil {
		return nil, nil, nil
	}
	f, err := os.Open(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, delta, err := readState(bufio.NewReader(f))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %q: %w", errCache, c.path, err)
	}
	return st, delta, nil
}

// readState reads what writeState wrote.
func readState(r io.Reader) (*state.State, []state.Change, error) {
	magic := make([]byte, len(cacheMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != cacheMagic {
		return nil, nil, errors.New("not a state of this version")
	}
	st := state.New()
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, nil, fmt.Errorf("length of a chunk: %w", err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > rpc.MaxMessage {
			return nil, nil, fmt.Errorf("chunk of %d bytes", n)
		}
		buf, err := io.ReadAll(io.LimitReader(r, int64(n)))
		if err != nil || len(buf) != int(n) {
			return nil, nil, fmt.Errorf("chunk of %d bytes ends after %d", n, len(buf))
		}
		frame := &proto.Frame{}
		if err := pb.Unmarshal(buf, frame); err != nil {
			return nil, nil, err
		}
		delta, complete, err := st.Apply(frame)
		if err != nil {
			return nil, nil, err
		}
		if complete {
			return st, delta, nil
		}
	}
}

// contents is a state to be written. It shares the values with the state, which
// nobody writes to, and is safe to use while the state goes on changing.
type contents struct {
	revision *proto.Revision
	nbCfg    int64
	items    []*proto.Item
}

// contentsOf takes the items of the kinds that this version knows. It copies
// no values: it runs on the loop.
func contentsOf(st *state.State) *contents {
	c := &contents{revision: st.Revision(), nbCfg: st.NbCfg()}
	if c.revision == nil {
		return nil
	}
	for kind := proto.Kind_KIND_BODY; state.Known(kind); kind++ {
		for key, value := range st.Items(kind) {
			c.items = append(c.items, &proto.Item{Kind: kind, Key: []byte(key), Value: value})
		}
	}
	return c
}

// write writes the contents as readState reads them. The digest is that of what
// is written: with items of unknown kinds it is not northd's, who then sends a
// snapshot.
func (c *contents) write(w io.Writer) error {
	if _, err := io.WriteString(w, cacheMagic); err != nil {
		return err
	}
	chunks := state.NewChunker(c.revision, true, 0, func(frame *proto.Frame) error {
		buf, err := pb.Marshal(frame)
		if err != nil {
			return err
		}
		var head [4]byte
		binary.BigEndian.PutUint32(head[:], uint32(len(buf)))
		_, err = w.Write(append(head[:], buf...))
		return err
	})
	var digest state.Digest
	for _, item := range c.items {
		digest = digest.Add(state.DigestOf(state.ItemHash(item.Kind, string(item.Key), item.Value)))
		chunks.Put(item)
	}
	return chunks.Last(digest, c.nbCfg)
}

// store replaces the file.
func (c *cache) store(contents *contents) (err error) {
	if c == nil || contents == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.path), ".state-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	if err := contents.write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path)
}
