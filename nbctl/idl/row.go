package idl

import (
	"fmt"

	"govn/pkg/ovsdb"
)

// Row is a row of the replica, as the transaction in progress sees it.
type Row struct {
	Table *Table
	UUID  UUID

	old      []Datum        // what the server has
	new      map[int]Datum  // what the transaction wrote
	partial  map[int]change // of new, what was written by Add and Remove alone
	verified map[int]bool

	touched, inserted, deleted, fixed bool // fixed: the server takes our UUID
}

// change is what a mutation does to a column.
type change struct{ add, remove Datum }

// column returns the column with that name. When the server does not have it,
// that is noted as the transaction's error if write, and nil is returned.
func (r *Row) column(name string, write bool) *ovsdb.ColumnSchema {
	c := column(r.Table.Schema, name)
	if c == nil && write {
		r.Table.db.fail(fmt.Errorf("the database has no column %s in table %s", name, r.Table.Schema.Name))
	}
	return c
}

// Get returns the value of a column. It must have been asked for, unless the
// transaction inserted the row or wrote the column.
func (r *Row) Get(name string) Datum {
	if c := r.column(name, false); c != nil {
		return r.get(c)
	}
	return Datum{}
}

func (r *Row) get(c *ovsdb.ColumnSchema) Datum {
	if d, ok := r.new[c.Index]; ok {
		return d
	}
	if !r.inserted && !r.Table.needed[c.Index] {
		r.Table.db.fail(fmt.Errorf("internal error: %s is read and was not asked for", c))
	}
	return r.old[c.Index]
}

// Str returns the string of a column, "" when there is none.
func (r *Row) Str(name string) string { s, _ := first[string](r.Get(name)); return s }

// Int returns the integer of a column, 0 when there is none.
func (r *Row) Int(name string) int64 { n, _ := first[int64](r.Get(name)); return n }

// OptInt returns the integer of an optional column.
func (r *Row) OptInt(name string) (int64, bool) { return first[int64](r.Get(name)) }

// OptStr returns the string of an optional column.
func (r *Row) OptStr(name string) (string, bool) { return first[string](r.Get(name)) }

// OptBool returns the boolean of an optional column.
func (r *Row) OptBool(name string) (value, ok bool) { return first[bool](r.Get(name)) }

// Bool returns the boolean of a column, false when there is none.
func (r *Row) Bool(name string) bool { b, _ := first[bool](r.Get(name)); return b }

func first[T any](d Datum) (T, bool) {
	var none T
	if len(d.Keys) == 0 {
		return none, false
	}
	v, ok := d.Keys[0].(T)
	return v, ok
}

