package ovsdb

import (
	"context"
	"fmt"
	"slices"
)

// Convert gives a database another schema, as "convert" of ovsdb-server(7) does:
// rows keep their UUIDs; columns and tables that the new schema has not vanish,
// those that it adds begin with defaults; values are read as the new type reads
// their JSON; then all constraints must hold as if the rows were inserted in one
// transaction. It is one entry of the log, and happens or not.
//
// A database whose program reads rows itself (Database.AnySchema is not set)
// keeps what the program's schema has; otherwise the error wraps ErrSchema.
// Monitors of the database end, and transaction ids of before are forgotten.
// db names the database, by the program's schema; schema is a <database-schema>.
// It returns the revision from which on rows have the schema; see WaitDurable.
func (s *Store) Convert(ctx context.Context, db *DatabaseSchema, schema []byte) (uint64, error) {
	v, err := parseJSON(string(schema), defaultJSONLimits)
	if err != nil {
		return 0, fmt.Errorf("ovsdb: convert %q: schema: %w", db.Name, err)
	}
	return s.convert(ctx, s.database(db), &v)
}

// Schema is the schema that a database has now; db is the program's.
func (s *Store) Schema(db *DatabaseSchema) *DatabaseSchema { return s.database(db).now.Load() }

func (s *Store) convert(ctx context.Context, d *database, v *jsonValue) (uint64, error) {
	if d.volatile {
		return 0, errorf(ErrPermission, "database %s cannot be converted", d.Schema.Name)
	}
	next, err := parseSchemaValue(v, d.Schema)
	if err != nil {
		return 0, err
	}
	if next.Name != d.Schema.Name {
		return 0, errorf("invalid parameters", "new schema name (%s) does not match database name (%s)", next.Name, d.Schema.Name)
	}
	if err := d.Schema.misfit(next); err != nil && !d.AnySchema {
		return 0, fmt.Errorf("%w: %w", errorf(ErrConstraint, "database %s cannot be converted to schema %s: %v", next.Name, next.Version, err), err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.durable.failed(); err != nil {
		return 0, err
	}
	before := s.current.Load()
	c, err := newConversion(before.db(d.Schema), next, before.revision+1)
	if err != nil {
		return 0, err
	}
	data := c.encode()
	txid := nextTxnID(before.txid, data)
	s.adopt(d, c, txid)
	s.logged.Add(int64(len(data)))
	s.durable.add(Entry{Revision: c.revision, Data: data}, false)
	s.log.Info("a database was converted", "db", next.Name, "from", c.from.schema.Version, "to", next.Version, "revision", c.revision)
	if err := s.announceSchema(d); err != nil {
		s.log.Error("_Server cannot show a schema", "db", next.Name, "error", err)
	}
	return c.revision, nil
}

// adopt makes a conversion the present state. s.writing is held.
func (s *Store) adopt(d *database, c *conversion, txid UUID) {
	commit := Commit{Revision: c.revision, DB: d.Schema, Changes: c.visible(), Who: OwnerClient}
	d.now.Store(c.to.schema)
	d.recorded = true
	s.publish.Lock()
	s.history.clear()
	s.publish.Unlock()
	s.show(&commit, c.to, txid, 0) // the first of a new history
	for _, tell := range s.converted {
		tell(d, c.revision)
	}
}

// onConvert has a function called after each conversion, under the lock of
// writers; it must be called before the store serves anybody.
func (s *Store) onConvert(tell func(d *database, revision uint64)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.converted = append(s.converted, tell)
}

// conversion is a database's way from one schema to another.
type conversion struct {
	revision uint64
	from, to *dbState
	// removed and changed are what came of the constraints: rows of the new
	// schema that nothing refers to, and weak references to rows that are gone.
	changes []Change
}

// newConversion converts all rows and checks the result.
func newConversion(from *dbState, next *DatabaseSchema, revision uint64) (*conversion, error) {
	c := &conversion{revision: revision, from: from}
	if string(from.schema.json) == string(next.json) {
		c.to = from
		return c, nil
	}
	t := &Txn{
		base: &Snapshot{revision: revision - 1}, db: &database{Database: Database{Schema: next}},
		state: newDBState(next), tables: make([]*txnTable, len(next.tables)),
	}
	for _, old := range from.schema.tables {
		ts := next.Tables[old.Name]
		if ts == nil {
			continue
		}
		columns := newColumnConversions(old, ts)
		tt := new(txnTable)
		for u, r := range from.tables[old.id].rows.All() {
			row, err := columns.row(r, revision)
			if err != nil {
				return nil, err
			}
			tt.rows.Put(u, &txnRow{uuid: u, new: row})
		}
		t.tables[ts.id] = tt
	}
	state, _, err := t.build(revision)
	if err != nil {
		return nil, err
	}
	if state == nil { // no rows
		state = newDBState(next)
	}
	c.to = state
	for _, ts := range next.tables {
		tt := t.tables[ts.id]
		if tt == nil {
			continue
		}
		for u, r := range tt.rows.All() {
			now, _ := state.tables[ts.id].rows.Get(u)
			if now != r.new {
				c.changes = append(c.changes, Change{Table: ts, UUID: u, Old: r.new, New: now})
			}
		}
	}
	slices.SortFunc(c.changes, compareChanges)
	return c, nil
}

func compareChanges(a, b Change) int {
	if a.Table != b.Table {
		return a.Table.id - b.Table.id
	}
	return a.UUID.Compare(b.UUID)
}

// encode is the log entry; its reader converts the rows that it has, and then
// applies the changes.
func (c *conversion) encode() []byte {
	return new(entryWriter).schemaEntry(c.revision, c.to.schema, c.changes)
}

// visible are the changes that the program can see.
func (c *conversion) visible() (changes []Change) {
	if c.from == c.to {
		return nil
	}
	for _, ts := range c.to.schema.tables {
		old := c.from.schema.Tables[ts.Name]
		if ts.base == nil || old == nil || old.public() != ts.base {
			continue
		}
		now := c.to.tables[ts.id].rows
		for u, r := range c.from.tables[old.id].rows.All() {
			row, _ := now.Get(u)
			if row == nil || !r.sameColumns(row, ts.base.Columns) {
				changes = append(changes, Change{Table: ts, UUID: u, Old: r, New: row})
			}
		}
	}
	return changes
}

// sameColumns compares the given columns, which both rows have.
func (r *Row) sameColumns(o *Row, columns []*ColumnSchema) bool {
	for _, c := range columns {
		if !ValuesEqual(r.Get(c), o.Get(c)) {
			return false
		}
	}
	return true
}

// columnConversions is how the rows of one table are converted.
type columnConversions struct {
	table *TableSchema
	moves []columnMove
}

type columnMove struct {
	from, to *ColumnSchema
	// free tells that every old value is a new one.
	free bool
}

func newColumnConversions(old, next *TableSchema) *columnConversions {
	cc := &columnConversions{table: next}
	for _, c := range old.Columns {
		if to := next.columns[c.Name]; to != nil {
			from, plain := c.Type, to.Type
			// References are checked at commit, whatever they were.
			for _, b := range []*BaseType{&from.Key, &from.Value, &plain.Key, &plain.Value} {
				b.RefTable, b.Ref = "", RefNone
			}
			cc.moves = append(cc.moves, columnMove{from: c, to: to, free: plain.accepts(&from) == nil})
		}
	}
	return cc
}

// row converts a row; the error names table, row, column and what is wrong.
func (cc *columnConversions) row(r *Row, revision uint64) (*Row, error) {
	next := &Row{table: cc.table, uuid: r.uuid, rev: revision, values: slices.Clone(cc.table.defaults)}
	for i := range cc.moves {
		m := &cc.moves[i]
		v := r.values[m.from.Index]
		if !m.free {
			var err error
			if v, err = m.to.Type.convert(&m.from.Type, v); err != nil {
				e := *asError(err)
				e.Details = fmt.Sprintf("%s (column %q of table %q, row %s, converted from %s)", e.Details, m.to.Name, cc.table.Name, r.uuid, m.from.Type.describe())
				return nil, &e
			}
		}
		next.values[m.to.Index] = v
	}
	return next, nil
}

// convert reads a value of another type as its JSON is read, but that a real is
// no integer, whatever its value.
func (t *ColumnType) convert(from *ColumnType, v Value) (Value, error) {
	for _, b := range [][2]*BaseType{{&t.Key, &from.Key}, {&t.Value, &from.Value}} {
		if b[0].Type == TypeInteger && b[1].Type == TypeReal && valueLen(v) > 0 {
			return nil, errorf(ErrSyntax, "expected integer")
		}
	}
	j, err := parseJSON(string(appendValue(nil, v)), jsonLimits{depth: 8, values: 1 << 40})
	if err != nil {
		return nil, err
	}
	return t.parseValue(&j, nil)
}

// publicChanges are changes as the program sees them: of its own tables only.
func publicChanges(changes []Change) []Change {
	if len(changes) == 0 || changes[0].Table.DB.base == nil {
		return changes
	}
	public := make([]Change, 0, len(changes))
	for _, ch := range changes {
		if ch.Table.base != nil {
			ch.Table = ch.Table.base
			public = append(public, ch)
		}
	}
	return public
}

// upgrade brings what was loaded to the programs' schemas:
//
//	stored is older                              convert
//	stored is newer, or of the same version:
//	  and has all that the program's has         keep
//	  and has not: newer                         refuse, unless AnySchema
//	               of the same version           convert
//
// What was stored before schemas were in the log is read by the names of columns,
// without constraints. An error leaves the log as it is.
func (s *Store) upgrade(ctx context.Context) error {
	for _, d := range s.dbs {
		stored := d.now.Load()
		if s.opts.AsStored || !d.recorded || stored == d.Schema {
			continue
		}
		if !stored.older(d.Schema) {
			misfit := d.Schema.misfit(stored)
			newer := d.Schema.older(stored)
			switch {
			case misfit == nil, d.AnySchema:
				s.log.Info("the stored schema is kept", "db", d.Schema.Name, "stored", stored.Version, "program", d.Schema.Version)
				continue
			case newer:
				return fmt.Errorf("ovsdb: database %q is stored with schema %s, newer than %s of this program: %w", d.Schema.Name, stored.Version, d.Schema.Version, misfit)
			}
		}
		before := s.current.Load()
		c, err := newConversion(before.db(d.Schema), d.Schema, before.revision+1)
		if err != nil {
			return fmt.Errorf("ovsdb: database %q cannot be converted from schema %s to %s: %w", d.Schema.Name, stored.Version, d.Schema.Version, err)
		}
		data := c.encode()
		if err := s.engine.Append(ctx, []Entry{{Revision: c.revision, Data: data}}); err != nil {
			return fmt.Errorf("ovsdb: database %q: the conversion to schema %s cannot be stored: %w", d.Schema.Name, d.Schema.Version, err)
		}
		s.adopt(d, c, nextTxnID(before.txid, data))
		s.logged.Add(int64(len(data)))
		s.log.Info("a database was converted", "db", d.Schema.Name, "from", stored.Version, "to", d.Schema.Version, "revision", c.revision)
	}
	return nil
}
