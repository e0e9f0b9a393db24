package ovsdb

import (
	"math/bits"
	"slices"
	"time"
)

// The work of a transaction is counted in rows: 1 is a row that is looked at under
// a few simple conditions, about 0.1 µs; what takes longer counts for more.
//
//	work  0 ----------- heavyWork --------------------- Limits.MaxWork
//	      at once        in turn, one in the process     refused
//	                     at a time, without holding up
//	                     those who write
//
// So clients that have the server look at large tables again and again, however
// many connections they have, take one processor at most. A heavy transaction that
// writes runs on a snapshot, and is committed if nobody has changed the tables that
// it names; if somebody has, it begins anew, and after some times runs while the
// others wait, unless it is too long for that.
const (
	heavyWork  = 200_000
	heavyTries = 3
	// holdingShare is the part of MaxWork for which others may have to wait.
	holdingShare = 10
	writtenRow   = 10 // work of writing a row, with its share of the commit
	renderedRow  = 50 // work of rendering a row of a virtual table
	indexAfter   = 3  // scans of a table by equality in one column that are not indexed
	maxIndexes   = 2  // indexes of a transaction
)

// errHeavy is the internal sign that a transaction is heavy, or must begin anew as
// such.
var errHeavy = errorf(ErrInternal, "a heavy transaction waits for its turn")

// effort is the work of one run of a transaction.
type effort struct {
	done  int
	check int  // the work at which weigh is called
	light bool // break off when it is heavy
	turn  bool // it is the one heavy transaction
	took  bool // and has to give that back
	scans map[*ColumnSchema]*scans
}

// spend counts work.
func (x *executor) spend(n int) error {
	if x.effort.done += n; x.effort.done < x.effort.check {
		return nil
	}
	return x.weigh()
}

// weigh looks whether the transaction may go on.
func (x *executor) weigh() error {
	e := &x.effort
	if x.held == nil {
		e.check = Unlimited
		return nil
	}
	most := x.held.meter.limits.MaxWork
	switch {
	case e.check == 0: // the first time
		e.check = min(heavyWork, most)
		if e.done <= e.check {
			return nil
		}
		return x.weigh()
	case e.done > most:
		return errorf(ErrResources, "%v", x.held.meter.exceeded(limitWork, "the transaction has to look at more than %d rows", most))
	case x.held.over():
		return errorf(ErrResources, "the connection has gone")
	case e.light:
		return errHeavy
	case !e.turn && !x.takeTurn():
		return errorf(ErrResources, "the connection has gone")
	}
	e.check = min(e.done+heavyWork, most)
	return nil
}

// takeTurn waits until the transaction may be heavy; false if its connection ends
// first.
func (x *executor) takeTurn() bool {
	select {
	case x.store.heavy <- struct{}{}:
		x.effort.turn, x.effort.took = true, true
	case <-x.held.ended:
	}
	return x.effort.turn
}

// settleTurn lets the next heavy transaction begin.
func (x *executor) settleTurn() {
	if x.effort.took {
		<-x.store.heavy
	}
}

// writeHeavy runs a transaction that changes something and is heavy.
func (tr *transaction) writeHeavy(waited time.Duration) outcome {
	x := tr.executor(waited)
	if !x.takeTurn() {
		return outcome{result: []byte("[]")} // for nobody
	}
	defer x.settleTurn()
	work := 0
	for range heavyTries {
		o := tr.writeAside(waited, &work)
		if !o.heavy {
			return o
		}
	}
	if most := tr.held.meter.limits.MaxWork / holdingShare; work > most {
		err := tr.held.meter.exceeded(limitWork, "others change what the transaction looks at, and they cannot wait for %d rows, more than %d", work, most)
		return outcome{result: append(errorf(ErrResources, "%v", err).appendJSON([]byte{'['}), ']')}
	}
	return tr.write(waited, false)
}

// writeAside runs it on a snapshot; the outcome is heavy if it has to begin anew.
func (tr *transaction) writeAside(waited time.Duration, work *int) outcome {
	x := tr.executor(waited)
	x.effort.turn = true
	defer x.settle()
	x.readVirtual()
	x.txn = newTxn(tr.store.Snapshot(), tr.db, tr.who)
	o := x.all(func() (uint64, error) {
		tr.store.writing.Lock()
		defer tr.store.writing.Unlock()
		if !x.rebase() {
			return 0, errHeavy
		}
		return x.commit()
	})
	*work = x.effort.done
	return o
}

