package ovsdb

import (
	"cmp"
	"iter"
	"slices"
)

// sources counts how often each row refers to one target. Nearly all targets
// have one, which stands here; several are in a tree.
type sources struct {
	one   UUID
	count int // how often one refers; 0: more has all
	more  *uuidTree[int]
}

// Len is the number of rows.
func (s sources) Len() int {
	switch {
	case s.more != nil:
		return s.more.Len()
	case s.count > 0:
		return 1
	}
	return 0
}

// Get returns how often a row refers.
func (s sources) Get(u UUID) (int, bool) {
	switch {
	case s.more != nil:
		return s.more.Get(u)
	case s.count > 0 && s.one == u:
		return s.count, true
	}
	return 0, false
}

// All yields rows and counts, in the order of UUIDs.
func (s sources) All() iter.Seq2[UUID, int] {
	switch {
	case s.more != nil:
		return s.more.All()
	case s.count > 0:
		return func(yield func(UUID, int) bool) { yield(s.one, s.count) }
	}
	return func(func(UUID, int) bool) {}
}

// add returns the sources after u has come to refer n times more.
func (s sources) add(u UUID, n int) sources {
	if s.more == nil && (s.count == 0 || s.one == u) {
		if s.count += n; s.count == 0 {
			return sources{}
		}
		s.one = u
		return s
	}
	var t uuidTree[int]
	if s.more != nil {
		t = *s.more
	} else {
		t = t.With(s.one, s.count)
	}
	count, _ := t.Get(u)
	if count += n; count == 0 {
		t = t.Without(u)
	} else {
		t = t.With(u, count)
	}
	if t.Len() == 1 {
		for one, count := range t.All() {
			return sources{one: one, count: count}
		}
	}
	return sources{more: &t}
}

// addRef changes how often source refers to target in field f by n.
func (s *tableState) addRef(f *refField, target, source UUID, n int) {
	refs := &s.refs[f.slot]
	from, _ := refs.Get(target)
	if from = from.add(source, n); from.Len() == 0 {
		*refs = refs.Without(target)
	} else {
		*refs = refs.With(target, from)
	}
}

// buildRefs counts the references of one column.
func buildRefs(f *refField, rows []uuidEntry[*Row]) refTree {
	type edge struct{ target, source UUID }
	var edges []edge
	for _, r := range rows {
		f.targets(r.Value.values[f.column.Index], func(target UUID) { edges = append(edges, edge{target, r.Key}) })
	}
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(a.target.Compare(b.target), a.source.Compare(b.source))
	})
	var targets []uuidEntry[sources]
	for i := 0; i < len(edges); {
		target := edges[i].target
		var list []uuidEntry[int]
		for ; i < len(edges) && edges[i].target == target; i++ {
			if n := len(list); n > 0 && list[n-1].Key == edges[i].source {
				list[n-1].Value++
			} else {
				list = append(list, uuidEntry[int]{edges[i].source, 1})
			}
		}
		from := sources{one: list[0].Key, count: list[0].Value}
		if len(list) > 1 {
			t := buildUUIDTree(list)
			from = sources{more: &t}
		}
		targets = append(targets, uuidEntry[sources]{target, from})
	}
	return buildUUIDTree(targets)
}

// edit lets the trees of a private copy be changed in place, until it is called
// with nil.
func (s *tableState) edit(by *treeEdit) {
	s.rows = s.rows.edit(by)
	for i := range s.indexes {
		s.indexes[i] = s.indexes[i].edit(by)
	}
	for i := range s.refs {
		s.refs[i] = s.refs[i].edit(by)
	}
}
