package logical

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// Term is a test of one root field: its bits under Mask equal those of Value.
// A string field equals Str. For is_chassis_resident, Str is the port and
// Value 1 or 0 the answer.
type Term struct {
	Field       *Field
	Value, Mask [16]byte // big endian, right aligned; no bit of Value is outside of Mask
	Str         string

	// except are values that a nominal field does not have, sorted; then Mask
	// is 0. No such term leaves the package.
	except []uint64
}

// Exact reports whether all bits of the field are tested.
func (t *Term) Exact() bool {
	return t.Field.Kind != Numeric || FromBytes(t.Mask) == Ones(t.Field.Bits)
}

// String is the term in the syntax of expressions.
func (t *Term) String() string { return string(t.appendText(nil)) }

func (t *Term) appendText(b []byte) []byte {
	switch t.Field.Kind {
	case Resident:
		if t.Value[15] == 0 {
			b = append(b, '!')
		}
		b = append(b, t.Field.Name...)
		b = append(b, '(')
		return append(appendQuoted(b, t.Str), ')')
	case String:
		b = append(b, t.Field.Name...)
		return appendQuoted(append(b, " == "...), t.Str)
	}
	c := Constant{Form: FormHex, Value: FromBytes(t.Value)}
	if m := FromBytes(t.Mask); m != Ones(t.Field.Bits) {
		c.Masked, c.Mask = true, m
	}
	b = append(b, t.Field.Name...)
	return c.appendText(append(b, " == "...))
}

// Holds evaluates the term.
func (t *Term) Holds(p Packet) bool {
	switch t.Field.Kind {
	case Resident:
		return p.Resident(t.Str) == (t.Value[15] == 1)
	case String:
		return p.Port(t.Field) == t.Str
	}
	return p.Number(t.Field).And(FromBytes(t.Mask)) == FromBytes(t.Value)
}

// place orders terms: by field, those of is_chassis_resident by port.
func (t *Term) place(o *Term) int {
	if c := cmp.Compare(t.Field.order, o.Field.order); c != 0 || t.Field.Kind != Resident {
		return c
	}
	return strings.Compare(t.Str, o.Str)
}

func (t *Term) compare(o *Term) int {
	if c := t.place(o); c != 0 {
		return c
	}
	if c := bytes.Compare(t.Mask[:], o.Mask[:]); c != 0 {
		return -c // the longer prefix first
	}
	if c := bytes.Compare(t.Value[:], o.Value[:]); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(t.Str, o.Str), slices.Compare(t.except, o.except))
}

// negate is the complement of a numeric term or one of is_chassis_resident, as
// disjoint terms.
func (t Term) negate() []Term {
	switch {
	case t.Field.Kind == Resident:
		t.Value[15] ^= 1
		return []Term{t}
	case t.except != nil:
		out := make([]Term, len(t.except))
		for i, v := range t.except {
			out[i] = Term{Field: t.Field, Value: U64(v).Bytes(), Mask: Ones(t.Field.Bits).Bytes()}
		}
		return out
	case t.Field.Level == Nominal:
		return []Term{{Field: t.Field, except: []uint64{FromBytes(t.Value).Lo}}}
	}
	var out []Term
	for _, c := range (cube{}).subtract(nil, cube{FromBytes(t.Value), FromBytes(t.Mask)}) {
		out = append(out, Term{Field: t.Field, Value: c.value.Bytes(), Mask: c.mask.Bytes()})
	}
	return out
}

// implies reports whether a packet that fulfils t fulfils o, a term at the
// same place.
func (t *Term) implies(o *Term) bool {
	switch t.Field.Kind {
	case String:
		return t.Str == o.Str
	case Resident:
		return t.Value == o.Value
	}
	if o.except != nil {
		return t.except == nil && !slices.Contains(o.except, FromBytes(t.Value).Lo)
	}
	m := FromBytes(o.Mask)
	return FromBytes(t.Mask).And(m) == m && FromBytes(t.Value).And(m) == FromBytes(o.Value)
}

// Conj is a conjunction of terms, sorted, one per field (for
// is_chassis_resident one per port). An empty one is always true.
type Conj []Term

// String is the conjunction in the syntax of expressions.
func (c Conj) String() string {
	if len(c) == 0 {
		return "1"
	}
	var b []byte
	for i := range c {
		if i > 0 {
			b = append(b, " && "...)
		}
		b = c[i].appendText(b)
	}
	return string(b)
}

// Holds evaluates the conjunction.
func (c Conj) Holds(p Packet) bool {
	for i := range c {
		if !c[i].Holds(p) {
			return false
		}
	}
	return true
}

// Term is the term of a root field, nil if there is none.
func (c Conj) Term(f *Field) *Term {
	for i := range c {
		if c[i].Field == f {
			return &c[i]
		}
	}
	return nil
}

func (c Conj) compare(o Conj) int {
	for i := range min(len(c), len(o)) {
		if d := c[i].compare(&o[i]); d != 0 {
			return d
		}
	}
	return cmp.Compare(len(c), len(o))
}

// covers reports whether every packet that fulfils o fulfils c.
func (c Conj) covers(o Conj) bool {
	if len(c) > len(o) {
		return false
	}
	j := 0
	for i := range c {
		for j < len(o) && o[j].place(&c[i]) < 0 {
			j++
		}
		if j == len(o) || o[j].place(&c[i]) != 0 || !o[j].implies(&c[i]) {
			return false
		}
	}
	return true
}

// merge is the conjunction of a and b; ok is false if they contradict.
func merge(a, b Conj) (_ Conj, ok bool) {
	if len(b) == 0 {
		return a, true
	}
	if len(a) == 0 {
		return b, true
	}
	out := make(Conj, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch d := a[0].place(&b[0]); {
		case d < 0:
			out, a = append(out, a[0]), a[1:]
		case d > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			t := a[0]
			if !t.meet(&b[0]) {
				return nil, false
			}
			out, a, b = append(out, t), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...), true
}

// meet narrows t to what o, at the same place, tests as well; false if they
// contradict.
func (t *Term) meet(o *Term) bool {
	if t.Field.Kind == String {
		return t.Str == o.Str
	}
	switch {
	case t.except != nil && o.except != nil:
		t.except = append(slices.Clone(t.except), o.except...)
		slices.Sort(t.except)
		t.except = slices.Compact(t.except)
		return true
	case t.except != nil:
		except := t.except
		*t = *o
		return !slices.Contains(except, FromBytes(t.Value).Lo)
	case o.except != nil:
		return !slices.Contains(o.except, FromBytes(t.Value).Lo)
	}
	for i := range t.Mask {
		if (t.Value[i]^o.Value[i])&t.Mask[i]&o.Mask[i] != 0 {
			return false
		}
		t.Value[i] |= o.Value[i]
		t.Mask[i] |= o.Mask[i]
	}
	return true
}

// terms appends the conjunction that bits of f, a field, a bit range or an overlay,
// equal v under the mask m.
func (f *Field) terms(out Conj, v, m U128) Conj {
	root, low := f.Root()
	v, m = v.Shl(low), m.Shl(low)
	if root.Parts == nil {
		if m.IsZero() {
			return out
		}
		return append(out, Term{Field: root, Value: v.Bytes(), Mask: m.Bytes()})
	}
	shift := root.Bits
	for _, part := range root.Parts {
		shift -= part.Bits
		pm := m.Shr(shift).And(Ones(part.Bits))
		if !pm.IsZero() {
			out = append(out, Term{Field: part, Value: v.Shr(shift).And(pm).Bytes(), Mask: pm.Bytes()})
		}
	}
	return out
}
