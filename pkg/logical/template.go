package logical

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// MatchTemplate is a match with holes: `inport == {port} && eth.src == {mac}`.
// A hole stands where a constant may; the same name may stand in several
// places and then has one value. Templates are immutable.
type MatchTemplate struct {
	text  string
	key   [16]byte
	expr  *Expr
	holes []string
	uses  []holeUse

	// skeleton is the normal form with the holes open, if ready. Otherwise
	// the general way is taken for each Match: some hole is compared other
	// than by ==, or a set is mentioned by name.
	skeleton []draft
	ready    bool
}

// Match is a template with its holes filled. The zero Match is always true.
type Match struct {
	t    *MatchTemplate
	vals []Value
}

// MustMatch reads a template; it panics on an error, since templates are part
// of the program.
func MustMatch(text string, st *Symtab) *MatchTemplate {
	t, err := ParseMatchTemplate(text, st)
	if err != nil {
		panic("logical: match template: " + caret(err))
	}
	return t
}

// caret is an error with the place drawn, if it has one.
func caret(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return err.Error() + "\n" + e.Caret()
	}
	return err.Error()
}

// ParseMatchTemplate is MustMatch with the error, an [*Error] or
// [ErrTooComplex].
func ParseMatchTemplate(text string, st *Symtab) (*MatchTemplate, error) {
	p := newParser(text, st, true)
	e := p.match()
	if p.l.err != nil {
		return nil, p.l.err
	}
	return newMatchTemplate(text, e, p.holes, p.uses)
}

func newMatchTemplate(text string, e *Expr, holes []string, uses []holeUse) (*MatchTemplate, error) {
	t := &MatchTemplate{text: text, key: keyOf("match", text), expr: e, holes: holes, uses: uses}
	n := normalizer{symbolic: true}
	list := n.expr(e, false)
	switch {
	case n.err == nil && !slices.ContainsFunc(list, draft.inexpressible):
		t.skeleton, t.ready = list, true
		if len(holes) == 0 {
			conjs, _ := finish(list, nil)
			t.skeleton = drafts(conjs)
		}
	case errors.Is(n.err, ErrTooComplex):
		return nil, n.err
	}
	return t, nil
}

func keyOf(kind, text string) [16]byte {
	sum := sha256.Sum256([]byte(kind + "\x00" + text))
	return [16]byte(sum[:16])
}

// LiteralMatch makes a Match of an expression, such as a user's.
func LiteralMatch(e *Expr) (Match, error) {
	t, err := newMatchTemplate(e.String(), e, nil, nil)
	if err != nil {
		return Match{}, err
	}
	return Match{t: t}, nil
}

// Text is the template as it was written.
func (t *MatchTemplate) Text() string { return t.text }

// Holes are the names of the holes in the order of their first mention.
func (t *MatchTemplate) Holes() []string { return slices.Clone(t.holes) }

// Bind fills the holes: one argument for each, in any order. The error wraps
// [ErrArgument]. Sets that come as arguments must not change afterwards.
func (t *MatchTemplate) Bind(args ...Arg) (Match, error) {
	return t.bind(args, true)
}

// BindSome is Bind that takes the arguments it has holes for out of more, so
// that the match and the actions of a flow can share them.
func (t *MatchTemplate) BindSome(args ...Arg) (Match, error) { return t.bind(args, false) }

func (t *MatchTemplate) bind(args []Arg, all bool) (Match, error) {
	vals, err := bindArgs(t.holes, t.uses, args, all)
	if err != nil {
		return Match{}, fmt.Errorf("match %q: %w", t.text, err)
	}
	return Match{t, vals}, nil
}

// MustBind is Bind for arguments that are known to fit.
func (t *MatchTemplate) MustBind(args ...Arg) Match {
	m, err := t.Bind(args...)
	if err != nil {
		panic("logical: " + err.Error())
	}
	return m
}

// Expr is the match as an expression.
func (m Match) Expr() *Expr {
	if m.t == nil {
		return exprTrue
	}
	if len(m.vals) == 0 {
		return m.t.expr
	}
	return m.t.expr.bind(m.vals)
}

// String is the match as text that stock programs read.
func (m Match) String() string { return m.Expr().String() }

// AppendKey appends bytes that are equal for equal matches only, in every
// process that has the same templates.
func (m Match) AppendKey(b []byte) []byte {
	if m.t == nil {
		return append(b, make([]byte, 16)...)
	}
	b = append(b, m.t.key[:]...)
	for i := range m.vals {
		b = m.vals[i].appendKey(b)
	}
	return b
}

