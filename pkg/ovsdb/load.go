package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// loader builds the state from what the engine has: first the rows that are left
// in the end, in plain maps, then the trees, which are much cheaper to build at
// once than row by row.
type loader struct {
	store    *Store
	state    *Snapshot         // revision and transaction id so far; trees in the end
	schemas  []*DatabaseSchema // that rows have by now, by database
	recorded []bool            // the log says so
	rows     [][]map[UUID]*Row // by database and table
	texts    *interner
	parts    int
	total    uint64
	complete bool // the last part was there
	entries  bool // the parts are through
}

// ErrUnlisted is returned by Open when the log has rows of a database that is
// not among those to be opened: the next snapshot would lose them.
var ErrUnlisted = errors.New("ovsdb: the log has a database that is not among those to be opened")

func (s *Store) load(ctx context.Context, empty *Snapshot) (*Snapshot, error) {
	l := &loader{store: s, state: empty, texts: newInterner(4096)}
	for _, d := range s.dbs {
		l.schemas = append(l.schemas, d.Schema)
		l.rows = append(l.rows, noRows(d.Schema))
	}
	l.recorded = make([]bool, len(s.dbs))
	if err := s.engine.Load(ctx, l.part, l.entry); err != nil {
		return nil, err
	}
	if err := l.endParts(); err != nil {
		return nil, err
	}
	if err := l.build(); err != nil {
		return nil, err
	}
	for i, d := range s.dbs {
		d.now.Store(l.schemas[i])
		d.recorded = l.recorded[i]
	}
	return l.state, nil
}

func noRows(d *DatabaseSchema) []map[UUID]*Row {
	tables := make([]map[UUID]*Row, len(d.tables))
	for i := range tables {
		tables[i] = make(map[UUID]*Row)
	}
	return tables
}

// adopt reads a schema and converts the rows of a database that are there to it.
// Constraints are not checked: what came of them, the log says.
func (l *loader) adopt(i int, text string, revision uint64) error {
	before := l.schemas[i]
	base := l.store.dbs[i].Schema
	v, err := parseJSON(text, defaultJSONLimits)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	next, err := parseSchemaValue(&v, base)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if next.Name != base.Name {
		return fmt.Errorf("the schema of %q is that of %q", base.Name, next.Name)
	}
	l.recorded[i] = true
	switch string(next.json) {
	case string(before.json):
		return nil
	case string(base.json):
		next = base
	}
	rows := noRows(next)
	for _, old := range before.tables {
		t := next.Tables[old.Name]
		if t == nil {
			continue
		}
		columns := newColumnConversions(old, t)
		for u, r := range l.rows[i][old.id] {
			if rows[t.id][u], err = columns.row(r, revision); err != nil {
				return err
			}
		}
	}
	l.schemas[i], l.rows[i] = next, rows
	l.store.history.clear()
	return nil
}

func (l *loader) find(name string) (int, *database) {
	for i, d := range l.store.dbs {
		if d.Schema.Name == name {
			return i, d
		}
	}
	return -1, nil
}

func (l *loader) part(revision uint64, data []byte) error {
	l.parts++
	if err := l.readPart(revision, data); errors.Is(err, ErrUnlisted) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: snapshot of revision %d, part %d: %w", ErrCorrupt, revision, l.parts, err)
	}
	return nil
}

func (l *loader) readPart(revision uint64, data []byte) error {
	kind, r, err := openEntry(data, revision)
	if r != nil {
		r.texts = l.texts
	}
	switch {
	case err != nil:
		return err
	case l.complete, (kind == kindHead) != (l.parts == 1):
		return fmt.Errorf("a part of kind %q is out of place", kind)
	}
	switch kind {
	case kindHead:
		l.state.revision, l.state.txid = revision, r.uuid()
		return r.err
	case kindTables:
		l.total++
		i, d := l.find(r.text())
		text := r.text()
		if r.err != nil || d == nil {
			return r.err
		}
		return l.adopt(i, text, revision)
	case kindRows:
		name := r.text()
		i, d := l.find(name)
		if d == nil && r.err == nil {
			return fmt.Errorf("%w: %q", ErrUnlisted, name)
		}
		if r.err != nil {
			return r.err
		}
		absent := func(*TableSchema, UUID) *Row { return nil }
		counted := *r // rows of unknown tables count too
		l.total += counted.countRows()
		l.store.snapped.Add(int64(len(data)))
		return r.rows(l.schemas[i], revision, true, absent, func(row loadedRow) {
			l.rows[i][row.table.id][row.uuid] = row.row
		})
	case kindFoot:
		if n := r.uvarint(); n != l.total {
			return fmt.Errorf("%d rows of %d are there", l.total, n)
		}
		l.complete = true
		return r.err
	}
	return fmt.Errorf("a part of kind %q", kind)
}

