package ovsdb

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// UUID is the 128-bit identity of a row (RFC 4122).
type UUID [16]byte

// NewUUID returns a random UUID of version 4.
func NewUUID() UUID {
	var u UUID
	rand.Read(u[:])
	return u.asV4()
}

// asV4 sets the version and variant bits.
func (u UUID) asV4() UUID {
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// ParseUUID reads the 36 character form with dashes, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		var digits [32]byte
		copy(digits[0:], s[0:8])
		copy(digits[8:], s[9:13])
		copy(digits[12:], s[14:18])
		copy(digits[16:], s[19:23])
		copy(digits[20:], s[24:36])
		if _, err := hex.Decode(u[:], digits[:]); err == nil {
			return u, nil
		}
	}
	return UUID{}, fmt.Errorf("ovsdb: %q is not a valid UUID", s)
}

// String is the 36 character form in lower case.
func (u UUID) String() string {
	var b [36]byte
	return string(u.append(b[:0]))
}

func (u UUID) append(b []byte) []byte {
	b = hex.AppendEncode(b, u[0:4])
	for i := 4; i < 10; i += 2 {
		b = hex.AppendEncode(append(b, '-'), u[i:i+2])
	}
	return hex.AppendEncode(append(b, '-'), u[10:16])
}

// IsZero tells whether u is all zeros, which names no row.
func (u UUID) IsZero() bool { return u == UUID{} }

// Compare orders UUIDs by their bytes.
func (u UUID) Compare(v UUID) int {
	a, b := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(v[:8])
	if a == b {
		a, b = binary.BigEndian.Uint64(u[8:]), binary.BigEndian.Uint64(v[8:])
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// MarshalText makes UUIDs readable in JSON and logs.
func (u UUID) MarshalText() ([]byte, error) { return u.append(nil), nil }
