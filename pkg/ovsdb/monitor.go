package ovsdb

import "slices"

// monitorKind is the method that made a monitor, which decides the format of
// its updates.
type monitorKind uint8

const (
	monitorV1 monitorKind = iota // monitor: <table-updates>, "update"
	monitorV2                    // monitor_cond: <table-updates2>, "update2"
	monitorV3                    // monitor_cond_since: the same with ids, "update3"
)

var updateMethods = [...]string{"update", "update2", "update3"}

// selection is a <monitor-select>.
type selection struct{ initial, insert, delete, modify bool }

// monitorRequest is one <monitor-request> or <monitor-cond-request>.
type monitorRequest struct {
	columns []*ColumnSchema
	sel     selection
}

// tableMonitor is what a monitor wants of one table.
type tableMonitor struct {
	table *TableSchema
	// requests have disjoint columns.
	requests []monitorRequest
	where    anyOf
	match    matcher // of where
}

// monitor is one monitor of a session. It is used under session.mu.
type monitor struct {
	id     jsonValue
	kind   monitorKind
	db     *database
	schema *DatabaseSchema // of the database when the monitor began,
	from   uint64          // at this revision
	size   int64           // what its request holds, in bytes
	tables []*tableMonitor // in the order of names
	// live is set when the reply with the initial rows was queued; changes of
	// virtual tables that come before are kept in early.
	live  bool
	early [][]Change
	// ended is set when it was canceled.
	ended bool
	// session is whose monitor it is; number, keys and toldOf are of interests.
	session *session
	number  uint64
	keys    map[interestKey]int
	toldOf  *commitNode // the last commit that was noted
	// virtual are the rows of virtual tables as shown to the client.
	virtual map[*TableSchema]map[UUID]*Row
	stops   []func()
	// shows hides rows of _Server that are of databases not served.
	shows func(*Row) bool
}

func (m *monitor) find(t *TableSchema) *tableMonitor {
	for _, tm := range m.tables {
		if tm.table == t || tm.table.base == t {
			return tm
		}
	}
	return nil
}

// parseMonitor reads <monitor-requests>.
func parseMonitor(db *database, schema *DatabaseSchema, kind monitorKind, id, requests *jsonValue) (*monitor, error) {
	if requests.kind != jsonObject {
		return nil, syntaxError(requests, "monitor-requests must be object")
	}
	m := &monitor{id: *id, kind: kind, db: db, schema: schema, virtual: make(map[*TableSchema]map[UUID]*Row)}
	for i := 0; i < len(requests.list); i += 2 {
		name, v := requests.list[i].text, &requests.list[i+1]
		t := schema.Tables[name]
		if t == nil {
			return nil, errorf(ErrSyntax, "no table named %s", name)
		}
		tm := &tableMonitor{table: t}
		list := []jsonValue{*v}
		if v.kind == jsonArray {
			list = v.list
		}
		all := false
		for j := range list {
			where, err := tm.add(kind, &list[j])
			if err != nil {
				return nil, err
			}
			all = all || len(where) == 0
			tm.where = append(tm.where, where...)
		}
		if all {
			tm.where = nil
		}
		tm.match = tm.where.matcher()
		m.tables = append(m.tables, tm)
	}
	slices.SortFunc(m.tables, func(a, b *tableMonitor) int { return a.table.id - b.table.id })
	return m, nil
}

