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
func Ones(n int) U128 {
	if n >= 128 {
		return U128{^uint64(0), ^uint64(0)}
	}
	one := U64(1).Shl(n)
	lo, borrow := bits.Sub64(one.Lo, 1, 0)
	return U128{one.Hi - borrow, lo}
}

// mulAdd is a*m + d; ok is false if that does not fit.
func (a U128) mulAdd(m, d uint64) (_ U128, ok bool) {
	c1, lo := bits.Mul64(a.Lo, m)
	over, hi := bits.Mul64(a.Hi, m)
	hi, carry := bits.Add64(hi, c1, 0)
	if over != 0 || carry != 0 {
		return U128{}, false
	}
	lo, carry = bits.Add64(lo, d, 0)
	hi, carry = bits.Add64(hi, 0, carry)
	return U128{hi, lo}, carry == 0
}
