package logical

import "slices"

// Op is the kind of an expression.
type Op uint8

const (
	OpFalse    Op = iota // 0
	OpTrue               // 1
	OpAnd                // Args, two or more, none of them an OpAnd
	OpOr                 // Args, two or more, none of them an OpOr
	OpNot                // Args[0]
	OpCompare            // Field Rel Values
	OpResident           // is_chassis_resident(Values[0])
)

// Relation is a comparison operator.
type Relation uint8

const (
	Equal Relation = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

var relationText = [...]string{"==", "!=", "<", "<=", ">", ">="}

// String is the operator as text.
func (r Relation) String() string { return relationText[r] }

// flip exchanges the sides of a comparison.
func (r Relation) flip() Relation {
	switch r {
	case Less:
		return Greater
	case LessEqual:
		return GreaterEqual
	case Greater:
		return Less
	case GreaterEqual:
		return LessEqual
	}
	return r
}

// negate is the relation that holds where r does not.
func (r Relation) negate() Relation {
	return [...]Relation{NotEqual, Equal, GreaterEqual, Greater, LessEqual, Less}[r]
}

// Expr is a match expression. It does not change once it is made.
type Expr struct {
	Op     Op
	Args   []*Expr
	Field  *Field
	Rel    Relation
	Values []Constant // several stand for a set in braces
}

var (
	exprTrue  = &Expr{Op: OpTrue}
	exprFalse = &Expr{Op: OpFalse}
)

// combine is the And or Or of args, flattened.
func combine(op Op, args []*Expr) *Expr {
	if len(args) == 1 {
		return args[0]
	}
	flat := make([]*Expr, 0, len(args))
	for _, a := range args {
		if a.Op == op {
			flat = append(flat, a.Args...)
		} else {
			flat = append(flat, a)
		}
	}
	return &Expr{Op: op, Args: flat}
}

// AllOf is the conjunction of expressions; true without any.
func AllOf(args ...*Expr) *Expr {
	if len(args) == 0 {
		return exprTrue
	}
	return combine(OpAnd, args)
}

// AnyOf is the disjunction of expressions; false without any.
func AnyOf(args ...*Expr) *Expr {
	if len(args) == 0 {
		return exprFalse
	}
	return combine(OpOr, args)
}

func not(e *Expr) *Expr {
	switch e.Op {
	case OpTrue:
		return exprFalse
	case OpFalse:
		return exprTrue
	case OpCompare: // of a register's bit: it has the other value
		if e.Field.flag() && e.Rel == Equal && len(e.Values) == 1 && e.Values[0].Form == FormDecimal && !e.Values[0].Masked {
			b := *e
			b.Values = []Constant{{Form: FormDecimal, Value: U128{Lo: 1 - e.Values[0].Value.Lo}}}
			return &b
		}
	}
	return &Expr{Op: OpNot, Args: []*Expr{e}}
}

// walk calls f for e and all below it.
func (e *Expr) walk(f func(*Expr)) {
	f(e)
	for _, a := range e.Args {
		a.walk(f)
	}
}

// Equal reports whether two expressions are written the same way, apart from
// blanks, comments, redundant parentheses and the order of the sides of a
// comparison.
func (e *Expr) Equal(o *Expr) bool {
	if e == nil || o == nil {
		return e == o
	}
	if e.Op != o.Op || e.Rel != o.Rel || len(e.Args) != len(o.Args) || !slices.Equal(e.Values, o.Values) {
		return false
	}
	if e.Op == OpCompare && e.Field.Name != o.Field.Name {
		return false
	}
	for i := range e.Args {
		if !e.Args[i].Equal(o.Args[i]) {
			return false
		}
	}
	return true
}

// Sets are the names of the address sets and port groups that e refers to,
// sorted, each once.
func (e *Expr) Sets() (addressSets, portGroups []string) {
	e.walk(func(e *Expr) {
		for i := range e.Values {
			switch e.Values[i].Form {
			case FormAddrs:
				addressSets = append(addressSets, e.Values[i].Text)
			case FormPorts:
				portGroups = append(portGroups, e.Values[i].Text)
			}
		}
	})
	slices.Sort(addressSets)
	slices.Sort(portGroups)
	return slices.Compact(addressSets), slices.Compact(portGroups)
}

// String is the canonical text of e: parsing it gives an equal expression.
func (e *Expr) String() string { return string(e.appendText(nil)) }

func (e *Expr) appendText(b []byte) []byte {
	switch e.Op {
	case OpFalse:
		return append(b, '0')
	case OpTrue:
		return append(b, '1')
	case OpAnd, OpOr:
		for i, a := range e.Args {
			switch {
			case i == 0:
			case e.Op == OpAnd:
				b = append(b, " && "...)
			default:
				b = append(b, " || "...)
			}
			if a.Op == OpAnd || a.Op == OpOr {
				b = append(a.appendText(append(b, '(')), ')')
			} else {
				b = a.appendText(b)
			}
		}
		return b
	case OpNot:
		if a := e.Args[0]; a.Op == OpResident || a.Op == OpCompare && a.bare() {
			return a.appendText(append(b, '!'))
		}
		return append(e.Args[0].appendText(append(b, "!("...)), ')')
	case OpResident:
		b = append(b, "is_chassis_resident("...)
		return append(e.Values[0].appendText(b), ')')
	}
	switch {
	case len(e.Values) == 0 && e.Rel == Equal: // an empty set has no syntax
		return append(b, '0')
	case len(e.Values) == 0:
		return append(b, '1')
	case e.bare():
		return append(b, e.Field.Name...)
	}
	b = append(b, e.Field.Name...)
	b = append(b, ' ')
	b = append(b, relationText[e.Rel]...)
	b = append(b, ' ')
	if len(e.Values) == 1 {
		return e.Values[0].appendText(b)
	}
	b = append(b, '{')
	for i := range e.Values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = e.Values[i].appendText(b)
	}
	return append(b, '}')
}

var one = Constant{Form: FormDecimal, Value: U128{Lo: 1}}

// bare reports whether e is written as the mention of a one-bit field.
func (e *Expr) bare() bool {
	return e.Field.Bits == 1 && !e.Field.flag() && e.Rel == Equal && len(e.Values) == 1 && e.Values[0] == one
}
