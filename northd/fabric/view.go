package fabric

import (
	"maps"
	"slices"

	"govn/pkg/treap"
	"govn/proto"
	"govn/proto/state"
)

// local is what a chassis has of one local datapath.
type local struct {
	all *group // as all chassis have it
	own *group // as only this one has it; its ports hide those of all
}

var noLocal = local{empty, empty}

func (l local) item(k Key) *item {
	if it := l.own.item(k); it != nil {
		return it
	}
	return l.all.item(k)
}

func (l local) sharedItem(k Key) *item {
	if it := l.all.sharedItem(k); it != nil {
		return it
	}
	return l.own.sharedItem(k)
}

// view is what a chassis has, by local datapath.
type view map[uint32]local

// hidden are the ports of all that own hides.
func (l local) hidden(yield func(*item)) {
	for k := range l.own.items.All() {
		if it := l.all.item(k); it != nil {
			yield(it)
		}
	}
}

// sharedTrees are the trees of shared items, the largest one first.
func (v view) sharedTrees() []tree {
	var trees []tree
	for _, dp := range slices.Sorted(maps.Keys(v)) {
		for _, g := range []*group{v[dp].all, v[dp].own} {
			if g.shared.Len() > 0 {
				trees = append(trees, g.shared)
			}
		}
	}
	slices.SortStableFunc(trees, func(a, b tree) int { return b.Len() - a.Len() })
	return trees
}

// eachShared yields every shared item of the view once, except those of the
// first tree.
func eachShared(trees []tree, yield func(*item)) {
	seen := map[Key]struct{}{}
	for _, t := range trees[1:] {
		for k, it := range t.All() {
			if _, dup := seen[k]; dup {
				continue
			}
			if _, dup := trees[0].Get(k); dup {
				continue
			}
			seen[k] = struct{}{}
			yield(it)
		}
	}
}

// digest is the digest of all items of the view, as the chassis named self has
// them. It takes the sums of the trees where it can.
func (v view) digest(self string) state.Digest {
	var sum state.Digest
	for _, l := range v {
		sum = sum.Add(state.Digest(l.all.items.Sum())).Add(state.Digest(l.own.items.Sum()))
		l.hidden(func(it *item) { sum = sum.Sub(it.digest) })
	}
	trees := v.sharedTrees()
	if len(trees) == 0 {
		return sum
	}
	sum = sum.Add(state.Digest(trees[0].Sum()))
	me := chassisKey(self)
	if it, ok := trees[0].Get(me); ok {
		sum = sum.Sub(it.digest)
	}
	eachShared(trees, func(it *item) {
		if it.key != me {
			sum = sum.Add(it.digest)
		}
	})
	return sum
}

// each yields all items of the view, as the chassis named self has them, until
// yield returns false.
func (v view) each(self string, yield func(*item) bool) {
	for _, dp := range slices.Sorted(maps.Keys(v)) {
		l := v[dp]
		hides := l.own.items.Len() > 0
		for k, it := range l.all.items.All() {
			if hides && k.Kind == proto.Kind_KIND_PORT && l.own.item(k) != nil {
				continue
			}
			if !yield(it) {
				return
			}
		}
		for _, it := range l.own.items.All() {
			if !yield(it) {
				return
			}
		}
	}
	trees := v.sharedTrees()
	if len(trees) == 0 {
		return
	}
	me := chassisKey(self)
	for k, it := range trees[0].All() {
		if k != me && !yield(it) {
			return
		}
	}
	more := true
	eachShared(trees, func(it *item) {
		if more && it.key != me {
			more = yield(it)
		}
	})
}

// step is where a stream goes with one datapath.
type step struct {
	now    local
	here   bool    // it is local
	keys   [][]Key // changed in all, if logged
	logged bool
}

// change is the difference in one item; nil is absent.
type change struct{ old, new *item }

// differ collects changes by key, in the order in which they were found.
type differ struct {
	index   map[Key]int
	changes []change
}

