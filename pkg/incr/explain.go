package incr

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation says why a node is what it is, for people.
type Explanation struct {
	Node   string   // name(key)
	Height int      // its place in the order of evaluation
	Err    error    // what it failed with
	Reads  []string // name(key) of what it read: cells, elements, queries
	Keeps  []string // collections whose elements it has children for
	Fills  []string // relation keys that it inserts into
	Emits  int      // emissions that it makes
	Refs   int      // readers; for a unit, parents and roots
}

// String prints the explanation over several lines.
func (x Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s height=%d refs=%d emits=%d", x.Node, x.Height, x.Refs, x.Emits)
	if x.Err != nil {
		fmt.Fprintf(&b, " error=%q", x.Err)
	}
	for _, part := range []struct {
		verb  string
		names []string
	}{{"reads", x.Reads}, {"keeps", x.Keeps}, {"fills", x.Fills}} {
		for _, n := range part.names {
			fmt.Fprintf(&b, "\n  %s %s", part.verb, n)
		}
	}
	return b.String()
}

// Explain describes the unit at k; ok is false when it does not exist.
// Between Runs only.
func (u *Unit[K]) Explain(k K) (x Explanation, ok bool) {
	id := u.ids[k]
	if id == 0 {
		return x, false
	}
	x = u.e.explain(id)
	fx := &u.recs.at(u.e.node(id).slot).effects
	x.Emits = len(fx.emits)
	x.Err = u.e.status.errs[statusKey{u.index, k}]
	if m := fx.more; m != nil {
		for _, r := range m.ins {
			x.Fills = append(x.Fills, u.e.nameOf(u.e.colls[r.col].keyOf(r.elem)))
		}
		for _, r := range m.eachs {
			x.Keeps = append(x.Keeps, u.e.nameOf(u.e.colls[r.col].keyNode(r.key))+" by "+u.e.fams[r.child].base().name)
		}
	}
	slices.Sort(x.Fills)
	x.Fills = slices.Compact(x.Fills)
	slices.Sort(x.Keeps)
	return x, true
}

// Explain describes the query at k; ok is false when nothing that lives has
// read it. Between Runs only.
func (q *Query[K, V]) Explain(k K) (x Explanation, ok bool) {
	id := q.ids[k]
	if id == 0 {
		return x, false
	}
	x = q.e.explain(id)
	x.Err = q.recs.at(q.e.node(id).slot).err
	return x, true
}

func (e *Engine) explain(id uint32) Explanation {
	n := e.node(id)
	x := Explanation{Node: e.nameOf(id), Height: int(n.height), Refs: int(n.refs)}
	for _, d := range n.deps {
		x.Reads = append(x.Reads, e.nameOf(d))
	}
	slices.Sort(x.Reads)
	return x
}
