package ovsdb

import (
	"fmt"
	"iter"
	"slices"
)

type (
	rowTree = uuidTree[*Row]
	// indexTree maps the hash of the indexed values to the row that has them.
	indexTree = uuidTree[UUID]
	// refTree maps a target to the rows that refer to it.
	refTree = uuidTree[sources]
)

// tableState is one table at one revision.
type tableState struct {
	rows    rowTree
	indexes []indexTree // as TableSchema.Indexes
	refs    []refTree   // as TableSchema.refs
}

// dbState is one database at one revision; tables by TableSchema.id.
type dbState struct {
	schema *DatabaseSchema
	tables []*tableState
}

func newDBState(d *DatabaseSchema) *dbState {
	s := &dbState{schema: d}
	for _, t := range d.tables {
		s.tables = append(s.tables, &tableState{indexes: make([]indexTree, len(t.Indexes)), refs: make([]refTree, len(t.refs))})
	}
	return s
}

// Snapshot is all databases at one revision. It is immutable, costs nothing to
// keep but the memory of what has changed since, and needs no closing.
type Snapshot struct {
	revision uint64
	txid     UUID
	dbs      []*dbState
}

// Revision counts the transactions since the store was created.
func (s *Snapshot) Revision() uint64 { return s.revision }

// TxnID identifies the contents of the log up to this revision (the
// <last-txn-id> of ovsdb-server(7), 4.1.15). It survives restarts.
func (s *Snapshot) TxnID() UUID { return s.txid }

func (s *Snapshot) db(d *DatabaseSchema) *dbState {
	for _, state := range s.dbs {
		if state.schema.identity() == d.identity() {
			return state
		}
	}
	panic(fmt.Sprintf("ovsdb: database %q is not in the store", d.Name))
}

func (s *Snapshot) table(t *TableSchema) *tableState {
	db := s.db(t.DB)
	return db.tables[db.current(t).id]
}

// current is the table in the schema that the database has here, of one that
// may be the program's.
func (s *dbState) current(t *TableSchema) *TableSchema {
	if t.DB == s.schema {
		return t
	}
	if t.id < len(s.schema.tables) {
		if now := s.schema.tables[t.id]; now == t.base || now.base == t.public() {
			return now
		}
	}
	panic(fmt.Sprintf("ovsdb: database %q has no table %q any more", s.schema.Name, t.Name))
}

// currentColumn is current for a column.
func (s *dbState) currentColumn(c *ColumnSchema) *ColumnSchema {
	if c.Index < 0 {
		return c
	}
	return s.current(c.Table).Columns[c.Index]
}

// Row returns a row, or nil.
func (s *Snapshot) Row(t *TableSchema, u UUID) *Row {
	r, _ := s.table(t).rows.Get(u)
	return r
}

// Rows yields the rows of a table in the order of their UUIDs.
func (s *Snapshot) Rows(t *TableSchema) iter.Seq[*Row] {
	rows := s.table(t).rows
	return func(yield func(*Row) bool) {
		for _, r := range rows.All() {
			if !yield(r) {
				return
			}
		}
	}
}

// Len is the number of rows of a table.
func (s *Snapshot) Len(t *TableSchema) int { return s.table(t).rows.Len() }

// Lookup returns the row whose columns of the given index (a position in
// TableSchema.Indexes) have the given values, or nil.
func (s *Snapshot) Lookup(t *TableSchema, index int, key ...Atom) *Row {
	state := s.table(t)
	u, ok := state.indexes[index].Get(t.indexKey(index, key))
	if !ok {
		return nil
	}
	r, _ := state.rows.Get(u)
	return r
}

// Referrers yields the rows of column c's table whose column c refers to row u,
// strongly or weakly, in the order of their UUIDs.
func (s *Snapshot) Referrers(c *ColumnSchema, u UUID) iter.Seq[UUID] {
	db := s.db(c.Table.DB)
	c = db.currentColumn(c)
	return db.tables[c.Table.id].referrers(c, u)
}

func (s *tableState) referrers(c *ColumnSchema, u UUID) iter.Seq[UUID] {
	return func(yield func(UUID) bool) {
		var first sources
		for i, f := range c.refs {
			from, _ := s.refs[f.slot].Get(u)
			for r := range from.All() {
				if _, dup := first.Get(r); i > 0 && dup {
					continue
				}
				if !yield(r) {
					return
				}
			}
			first = from
		}
	}
}

// indexKey hashes the values of an index.
func (t *TableSchema) indexKey(index int, key []Value) UUID {
	columns := t.Indexes[index]
	if len(key) != len(columns) {
		panic(fmt.Sprintf("ovsdb: table %q: index %d has %d columns", t.Name, index, len(columns)))
	}
	var buf [64]byte
	b := buf[:0]
	for i, c := range columns {
		v := key[i]
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		if _, isSet := v.(Set); c.Type.IsSet() && !isSet {
			v = NewSet(v)
		}
		h := hashValue(v)
		b = append(b, h[:]...)
	}
	return UUID(hashOf(b))
}

