package idl

import (
	"cmp"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
)

// Atom is an int64, float64, bool, string or UUID.
type Atom = ovsdb.Atom

// UUID identifies a row.
type UUID = ovsdb.UUID

// Datum is the value of a column: a set in ascending order, or, with Values, a
// map in ascending order of its keys. A scalar is a set of one. It is not
// changed in place.
type Datum struct {
	Keys   []Atom
	Values []Atom // nil, or one for each key
}

// String, Int, Bool and Ref are values of one element.
func String(s string) Datum { return Datum{Keys: []Atom{s}} }
func Int(n int64) Datum     { return Datum{Keys: []Atom{n}} }
func Bool(b bool) Datum     { return Datum{Keys: []Atom{b}} }
func Ref(u UUID) Datum      { return Datum{Keys: []Atom{u}} }

// Strings returns the set of some strings; duplicates count once.
func Strings(ss ...string) Datum {
	atoms := make([]Atom, len(ss))
	for i, s := range ss {
		atoms[i] = s
	}
	return SetOf(atoms...)
}

// Refs returns the set of references to rows.
func Refs(rows ...*Row) Datum {
	atoms := make([]Atom, len(rows))
	for i, r := range rows {
		atoms[i] = r.UUID
	}
	return SetOf(atoms...)
}

// SetOf returns the set of some atoms of one type; duplicates count once.
func SetOf(atoms ...Atom) Datum {
	d := Datum{Keys: slices.Clone(atoms)}
	slices.SortFunc(d.Keys, Compare)
	d.Keys = slices.CompactFunc(d.Keys, func(a, b Atom) bool { return Compare(a, b) == 0 })
	return d
}

// StringMap returns the map of strings.
func StringMap(m map[string]string) Datum {
	d := Datum{Keys: make([]Atom, 0, len(m)), Values: make([]Atom, 0, len(m))}
	for k, v := range m {
		d.Keys, d.Values = append(d.Keys, k), append(d.Values, v)
	}
	d.sort()
	return d
}

// Len is the number of elements.
func (d Datum) Len() int { return len(d.Keys) }

// find returns the position of a key, or where it would be.
func (d Datum) find(k Atom) (int, bool) { return slices.BinarySearchFunc(d.Keys, k, Compare) }

// Has tells whether k is an element or a key.
func (d Datum) Has(k Atom) bool { _, ok := d.find(k); return ok }

// Value returns the value under a key of a map.
func (d Datum) Value(k Atom) (Atom, bool) {
	i, ok := d.find(k)
	if !ok || d.Values == nil {
		return nil, false
	}
	return d.Values[i], true
}

// Union returns d with the elements of e that it does not have; where both have
// a key, d's value stays.
func (d Datum) Union(e Datum) Datum {
	out := Datum{Keys: slices.Clone(d.Keys), Values: slices.Clone(d.Values)}
	for i, k := range e.Keys {
		if d.Has(k) {
			continue
		}
		out.Keys = append(out.Keys, k)
		if e.Values != nil {
			out.Values = append(out.Values, e.Values[i])
		}
	}
	out.sort()
	return out
}

// Without returns d without the keys of e. Where e has values, only pairs that
// are equal go.
func (d Datum) Without(e Datum) Datum {
	out := Datum{}
	for i, k := range d.Keys {
		if j, ok := e.find(k); ok && (e.Values == nil || d.Values == nil || Compare(d.Values[i], e.Values[j]) == 0) {
			continue
		}
		out.Keys = append(out.Keys, k)
		if d.Values != nil {
			out.Values = append(out.Values, d.Values[i])
		}
	}
	return out
}

// sort puts the elements in ascending order of keys.
func (d *Datum) sort() {
	if slices.IsSortedFunc(d.Keys, Compare) {
		return
	}
	if d.Values == nil {
		slices.SortFunc(d.Keys, Compare)
		return
	}
	order := make([]int, len(d.Keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return Compare(d.Keys[i], d.Keys[j]) })
	keys, values := make([]Atom, len(order)), make([]Atom, len(order))
	for i, from := range order {
		keys[i], values[i] = d.Keys[from], d.Values[from]
	}
	d.Keys, d.Values = keys, values
}

// Equal compares two values of one column.
func (d Datum) Equal(e Datum) bool { return CompareData(d, e) == 0 }

// CompareData orders values as OVSDB does: fewer elements first, then the keys
// in order, then the values.
func CompareData(d, e Datum) int {
	if c := cmp.Compare(len(d.Keys), len(e.Keys)); c != 0 {
		return c
	}
	if c := slices.CompareFunc(d.Keys, e.Keys, Compare); c != 0 {
		return c
	}
	return slices.CompareFunc(d.Values, e.Values, Compare)
}

// SubsetOf tells whether all elements of d are in e; of maps, pairs.
func (d Datum) SubsetOf(e Datum) bool {
	return d.common(e) == len(d.Keys)
}

// Disjoint tells whether d and e have no element, of maps no pair, in common.
func (d Datum) Disjoint(e Datum) bool { return d.common(e) == 0 }

func (d Datum) common(e Datum) (n int) {
	for i, k := range d.Keys {
		j, ok := e.find(k)
		if ok && (d.Values == nil || e.Values == nil || Compare(d.Values[i], e.Values[j]) == 0) {
			n++
		}
	}
	return n
}

// Compare orders two atoms of one type; atoms of different types by type.
func Compare(a, b Atom) int {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	case UUID:
		if y, ok := b.(UUID); ok {
			return x.Compare(y)
		}
	case bool:
		if y, ok := b.(bool); ok {
			switch {
			case x == y:
				return 0
			case y:
				return -1
			}
			return 1
		}
	}
	return cmp.Compare(rank(a), rank(b))
}

func rank(a Atom) int {
	switch a.(type) {
	case int64:
		return 1
	case float64:
		return 2
	case bool:
		return 3
	case string:
		return 4
	case UUID:
		return 5
	}
	return 0
}

// Default is the value of a column that an insert leaves out.
func Default(t *ovsdb.ColumnType) Datum {
	if t.Min == 0 {
		return Datum{}
	}
	d := Datum{Keys: []Atom{zero(t.Key.Type)}}
	if t.IsMap() {
		d.Values = []Atom{zero(t.Value.Type)}
	}
	return d
}

func zero(t ovsdb.AtomicType) Atom {
	switch t {
	case ovsdb.TypeInteger:
		return int64(0)
	case ovsdb.TypeReal:
		return float64(0)
	case ovsdb.TypeBoolean:
		return false
	case ovsdb.TypeString:
		return ""
	}
	return UUID{}
}
