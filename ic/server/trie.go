package server

import (
	"math/bits"
	"net/netip"
)

// trie finds prefixes by what they lie in. Nodes with one way on are left out, but
// for those that hold something.
//
//	0.0.0.0/0 -- 10.0.0.0/8 -+- 10.1.0.0/16
//	                         +- 10.2.0.0/15 -+- 10.2.0.0/24     10.2.0.0/15 holds nothing,
//	                                         +- 10.3.0.0/24     it is where two ways part
type trie[V any] struct{ v4, v6 *trieNode[V] }

type trieNode[V any] struct {
	prefix netip.Prefix // masked
	parent *trieNode[V]
	child  [2]*trieNode[V]
	value  *V // nil: a fork only
}

func (t *trie[V]) root(p netip.Prefix) **trieNode[V] {
	if p.Addr().Is4() {
		return &t.v4
	}
	return &t.v6
}

// bitOf is bit i of an address, from the left.
func bitOf(a netip.Addr, i int) int {
	b := a.AsSlice()
	return int(b[i/8]>>(7-i%8)) & 1
}

// common is the longest prefix that two have in common.
func common(a, b netip.Prefix) netip.Prefix {
	x, y := a.Addr().AsSlice(), b.Addr().AsSlice()
	n := 0
	for i := range x {
		d := bits.LeadingZeros8(x[i] ^ y[i])
		n += d
		if d < 8 {
			break
		}
	}
	return netip.PrefixFrom(a.Addr(), min(n, a.Bits(), b.Bits())).Masked()
}

// within tells whether a lies in b or is b.
func within(a, b netip.Prefix) bool { return b.Bits() <= a.Bits() && b.Contains(a.Addr()) }

// get finds a node that holds something, or nil.
func (t *trie[V]) get(p netip.Prefix) *trieNode[V] {
	for n := *t.root(p); n != nil && within(p, n.prefix); n = n.child[bitOf(p.Addr(), n.prefix.Bits())] {
		if n.prefix == p {
			if n.value == nil {
				return nil
			}
			return n
		}
	}
	return nil
}

// put finds or makes the node of a prefix, which is masked.
func (t *trie[V]) put(p netip.Prefix) *trieNode[V] {
	at, parent := t.root(p), (*trieNode[V])(nil)
	for {
		n := *at
		switch {
		case n == nil:
			n = &trieNode[V]{prefix: p, parent: parent}
			*at = n
			return n
		case n.prefix == p:
			return n
		case within(p, n.prefix):
			at, parent = &n.child[bitOf(p.Addr(), n.prefix.Bits())], n
			continue
		}
		fork := &trieNode[V]{prefix: common(p, n.prefix), parent: parent}
		*at = fork
		n.parent = fork
		fork.child[bitOf(n.prefix.Addr(), fork.prefix.Bits())] = n
		if fork.prefix == p {
			return fork
		}
		at, parent = &fork.child[bitOf(p.Addr(), fork.prefix.Bits())], fork
	}
}

// drop takes away a node that holds nothing any more, where it is no fork.
func (t *trie[V]) drop(n *trieNode[V]) {
	for n != nil && n.value == nil && (n.child[0] == nil || n.child[1] == nil) {
		only := n.child[0]
		if only == nil {
			only = n.child[1]
		}
		at := t.root(n.prefix)
		if n.parent != nil {
			at = &n.parent.child[bitOf(n.prefix.Addr(), n.parent.prefix.Bits())]
		}
		*at = only
		if only != nil {
			only.parent = n.parent
		}
		n = n.parent
	}
}

// up yields the nodes that hold something and that n lies in, the nearest first.
func (n *trieNode[V]) up(yield func(*trieNode[V]) bool) {
	for p := n.parent; p != nil; p = p.parent {
		if p.value != nil && !yield(p) {
			return
		}
	}
}

// down yields the nodes that hold something and lie in n. It does not go below a
// node for which yield returns false.
func (n *trieNode[V]) down(yield func(*trieNode[V]) bool) {
	for _, c := range n.child {
		if c != nil && (c.value == nil || yield(c)) {
			c.down(yield)
		}
	}
}
