package logical

import (
	"cmp"
	"fmt"
	"slices"
)

// Normalize is the disjunctive normal form of e with all prerequisites: e
// holds for a packet if and only if one of the conjunctions does. They are
// sorted, none is there twice, and in a form of up to 256 none is implied by
// another one. An expression that no packet fulfils gives an empty list.
//
// A negated predicate, such as !ip4.src_mcast, holds for other Ethernet types too.
// Open vSwitch has no match for "another type than", so where the rest of the
// expression does not name the type, these packets are left out: the form
// then implies the expression, see [Expr.Inexact].
//
// It fails if a set is unknown ([ErrUnknownSet]), if an element of a set does
// not fit the field, or with [ErrTooComplex].
func (e *Expr) Normalize(r Resolver) ([]Conj, error) {
	n := normalizer{resolver: r}
	return finish(n.expr(e, false), n.err)
}

// Inexact reports whether e holds for packets that its normal form leaves
// out.
func (e *Expr) Inexact(r Resolver) bool {
	n := normalizer{resolver: r}
	return slices.ContainsFunc(n.expr(e, false), draft.inexpressible)
}

// inexpressible reports whether d tests that a nominal field differs from a
// value.
func (d draft) inexpressible() bool {
	return slices.ContainsFunc(d.conj, func(t Term) bool { return t.except != nil })
}

// And is the normal form of "a and b".
func And(a, b []Conj) ([]Conj, error) {
	if len(b) == 1 && len(b[0]) == 0 {
		return a, nil
	}
	n := normalizer{}
	return finish(n.cross(drafts(a), drafts(b)), n.err)
}

// Or is the normal form of "a or b".
func Or(a, b []Conj) ([]Conj, error) {
	n := normalizer{}
	return finish(n.union(slices.Concat(drafts(a), drafts(b))), n.err)
}

func drafts(list []Conj) []draft {
	out := make([]draft, len(list))
	for i := range list {
		out[i].conj = list[i]
	}
	return out
}

func finish(list []draft, err error) ([]Conj, error) {
	if err != nil {
		return nil, err
	}
	out := make([]Conj, 0, len(list))
	for i := range list {
		if !list[i].inexpressible() {
			out = append(out, list[i].conj)
		}
	}
	return absorb(out), nil
}

// absorbLimit bounds the quadratic search for implied conjunctions.
const absorbLimit = 256

// absorb drops the conjunctions that another one implies, from a sorted list.
func absorb(list []Conj) []Conj {
	if len(list) < 2 || len(list) > absorbLimit {
		return list
	}
	out := list[:0:0]
	for i, c := range list {
		if !slices.ContainsFunc(list, func(o Conj) bool { return o.covers(c) && o.compare(c) != 0 }) {
			out = append(out, list[i])
		}
	}
	return out
}

// draft is a conjunction in the making. In a template, holes says which
// fields are to equal which arguments besides.
type draft struct {
	conj  Conj
	holes []holeTerm
}

// holeTerm is "field == {hole}".
type holeTerm struct {
	field *Field
	hole  int
}

func (d draft) compare(o draft) int {
	if c := d.conj.compare(o.conj); c != 0 {
		return c
	}
	return slices.CompareFunc(d.holes, o.holes, func(a, b holeTerm) int {
		return cmp.Or(cmp.Compare(a.hole, b.hole), cmp.Compare(a.field.Name, b.field.Name))
	})
}

type normalizer struct {
	resolver Resolver
	merges   int
	err      error
	symbolic bool // holes may stand in positive equalities
}

func (n *normalizer) fail(err error) []draft {
	if n.err == nil {
		n.err = err
	}
	return nil
}

