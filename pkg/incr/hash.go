package incr

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Hash is a 128-bit content hash: of a value (for the cut-off), of an input's
// name (a [Cell]) or of a collection's key. It is SHA-256 cut to 16 bytes, so
// it is the same in every process and nobody can construct collisions.
type Hash [16]byte

// Cell is the identity of one input: the hash of table, row and column, or of
// whatever else names it. See [CellOf].
type Cell = Hash

// String prints the hash as hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// CellOf hashes its parts in order. Parts are string, []byte, Hash, [16]byte,
// bool or an integer; every part is framed by kind and length, so that
// CellOf("ab", "c") and CellOf("a", "bc") differ. It allocates nothing while
// the parts stay under some 200 bytes together. Other kinds of part panic:
// they are a programmer's error.
func CellOf(parts ...any) Cell {
	var space [256]byte
	b := space[:0]
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(appendLen(b, 's', len(p)), p...)
		case []byte:
			b = append(appendLen(b, 's', len(p)), p...)
		case Hash:
			b = append(append(b, 'h'), p[:]...)
		case [16]byte:
			b = append(append(b, 'h'), p[:]...)
		case uint64:
			b = appendUint(b, p)
		case int:
			b = appendUint(b, uint64(p))
		case int64:
			b = appendUint(b, uint64(p))
		case uint32:
			b = appendUint(b, uint64(p))
		case uint16:
			b = appendUint(b, uint64(p))
		case uint8:
			b = appendUint(b, uint64(p))
		case bool:
			if p {
				b = append(b, 't')
			} else {
				b = append(b, 'f')
			}
		default:
			panic("incr: CellOf: a part is neither string, bytes, integer, bool nor hash")
		}
	}
	return sum(b)
}

func appendLen(b []byte, kind byte, n int) []byte {
	return binary.AppendUvarint(append(b, kind), uint64(n))
}

func appendUint(b []byte, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 'u'), v)
}

func sum(b []byte) (h Hash) {
	s := sha256.Sum256(b)
	copy(h[:], s[:])
	return h
}

// HashBytes is the hash of a byte string.
func HashBytes(b []byte) Hash { return sum(b) }

// HashString is the hash of a string, for queries whose value is one.
func HashString(s string) Hash {
	var space [128]byte
	return sum(append(space[:0], s...))
}

// HashInt is the hash of an integer. It is injective, hence exact.
func HashInt[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64](v T) (h Hash) {
	binary.BigEndian.PutUint64(h[8:], uint64(v))
	h[0] = 'i'
	return h
}

// HashBool is the hash of a bool.
func HashBool(v bool) (h Hash) {
	h[0] = 'b'
	if v {
		h[1] = 1
	}
	return h
}

// HashText hashes a value through its %#v text: slow, for tests and rare values.
func HashText[V any](v V) Hash { return HashString(fmt.Sprintf("%#v", v)) }

func hashError(err error) Hash { return HashString("error\x00" + err.Error()) }
