package treap

import (
	"fmt"
	"iter"
	"slices"
)

// Sum is the hash of an element, or the sum of those of a subtree.
type Sum [2]uint64

// Add returns the sum of s and t, word by word modulo 2^64.
func (s Sum) Add(t Sum) Sum { return Sum{s[0] + t[0], s[1] + t[1]} }

// Sub is the inverse of Add.
func (s Sum) Sub(t Sum) Sum { return Sum{s[0] - t[0], s[1] - t[1]} }

// Ops are the operations on keys and values that a tree needs. An
// implementation is a type without state; its zero value is used.
type Ops[K, V any] interface {
	// Compare orders keys as cmp.Compare does.
	Compare(a, b K) int
	// Priority is a well distributed hash of the key.
	Priority(k K) uint64
	// Hash identifies the element (key and value). Since hashes are added, it
	// must be a good one: sums of a linear hash such as FNV collide when values
	// swap places. Where it is always zero, trees have no useful sums, and Diff
	// compares shared nodes only.
	Hash(k K, v V) Sum
	// Equal tells whether two values under one key are the same.
	Equal(a, b V) bool
}

// node has its value before its key: a value without size at the end would take
// room. Half of the priority is plenty; what ties is ordered by key.
type node[K, V any] struct {
	left, right *node[K, V]
	sum         Sum
	value       V
	key         K
	priority    uint32
	size        uint32
}

func priorityOf[K, V any, O Ops[K, V]](k K) uint32 {
	var o O
	return uint32(o.Priority(k) >> 32)
}

// Tree is an immutable ordered map. The zero value is empty.
type Tree[K, V any, O Ops[K, V]] struct{ root *node[K, V] }

func (n *node[K, V]) count() int {
	if n == nil {
		return 0
	}
	return int(n.size)
}

func (n *node[K, V]) total() Sum {
	if n == nil {
		return Sum{}
	}
	return n.sum
}

// own is the hash of the element at n alone.
func (n *node[K, V]) own() Sum { return n.sum.Sub(n.left.total()).Sub(n.right.total()) }

// link returns a copy of n, whose own hash is own, with other children.
func (n *node[K, V]) link(own Sum, left, right *node[K, V]) *node[K, V] {
	return &node[K, V]{
		left: left, right: right, priority: n.priority, key: n.key, value: n.value,
		size: uint32(1 + left.count() + right.count()),
		sum:  own.Add(left.total()).Add(right.total()),
	}
}

// above tells whether a belongs nearer to the root than b.
func (t Tree[K, V, O]) above(a, b *node[K, V]) bool {
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	var o O
	return o.Compare(a.key, b.key) < 0
}

// Len is the number of elements.
func (t Tree[K, V, O]) Len() int { return t.root.count() }

// Sum is the sum of the elements' hashes.
func (t Tree[K, V, O]) Sum() Sum { return t.root.total() }

// Same tells whether both trees are the very same nodes. Trees that are not
// the same may still be equal.
func (t Tree[K, V, O]) Same(u Tree[K, V, O]) bool { return t.root == u.root }