func (n *normalizer) expr(e *Expr, neg bool) []draft {
	if n.err != nil {
		return nil
	}
	switch e.Op {
	case OpFalse, OpTrue:
		if (e.Op == OpTrue) == neg {
			return nil
		}
		return []draft{{}}
	case OpNot:
		return n.expr(e.Args[0], !neg)
	case OpAnd, OpOr:
		if (e.Op == OpAnd) == neg {
			var all []draft
			for _, a := range e.Args {
				all = append(all, n.expr(a, neg)...)
			}
			return n.union(all)
		}
		lists := make([][]draft, len(e.Args))
		for i, a := range e.Args {
			if lists[i] = n.expr(a, neg); len(lists[i]) == 0 {
				return nil
			}
		}
		// Short lists first: contradictions show early.
		slices.SortStableFunc(lists, func(a, b []draft) int { return cmp.Compare(len(a), len(b)) })
		out := lists[0]
		for _, l := range lists[1:] {
			out = n.cross(out, l)
		}
		return out
	case OpResident:
		t := Term{Field: residentField, Str: e.Values[0].Text, Mask: U64(1).Bytes()}
		if !neg {
			t.Value[15] = 1
		}
		return []draft{n.hole(&e.Values[0], neg, residentField, Conj{t})}
	}
	return n.compare(e, neg)
}

// hole turns a conjunction with the constant c into one with the hole that c
// may be.
func (n *normalizer) hole(c *Constant, neg bool, f *Field, plain Conj) draft {
	if c.Form != FormHole {
		return draft{conj: plain}
	}
	if !n.symbolic || neg {
		n.fail(errNotSymbolic)
	}
	return draft{holes: []holeTerm{{f, c.hole}}}
}

// errNotSymbolic is why a template has no precomputed normal form.
var errNotSymbolic = fmt.Errorf("%w: a hole without a value", ErrArgument)

func (n *normalizer) compare(e *Expr, neg bool) []draft {
	values, err := e.resolve(n.resolver)
	if err != nil {
		return n.fail(err)
	}
	f, rel := e.Field, e.Rel
	if neg {
		rel = rel.negate()
	}
	if len(values) == 0 {
		if rel == NotEqual {
			return []draft{{}}
		}
		return nil
	}
	if f.predicate != nil {
		var out []draft
		for i := range values {
			if part := n.expr(f.predicate, false); values[i].Value == one.Value {
				out = append(out, part...)
			} else {
				out = append(out, n.negate(part)...)
			}
		}
		if out = n.union(out); rel == NotEqual {
			out = n.negate(out)
		}
		return out
	}
	out := n.leaf(f, rel, values)
	for ; f != nil; f = f.Parent {
		if f.prereq != nil {
			out = n.cross(out, n.expr(f.prereq, false))
		}
	}
	return out
}

// negate is the complement of a disjunction without holes. Each conjunction
// t1 && t2 && ... becomes !t1 || (t1 && !t2) || ..., so that a test of a field
// keeps that of the Ethernet type before it.
func (n *normalizer) negate(list []draft) []draft {
	out := []draft{{}}
	for i := range list {
		var flipped []draft
		for j, t := range list[i].conj {
			for _, nt := range t.negate() {
				flipped = append(flipped, draft{conj: append(slices.Clone(list[i].conj[:j]), nt)})
			}
		}
		out = n.cross(out, n.union(flipped))
	}
	return out
}

// leaf is the normal form of a comparison without its prerequisites.
func (n *normalizer) leaf(f *Field, rel Relation, values []Constant) []draft {
	if len(values) > MaxConjunctions {
		return n.fail(ErrTooComplex)
	}
	if rel == Equal {
		out := make([]draft, 0, len(values))
		for i := range values {
			c := &values[i]
			switch {
			case c.Form == FormHole:
				out = append(out, n.hole(c, false, f, nil))
			case f.Kind == String:
				out = append(out, draft{conj: Conj{{Field: f, Str: c.Text}}})
			default:
				out = append(out, draft{conj: f.terms(nil, c.Value, c.cubeMask(f))})
			}
		}
		return n.union(out)
	}
	for i := range values {
		if values[i].Form == FormHole {
			return n.fail(errNotSymbolic)
		}
	}
	var cubes []cube
	if rel == NotEqual {
		cubes = []cube{{}}
		var spare []cube
		for i := range values {
			minus := cube{values[i].Value, values[i].cubeMask(f)}
			next := spare[:0]
			for _, c := range cubes {
				next = c.subtract(next, minus)
			}
			if n.merges += len(cubes)/16 + 1; len(next) > MaxConjunctions || n.merges > maxMerges {
				return n.fail(ErrTooComplex)
			}
			cubes, spare = next, cubes
		}
	} else {
		cubes = order(rel, values[0].Value, f.Bits)
	}
	out := make([]draft, len(cubes))
	for i, c := range cubes {
		out[i].conj = f.terms(nil, c.value, c.mask)
	}
	return n.union(out)
}

