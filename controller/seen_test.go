package controller

import (
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	gp "govn/proto"
)

// TestAges reads thresholds in both forms of mac_binding_age_threshold.
func TestAges(t *testing.T) {
	for _, tt := range []struct {
		text, ip string
		want     time.Duration
		shortest time.Duration
	}{
		{"", "10.0.0.1", 0, 0},
		{"0", "10.0.0.1", 0, 0},
		{"60", "10.0.0.1", time.Minute, time.Minute},
		{"60", "fd00::1", time.Minute, time.Minute},
		{"192.168.0.0/16:300;192.168.10.0/24:0;fd00::/8:20;60", "192.168.1.1", 5 * time.Minute, 20 * time.Second},
		{"192.168.0.0/16:300;192.168.10.0/24:0;fd00::/8:20;60", "192.168.10.1", 0, 20 * time.Second},
		{"192.168.0.0/16:300;192.168.10.0/24:0;fd00::/8:20;60", "fd00::1", 20 * time.Second, 20 * time.Second},
		{"192.168.0.0/16:300;192.168.10.0/24:0;fd00::/8:20;60", "2001:db8::1", time.Minute, 20 * time.Second},
		{"192.168.0.0/16:300", "10.0.0.1", 0, 5 * time.Minute},
		{"x;10.0.0.0/8:y;10.0.0.0/99:5;10.0.0.0/8:7", "10.0.0.1", 7 * time.Second, 7 * time.Second},
	} {
		a := parseAges(tt.text)
		if got := a.of(netip.MustParseAddr(tt.ip)); got != tt.want || a.shortest() != tt.shortest {
			t.Errorf("%q, %s: %v, least %v; want %v, %v", tt.text, tt.ip, got, a.shortest(), tt.want, tt.shortest)
		}
	}
}

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
