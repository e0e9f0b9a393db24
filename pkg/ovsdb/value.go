package ovsdb

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Value is what a column holds: an Atom where the column has exactly one
// element, otherwise a Set (also for optional columns) or a Map.
type Value = any

// ValuesEqual compares two values of one column.
func ValuesEqual(a, b Value) bool {
	switch x := a.(type) {
	case Set:
		y, ok := b.(Set)
		return ok && x.Equal(y)
	case Map:
		y, ok := b.(Map)
		return ok && x.Equal(y)
	}
	switch b.(type) {
	case Set, Map:
		return false
	}
	return compareAtoms(a, b) == 0
}

// compareValues orders two values of one column as ovsdb-server does: by the
// number of elements, by the keys in ascending order, by the values.
func compareValues(a, b Value) int {
	if n := valueLen(a) - valueLen(b); n != 0 {
		return n
	}
	switch x := a.(type) {
	case Set:
		return slices.CompareFunc(slices.Collect(x.All()), slices.Collect(b.(Set).All()), compareAtoms)
	case Map:
		split := func(m Map) (keys, values []Atom) {
			for k, v := range m.All() {
				keys, values = append(keys, k), append(values, v)
			}
			return keys, values
		}
		aKeys, aValues := split(x)
		bKeys, bValues := split(b.(Map))
		if n := slices.CompareFunc(aKeys, bKeys, compareAtoms); n != 0 {
			return n
		}
		return slices.CompareFunc(aValues, bValues, compareAtoms)
	}
	return compareAtoms(a, b)
}

// hashValue identifies a value of a column.
func hashValue(v Value) [16]byte {
	switch x := v.(type) {
	case Set:
		return x.Hash()
	case Map:
		return x.Hash()
	}
	return sumBytes(setOps{}.Hash(v, struct{}{}))
}

// valueLen is the number of elements.
func valueLen(v Value) int {
	switch x := v.(type) {
	case Set:
		return x.Len()
	case Map:
		return x.Len()
	}
	return 1
}

// check verifies that v is a value of type t with all constraints.
func (t *ColumnType) check(v Value) error {
	switch x := v.(type) {
	case Set:
		if !t.IsSet() {
			return errorf(ErrSyntax, "a set where %s is expected", t.describe())
		}
		if err := t.checkLen(x.Len()); err != nil {
			return err
		}
		for a := range x.All() {
			if err := t.Key.check(a); err != nil {
				return err
			}
		}
		return nil
	case Map:
		if !t.IsMap() {
			return errorf(ErrSyntax, "a map where %s is expected", t.describe())
		}
		if err := t.checkLen(x.Len()); err != nil {
			return err
		}
		for k, v := range x.All() {
			if err := t.Key.check(k); err != nil {
				return err
			}
			if err := t.Value.check(v); err != nil {
				return err
			}
		}
		return nil
	case int64, float64, bool, string, UUID:
		if !t.IsScalar() {
			return errorf(ErrSyntax, "an atom where %s is expected", t.describe())
		}
		return t.Key.check(v)
	}
	return errorf(ErrSyntax, "%T is not a value", v)
}

// describe names the type as ovsdb-server's errors do: "string", "set of up to
// 1 integers", "map of (string, uuid) pairs".
func (t *ColumnType) describe() string {
	if t.IsScalar() {
		return t.Key.Type.String()
	}
	kind, elements := "set of ", t.Key.Type.String()+"s"
	if t.IsMap() {
		kind, elements = "map of ", fmt.Sprintf("(%s, %s) pairs", t.Key.Type, t.Value.Type)
	}
	switch {
	case t.Max == Unlimited && t.Min == 0:
		return kind + elements
	case t.Max == Unlimited:
		return fmt.Sprintf("%s%d or more %s", kind, t.Min, elements)
	case t.Min == 0:
		return fmt.Sprintf("%sup to %d %s", kind, t.Max, elements)
	}
	return fmt.Sprintf("%s%d to %d %s", kind, t.Min, t.Max, elements)
}

