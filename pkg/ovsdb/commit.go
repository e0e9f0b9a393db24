package ovsdb

import (
	"fmt"
	"slices"
	"strings"
)

// Change is what one commit did to one row. Not both of Old and New are nil.
type Change struct {
	Table    *TableSchema
	UUID     UUID
	Old, New *Row
}

// commit is the work of checking a transaction and building the next state:
//
//	changed rows -> references counted -> strong references checked
//	  -> unreferenced rows deleted -> numbers of rows
//	  -> weak references pruned, unreferenced rows deleted (until neither)
//	  -> unique indexes
//
// The order is that of ovsdb-server, so that a transaction with several
// mistakes fails with the same error.
type commit struct {
	txn  *Txn
	rev  uint64
	next *dbState
	own  []bool // tables of next that are private copies
	edit *treeEdit
	// changed are all rows that differ, by UUID, per table.
	changed []*fewMap[*Change]
	lost    []*Row   // may have lost its last strong reference
	gone    []*Row   // was deleted: weak references to it go
	strong  []newRef // must exist
	dangle  []newRef // weak references that were added
}

type newRef struct {
	f              *refField
	source, target UUID
}

// build checks the transaction and returns the state after it and the changes,
// in the order of tables and UUIDs. Without changes the state is nil.
func (t *Txn) build(rev uint64) (*dbState, []Change, error) {
	if t.err != nil {
		return nil, nil, t.err
	}
	c := t.newCommit(rev)
	for _, tt := range t.tables {
		if tt == nil {
			continue
		}
		for _, r := range tt.rows.All() {
			if r.new != r.old && (r.new == nil || r.old == nil || !r.new.Equal(r.old)) {
				c.replace(r.old, r.new)
			}
		}
	}
	deleted := c.gone
	if err := c.checkStrong(deleted); err != nil {
		return nil, nil, err
	}
	c.collect()
	if err := c.checkRows(); err != nil {
		return nil, nil, err
	}
	for len(c.lost)+len(c.gone)+len(c.dangle) > 0 {
		if err := c.prune(); err != nil {
			return nil, nil, err
		}
		c.collect()
	}
	if err := c.index(); err != nil {
		return nil, nil, err
	}
	changes := c.list()
	for id, own := range c.own {
		if own {
			c.next.tables[id].edit(nil)
		}
	}
	if len(changes) == 0 {
		return nil, nil, nil
	}
	return c.next, changes, nil
}

func (t *Txn) newCommit(rev uint64) *commit {
	n := len(t.tables)
	return &commit{
		txn: t, rev: rev, edit: new(treeEdit), own: make([]bool, n), changed: make([]*fewMap[*Change], n),
		next: &dbState{schema: t.state.schema, tables: slices.Clone(t.state.tables)},
	}
}

// table returns table id of the next state for writing.
func (c *commit) table(id int) *tableState {
	if !c.own[id] {
		s := *c.next.tables[id]
		s.indexes, s.refs = slices.Clone(s.indexes), slices.Clone(s.refs)
		s.edit(c.edit)
		c.next.tables[id], c.own[id] = &s, true
	}
	return c.next.tables[id]
}

func (c *commit) row(t *TableSchema, u UUID) *Row {
	r, _ := c.next.tables[t.id].rows.Get(u)
	return r
}

// replace puts new in the place of old (either may be nil) and counts
// references. Where a row changes twice, the second call has the first one's
// new as its old.
func (c *commit) replace(old, new *Row) {
	var t *TableSchema
	var u UUID
	if old != nil {
		t, u = old.table, old.uuid
	} else {
		t, u = new.table, new.uuid
	}
	if c.changed[t.id] == nil {
		c.changed[t.id] = &fewMap[*Change]{}
	}
	change := c.changed[t.id].Get(u)
	if change == nil {
		change = &Change{Table: t, UUID: u, Old: old}
		c.changed[t.id].Put(u, change)
	}
	state := c.table(t.id)
	if change.New = new; new == nil {
		state.rows = state.rows.Without(u)
		c.gone = append(c.gone, old)
	} else {
		new.rev = c.rev
		state.rows = state.rows.With(u, new)
		if old == nil && !t.IsRoot {
			c.lost = append(c.lost, new)
		}
	}
	for _, f := range t.refs {
		var from, to Value
		if old != nil {
			from = old.values[f.column.Index]
		}
		if new != nil {
			to = new.values[f.column.Index]
		}
		if from != nil && to != nil && ValuesEqual(from, to) || hasNone(from) && hasNone(to) {
			continue // nearly all, and a closure is not for nothing
		}
		f.difference(from, to, func(target UUID, added bool) { c.refer(state, f, u, target, added) })
	}
}

// hasNone tells whether a value, which may be nil, has no element.
func hasNone(v Value) bool { return v == nil || valueLen(v) == 0 }