// cubeMask is the mask of c in a comparison with f.
func (c *Constant) cubeMask(f *Field) U128 {
	if c.Masked {
		return c.Mask
	}
	return Ones(f.Bits)
}

// cube is the set of numbers x with x & mask == value.
type cube struct{ value, mask U128 }

// subtract appends the parts of c that are not in d, disjoint cubes:
//
//	c = 1***, d = 110*  ->  0 bits of d that c leaves open, from the top:
//	                        10**, 111*
func (c cube) subtract(out []cube, d cube) []cube {
	if !c.value.Xor(d.value).And(c.mask).And(d.mask).IsZero() {
		return append(out, c)
	}
	rest := c
	for open := d.mask.And(c.mask.Not()); !open.IsZero(); {
		bit := U64(1).Shl(open.Len() - 1)
		rest.mask = rest.mask.Or(bit)
		out = append(out, cube{rest.value.Or(d.value.Xor(bit).And(bit)), rest.mask})
		rest.value = rest.value.Or(d.value.And(bit))
		open = open.Xor(bit)
	}
	return out
}

// order is the numbers of width bits that are in relation rel to v, as
// disjoint cubes: for x < v, one for each 1-bit of v, where x agrees with v
// above that bit and has a 0 there; x <= v is x < v+1, x >= v is x > v-1.
func order(rel Relation, v U128, width int) []cube {
	switch {
	case rel == LessEqual && v == Ones(width), rel == GreaterEqual && v.IsZero():
		return []cube{{}}
	case rel == LessEqual:
		v = v.Add(U64(1))
	case rel == GreaterEqual:
		v = v.Sub(U64(1))
	}
	greater := rel >= Greater
	var out []cube
	for i := range width {
		if v.Bit(i) != greater {
			mask := Ones(width).Xor(Ones(i))
			out = append(out, cube{v.Xor(U64(1).Shl(i)).And(mask), mask})
		}
	}
	return out
}

// union sorts a disjunction and drops what is there twice.
func (n *normalizer) union(list []draft) []draft {
	if len(list) > 1 {
		slices.SortFunc(list, draft.compare)
		list = slices.CompactFunc(list, func(a, b draft) bool { return a.compare(b) == 0 })
	}
	if len(list) > MaxConjunctions {
		return n.fail(ErrTooComplex)
	}
	return list
}

// cross is the conjunction of two disjunctions.
func (n *normalizer) cross(a, b []draft) []draft {
	if n.err != nil {
		return nil
	}
	if n.merges += len(a) * len(b); n.merges > maxMerges {
		return n.fail(ErrTooComplex)
	}
	var out []draft
	for _, x := range a {
		for _, y := range b {
			if c, ok := merge(x.conj, y.conj); ok {
				out = append(out, draft{c, mergeHoles(x.holes, y.holes)})
			}
		}
		if len(out) > 4*MaxConjunctions {
			return n.fail(ErrTooComplex)
		}
	}
	return n.union(out)
}

func mergeHoles(a, b []holeTerm) []holeTerm {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := slices.Concat(a, b)
	same := func(x, y holeTerm) int {
		return cmp.Or(cmp.Compare(x.hole, y.hole), cmp.Compare(x.field.Name, y.field.Name))
	}
	slices.SortFunc(out, same)
	return slices.CompactFunc(out, func(x, y holeTerm) bool { return same(x, y) == 0 })
}