// Strs returns the strings of a column in ascending order.
func (r *Row) Strs(name string) []string {
	d := r.Get(name)
	out := make([]string, 0, len(d.Keys))
	for _, k := range d.Keys {
		if s, ok := k.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Key returns the value under a key of a map of strings.
func (r *Row) Key(name, key string) (string, bool) {
	v, _ := r.Get(name).Value(key)
	s, ok := v.(string)
	return s, ok
}

// Refs returns the rows that a column refers to. Their table must have been
// asked for; rows that are not in the replica are left out.
func (r *Row) Refs(name string) []*Row {
	c := r.column(name, false)
	if c == nil {
		return nil
	}
	var out []*Row
	for _, k := range r.get(c).Keys {
		if u, ok := k.(UUID); ok {
			if to := r.Table.db.Row(c.Type.Key.RefTable, u); to != nil {
				out = append(out, to)
			}
		}
	}
	return out
}

// Ref returns the row that an optional column refers to, or nil.
func (r *Row) Ref(name string) *Row {
	if rows := r.Refs(name); len(rows) > 0 {
		return rows[0]
	}
	return nil
}

// RefersTo tells whether a column refers to a row.
func (r *Row) RefersTo(name string, to *Row) bool { return r.Get(name).Has(to.UUID) }

// Inserted tells whether the transaction inserted the row.
func (r *Row) Inserted() bool { return r.inserted }

// Set replaces the value of a column.
func (r *Row) Set(name string, d Datum) *Row {
	if c := r.column(name, true); c != nil {
		r.write(c, d)
	}
	return r
}

func (r *Row) write(c *ovsdb.ColumnSchema, d Datum) {
	if r.new == nil {
		r.new = map[int]Datum{}
	}
	r.new[c.Index] = d
	delete(r.partial, c.Index)
	r.Table.db.touch(r)
}

// Write replaces the value of a column.
func (r *Row) Write(c *ovsdb.ColumnSchema, d Datum) { r.write(c, d) }

// Read returns the value of a column.
func (r *Row) Read(c *ovsdb.ColumnSchema) Datum { return r.get(c) }

// Add adds elements to a column, leaving what others add at the same time;
// values of keys that are there are replaced.
func (r *Row) Add(name string, d Datum) *Row {
	if c := r.column(name, true); c != nil && d.Len() > 0 {
		r.mutate(c, d, Datum{Keys: d.Keys})
	}
	return r
}

// Remove removes elements, of a map keys, from a column.
func (r *Row) Remove(name string, d Datum) *Row {
	if c := r.column(name, true); c != nil && d.Len() > 0 {
		r.mutate(c, Datum{}, Datum{Keys: d.Keys})
	}
	return r
}

// mutate removes elements, then adds some. The column need not have been asked
// for.
func (r *Row) mutate(c *ovsdb.ColumnSchema, add, remove Datum) {
	p, partly := r.partial[c.Index]
	_, wrote := r.new[c.Index]
	if r.inserted || wrote || r.Table.needed[c.Index] {
		r.write(c, r.get(c).Without(remove).Union(add))
	} else {
		r.Table.db.touch(r)
	}
	if r.inserted || wrote && !partly {
		return
	}
	if !c.Type.IsMap() {
		remove = remove.Without(Datum{Keys: add.Keys})
	}
	if r.partial == nil {
		r.partial = map[int]change{}
	}
	r.partial[c.Index] = change{
		add:    p.add.Without(Datum{Keys: remove.Keys}).Union(add),
		remove: p.remove.Without(Datum{Keys: nonMap(c, add)}).Union(remove),
	}
}

// nonMap returns the added elements of a set. Keys of a map that are added stay
// among the removed ones: removing comes first and makes room.
func nonMap(c *ovsdb.ColumnSchema, add Datum) []Atom {
	if c.Type.IsMap() {
		return nil
	}
	return add.Keys
}

// Verify makes the transaction fail, to be tried again, when someone else
// changes the column meanwhile.
func (r *Row) Verify(name string) *Row {
	if c := r.column(name, false); c != nil {
		r.VerifyColumn(c)
	}
	return r
}

// VerifyColumn is Verify for a column of the schema.
func (r *Row) VerifyColumn(c *ovsdb.ColumnSchema) {
	if r.inserted {
		return
	}
	if _, wrote := r.new[c.Index]; wrote {
		return
	}
	if r.verified == nil {
		r.verified = map[int]bool{}
	}
	r.verified[c.Index] = true
	r.Table.db.touch(r)
}

// Delete deletes the row. What refers to it is the caller's business.
func (r *Row) Delete() {
	r.deleted = true
	r.Table.db.touch(r)
}

// Deleted tells whether the transaction deleted the row.
func (r *Row) Deleted() bool { return r.deleted }

// reset forgets what a transaction did.
func (r *Row) reset() {
	r.new, r.partial, r.verified, r.deleted, r.touched = nil, nil, nil, false, false
	if r.inserted {
		delete(r.Table.rows, r.UUID)
	}
}

// Written returns what the transaction put into a column, and nothing that was
// there before; ok is false if it did not write the column.
func (r *Row) Written(c *ovsdb.ColumnSchema) (d Datum, ok bool) {
	if p, partly := r.partial[c.Index]; partly {
		return p.add, p.add.Len() > 0
	}
	d, ok = r.new[c.Index]
	if !ok || r.inserted || c.Type.IsMap() || c.Index >= len(r.old) {
		return d, ok
	}
	return d.Without(Datum{Keys: r.old[c.Index].Keys}), true
}

// Known returns the value of a column if it is known: written, or asked for.
func (r *Row) Known(c *ovsdb.ColumnSchema) (d Datum, ok bool) {
	if d, ok := r.new[c.Index]; ok || r.inserted {
		return d, true
	}
	if !r.Table.needed[c.Index] || c.Index >= len(r.old) {
		return Datum{}, false
	}
	return r.old[c.Index], true
}