// Normalize is the normal form, see [Expr.Normalize]. The caller must not
// change it. Named sets are unknown here, see [Match.NormalizeWith].
func (m Match) Normalize() ([]Conj, error) { return m.NormalizeWith(nil) }

// NormalizeWith is Normalize with the contents of named sets.
func (m Match) NormalizeWith(r Resolver) ([]Conj, error) {
	switch {
	case m.t == nil:
		return []Conj{{}}, nil
	case !m.t.ready:
		return m.Expr().Normalize(r)
	}
	if len(m.vals) == 0 {
		out := make([]Conj, len(m.t.skeleton))
		for i := range out {
			out[i] = m.t.skeleton[i].conj
		}
		return out, nil
	}
	if len(m.t.skeleton) == 1 {
		if c, ok, single := m.fill(&m.t.skeleton[0]); single {
			if !ok {
				return nil, nil
			}
			return []Conj{c}, nil
		}
	}
	n := normalizer{}
	var all []draft
	for i := range m.t.skeleton {
		all = append(all, m.expand(&n, &m.t.skeleton[i])...)
	}
	return finish(n.union(all), n.err)
}

// fill is the conjunction of a draft whose holes have one value each: single.
// ok is false if the values contradict the rest.
func (m Match) fill(d *draft) (c Conj, ok, single bool) {
	for _, h := range d.holes {
		if m.vals[h.hole].set {
			return nil, false, false
		}
	}
	c = append(make(Conj, 0, len(d.conj)+len(d.holes)+3), d.conj...)
	for _, h := range d.holes {
		var buf [4]Term
		for _, t := range h.terms(buf[:0], &m.vals[h.hole].c) {
			i, found := slices.BinarySearchFunc(c, t, func(a, b Term) int { return a.place(&b) })
			switch {
			case !found:
				c = slices.Insert(c, i, t)
			case !c[i].meet(&t):
				return nil, false, true
			}
		}
	}
	return c, true, true
}

// terms appends the test that the field equals a constant.
func (h *holeTerm) terms(out Conj, c *Constant) Conj {
	switch h.field.Kind {
	case String:
		return append(out, Term{Field: h.field, Str: c.Text})
	case Resident:
		return append(out, Term{Field: h.field, Str: c.Text, Value: one.Value.Bytes(), Mask: one.Value.Bytes()})
	}
	return h.field.terms(out, c.Value, c.cubeMask(h.field))
}

// expand is the normal form of a draft some of whose holes have sets.
func (m Match) expand(n *normalizer, d *draft) []draft {
	out := []draft{{conj: d.conj}}
	for _, h := range d.holes {
		values := m.vals[h.hole].constants()
		list := make([]draft, len(values))
		for i := range values {
			list[i].conj = h.terms(nil, &values[i])
		}
		out = n.cross(out, n.union(list))
	}
	return out
}

// bind is e with its holes filled.
func (e *Expr) bind(vals []Value) *Expr {
	switch e.Op {
	case OpFalse, OpTrue:
		return e
	case OpNot:
		return not(e.Args[0].bind(vals))
	case OpAnd, OpOr:
		args := make([]*Expr, len(e.Args))
		for i, a := range e.Args {
			args[i] = a.bind(vals)
		}
		return combine(e.Op, args)
	}
	if !slices.ContainsFunc(e.Values, func(c Constant) bool { return c.Form == FormHole }) {
		return e
	}
	b := *e
	b.Values = bindConstants(e.Values, vals)
	if e.Op == OpCompare {
		switch {
		case len(b.Values) == 0 && e.Rel == Equal:
			return exprFalse
		case len(b.Values) == 0:
			return exprTrue
		case e.Field.Bits == 1 && len(b.Values) == 1 && !b.Values[0].Masked:
			b.Values[0].Form = FormDecimal
		}
	}
	return &b
}

// bindConstants is a list with its holes filled, those with a set by all
// elements.
func bindConstants(list []Constant, vals []Value) []Constant {
	if len(list) == 0 {
		return list
	}
	out := make([]Constant, 0, len(list))
	for i := range list {
		if list[i].Form == FormHole {
			out = append(out, vals[list[i].hole].constants()...)
		} else {
			out = append(out, list[i])
		}
	}
	return out
}

// bind is a single constant, filled if it is a hole.
func (c *Constant) bind(vals []Value) Constant {
	if c.Form == FormHole {
		return vals[c.hole].c
	}
	return *c
}
