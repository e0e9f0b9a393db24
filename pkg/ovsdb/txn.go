package ovsdb

import (
	"fmt"
	"iter"
	"slices"
)

// Txn is a transaction in the making. It sees its own writes. The first error
// sticks: later writes do nothing, and the transaction fails with it. A Txn is
// used by one goroutine, only inside the function that received it.
type Txn struct {
	base   *Snapshot
	db     *database
	state  *dbState
	who    Owner
	tables []*txnTable // by TableSchema.id; nil where untouched
	leads  bool        // who runs it calls Store.lead afterwards
	err    error
}

// txnTable holds the rows of one table that the transaction touched.
type txnTable struct {
	rows     fewMap[*txnRow]
	inserted int // rows present now but not before, minus the opposite
	// index is built by the first Lookup and then kept: for each index, key to
	// touched rows that have it now.
	index []map[UUID][]UUID
}

// txnRow is a touched row.
type txnRow struct {
	uuid UUID
	old  *Row // nil: inserted here
	new  *Row // nil: deleted here; a private copy, or old
	// lent tells that new was handed out and must be copied before a change.
	lent bool
}

func newTxn(base *Snapshot, db *database, who Owner) *Txn {
	state := base.db(db.Schema)
	return &Txn{base: base, db: db, state: state, who: who, tables: make([]*txnTable, len(state.schema.tables))}
}

// Err returns the first error, or nil.
func (t *Txn) Err() error { return t.err }

// Snapshot is the state before the transaction.
func (t *Txn) Snapshot() *Snapshot { return t.base }

func (t *Txn) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// table is the table in the schema that the database has now.
func (t *Txn) table(ts *TableSchema) *TableSchema {
	if ts.DB == t.state.schema {
		return ts
	}
	if ts.DB.identity() != t.db.Schema {
		panic(fmt.Sprintf("ovsdb: table %q is not of database %q", ts.Name, t.db.Schema.Name))
	}
	return t.state.current(ts)
}

// Row returns a row as it is now, or nil.
func (t *Txn) Row(ts *TableSchema, u UUID) *Row {
	ts = t.table(ts)
	if tt := t.tables[ts.id]; tt != nil {
		if r := tt.rows.Get(u); r != nil {
			r.lent = true
			return r.new
		}
	}
	r, _ := t.state.tables[ts.id].rows.Get(u)
	return r
}

// Len is the number of rows of a table as it is now.
func (t *Txn) Len(ts *TableSchema) int {
	ts = t.table(ts)
	n := t.state.tables[ts.id].rows.Len()
	if tt := t.tables[ts.id]; tt != nil {
		n += tt.inserted
	}
	return n
}

// Rows yields the rows of a table as they are now: those that existed before in
// the order of UUIDs, then the inserted ones likewise. Rows that the loop
// itself inserts may be missed.
func (t *Txn) Rows(ts *TableSchema) iter.Seq[*Row] {
	ts = t.table(ts)
	return func(yield func(*Row) bool) {
		for u, r := range t.state.tables[ts.id].rows.All() {
			if tt := t.tables[ts.id]; tt != nil {
				if touched := tt.rows.Get(u); touched != nil {
					touched.lent = true
					r = touched.new
				}
			}
			if r != nil && !yield(r) {
				return
			}
		}
		tt := t.tables[ts.id]
		if tt == nil {
			return
		}
		var inserted []UUID
		for u, r := range tt.rows.All() {
			if r.old == nil && r.new != nil {
				inserted = append(inserted, u)
			}
		}
		slices.SortFunc(inserted, UUID.Compare)
		for _, u := range inserted {
			if r := t.Row(ts, u); r != nil && !yield(r) {
				return
			}
		}
	}
}

