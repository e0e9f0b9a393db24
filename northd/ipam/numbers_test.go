package ipam

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The set does what a plain map does.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		var s numbers
		base := []uint32{0, 100, 64*64 - 200, 1<<30 - 300, math.MaxUint32 - 9000}[r.IntN(5)]
		fixed, plain := map[uint32]bool{}, map[uint32]bool{}
		for range r.IntN(3) {
			low := base + r.Uint32N(9000)
			high := low + r.Uint32N(5000)
			if high < low {
				high = math.MaxUint32
			}
			s.addRange(low, high)
			for x := uint64(low); x <= uint64(high); x++ {
				fixed[uint32(x)] = true
			}
		}
		for range 3000 {
			x := base + r.Uint32N(9000)
			if r.IntN(10) > 0 { // clusters make words full
				x = base + r.Uint32N(256)
			}
			switch {
			case fixed[x]:
			case r.IntN(3) == 0:
				if plain[x] {
					s.remove(x)
					delete(plain, x)
				}
			default:
				s.add(x)
				plain[x] = true
			}
			from := base + r.Uint32N(9000)
			if s.has(from) != (fixed[from] || plain[from]) {
				t.Fatalf("has %d: %v", from, s.has(from))
			}
			want, there := uint64(from), true
			for fixed[uint32(want)] || plain[uint32(want)] {
				if want++; want == 1<<32 {
					there = false
					break
				}
			}
			if got, ok := s.next(from); ok != there || ok && uint64(got) != want {
				t.Fatalf("next of %d: %d %v, want %d %v", from, got, ok, want, there)
			}
		}
		for x := range plain {
			s.remove(x)
		}
		for x := range plain {
			if s.has(x) {
				t.Fatalf("%d is still there", x)
			}
		}
	}
}

// Ranges of any size take a bounded number of words.
func TestNumbersRange(t *testing.T) {
	for _, r := range [][2]uint32{{0, math.MaxUint32}, {1, math.MaxUint32}, {0, math.MaxUint32 - 1}, {5, 5}, {63, 64}, {1, 1 << 31}, {1000, 3000000000}} {
		var s numbers
		s.addRange(r[0], r[1])
		words := 0
		for k := range s {
			words += len(s[k])
		}
		if words > 20 {
			t.Errorf("%v takes %d words", r, words)
		}
		for _, x := range []uint32{r[0], r[1], r[0]/2 + r[1]/2, r[0] + 1, r[1] - 1} {
			if want := x >= r[0] && x <= r[1]; s.has(x) != want {
				t.Errorf("%v has %d: %v", r, x, !want)
			}
		}
		if r[0] > 0 && s.has(r[0]-1) || r[1] < math.MaxUint32 && s.has(r[1]+1) {
			t.Errorf("%v: more than that is there", r)
		}
		got, ok := s.next(r[0])
		if want := r[1] + 1; ok != (want != 0) || ok && got != want {
			t.Errorf("%v: next is %d %v", r, got, ok)
		}
	}
}
