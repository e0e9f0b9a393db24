package treap

// Equal tells whether two trees have the same contents, by size and sum.
func (t Tree[K, V, O]) Equal(u Tree[K, V, O]) bool {
	return t.root == u.root || t.Len() == u.Len() && t.Sum() == u.Sum()
}

// Diff calls visit for each key whose presence or value differs between old
// and new, in the order of keys. hasOld and hasNew tell where the key is
// present; at least one is true. It ends when visit returns false.
func Diff[K, V any, O Ops[K, V]](old, new Tree[K, V, O], visit func(k K, hasOld bool, oldV V, hasNew bool, newV V) bool) {
	old.diff(old.root, new.root, visit)
}

type visitor[K, V any] = func(k K, hasOld bool, oldV V, hasNew bool, newV V) bool

func (t Tree[K, V, O]) diff(a, b *node[K, V], visit visitor[K, V]) bool {
	var zero V
	switch {
	case a == b:
		return true
	case a == nil:
		return walk(b, func(k K, v V) bool { return visit(k, false, zero, true, v) })
	case b == nil:
		return walk(a, func(k K, v V) bool { return visit(k, true, v, false, zero) })
	case a.size == b.size && a.sum == b.sum && a.sum != Sum{}:
		return true
	}
	var o O
	if a.priority == b.priority && o.Compare(a.key, b.key) == 0 {
		return t.diff(a.left, b.left, visit) &&
			(o.Equal(a.value, b.value) || visit(a.key, true, a.value, true, b.value)) &&
			t.diff(a.right, b.right, visit)
	}
	// The key of the higher root cannot be in the other tree, or it would be
	// the root there as well.
	if t.above(a, b) {
		less, _, greater := t.split(b, a.key)
		return t.diff(a.left, less, visit) && visit(a.key, true, a.value, false, zero) && t.diff(a.right, greater, visit)
	}
	less, _, greater := t.split(a, b.key)
	return t.diff(less, b.left, visit) && visit(b.key, false, zero, true, b.value) && t.diff(greater, b.right, visit)
}
