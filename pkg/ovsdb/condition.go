package ovsdb

import "fmt"

type condFunc uint8

const (
	condLT condFunc = iota
	condLE
	condEQ
	condNE
	condGE
	condGT
	condIncludes
	condExcludes
)

var condFuncs = map[string]condFunc{
	"<": condLT, "<=": condLE, "==": condEQ, "!=": condNE, ">=": condGE, ">": condGT,
	"includes": condIncludes, "excludes": condExcludes,
}

// clause is one <condition>. A boolean clause has no column.
type clause struct {
	column *ColumnSchema
	fn     condFunc
	arg    Value
	always bool
}

// parseClause reads [column, function, value], or a boolean where that is
// allowed (ovsdb-server(7), 5.1).
func parseClause(t *TableSchema, v *jsonValue, names symbols) (c clause, err error) {
	if v.kind == jsonBool {
		return clause{always: v.text == "true"}, nil
	}
	if v.kind != jsonArray || len(v.list) != 3 || v.list[0].kind != jsonString || v.list[1].kind != jsonString {
		return c, syntaxError(v, "Parse error in condition.")
	}
	if c.column = t.lookup(v.list[0].text); c.column == nil {
		return c, unknownColumn(t, v.list[0].text, v)
	}
	fn, ok := condFuncs[v.list[1].text]
	if !ok {
		return c, errorf(ErrUnknownFunction, "No function named %s.", v.list[1].text)
	}
	c.fn = fn
	// The argument is of the column's type, with its constraints, as
	// ovsdb-server has it.
	typ := c.column.Type
	switch fn {
	case condLT, condLE, condGE, condGT:
		if !typ.IsScalar() && !typ.IsOptional() || typ.Key.Type != TypeInteger && typ.Key.Type != TypeReal {
			return c, syntaxError(v, fmt.Sprintf("Type mismatch: %q operator may not be applied to column %s of type %s.", v.list[1].text, c.column.Name, typ.describe()))
		}
		typ.Min = 1
	case condIncludes:
		if !typ.IsScalar() {
			typ.Min = 0
		}
	case condExcludes:
		if !typ.IsScalar() {
			typ.Min, typ.Max = 0, Unlimited
		}
	}
	c.arg, err = typ.parseValue(&v.list[2], names)
	return c, err
}

func unknownColumn(t *TableSchema, name string, v *jsonValue) *Error {
	return &Error{Kind: ErrUnknownColumn, Details: fmt.Sprintf("No column %s in table %s.", name, t.Name), Syntax: v.short()}
}

func (c *clause) matches(r *Row) bool {
	if c.column == nil {
		return c.always
	}
	if arg, ok := c.arg.(string); ok && c.fn == condEQ && c.column.Index >= 0 && c.column.Index < len(r.values) {
		v, _ := r.values[c.column.Index].(string) // what scans of whole tables mostly are
		return v == arg
	}
	v := r.Get(c.column)
	switch c.fn {
	case condEQ:
		return ValuesEqual(v, c.arg)
	case condNE:
		return !ValuesEqual(v, c.arg)
	case condIncludes:
		return includes(v, c.arg)
	case condExcludes:
		return excludes(v, c.arg)
	}
	a := v
	if s, ok := v.(Set); ok {
		if a, ok = s.First(); !ok {
			return false
		}
	}
	arg := c.arg
	if s, ok := arg.(Set); ok {
		arg, _ = s.First()
	}
	switch n := compareAtoms(a, arg); c.fn {
	case condLT:
		return n < 0
	case condLE:
		return n <= 0
	case condGE:
		return n >= 0
	default:
		return n > 0
	}
}

func includes(v, arg Value) bool {
	switch x := v.(type) {
	case Set:
		for a := range arg.(Set).All() {
			if !x.Has(a) {
				return false
			}
		}
		return true
	case Map:
		for k, e := range arg.(Map).All() {
			if have, ok := x.Get(k); !ok || compareAtoms(have, e) != 0 {
				return false
			}
		}
		return true
	}
	return ValuesEqual(v, arg)
}

func excludes(v, arg Value) bool {
	switch x := v.(type) {
	case Set:
		for a := range arg.(Set).All() {
			if x.Has(a) {
				return false
			}
		}
		return true
	case Map:
		for k, e := range arg.(Map).All() {
			if have, ok := x.Get(k); ok && compareAtoms(have, e) == 0 {
				return false
			}
		}
		return true
	}
	return !ValuesEqual(v, arg)
}

// allOf is a "where": every clause must match.
type allOf []clause

func parseWhere(t *TableSchema, v *jsonValue, names symbols) (allOf, error) {
	where := make(allOf, 0, len(v.list))
	for i := range v.list {
		c, err := parseClause(t, &v.list[i], names)
		if err != nil {
			return nil, err
		}
		where = append(where, c)
	}
	return where, nil
}

func (w allOf) matches(r *Row) bool {
	for i := range w {
		if !w[i].matches(r) {
			return false
		}
	}
	return true
}

// uuid returns the one row that can match, if a clause names it.
func (w allOf) uuid() (UUID, bool) {
	for i := range w {
		if c := &w[i]; c.column != nil && c.column.Index == -1 && (c.fn == condEQ || c.fn == condIncludes) {
			return c.arg.(UUID), true
		}
	}
	return UUID{}, false
}

// index returns a unique index all of whose columns are compared by ==.
func (w allOf) index(t *TableSchema) (index int, key []Atom, ok bool) {
indexes:
	for i, columns := range t.Indexes {
		key = key[:0]
		for _, col := range columns {
			found := false
			for j := range w {
				if c := &w[j]; c.column == col && c.fn == condEQ && !found {
					key, found = append(key, c.arg), true
				}
			}
			if !found {
				continue indexes
			}
		}
		return i, key, true
	}
	return 0, nil, false
}
