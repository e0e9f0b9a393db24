package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"govn/proto"
)

var (
	cluster1 = bytes.Repeat([]byte{1}, 16)
	cluster2 = bytes.Repeat([]byte{2}, 16)
)

func rev(term, number uint64) *proto.Revision {
	return &proto.Revision{Cluster: cluster1, Term: term, Number: number}
}

func put(kind proto.Kind, key, value string) *proto.Item {
	return &proto.Item{Kind: kind, Key: []byte(key), Value: []byte(value)}
}

func del(kind proto.Kind, key string) *proto.ItemKey {
	return &proto.ItemKey{Kind: kind, Key: []byte(key)}
}

// digestOf is written from the text of proto's documentation.
func digestOf(items map[Key]string) []byte {
	var hi, lo uint64
	for k, v := range items {
		h := ItemHash(k.Kind, k.Key, []byte(v))
		for i := range 8 {
			hi += uint64(h[i]) << (56 - 8*i)
			lo += uint64(h[8+i]) << (56 - 8*i)
		}
	}
	var out []byte
	for _, w := range []uint64{hi, lo} {
		for i := range 8 {
			out = append(out, byte(w>>(56-8*i)))
		}
	}
	return out
}

const (
	unit = proto.Kind_KIND_UNIT
	body = proto.Kind_KIND_BODY
)

func items(kv ...string) map[Key]string {
	m := map[Key]string{}
	for i := 0; i < len(kv); i += 2 {
		m[Key{unit, kv[i]}] = kv[i+1]
	}
	return m
}

func mustApply(t *testing.T, s *State, f *proto.Frame) []Change {
	t.Helper()
	delta, complete, err := s.Apply(f)
	if err != nil || !complete {
		t.Fatalf("apply: complete %v, err %v", complete, err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return delta
}

func snapshot(term, number uint64, m map[Key]string) *proto.Frame {
	f := &proto.Frame{Revision: rev(term, number), Snapshot: true, Last: true, Digest: digestOf(m)}
	for k, v := range m {
		f.Put = append(f.Put, put(k.Kind, k.Key, v))
	}
	return f
}

// The digest of an item is a known answer, so that both sides may change only
// together.
func TestItemHashKnownAnswer(t *testing.T) {
	// printf '\x00\x00\x00\x02\x00\x00\x00\x01av' | sha256sum
	got := fmt.Sprintf("%x", ItemHash(unit, "a", []byte("v")))
	if want := "32272e528afe10bbef65259546904862"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if ItemHash(unit, "ab", []byte("c")) == ItemHash(unit, "a", []byte("bc")) {
		t.Error("the border between key and value does not count")
	}
}

func TestChunksApplyTogether(t *testing.T) {
	s := New()
	want := items("a", "1", "b", "2")
	for i, f := range []*proto.Frame{
		{Revision: rev(1, 5), Snapshot: true, Put: []*proto.Item{put(unit, "a", "1")}},
		{Revision: rev(1, 5), Snapshot: true, Put: []*proto.Item{put(unit, "b", "2")}},
	} {
		if delta, complete, err := s.Apply(f); delta != nil || complete || err != nil {
			t.Fatalf("chunk %d: %v %v %v", i, delta, complete, err)
		}
		if s.Len() != 0 || s.Revision() != nil {
			t.Fatal("a chunk changed the state")
		}
	}
	delta := mustApply(t, s, &proto.Frame{Revision: rev(1, 5), Snapshot: true, Last: true, NbCfg: 7, Digest: digestOf(want)})
	if diff := cmp.Diff([]Change{{unit, "a", nil, []byte("1")}, {unit, "b", nil, []byte("2")}}, delta); diff != "" {
		t.Error(diff)
	}
	if s.Revision().Number != 5 || s.NbCfg() != 7 {
		t.Errorf("revision %v, nb_cfg %d", s.Revision(), s.NbCfg())
	}

	delta = mustApply(t, s, &proto.Frame{Revision: rev(1, 6), Last: true, Digest: digestOf(items("b", "3")),
		Put: []*proto.Item{put(unit, "b", "3")}, Del: []*proto.ItemKey{del(unit, "a"), del(unit, "not there")}})
	if diff := cmp.Diff([]Change{{unit, "a", []byte("1"), nil}, {unit, "b", []byte("2"), []byte("3")}}, delta); diff != "" {
		t.Error(diff)
	}
	// A frame of another revision replaces what is pending.
	_, _, _ = s.Apply(&proto.Frame{Revision: rev(1, 7), Put: []*proto.Item{put(unit, "x", "x")}})
	mustApply(t, s, &proto.Frame{Revision: rev(1, 8), Last: true, Digest: digestOf(items("b", "3"))})
	// So does one after Abort.
	_, _, _ = s.Apply(&proto.Frame{Revision: rev(1, 9), Put: []*proto.Item{put(unit, "x", "x")}})
	s.Abort()
	mustApply(t, s, &proto.Frame{Revision: rev(1, 9), Last: true, Digest: digestOf(items("b", "3"))})
}

func TestSnapshotKeepsBodies(t *testing.T) {
	s := New()
	inState, inCache, sent := "state", "cache", "sent"
	key := func(v string) string { h := BodyHash([]byte(v)); return string(h[:]) }
	first := map[Key]string{{body, key(inState)}: inState, {unit, "u"}: "1"}
	mustApply(t, s, snapshot(1, 1, first))
	s.SetBodies(func(h Hash) ([]byte, bool) { return []byte(inCache), string(h[:]) == key(inCache) })

	want := map[Key]string{{body, key(inState)}: inState, {body, key(inCache)}: inCache, {body, key(sent)}: sent}
	f := &proto.Frame{Revision: rev(1, 2), Snapshot: true, Last: true, Digest: digestOf(want),
		Put: []*proto.Item{put(body, key(sent), sent)}, Keep: [][]byte{[]byte(key(inState)), []byte(key(inCache))}}
	delta := mustApply(t, s, f)
	if len(delta) != 3 { // cache and sent come, u goes, state stays
		t.Errorf("delta %v", delta)
	}
	if got := s.Bodies(); len(got) != 3 || !slices.IsSortedFunc(got, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) }) {
		t.Errorf("bodies %x", got)
	}
	// A body that is nowhere costs a snapshot, not the state.
	f = &proto.Frame{Revision: rev(1, 3), Snapshot: true, Last: true, Digest: digestOf(want), Keep: [][]byte{[]byte(key("lost"))}}
	if _, _, err := s.Apply(f); !errors.Is(err, ErrDigest) {
		t.Errorf("err %v", err)
	}
	if s.Digest() != [16]byte(digestOf(want)) {
		t.Error("the state changed")
	}
}

