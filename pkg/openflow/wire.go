package openflow

import "encoding/binary"

// reader takes values off the front of a message. Its first error sticks: what
// is read after it is zero, so that a decoder reads linearly and checks once.
type reader struct {
	b    []byte
	what string // names the structure in errors
	err  error

	version uint8 // of the message's header
}

func (r *reader) take(n int) []byte {
	if r.err == nil && (n < 0 || len(r.b) < n) {
		r.err = malformed("%s: needs %d bytes more, has %d", r.what, n, len(r.b))
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) skip(n int) { r.take(n) }

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return be16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return be32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return be64(b)
	}
	return 0
}

// field reads an OXM header that must be of a known field.
func (r *reader) field() *Field {
	h := r.u32()
	if r.err != nil {
		return nil
	}
	f := FieldByHeader(h)
	if f == nil {
		r.fail("unknown field %#08x", h)
	}
	return f
}

// subfield checks that n bits at offset are inside f.
func (r *reader) subfield(f *Field, offset, n int) Subfield {
	if r.err == nil && (f == nil || n < 1 || offset+n > f.Bits) {
		r.fail("bits [%d..%d] are outside the field", offset, offset+n-1)
	}
	return Subfield{Field: f, Offset: offset, Bits: n}
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(r.what+": "+format, args...)
	}
}

func put16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func put32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func put64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

var zeros [64]byte

func putZeros(b []byte, n int) []byte { return append(b, zeros[:n]...) }

// pad8 appends zeros until the bytes since start are a multiple of eight.
func pad8(b []byte, start int) []byte { return putZeros(b, -(len(b)-start)&7) }

// pad8len is n rounded up to a multiple of eight.
func pad8len(n int) int { return (n + 7) &^ 7 }

// setLen writes the bytes since start into the 16-bit length at start+offset.
func setLen(b []byte, start, offset int) []byte {
	binary.BigEndian.PutUint16(b[start+offset:], uint16(len(b)-start))
	return b
}

// eachTLV calls fn for every {type, length, value} property in b; length
// counts the header, and properties are padded to eight bytes.
func eachTLV(what string, b []byte, fn func(typ uint16, body []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return malformed("%s: %d bytes of a property header", what, len(b))
		}
		typ, n := be16(b), int(be16(b[2:]))
		if n < 4 || n > len(b) {
			return malformed("%s: property %d has length %d of %d", what, typ, n, len(b))
		}
		if err := fn(typ, b[4:n:n]); err != nil {
			return err
		}
		b = b[min(pad8len(n), len(b)):]
	}
	return nil
}
