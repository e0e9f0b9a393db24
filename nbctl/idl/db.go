package idl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/ovsdb"
)

// DB is a replica of the needed columns of a database.
type DB struct {
	conn    *Conn
	Schema  *ovsdb.DatabaseSchema
	tables  map[string]*Table
	txn     *Txn
	watched bool // the server reports changes
	err     error
}

// Table is the replica of a table.
type Table struct {
	db     *DB
	Schema *ovsdb.TableSchema
	needed []bool // by column
	rows   map[UUID]*Row
	whole  bool // all rows, not only those that a condition selects
	where  []libovsdb.Condition
}

// NewDB returns a replica without contents.
func NewDB(c *Conn) *DB { return &DB{conn: c, Schema: c.Schema, tables: map[string]*Table{}} }

// Need asks for columns of all rows of a table, none: only which rows there are.
// Tables and columns that the server does not have are passed over: they read as
// empty.
func (db *DB) Need(table string, columns ...string) {
	if t := db.need(table, columns); t != nil {
		t.whole = true
	}
}

// NeedWhere asks for columns of the rows that have one of the values, unless
// Need asks for all. Rows that come to match later are reported too. Columns of
// values that the server does not have are passed over.
func (db *DB) NeedWhere(table string, values []Match, columns ...string) {
	t := db.need(table, columns)
	if t == nil {
		return
	}
	for _, m := range values {
		if m.Column == "_uuid" {
			t.where = append(t.where, libovsdb.NewCondition(m.Column, libovsdb.ConditionEqual, json.RawMessage(m.Value.AppendJSON(nil, &uuidType))))
		} else if c := column(t.Schema, m.Column); c != nil {
			function := libovsdb.ConditionEqual
			if c.Type.IsMap() || c.Type.Max > 1 {
				function = libovsdb.ConditionIncludes
			}
			t.where = append(t.where, libovsdb.NewCondition(m.Column, function, json.RawMessage(m.Value.AppendJSON(nil, &c.Type))))
		}
	}
	if len(t.where) == 0 {
		t.whole = true
	}
}

// Match is a value that a row may have; of a map or set, elements.
type Match struct {
	Column string
	Value  Datum
}

var uuidType = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeUUID), Min: 1, Max: 1}

func (db *DB) need(table string, columns []string) *Table {
	schema := db.Schema.Tables[table]
	if schema == nil {
		return nil
	}
	t := db.tables[table]
	if t == nil {
		t = &Table{db: db, Schema: schema, needed: make([]bool, len(schema.Columns)), rows: map[UUID]*Row{}}
		db.tables[table] = t
	}
	for _, name := range columns {
		if c := column(schema, name); c != nil {
			t.needed[c.Index] = true
		}
	}
	return t
}

// Load fetches what Need asked for, as of one moment. With watch the server goes
// on reporting changes; without, Wait reads everything again.
func (db *DB) Load(ctx context.Context, watch bool) error {
	for _, t := range db.tables {
		// All rows of a table come shorter by monitor_cond, without defaults.
		watch = watch || t.whole && t.Schema.MaxRows > 1
		clear(t.rows)
	}
	db.watched = watch
	switch {
	case len(db.tables) == 0:
		return nil
	case watch:
		return db.monitor(ctx)
	}
	return db.selectRows(ctx)
}

func (t *Table) columns() []string {
	columns := []string{}
	for i, needed := range t.needed {
		if needed {
			columns = append(columns, t.Schema.Columns[i].Name)
		}
	}
	return columns
}

func (db *DB) monitor(ctx context.Context) error {
	requests := map[string]any{}
	for name, t := range db.tables {
		request := map[string]any{"columns": t.columns()}
		if !t.whole {
			request["where"] = t.where
		}
		requests[name] = []any{request}
	}
	result, err := db.conn.call(ctx, libovsdb.ConditionalMonitorRPC, db.Schema.Name, "replica", requests)
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	return db.update(&reader{b: result})
}

// selectRows fetches by one transaction of selects, which spares the server the
// bookkeeping of a monitor.
func (db *DB) selectRows(ctx context.Context) error {
	var ops []libovsdb.Operation
	var tables []*Table
	for name, t := range db.tables {
		op := libovsdb.Operation{Op: libovsdb.OperationSelect, Table: name, Columns: append(t.columns(), "_uuid")}
		if t.whole {
			ops, tables = append(ops, op), append(tables, t)
			continue
		}
		// The conditions of one select all have to hold; of several, one.
		for _, c := range t.where {
			op.Where = []libovsdb.Condition{c}
			ops, tables = append(ops, op), append(tables, t)
		}
	}
	result, err := db.conn.call(ctx, "transact", libovsdb.NewTransactArgs(db.Schema.Name, ops...)...)
	if err != nil {
		return fmt.Errorf("select: %w", err)
	}
	r := &reader{b: result}
	r.expect('[')
	for i, first := 0, true; r.more(&first, ']'); i++ {
		if i >= len(tables) {
			r.fail("no more results than operations")
			break
		}
		r.object(func(name string) {
			if name != "rows" {
				r.fail("rows")
				return
			}
			r.expect('[')
			for first := true; r.more(&first, ']'); {
				tables[i].selected(r)
			}
		})
	}
	return r.err
}