// rebase puts the transaction on the present state, if it would do the same there:
// the tables that it names are as they were, and the locks that it asserts held.
// Store.writing is held.
func (x *executor) rebase() bool {
	now := x.store.Snapshot()
	state := now.db(x.db.Schema)
	if state.schema != x.txn.state.schema {
		return false
	}
	for i := range x.ops {
		if name, _ := x.ops[i].member("table"); name != nil {
			if t := state.schema.Tables[name.text]; t != nil && state.tables[t.id] != x.txn.state.tables[t.id] {
				return false
			}
		}
		if lock, _ := x.ops[i].member("lock"); lock != nil && x.holds != nil && !x.holds(lock.text) {
			return false
		}
	}
	x.txn.base, x.txn.state = now, state
	return true
}

// cost is the work of looking at one row.
func (w allOf) cost() int {
	eighths := 8 + len(w)
	for i := range w {
		if w[i].column != nil {
			eighths += valueLen(w[i].arg)
		}
	}
	return eighths / 8
}

// sortingCost is that of sorting n rows.
func sortingCost(n int) int { return n * bits.Len(uint(n)) / 4 }

// scans are those of a table for rows with a value in a column, by ==.
type scans struct {
	n    int
	rows map[Value][]*Row // before the transaction, in the order of UUIDs; nil at first
}

// indexed returns rows among which are all that match, where the transaction has
// scanned the table for a value in the same column so often that an index pays:
// updating 10,000 rows by name would be 10,000 scans.
func (x *executor) indexed(t *TableSchema, where allOf) ([]*Row, bool, error) {
	i := slices.IndexFunc(where, func(c clause) bool {
		return c.column != nil && c.fn == condEQ && c.column.Index >= 0 && c.column.Type.IsScalar()
	})
	if i < 0 {
		return nil, false, nil
	}
	column := where[i].column
	e := &x.effort
	s := e.scans[column]
	if s == nil {
		if len(e.scans) >= maxIndexes {
			return nil, false, nil
		}
		if e.scans == nil {
			e.scans = make(map[*ColumnSchema]*scans)
		}
		s = &scans{}
		e.scans[column] = s
	}
	if s.n++; s.n <= indexAfter {
		return nil, false, nil
	}
	before := x.txn.state.tables[t.id].rows
	if s.rows == nil {
		if err := x.spend(5 * before.Len()); err != nil {
			return nil, false, err
		}
		s.rows = make(map[Value][]*Row, before.Len())
		for _, r := range before.All() {
			v := r.Get(column)
			s.rows[v] = append(s.rows[v], r)
		}
	}
	var rows []*Row
	tt := x.txn.tables[t.id]
	for _, r := range s.rows[where[i].arg] {
		if tt == nil || tt.rows.Get(r.uuid) == nil {
			rows = append(rows, r)
		}
	}
	if err := x.spend(1 + len(rows)); err != nil || tt == nil {
		return rows, true, err
	}
	if err := x.spend(tt.rows.Len() / 4); err != nil {
		return nil, false, err
	}
	for _, r := range tt.rows.All() {
		if r.new != nil && where[i].matches(r.new) {
			r.lent = true
			rows = append(rows, r.new)
		}
	}
	inserted := func(r *Row) int {
		if touched := tt.rows.Get(r.uuid); touched != nil && touched.old == nil {
			return 1
		}
		return 0
	}
	slices.SortFunc(rows, func(a, b *Row) int {
		if n := inserted(a) - inserted(b); n != 0 {
			return n
		}
		return a.uuid.Compare(b.uuid)
	})
	return rows, true, nil
}

// readTables notes of which tables the first n operations are.
func (x *executor) readTables(n int) {
	x.reads = x.reads[:0]
	for i := range x.ops[:n] {
		if name, _ := x.ops[i].member("table"); name != nil && !slices.Contains(x.reads, name.text) {
			x.reads = append(x.reads, name.text)
		}
	}
}

// changedTable is a table of a database.
type changedTable struct {
	db    *DatabaseSchema // its identity
	table string
}

// changedSince are the tables that commits after a node have changed.
func changedSince(n *commitNode) map[changedTable]bool {
	changed := make(map[changedTable]bool)
	for n = n.after(); n != nil; n = n.after() {
		var last *TableSchema
		for i := range n.commit.Changes {
			if t := n.commit.Changes[i].Table; t != last {
				last = t
				changed[changedTable{n.commit.DB, t.Name}] = true
			}
		}
	}
	return changed
}

// concerns tells whether what a blocked transaction reads is among what changed.
func (tr *transaction) concerns(changed map[changedTable]bool) bool {
	return slices.ContainsFunc(tr.reads, func(table string) bool {
		return changed[changedTable{tr.db.Schema, table}] || tr.db.virtual[table] != nil
	})
}
