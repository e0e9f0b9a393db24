package state

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"govn/proto"
)

var (
	// ErrTerm is returned for a frame whose term is lower than that of the state.
	ErrTerm = errors.New("frame of a lower term")
	// ErrCluster is returned for a difference from another cluster than that of
	// the state.
	ErrCluster = errors.New("difference from another cluster")
	// ErrStale is returned for a difference that is older than the state.
	ErrStale = errors.New("difference is older than the state")
	// ErrDigest is returned when the state after the frame would not have the
	// digest that the frame names. The state is unchanged; the chassis asks for
	// a snapshot (Ack.resync).
	ErrDigest = errors.New("digest differs")
	// ErrAwaitSnapshot is returned for a difference that comes between ErrDigest
	// and the snapshot. It is not to be answered.
	ErrAwaitSnapshot = errors.New("waiting for a snapshot")
	// ErrMalformed is returned for a frame that no northd sends.
	ErrMalformed = errors.New("malformed frame")
	// ErrTooLarge is returned when the chunks of a frame exceed the limit.
	ErrTooLarge = errors.New("frame is too large")

	errStop = errors.New("stop")
)

// DefaultMaxFrame is the limit of all chunks of one frame, in bytes of keys and
// values.
const DefaultMaxFrame = 2 << 30

// Change is the difference that a frame made to one item.
type Change struct {
	Kind     proto.Kind
	Key      string
	Old, New []byte // nil: absent
}

type entry struct {
	value    []byte
	digest   Digest
	critical bool
}

// State holds the items of a chassis. Use New.
type State struct {
	items    map[Key]entry
	digest   Digest
	revision *proto.Revision
	nbCfg    int64
	bodies   func(Hash) ([]byte, bool)
	refused  map[Key]struct{}
	await    bool // for a snapshot
	maxFrame int

	pending *pending
}

// pending is a frame of which not all chunks are there.
type pending struct {
	revision *proto.Revision
	snapshot bool
	put      map[Key]entry
	del      map[Key]struct{}
	keep     map[Hash]struct{}
	size     int
}

// New returns an empty state.
func New() *State {
	return &State{items: map[Key]entry{}, refused: map[Key]struct{}{}, maxFrame: DefaultMaxFrame}
}

// SetBodies makes the bodies of a cache known: a snapshot may keep what lookup
// returns, besides the bodies of the state. They must be among Hello.bodies.
func (s *State) SetBodies(lookup func(Hash) ([]byte, bool)) { s.bodies = lookup }

// SetMaxFrame changes the limit of the chunks of one frame, in bytes.
func (s *State) SetMaxFrame(n int) { s.maxFrame = n }

// Known tells whether this version of the package knows a kind.
func Known(kind proto.Kind) bool {
	_, named := proto.Kind_name[int32(kind)]
	return named && kind != proto.Kind_KIND_UNSPECIFIED
}

// Apply takes the next chunk. complete tells that it was the last one of its
// frame and that the state is now that of the frame's revision; delta is what
// changed, by kind and key. With an error the state is as it was before the
// frame.
func (s *State) Apply(f *proto.Frame) (delta []Change, complete bool, err error) {
	if err := s.admit(f); err != nil {
		s.pending = nil
		return nil, false, err
	}
	if err := s.collect(f); err != nil {
		s.pending = nil
		return nil, false, err
	}
	if !f.GetLast() {
		return nil, false, nil
	}
	p := s.pending
	s.pending = nil
	delta, err = s.commit(p, f)
	return delta, err == nil, err
}

// Abort forgets the chunks of a frame that is not complete, because its stream
// ended.
func (s *State) Abort() { s.pending = nil }

