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

// probeStep is what is asked at a time after the start.
type probeStep struct {
	after time.Duration
	want  asking
}

func probeAll(t *testing.T, w *watch, start time.Time, steps ...probeStep) {
	t.Helper()
	for _, s := range steps {
		if got := w.probe(start.Add(s.after), 10*time.Second); got != s.want {
			t.Errorf("after %v: asks %d, want %d", s.after, got, s.want)
		}
	}
}

// TestProbe: a neighbour that is heard here, sent to and silent is asked alone,
// then for, and given up until it is heard again.
func TestProbe(t *testing.T) {
	start := time.Unix(1000, 0)
	w := &watch{heard: start, hears: true}
	probeAll(t, w, start, probeStep{time.Minute, askNobody}) // nobody sends to it
	w.sentTo = true
	probeAll(t, w, start, probeStep{9 * time.Second, askNobody}, probeStep{10 * time.Second, askIt}, probeStep{10*time.Second + seenFastest, askNobody},
		probeStep{11 * time.Second, askAll}, probeStep{12 * time.Second, askAll}, probeStep{13 * time.Second, askNobody})
	if w.asked != 0 || w.sentTo || w.hears {
		t.Errorf("not given up: %+v", w)
	}
	w.speaks(start)
	if !w.unasked {
		t.Error("it spoke by itself")
	}
}

// TestProbeForOthers: a neighbour that others ask, by what it answers here, is asked
// when it falls silent; once it has answered this chassis alone, nobody uses it.
func TestProbeForOthers(t *testing.T) {
	start := time.Unix(1000, 0)
	w := &watch{}
	w.speaks(start)
	probeAll(t, w, start, probeStep{14 * time.Second, askNobody}, probeStep{15 * time.Second, askIt}, probeStep{16 * time.Second, askAll})
	w.speaks(start.Add(16 * time.Second))
	if w.unasked {
		t.Error("it was asked")
	}
	probeAll(t, w, start, probeStep{time.Hour, askNobody})
}

// TestProbeDeaf: a chassis that a neighbour's answers do not come to asks it alone,
// once a silence in which it sent something, and everybody only a few times.
func TestProbeDeaf(t *testing.T) {
	start := time.Unix(1000, 0)
	w := &watch{heard: start}
	all := 0
	for i := range 100 {
		now := start.Add(time.Duration(i+1) * 10 * time.Second)
		if got := w.probe(now, 10*time.Second); got != askNobody {
			t.Errorf("silence %d: asks %d although nothing was sent", i, got)
		}
		w.sentTo = true
		switch w.probe(now, 10*time.Second) {
		case askNobody:
			t.Errorf("silence %d: nobody is asked", i)
		case askAll:
			all++
		}
		w.sentTo = true
		if got := w.probe(now.Add(9*time.Second), 10*time.Second); got != askNobody {
			t.Errorf("silence %d: asks %d twice", i, got)
		}
		w.sentTo = false
	}
	if all != deafTries {
		t.Errorf("everybody was asked %d times, want %d", all, deafTries)
	}
}
