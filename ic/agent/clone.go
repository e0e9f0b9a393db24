package agent

import (
	"maps"
	"slices"

	"github.com/ovn-org/libovsdb/model"
)

// CloneModel copies a router. libovsdb copies a row several times whenever it
// changes, those that say not how by JSON; a router has a column with an element
// for each of its routes.
func (r *nbRouter) CloneModel() model.Model {
	c := &nbRouter{}
	r.CloneModelInto(c)
	return c
}

// CloneModelInto copies a router into another.
func (r *nbRouter) CloneModelInto(m model.Model) {
	c, ok := m.(*nbRouter)
	if !ok {
		return
	}
	*c = nbRouter{UUID: r.UUID, Name: r.Name, Options: maps.Clone(r.Options), Ports: slices.Clone(r.Ports), StaticRoutes: slices.Clone(r.StaticRoutes)}
}

// differing are the parts of two lists between what they have in common at their
// beginnings and ends: all that may differ of a column before and after.
func differing(old, now []string) (gone, come []string) {
	n := min(len(old), len(now))
	first := 0
	for first < n && old[first] == now[first] {
		first++
	}
	last := 0
	for last < n-first && old[len(old)-1-last] == now[len(now)-1-last] {
		last++
	}
	return old[first : len(old)-last], now[first : len(now)-last]
}