func (tm *tableMonitor) add(kind monitorKind, v *jsonValue) (anyOf, error) {
	f := newFields(v, "table "+tm.table.Name)
	columns, sel := f.get("columns", jsonArray), f.get("select", jsonObject)
	var where *jsonValue
	if kind != monitorV1 {
		where = f.get("where", jsonArray)
	}
	if err := f.done(); err != nil {
		return nil, err
	}
	r := monitorRequest{sel: selection{true, true, true, true}}
	if columns == nil {
		r.columns = append(slices.Clone(tm.table.Columns), tm.table.verCol)
	} else {
		r.columns = make([]*ColumnSchema, 0, len(columns.list)) // empty is not nil
		for i := range columns.list {
			if columns.list[i].kind != jsonString {
				return nil, syntaxError(columns, "array of column names expected")
			}
			c := tm.table.lookup(columns.list[i].text)
			if c == nil {
				return nil, syntaxError(columns, columns.list[i].text+" is not a valid column name")
			}
			r.columns = append(r.columns, c)
		}
	}
	for i, c := range r.columns {
		if !slices.Contains(r.columns[:i], c) && !slices.ContainsFunc(tm.requests, func(o monitorRequest) bool { return slices.Contains(o.columns, c) }) {
			continue
		}
		err := errorf(ErrSyntax, "column %s mentioned more than once", c.Name)
		if columns != nil {
			err.Syntax = columns.short()
		}
		return nil, err
	}
	if sel != nil {
		s := newFields(sel, "table "+tm.table.Name+" select")
		for _, flag := range []struct {
			name string
			to   *bool
		}{{"initial", &r.sel.initial}, {"insert", &r.sel.insert}, {"delete", &r.sel.delete}, {"modify", &r.sel.modify}} {
			if v := s.get(flag.name, jsonBool); v != nil {
				*flag.to = v.text == "true"
			}
		}
		if err := s.done(); err != nil {
			return nil, err
		}
	}
	tm.requests = append(tm.requests, r)
	return parseAnyOf(tm.table, where)
}

func parseAnyOf(t *TableSchema, v *jsonValue) (anyOf, error) {
	if v == nil {
		return nil, nil
	}
	list := v.list
	if v.kind == jsonBool {
		list = []jsonValue{*v}
	}
	where := make(anyOf, 0, len(list))
	for i := range list {
		c, err := parseClause(t, &list[i], nil)
		if err != nil {
			return nil, err
		}
		where = append(where, c)
	}
	return where, nil
}

// rowChange is what an update says of a row: nil old for one that begins to
// match, nil new for one that ceases to.
func (tm *tableMonitor) rowChange(old, new *Row) (*Row, *Row) {
	if old != nil && !tm.match.matches(old) {
		old = nil
	}
	if new != nil && !tm.match.matches(new) {
		new = nil
	}
	return old, new
}

// updates collects the JSON of <table-updates> or <table-updates2>.
type updates struct {
	m     *monitor
	b     []byte
	table *TableSchema // whose object is open
}

func (u *updates) row(t *TableSchema, id UUID) {
	switch {
	case u.table == t:
		u.b = append(u.b, ',')
	case u.table != nil:
		u.b = append(u.b, "},"...)
		fallthrough
	default:
		u.b = append(appendString(u.b, t.Name), ":{"...)
	}
	u.table = t
	u.b = append(id.append(append(u.b, '"')), `":{`...)
}

func (u *updates) empty() bool { return u.table == nil }

// finish returns the object.
func (u *updates) finish() []byte {
	if u.table != nil {
		u.b = append(u.b, '}')
	}
	return append(u.b, '}')
}

// begin starts the object after a prefix.
func (m *monitor) begin(prefix []byte) *updates { return &updates{m: m, b: append(prefix, '{')} }

// initial adds a row as the reply to a monitor request has it.
func (u *updates) initial(tm *tableMonitor, r *Row) {
	if columns := tm.selected(func(s selection) bool { return s.initial }); columns != nil && tm.match.matches(r) {
		u.whole(tm, r, columns, "initial")
	}
}

func (u *updates) whole(tm *tableMonitor, r *Row, columns []*ColumnSchema, member string) {
	u.row(tm.table, r.uuid)
	if u.m.kind == monitorV1 {
		member = "new"
	}
	u.b = append(append(append(u.b, '"'), member...), `":`...)
	u.b = r.appendColumns(u.b, columns, u.m.kind != monitorV1)
	u.b = append(u.b, '}')
}

