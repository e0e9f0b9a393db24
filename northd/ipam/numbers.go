package ipam

import "math/bits"

// numbers is a set of 32-bit numbers that finds the next one that is missing
// in a few steps, however many there are. It keeps words of 64 bits at six
// levels: a bit of level k stands for 64^k numbers, and says that all of them are
// there.
//
//	level 1   ... 0 1 0 ...
//	              | +--- word 1 of level 0 is full (and may not be stored)
//	level 0   [0110...] [1111...] [0000...]
//
// The zero value is empty.
type numbers [6]map[uint32]uint64

func (s *numbers) has(x uint32) bool {
	for k := range s {
		if s[k][x>>shift(k+1)]&bit(x>>shift(k)) != 0 {
			return true
		}
	}
	return false
}

// add puts x in.
func (s *numbers) add(x uint32) { s.set(0, x) }

// set marks unit u of level k, and those above that it makes full.
func (s *numbers) set(k int, u uint32) {
	for ; k < len(s); k++ {
		if s[k] == nil {
			s[k] = make(map[uint32]uint64)
		}
		w := s[k][u>>6] | bit(u)
		s[k][u>>6] = w
		if w != ^uint64(0) {
			return
		}
		u >>= 6
	}
}

// addRange puts all numbers from low to high in. None of them can be removed
// again.
func (s *numbers) addRange(low, high uint32) {
	for k := 0; low <= high; k++ {
		for ; low <= high && low&63 != 0 || k == len(s)-1 && low <= high; low++ {
			s.set(k, low)
			if low == high {
				return
			}
		}
		for ; low <= high && high&63 != 63; high-- {
			s.set(k, high)
			if low == high {
				return
			}
		}
		low, high = low>>6, high>>6
	}
}

// remove takes x out, which add put in.
func (s *numbers) remove(x uint32) {
	for k := range s {
		i := x >> shift(k+1)
		w, full := s[k][i], s[k][i] == ^uint64(0)
		if w &^= bit(x >> shift(k)); w == 0 {
			delete(s[k], i)
		} else {
			s[k][i] = w
		}
		if !full {
			return
		}
	}
}

// next is the lowest number from x on that is not there.
func (s *numbers) next(x uint32) (uint32, bool) {
	for k := len(s) - 1; k >= 0; {
		unit := x >> shift(k)
		w := s[k][unit>>6]
		if w&bit(unit) == 0 {
			k-- // what is below is not full
			continue
		}
		step := uint64(bits.TrailingZeros64(^w >> (unit & 63))) // 64: no gap in the rest of the word
		if step == 64 {
			step = 64 - uint64(unit&63)
		}
		to := (uint64(unit) + step) << shift(k)
		if to >= 1<<32 {
			return 0, false
		}
		x, k = uint32(to), len(s)-1
	}
	return x, true
}

func shift(k int) int { return 6 * k }

func bit(u uint32) uint64 { return 1 << (u & 63) }