// add notes an old and a new item of a key, either may be nil. A key moves
// between datapaths: what is added last does not hide what another has.
func (d *differ) add(k Key, old, new *item) {
	i, ok := d.index[k]
	if !ok {
		i = len(d.changes)
		d.index[k] = i
		d.changes = append(d.changes, change{})
	}
	if old != nil {
		d.changes[i].old = old
	}
	if new != nil {
		d.changes[i].new = new
	}
}

// difference is what takes a chassis from a view to the next one, in which the
// datapaths of next are other than in sent. misses counts the datapaths whose
// log did not reach back to sent.
func difference(sent view, next map[uint32]step, self string) (changes []change, misses int) {
	d := differ{index: map[Key]int{}}
	var sharedKeys []Key
	dirty := slices.Sorted(maps.Keys(next))
	for _, dp := range dirty {
		was, ok := sent[dp]
		if !ok {
			was = noLocal
		}
		s := next[dp]
		visit := func(k Key) {
			if shared(k.Kind) {
				sharedKeys = append(sharedKeys, k)
			} else {
				d.add(k, was.item(k), s.now.item(k))
			}
		}
		if s.logged {
			for _, keys := range s.keys {
				for _, k := range keys {
					visit(k)
				}
			}
		} else {
			diffGroups(was.all, s.now.all, visit)
			if ok && s.here {
				misses++
			}
		}
		diffGroups(was.own, s.now.own, visit)
	}
	if len(sharedKeys) > 0 {
		d.addShared(sent, next, dirty, sharedKeys)
	}
	me := chassisKey(self)
	changes = d.changes[:0]
	for _, c := range d.changes {
		switch {
		case c.old == nil && c.new == nil:
		case c.old != nil && c.new != nil && c.old.digest == c.new.digest:
		case c.old != nil && c.old.key == me, c.new != nil && c.new.key == me:
		default:
			changes = append(changes, c)
		}
	}
	return changes, misses
}

func diffGroups(old, now *group, visit func(Key)) {
	if old == now {
		return
	}
	visitor := func(k Key, _ bool, _ *item, _ bool, _ *item) bool { visit(k); return true }
	treap.Diff(old.items, now.items, visitor)
	treap.Diff(old.shared, now.shared, visitor)
}

// addShared notes the shared items among keys that come, go or change. An item
// that a datapath outside next has, has not changed.
func (d *differ) addShared(sent view, next map[uint32]step, dirty []uint32, keys []Key) {
	type pair struct {
		key Key
		change
	}
	var common []pair // those that datapaths outside next may have
	for _, k := range keys {
		if _, done := d.index[k]; done {
			continue
		}
		var c change
		for _, dp := range dirty {
			if l, ok := sent[dp]; ok && c.old == nil {
				c.old = l.sharedItem(k)
			}
			if c.new == nil {
				c.new = next[dp].now.sharedItem(k)
			}
		}
		if c.old != nil && c.old.many.Load() || c.new != nil && c.new.many.Load() {
			common = append(common, pair{k, c})
		} else {
			d.add(k, c.old, c.new)
		}
	}
	if len(common) == 0 {
		return
	}
	var rest []tree
	total := 0
	for dp, l := range sent {
		if _, ok := next[dp]; ok {
			continue
		}
		for _, g := range []*group{l.all, l.own} {
			if n := g.shared.Len(); n > 0 {
				rest = append(rest, g.shared)
				total += n
			}
		}
	}
	elsewhere := func(k Key) bool {
		for _, t := range rest {
			if _, ok := t.Get(k); ok {
				return true
			}
		}
		return false
	}
	if len(rest) > 1 && len(common) > total/len(rest) { // one pass over rest is cheaper
		all := make(map[Key]struct{}, total)
		for _, t := range rest {
			for k := range t.All() {
				all[k] = struct{}{}
			}
		}
		elsewhere = func(k Key) bool { _, ok := all[k]; return ok }
	}
	for _, p := range common {
		if !elsewhere(p.key) {
			d.add(p.key, p.old, p.new)
		}
	}
}