// selected returns the columns of the requests that have a flag set; nil if
// there is no such request.
func (tm *tableMonitor) selected(flag func(selection) bool) []*ColumnSchema {
	if len(tm.requests) == 1 && flag(tm.requests[0].sel) {
		return tm.requests[0].columns
	}
	var columns []*ColumnSchema
	for i := range tm.requests {
		if r := &tm.requests[i]; flag(r.sel) {
			columns = slices.Concat([]*ColumnSchema{}, columns, r.columns)
		}
	}
	return columns
}

// change adds what a commit, or a new condition, did to a row.
func (u *updates) change(tm *tableMonitor, old, new *Row) {
	switch {
	case old == nil && new == nil:
	case old == nil:
		if columns := tm.selected(func(s selection) bool { return s.insert }); columns != nil {
			u.whole(tm, new, columns, "insert")
		}
	case new == nil:
		columns := tm.selected(func(s selection) bool { return s.delete })
		if columns == nil {
			return
		}
		u.row(tm.table, old.uuid)
		if u.m.kind == monitorV1 {
			u.b = append(old.appendColumns(append(u.b, `"old":`...), columns, false), '}')
		} else {
			u.b = append(u.b, `"delete":null}`...)
		}
	default:
		u.modify(tm, old, new)
	}
}

func (u *updates) modify(tm *tableMonitor, old, new *Row) {
	columns := tm.selected(func(s selection) bool { return s.modify })
	var changed []*ColumnSchema
	for _, c := range columns {
		if !ValuesEqual(old.Get(c), new.Get(c)) {
			changed = append(changed, c)
		}
	}
	if len(changed) == 0 {
		return
	}
	u.row(tm.table, new.uuid)
	if u.m.kind == monitorV1 {
		u.b = old.appendColumns(append(u.b, `"old":`...), changed, false)
		u.b = append(new.appendColumns(append(u.b, `,"new":`...), columns, false), '}')
		return
	}
	u.b = append(u.b, `"modify":{`...)
	for i, c := range changed {
		if i > 0 {
			u.b = append(u.b, ',')
		}
		u.b = append(appendString(u.b, c.Name), ':')
		u.b = c.Type.appendDifference(u.b, old.Get(c), new.Get(c))
	}
	u.b = append(u.b, "}}"...)
}

// message begins an update notification.
func (m *monitor) message(txid UUID) *updates {
	b := make([]byte, 0, 512)
	b = append(append(append(b, `{"id":null,"method":"`...), updateMethods[m.kind]...), `","params":[`...)
	b = append(m.id.append(b), ',')
	if m.kind == monitorV3 {
		b = append(appendString(b, txid.String()), ',')
	}
	return m.begin(b)
}

// apply returns the notification of a commit's or virtual table's changes, or
// nil if they do not concern the monitor. The changes are ordered by table.
func (m *monitor) apply(changes []Change, txid UUID) []byte {
	var u *updates
	for i := range changes {
		c := &changes[i]
		tm := m.find(c.Table)
		if tm == nil {
			continue
		}
		old, new := tm.rowChange(c.Old, c.New)
		if old == nil && new == nil {
			continue
		}
		if u == nil {
			u = m.message(txid)
		}
		u.change(tm, old, new)
	}
	if u == nil || u.empty() {
		return nil
	}
	return append(u.finish(), "]}"...)
}

// rows yields the rows of a monitored table, stored or virtual.
func (m *monitor) rows(s *Snapshot, t *TableSchema, yield func(*Row)) {
	if shown, ok := m.virtual[t]; ok {
		for _, r := range shown {
			yield(r)
		}
		return
	}
	for r := range s.Rows(t) {
		if m.shows == nil || m.shows(r) {
			yield(r)
		}
	}
}

// applyVirtual follows the changes of a virtual table.
func (m *monitor) applyVirtual(changes []Change, txid UUID) []byte {
	for i := range changes {
		c := &changes[i]
		if rows := m.virtual[m.find(c.Table).table]; c.New != nil {
			rows[c.UUID] = c.New
		} else {
			delete(rows, c.UUID)
		}
	}
	return m.apply(changes, txid)
}

