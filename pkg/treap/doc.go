// Package treap is an ordered, persistent (immutable) map whose shape depends
// on its contents only.
//
// A treap is a binary search tree by key and at the same time a heap by
// priority. The priority of an element is a hash of its key, so two trees with
// equal contents are node for node the same tree, whatever the order in which
// they were built:
//
//	         k4 p=99
//	        /       \
//	   k2 p=71     k7 p=80        in order: k1 < k2 < k4 < k5 < k7
//	   /           /              each node: size and sum of its subtree
//	k1 p=12     k5 p=33
//
// # Contract
//
// A Tree is a value of one word; its zero value is the empty tree. No method
// changes a tree: With and Without return a new one that shares all but
// O(log n) nodes with the old one. Trees may be read by any number of
// goroutines.
//
// Every node holds the number of elements below it and the sum, in two words
// modulo 2^64, of their hashes (Ops.Hash). The sum does not depend on order, so
// it identifies the contents of a subtree. Diff skips subtrees whose size and
// sum are equal and therefore takes O(d log n) for d differences, also between
// trees that share no node.
//
// # Invariants
//
//   - Keys ascend in order; priority does not ascend towards the leaves; equal
//     priorities are ordered by key.
//   - size and sum are those of the subtree. Check verifies all of this.
//   - The sum is a check against accident, not against an adversary who can
//     search for colliding sets of elements.
//
// # Debugging
//
// Check returns the first violated invariant of a tree, with the key.
package treap
