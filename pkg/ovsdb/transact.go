package ovsdb

import (
	"fmt"
	"math"
	"slices"
	"strconv"
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
	// durable is set by run when a "commit" operation asks for it.
	durable bool
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
}

// errBlocked is the internal sign that a wait does not hold yet.
var errBlocked = errorf(ErrInternal, "a wait does not hold yet")

// run executes the operations in order. waited is how long ago the request
// came.
func (tr *transaction) run(waited time.Duration) outcome {
	x := executor{transaction: tr, waited: waited, timeout: -1, names: make(map[string]*symbol)}
	x.readVirtual()
	if !tr.writes() {
		x.txn = newTxn(tr.store.Snapshot(), tr.db, tr.who)
		return x.all(func() (uint64, error) { return x.txn.base.revision, nil })
	}
	tr.store.writing.Lock()
	defer tr.store.writing.Unlock()
	x.txn = newTxn(tr.store.Snapshot(), tr.db, tr.who)
	return x.all(func() (uint64, error) { return tr.store.commit(x.txn) })
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
	txn     *Txn
	names   map[string]*symbol
	virtual map[*TableSchema][]*Row
	waited  time.Duration
	timeout time.Duration // least of the waits that block; negative: none
	out     []byte
}

// resolve implements symbols.
func (x *executor) resolve(name string) UUID { return x.symbol(name).uuid }

func (x *executor) symbol(name string) *symbol {
	s := x.names[name]
	if s == nil {
		s = &symbol{uuid: NewUUID()}
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
		if hub := x.db.virtual[name.text]; hub != nil && x.virtual[hub.table] == nil {
			if x.virtual == nil {
				x.virtual = make(map[*TableSchema][]*Row)
			}
			rows := hub.all()
			slices.SortFunc(rows, func(a, b *Row) int { return a.uuid.Compare(b.uuid) })
			x.virtual[hub.table] = rows
		}
	}
}

// all runs all operations and commits, and lays out the reply: the results, and
// where one fails its error in its place and nulls after it, as many elements
// as operations; an error at commit is one element more.
func (x *executor) all(commit func() (uint64, error)) outcome {
	x.out = append(x.out, '[')
	rev := x.txn.base.revision
	for i := range x.ops {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		mark := len(x.out)
		err := x.operation(&x.ops[i])
		if err == errBlocked {
			return outcome{blocked: true, timeout: x.timeout}
		}
		if err != nil {
			x.out = asError(err).appendJSON(x.out[:mark])
			for range len(x.ops) - i - 1 {
				x.out = append(x.out, ",null"...)
			}
			return outcome{result: append(x.out, ']'), revision: rev}
		}
	}
	rev, err := commit()
	if err != nil {
		rev = x.txn.base.revision
		if len(x.ops) > 0 {
			x.out = append(x.out, ',')
		}
		x.out = asError(err).appendJSON(x.out)
	}
	return outcome{result: append(x.out, ']'), revision: rev}
}

