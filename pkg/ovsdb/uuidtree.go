package ovsdb

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// uuidTree is a persistent map in the order of UUIDs: a B+ tree whose versions
// share all nodes but those on the way to what differs.
//
//	            [ .. | 4a.. | 9c.. ]             inner: the least key below each kid
//	           /        |         \
//	[00.. 1f.. 33..] [4a.. 77..] [9c.. d0.. f2..]  leaf: keys and values
//
// A tree is a value; With and Without return another one and leave it alone,
// unless it is being edited (edit, freeze): then nodes that the edit itself has
// made are changed in place, which makes a transaction of many rows cheap. An
// entry takes its key, its value and about four bytes.
type uuidTree[V any] struct {
	root *uuidNode[V]
	n    int
	by   *treeEdit
}

// treeEdit is the identity of an edit.
type treeEdit struct{ _ byte }

// treeWidth is how many entries or kids a node may have.
const treeWidth = 32

// uuidNode is a leaf if it has no kids. No node is empty.
type uuidNode[V any] struct {
	by     *treeEdit
	shared bool // keys are those of another node too
	keys   []UUID
	vals   []V
	kids   []*uuidNode[V]
}

type uuidEntry[V any] struct {
	Key   UUID
	Value V
}

// Len is the number of entries.
func (t uuidTree[V]) Len() int { return t.n }

// edit returns the tree for changes in place; freeze ends that.
func (t uuidTree[V]) edit(by *treeEdit) uuidTree[V] {
	t.by = by
	return t
}

func (t uuidTree[V]) freeze() uuidTree[V] { return t.edit(nil) }

// search returns the position of the first key that is not below k, and whether
// that is k.
func (n *uuidNode[V]) search(k *UUID) (int, bool) {
	high, low := binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])
	i, j := 0, len(n.keys)
	for i < j {
		m := int(uint(i+j) >> 1)
		key := &n.keys[m]
		if h := binary.BigEndian.Uint64(key[:8]); h < high || h == high && binary.BigEndian.Uint64(key[8:]) < low {
			i = m + 1
		} else {
			j = m
		}
	}
	return i, i < len(n.keys) && n.keys[i] == *k
}

// kid returns which kid k belongs to.
func (n *uuidNode[V]) kid(k *UUID) int {
	i, found := n.search(k)
	if !found && i > 0 {
		i--
	}
	return i
}

// Get returns the value under k.
func (t uuidTree[V]) Get(k UUID) (v V, ok bool) {
	n := t.root
	if n == nil {
		return v, false
	}
	for len(n.kids) > 0 {
		n = n.kids[n.kid(&k)]
	}
	i, found := n.search(&k)
	if !found {
		return v, false
	}
	return n.vals[i], true
}

// own returns the node itself if the edit has made it, or else a copy. The copy
// shares the keys until they change.
func (t *uuidTree[V]) own(n *uuidNode[V]) *uuidNode[V] {
	if t.by != nil && n.by == t.by {
		return n
	}
	return &uuidNode[V]{by: t.by, shared: true, keys: n.keys, vals: slices.Clone(n.vals), kids: slices.Clone(n.kids)}
}

// put returns a slice with x inserted, in place if it is ours.
func put[X any](s []X, i int, x X, ours bool) []X {
	if ours {
		return slices.Insert(s, i, x)
	}
	c := make([]X, len(s)+1)
	copy(c, s[:i])
	c[i] = x
	copy(c[i+1:], s[i:])
	return c
}

// With returns the tree with v under k.
func (t uuidTree[V]) With(k UUID, v V) uuidTree[V] {
	if t.root == nil {
		t.root, t.n = &uuidNode[V]{by: t.by, keys: []UUID{k}, vals: []V{v}}, 1
		return t
	}
	left, right := t.insert(t.root, &k, v)
	if t.root = left; right != nil {
		t.root = &uuidNode[V]{by: t.by, keys: []UUID{left.keys[0], right.keys[0]}, kids: []*uuidNode[V]{left, right}}
	}
	return t
}

