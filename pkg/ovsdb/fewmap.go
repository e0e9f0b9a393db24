package ovsdb

import (
	"iter"
	"slices"
)

// fewMap is a map by UUID that is a list while it is short: most transactions write a
// row or two of a table, and a Go map takes more memory than those. Its zero value and
// nil are empty; nil must not be written.
type fewMap[V any] struct {
	few  []uuidEntry[V] // in the order they came
	many map[UUID]V     // all, where there are more than fewMost
}

const fewMost = 8

// Len is the number of entries.
func (m *fewMap[V]) Len() int {
	if m == nil {
		return 0
	}
	return max(len(m.few), len(m.many))
}

// Get returns what is under u, or the zero value.
func (m *fewMap[V]) Get(u UUID) (v V) {
	if m == nil {
		return v
	}
	if m.many != nil {
		return m.many[u]
	}
	for i := range m.few {
		if m.few[i].Key == u {
			return m.few[i].Value
		}
	}
	return v
}

// Put sets what is under u.
func (m *fewMap[V]) Put(u UUID, v V) {
	if m.many == nil {
		for i := range m.few {
			if m.few[i].Key == u {
				m.few[i].Value = v
				return
			}
		}
		if len(m.few) < fewMost {
			m.few = append(m.few, uuidEntry[V]{u, v})
			return
		}
		m.many = make(map[UUID]V, 2*fewMost)
		for _, e := range m.few {
			m.many[e.Key] = e.Value
		}
		m.few = nil
	}
	m.many[u] = v
}

// Remove takes u out; an absent one is no error.
func (m *fewMap[V]) Remove(u UUID) {
	delete(m.many, u)
	for i := range m.few {
		if m.few[i].Key == u {
			m.few = append(m.few[:i:i], m.few[i+1:]...) // a loop may be under way
			return
		}
	}
}

// All yields the entries in no particular order. What is put or removed meanwhile may
// be missed or still come.
func (m *fewMap[V]) All() iter.Seq2[UUID, V] {
	return func(yield func(UUID, V) bool) {
		if m == nil {
			return
		}
		for _, e := range m.few {
			if !yield(e.Key, e.Value) {
				return
			}
		}
		for u, v := range m.many {
			if !yield(u, v) {
				return
			}
		}
	}
}

// sorted are the keys in order.
func (m *fewMap[V]) sorted() []UUID {
	keys := make([]UUID, 0, m.Len())
	for u := range m.All() {
		keys = append(keys, u)
	}
	slices.SortFunc(keys, UUID.Compare)
	return keys
}