// operation runs one <operation> and appends its result.
func (x *executor) operation(v *jsonValue) error {
	if v.kind != jsonObject {
		return syntaxError(v, "operation must be object")
	}
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
		if err := f.done(); err != nil {
			return err
		}
		if !isID(lock.text) {
			return syntaxError(lock, "lock is not a valid <id>")
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
	t := x.db.Schema.Tables[v.text]
	if t == nil {
		f.fail(syntaxError(f.v, fmt.Sprintf("Parsing ovsdb operation failed: No table named %s.", v.text)))
	}
	return t
}

// row reads a <row> into values by column position; nil where it has none.
func (x *executor) row(t *TableSchema, v *jsonValue) ([]Value, error) {
	values := make([]Value, len(t.Columns))
	for i := 0; i < len(v.list); i += 2 {
		c := t.lookup(v.list[i].text)
		if c == nil {
			return nil, unknownColumn(t, &v.list[i])
		}
		if c.Index < 0 {
			return nil, &Error{Kind: ErrConstraint, Details: fmt.Sprintf("Cannot update immutable column %s in table %s.", c.Name, t.Name), Syntax: v.short()}
		}
		value, err := c.Type.parseValue(&v.list[i+1], x)
		if err != nil {
			return nil, inColumn(err, c)
		}
		values[c.Index] = value
	}
	return values, nil
}

// inColumn adds to the details of an error in which column a value stood.
func inColumn(err error, c *ColumnSchema) error {
	e := *asError(err)
	e.Details = fmt.Sprintf("%s (column %q of table %q)", e.Details, c.Name, c.Table.Name)
	return &e
}

func (x *executor) insert(f *fields) error {
	t := x.table(f)
	uuid, name, row := f.get("uuid", jsonString), f.get("uuid-name", jsonString), f.need("row", jsonObject)
	if err := f.done(); err != nil {
		return err
	}
	u := NewUUID()
	if uuid != nil {
		var err error
		if u, err = ParseUUID(uuid.text); err != nil {
			return syntaxError(uuid, fmt.Sprintf("%q is not a valid UUID", uuid.text))
		}
	}
	if name != nil {
		if !isID(name.text) {
			return syntaxError(name, "uuid-name is not a valid <id>")
		}
		s := x.symbol(name.text)
		if s.created {
			return &Error{Kind: ErrDuplicateName, Details: "This \"uuid-name\" appeared on an earlier \"insert\" operation.", Syntax: name.String()}
		}
		if s.created = true; uuid != nil {
			s.uuid = u
		}
		u = s.uuid
	}
	values, err := x.row(t, row)
	if err != nil {
		return err
	}
	if err := x.txn.insert(t, u, values); err != nil {
		return err
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
	if rows, ok := x.virtual[t]; ok {
		for _, r := range rows {
			if conditions.matches(r) {
				if err := visit(r); err != nil {
					return err
				}
			}
		}
		return nil
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
	var rows []*Row // changes below must not disturb the walk
	for r := range x.txn.Rows(t) {
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

// columns reads a list of column names; without one, all columns.
func parseColumns(t *TableSchema, v *jsonValue) ([]*ColumnSchema, error) {
	if v == nil {
		return append(slices.Clone(t.Columns), t.uuidCol, t.verCol), nil
	}
	var columns []*ColumnSchema
	for i := range v.list {
		if v.list[i].kind != jsonString {
			return nil, syntaxError(v, "array of distinct column names expected")
		}
		c := t.lookup(v.list[i].text)
		if c == nil {
			return nil, syntaxError(v, v.list[i].text+" is not a valid column name")
		}
		if slices.Contains(columns, c) {
			return nil, syntaxError(v, "array of distinct column names expected")
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func (x *executor) selectRows(f *fields) error {
	t, where := x.where(f)
	names := f.get("columns", jsonArray)
	f.get("sort", jsonArray)
	if err := f.done(); err != nil {
		return err
	}
	columns, err := parseColumns(t, names)
	if err != nil {
		return err
	}
	x.out = append(x.out, `{"rows":[`...)
	seen := make(map[UUID]bool) // rows that are equal in the columns come once
	err = x.matching(t, where, func(r *Row) error {
		if names != nil {
			h := hashColumns(columns, func(c *ColumnSchema) Value { return r.Get(c) })
			if seen[h] {
				return nil
			}
			seen[h] = true
		}
		if x.out[len(x.out)-1] != '[' {
			x.out = append(x.out, ',')
		}
		x.out = r.appendColumns(x.out, columns, false)
		return nil
	})
	x.out = append(x.out, "]}"...)
	return err
}

func hashColumns(columns []*ColumnSchema, get func(*ColumnSchema) Value) UUID {
	b := make([]byte, 0, 256)
	for _, c := range columns {
		h := hashValue(get(c))
		b = append(b, h[:]...)
	}
	return UUID(hashOf(b))
}

func (x *executor) update(f *fields) error {
	t, where := x.where(f)
	row := f.need("row", jsonObject)
	if err := f.done(); err != nil {
		return err
	}
	values, err := x.row(t, row)
	if err != nil {
		return err
	}
	for i, c := range t.Columns {
		if values[i] != nil && !c.Mutable {
			return &Error{Kind: ErrConstraint, Details: fmt.Sprintf("Cannot update immutable column %s in table %s.", c.Name, t.Name), Syntax: row.short()}
		}
	}
	n := 0
	err = x.matching(t, where, func(r *Row) error {
		touched, err := x.touchRow(t, r)
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
	n := 0
	err := x.matching(t, where, func(r *Row) error {
		touched, err := x.touchRow(t, r)
		if err != nil {
			return err
		}
		for i := range mutations {
			m := &mutations[i]
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
	t, where := x.where(f)
	if err := f.done(); err != nil {
		return err
	}
	n := 0
	err := x.matching(t, where, func(r *Row) error {
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

// wait compares the multiset of the rows that match with that of the rows given.
func (x *executor) wait(f *fields) error {
	t, where := x.where(f)
	timeout, names := f.get("timeout", jsonNumber), f.get("columns", jsonArray)
	until, rows := f.need("until", jsonString), f.need("rows", jsonArray)
	if err := f.done(); err != nil {
		return err
	}
	if until.text != "==" && until.text != "!=" {
		return syntaxError(f.v, `"until" must be "==" or "!="`)
	}
	limit := time.Duration(-1)
	if timeout != nil {
		ms, ok := timeout.integer()
		if !ok || ms < 0 {
			return syntaxError(f.v, "timeout must be nonnegative")
		}
		limit = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	columns, err := parseColumns(t, names)
	if err != nil {
		return err
	}
	if names == nil {
		columns = columns[:len(t.Columns)] // <row>s have no _uuid or _version
	}
	counts := make(map[UUID]int)
	for i := range rows.list {
		if rows.list[i].kind != jsonObject {
			return syntaxError(&rows.list[i], "row must be JSON object")
		}
		h, err := x.hashRow(t, columns, &rows.list[i])
		if err != nil {
			return err
		}
		counts[h]++
	}
	err = x.matching(t, where, func(r *Row) error {
		h := hashColumns(columns, func(c *ColumnSchema) Value { return r.Get(c) })
		counts[h]--
		return nil
	})
	if err != nil {
		return err
	}
	equal := true
	for _, n := range counts {
		equal = equal && n == 0
	}
	switch {
	case equal == (until.text == "=="):
		return x.empty(nil)
	case limit >= 0 && x.waited >= limit:
		return errorf(ErrTimedOut, "\"wait\" timed out after %d ms", x.waited.Milliseconds())
	}
	x.timeout = limit
	return errBlocked
}

// hashRow hashes a <row> of a wait, which may name _uuid and _version.
func (x *executor) hashRow(t *TableSchema, columns []*ColumnSchema, v *jsonValue) (UUID, error) {
	values := make(map[*ColumnSchema]Value, len(v.list)/2)
	for i := 0; i < len(v.list); i += 2 {
		c := t.lookup(v.list[i].text)
		if c == nil {
			return UUID{}, unknownColumn(t, &v.list[i])
		}
		value, err := c.Type.parseValue(&v.list[i+1], x)
		if err != nil {
			return UUID{}, inColumn(err, c)
		}
		values[c] = value
	}
	return hashColumns(columns, func(c *ColumnSchema) Value {
		if value, ok := values[c]; ok {
			return value
		}
		return c.Type.Default()
	}), nil
}