// countRows returns how many rows a part with one table has.
func (r *logReader) countRows() uint64 {
	if r.count() != 1 {
		return 0
	}
	r.text()
	for n := r.count(); n > 0 && r.err == nil; n-- {
		r.text()
	}
	return r.uvarint()
}

// endParts checks that the snapshot was whole.
func (l *loader) endParts() error {
	if l.entries {
		return nil
	}
	l.entries = true
	if l.parts > 0 && !l.complete {
		return fmt.Errorf("%w: snapshot of revision %d: the last part is missing", ErrCorrupt, l.state.revision)
	}
	return nil
}

// build makes trees, indexes and references of the rows.
func (l *loader) build() error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, schema := range l.schemas {
		db := newDBState(schema)
		l.state.dbs[i] = db
		for _, t := range db.schema.tables {
			g.Go(func() (err error) {
				db.tables[t.id], err = buildTable(t, l.rows[i][t.id])
				return err
			})
		}
	}
	err := g.Wait()
	l.rows = nil
	return err
}

func buildTable(t *TableSchema, rows map[UUID]*Row) (*tableState, error) {
	s := &tableState{indexes: make([]indexTree, len(t.Indexes)), refs: make([]refTree, len(t.refs))}
	list := make([]uuidEntry[*Row], 0, len(rows))
	for u, r := range rows {
		list = append(list, uuidEntry[*Row]{Key: u, Value: r})
	}
	s.rows = buildUUIDTree(list)
	for i := range t.Indexes {
		keys := make([]uuidEntry[UUID], len(list))
		for j, r := range list {
			keys[j] = uuidEntry[UUID]{Key: r.Value.indexKey(i), Value: r.Key}
		}
		s.indexes[i] = buildUUIDTree(keys)
		if s.indexes[i].Len() < len(rows) {
			return nil, fmt.Errorf("%w: table %q: rows have the same values for index %d", ErrCorrupt, t.Name, i)
		}
	}
	for _, f := range t.refs {
		s.refs[f.slot] = buildRefs(f, list)
	}
	return s, nil
}

func (l *loader) entry(e Entry) error {
	if err := l.endParts(); err != nil {
		return err
	}
	if err := l.readEntry(e); errors.Is(err, ErrUnlisted) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: entry of revision %d: %w", ErrCorrupt, e.Revision, err)
	}
	l.store.logged.Add(int64(len(e.Data)))
	return nil
}

func (l *loader) readEntry(e Entry) error {
	kind, r, err := openEntry(e.Data, e.Revision)
	if r != nil {
		r.texts = l.texts
	}
	switch {
	case err != nil:
		return err
	case kind != kindEntry && kind != kindSchema:
		return fmt.Errorf("an entry of kind %q", kind)
	case e.Revision != l.state.revision+1:
		return fmt.Errorf("revision %d comes before it", l.state.revision)
	}
	name := r.text()
	i, d := l.find(name)
	l.state = &Snapshot{revision: e.Revision, txid: nextTxnID(l.state.txid, e.Data), dbs: l.state.dbs}
	if d == nil {
		if kind == kindSchema {
			r.text()
		}
		if tables := *r; tables.count() > 0 {
			return fmt.Errorf("%w: %q", ErrUnlisted, name)
		}
		return r.rows(nil, e.Revision, false, nil, nil) // of a volatile database
	}
	if kind == kindSchema {
		text := r.text()
		if r.err != nil {
			return r.err
		}
		if err := l.adopt(i, text, e.Revision); err != nil {
			return err
		}
	}
	tables := l.rows[i]
	old := func(t *TableSchema, u UUID) *Row { return tables[t.id][u] }
	var changes []Change
	if err := r.rows(l.schemas[i], e.Revision, false, old, func(row loadedRow) {
		if row.row == nil {
			delete(tables[row.table.id], row.uuid)
		} else {
			tables[row.table.id][row.uuid] = row.row
		}
		changes = append(changes, Change{Table: row.table, UUID: row.uuid, Old: row.old, New: row.row})
	}); err != nil {
		return err
	}
	node := newCommitNode()
	node.commit, node.txid, node.size = Commit{Revision: e.Revision, DB: d.Schema, Changes: changes}, l.state.txid, len(e.Data)
	s := l.store
	s.history.add(node)
	s.tail.next = node
	close(s.tail.ready)
	s.tail = node
	return nil
}

// Check verifies all that the store believes of its rows: types, constraints,
// references, indexes.
func (s *Store) Check() error {
	for _, state := range s.Snapshot().dbs {
		if err := state.check(); err != nil {
			return fmt.Errorf("ovsdb: database %q: %w", state.schema.Name, err)
		}
	}
	return nil
}
