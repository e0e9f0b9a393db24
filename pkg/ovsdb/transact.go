package ovsdb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// transaction is a "transact" request: it is run once, or, when it has a wait
// that does not hold yet, again after commits.
type transaction struct {
	store *Store
	db    *database
	ops   []jsonValue
	// holds tells whether the client holds a lock, for assert.
	holds func(lock string) bool
	// shows hides rows from clients; nil: none.
	shows func(*Row) bool
	who   Owner
	access
	asker
	held *holding // what the connection has, and its limits; nil: none
	// durable is set by run when a "commit" operation asks for it.
	durable bool
	// leads tells that run gives the engine what it has committed; see Store.lead.
	leads bool
	// reads are the tables of which a change may unblock it; set by run.
	reads []string
}

// outcome of running a transaction.
type outcome struct {
	// result is the JSON array of the reply; nil while blocked.
	result []byte
	// revision that must be durable before the reply is sent.
	revision uint64
	// blocked tells that a wait does not hold; it times out after the given
	// time since the request, or never if that is negative.
	blocked bool
	timeout time.Duration
	// heavy tells that it must run again, in its turn.
	heavy bool
}

// errBlocked is the internal sign that a wait does not hold yet.
var errBlocked = errorf(ErrInternal, "a wait does not hold yet")

// run executes the operations in order. waited is how long ago the request
// came.
func (tr *transaction) run(waited time.Duration) outcome {
	if tr.writes() {
		if tr.leads {
			defer tr.store.lead()
		}
		if o := tr.write(waited, true); !o.heavy {
			return o
		}
		return tr.writeHeavy(waited)
	}
	x := tr.executor(waited)
	defer x.settleTurn()
	defer x.settle()
	x.readVirtual()
	x.txn = newTxn(tr.store.Snapshot(), tr.db, tr.who)
	return x.all(func() (uint64, error) { return x.txn.base.revision, nil })
}

func (tr *transaction) executor(waited time.Duration) *executor {
	return &executor{transaction: tr, waited: waited, timeout: -1}
}

// write runs a transaction that changes something, while no other does. One that
// must be light is broken off when it is heavy.
func (tr *transaction) write(waited time.Duration, light bool) outcome {
	x := tr.executor(waited)
	x.effort.light, x.effort.turn = light, !light
	defer x.settle()
	x.readVirtual()
	tr.store.writing.Lock()
	defer tr.store.writing.Unlock()
	x.txn = newTxn(tr.store.Snapshot(), tr.db, tr.who)
	x.txn.leads = tr.leads
	x.intern = tr.store.texts
	return x.all(x.commit)
}

// writes tells whether some operation may change something.
func (tr *transaction) writes() bool {
	return slices.ContainsFunc(tr.ops, func(op jsonValue) bool {
		name, _ := op.member("op")
		return name != nil && slices.Contains([]string{"insert", "update", "mutate", "delete"}, name.text)
	})
}

type symbol struct {
	uuid    UUID
	created bool
}

type executor struct {
	*transaction
	intern  *interner // nil unless the transaction writes
	txn     *Txn
	names   map[string]*symbol
	virtual map[string][]*Row // by table
	waited  time.Duration
	touched int           // rows written so far, each time that one is
	grown   growth        // of out
	timeout time.Duration // least of the waits that block; negative: none
	effort  effort
	out     []byte
}

// text implements texts. The store's interner belongs to who writes.
func (x *executor) text(s string) Atom { return x.intern.atom(s) }

// resolve implements symbols.
func (x *executor) resolve(name string) UUID { return x.symbol(name).uuid }

func (x *executor) symbol(name string) *symbol {
	s := x.names[name]
	if s == nil {
		s = &symbol{uuid: NewUUID()}
		if x.names == nil {
			x.names = make(map[string]*symbol)
		}
		x.names[name] = s
	}
	return s
}