func TestRefusals(t *testing.T) {
	good := items("a", "1")
	tests := []struct {
		name string
		f    *proto.Frame
		want error
	}{
		{"lower term", snapshot(4, 99, good), ErrTerm},
		{"older number", &proto.Frame{Revision: rev(5, 9), Last: true, Digest: digestOf(good)}, ErrStale},
		{"other cluster", &proto.Frame{Revision: &proto.Revision{Cluster: cluster2, Term: 9, Number: 99}, Last: true, Digest: digestOf(good)}, ErrCluster},
		{"digest", &proto.Frame{Revision: rev(5, 11), Last: true, Digest: digestOf(items("a", "2"))}, ErrDigest},
		{"no digest", &proto.Frame{Revision: rev(5, 11), Last: true}, ErrMalformed},
		{"no revision", &proto.Frame{Last: true, Digest: digestOf(good)}, ErrMalformed},
		{"short cluster", &proto.Frame{Revision: &proto.Revision{Cluster: []byte{1}, Term: 5}, Last: true, Digest: digestOf(good)}, ErrMalformed},
		{"keep in a difference", &proto.Frame{Revision: rev(5, 11), Last: true, Digest: digestOf(good), Keep: [][]byte{make([]byte, 16)}}, ErrMalformed},
		{"short keep", &proto.Frame{Revision: rev(5, 11), Snapshot: true, Last: true, Digest: digestOf(good), Keep: [][]byte{{1}}}, ErrMalformed},
		{"too large", &proto.Frame{Revision: rev(5, 11), Put: []*proto.Item{put(unit, "k", string(make([]byte, 1000)))}}, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			s.SetMaxFrame(1000)
			mustApply(t, s, snapshot(5, 10, good))
			delta, complete, err := s.Apply(tt.f)
			if !errors.Is(err, tt.want) || complete || delta != nil {
				t.Errorf("got %v, %v, %v; want %v", delta, complete, err, tt.want)
			}
			if s.Digest() != [16]byte(digestOf(good)) || s.Revision().Number != 10 {
				t.Error("the state changed")
			}
			// What comes next depends on whether northd knows of the error.
			_, _, err = s.Apply(&proto.Frame{Revision: rev(5, 12), Last: true, Digest: digestOf(good)})
			if wait := errors.Is(err, ErrAwaitSnapshot); wait != (tt.want == ErrDigest) {
				t.Errorf("afterwards: %v", err)
			}
			mustApply(t, s, snapshot(5, 12, items("a", "3")))
			mustApply(t, s, &proto.Frame{Revision: rev(5, 13), Last: true, Digest: digestOf(items("a", "3"))})
		})
	}
}

