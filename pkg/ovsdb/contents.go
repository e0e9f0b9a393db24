package ovsdb

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Contents are the rows of one database apart from any store: what a backup
// holds. Ephemeral columns have their defaults in what is written.
type Contents struct {
	Schema *DatabaseSchema
	rows   []map[UUID]*Row // by TableSchema.id
}

// NewContents returns the contents of an empty database.
func NewContents(d *DatabaseSchema) *Contents {
	c := &Contents{Schema: d, rows: make([]map[UUID]*Row, len(d.tables))}
	for i := range c.rows {
		c.rows[i] = make(map[UUID]*Row)
	}
	return c
}

// Contents returns the stored rows of a database, with the schema that they
// have.
func (s *Snapshot) Contents(d *DatabaseSchema) *Contents {
	d = s.db(d).schema
	c := NewContents(d)
	for _, t := range d.tables {
		for r := range s.Rows(t) {
			c.rows[t.id][r.uuid] = r
		}
	}
	return c
}

// Len is the number of all rows.
func (c *Contents) Len() (n int) {
	for _, rows := range c.rows {
		n += len(rows)
	}
	return n
}

// Tables yields the tables in the order of their names.
func (c *Contents) Tables() iter.Seq[*TableSchema] { return slices.Values(c.Schema.tables) }

// Rows yields the rows of a table in the order of their UUIDs.
func (c *Contents) Rows(t *TableSchema) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		rows := c.rows[t.id]
		for _, u := range slices.SortedFunc(maps.Keys(rows), UUID.Compare) {
			if !yield(rows[u]) {
				return
			}
		}
	}
}

// Row returns a row, or nil.
func (c *Contents) Row(t *TableSchema, u UUID) *Row { return c.rows[t.id][u] }

// Equal tells whether both have the same rows with the same values, ephemeral columns
// aside. The schemas must be the same.
func (c *Contents) Equal(o *Contents) bool {
	if len(c.rows) != len(o.rows) {
		return false
	}
	for i, rows := range c.rows {
		if len(rows) != len(o.rows[i]) {
			return false
		}
		for u, r := range rows {
			other := o.rows[i][u]
			if other == nil {
				return false
			}
			for _, column := range c.Schema.tables[i].Columns {
				if !column.Ephemeral && !ValuesEqual(r.values[column.Index], other.values[column.Index]) {
					return false
				}
			}
		}
	}
	return true
}

// Convert returns the contents by another schema, and what that has no place
// for: tables that have rows and columns that have values, by name ("Table",
// "Table.column"). A set of one and its element stand for each other; another
// value that does not fit its column is an error.
func (c *Contents) Convert(to *DatabaseSchema) (out *Contents, lost []string, err error) {
	out = NewContents(to)
	for _, t := range c.Schema.tables {
		target := to.Tables[t.Name]
		if target == nil {
			if len(c.rows[t.id]) > 0 {
				lost = append(lost, t.Name)
			}
			continue
		}
		missing := make(map[string]bool)
		for u, r := range c.rows[t.id] {
			converted := &Row{table: target, uuid: u, values: slices.Clone(target.defaults)}
			for _, column := range t.Columns {
				v := r.values[column.Index]
				if column.Ephemeral || ValuesEqual(v, t.defaults[column.Index]) {
					continue
				}
				tc := target.columns[column.Name]
				if tc == nil {
					missing[t.Name+"."+column.Name] = true
					continue
				}
				if converted.values[tc.Index], err = tc.Type.fit(v); err != nil {
					return nil, nil, fmt.Errorf("ovsdb: column %s of row %s: %w", tc, u, err)
				}
			}
			out.rows[target.id][u] = converted
		}
		lost = append(lost, slices.Sorted(maps.Keys(missing))...)
	}
	return out, lost, nil
}

// fit makes a value of another column's type one of t.
func (t *ColumnType) fit(v Value) (Value, error) {
	switch x := v.(type) {
	case Set:
		if a, ok := x.First(); ok && t.IsScalar() && x.Len() == 1 {
			v = a
		}
	case Map:
	default:
		if t.IsSet() {
			v = NewSet(v)
		}
	}
	if !t.fits(v) {
		return nil, errorf(ErrConstraint, "%d elements where %s is expected", valueLen(v), t.describe())
	}
	return v, t.check(v)
}

// Replace makes a database of the transaction hold the contents and nothing
// else; rows that both have keep what does not change. c.Schema must be that of
// the database.
func (t *Txn) Replace(c *Contents) {
	if c.Schema != t.state.schema {
		t.fail(errors.New("ovsdb: replace: the contents are of another schema"))
		return
	}
	for _, ts := range c.Schema.tables {
		if t.db.Virtual[ts.Name] != nil {
			continue
		}
		var gone []UUID
		for r := range t.Rows(ts) {
			if c.rows[ts.id][r.uuid] == nil {
				gone = append(gone, r.uuid)
			}
		}
		for _, u := range gone {
			t.Delete(ts, u)
		}
		for u, r := range c.rows[ts.id] {
			t.put(ts, u, r)
		}
	}
}

// put makes a row what r is, but for ephemeral columns.
func (t *Txn) put(ts *TableSchema, u UUID, r *Row) {
	if t.err != nil {
		return
	}
	var err error
	if old := t.Row(ts, u); old == nil {
		values := slices.Clone(r.values)
		for _, c := range ts.Columns {
			if c.Ephemeral {
				values[c.Index] = nil
			}
		}
		err = t.insert(ts, u, values)
	} else {
		for _, c := range ts.Columns {
			if err == nil && !c.Ephemeral && !ValuesEqual(old.values[c.Index], r.values[c.Index]) {
				err = t.write(t.touch(ts, u), c, r.values[c.Index])
			}
		}
	}
	if err != nil {
		t.fail(fmt.Errorf("ovsdb: table %q, row %s: %w", ts.Name, u, err))
	}
}