// Get returns the value under k.
func (t Tree[K, V, O]) Get(k K) (V, bool) {
	var o O
	for n := t.root; n != nil; {
		switch c := o.Compare(k, n.key); {
		case c == 0:
			return n.value, true
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	var zero V
	return zero, false
}

// With returns the tree with v under k.
func (t Tree[K, V, O]) With(k K, v V) Tree[K, V, O] {
	var o O
	n := &node[K, V]{priority: priorityOf[K, V, O](k), sum: o.Hash(k, v), size: 1, key: k, value: v}
	return Tree[K, V, O]{t.insert(t.root, n)}
}

func (t Tree[K, V, O]) insert(at, n *node[K, V]) *node[K, V] {
	if at == nil {
		return n
	}
	var o O
	c := o.Compare(n.key, at.key)
	if c == 0 {
		if o.Equal(n.value, at.value) {
			return at
		}
		return n.link(n.sum, at.left, at.right)
	}
	if t.above(n, at) {
		less, _, greater := t.split(at, n.key)
		return n.link(n.sum, less, greater)
	}
	if c < 0 {
		left := t.insert(at.left, n)
		if left == at.left {
			return at
		}
		return at.link(at.own(), left, at.right)
	}
	right := t.insert(at.right, n)
	if right == at.right {
		return at
	}
	return at.link(at.own(), at.left, right)
}

// split returns what is below k, the node with key k or nil, and what is above.
func (t Tree[K, V, O]) split(at *node[K, V], k K) (less, equal, greater *node[K, V]) {
	if at == nil {
		return nil, nil, nil
	}
	var o O
	switch c := o.Compare(k, at.key); {
	case c == 0:
		return at.left, at, at.right
	case c < 0:
		less, equal, greater = t.split(at.left, k)
		return less, equal, at.link(at.own(), greater, at.right)
	default:
		less, equal, greater = t.split(at.right, k)
		return at.link(at.own(), at.left, less), equal, greater
	}
}

// Without returns the tree without k.
func (t Tree[K, V, O]) Without(k K) Tree[K, V, O] {
	return Tree[K, V, O]{t.remove(t.root, k)}
}

func (t Tree[K, V, O]) remove(at *node[K, V], k K) *node[K, V] {
	if at == nil {
		return nil
	}
	var o O
	switch c := o.Compare(k, at.key); {
	case c == 0:
		return t.join(at.left, at.right)
	case c < 0:
		left := t.remove(at.left, k)
		if left == at.left {
			return at
		}
		return at.link(at.own(), left, at.right)
	default:
		right := t.remove(at.right, k)
		if right == at.right {
			return at
		}
		return at.link(at.own(), at.left, right)
	}
}

// join unites two trees, all keys of the first being below those of the second.
func (t Tree[K, V, O]) join(a, b *node[K, V]) *node[K, V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case t.above(a, b):
		return a.link(a.own(), a.left, t.join(a.right, b))
	default:
		return b.link(b.own(), t.join(a, b.left), b.right)
	}
}

// All yields the elements in the order of their keys.
func (t Tree[K, V, O]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { walk(t.root, yield) }
}

func walk[K, V any](n *node[K, V], yield func(K, V) bool) bool {
	return n == nil || walk(n.left, yield) && yield(n.key, n.value) && walk(n.right, yield)
}

// Min returns the element with the least key.
func (t Tree[K, V, O]) Min() (k K, v V, ok bool) {
	n := t.root
	if n == nil {
		return k, v, false
	}
	for n.left != nil {
		n = n.left
	}
	return n.key, n.value, true
}

// Element is a key with its value.
type Element[K, V any] struct {
	Key   K
	Value V
}

// Build returns the tree of the given elements in O(n log n), or O(n) when they
// come in order. Of several elements with one key the last one counts. The
// slice is sorted in place.
func Build[K, V any, O Ops[K, V]](elements []Element[K, V]) Tree[K, V, O] {
	var o O
	var t Tree[K, V, O]
	byKey := func(a, b Element[K, V]) int { return o.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(elements, byKey) {
		slices.SortStableFunc(elements, byKey)
	}
	// The right spine of the tree so far, root first.
	var spine []*node[K, V]
	for i, e := range elements {
		if i+1 < len(elements) && o.Compare(e.Key, elements[i+1].Key) == 0 {
			continue
		}
		n := &node[K, V]{priority: priorityOf[K, V, O](e.Key), sum: o.Hash(e.Key, e.Value), size: 1, key: e.Key, value: e.Value}
		var below *node[K, V]
		for len(spine) > 0 && t.above(n, spine[len(spine)-1]) {
			below = spine[len(spine)-1]
			spine = spine[:len(spine)-1]
			complete(below)
		}
		n.left = below
		if len(spine) > 0 {
			spine[len(spine)-1].right = n
		}
		spine = append(spine, n)
	}
	for i := len(spine) - 1; i >= 0; i-- {
		complete(spine[i])
	}
	if len(spine) > 0 {
		t.root = spine[0]
	}
	return t
}

// complete completes a node whose children are final: until then sum is its own.
func complete[K, V any](n *node[K, V]) {
	n.size = uint32(1 + n.left.count() + n.right.count())
	n.sum = n.sum.Add(n.left.total()).Add(n.right.total())
}

// Check returns an error that names the first violated invariant, or nil.
func (t Tree[K, V, O]) Check() error {
	_, err := t.check(t.root)
	return err
}

func (t Tree[K, V, O]) check(n *node[K, V]) (Sum, error) {
	if n == nil {
		return Sum{}, nil
	}
	var o O
	left, err := t.check(n.left)
	if err != nil {
		return Sum{}, err
	}
	right, err := t.check(n.right)
	if err != nil {
		return Sum{}, err
	}
	sum := o.Hash(n.key, n.value).Add(left).Add(right)
	switch {
	case n.left != nil && o.Compare(n.left.key, n.key) >= 0, n.right != nil && o.Compare(n.right.key, n.key) <= 0:
		return sum, fmt.Errorf("treap: key %v is out of order", n.key)
	case n.left != nil && !t.above(n, n.left), n.right != nil && !t.above(n, n.right):
		return sum, fmt.Errorf("treap: key %v is below a lower priority", n.key)
	case n.priority != priorityOf[K, V, O](n.key):
		return sum, fmt.Errorf("treap: key %v has a foreign priority", n.key)
	case n.count() != 1+n.left.count()+n.right.count():
		return sum, fmt.Errorf("treap: key %v has size %d", n.key, n.size)
	case n.sum != sum:
		return sum, fmt.Errorf("treap: key %v has a wrong sum", n.key)
	}
	return sum, nil
}