// admit checks where a chunk comes from.
func (s *State) admit(f *proto.Frame) error {
	r := f.GetRevision()
	if len(r.GetCluster()) != 16 {
		return fmt.Errorf("%w: cluster id of %d bytes", ErrMalformed, len(r.GetCluster()))
	}
	if s.revision != nil && bytes.Equal(r.Cluster, s.revision.Cluster) {
		if r.Term < s.revision.Term {
			return fmt.Errorf("%w: %d, the state has %d", ErrTerm, r.Term, s.revision.Term)
		}
		if !f.Snapshot && r.Term == s.revision.Term && r.Number < s.revision.Number {
			return fmt.Errorf("%w: %d, the state has %d", ErrStale, r.Number, s.revision.Number)
		}
	} else if s.revision != nil && !f.Snapshot {
		return fmt.Errorf("%w: %x, the state has %x", ErrCluster, r.Cluster, s.revision.Cluster)
	}
	if s.await && !f.Snapshot {
		return ErrAwaitSnapshot
	}
	if len(f.Keep) > 0 && !f.Snapshot {
		return fmt.Errorf("%w: keep in a difference", ErrMalformed)
	}
	if f.Last && len(f.Digest) != 16 {
		return fmt.Errorf("%w: digest of %d bytes", ErrMalformed, len(f.Digest))
	}
	return nil
}

func sameRevision(a, b *proto.Revision) bool {
	return a.GetTerm() == b.GetTerm() && a.GetNumber() == b.GetNumber() && bytes.Equal(a.GetCluster(), b.GetCluster())
}

// collect adds a chunk to what is pending.
func (s *State) collect(f *proto.Frame) error {
	p := s.pending
	if p == nil || p.snapshot != f.Snapshot || !sameRevision(p.revision, f.Revision) {
		p = &pending{
			revision: f.Revision, snapshot: f.Snapshot,
			put: map[Key]entry{}, del: map[Key]struct{}{}, keep: map[Hash]struct{}{},
		}
		s.pending = p
	}
	const perItem = 128 // bytes that a map entry takes, about
	for _, it := range f.Put {
		p.size += len(it.GetKey()) + len(it.GetValue()) + perItem
	}
	for _, k := range f.Del {
		p.size += len(k.GetKey()) + perItem
	}
	p.size += len(f.Keep) * perItem
	if p.size > s.maxFrame {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, s.maxFrame)
	}
	for _, k := range f.Del {
		key := Key{k.GetKind(), string(k.GetKey())}
		delete(p.put, key)
		p.del[key] = struct{}{}
	}
	for _, it := range f.Put {
		key := Key{it.GetKind(), string(it.GetKey())}
		value := it.GetValue()
		if value == nil {
			value = []byte{}
		}
		delete(p.del, key)
		p.put[key] = entry{value, DigestOf(ItemHash(key.Kind, key.Key, value)), it.GetCritical()}
	}
	for _, h := range f.Keep {
		if len(h) != 16 {
			return fmt.Errorf("%w: body hash of %d bytes in keep", ErrMalformed, len(h))
		}
		p.keep[Hash(h)] = struct{}{}
	}
	return nil
}

// commit makes a complete frame the state, if its digest is right.
func (s *State) commit(p *pending, last *proto.Frame) ([]Change, error) {
	digest := s.digest
	if p.snapshot {
		for h := range p.keep {
			key := Key{proto.Kind_KIND_BODY, string(h[:])}
			if _, sent := p.put[key]; sent {
				continue
			}
			e, ok := s.kept(key, h)
			if !ok {
				s.await = true
				return nil, fmt.Errorf("%w: body %x is to be kept and is not here", ErrDigest, h)
			}
			p.put[key] = e
		}
		for key := range s.items {
			if _, stays := p.put[key]; !stays {
				p.del[key] = struct{}{}
			}
		}
	}
	for key := range p.del {
		digest = digest.Sub(s.items[key].digest)
	}
	for key, e := range p.put {
		digest = digest.Sub(s.items[key].digest).Add(e.digest)
	}
	if want := digest.Bytes(); !bytes.Equal(want[:], last.Digest) {
		s.await = true
		return nil, fmt.Errorf("%w: %x, the frame says %x", ErrDigest, want, last.Digest)
	}
	var delta []Change
	for key := range p.del {
		old, ok := s.items[key]
		if !ok {
			continue
		}
		delete(s.items, key)
		delete(s.refused, key)
		delta = appendKnown(delta, Change{key.Kind, key.Key, old.value, nil})
	}
	for key, e := range p.put {
		old, ok := s.items[key]
		if e.critical && !Known(key.Kind) {
			s.refused[key] = struct{}{}
		} else {
			delete(s.refused, key)
		}
		s.items[key] = e
		if !ok || old.digest != e.digest {
			delta = appendKnown(delta, Change{key.Kind, key.Key, old.value, e.value})
		}
	}
	s.digest, s.revision, s.nbCfg, s.await = digest, p.revision, last.NbCfg, false
	slices.SortFunc(delta, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
	})
	return delta, nil
}

