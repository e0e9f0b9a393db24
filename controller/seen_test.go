package controller

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	gp "govn/proto"
)

// TestMergeNeighbours: of two reports the last word counts.
func TestMergeNeighbours(t *testing.T) {
	n := func(ip byte, mac uint64) *gp.Neighbour {
		return &gp.Neighbour{Datapath: 3, Port: 2, Ip: []byte{20, 0, 0, ip}, Mac: mac}
	}
	got := mergeReports(&gp.Report{NeighboursPut: []*gp.Neighbour{n(1, 1), n(2, 1)}, NeighboursSeen: []*gp.Neighbour{n(3, 1)}, FdbSeen: []*gp.FdbEntry{{Datapath: 1, Mac: 5, Port: 1}}},
		&gp.Report{NeighboursPut: []*gp.Neighbour{n(1, 2)}, NeighboursGone: []*gp.Neighbour{n(2, 1)}, NeighboursSeen: []*gp.Neighbour{n(3, 1)}, FdbSeen: []*gp.FdbEntry{{Datapath: 1, Mac: 5, Port: 2}}})
	want := &gp.Report{NeighboursPut: []*gp.Neighbour{n(1, 2)}, NeighboursGone: []*gp.Neighbour{n(2, 1)}, NeighboursSeen: []*gp.Neighbour{n(3, 1)}, FdbSeen: []*gp.FdbEntry{{Datapath: 1, Mac: 5, Port: 2}}}
	if !proto.Equal(got, want) {
		t.Errorf("merged %v, want %v", got, want)
	}
}

// TestGrew: counters that start anew do not count as use by themselves.
func TestGrew(t *testing.T) {
	var last uint64
	for i, tt := range []struct {
		now  uint64
		want bool
	}{{0, false}, {5, true}, {5, false}, {2, true}, {0, false}, {0, false}, {1, true}} {
		if got := grew(&last, tt.now); got != tt.want {
			t.Errorf("step %d, %d packets: %v", i, tt.now, got)
		}
	}
}

// TestProbe: a neighbour that is sent to and silent is asked alone, then for,
// and given up until it is used again.
func TestProbe(t *testing.T) {
	const silence = 10 * time.Second
	start := time.Unix(1000, 0)
	w := &watch{heard: start}
	ask := func(after time.Duration, want bool) {
		t.Helper()
		now := start.Add(after)
		got := w.probe(now, silence)
		if got {
			w.asked++
			w.askedAt = now
		}
		if got != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	ask(time.Minute, false) // nobody sends to it
	w.sentTo = true
	ask(9*time.Second, false)
	ask(10*time.Second, true)
	ask(10*time.Second+seenFastest, false)
	ask(11*time.Second, true)
	ask(12*time.Second, true)
	ask(13*time.Second, false) // given up
	if w.asked != 0 || w.sentTo {
		t.Errorf("%+v", w)
	}
	w.sentTo = true
	ask(14*time.Second, false)
	ask(23*time.Second, true)
}
