package server

import (
	"cmp"
	"container/heap"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// Kinds of conflicts.
const (
	conflictSame   = "same"   // several zones advertise the prefix; the first one's counts
	conflictWithin = "within" // the prefix lies in one of another zone, which counts for the rest
)

// conflicts finds the prefixes that several zones advertise on a transit switch in
// one route table, and those that lie in another zone's. A default route is meant
// for what nobody else has, so that nothing conflicts by lying in it. What routers
// learn by several transit switches only their zone knows.
type conflicts struct {
	tables map[[2]string]*trie[advertised] // by switch and route table
	count  int
	fresh  map[conflict]bool // found since the last drain
	looked uint64            // prefixes looked at
}

// advertised is a prefix, and who advertises it.
type advertised struct {
	zones  map[ovsdb.UUID]*routes
	winner *item // the first
	found  []conflict
}

// routes are those of one zone for a prefix. To find the first one costs the same
// however many there are.
type routes struct {
	byRow map[ovsdb.UUID]*item
	order []*item // a heap; some of them may be gone
}

func (r *routes) Len() int           { return len(r.order) }
func (r *routes) Less(i, j int) bool { return r.order[i].route.Since < r.order[j].route.Since }
func (r *routes) Swap(i, j int)      { r.order[i], r.order[j] = r.order[j], r.order[i] }
func (r *routes) Push(x any)         { r.order = append(r.order, x.(*item)) }

func (r *routes) Pop() any {
	last := len(r.order) - 1
	it := r.order[last]
	r.order[last], r.order = nil, r.order[:last]
	return it
}

func (r *routes) put(it *item) {
	r.byRow[it.row] = it
	heap.Push(r, it)
	if len(r.order) > 2*len(r.byRow)+8 {
		r.order = slices.Collect(maps.Values(r.byRow))
		heap.Init(r)
	}
}

// first is the route that was seen first; there is one.
func (r *routes) first() *item {
	for r.byRow[r.order[0].row] != r.order[0] {
		heap.Pop(r)
	}
	return r.order[0]
}

// conflict is one that was found.
type conflict struct {
	kind           string
	transit, table string
	prefix, other  netip.Prefix
	zone, loser    ovsdb.UUID // whose route is used, and whose is not
}

func newConflicts() *conflicts {
	return &conflicts{tables: make(map[[2]string]*trie[advertised]), fresh: make(map[conflict]bool)}
}

// set takes in that an item changed; other items than routes do not matter.
func (c *conflicts) set(old, now *item) {
	if old != nil && now != nil && old.kind == kindRoute && old.zone == now.zone && old.route.Since == now.route.Since && old.wish() == now.wish() {
		return
	}
	c.take(old, false)
	c.take(now, true)
}

func (c *conflicts) take(it *item, there bool) {
	if it == nil || it.kind != kindRoute {
		return
	}
	p, ok := parsePrefix(it.route.Key.Prefix)
	if !ok {
		return
	}
	p = p.Masked()
	at := [2]string{it.transit, it.route.Key.Table}
	t := c.tables[at]
	if t == nil {
		t = &trie[advertised]{}
		c.tables[at] = t
	}
	n := t.put(p)
	if n.value == nil {
		n.value = &advertised{zones: make(map[ovsdb.UUID]*routes)}
	}
	was := n.value.winner
	of := n.value.zones[it.zone]
	if of == nil {
		of = &routes{byRow: make(map[ovsdb.UUID]*item)}
		n.value.zones[it.zone] = of
	}
	if there {
		of.put(it)
	} else if delete(of.byRow, it.row); len(of.byRow) == 0 {
		delete(n.value.zones, it.zone)
	}
	n.value.winner = nil
	for _, zone := range n.value.zones {
		r := zone.first()
		if w := n.value.winner; w == nil || r.route.Since < w.route.Since {
			n.value.winner = r
		}
	}
	is := n.value.winner
	c.look(n, at)
	if is == nil {
		n.value = nil
	}
	if p.Bits() > 0 && (was == nil || is == nil || was.zone != is.zone) {
		n.down(func(d *trieNode[advertised]) bool { c.look(d, at); return true })
	}
	if t.drop(n); t.v4 == nil && t.v6 == nil {
		delete(c.tables, at)
	}
}

// look finds the conflicts of a prefix anew.
func (c *conflicts) look(n *trieNode[advertised], at [2]string) {
	c.looked++
	v := n.value
	var found []conflict
	if w := v.winner; w != nil {
		one := conflict{kind: conflictSame, transit: at[0], table: at[1], prefix: n.prefix, other: n.prefix, zone: w.zone}
		for zone := range v.zones {
			if one.loser = zone; zone != w.zone {
				found = append(found, one)
			}
		}
		n.up(func(p *trieNode[advertised]) bool {
			if p.prefix.Bits() == 0 || p.value.winner.zone == w.zone {
				return true
			}
			found = append(found, conflict{conflictWithin, at[0], at[1], n.prefix, p.prefix, w.zone, p.value.winner.zone})
			return false
		})
	}
	for _, f := range found {
		if !slices.Contains(v.found, f) {
			c.fresh[f] = true
		}
	}
	for _, f := range v.found {
		if !slices.Contains(found, f) {
			delete(c.fresh, f)
		}
	}
	c.count += len(found) - len(v.found)
	v.found = found
}

// all is every conflict, in order.
func (c *conflicts) all() (list []conflict) {
	for _, t := range c.tables {
		for _, root := range []*trieNode[advertised]{t.v4, t.v6} {
			if root == nil {
				continue
			}
			if root.value != nil {
				list = append(list, root.value.found...)
			}
			root.down(func(n *trieNode[advertised]) bool {
				list = append(list, n.value.found...)
				return true
			})
		}
	}
	slices.SortFunc(list, func(a, b conflict) int {
		return cmp.Or(strings.Compare(a.transit, b.transit), strings.Compare(a.table, b.table), a.prefix.Addr().Compare(b.prefix.Addr()),
			cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), strings.Compare(a.kind, b.kind), a.loser.Compare(b.loser))
	})
	return list
}

// message is a conflict as it is told. h.mu is held.
func (h *hub) message(c conflict) *ic.Conflict {
	name := func(u ovsdb.UUID) string {
		if z := h.zones[u]; z != nil {
			return z.name
		}
		return u.String()
	}
	return &ic.Conflict{
		Switch: c.transit, Table: c.table, Prefix: c.prefix.String(), Zone: name(c.zone),
		OtherPrefix: c.other.String(), OtherZone: name(c.loser), Kind: c.kind,
	}
}

// maxLogged is how many conflicts of one round get a line of their own.
const maxLogged = 20

// drain takes out what was found since the last call: the first ones to be logged.
func (c *conflicts) drain(h *hub) (told []*ic.Conflict, more int) {
	for f := range c.fresh {
		if len(told) == maxLogged {
			more = len(c.fresh) - maxLogged
			break
		}
		told = append(told, h.message(f))
	}
	clear(c.fresh)
	return told, more
}

func (c *Centre) logConflicts(told []*ic.Conflict, more int) {
	for _, f := range told {
		c.log.Warn("zones advertise overlapping prefixes", "switch", f.Switch, "table", f.Table, "kind", f.Kind,
			"prefix", f.Prefix, "zone", f.Zone, "other_prefix", f.OtherPrefix, "other_zone", f.OtherZone)
	}
	if more > 0 {
		c.log.Warn("zones advertise overlapping prefixes: more than are logged", "more", more)
	}
}
