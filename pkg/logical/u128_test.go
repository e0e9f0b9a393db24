package logical

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// Rule: U128 counts as math/big does, modulo 1<<128.
func TestU128(t *testing.T) {
	toBig := func(a U128) *big.Int {
		b := a.Bytes()
		return new(big.Int).SetBytes(b[:])
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, ^uint64(0), 1 << 63}))
	rapid.Check(t, func(t *rapid.T) {
		a := U128{word.Draw(t, "hi"), word.Draw(t, "lo")}
		b := U128{word.Draw(t, "hi"), word.Draw(t, "lo")}
		n := rapid.IntRange(0, 130).Draw(t, "n")
		x, y := toBig(a), toBig(b)
		for _, row := range []struct {
			name string
			got  U128
			want *big.Int
		}{
			{"add", a.Add(b), new(big.Int).Add(x, y)},
			{"sub", a.Sub(b), new(big.Int).Sub(x, y)},
			{"and", a.And(b), new(big.Int).And(x, y)},
			{"or", a.Or(b), new(big.Int).Or(x, y)},
			{"xor", a.Xor(b), new(big.Int).Xor(x, y)},
			{"not", a.Not(), new(big.Int).Not(x)},
			{"shl", a.Shl(n), new(big.Int).Lsh(x, uint(n))},
			{"shr", a.Shr(n), new(big.Int).Rsh(x, uint(n))},
			{"ones", Ones(n), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(n)), big.NewInt(1))},
		} {
			if want := row.want.Mod(row.want, modulus); toBig(row.got).Cmp(want) != 0 {
				t.Fatalf("%s of %v, %v, %d: %v, want %v", row.name, x, y, n, toBig(row.got), want)
			}
		}
		if a.Cmp(b) != x.Cmp(y) || a.Len() != x.BitLen() || a.IsZero() != (x.Sign() == 0) || FromBytes(a.Bytes()) != a {
			t.Fatalf("%v and %v: Cmp %d, Len %d", x, y, a.Cmp(b), a.Len())
		}
		if n < 128 && a.Bit(n) != (x.Bit(n) == 1) {
			t.Fatalf("bit %d of %v", n, x)
		}
	})
}