func (t *ColumnType) checkLen(n int) error {
	if n >= t.Min && n <= t.Max {
		return nil
	}
	name := "set"
	if t.IsMap() {
		name = "map"
	}
	if t.IsScalar() {
		return constraintf("%s must have exactly one member but %d are present", name, n)
	}
	if t.Max == Unlimited {
		return constraintf("%s must have %d or more members but %d are present", name, t.Min, n)
	}
	return constraintf("%s must have %d to %d members but %d are present", name, t.Min, t.Max, n)
}

// symbols resolves named UUIDs within a transaction. It may be nil.
type symbols interface {
	// resolve returns the UUID that stands for name, and notes the use.
	resolve(name string) UUID
}

// texts may be what implements symbols too.
type texts interface {
	// text returns the string as an Atom that shares no memory with s.
	text(s string) Atom
}

func syntaxError(v *jsonValue, details string) *Error {
	return &Error{Kind: ErrSyntax, Details: details, Syntax: v.short()}
}

// parseAtom reads an <atom> of type b and verifies its constraints.
func (b *BaseType) parseAtom(v *jsonValue, names symbols) (Atom, error) {
	var a Atom
	switch b.Type {
	case TypeString:
		if v.kind == jsonString {
			if t, ok := names.(texts); ok {
				a = t.text(v.text)
			} else {
				a = strings.Clone(v.text)
			}
		}
	case TypeInteger:
		if n, ok := v.integer(); ok {
			a = n
		}
	case TypeReal:
		if f, ok := v.real(); ok {
			a = f
		}
	case TypeBoolean:
		if v.kind == jsonBool {
			a = v.text == "true"
		}
	case TypeUUID:
		if s, ok := v.pairTagged("uuid"); ok && s.kind == jsonString {
			u, err := ParseUUID(s.text)
			if err != nil {
				return nil, syntaxError(v, strconv.Quote(s.text)+" is not a valid UUID")
			}
			a = u
		} else if s, ok := v.pairTagged("named-uuid"); ok && s.kind == jsonString && names != nil {
			if !isID(s.text) {
				return nil, syntaxError(v, "named-uuid string is not a valid <id>")
			}
			a = names.resolve(s.text)
		}
	}
	if a == nil {
		expected := b.Type.String()
		if b.Type == TypeUUID {
			expected = `["uuid", <string>]`
		}
		return nil, syntaxError(v, "expected "+expected)
	}
	return a, b.check(a)
}

// parseValue reads a <value> of type t and verifies constraints and number of
// elements. Duplicates are an error.
func (t *ColumnType) parseValue(v *jsonValue, names symbols) (Value, error) {
	if t.IsMap() {
		list, ok := v.pairTagged("map")
		if !ok || list.kind != jsonArray {
			return nil, syntaxError(v, "expected [\"map\", <array>]")
		}
		pairs := make([]Pair, len(list.list))
		for i := range list.list {
			p := &list.list[i]
			if p.kind != jsonArray || len(p.list) != 2 {
				return nil, syntaxError(p, "expected 2-element array")
			}
			var err error
			if pairs[i].Key, err = t.Key.parseAtom(&p.list[0], names); err != nil {
				return nil, err
			}
			if pairs[i].Value, err = t.Value.parseAtom(&p.list[1], names); err != nil {
				return nil, err
			}
		}
		m := NewMap(pairs...)
		if m.Len() != len(pairs) {
			return nil, errorf(ErrOvsdb, "map contains duplicate key")
		}
		if n := m.Len(); n < t.Min || n > t.Max {
			return nil, syntaxError(v, asError(t.checkLen(n)).Details)
		}
		return m, nil
	}
	if v.kind == jsonArray && len(v.list) > 0 && v.list[0].kind == jsonString && v.list[0].text == "set" {
		list, ok := v.pairTagged("set")
		if !ok || list.kind != jsonArray {
			return nil, syntaxError(v, "expected [\"set\", <array>]")
		}
		if n := len(list.list); n < t.Min || n > t.Max {
			return nil, syntaxError(v, asError(t.checkLen(n)).Details)
		}
		atoms := make([]Atom, len(list.list))
		for i := range list.list {
			var err error
			if atoms[i], err = t.Key.parseAtom(&list.list[i], names); err != nil {
				return nil, err
			}
		}
		if t.IsScalar() {
			return atoms[0], nil
		}
		s := NewSet(atoms...)
		if s.Len() != len(atoms) {
			return nil, errorf(ErrOvsdb, "set contains duplicate")
		}
		return s, nil
	}
	a, err := t.Key.parseAtom(v, names)
	if err != nil {
		return nil, err
	}
	if t.IsScalar() {
		return a, nil
	}
	return NewSet(a), nil
}

