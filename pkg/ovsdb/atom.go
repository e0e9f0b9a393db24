package ovsdb

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"govn/pkg/treap"
)

// Atom is a scalar value: exactly one of int64, float64, bool, string, UUID.
type Atom = any

// compareAtoms orders atoms of one type; atoms of different types are ordered
// by type, which happens in no valid set.
func compareAtoms(a, b Atom) int {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y)
		}
	case UUID:
		if y, ok := b.(UUID); ok {
			return x.Compare(y)
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case bool:
		if y, ok := b.(bool); ok {
			switch {
			case x == y:
				return 0
			case y:
				return -1
			default:
				return 1
			}
		}
	}
	return cmp.Compare(typeOfAtom(a), typeOfAtom(b))
}

func typeOfAtom(a Atom) AtomicType {
	switch a.(type) {
	case int64:
		return TypeInteger
	case float64:
		return TypeReal
	case bool:
		return TypeBoolean
	case string:
		return TypeString
	case UUID:
		return TypeUUID
	}
	panic(fmt.Sprintf("ovsdb: %T is not an atom", a))
}

// appendAtomBytes appends an encoding that is unique among sequences of atoms.
// It is input to hashes, so it must never change.
func appendAtomBytes(b []byte, a Atom) []byte {
	switch x := a.(type) {
	case int64:
		return binary.BigEndian.AppendUint64(append(b, byte(TypeInteger)), uint64(x))
	case float64:
		return binary.BigEndian.AppendUint64(append(b, byte(TypeReal)), math.Float64bits(x))
	case bool:
		if x {
			return append(b, byte(TypeBoolean), 1)
		}
		return append(b, byte(TypeBoolean), 0)
	case string:
		b = binary.BigEndian.AppendUint32(append(b, byte(TypeString)), uint32(len(x)))
		return append(b, x...)
	case UUID:
		return append(append(b, byte(TypeUUID)), x[:]...)
	}
	panic(fmt.Sprintf("ovsdb: %T is not an atom", a))
}

func mix64(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func uuidPriority(u UUID) uint64 {
	return mix64(binary.BigEndian.Uint64(u[:8]) ^ mix64(binary.BigEndian.Uint64(u[8:])))
}

func atomPriority(a Atom) uint64 {
	switch x := a.(type) {
	case UUID:
		return uuidPriority(x)
	case string:
		h := uint64(14695981039346656037)
		for i := 0; i < len(x); i++ {
			h = (h ^ uint64(x[i])) * 1099511628211
		}
		return mix64(h)
	case int64:
		return mix64(uint64(x) + 0x9e3779b97f4a7c15)
	case float64:
		return mix64(math.Float64bits(x) + 0x9e3779b97f4a7c15)
	case bool:
		if x {
			return mix64(2)
		}
		return mix64(1)
	}
	panic(fmt.Sprintf("ovsdb: %T is not an atom", a))
}

func sumOf(b []byte) treap.Sum {
	h := sha256.Sum256(b)
	return treap.Sum{binary.BigEndian.Uint64(h[0:8]), binary.BigEndian.Uint64(h[8:16])}
}

func hashOf(b []byte) [16]byte {
	h := sha256.Sum256(b)
	return [16]byte(h[:16])
}

func sumBytes(s treap.Sum) (h [16]byte) {
	binary.BigEndian.PutUint64(h[0:8], s[0])
	binary.BigEndian.PutUint64(h[8:16], s[1])
	return h
}
