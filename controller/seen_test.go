package controller

import (
	"testing"

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