// refer counts that a row has come to refer to a target, or refers no more.
func (c *commit) refer(state *tableState, f *refField, source, target UUID, added bool) {
	switch {
	case added:
		state.addRef(f, target, source, 1)
		ref := newRef{f, source, target}
		if f.base.Ref == RefStrong {
			c.strong = append(c.strong, ref)
		} else {
			c.dangle = append(c.dangle, ref)
		}
	default:
		state.addRef(f, target, source, -1)
		if f.base.Ref == RefStrong && !f.base.Target.IsRoot {
			if r := c.row(f.base.Target, target); r != nil {
				c.lost = append(c.lost, r)
			}
		}
	}
}

// strongRefs counts the strong references to a row that has gone.
func (c *commit) strongRefs(r *Row) (n int) {
	for _, f := range r.table.referrers {
		if f.base.Ref == RefStrong {
			sources, _ := c.next.tables[f.column.Table.id].refs[f.slot].Get(r.uuid)
			for _, count := range sources.All() {
				n += count
			}
		}
	}
	return n
}

// stronglyReferred tells whether another row refers to a row; what it says of
// itself does not keep it.
func (c *commit) stronglyReferred(r *Row) bool {
	for _, f := range r.table.referrers {
		if f.base.Ref != RefStrong {
			continue
		}
		sources, _ := c.next.tables[f.column.Table.id].refs[f.slot].Get(r.uuid)
		n := sources.Len()
		if f.column.Table == r.table {
			if _, self := sources.Get(r.uuid); self {
				n--
			}
		}
		if n > 0 {
			return true
		}
	}
	return false
}

func (c *commit) checkStrong(deleted []*Row) error {
	var worst error
	for _, ref := range c.strong {
		if c.row(ref.f.base.Target, ref.target) != nil {
			continue
		}
		if c.changed[ref.f.base.Target.id].Get(ref.target) != nil {
			continue // deleted here; the error below names it
		}
		worst = least(worst, errorf(ErrReferential, "Table %s column %s row %s references nonexistent row %s in table %s.",
			ref.f.column.Table.Name, ref.f.column.Name, ref.source, ref.target, ref.f.base.RefTable))
	}
	for _, r := range deleted {
		if n := c.strongRefs(r); n > 0 {
			worst = least(worst, errorf(ErrReferential, "cannot delete %s row %s because of %d remaining reference(s)", r.table.Name, r.uuid, n))
		}
	}
	c.strong = nil
	return worst
}

// least returns the error whose text comes first, so that one transaction has
// one error whatever the order of maps.
func least(a, b error) error {
	if a == nil || b.Error() < a.Error() {
		return b
	}
	return a
}

// collect deletes rows of non-root tables to which no strong reference is left.
func (c *commit) collect() {
	for len(c.lost) > 0 {
		last := len(c.lost) - 1
		r := c.lost[last]
		c.lost = c.lost[:last]
		if now := c.row(r.table, r.uuid); now != nil && !c.stronglyReferred(now) {
			c.replace(now, nil)
		}
	}
}

// prune removes weak references to rows that do not exist.
func (c *commit) prune() error {
	gone, dangle := c.gone, c.dangle
	c.gone, c.dangle = nil, nil
	for _, r := range gone {
		for _, f := range r.table.referrers {
			if f.base.Ref != RefWeak {
				continue
			}
			sources, _ := c.next.tables[f.column.Table.id].refs[f.slot].Get(r.uuid)
			for u := range sources.All() {
				dangle = append(dangle, newRef{f, u, r.uuid})
			}
		}
	}
	var worst error
	for _, ref := range dangle {
		if c.row(ref.f.base.Target, ref.target) != nil {
			continue
		}
		column := ref.f.column
		source := c.row(column.Table, ref.source)
		if source == nil || !ref.f.holds(source.values[column.Index], ref.target) {
			continue
		}
		next := &Row{table: source.table, uuid: source.uuid, values: slices.Clone(source.values)}
		v := ref.f.prune(source.values[column.Index], ref.target)
		if valueLen(v) < column.Type.Min {
			how := ""
			if ch := c.changed[column.Table.id].Get(ref.source); ch != nil && ch.Old == nil {
				how = "(inserted within this transaction) "
			}
			if ref.target.IsZero() {
				worst = least(worst, constraintf("Weak reference column %q in %q row %s %scontained all-zeros UUID (probably as the default value for this column) but deleting this value caused a constraint violation because this column is not allowed to be empty.",
					column.Name, column.Table.Name, ref.source, how))
				continue
			}
			worst = least(worst, constraintf("Deletion of 1 weak reference(s) to deleted (or never-existing) rows from column %q in %q row %s %scaused this column to become empty, but constraints on this column disallow an empty column.",
				column.Name, column.Table.Name, ref.source, how))
			continue
		}
		next.values[column.Index] = v
		c.replace(source, next)
	}
	return worst
}