// insert returns the node in its new form, and what had to be split off.
func (t *uuidTree[V]) insert(n *uuidNode[V], k *UUID, v V) (left, right *uuidNode[V]) {
	ours := t.by != nil && n.by == t.by
	if len(n.kids) == 0 {
		i, found := n.search(k)
		if found {
			n = t.own(n)
			n.vals[i] = v
			return n, nil
		}
		t.n++
		if !ours {
			n = &uuidNode[V]{by: t.by, keys: put(n.keys, i, *k, false), vals: put(n.vals, i, v, false)}
		} else {
			n.keys = put(n.keys, i, *k, !n.shared)
			n.vals, n.shared = put(n.vals, i, v, true), false
		}
		return t.split(n)
	}
	i := n.kid(k)
	left, right = t.insert(n.kids[i], k, v)
	if left == n.kids[i] && right == nil && n.keys[i] == left.keys[0] {
		return n, nil
	}
	n = t.own(n)
	n.kids[i] = left
	t.setKey(n, i, left.keys[0])
	if right == nil {
		return n, nil
	}
	n.keys = put(n.keys, i+1, right.keys[0], !n.shared)
	n.kids, n.shared = slices.Insert(n.kids, i+1, right), false
	return t.split(n)
}

// setKey changes a key of a node that is ours.
func (t *uuidTree[V]) setKey(n *uuidNode[V], i int, k UUID) {
	if n.keys[i] == k {
		return
	}
	if n.shared {
		n.keys, n.shared = slices.Clone(n.keys), false
	}
	n.keys[i] = k
}

// split divides a node that has become too wide. Both halves get slices of their
// own, of just their size.
func (t *uuidTree[V]) split(n *uuidNode[V]) (left, right *uuidNode[V]) {
	if len(n.keys) <= treeWidth {
		return n, nil
	}
	h := len(n.keys) / 2
	right = &uuidNode[V]{by: t.by, keys: slices.Clone(n.keys[h:])}
	n.keys, n.shared = slices.Clone(n.keys[:h]), false
	if len(n.kids) > 0 {
		right.kids, n.kids = slices.Clone(n.kids[h:]), slices.Clone(n.kids[:h])
	} else {
		right.vals, n.vals = slices.Clone(n.vals[h:]), slices.Clone(n.vals[:h])
	}
	return n, right
}

// Without returns the tree without k.
func (t uuidTree[V]) Without(k UUID) uuidTree[V] {
	if t.root == nil {
		return t
	}
	t.root = t.remove(t.root, &k)
	for t.root != nil && len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
	return t
}

// remove returns the node in its new form; nil if nothing is left of it.
func (t *uuidTree[V]) remove(n *uuidNode[V], k *UUID) *uuidNode[V] {
	if len(n.kids) == 0 {
		i, found := n.search(k)
		if !found {
			return n
		}
		if t.n--; len(n.keys) == 1 {
			return nil
		}
		n = t.own(n)
		t.cut(n, i)
		return n
	}
	i := n.kid(k)
	kid := t.remove(n.kids[i], k)
	if kid == n.kids[i] && n.keys[i] == kid.keys[0] && len(kid.keys) >= treeWidth/4 {
		return n
	}
	if kid == nil && len(n.kids) == 1 {
		return nil
	}
	if n = t.own(n); kid == nil {
		t.cut(n, i)
		return n
	}
	n.kids[i] = kid
	t.setKey(n, i, kid.keys[0])
	t.merge(n, i)
	return n
}

// cut removes entry i of a node that is ours.
func (t *uuidTree[V]) cut(n *uuidNode[V], i int) {
	if n.shared {
		n.keys, n.shared = slices.Clone(n.keys), false
	}
	n.keys = slices.Delete(n.keys, i, i+1)
	if len(n.kids) > 0 {
		n.kids = slices.Delete(n.kids, i, i+1)
	} else {
		n.vals = slices.Delete(n.vals, i, i+1)
	}
}

