package ctl

import (
	"fmt"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// Operators of conditions, in the order in which messages list them.
var operators = []string{"=", "!=", "<", ">", "<=", ">=", "{=}", "{!=}", "{<}", "{>}", "{<=}", "{>=}", "{in}", "{not-in}"}

// satisfies tells whether a row meets all conditions.
func (c *Context) satisfies(table string, row *idl.Row, conditions []string) (bool, error) {
	for _, arg := range conditions {
		ref, err := c.reference(table, arg, operators)
		if err != nil {
			return false, err
		}
		ok, err := c.satisfied(row, ref)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (c *Context) satisfied(row *idl.Row, ref reference) (bool, error) {
	have := row.Read(ref.column)
	t := elements(ref.column.Type)
	if ref.hasKey {
		if !t.IsMap() {
			return false, fmt.Errorf("cannot specify key to check for non-map column %s", ref.column.Name)
		}
		key, err := idl.ParseAtom(&t.Key, ref.key, c.symbols)
		if err != nil {
			return false, err
		}
		t.Key, t.Value = t.Value, ovsdb.BaseType{}
		v, ok := have.Value(key)
		have = idl.Datum{}
		if ok {
			have = idl.SetOf(v)
		}
		if !strings.HasPrefix(ref.operator, "{") {
			want, err := idl.ParseAtom(&t.Key, ref.value, c.symbols)
			if err != nil {
				return false, err
			}
			return ok && compare(have, idl.SetOf(want), ref.operator), nil
		}
	}
	if !ref.hasKey && !strings.HasPrefix(ref.operator, "{") {
		t = ref.column.Type // as many values as the column may have
	}
	want, err := idl.ParseDatum(&t, ref.value, c.symbols)
	if err != nil {
		return false, err
	}
	return compare(have, want, ref.operator), nil
}

func compare(have, want idl.Datum, operator string) bool {
	order := idl.CompareData(have, want)
	switch operator {
	case "=", "{=}":
		return order == 0
	case "!=", "{!=}":
		return order != 0
	case "<":
		return order < 0
	case ">":
		return order > 0
	case "<=":
		return order <= 0
	case ">=":
		return order >= 0
	case "{<}":
		return have.Len() < want.Len() && have.SubsetOf(want)
	case "{>}":
		return have.Len() > want.Len() && want.SubsetOf(have)
	case "{<=}", "{in}":
		return have.SubsetOf(want)
	case "{>=}":
		return want.SubsetOf(have)
	case "{not-in}":
		return have.Disjoint(want)
	}
	return false
}