func (c *commit) checkRows() error {
	for id, changed := range c.changed {
		t := c.next.schema.tables[id]
		if n := c.next.tables[id].rows.Len(); changed.Len() > 0 && n > t.MaxRows && n > c.txn.state.tables[id].rows.Len() {
			return constraintf("transaction causes %q table to contain %d rows, greater than the schema-defined limit of %d row(s)", t.Name, n, t.MaxRows)
		}
	}
	return nil
}

// index brings the unique indexes up to date: first all old keys go, then the
// new ones come, so that rows may trade their keys.
func (c *commit) index() error {
	var worst error
	for id, changed := range c.changed {
		t := c.next.schema.tables[id]
		for i, columns := range t.Indexes {
			if worst != nil {
				return worst // that of the first index
			}
			var moved []*Change
			for _, ch := range changed.All() {
				if ch.Old == nil && ch.New == nil || ch.Old != nil && ch.New != nil && !slices.ContainsFunc(columns, func(col *ColumnSchema) bool {
					return !ValuesEqual(ch.Old.values[col.Index], ch.New.values[col.Index])
				}) {
					continue
				}
				moved = append(moved, ch)
				if ch.Old != nil {
					s := c.table(id)
					s.indexes[i] = s.indexes[i].Without(ch.Old.indexKey(i))
				}
			}
			for _, ch := range moved {
				if ch.New == nil {
					continue
				}
				s := c.table(id)
				key := ch.New.indexKey(i)
				if other, ok := s.indexes[i].Get(key); ok && other != ch.UUID {
					worst = least(worst, c.duplicate(t, columns, ch.UUID, other))
				}
				s.indexes[i] = s.indexes[i].With(key, ch.UUID)
			}
		}
	}
	return worst
}

// duplicate describes two rows with equal keys, in the order of their UUIDs.
func (c *commit) duplicate(t *TableSchema, columns []*ColumnSchema, a, b UUID) error {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	names, values := make([]string, len(columns)), make([]string, len(columns))
	list := func(r *Row) string {
		for i, col := range columns {
			values[i] = col.Type.text(r.values[col.Index])
		}
		return enumerate(values)
	}
	for i, col := range columns {
		names[i] = fmt.Sprintf("%q", col.Name)
	}
	kind := "column "
	if len(columns) > 1 {
		kind = "columns "
	}
	on := kind + enumerate(names)
	history := func(which string, u UUID) string {
		s := fmt.Sprintf("%s row, with UUID %s, ", which, u)
		switch ch := c.changed[t.id].Get(u); {
		case ch == nil:
			return s + "existed in the database before this transaction and was not modified by the transaction."
		case ch.Old == nil:
			return s + "was inserted by this transaction."
		case list(ch.Old) == list(ch.New):
			return s + "existed in the database before this transaction, which modified some of the row's columns but not any columns in this index."
		default:
			return s + "had the following index values before the transaction: " + list(ch.Old) + "."
		}
	}
	return constraintf("Transaction causes multiple rows in %q table to have identical values (%s) for index on %s.  %s  %s",
		t.Name, list(c.row(t, a)), on, history("First", a), history("Second", b))
}

// enumerate joins words as English does: "a", "a and b", "a, b, and c".
func enumerate(words []string) string {
	last := len(words) - 1
	if last < 2 {
		return strings.Join(words, " and ")
	}
	return strings.Join(words[:last], ", ") + ", and " + words[last]
}

// text prints a value as OVSDB tools do on a command line.
func (t *ColumnType) text(v Value) string {
	var parts []string
	switch x := v.(type) {
	case Set:
		for a := range x.All() {
			parts = append(parts, atomText(a))
		}
		if len(parts) == 1 && t.Max == 1 {
			return parts[0]
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Map:
		for k, e := range x.All() {
			parts = append(parts, atomText(k)+"="+atomText(e))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return atomText(v)
}

// list returns the net changes in order.
func (c *commit) list() []Change {
	n := 0
	for _, changed := range c.changed {
		n += changed.Len()
	}
	all := make([]Change, 0, n)
	for _, changed := range c.changed {
		from := len(all)
		for _, ch := range changed.All() {
			if ch.Old != nil && ch.New != nil && ch.Old.Equal(ch.New) {
				// Pruned back to what it was.
				s := c.table(ch.Table.id)
				s.rows = s.rows.With(ch.UUID, ch.Old)
				continue
			}
			if ch.Old != nil || ch.New != nil {
				all = append(all, *ch)
			}
		}
		slices.SortFunc(all[from:], func(a, b Change) int { return a.UUID.Compare(b.UUID) })
	}
	return all
}