// A term that rises clears nothing, and its numbers may be lower.
func TestHigherTerm(t *testing.T) {
	s := New()
	mustApply(t, s, snapshot(5, 10, items("a", "1")))
	if delta := mustApply(t, s, &proto.Frame{Revision: rev(6, 3), Last: true, Digest: digestOf(items("a", "1"))}); len(delta) != 0 {
		t.Errorf("delta %v", delta)
	}
	other := snapshot(1, 1, items("b", "1"))
	other.Revision.Cluster = cluster2
	if delta := mustApply(t, s, other); len(delta) != 2 {
		t.Errorf("snapshot of another cluster: delta %v", delta)
	}
}

func TestUnknownKinds(t *testing.T) {
	s := New()
	want := map[Key]string{{77, "plain"}: "1", {78, "critical"}: "2"}
	f := snapshot(1, 1, want)
	for _, it := range f.Put {
		it.Critical = it.Kind == 78
	}
	if delta := mustApply(t, s, f); len(delta) != 0 {
		t.Errorf("delta %v", delta)
	}
	refused := s.Refused()
	if len(refused) != 1 || refused[0].Kind != 78 || string(refused[0].Key) != "critical" || refused[0].Error == "" {
		t.Errorf("refused %v", refused)
	}
	mustApply(t, s, &proto.Frame{Revision: rev(1, 2), Last: true, Digest: digestOf(map[Key]string{{77, "plain"}: "1"}),
		Del: []*proto.ItemKey{del(78, "critical")}})
	if refused := s.Refused(); len(refused) != 0 {
		t.Errorf("refused %v after it went", refused)
	}
}

func TestKeys(t *testing.T) {
	if dp, port, ok := ParsePortKey(PortKey(7, 9)); !ok || dp != 7 || port != 9 {
		t.Error(dp, port, ok)
	}
	if dp, ok := ParseDatapathKey(DatapathKey(7)); !ok || dp != 7 {
		t.Error(dp, ok)
	}
	if dp, mac, ok := ParseFdbKey(FdbKey(7, 0x0a0b0c0d0e0f)); !ok || dp != 7 || mac != 0x0a0b0c0d0e0f {
		t.Errorf("%d %x %v", dp, mac, ok)
	}
	for _, ip := range []string{"10.0.0.1", "fd00::1"} {
		peer := netip.MustParseAddr(ip)
		if dp, port, got, ok := ParseBFDKey(BFDKey(7, 9, peer)); !ok || dp != 7 || port != 9 || got != peer {
			t.Errorf("BFD key of %s: %d %d %s %v", ip, dp, port, got, ok)
		}
	}
	for _, ip := range []string{"10.0.0.1", "fd00::1"} {
		for _, fixed := range []bool{false, true} {
			at := netip.MustParseAddr(ip)
			if dp, port, got, f, ok := ParseNeighbourKey(NeighbourKey(7, 9, at, fixed)); !ok || dp != 7 || port != 9 || got != at || f != fixed {
				t.Errorf("neighbour key of %s: %d %d %s %v %v", ip, dp, port, got, f, ok)
			}
		}
	}
	for _, bad := range []string{"1234567", "12345678", "12345678abc", "12345678abcde", "12345678abcdefghijklmnopqr"} {
		if _, _, _, _, ok := ParseNeighbourKey(bad); ok {
			t.Errorf("%q is a neighbour's key", bad)
		}
	}
	if _, _, _, ok := ParseBFDKey("12345678abc"); ok {
		t.Error("an address of three bytes")
	}
	if got := fmt.Sprintf("%x", FdbKey(7, 0x0a0b0c0d0e0f)); got != "000000070a0b0c0d0e0f" {
		t.Error(got)
	}
	if dp, name, ok := ParseHAUserKey(HAUserKey(7, "hv1")); !ok || dp != 7 || name != "hv1" {
		t.Error(dp, name, ok)
	}
	if _, _, ok := ParseHAUserKey("1234"); ok {
		t.Error("HA_USER key without a chassis")
	}
	if _, _, ok := ParsePortKey("short"); ok {
		t.Error("short port key")
	}
}