func (r *Row) indexKey(index int) UUID {
	var buf [4]Value
	key := buf[:0]
	for _, c := range r.table.Indexes[index] {
		key = append(key, r.values[c.Index])
	}
	return r.table.indexKey(index, key)
}

// targets calls visit for each reference that field f of a value holds.
func (f *refField) targets(v Value, visit func(UUID)) {
	switch x := v.(type) {
	case UUID:
		visit(x)
	case Set:
		for a := range x.All() {
			visit(a.(UUID))
		}
	case Map:
		for k, e := range x.All() {
			if f.values {
				k = e
			}
			visit(k.(UUID))
		}
	}
}

// holds tells whether field f of a value refers to u.
func (f *refField) holds(v Value, u UUID) bool {
	switch x := v.(type) {
	case UUID:
		return x == u
	case Set:
		return x.Has(u)
	case Map:
		if !f.values {
			_, ok := x.Get(u)
			return ok
		}
		for _, e := range x.All() {
			if e == u {
				return true
			}
		}
	}
	return false
}

// prune returns the value without references to u.
func (f *refField) prune(v Value, u UUID) Value {
	switch x := v.(type) {
	case UUID:
		return Set{}
	case Set:
		return x.Without(u)
	case Map:
		if !f.values {
			return x.Without(u)
		}
		for k, e := range x.All() {
			if e == u {
				x = x.Without(k)
			}
		}
		return x
	}
	return v
}

// difference calls visit for each reference by which two values differ; a nil
// value has none.
func (f *refField) difference(old, new Value, visit func(u UUID, added bool)) {
	oldSet, isOld := old.(Set)
	newSet, isNew := new.(Set)
	switch {
	case isOld && isNew:
		removed, added := DiffSets(oldSet, newSet)
		for _, a := range removed {
			visit(a.(UUID), false)
		}
		for _, a := range added {
			visit(a.(UUID), true)
		}
		return
	case old != nil && new != nil:
		if ValuesEqual(old, new) {
			return
		}
		oldMap, isOld := old.(Map)
		newMap, isNew := new.(Map)
		if isOld && isNew {
			f.mapDifference(DiffMaps(oldMap, newMap), visit)
			return
		}
	}
	f.targets(old, func(u UUID) { visit(u, false) })
	f.targets(new, func(u UUID) { visit(u, true) })
}

func (f *refField) mapDifference(changes []MapChange, visit func(u UUID, added bool)) {
	for _, c := range changes {
		oldAtom, newAtom := c.Old, c.New
		if !f.values {
			if c.Old != nil && c.New != nil {
				continue
			}
			if c.Old != nil {
				oldAtom = c.Key
			} else {
				newAtom = c.Key
			}
		}
		if oldAtom != nil {
			visit(oldAtom.(UUID), false)
		}
		if newAtom != nil {
			visit(newAtom.(UUID), true)
		}
	}
}

// check verifies that indexes and references agree with the rows, and the rows
// with their columns.
func (s *dbState) check() error {
	fresh := newDBState(s.schema)
	for i, t := range s.schema.tables {
		state, want := s.tables[i], fresh.tables[i]
		if err := state.rows.check(); err != nil {
			return fmt.Errorf("table %q: %w", t.Name, err)
		}
		for u, r := range state.rows.All() {
			if r.uuid != u || r.table != t {
				return fmt.Errorf("ovsdb: row %s is in the wrong place", r)
			}
			for j := range t.Indexes {
				want.indexes[j] = want.indexes[j].With(r.indexKey(j), u)
			}
			for _, f := range t.refs {
				f.targets(r.values[f.column.Index], func(target UUID) { want.addRef(f, target, u, 1) })
			}
			for _, c := range t.Columns {
				v := r.values[c.Index]
				if !ValuesEqual(v, t.defaults[c.Index]) && c.Type.check(v) != nil {
					return fmt.Errorf("ovsdb: column %s of row %s: %w", c, u, c.Type.check(v))
				}
			}
		}
		for j := range t.Indexes {
			if !slices.Equal(elements(want.indexes[j].All()), elements(state.indexes[j].All())) {
				return fmt.Errorf("ovsdb: table %q: index %d is wrong", t.Name, j)
			}
		}
		for j, f := range t.refs {
			if want.refs[j].Len() != state.refs[j].Len() {
				return fmt.Errorf("ovsdb: column %s: %d targets, not %d", f.column, state.refs[j].Len(), want.refs[j].Len())
			}
			for u, from := range want.refs[j].All() {
				got, _ := state.refs[j].Get(u)
				if !slices.Equal(elements(from.All()), elements(got.All())) {
					return fmt.Errorf("ovsdb: column %s: referrers of %s are wrong", f.column, u)
				}
				if _, ok := s.tables[f.base.Target.id].rows.Get(u); !ok {
					return fmt.Errorf("ovsdb: column %s: target %s does not exist", f.column, u)
				}
			}
		}
	}
	return nil
}

func elements[V any](entries iter.Seq2[UUID, V]) (all []uuidEntry[V]) {
	for k, v := range entries {
		all = append(all, uuidEntry[V]{k, v})
	}
	return all
}