// readVirtual renders the virtual tables that are read, before any lock is
// taken: rendering may need the locks of somebody who waits for ours.
func (x *executor) readVirtual() {
	if len(x.db.virtual) == 0 {
		return
	}
	for i := range x.ops {
		name, _ := x.ops[i].member("table")
		if name == nil {
			continue
		}
		if hub := x.db.virtual[name.text]; hub != nil && x.virtual[name.text] == nil {
			if x.virtual == nil {
				x.virtual = make(map[string][]*Row)
			}
			rows := hub.all()
			slices.SortFunc(rows, func(a, b *Row) int { return a.uuid.Compare(b.uuid) })
			x.virtual[name.text] = rows
			x.effort.done += renderedRow * len(rows)
		}
	}
}

// all runs all operations and commits, and lays out the reply: the results, and
// where one fails its error in its place and nulls after it, as many elements
// as operations; an error at commit is one element more.
func (x *executor) all(commit func() (uint64, error)) outcome {
	x.out = append(make([]byte, 0, 128), '[')
	rev := x.txn.base.revision
	for i := range x.ops {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		mark := len(x.out)
		err := x.operation(&x.ops[i])
		if err == nil {
			err = x.allowed(&x.ops[i])
		}
		if err == errHeavy {
			return outcome{heavy: true}
		}
		if err == errBlocked {
			x.readTables(i + 1)
			return outcome{blocked: true, timeout: x.timeout}
		}
		if err != nil {
			x.out = inOperation(err, i, len(x.ops)).appendJSON(x.out[:mark])
			for range len(x.ops) - i - 1 {
				x.out = append(x.out, ",null"...)
			}
			return outcome{result: append(x.out, ']'), revision: rev}
		}
	}
	rev, err := commit()
	if err == errHeavy {
		return outcome{heavy: true}
	}
	if err != nil {
		rev = x.txn.base.revision
		if len(x.ops) > 0 {
			x.out = append(x.out, ',')
		}
		x.out = asError(err).appendJSON(x.out)
	}
	return outcome{result: append(x.out, ']'), revision: rev}
}

// inOperation adds to the details of an error in the syntax of an operation
// which one of the transaction's it is.
func inOperation(err error, i, of int) *Error {
	e := asError(err)
	if rest, ok := strings.CutPrefix(e.Details, "Parsing ovsdb operation failed:"); ok {
		numbered := *e
		numbered.Details = fmt.Sprintf("Parsing ovsdb operation %d of %d failed:%s", i+1, of, rest)
		return &numbered
	}
	return e
}

// operation runs one <operation> and appends its result.
func (x *executor) operation(v *jsonValue) error {
	f := newFields(v, "ovsdb operation")
	op := f.need("op", jsonString)
	if op == nil {
		return f.err
	}
	switch op.text {
	case "insert":
		return x.insert(f)
	case "select":
		return x.selectRows(f)
	case "update":
		return x.update(f)
	case "mutate":
		return x.mutate(f)
	case "delete":
		return x.remove(f)
	case "wait":
		return x.wait(f)
	case "commit":
		if durable := f.need("durable", jsonBool); durable != nil && durable.text == "true" {
			x.durable = true
		}
		return x.empty(f.done())
	case "abort":
		if err := f.done(); err != nil {
			return err
		}
		return errorf(ErrAborted, "aborted by request")
	case "comment":
		f.need("comment", jsonString)
		return x.empty(f.done())
	case "assert":
		lock := f.need("lock", jsonString)
		if lock != nil && !isID(lock.text) {
			f.mismatch("lock")
		}
		if err := f.done(); err != nil {
			return err
		}
		if x.holds == nil || !x.holds(lock.text) {
			return errorf(ErrNotOwner, "Asserted lock %s not held.", lock.text)
		}
		return x.empty(nil)
	}
	return syntaxError(v, fmt.Sprintf("Parsing ovsdb operation failed: No operation %q", op.text))
}

func (x *executor) empty(err error) error {
	if err == nil {
		x.out = append(x.out, "{}"...)
	}
	return err
}

func (x *executor) count(n int) error {
	x.out = append(strconv.AppendInt(append(x.out, `{"count":`...), int64(n), 10), '}')
	return nil
}

func (x *executor) table(f *fields) *TableSchema {
	v := f.need("table", jsonString)
	if v == nil {
		return nil
	}
	t := x.txn.state.schema.Tables[v.text]
	if t == nil {
		f.fail(syntaxError(f.v, fmt.Sprintf("Parsing ovsdb operation failed: No table named %s.", v.text)))
	}
	return t
}

