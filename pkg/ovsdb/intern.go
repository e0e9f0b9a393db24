package ovsdb

import (
	"hash/maphash"
	"strings"
)

// interner makes equal strings one: the keys of options and external_ids, types,
// and a port's addresses that are its port security too are the same few texts
// again and again. It remembers the last string in each of a number of places,
// so that it neither grows nor is complete. One goroutine uses it at a time.
type interner struct {
	seed   maphash.Seed
	places []Atom
}

// newInterner returns one with the given number of places, a power of two.
func newInterner(places int) *interner {
	return &interner{seed: maphash.MakeSeed(), places: make([]Atom, places)}
}

// atom returns the string as an Atom that shares no memory with s. A nil
// interner copies.
func (in *interner) atom(s string) Atom {
	if in == nil || len(s) > 128 {
		return strings.Clone(s)
	}
	place := &in.places[maphash.String(in.seed, s)&uint64(len(in.places)-1)]
	if known, ok := (*place).(string); ok && known == s {
		return *place
	}
	*place = strings.Clone(s)
	return *place
}