// Lookup returns the row whose columns of the given index have the given
// values now, or nil. While several rows have them, it is any of those.
func (t *Txn) Lookup(ts *TableSchema, index int, key ...Atom) *Row {
	ts = t.table(ts)
	h := ts.indexKey(index, key)
	tt := t.tables[ts.id]
	if tt == nil {
		return t.base.Lookup(ts, index, key...)
	}
	if tt.index == nil {
		tt.index = make([]map[UUID][]UUID, len(ts.Indexes))
	}
	if tt.index[index] == nil {
		tt.index[index] = make(map[UUID][]UUID)
		for u, r := range tt.rows.All() {
			if r.new != nil {
				k := r.new.indexKey(index)
				tt.index[index][k] = append(tt.index[index][k], u)
			}
		}
	}
	if found := tt.index[index][h]; len(found) > 0 {
		return t.Row(ts, found[0])
	}
	if u, ok := t.state.tables[ts.id].indexes[index].Get(h); ok && tt.rows.Get(u) == nil {
		return t.Row(ts, u)
	}
	return nil
}

// Referrers yields the rows of column c's table whose column c refers to row u
// now.
func (t *Txn) Referrers(c *ColumnSchema, u UUID) iter.Seq[UUID] {
	c = t.table(c.Table).Columns[c.Index]
	return func(yield func(UUID) bool) {
		var touched *fewMap[*txnRow]
		if tt := t.tables[c.Table.id]; tt != nil {
			touched = &tt.rows
		}
		for r := range t.state.tables[c.Table.id].referrers(c, u) {
			if touched.Get(r) == nil && !yield(r) {
				return
			}
		}
		for _, r := range touched.sorted() {
			row := touched.Get(r).new
			if row == nil || !slices.ContainsFunc(c.refs, func(f *refField) bool { return f.holds(row.values[c.Index], u) }) {
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// touch returns the row's entry; nil when the row does not exist.
func (t *Txn) touch(ts *TableSchema, u UUID) *txnRow {
	tt := t.tables[ts.id]
	if tt == nil {
		tt = new(txnTable)
		t.tables[ts.id] = tt
	}
	r := tt.rows.Get(u)
	if r == nil {
		old, ok := t.state.tables[ts.id].rows.Get(u)
		if !ok {
			return nil
		}
		r = &txnRow{uuid: u, old: old, new: old}
		tt.rows.Put(u, r)
		tt.reindex(ts, u, nil, old)
	}
	if r.new == nil {
		return nil
	}
	return r
}

// reindex follows a change of a row in those overlay indexes that exist.
func (tt *txnTable) reindex(ts *TableSchema, u UUID, old, new *Row) {
	for i := range tt.index {
		if tt.index[i] == nil {
			continue
		}
		var oldKey, newKey UUID
		if old != nil {
			oldKey = old.indexKey(i)
		}
		if new != nil {
			newKey = new.indexKey(i)
		}
		if oldKey == newKey {
			continue
		}
		if old != nil {
			rest := slices.DeleteFunc(tt.index[i][oldKey], func(v UUID) bool { return v == u })
			if tt.index[i][oldKey] = rest; len(rest) == 0 {
				delete(tt.index[i], oldKey)
			}
		}
		if new != nil {
			tt.index[i][newKey] = append(tt.index[i][newKey], u)
		}
	}
}

// write sets one column of an existing row to a checked value.
func (t *Txn) write(r *txnRow, c *ColumnSchema, v Value) error {
	old := r.new.values[c.Index]
	if ValuesEqual(old, v) {
		return nil
	}
	if err := t.db.mayWrite(t.who, c); err != nil {
		return err
	}
	next := r.new
	if r.new == r.old || r.lent {
		next = &Row{table: c.Table, uuid: r.uuid, values: slices.Clone(r.new.values)}
		r.lent = false
	}
	tt := t.tables[c.Table.id]
	if tt.index == nil {
		next.values[c.Index] = v
		r.new = next
		return nil
	}
	before := &Row{table: c.Table, uuid: r.uuid, values: slices.Clone(r.new.values)}
	next.values[c.Index] = v
	r.new = next
	tt.reindex(c.Table, r.uuid, before, next)
	return nil
}

const duplicateUUID = "This UUID would duplicate a UUID already present within the table or deleted within the same transaction."

// taken tells whether no row may be inserted with that UUID: one has it, or one
// that was there before was deleted by the transaction.
func (t *Txn) taken(ts *TableSchema, u UUID) bool {
	if tt := t.tables[ts.id]; tt != nil && tt.rows.Get(u) != nil {
		return true
	}
	_, existed := t.state.tables[ts.id].rows.Get(u)
	return existed
}

// insert adds a row with checked values by column position; missing ones are nil.
func (t *Txn) insert(ts *TableSchema, u UUID, values []Value) error {
	if t.db.Virtual[ts.Name] != nil {
		return errorf(ErrPermission, "table %q is virtual", ts.Name)
	}
	if err := t.db.mayInsertDelete(t.who, ts); err != nil {
		return err
	}
	tt := t.tables[ts.id]
	if tt == nil {
		tt = new(txnTable)
		t.tables[ts.id] = tt
	}
	if t.taken(ts, u) {
		return errorf(ErrDuplicateUUID, duplicateUUID)
	}
	for i, c := range ts.Columns {
		if values[i] == nil {
			values[i] = ts.defaults[i]
		} else if !ValuesEqual(values[i], ts.defaults[i]) {
			if err := t.db.mayWrite(t.who, c); err != nil {
				return err
			}
		}
	}
	r := &txnRow{uuid: u, new: &Row{table: ts, uuid: u, values: values}}
	tt.rows.Put(u, r)
	tt.inserted++
	tt.reindex(ts, u, nil, r.new)
	return nil
}

func (t *Txn) remove(ts *TableSchema, u UUID) error {
	if err := t.db.mayInsertDelete(t.who, ts); err != nil {
		return err
	}
	if r := t.touch(ts, u); r != nil {
		tt := t.tables[ts.id]
		tt.reindex(ts, u, r.new, nil)
		r.new = nil
		if tt.inserted--; r.old == nil {
			tt.rows.Remove(u) // as if it had never been there: its UUID is free
		}
	}
	return nil
}

// mayWrite is the check of column owners: programs inside the process may write
// everything.
func (d *database) mayWrite(who Owner, c *ColumnSchema) error {
	if who != OwnerClient {
		return nil
	}
	if d.Virtual[c.Table.Name] != nil {
		return errorf(ErrPermission, "table %q is virtual", c.Table.Name)
	}
	if d.Private {
		return errorf(ErrPermission, "database %q is written by the server only", d.Schema.Name)
	}
	if d.Owner == nil {
		return nil
	}
	if owner := d.Owner(c.public()); owner != OwnerClient {
		return errorf(ErrPermission, "column %q of table %q is written by %s only", c.Name, c.Table.Name, owner)
	}
	return nil
}

func (d *database) mayInsertDelete(who Owner, ts *TableSchema) error {
	if who != OwnerClient {
		return nil
	}
	if d.Virtual[ts.Name] != nil {
		return errorf(ErrPermission, "table %q is virtual", ts.Name)
	}
	if d.Private {
		return errorf(ErrPermission, "database %q is written by the server only", d.Schema.Name)
	}
	if d.InsertDelete == nil {
		return nil
	}
	if owner := d.InsertDelete(ts.public()); owner != OwnerClient {
		return errorf(ErrPermission, "rows of table %q are inserted and deleted by %s only", ts.Name, owner)
	}
	return nil
}

// Insert adds a row, with a random UUID if u is zero, and returns its UUID.
// Columns that are not given have their default. An atom stands for a set of
// one, int for int64, []string and map[string]string for sets and maps.
func (t *Txn) Insert(ts *TableSchema, u UUID, values map[string]Value) UUID {
	ts = t.table(ts)
	if t.err != nil {
		return u
	}
	if u.IsZero() {
		u = NewUUID()
	}
	row := make([]Value, len(ts.Columns))
	for name, v := range values {
		c := ts.Column(name)
		v, err := c.Type.coerce(v)
		if err != nil {
			t.fail(fmt.Errorf("ovsdb: insert: column %s: %w", c, err))
			return u
		}
		row[c.Index] = v
	}
	if err := t.insert(ts, u, row); err != nil {
		t.fail(fmt.Errorf("ovsdb: insert: table %q, row %s: %w", ts.Name, u, err))
	}
	return u
}

// change replaces the value of a column by f of it. A row that does not exist
// is an error, since its writer believed it did.
func (t *Txn) change(ts *TableSchema, u UUID, col string, f func(c *ColumnSchema, v Value) (Value, error)) {
	ts = t.table(ts)
	if t.err != nil {
		return
	}
	c := ts.Column(col)
	r := t.touch(ts, u)
	if r == nil {
		t.fail(fmt.Errorf("ovsdb: column %s: row %s does not exist", c, u))
		return
	}
	v, err := f(c, r.new.values[c.Index])
	if err == nil {
		err = t.write(r, c, v)
	}
	if err != nil {
		t.fail(fmt.Errorf("ovsdb: column %s of row %s: %w", c, u, err))
	}
}

// SetColumn sets one column; see Insert for what may stand for a value.
func (t *Txn) SetColumn(ts *TableSchema, u UUID, col string, v Value) {
	t.change(ts, u, col, func(c *ColumnSchema, _ Value) (Value, error) { return c.Type.coerce(v) })
}

// AddToSet adds elements to a set column; those that it has are left alone.
func (t *Txn) AddToSet(ts *TableSchema, u UUID, col string, atoms ...Atom) {
	t.change(ts, u, col, func(c *ColumnSchema, v Value) (Value, error) {
		s, ok := v.(Set)
		if !ok {
			return nil, fmt.Errorf("not a set")
		}
		for _, a := range atoms {
			if err := c.Type.Key.check(a); err != nil {
				return nil, err
			}
			s = s.With(a)
		}
		return s, c.Type.checkLen(s.Len())
	})
}

// DelFromSet removes elements from a set column; absent ones are no error.
func (t *Txn) DelFromSet(ts *TableSchema, u UUID, col string, atoms ...Atom) {
	t.change(ts, u, col, func(c *ColumnSchema, v Value) (Value, error) {
		s, ok := v.(Set)
		if !ok {
			return nil, fmt.Errorf("not a set")
		}
		for _, a := range atoms {
			s = s.Without(a)
		}
		return s, c.Type.checkLen(s.Len())
	})
}

// PutInMap sets one pair of a map column.
func (t *Txn) PutInMap(ts *TableSchema, u UUID, col string, k, v Atom) {
	t.change(ts, u, col, func(c *ColumnSchema, old Value) (Value, error) {
		m, ok := old.(Map)
		if !ok {
			return nil, fmt.Errorf("not a map")
		}
		if err := c.Type.Key.check(k); err != nil {
			return nil, err
		}
		if err := c.Type.Value.check(v); err != nil {
			return nil, err
		}
		m = m.With(k, v)
		return m, c.Type.checkLen(m.Len())
	})
}

// DelFromMap removes one key of a map column; an absent one is no error.
func (t *Txn) DelFromMap(ts *TableSchema, u UUID, col string, k Atom) {
	t.change(ts, u, col, func(c *ColumnSchema, old Value) (Value, error) {
		m, ok := old.(Map)
		if !ok {
			return nil, fmt.Errorf("not a map")
		}
		m = m.Without(k)
		return m, c.Type.checkLen(m.Len())
	})
}

// Delete removes a row; an absent one is no error.
func (t *Txn) Delete(ts *TableSchema, u UUID) {
	ts = t.table(ts)
	if t.err != nil {
		return
	}
	if err := t.remove(ts, u); err != nil {
		t.fail(fmt.Errorf("ovsdb: delete: table %q, row %s: %w", ts.Name, u, err))
	}
}
