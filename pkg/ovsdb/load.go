package ovsdb

import (
	"context"
	"fmt"

	"govn/pkg/treap"
)

// loader builds the state from what the engine has.
type loader struct {
	store    *Store
	state    *Snapshot // what the snapshot's parts and the entries make
	rows     [][][]treap.Element[UUID, *Row]
	parts    int
	total    uint64
	complete bool // the last part was there
	indexed  bool
}

func (s *Store) load(ctx context.Context, empty *Snapshot) (*Snapshot, error) {
	l := &loader{store: s, state: empty}
	for _, d := range s.dbs {
		l.rows = append(l.rows, make([][]treap.Element[UUID, *Row], len(d.Schema.tables)))
	}
	if err := s.engine.Load(ctx, l.part, l.entry); err != nil {
		return nil, err
	}
	if err := l.finishParts(); err != nil {
		return nil, err
	}
	return l.state, nil
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
	if err := l.readPart(revision, data); err != nil {
		return fmt.Errorf("%w: snapshot of revision %d, part %d: %w", ErrCorrupt, revision, l.parts, err)
	}
	return nil
}

func (l *loader) readPart(revision uint64, data []byte) error {
	kind, r, err := openEntry(data, revision)
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
	case kindRows:
		i, d := l.find(r.text())
		var schema *DatabaseSchema
		if d != nil {
			schema = d.Schema
		}
		absent := func(*TableSchema, UUID) *Row { return nil }
		counted := *r // rows of unknown tables count too
		l.total += counted.countRows()
		return r.rows(schema, revision, true, absent, func(row loadedRow) {
			list := &l.rows[i][row.table.id]
			*list = append(*list, treap.Element[UUID, *Row]{Key: row.uuid, Value: row.row})
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

// finishParts builds trees, indexes and references of the snapshot's rows.
func (l *loader) finishParts() error {
	if l.indexed {
		return nil
	}
	l.indexed = true
	if l.parts > 0 && !l.complete {
		return fmt.Errorf("%w: snapshot of revision %d: the last part is missing", ErrCorrupt, l.state.revision)
	}
	for i, db := range l.state.dbs {
		for _, t := range db.schema.tables {
			db.tables[t.id] = buildTable(t, l.rows[i][t.id])
		}
	}
	l.rows = nil
	return nil
}

func buildTable(t *TableSchema, rows []treap.Element[UUID, *Row]) *tableState {
	s := &tableState{indexes: make([]indexTree, len(t.Indexes)), refs: make([]refTree, len(t.refs))}
	s.rows = treap.Build[UUID, *Row, uuidOps[*Row]](rows)
	for i := range t.Indexes {
		keys := make([]treap.Element[UUID, UUID], len(rows))
		for j, r := range rows {
			keys[j] = treap.Element[UUID, UUID]{Key: r.Value.indexKey(i), Value: r.Key}
		}
		s.indexes[i] = treap.Build[UUID, UUID, uuidOps[UUID]](keys)
	}
	for _, f := range t.refs {
		counts := make(map[UUID]map[UUID]int)
		for _, r := range rows {
			f.targets(r.Value.values[f.column.Index], func(target UUID) {
				if counts[target] == nil {
					counts[target] = make(map[UUID]int, 1)
				}
				counts[target][r.Key]++
			})
		}
		targets := make([]treap.Element[UUID, sourceTree], 0, len(counts))
		for target, sources := range counts {
			list := make([]treap.Element[UUID, int], 0, len(sources))
			for u, n := range sources {
				list = append(list, treap.Element[UUID, int]{Key: u, Value: n})
			}
			targets = append(targets, treap.Element[UUID, sourceTree]{Key: target, Value: treap.Build[UUID, int, uuidOps[int]](list)})
		}
		s.refs[f.slot] = treap.Build[UUID, sourceTree, uuidOps[sourceTree]](targets)
	}
	return s
}

func (l *loader) entry(e Entry) error {
	if err := l.finishParts(); err != nil {
		return err
	}
	if err := l.readEntry(e); err != nil {
		return fmt.Errorf("%w: entry of revision %d: %w", ErrCorrupt, e.Revision, err)
	}
	l.store.logged.Add(int64(len(e.Data)))
	return nil
}

func (l *loader) readEntry(e Entry) error {
	kind, r, err := openEntry(e.Data, e.Revision)
	switch {
	case err != nil:
		return err
	case kind != kindEntry:
		return fmt.Errorf("an entry of kind %q", kind)
	case e.Revision != l.state.revision+1:
		return fmt.Errorf("revision %d comes before it", l.state.revision)
	}
	i, d := l.find(r.text())
	next := &Snapshot{revision: e.Revision, txid: nextTxnID(l.state.txid, e.Data), dbs: append([]*dbState(nil), l.state.dbs...)}
	if d == nil {
		if err := r.rows(nil, e.Revision, false, nil, nil); err != nil {
			return err
		}
		l.state = next
		return nil
	}
	before := l.state.dbs[i]
	old := func(t *TableSchema, u UUID) *Row {
		row, _ := before.tables[t.id].rows.Get(u)
		return row
	}
	c := newTxn(l.state, d, OwnerNorthd).newCommit(e.Revision)
	if err := r.rows(d.Schema, e.Revision, false, old, func(row loadedRow) { c.replace(row.old, row.row) }); err != nil {
		return err
	}
	if err := c.index(); err != nil {
		return err
	}
	next.dbs[i] = c.next
	l.state = next
	node := newCommitNode()
	node.commit, node.txid = Commit{Revision: e.Revision, DB: d.Schema, Changes: c.list()}, next.txid
	s := l.store
	s.history.add(node)
	s.tail.next = node
	close(s.tail.ready)
	s.tail = node
	return nil
}