// selected takes over a row of a select.
func (t *Table) selected(r *reader) {
	row := t.newRow(UUID{})
	r.object(func(name string) {
		switch c := column(t.Schema, name); {
		case name == "_uuid":
			u, _ := r.atom(ovsdb.TypeUUID).(UUID)
			row.UUID = u
		case c == nil:
			r.skip()
		default:
			row.old[c.Index] = r.datum(&c.Type)
		}
	})
	t.rows[row.UUID] = row
}

// update applies a <table-updates2> of ovsdb-server(7) section 4.1.14.
func (db *DB) update(r *reader) error {
	r.object(func(name string) {
		t := db.tables[name]
		if t == nil {
			r.skip()
			return
		}
		r.object(func(id string) {
			u, err := ovsdb.ParseUUID(id)
			if err != nil {
				r.fail("UUID of a row")
				return
			}
			r.object(func(kind string) { t.update(r, u, kind) })
		})
	})
	return r.err
}

func (t *Table) update(r *reader, u UUID, kind string) {
	switch kind {
	case "initial", "insert":
		row := t.newRow(u)
		r.row(t.Schema, func(c *ovsdb.ColumnSchema, d Datum) { row.old[c.Index] = d })
		t.rows[u] = row
	case "modify":
		row := t.rows[u]
		if row == nil {
			r.skip()
			return
		}
		r.row(t.Schema, func(c *ovsdb.ColumnSchema, d Datum) {
			row.old[c.Index] = applyDifference(&c.Type, row.old[c.Index], d)
		})
	case "delete":
		r.skip()
		delete(t.rows, u)
	default:
		r.skip()
	}
}

func (t *Table) newRow(u UUID) *Row {
	row := &Row{Table: t, UUID: u, old: make([]Datum, len(t.Schema.Columns))}
	for i, c := range t.Schema.Columns {
		row.old[i] = Default(&c.Type)
	}
	return row
}

// applyDifference is how a "modify" changes a value: of at most one element it
// is replaced; elements of a set that are in both go, others come; pairs of a
// map go when they are equal, others are set.
func applyDifference(t *ovsdb.ColumnType, old, diff Datum) Datum {
	if t.Max == 1 {
		return diff
	}
	if !t.IsMap() {
		return old.Without(diff).Union(diff.Without(old))
	}
	var replaced, added Datum
	for i, k := range diff.Keys {
		v, ok := old.Value(k)
		if ok {
			replaced.Keys = append(replaced.Keys, k)
		}
		if !ok || Compare(v, diff.Values[i]) != 0 {
			added.Keys, added.Values = append(added.Keys, k), append(added.Values, diff.Values[i])
		}
	}
	return added.Union(old.Without(replaced))
}

// Wait waits until the server reports a change, and takes it over together
// with all that have arrived.
func (db *DB) Wait(ctx context.Context) error {
	if !db.watched {
		db.Begin() // rows that the last attempt inserted go
		return db.Load(ctx, true)
	}
	for len(db.conn.notes) == 0 {
		if _, _, err := db.conn.handle(ctx); err != nil {
			return err
		}
	}
	return db.takeOver()
}

// takeOver applies the updates that have arrived.
func (db *DB) takeOver() error {
	notes := db.conn.notes
	db.conn.notes, db.conn.noted = nil, 0
	for _, b := range notes {
		r := &reader{b: b}
		r.expect('[')
		r.skip() // the id of the monitor; there is one
		r.expect(',')
		if err := db.update(r); err != nil {
			return err
		}
	}
	return nil
}

// Table returns a table that was asked for, or nil.
func (db *DB) Table(name string) *Table { return db.tables[name] }

// Row returns the row with that UUID, or nil, also when it was deleted in the
// transaction.
func (db *DB) Row(table string, u UUID) *Row {
	t := db.tables[table]
	if t == nil {
		return nil
	}
	if r := t.rows[u]; r != nil && !r.deleted {
		return r
	}
	return nil
}

// Rows returns the rows of a table in ascending order of their UUIDs.
func (db *DB) Rows(table string) []*Row {
	t := db.tables[table]
	if t == nil {
		return nil
	}
	out := make([]*Row, 0, len(t.rows))
	for _, r := range t.rows {
		if !r.deleted {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *Row) int { return a.UUID.Compare(b.UUID) })
	return out
}

// SortedBy returns the rows of a table in ascending order of a string column,
// then of their UUIDs.
func (db *DB) SortedBy(table, name string) []*Row {
	return Sort(db.Rows(table), name)
}

// Sort orders rows by a string column, then by their UUIDs.
func Sort(rows []*Row, name string) []*Row {
	slices.SortStableFunc(rows, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(a.Str(name), b.Str(name)), a.UUID.Compare(b.UUID))
	})
	return rows
}

// First returns a row of a table, the only one of tables that have at most one;
// nil when there is none.
func (db *DB) First(table string) *Row {
	if rows := db.Rows(table); len(rows) > 0 {
		return rows[0]
	}
	return nil
}

// TableNames returns the names of the server's tables in ascending order.
func (db *DB) TableNames() []string { return slices.Sorted(maps.Keys(db.Schema.Tables)) }

func (db *DB) fail(err error) {
	if db.err == nil {
		db.err = err
	}
}
