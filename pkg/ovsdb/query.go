package ovsdb

import (
	"math"
	"slices"
	"time"
)

// parseColumns reads a list of column names; without one, all columns.
func parseColumns(t *TableSchema, v *jsonValue) ([]*ColumnSchema, error) {
	if v == nil {
		return append(slices.Clone(t.Columns), t.uuidCol, t.verCol), nil
	}
	var columns []*ColumnSchema
	for i := range v.list {
		if v.list[i].kind != jsonString {
			return nil, syntaxError(v, "array of distinct column names expected")
		}
		c := t.lookup(v.list[i].text)
		if c == nil {
			return nil, syntaxError(v, v.list[i].text+" is not a valid column name")
		}
		if slices.Contains(columns, c) {
			return nil, syntaxError(v, "array of distinct column names expected")
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func (x *executor) selectRows(f *fields) error {
	t, where := x.where(f)
	names := f.get("columns", jsonArray)
	sort := f.get("sort", jsonArray)
	if err := f.done(); err != nil {
		return err
	}
	columns, err := parseColumns(t, names)
	if err != nil {
		return err
	}
	var order []*ColumnSchema
	if sort != nil {
		if order, err = parseColumns(t, sort); err != nil {
			return err
		}
	}
	x.out = append(x.out, `{"rows":[`...)
	seen := make(map[UUID]bool) // rows that are equal in the columns come once
	add := func(r *Row) error {
		if names != nil {
			h := hashColumns(columns, func(c *ColumnSchema) Value { return r.Get(c) })
			if seen[h] {
				return nil
			}
			seen[h] = true
		}
		if err := x.spend(1 + len(columns)/4); err != nil {
			return err
		}
		if x.out[len(x.out)-1] != '[' {
			x.out = append(x.out, ',')
		}
		x.out = r.appendColumns(x.out, columns, false)
		return x.overflow()
	}
	if order == nil {
		err = x.matching(t, where, add)
	} else {
		err = x.sorted(t, where, order, add)
	}
	x.out = append(x.out, "]}"...)
	return err
}

// sorted is matching in the order of columns.
func (x *executor) sorted(t *TableSchema, where *jsonValue, order []*ColumnSchema, visit func(*Row) error) error {
	var rows []*Row
	if err := x.matching(t, where, func(r *Row) error { rows = append(rows, r); return nil }); err != nil {
		return err
	}
	if err := x.spend(sortingCost(len(rows))); err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b *Row) int {
		for _, c := range order {
			if n := compareValues(a.Get(c), b.Get(c)); n != 0 {
				return n
			}
		}
		return 0
	})
	for _, r := range rows {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

func hashColumns(columns []*ColumnSchema, get func(*ColumnSchema) Value) UUID {
	b := make([]byte, 0, 256)
	for _, c := range columns {
		h := hashValue(get(c))
		b = append(b, h[:]...)
	}
	return UUID(hashOf(b))
}

// wait compares the set of the rows that match with that of the rows given, as
// ovsdb-server does: how often a row is there does not count, and without
// "columns" _uuid and _version are compared as well (not so in RFC 7047).
func (x *executor) wait(f *fields) error {
	timeout, where, names := f.get("timeout", jsonNumber), f.need("where", jsonArray), f.get("columns", jsonArray)
	until, rows := f.need("until", jsonString), f.need("rows", jsonArray)
	t := x.table(f)
	ms := int64(-1)
	if timeout != nil {
		var ok bool
		if ms, ok = timeout.integer(); !ok {
			f.mismatch("timeout")
		}
	}
	if err := f.done(); err != nil {
		return err
	}
	if until.text != "==" && until.text != "!=" {
		return syntaxError(until, `"until" must be "==" or "!="`)
	}
	limit := time.Duration(-1)
	if timeout != nil {
		if ms < 0 {
			return syntaxError(timeout, "timeout must be nonnegative")
		}
		limit = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	columns, err := parseColumns(t, names)
	if err != nil {
		return err
	}
	wanted := make(map[UUID]bool) // and whether it was found
	for i := range rows.list {
		if rows.list[i].kind != jsonObject {
			return syntaxError(&rows.list[i], "row must be JSON object")
		}
		h, err := x.hashRow(t, columns, &rows.list[i])
		if err != nil {
			return err
		}
		wanted[h] = false
	}
	equal := true
	err = x.matching(t, where, func(r *Row) error {
		if err := x.spend(1 + len(columns)/4); err != nil {
			return err
		}
		h := hashColumns(columns, func(c *ColumnSchema) Value { return r.Get(c) })
		if _, ok := wanted[h]; !ok {
			equal = false
			return nil
		}
		wanted[h] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, found := range wanted {
		equal = equal && found
	}
	switch {
	case equal == (until.text == "=="):
		return x.empty(nil)
	case limit == 0:
		return errorf(ErrTimedOut, "\"where\" clause test failed")
	case limit >= 0 && x.waited >= limit:
		return errorf(ErrTimedOut, "\"wait\" timed out after %d ms", x.waited.Milliseconds())
	}
	x.timeout = limit
	return errBlocked
}

// hashRow hashes a <row> of a wait, which may name _uuid and _version.
func (x *executor) hashRow(t *TableSchema, columns []*ColumnSchema, v *jsonValue) (UUID, error) {
	values := make(map[*ColumnSchema]Value, len(v.list)/2)
	for i := 0; i < len(v.list); i += 2 {
		c := t.lookup(v.list[i].text)
		if c == nil {
			return UUID{}, unknownColumn(t, v.list[i].text, v)
		}
		value, err := c.Type.parseValue(&v.list[i+1], x)
		if err != nil {
			return UUID{}, inColumn(err, c)
		}
		values[c] = value
	}
	return hashColumns(columns, func(c *ColumnSchema) Value {
		if value, ok := values[c]; ok {
			return value
		}
		return c.Type.Default()
	}), nil
}
