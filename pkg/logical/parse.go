package logical

import (
	"fmt"
	"slices"
)

// parser reads expressions and actions from tokens. The first error sticks:
// from then on every token is the end of the text.
type parser struct {
	l     *lexer
	st    *Symtab
	i     int
	depth int
	not   bool     // inside of an odd number of negations
	holes []string // names, in the order of their first mention
	uses  []holeUse
	scope Write // what an assignment may write besides Writable
}

// holeUse is what a place demands of the value of a hole.
type holeUse struct {
	hole  int
	field *Field // compared with, or assigned to; nil: any number
	exact bool   // one value without a mask
	one   bool   // one value, masked or not
}

func newParser(text string, st *Symtab, holes bool) *parser {
	return &parser{l: lex(text, holes), st: st, scope: Writable}
}

// ParseMatch reads a match expression. The error is an [*Error].
func ParseMatch(text string, st *Symtab) (*Expr, error) {
	p := newParser(text, st, false)
	e := p.match()
	if p.l.err != nil {
		return nil, p.l.err
	}
	return e, nil
}

func (p *parser) match() *Expr {
	e := p.expr()
	p.end()
	return e
}

func (p *parser) end() {
	if t := p.peek(); t.kind != tokEnd {
		p.fail(t, "expecting the end of the text, found %s", t.describe())
	}
}

func (p *parser) peek() *token {
	if p.l.err != nil {
		return &p.l.tokens[len(p.l.tokens)-1]
	}
	return &p.l.tokens[p.i]
}

func (p *parser) take() *token {
	t := p.peek()
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *parser) fail(t *token, format string, args ...any) {
	p.l.fail(t.pos, t.end, format, args...)
}

// failSpan blames everything from the token t up to what was taken last.
func (p *parser) failSpan(t *token, format string, args ...any) {
	end := t.end
	if p.i > 0 && p.l.err == nil {
		end = max(end, p.l.tokens[p.i-1].end)
	}
	p.l.fail(t.pos, end, format, args...)
}

func (t *token) describe() string {
	switch t.kind {
	case tokEnd:
		return "the end"
	case tokID:
		return fmt.Sprintf("%q", t.text)
	case tokPunct:
		return "`" + t.text + "'"
	}
	return "constant " + t.c.String()
}

func (t *token) is(punct string) bool { return t.kind == tokPunct && t.text == punct }

// accept takes the next token if it is that punctuation.
func (p *parser) accept(punct string) bool {
	if p.peek().is(punct) {
		p.i++
		return true
	}
	return false
}