// Whatever the chunk size, a chunked frame makes the same state, and no chunk
// exceeds the limit unless one item does.
func TestChunkerAndExport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.StringN(0, 20, 40), rapid.StringN(0, 60, 200)).Draw(t, "items")
		limit := rapid.IntRange(200, 2000).Draw(t, "limit")
		m := map[Key]string{}
		var sum Digest
		for k, v := range want {
			m[Key{unit, k}] = v
			sum = sum.Add(DigestOf(ItemHash(unit, k, []byte(v))))
		}
		s := New()
		done := false
		c := NewChunker(rev(1, 1), true, limit, func(f *proto.Frame) error {
			if n := pb.Size(f); n > limit && len(f.Put) > 1 {
				t.Fatalf("chunk of %d bytes, limit %d", n, limit)
			}
			_, complete, err := s.Apply(f)
			done = complete
			return err
		})
		for k, v := range want {
			c.Put(put(unit, k, v))
		}
		if err := c.Last(sum, 3); err != nil || !done {
			t.Fatalf("done %v, err %v", done, err)
		}
		copied := New()
		for f := range s.Export() {
			if _, _, err := copied.Apply(f); err != nil {
				t.Fatal(err)
			}
		}
		if copied.Digest() != s.Digest() || copied.Digest() != [16]byte(digestOf(m)) || copied.NbCfg() != 3 {
			t.Fatal("the copy differs")
		}
		got := maps.Collect(copied.Items(unit))
		for k, v := range want {
			if string(got[k]) != v {
				t.Fatalf("item %q is %q", k, got[k])
			}
		}
	})
}

// No frame, nor any sequence of frames, breaks a state.
func FuzzApply(f *testing.F) {
	add := func(frames ...*proto.Frame) {
		var all []byte
		for _, fr := range frames {
			b, err := pb.Marshal(fr)
			if err != nil {
				f.Fatal(err)
			}
			all = append(append(all, byte(len(b)>>8), byte(len(b))), b...)
		}
		f.Add(all)
	}
	add(snapshot(1, 1, items("a", "1")), &proto.Frame{Revision: rev(1, 2), Last: true, Digest: digestOf(nil), Del: []*proto.ItemKey{del(unit, "a")}})
	add(&proto.Frame{Revision: rev(1, 1), Snapshot: true, Keep: [][]byte{make([]byte, 16)}}, snapshot(1, 1, nil))
	add(&proto.Frame{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New()
		s.SetMaxFrame(1 << 20)
		for len(data) >= 2 {
			n := min(int(data[0])<<8|int(data[1]), len(data)-2)
			var fr proto.Frame
			if pb.Unmarshal(data[2:2+n], &fr) == nil {
				before := s.Digest()
				delta, complete, err := s.Apply(&fr)
				if (err != nil || !complete) && (delta != nil || s.Digest() != before) {
					t.Fatalf("an incomplete frame changed the state: %v", err)
				}
				if complete && !bytes.Equal(fr.Digest, func() []byte { d := s.Digest(); return d[:] }()) {
					t.Fatal("a frame of another digest was applied")
				}
				if err := s.Check(); err != nil {
					t.Fatal(err)
				}
			}
			data = data[2+n:]
		}
		s.Refused()
		s.Bodies()
	})
}