// work is what it takes to look at all rows of a table under a condition, counted
// as that of a transaction.
func (m *monitor) work(s *Snapshot, tm *tableMonitor, match *matcher) int {
	n := s.Len(tm.table)
	if shown, ok := m.virtual[tm.table]; ok {
		n = len(shown)
	}
	return n * (match.cost() + len(tm.requests)/8)
}

// bearable refuses a monitor, or a change of one, that has to do too much work at
// once.
func (s *session) bearable(m *monitor, work int) error {
	if most := s.srv.opts.MaxWork; work > most {
		return s.srv.exhausted(limitWork, "monitor %s of database %q: it has to look at %d rows, more than %d", m.id.short(), m.db.Schema.Name, work, most)
	}
	return nil
}

// parseConditions reads the <monitor-cond-update-requests> of
// monitor_cond_change into new conditions by table.
func (m *monitor) parseConditions(v *jsonValue) (map[*tableMonitor]anyOf, error) {
	if v.kind != jsonObject {
		return nil, errorf(ErrSyntax, "monitor-cond-change-requests must be object")
	}
	conditions := make(map[*tableMonitor]anyOf)
	for i := 0; i < len(v.list); i += 2 {
		name, list := v.list[i].text, v.list[i+1].list
		t := m.schema.Tables[name]
		if t == nil {
			return nil, errorf(ErrSyntax, "no table named %s", name)
		}
		tm := m.find(t)
		if tm == nil {
			return nil, errorf(ErrSyntax, "no table named %s in monitor session", name)
		}
		if v.list[i+1].kind != jsonArray {
			return nil, errorf(ErrSyntax, "table %s no monitor-cond-change JSON array", name)
		}
		var where anyOf
		all := false
		for j := range list {
			f := newFields(&list[j], "table "+name)
			columns, w := f.get("columns"), f.get("where", jsonArray, jsonBool)
			if columns != nil {
				f.fail(syntaxError(&list[j], "changing columns is unsupported"))
			}
			if err := f.done(); err != nil {
				return nil, err
			}
			parsed, err := parseAnyOf(t, w)
			if err != nil {
				return nil, err
			}
			all = all || len(parsed) == 0
			where = append(where, parsed...)
		}
		if all {
			where = nil
		}
		conditions[tm] = where
	}
	return conditions, nil
}

// changeConditions sets new conditions and returns the notification of rows
// that begin or cease to match, or nil.
func (m *monitor) changeConditions(conditions map[*tableMonitor]anyOf, s *Snapshot) []byte {
	u := m.message(s.txid)
	for _, tm := range m.tables {
		where, ok := conditions[tm]
		if !ok {
			continue
		}
		before, after := tm.match, where.matcher()
		m.rows(s, tm.table, func(r *Row) {
			was, is := before.matches(r), after.matches(r)
			switch {
			case was && !is:
				u.change(tm, r, nil)
			case is && !was:
				u.change(tm, nil, r)
			}
		})
		tm.where, tm.match = where, after
	}
	if u.empty() {
		return nil
	}
	return append(u.finish(), "]}"...)
}

// catchUp appends the net changes of past commits as one <table-updates2>.
func (m *monitor) catchUp(b []byte, past []*commitNode, now *Snapshot) []byte {
	type key struct {
		t *TableSchema
		u UUID
	}
	first := make(map[key]*Row) // the rows as the client has them
	var order []key
	for _, n := range past {
		if n.commit.DB != m.db.Schema {
			continue
		}
		for i := range n.commit.Changes {
			c := &n.commit.Changes[i]
			k := key{c.Table, c.UUID}
			if _, ok := first[k]; !ok && m.find(c.Table) != nil {
				first[k] = c.Old
				order = append(order, k)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b key) int { return a.t.id - b.t.id })
	u := m.begin(b)
	for _, k := range order {
		tm := m.find(k.t)
		old, new := tm.rowChange(first[k], now.Row(k.t, k.u))
		u.change(tm, old, new)
	}
	return u.finish()
}
