package punt

import (
	"testing"
	"time"

	"govn/pkg/abi"
)

// TestLimiter: a flood is cut to the rate of its source, and takes nothing from
// the share of another one.
func TestLimiter(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLimiter(func() time.Time { return now })
	flood := func(s source, n int) (taken int) {
		for range n {
			if l.admit(s) {
				taken++
			}
		}
		return taken
	}
	loud, quiet, cause := source{1, 1, 3}, source{1, 2, 3}, source{1, 1, 4}
	if got := flood(loud, 5000); got != ShareBurst+SourceBurst {
		t.Errorf("%d of a flood taken at once, want %d", got, ShareBurst+SourceBurst)
	}
	flood(source{2, 1, 3}, 5000)
	flood(source{3, 1, 3}, 5000) // the pool is empty
	for _, s := range []source{quiet, cause} {
		if got := flood(s, ShareBurst); got != ShareBurst {
			t.Errorf("%v gets %d of %d during a flood", s, got, ShareBurst)
		}
	}
	taken := 0
	for range 1000 { // ten seconds of it, 1,000 packets a second
		now = now.Add(10 * time.Millisecond)
		taken += flood(loud, 10)
		if got := flood(quiet, 0); got != 0 {
			t.Fatal(got)
		}
	}
	if want := 10 * (ShareRate + SourceRate); taken < want*95/100 || taken > want*105/100 {
		t.Errorf("%d of a flood taken in ten seconds, want %d", taken, want)
	}
}

// TestLimiterBFD: forty neighbours that send ten packets a second are heard
// whatever others send.
func TestLimiterBFD(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLimiter(func() time.Time { return now })
	for range 600 { // a minute
		now = now.Add(100 * time.Millisecond)
		for i := range 500 {
			l.admit(source{2, uint32(i % 5), 3})
		}
		for i := range 40 {
			if !l.admit(source{1, 1, abi.PuntBFD}) {
				t.Fatalf("neighbour %d is not heard", i)
			}
		}
	}
}

// TestLimiterBound: many sources do not make it grow, and those that fell silent
// are forgotten.
func TestLimiterBound(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLimiter(func() time.Time { return now })
	taken := 0
	for i := range 4 * MaxSources {
		if l.admit(source{uint64(i), 1, 3}) {
			taken++
		}
	}
	if len(l.sources) != MaxSources || taken != MaxSources+PoolBurst {
		t.Errorf("%d sources, %d packets taken", len(l.sources), taken)
	}
	now = now.Add(time.Minute)
	if l.admit(source{1 << 30, 1, 3}); len(l.sources) != 1 {
		t.Errorf("%d sources after a minute of silence", len(l.sources))
	}
}

// TestCountersOfLimited: what is limited is counted under its opcode.
func TestCountersOfLimited(t *testing.T) {
	now := time.Unix(1000, 0)
	d := New(func() time.Time { return now })
	d.Register(abi.PuntPutFDB, learner(map[MAC]uint32{}).Handle)
	p := &Packet{Userdata: []byte{0, abi.PuntPutFDB}, Data: frame(0x500000000001), Datapath: 1, Inport: 1}
	for range 1000 {
		give(d, p)
	}
	d.Overflow(p)
	want := Counters{Taken: ShareBurst + SourceBurst, Limited: 1000 - ShareBurst - SourceBurst, Full: 1}
	if got := d.Counters()[abi.PuntPutFDB]; got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
}
