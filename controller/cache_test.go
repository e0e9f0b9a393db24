package controller

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govn/proto"
	"govn/proto/state"
)

func someState(t testing.TB) *state.State {
	t.Helper()
	st := state.New()
	var digest state.Digest
	frame := &proto.Frame{Revision: &proto.Revision{Cluster: bytes.Repeat([]byte{1}, 16), Term: 1, Number: 7}, Snapshot: true, Last: true, NbCfg: 3}
	for _, name := range []string{"hv2", "hv3"} {
		value := []byte(strings.Repeat(name, 10))
		frame.Put = append(frame.Put, &proto.Item{Kind: proto.Kind_KIND_CHASSIS, Key: []byte(name), Value: value})
		digest = digest.Add(state.DigestOf(state.ItemHash(proto.Kind_KIND_CHASSIS, name, value)))
	}
	sum := digest.Bytes()
	frame.Digest = sum[:]
	if _, ok, err := st.Apply(frame); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return st
}

func TestCache(t *testing.T) {
	c := newCache(filepath.Join(t.TempDir(), "new"), "../hv1")
	if st, _, err := c.load(); st != nil || err != nil {
		t.Errorf("load without a file: %v, %v", st, err)
	}
	want := someState(t)
	if err := c.store(contentsOf(want)); err != nil {
		t.Fatal(err)
	}
	got, delta, err := c.load()
	if err != nil || got.Digest() != want.Digest() || got.NbCfg() != 3 || got.Revision().Number != 7 || len(delta) != 2 {
		t.Errorf("loaded %+v with %d changes, %v", got, len(delta), err)
	}
	data, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range data { // torn anywhere, it is refused
		if err := os.WriteFile(c.path, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.load(); !errors.Is(err, errCache) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(data), err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(c.path), "*"))
	if len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func FuzzReadState(f *testing.F) {
	var b bytes.Buffer
	if err := contentsOf(someState(f)).write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(cacheMagic + "\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if st, _, err := readState(bytes.NewReader(data)); err == nil {
			if err := st.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSaveDelay(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: 5 * time.Second, 20 * time.Millisecond: 5 * time.Second, 200 * time.Millisecond: 20 * time.Second, 3 * time.Second: time.Minute,
	} {
		if got := saveDelay(took); got != want {
			t.Errorf("after %v: %v, want %v", took, got, want)
		}
	}
}