// SelectAll returns the parameters of a "transact" request that reads all of a
// database, in one snapshot.
func SelectAll(d *DatabaseSchema) []byte {
	b := appendString([]byte{'['}, d.Name)
	for _, t := range d.tables {
		b = appendString(append(b, `,{"op":"select","where":[],"table":`...), t.Name)
		b = append(b, `,"columns":["_uuid"`...)
		for _, c := range t.Columns {
			b = appendString(append(b, ','), c.Name)
		}
		b = append(b, "]}"...)
	}
	return append(b, ']')
}

// ParseSelected returns the contents that the result of SelectAll has.
func ParseSelected(d *DatabaseSchema, result []byte) (*Contents, error) {
	v, err := parseJSON(string(result), fileLimits)
	if err != nil {
		return nil, fmt.Errorf("ovsdb: database %q: %w", d.Name, err)
	}
	c := NewContents(d)
	for i, t := range d.tables {
		if v.kind != jsonArray || i >= len(v.list) {
			return nil, fmt.Errorf("ovsdb: database %q: no answer for table %q", d.Name, t.Name)
		}
		rows, ok := v.list[i].member("rows")
		if !ok || rows.kind != jsonArray {
			return nil, fmt.Errorf("ovsdb: database %q: table %q: %s", d.Name, t.Name, v.list[i].short())
		}
		for j := range rows.list {
			if err := c.selected(t, &rows.list[j]); err != nil {
				return nil, fmt.Errorf("ovsdb: database %q: table %q, row %d: %w", d.Name, t.Name, j, err)
			}
		}
	}
	return c, nil
}

func (c *Contents) selected(t *TableSchema, v *jsonValue) error {
	r := &Row{table: t, values: slices.Clone(t.defaults)}
	if v.kind != jsonObject {
		return syntaxError(v, "expected object")
	}
	for i := 0; i < len(v.list); i += 2 {
		column := t.lookup(v.list[i].text)
		if column == nil {
			return unknownColumn(t, v.list[i].text, v)
		}
		value, err := column.Type.parseValue(&v.list[i+1], nil)
		switch {
		case err != nil:
			return inColumn(err, column)
		case column.Index >= 0:
			r.values[column.Index] = value
		case column == t.uuidCol:
			r.uuid = value.(UUID)
		}
	}
	if r.uuid.IsZero() || c.rows[t.id][r.uuid] != nil {
		return fmt.Errorf("UUID %s", r.uuid)
	}
	c.rows[t.id][r.uuid] = r
	return nil
}

// Restore returns the parameters of a "transact" request that makes a database
// what c is, if it still has the rows of old, which are those that are there now.
// If it has others then the transaction fails with "timed out".
func (c *Contents) Restore(old *Contents) []byte {
	b := appendString([]byte{'['}, c.Schema.Name)
	for _, t := range c.Schema.tables {
		b = appendString(append(b, `,{"op":"wait","timeout":0,"until":"==","where":[],"columns":["_uuid"],"table":`...), t.Name)
		b = append(b, `,"rows":[`...)
		first := true
		for r := range old.Rows(t) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendAtom(append(b, `{"_uuid":`...), r.uuid), '}')
		}
		b = append(b, "]}"...)
		var columns []*ColumnSchema
		for _, column := range t.Columns {
			if !column.Ephemeral {
				columns = append(columns, column)
			}
		}
		for r := range old.Rows(t) {
			if c.rows[t.id][r.uuid] == nil {
				b = c.operation(b, "delete", t)
				b = append(appendAtom(append(b, `,"where":[["_uuid","==",`...), r.uuid), "]]}"...)
			}
		}
		for r := range c.Rows(t) {
			was := old.rows[t.id][r.uuid]
			if was == nil {
				b = appendString(append(c.operation(b, "insert", t), `,"uuid":`...), r.uuid.String())
				b = append(r.appendColumns(append(b, `,"row":`...), columns, true), '}')
				continue
			}
			changed := slices.DeleteFunc(slices.Clone(columns), func(column *ColumnSchema) bool {
				return ValuesEqual(was.values[column.Index], r.values[column.Index])
			})
			if len(changed) > 0 {
				b = append(appendAtom(append(c.operation(b, "update", t), `,"where":[["_uuid","==",`...), r.uuid), "]]"...)
				b = append(r.appendColumns(append(b, `,"row":`...), changed, false), '}')
			}
		}
	}
	return append(b, ']')
}

func (c *Contents) operation(b []byte, op string, t *TableSchema) []byte {
	b = appendString(append(b, `,{"op":`...), op)
	return appendString(append(b, `,"table":`...), t.Name)
}

// RowJSON is a row as files have it: the columns that are neither ephemeral nor
// default, as values of RFC 7047 section 5.1; or the given ones.
func (c *Contents) RowJSON(r *Row, columns ...*ColumnSchema) []byte {
	if len(columns) > 0 {
		return r.appendColumns(nil, columns, false)
	}
	return r.appendColumns(nil, slices.DeleteFunc(slices.Clone(r.table.Columns), func(column *ColumnSchema) bool { return column.Ephemeral }), true)
}