// appendScalar appends an atom as JSON, a UUID in its bare form.
func appendScalar(b []byte, a Atom) []byte {
	switch x := a.(type) {
	case string:
		return appendString(b, x)
	case int64:
		return strconv.AppendInt(b, x, 10)
	case bool:
		return strconv.AppendBool(b, x)
	case float64:
		return appendReal(b, x)
	case UUID:
		return x.append(b)
	}
	panic("ovsdb: not an atom")
}

// appendReal appends a number with as many digits as it takes to read the same
// one back, in the notation of C's "%.15g": with an exponent if that is less
// than -4 or more than 14.
func appendReal(b []byte, x float64) []byte {
	switch a := math.Abs(x); {
	case a < 1e15 && x == math.Trunc(x):
		return strconv.AppendInt(b, int64(x), 10)
	case a >= 1e-4 && a < 1e15:
		return strconv.AppendFloat(b, x, 'f', -1, 64)
	}
	return strconv.AppendFloat(b, x, 'e', -1, 64)
}

// appendAtom appends an <atom>.
func appendAtom(b []byte, a Atom) []byte {
	if u, ok := a.(UUID); ok {
		return append(u.append(append(b, `["uuid","`...)), `"]`...)
	}
	return appendScalar(b, a)
}

// appendAtoms appends a <set>: a single atom bare.
func appendAtoms(b []byte, atoms []Atom) []byte {
	if len(atoms) == 1 {
		return appendAtom(b, atoms[0])
	}
	b = append(b, `["set",[`...)
	for i, a := range atoms {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAtom(b, a)
	}
	return append(b, "]]"...)
}

func appendPairs(b []byte, pairs []Pair) []byte {
	b = append(b, `["map",[`...)
	for i, p := range pairs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendAtom(append(b, '['), p.Key), ',')
		b = append(appendAtom(b, p.Value), ']')
	}
	return append(b, "]]"...)
}

// appendValue appends a <value>, sets and maps in ascending order.
func appendValue(b []byte, v Value) []byte {
	switch x := v.(type) {
	case Set:
		if x.Len() == 1 {
			a, _ := x.First()
			return appendAtom(b, a)
		}
		b = append(b, `["set",[`...)
		first := true
		for a := range x.All() {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = appendAtom(b, a)
		}
		return append(b, "]]"...)
	case Map:
		b = append(b, `["map",[`...)
		first := true
		for k, e := range x.All() {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendAtom(append(b, '['), k), ',')
			b = append(appendAtom(b, e), ']')
		}
		return append(b, "]]"...)
	}
	return appendAtom(b, v)
}

// appendDifference appends what turns old into new, as update2 wants it: of a
// column of at most one element the new value; of a set the elements that are
// in one of the two; of a map the pairs whose presence or value differs, a
// removed one with its old value.
func (t *ColumnType) appendDifference(b []byte, old, new Value) []byte {
	if t.Max == 1 {
		return appendValue(b, new)
	}
	if t.IsMap() {
		changes := DiffMaps(old.(Map), new.(Map))
		pairs := make([]Pair, len(changes))
		for i, c := range changes {
			pairs[i] = Pair{c.Key, c.New}
			if c.New == nil {
				pairs[i].Value = c.Old
			}
		}
		return appendPairs(b, pairs)
	}
	removed, added := DiffSets(old.(Set), new.(Set))
	return appendAtoms(b, mergeAtoms(removed, added))
}

func mergeAtoms(a, b []Atom) []Atom {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	merged := make([]Atom, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compareAtoms(a[0], b[0]) < 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// isID tells whether s is an <id>: [a-zA-Z_][a-zA-Z0-9_]*.
func isID(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}