// merge unites a small kid with a neighbour where there is room.
func (t *uuidTree[V]) merge(n *uuidNode[V], i int) {
	if len(n.kids[i].keys) >= treeWidth/4 || len(n.kids) == 1 {
		return
	}
	i = max(i-1, 0)
	a, b := n.kids[i], n.kids[i+1]
	if len(a.keys)+len(b.keys) > treeWidth {
		return
	}
	n.kids[i] = &uuidNode[V]{by: t.by, keys: slices.Concat(a.keys, b.keys), vals: slices.Concat(a.vals, b.vals), kids: slices.Concat(a.kids, b.kids)}
	t.cut(n, i+1)
}

// All yields the entries in the order of their keys.
func (t uuidTree[V]) All() iter.Seq2[UUID, V] {
	return func(yield func(UUID, V) bool) {
		if t.root != nil {
			t.root.walk(yield)
		}
	}
}

func (n *uuidNode[V]) walk(yield func(UUID, V) bool) bool {
	for _, kid := range n.kids {
		if !kid.walk(yield) {
			return false
		}
	}
	for i, v := range n.vals {
		if !yield(n.keys[i], v) {
			return false
		}
	}
	return true
}

// buildUUIDTree returns the tree of the given entries; of several with one key
// one counts. The slice is sorted in place.
func buildUUIDTree[V any](entries []uuidEntry[V]) uuidTree[V] {
	byKey := func(a, b uuidEntry[V]) int { return a.Key.Compare(b.Key) }
	if !slices.IsSortedFunc(entries, byKey) {
		slices.SortFunc(entries, byKey)
	}
	last := len(entries) - 1
	unique := make([]uuidEntry[V], 0, len(entries))
	for i, e := range entries {
		if i == last || entries[i+1].Key != e.Key {
			unique = append(unique, e)
		}
	}
	var level []*uuidNode[V]
	for part := range slices.Chunk(unique, treeWidth-4) {
		n := &uuidNode[V]{keys: make([]UUID, len(part)), vals: make([]V, len(part))}
		for i, e := range part {
			n.keys[i], n.vals[i] = e.Key, e.Value
		}
		level = append(level, n)
	}
	for len(level) > 1 {
		var above []*uuidNode[V]
		for part := range slices.Chunk(level, treeWidth-4) {
			n := &uuidNode[V]{keys: make([]UUID, len(part)), kids: slices.Clone(part)}
			for i, kid := range part {
				n.keys[i] = kid.keys[0]
			}
			above = append(above, n)
		}
		level = above
	}
	t := uuidTree[V]{n: len(unique)}
	if len(level) > 0 {
		t.root = level[0]
	}
	return t
}

// check returns an error that names the first violated invariant, or nil; for
// tests.
func (t uuidTree[V]) check() error {
	if t.root == nil {
		if t.n != 0 {
			return fmt.Errorf("ovsdb: an empty tree of %d", t.n)
		}
		return nil
	}
	n, _, err := t.root.check()
	if err == nil && n != t.n {
		err = fmt.Errorf("ovsdb: a tree of %d has %d entries", t.n, n)
	}
	return err
}

func (n *uuidNode[V]) check() (entries, depth int, err error) {
	switch {
	case len(n.keys) == 0, len(n.keys) > treeWidth, len(n.keys) != max(len(n.vals), len(n.kids)), len(n.vals) > 0 && len(n.kids) > 0:
		return 0, 0, fmt.Errorf("ovsdb: a node with %d keys, %d values, %d kids", len(n.keys), len(n.vals), len(n.kids))
	case !slices.IsSortedFunc(n.keys, UUID.Compare):
		return 0, 0, fmt.Errorf("ovsdb: keys are out of order at %s", n.keys[0])
	}
	for i, kid := range n.kids {
		m, d, err := kid.check()
		switch {
		case err != nil:
			return 0, 0, err
		case i > 0 && d != depth:
			return 0, 0, fmt.Errorf("ovsdb: the tree is not balanced at %s", kid.keys[0])
		case kid.keys[0] != n.keys[i], i+1 < len(n.keys) && kid.keys[len(kid.keys)-1].Compare(n.keys[i+1]) >= 0:
			return 0, 0, fmt.Errorf("ovsdb: key %s does not lead to its kid", n.keys[i])
		}
		entries, depth = entries+m, d
	}
	return entries + len(n.vals), depth + 1, nil
}
