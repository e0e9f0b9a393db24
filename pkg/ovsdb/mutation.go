package ovsdb

import (
	"fmt"
	"math"
)

// mutation is one <mutation>.
type mutation struct {
	column *ColumnSchema
	op     string
	arg    Value // of a map's "delete" also a Set of keys
}

func parseMutation(t *TableSchema, v *jsonValue, names symbols) (m mutation, err error) {
	if v.kind != jsonArray || len(v.list) != 3 || v.list[0].kind != jsonString || v.list[1].kind != jsonString {
		return m, syntaxError(v, "Parse error in mutation.")
	}
	if m.column = t.lookup(v.list[0].text); m.column == nil {
		return m, unknownColumn(t, v.list[0].text, v)
	}
	if !m.column.Mutable || m.column.Index < 0 {
		return m, &Error{Kind: ErrConstraint, Details: fmt.Sprintf("Cannot mutate immutable column %s in table %s.", m.column.Name, t.Name), Syntax: v.short()}
	}
	m.op = v.list[1].text
	typ := m.column.Type
	mismatch := func() error {
		return syntaxError(v, fmt.Sprintf("Type mismatch: %q operator may not be applied to column %s of type %s.", m.op, m.column.Name, typ.describe()))
	}
	switch m.op {
	case "+=", "-=", "*=", "/=", "%=":
		if typ.IsMap() || typ.Key.Type != TypeInteger && (typ.Key.Type != TypeReal || m.op == "%=") {
			return m, mismatch()
		}
		scalar := ColumnType{Key: NewBaseType(typ.Key.Type), Min: 1, Max: 1}
		m.arg, err = scalar.parseValue(&v.list[2], names)
	case "insert", "delete":
		if typ.IsScalar() {
			return m, mismatch()
		}
		arg := typ
		if arg.Min = 0; m.op == "delete" {
			arg.Max = Unlimited
		}
		m.arg, err = arg.parseValue(&v.list[2], names)
		if err != nil && m.op == "delete" && typ.IsMap() {
			arg.Value = BaseType{} // keys rather than pairs
			m.arg, err = arg.parseValue(&v.list[2], names)
		}
	default:
		return m, errorf(ErrUnknownMutator, "No mutator named %s.", m.op)
	}
	return m, err
}

// apply returns the value after the mutation, with constraints checked.
func (m *mutation) apply(v Value) (Value, error) {
	typ := &m.column.Type
	switch m.op {
	case "insert":
		switch x := v.(type) {
		case Set:
			for a := range m.arg.(Set).All() {
				x = x.With(a)
			}
			v = x
		case Map:
			for k, e := range m.arg.(Map).All() {
				if _, ok := x.Get(k); !ok {
					x = x.With(k, e)
				}
			}
			v = x
		}
	case "delete":
		switch x := v.(type) {
		case Set:
			for a := range m.arg.(Set).All() {
				x = x.Without(a)
			}
			v = x
		case Map:
			if keys, ok := m.arg.(Set); ok {
				for k := range keys.All() {
					x = x.Without(k)
				}
				v = x
				break
			}
			for k, e := range m.arg.(Map).All() {
				if have, ok := x.Get(k); ok && compareAtoms(have, e) == 0 {
					x = x.Without(k)
				}
			}
			v = x
		}
	default:
		return m.arithmetic(v)
	}
	if n := valueLen(v); n < typ.Min || n > typ.Max {
		return nil, constraintf("Attempted to store %d elements in %s.", n, typ.describe())
	}
	return v, nil
}

// cost is the work of applying it to a row.
func (m *mutation) cost(r *Row) int {
	n := valueLen(m.arg)
	if m.op != "insert" && m.op != "delete" {
		n = valueLen(r.values[m.column.Index])
	}
	return 1 + n/4
}

func (m *mutation) arithmetic(v Value) (Value, error) {
	typ := &m.column.Type
	one := func(a Atom) (Atom, error) {
		var err error
		switch x := a.(type) {
		case int64:
			a, err = m.integer(x, m.arg.(int64))
		case float64:
			a, err = m.real(x, m.arg.(float64))
		}
		if err == nil {
			err = typ.Key.check(a)
		}
		return a, err
	}
	s, ok := v.(Set)
	if !ok {
		return one(v)
	}
	atoms := make([]Atom, 0, s.Len())
	for a := range s.All() {
		a, err := one(a)
		if err != nil {
			return nil, err
		}
		atoms = append(atoms, a)
	}
	next := NewSet(atoms...)
	if next.Len() != len(atoms) {
		return nil, constraintf("Result of %q operation contains duplicates.", m.op)
	}
	return next, nil
}

func (m *mutation) integer(x, y int64) (int64, error) {
	outOfRange := errorf(ErrRange, "Result of %q operation is out of range.", m.op)
	switch m.op {
	case "+=":
		if sum := x + y; (sum > x) == (y > 0) {
			return sum, nil
		}
	case "-=":
		if d := x - y; (d < x) == (y > 0) {
			return d, nil
		}
	case "*=":
		// ovsdb-server 3.1 refuses some products that fit, and crashes on a
		// negative number times 0.
		if x == 0 || y == 0 {
			return 0, nil
		}
		if p := x * y; p/y == x && !(x == -1 && y == math.MinInt64) && !(y == -1 && x == math.MinInt64) {
			return p, nil
		}
	default:
		if y == 0 {
			return 0, errorf(ErrDomain, "Division by zero.")
		}
		switch {
		case x == math.MinInt64 && y == -1:
		case m.op == "%=":
			return x % y, nil
		default:
			return x / y, nil
		}
	}
	return 0, outOfRange
}

func (m *mutation) real(x, y float64) (float64, error) {
	switch m.op {
	case "+=":
		x += y
	case "-=":
		x -= y
	case "*=":
		x *= y
	case "/=":
		if y == 0 {
			return 0, errorf(ErrDomain, "Division by zero.")
		}
		x /= y
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, errorf(ErrRange, "Result of %q operation is out of range.", m.op)
	}
	return x + 0, nil
}
