package logical

import (
	"encoding/binary"
	"math/bits"
)

// U128 is an unsigned integer of 128 bits, as wide as the widest field.
type U128 struct{ Hi, Lo uint64 }

// U64 widens n.
func U64(n uint64) U128 { return U128{Lo: n} }

// FromBytes reads a big endian number.
func FromBytes(b [16]byte) U128 {
	return U128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Bytes is the number in big endian order.
func (a U128) Bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return b
}

// IsZero reports a == 0.
func (a U128) IsZero() bool { return a.Hi|a.Lo == 0 }

// And is the bitwise a & b.
func (a U128) And(b U128) U128 { return U128{a.Hi & b.Hi, a.Lo & b.Lo} }

// Or is the bitwise a | b.
func (a U128) Or(b U128) U128 { return U128{a.Hi | b.Hi, a.Lo | b.Lo} }

// Xor is the bitwise a ^ b.
func (a U128) Xor(b U128) U128 { return U128{a.Hi ^ b.Hi, a.Lo ^ b.Lo} }

// Not is the bitwise complement.
func (a U128) Not() U128 { return U128{^a.Hi, ^a.Lo} }

// Shl shifts left; n of 128 or more gives zero.
func (a U128) Shl(n int) U128 {
	switch {
	case n <= 0:
		return a
	case n >= 128:
		return U128{}
	case n >= 64:
		return U128{Hi: a.Lo << (n - 64)}
	}
	return U128{a.Hi<<n | a.Lo>>(64-n), a.Lo << n}
}

// Shr shifts right; n of 128 or more gives zero.
func (a U128) Shr(n int) U128 {
	switch {
	case n <= 0:
		return a
	case n >= 128:
		return U128{}
	case n >= 64:
		return U128{Lo: a.Hi >> (n - 64)}
	}
	return U128{a.Hi >> n, a.Lo>>n | a.Hi<<(64-n)}
}

// Cmp is -1, 0 or 1 as a is less than, equal to or greater than b.
func (a U128) Cmp(b U128) int {
	switch {
	case a == b:
		return 0
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	}
	return 1
}

// Len is the number of bits needed to write a: 0 for zero.
func (a U128) Len() int {
	if a.Hi != 0 {
		return 64 + bits.Len64(a.Hi)
	}
	return bits.Len64(a.Lo)
}

// Bit is bit i, counted from the least significant one.
func (a U128) Bit(i int) bool { return a.Shr(i).Lo&1 == 1 }

// Ones is the number whose lower n bits are one.
func Ones(n int) U128 { return U64(1).Shl(n).Sub(U64(1)) }

// Add is a + b modulo 1<<128.
func (a U128) Add(b U128) U128 {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(a.Hi, b.Hi, carry)
	return U128{hi, lo}
}

// Sub is a - b modulo 1<<128.
func (a U128) Sub(b U128) U128 {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, _ := bits.Sub64(a.Hi, b.Hi, borrow)
	return U128{hi, lo}
}