// kept finds a body that a snapshot keeps.
func (s *State) kept(key Key, h Hash) (entry, bool) {
	if e, ok := s.items[key]; ok {
		return e, true
	}
	if s.bodies == nil {
		return entry{}, false
	}
	value, ok := s.bodies(h)
	if !ok {
		return entry{}, false
	}
	return entry{value, DigestOf(ItemHash(key.Kind, key.Key, value)), false}, true
}

func appendKnown(delta []Change, c Change) []Change {
	if !Known(c.Kind) {
		return delta
	}
	return append(delta, c)
}

// Digest is the digest of the whole state.
func (s *State) Digest() [16]byte { return s.digest.Bytes() }

// Revision is that of the last complete frame, or nil before the first one.
func (s *State) Revision() *proto.Revision { return s.revision }

// NbCfg is NB_Global.nb_cfg at the revision.
func (s *State) NbCfg() int64 { return s.nbCfg }

// Len is the number of items.
func (s *State) Len() int { return len(s.items) }

// Get returns the value of an item.
func (s *State) Get(kind proto.Kind, key string) ([]byte, bool) {
	e, ok := s.items[Key{kind, key}]
	return e.value, ok
}

// Items yields the items of a kind, keys with values, in no order.
func (s *State) Items(kind proto.Kind) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for k, e := range s.items {
			if k.Kind == kind && !yield(k.Key, e.value) {
				return
			}
		}
	}
}

// Bodies are the hashes of the bodies of the state, sorted.
func (s *State) Bodies() []Hash {
	var bodies []Hash
	for k := range s.items {
		if k.Kind == proto.Kind_KIND_BODY && len(k.Key) == 16 {
			bodies = append(bodies, Hash([]byte(k.Key)))
		}
	}
	slices.SortFunc(bodies, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	return bodies
}

// Refused are the critical items of an unknown kind in the state, by kind and
// key, as an Ack reports them. The level at the state's revision.
func (s *State) Refused() []*proto.Failure {
	var failures []*proto.Failure
	for k := range s.refused {
		failures = append(failures, &proto.Failure{
			Kind: uint32(k.Kind), Key: []byte(k.Key),
			Error: fmt.Sprintf("critical item of unknown kind %d", k.Kind),
		})
	}
	slices.SortFunc(failures, func(a, b *proto.Failure) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Key, b.Key))
	})
	return failures
}

// Check recomputes the digest and returns an error that names the first item
// whose digest is wrong, or the sum if that is.
func (s *State) Check() error {
	var sum Digest
	for k, e := range s.items {
		if e.digest != DigestOf(ItemHash(k.Kind, k.Key, e.value)) {
			return fmt.Errorf("state: item %v %q has a wrong digest", k.Kind, k.Key)
		}
		sum = sum.Add(e.digest)
	}
	if sum != s.digest {
		return fmt.Errorf("state: digest is %x, the items make %x", s.digest.Bytes(), sum.Bytes())
	}
	return nil
}
