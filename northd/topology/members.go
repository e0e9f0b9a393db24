package topology

import (
	"slices"

	"govn/pkg/ovsdb"
)

// members indexes elements of set columns by keys that follow from their rows:
// the routes of a router by prefix, its ports by network. It is kept up to date
// from the changes of a store.
type members[K comparable] struct {
	keys map[Member][]K
	by   map[K][]ovsdb.UUID // elements, in order
}

func newMembers[K comparable]() members[K] {
	return members[K]{keys: make(map[Member][]K), by: make(map[K][]ovsdb.UUID)}
}

// set says under which keys an element is. It returns the keys whose elements
// changed.
func (x *members[K]) set(m Member, keys []K) (changed []K) {
	old := x.keys[m]
	if len(keys) == 0 {
		delete(x.keys, m)
	} else {
		x.keys[m] = keys
	}
	for _, k := range old {
		if slices.Contains(keys, k) {
			continue
		}
		changed = append(changed, k)
		list := x.by[k]
		if i, found := slices.BinarySearchFunc(list, m.Elem, ovsdb.UUID.Compare); found {
			list = slices.Delete(slices.Clone(list), i, i+1)
		}
		if len(list) == 0 {
			delete(x.by, k)
		} else {
			x.by[k] = list
		}
	}
	for _, k := range keys {
		if slices.Contains(old, k) {
			continue
		}
		changed = append(changed, k)
		list := x.by[k]
		if i, found := slices.BinarySearchFunc(list, m.Elem, ovsdb.UUID.Compare); !found {
			x.by[k] = slices.Insert(slices.Clone(list), i, m.Elem)
		}
	}
	return changed
}

// touchedMembers are the elements of a set column that changes may concern:
// those that joined or left a row, and those whose own row changed.
func touchedMembers(ch *ovsdb.Change, list *ovsdb.ColumnSchema, elem *ovsdb.TableSchema, sn *ovsdb.Snapshot, yield func(Member)) {
	switch ch.Table {
	case list.Table:
		var old, new ovsdb.Set
		if ch.Old != nil {
			old = ch.Old.Set(list)
		}
		if ch.New != nil {
			new = ch.New.Set(list)
		}
		if ch.Old != nil && ch.New != nil && old.Equal(new) {
			return
		}
		removed, added := ovsdb.DiffSets(old, new)
		for _, a := range slices.Concat(removed, added) {
			yield(Member{ch.UUID, a.(ovsdb.UUID)})
		}
	case elem:
		for u := range sn.Referrers(list, ch.UUID) {
			yield(Member{u, ch.UUID})
		}
	}
}

// memberRow is the row of an element, nil if the element is not in the column.
func memberRow(sn *ovsdb.Snapshot, list *ovsdb.ColumnSchema, elem *ovsdb.TableSchema, m Member) *ovsdb.Row {
	row := sn.Row(list.Table, m.Row)
	if row == nil || !row.Set(list).Has(m.Elem) {
		return nil
	}
	return sn.Row(elem, m.Elem)
}
