package ovsdb

import (
	"fmt"
	"iter"
	"strings"

	"govn/pkg/treap"
)

type setOps struct{}

func (setOps) Compare(a, b Atom) int         { return compareAtoms(a, b) }
func (setOps) Priority(a Atom) uint64        { return atomPriority(a) }
func (setOps) Equal(struct{}, struct{}) bool { return true }
func (setOps) Hash(a Atom, _ struct{}) treap.Sum {
	var buf [64]byte
	return sumOf(appendAtomBytes(buf[:0], a))
}

// Set is an immutable set of atoms of one type. The zero value is empty. Large
// sets share structure: With and Without cost O(log n).
type Set struct {
	t treap.Tree[Atom, struct{}, setOps]
}

// NewSet returns the set of the given atoms; duplicates count once.
func NewSet(atoms ...Atom) Set {
	switch len(atoms) {
	case 0:
		return Set{}
	case 1:
		return Set{}.With(atoms[0])
	}
	elements := make([]treap.Element[Atom, struct{}], len(atoms))
	for i, a := range atoms {
		elements[i].Key = a
	}
	return Set{treap.Build[Atom, struct{}, setOps](elements)}
}

// Len is the number of elements.
func (s Set) Len() int { return s.t.Len() }

// Has tells whether a is an element.
func (s Set) Has(a Atom) bool {
	_, ok := s.t.Get(a)
	return ok
}

// All yields the elements in ascending order.
func (s Set) All() iter.Seq[Atom] {
	return func(yield func(Atom) bool) {
		for a := range s.t.All() {
			if !yield(a) {
				return
			}
		}
	}
}

// First returns the least element.
func (s Set) First() (Atom, bool) {
	a, _, ok := s.t.Min()
	return a, ok
}

// Hash identifies the contents, in every process alike. O(1).
func (s Set) Hash() [16]byte { return sumBytes(s.t.Sum()) }

// Equal compares by Len and Hash. O(1).
func (s Set) Equal(t Set) bool { return s.t.Equal(t.t) }

// With returns the set with a added.
func (s Set) With(a Atom) Set { return Set{s.t.With(a, struct{}{})} }

// Without returns the set with a removed.
func (s Set) Without(a Atom) Set { return Set{s.t.Without(a)} }

// String is for debugging.
func (s Set) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for a := range s.All() {
		if b.Len() > 1 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, a)
	}
	return b.String() + "]"
}

// DiffSets returns what is only in old and what is only in new, each in
// ascending order, in O(d log n) for d differences.
func DiffSets(old, new Set) (removed, added []Atom) {
	treap.Diff(old.t, new.t, func(a Atom, hasOld bool, _ struct{}, _ bool, _ struct{}) bool {
		if hasOld {
			removed = append(removed, a)
		} else {
			added = append(added, a)
		}
		return true
	})
	return removed, added
}

type mapOps struct{}

func (mapOps) Compare(a, b Atom) int  { return compareAtoms(a, b) }
func (mapOps) Priority(a Atom) uint64 { return atomPriority(a) }
func (mapOps) Equal(a, b Atom) bool   { return compareAtoms(a, b) == 0 }
func (mapOps) Hash(k, v Atom) treap.Sum {
	var buf [128]byte
	return sumOf(appendAtomBytes(appendAtomBytes(append(buf[:0], 'm'), k), v))
}

// Map is an immutable map from atoms to atoms. The zero value is empty.
type Map struct {
	t treap.Tree[Atom, Atom, mapOps]
}

// Pair is one element of a Map.
type Pair struct{ Key, Value Atom }

// NewMap returns the map of the given pairs; the last one of a key counts.
func NewMap(pairs ...Pair) Map {
	if len(pairs) == 0 {
		return Map{}
	}
	elements := make([]treap.Element[Atom, Atom], len(pairs))
	for i, p := range pairs {
		elements[i] = treap.Element[Atom, Atom]{Key: p.Key, Value: p.Value}
	}
	return Map{treap.Build[Atom, Atom, mapOps](elements)}
}

// MapOf returns the map of alternating keys and values. It panics when their
// number is odd.
func MapOf(keysAndValues ...Atom) Map {
	if len(keysAndValues)%2 != 0 {
		panic("ovsdb: MapOf: a key without a value")
	}
	pairs := make([]Pair, 0, len(keysAndValues)/2)
	for i := 0; i < len(keysAndValues); i += 2 {
		pairs = append(pairs, Pair{keysAndValues[i], keysAndValues[i+1]})
	}
	return NewMap(pairs...)
}

// StringMap returns the map of strings to strings.
func StringMap(m map[string]string) Map {
	pairs := make([]Pair, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, Pair{k, v})
	}
	return NewMap(pairs...)
}

// Len is the number of pairs.
func (m Map) Len() int { return m.t.Len() }

// Get returns the value under k.
func (m Map) Get(k Atom) (Atom, bool) { return m.t.Get(k) }

// Str returns the string under the string k, or "".
func (m Map) Str(k string) string {
	v, _ := m.t.Get(k)
	s, _ := v.(string)
	return s
}

// All yields the pairs in ascending order of keys.
func (m Map) All() iter.Seq2[Atom, Atom] { return m.t.All() }

// With returns the map with v under k.
func (m Map) With(k, v Atom) Map { return Map{m.t.With(k, v)} }

// Without returns the map without k.
func (m Map) Without(k Atom) Map { return Map{m.t.Without(k)} }

// Hash identifies the contents, in every process alike. O(1).
func (m Map) Hash() [16]byte { return sumBytes(m.t.Sum()) }

// Equal compares by Len and Hash. O(1).
func (m Map) Equal(n Map) bool { return m.t.Equal(n.t) }

// String is for debugging.
func (m Map) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for k, v := range m.All() {
		if b.Len() > 1 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%v=%v", k, v)
	}
	return b.String() + "}"
}

// MapChange is one difference between two maps. Old or New is nil where the key
// is absent.
type MapChange struct{ Key, Old, New Atom }

// DiffMaps returns the differences in ascending order of keys, in O(d log n).
func DiffMaps(old, new Map) (changes []MapChange) {
	treap.Diff(old.t, new.t, func(k Atom, _ bool, oldV Atom, _ bool, newV Atom) bool {
		changes = append(changes, MapChange{k, oldV, newV})
		return true
	})
	return changes
}