// row reads a <row> into values by column position, nil where it has none, and
// tells which of _uuid and _version it names besides, if any.
func (x *executor) row(t *TableSchema, v *jsonValue) (values []Value, fixed *ColumnSchema, err error) {
	values = make([]Value, len(t.Columns))
	for i := 0; i < len(v.list); i += 2 {
		c := t.lookup(v.list[i].text)
		if c == nil {
			return nil, nil, unknownColumn(t, v.list[i].text, v)
		}
		value, err := c.Type.parseValue(&v.list[i+1], x)
		if err != nil {
			return nil, nil, inColumn(err, c)
		}
		if c.Index < 0 {
			fixed = c
			continue
		}
		values[c.Index] = value
	}
	return values, fixed, nil
}

func (x *executor) insert(f *fields) error {
	t := x.table(f)
	uuid, name, row := f.get("uuid", jsonString), f.get("uuid-name", jsonString), f.need("row", jsonObject)
	if name != nil && !isID(name.text) {
		f.mismatch("uuid-name")
	}
	if err := f.done(); err != nil {
		return err
	}
	u := NewUUID()
	if uuid != nil {
		var err error
		if u, err = ParseUUID(uuid.text); err != nil {
			return syntaxError(uuid, "bad uuid")
		}
		if x.txn.taken(t, u) {
			return &Error{Kind: ErrDuplicateUUID, Details: duplicateUUID, Syntax: uuid.short()}
		}
	}
	if name != nil {
		s := x.symbol(name.text)
		if s.created {
			return &Error{Kind: ErrDuplicateName, Details: "This \"uuid-name\" appeared on an earlier \"insert\" operation.", Syntax: name.String()}
		}
		if s.created = true; uuid != nil {
			s.uuid = u
		}
		u = s.uuid
	}
	values, _, err := x.row(t, row) // ovsdb-server ignores _uuid and _version here
	if err != nil {
		return err
	}
	for _, c := range t.unfit {
		if values[c.Index] == nil {
			return inColumn(c.Type.check(t.defaults[c.Index]), c)
		}
	}
	rule, err := x.rule(t, "row insertion into")
	if err != nil {
		return err
	}
	if err := x.another(t); err != nil {
		return err
	}
	if err := x.spend(writtenRow); err != nil {
		return err
	}
	if err := x.txn.insert(t, u, values); err != nil {
		return err
	}
	if rule != nil {
		if err := rule.insertsOrDeletes(x.txn.Row(t, u)); err != nil {
			return err
		}
	}
	x.out = append(u.append(append(x.out, `{"uuid":["uuid","`...)), `"]}`...)
	return nil
}

// where reads table and where, which four operations share.
func (x *executor) where(f *fields) (t *TableSchema, where *jsonValue) {
	return x.table(f), f.need("where", jsonArray)
}