// acceptID takes the next token if it is that word.
func (p *parser) acceptID(word string) bool {
	if t := p.peek(); t.kind == tokID && t.text == word {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(punct string) bool {
	if p.accept(punct) {
		return true
	}
	t := p.peek()
	p.fail(t, "expecting `%s', found %s", punct, t.describe())
	return false
}

// enter counts one level of nesting; leave undoes it.
func (p *parser) enter(t *token) bool {
	p.depth++
	if p.depth > MaxDepth {
		p.fail(t, "nested more than %d deep", MaxDepth)
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

func (p *parser) expr() *Expr {
	if !p.enter(p.peek()) {
		return exprFalse
	}
	defer p.leave()
	first := p.unary()
	op, text, other := OpAnd, "&&", "||"
	switch {
	case p.peek().is("&&"):
	case p.peek().is("||"):
		op, text, other = OpOr, "||", "&&"
	default:
		return first
	}
	args := []*Expr{first}
	for p.accept(text) {
		args = append(args, p.unary())
	}
	if t := p.peek(); t.is(other) {
		p.fail(t, "&& and || must be parenthesized when they are used together")
	}
	return combine(op, args)
}

func (p *parser) unary() *Expr {
	t := p.peek()
	if !p.accept("!") {
		e, _ := p.primary()
		return e
	}
	if !p.enter(t) {
		return exprFalse
	}
	defer p.leave()
	p.not = !p.not
	defer func() { p.not = !p.not }()
	if p.peek().is("!") {
		return not(p.unary())
	}
	e, atomic := p.primary()
	if !atomic {
		p.failSpan(t, "the operand of ! must be in parentheses")
	}
	return not(e)
}

// primary reads a comparison, a mention, a literal, a function or something
// in parentheses. atomic is false for comparisons.
func (p *parser) primary() (e *Expr, atomic bool) {
	t := p.peek()
	switch {
	case p.accept("("):
		e = p.expr()
		p.expect(")")
		return e, true
	case t.kind == tokID && t.text == "is_chassis_resident":
		p.take()
		return p.resident(), true
	case t.kind == tokID:
		f := p.field()
		if f == nil {
			return exprFalse, true
		}
		rel, ok := p.relation()
		if !ok {
			return p.mention(t, f), true
		}
		return p.compare(t, f, rel, p.constants()), false
	}
	// A constant first: "80 == tcp.dst", "0 < tcp.dst < 1024", or the literals.
	values := p.constants()
	if p.l.err != nil {
		return exprFalse, true
	}
	rel, ok := p.relation()
	if !ok {
		if len(values) == 1 && values[0].Form == FormDecimal && !values[0].Masked && values[0].Value.Cmp(one.Value) <= 0 {
			if values[0].Value.IsZero() {
				return exprFalse, true
			}
			return exprTrue, true
		}
		nt := p.peek()
		p.fail(nt, "expecting a relational operator, found %s", nt.describe())
		return exprFalse, true
	}
	f := p.field()
	if f == nil {
		return exprFalse, true
	}
	rt := p.peek()
	rel2, ok := p.relation()
	if !ok {
		return p.compare(t, f, rel.flip(), values), false
	}
	if up, up2 := rel == Less || rel == LessEqual, rel2 == Less || rel2 == LessEqual; rel < Less || rel2 < Less || up != up2 {
		p.fail(rt, "a range must have the form `x < field < y' or `x > field > y', with < or <=, > or >=")
		return exprFalse, true
	}
	a := p.compare(t, f, rel.flip(), values)
	b := p.compare(t, f, rel2, p.constants())
	return combine(OpAnd, []*Expr{a, b}), false
}

func (p *parser) relation() (Relation, bool) {
	t := p.peek()
	if t.kind != tokPunct {
		return 0, false
	}
	i := slices.Index(relationText[:], t.text)
	if i < 0 {
		if t.text == "=" {
			p.fail(t, "expecting a relational operator: use == to compare")
		}
		return 0, false
	}
	p.i++
	return Relation(i), true
}

// field reads a symbol and the bit range behind it; nil after an error.
func (p *parser) field() *Field {
	t := p.take()
	if t.kind != tokID {
		p.fail(t, "expecting a field, found %s", t.describe())
		return nil
	}
	f := p.st.Lookup(t.text)
	if f == nil {
		p.fail(t, "no symbol %q", t.text)
		return nil
	}
	for p.peek().is("[") {
		if f = p.bits(t, f); f == nil {
			return nil
		}
		if f.Parent.Parent != nil && f.Parent.Name[len(f.Parent.Name)-1] == ']' {
			p.failSpan(t, "a bit range of a bit range")
			return nil
		}
	}
	return f
}

// bits reads "[3]" or "[0..15]" behind the field f, which starts at t.
func (p *parser) bits(t *token, f *Field) *Field {
	p.expect("[")
	lo := p.bitNumber()
	hi := lo
	if p.accept("..") {
		hi = p.bitNumber()
	}
	p.expect("]")
	switch {
	case p.l.err != nil:
	case f.Kind == String:
		p.failSpan(t, "cannot select bits of string field %s", f.Name)
	case f.Predicate != "":
		p.failSpan(t, "cannot select bits of predicate %s", f.Name)
	case f.Level == Nominal:
		p.failSpan(t, "cannot select bits of nominal field %s", f.Name)
	case lo > hi:
		p.failSpan(t, "invalid bit range %d to %d", lo, hi)
	case hi >= f.Bits:
		p.failSpan(t, "bit %d is beyond %d-bit field %s", hi, f.Bits, f.Name)
	default:
		return f.bitRange(lo, hi)
	}
	return nil
}

func (p *parser) bitNumber() int {
	t := p.take()
	if t.kind != tokNumber || t.c.Form != FormDecimal || t.c.Masked || t.c.Value.Cmp(U64(1000)) > 0 {
		p.fail(t, "expecting a bit number, found %s", t.describe())
		return 0
	}
	return int(t.c.Value.Lo)
}

// constants reads one constant or a set in braces.
func (p *parser) constants() []Constant {
	if !p.accept("{") {
		return []Constant{p.constant()}
	}
	var list []Constant
	for {
		list = append(list, p.constant())
		p.accept(",")
		if p.l.err != nil || p.accept("}") {
			return list
		}
	}
}

func (p *parser) constant() Constant {
	t := p.take()
	switch t.kind {
	case tokNumber, tokString, tokAddrs, tokPorts:
		return t.c
	case tokHole:
		c := t.c
		c.hole = slices.Index(p.holes, c.Text)
		if c.hole < 0 {
			c.hole = len(p.holes)
			p.holes = append(p.holes, c.Text)
		}
		return c
	}
	p.fail(t, "expecting a constant, found %s", t.describe())
	return Constant{}
}

// mention is a field without an operator.
func (p *parser) mention(t *token, f *Field) *Expr {
	switch {
	case p.l.err != nil:
		return exprFalse
	case f.Kind == String:
		p.failSpan(t, "string field %s must be compared with a name", f.Name)
		return exprFalse
	case f.Bits > 1:
		p.failSpan(t, "a bare mention needs a 1-bit field, %s has %d bits: write `%s != 0'", f.Name, f.Bits, f.Name)
		return exprFalse
	}
	return p.compare(t, f, Equal, []Constant{one})
}

// compare checks the types of a comparison that starts at token t.
func (p *parser) compare(t *token, f *Field, rel Relation, values []Constant) *Expr {
	if p.l.err != nil {
		return exprFalse
	}
	if f.Write == WritableInICMP4 || f.Write == WritableInICMP6 {
		p.failSpan(t, "%s can only be assigned, not compared", f.Name)
		return exprFalse
	}
	for i := range values {
		if msg := checkConstant(f, &values[i]); msg != "" {
			p.failSpan(t, "%s", msg)
			return exprFalse
		}
		if values[i].Form == FormHole {
			p.uses = append(p.uses, holeUse{hole: values[i].hole, field: f,
				exact: rel >= Less || f.Level != Ordinal && f.Kind == Numeric, one: rel >= Less})
		}
	}
	positive := (rel == Equal) != p.not
	switch {
	case rel >= Less && f.Level != Ordinal:
		p.failSpan(t, "%s can only be compared by == and !=", f.Name)
	case rel >= Less && (len(values) != 1 || values[0].Reference()):
		p.failSpan(t, "a set can only be compared by == and !=")
	case rel >= Less && values[0].Masked:
		p.failSpan(t, "a masked constant can only be compared by == and !=; use a bit range, such as eth.src[0..15]")
	case f.Level == Nominal && f.Predicate == "" && !positive:
		p.failSpan(t, "nominal field %s can only be tested for equality (an enclosing ! counts)", f.Name)
	}
	for i := range values {
		c := &values[i]
		switch {
		case f.Predicate == "":
		case c.Form == FormHole || c.Reference() || c.Masked:
			p.failSpan(t, "predicate %s can only be compared with 0 and 1", f.Name)
		case f.Level == Nominal && positive != (c.Value == one.Value):
			p.failSpan(t, "predicate %s cannot be negated, since it stands for a test of nominal fields", f.Name)
		}
	}
	if f.Bits == 1 && len(values) == 1 && values[0].Numeric() && !values[0].Masked {
		values[0].Form = FormDecimal
	}
	return &Expr{Op: OpCompare, Field: f, Rel: rel, Values: values}
}

// checkConstant says what is wrong with comparing f with c or setting it to
// c, "" if nothing.
func checkConstant(f *Field, c *Constant) string {
	switch {
	case c.Form == FormHole:
		return ""
	case f.Kind == String && c.Form != FormString && c.Form != FormPorts:
		return fmt.Sprintf("string field %s is not compatible with constant %s", f.Name, c)
	case f.Kind == String:
		return ""
	case !c.Numeric() && c.Form != FormAddrs:
		return fmt.Sprintf("integer field %s is not compatible with constant %s", f.Name, c)
	case c.Numeric() && c.Width() > f.Bits:
		return fmt.Sprintf("%d-bit constant %s does not fit %d-bit field %s", c.Width(), c, f.Bits, f.Name)
	case c.Masked && f.Level != Ordinal && c.Mask != Ones(f.Bits):
		return fmt.Sprintf("nominal field %s cannot be masked", f.Name)
	}
	return ""
}

func (p *parser) resident() *Expr {
	p.expect("(")
	c := p.constant()
	if t := p.peek(); p.l.err == nil && c.Form != FormString && c.Form != FormHole {
		p.fail(t, "is_chassis_resident takes the name of a port in quotes")
	}
	if c.Form == FormHole {
		p.uses = append(p.uses, holeUse{hole: c.hole, field: residentField, exact: true, one: true})
	}
	p.expect(")")
	return &Expr{Op: OpResident, Values: []Constant{c}}
}
