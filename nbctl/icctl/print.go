package icctl

import (
	"iter"
	"maps"
	"slices"

	"govn/nbctl/idl"
)

// formatted prints a column as the generic commands do.
func formatted(row *idl.Row, name string) string {
	return row.Get(name).Format(&row.Table.Schema.Column(name).Type)
}

// pairs is a column that is a map of strings.
func pairs(row *idl.Row, name string) map[string]string {
	d := row.Get(name)
	out := make(map[string]string, len(d.Keys))
	for i, k := range d.Keys {
		out[idl.BareAtom(k)] = idl.BareAtom(d.Values[i])
	}
	return out
}

// sorted yields the pairs of a map in the order of its keys.
func sorted(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// sortedKeys yields the members of a set in order.
func sortedKeys(m map[string]bool) iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(m)))
}