// matching calls visit for the rows that match, until it returns an error.
func (x *executor) matching(t *TableSchema, where *jsonValue, visit func(*Row) error) error {
	conditions, err := parseWhere(t, where, x)
	if err != nil {
		return err
	}
	if x.shows != nil {
		all := visit
		visit = func(r *Row) error {
			if !x.shows(r) {
				return nil
			}
			return all(r)
		}
	}
	cost := conditions.cost()
	if rows, ok := x.virtual[t.Name]; ok {
		if err := x.spend(cost * len(rows)); err != nil {
			return err
		}
		for _, r := range rows {
			if conditions.matches(r) {
				if err := visit(r); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := x.spend(cost); err != nil {
		return err
	}
	if u, ok := conditions.uuid(); ok {
		if r := x.txn.Row(t, u); r != nil && conditions.matches(r) {
			return visit(r)
		}
		return nil
	}
	// A transaction may hold several rows with one key before it commits; only
	// an untouched table has an index to trust.
	if i, key, ok := conditions.index(t); ok && x.txn.tables[t.id] == nil {
		if r := x.txn.Lookup(t, i, key...); r != nil && conditions.matches(r) {
			return visit(r)
		}
		return nil
	}
	few, ok, err := x.indexed(t, conditions)
	if err != nil {
		return err
	}
	all := slices.Values(few)
	if !ok {
		all = x.txn.Rows(t)
	}
	var rows []*Row // changes below must not disturb the walk
	for r := range all {
		if err := x.spend(cost); err != nil {
			return err
		}
		if conditions.matches(r) {
			rows = append(rows, r)
		}
	}
	for _, r := range rows {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

func (x *executor) update(f *fields) error {
	t, where := x.where(f)
	row := f.need("row", jsonObject)
	if err := f.done(); err != nil {
		return err
	}
	values, fixed, err := x.row(t, row)
	if err != nil {
		return err
	}
	var written []*ColumnSchema
	for i, c := range t.Columns {
		if values[i] != nil && !c.Mutable {
			fixed = c
		}
		if c = fixed; c != nil {
			return &Error{Kind: ErrConstraint, Details: fmt.Sprintf("Cannot update immutable column %s in table %s.", c.Name, t.Name), Syntax: f.v.short()}
		}
		if values[i] != nil {
			written = append(written, t.Columns[i])
		}
	}
	rule, err := x.rule(t, "modification of")
	if err != nil {
		return err
	}
	cost := 0
	for _, v := range values {
		if v != nil {
			cost += valueLen(v) / 8
		}
	}
	n := 0
	err = x.matching(t, where, func(r *Row) error {
		if err := rule.changes(r, written); err != nil {
			return err
		}
		touched, err := x.touchRow(t, r)
		if err == nil {
			err = x.spend(cost)
		}
		if err != nil {
			return err
		}
		for i, c := range t.Columns {
			if values[i] == nil {
				continue
			}
			if err := x.txn.write(touched, c, values[i]); err != nil {
				return err
			}
		}
		n++
		return nil
	})
	if err != nil {
		return err
	}
	return x.count(n)
}

func (x *executor) touchRow(t *TableSchema, r *Row) (*txnRow, error) {
	if x.db.virtual[t.Name] != nil {
		return nil, errorf(ErrPermission, "table %q is virtual", t.Name)
	}
	if err := x.another(t); err != nil {
		return nil, err
	}
	if err := x.spend(writtenRow); err != nil {
		return nil, err
	}
	touched := x.txn.touch(t, r.uuid)
	if touched == nil {
		return nil, errorf(ErrInternal, "row %s of table %q has gone", r.uuid, t.Name)
	}
	return touched, nil
}

func (x *executor) mutate(f *fields) error {
	t, where := x.where(f)
	list := f.need("mutations", jsonArray)
	if err := f.done(); err != nil {
		return err
	}
	mutations := make([]mutation, len(list.list))
	for i := range list.list {
		var err error
		if mutations[i], err = parseMutation(t, &list.list[i], x); err != nil {
			return err
		}
	}
	var written []*ColumnSchema
	for i := range mutations {
		written = append(written, mutations[i].column)
	}
	rule, err := x.rule(t, "mutate operation on")
	if err != nil {
		return err
	}
	n := 0
	err = x.matching(t, where, func(r *Row) error {
		if err := rule.changes(r, written); err != nil {
			return err
		}
		touched, err := x.touchRow(t, r)
		if err != nil {
			return err
		}
		for i := range mutations {
			m := &mutations[i]
			if err := x.spend(m.cost(touched.new)); err != nil {
				return err
			}
			v, err := m.apply(touched.new.values[m.column.Index])
			if err != nil {
				return inColumn(err, m.column)
			}
			if err := x.txn.write(touched, m.column, v); err != nil {
				return err
			}
		}
		n++
		return nil
	})
	if err != nil {
		return err
	}
	return x.count(n)
}

func (x *executor) remove(f *fields) error {
	where := f.need("where", jsonArray)
	t := x.table(f)
	if err := f.done(); err != nil {
		return err
	}
	rule, err := x.rule(t, "row deletion from")
	if err != nil {
		return err
	}
	n := 0
	err = x.matching(t, where, func(r *Row) error {
		if err := rule.insertsOrDeletes(r); err != nil {
			return err
		}
		if _, err := x.touchRow(t, r); err != nil {
			return err
		}
		n++
		return x.txn.remove(t, r.uuid)
	})
	if err != nil {
		return err
	}
	return x.count(n)
}
