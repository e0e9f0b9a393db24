package ovsdb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// checker knows what a client asked for, and judges what the server sends by it.
type checker struct {
	o      GuardOptions
	limits jsonLimits

	mu       sync.Mutex
	pending  map[uint64]asked
	schemas  map[string]*DatabaseSchema
	monitors map[string]*monitored // by cookie
	rows     int                   // of all monitors
	updates  int64                 // bytes
	length   int                   // of the message at hand
	told     []RowTold             // by it, where GuardOptions.Rows is set
}

// asked is a request whose reply is not there yet.
type asked struct {
	method, database string
	monitor          *monitored
	cookie           string
	operations       []jsonValue // of a transaction
}

// monitored is what a monitor may be told about, and the rows that it was.
type monitored struct {
	schema  *DatabaseSchema
	columns map[string]map[string]bool // of each table; nil: all
	rows    map[string]map[UUID]struct{}
}

func newChecker(o GuardOptions) *checker {
	return &checker{
		o: o, limits: jsonLimits{depth: guardDepth, values: o.MaxMessage/8 + 1024},
		pending: map[uint64]asked{}, schemas: map[string]*DatabaseSchema{}, monitors: map[string]*monitored{},
	}
}

// refuse is the error for a message that names what is wrong with it.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrPeer}, args...)...)
}

// request notes what the client asks for. Its own replies, to an echo, need
// none.
func (c *checker) request(text string) error {
	v, err := parseJSON(text, jsonLimits{depth: 100, values: c.o.MaxMessage})
	if err != nil {
		return fmt.Errorf("the client's request: %w", err)
	}
	method, ok := v.member("method")
	id, hasID := v.member("id")
	if !ok || method.kind != jsonString || !hasID || id.kind != jsonNumber {
		return nil
	}
	n, err := strconv.ParseUint(id.text, 10, 64)
	if err != nil {
		return fmt.Errorf("the client's request: id: %w", err)
	}
	var params []jsonValue
	if p, ok := v.member("params"); ok {
		params = p.list
	}
	a := asked{method: method.text}
	if len(params) > 0 {
		a.database = params[0].text
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch a.method {
	case "transact":
		a.operations = params[min(1, len(params)):]
	case "monitor", "monitor_cond", "monitor_cond_since":
		if len(params) < 3 || c.schemas[a.database] == nil {
			return fmt.Errorf("the client's %s request: a cookie, tables and a known schema are needed", a.method)
		}
		a.cookie = params[1].canonical()
		a.monitor = newMonitored(c.schemas[a.database], &params[2])
	}
	c.pending[n] = a
	return nil
}

// newMonitored reads <monitor-requests>: for each table an object or an array of
// them.
func newMonitored(schema *DatabaseSchema, requests *jsonValue) *monitored {
	m := &monitored{schema: schema, columns: map[string]map[string]bool{}, rows: map[string]map[UUID]struct{}{}}
	for i := 0; i+1 < len(requests.list); i += 2 {
		name, list := requests.list[i].text, []jsonValue{requests.list[i+1]}
		if list[0].kind == jsonArray {
			list = list[0].list
		}
		columns := map[string]bool{}
		for j := range list {
			named, ok := list[j].member("columns")
			if !ok {
				columns = nil
				break
			}
			for _, n := range named.list {
				columns[n.text] = true
			}
		}
		m.columns[name], m.rows[name] = columns, map[UUID]struct{}{}
	}
	return m
}

// answer judges a message of the server and returns what the client is to read;
// nil: nothing.
func (c *checker) answer(text string) ([]byte, error) {
	v, err := parseJSON(text, c.limits)
	if err != nil {
		return nil, refuse("%w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.length = len(text)
	if method, ok := v.member("method"); ok && method.kind != jsonNull {
		return c.call(&v, method)
	}
	return c.reply(&v)
}

// call judges a request or notification.
func (c *checker) call(v, method *jsonValue) ([]byte, error) {
	params, ok := v.member("params")
	if method.kind != jsonString || !ok || params.kind != jsonArray {
		return nil, refuse("request %s: method and params are needed", v.short())
	}
	id, hasID := v.member("id")
	if !hasID {
		id = &jsonValue{}
	}
	out := []byte(`{"id":`)
	switch method.text {
	case "echo":
		out = append(id.append(out), `,"method":"echo","params":`...)
		return append(params.append(out), '}'), nil
	case "update", "update2", "update3":
	default:
		return nil, refuse("request %q, which this client does not serve", method.text)
	}
	want := 2
	if method.text == "update3" {
		want = 3
	}
	if len(params.list) != want || id.kind != jsonNull {
		return nil, refuse("%s %s: a notification with %d parameters is needed", method.text, v.short(), want)
	}
	cookie := params.list[0].canonical()
	m := c.monitors[cookie]
	if m == nil {
		return nil, refuse("%s of a monitor %s that was not asked for", method.text, cookie)
	}
	out = fmt.Appendf(out, `null,"method":"%s","params":[%s,`, method.text, cookie)
	if want == 3 {
		if params.list[1].kind != jsonString {
			return nil, refuse("update3: transaction id %s is no string", params.list[1].short())
		}
		out = append(params.list[1].append(out), ',')
	}
	start := len(out)
	out, err := c.tableUpdates(out, m, &params.list[want-1], method.text == "update")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, method.text)
	}
	length := len(out) - start
	if c.o.Rows != nil {
		length = c.length // out is nearly empty
	}
	if c.updates += int64(length); c.updates > c.o.MaxUpdates {
		return nil, fmt.Errorf("%w: %d bytes", ErrRenew, c.o.MaxUpdates)
	}
	if c.o.Rows != nil {
		c.tell(false)
		return nil, nil
	}
	return append(out, "]}"...), nil
}

// reply judges the reply to a request.
func (c *checker) reply(v *jsonValue) ([]byte, error) {
	id, ok := v.member("id")
	if !ok || id.kind != jsonNumber {
		return nil, refuse("%s is neither request nor reply", v.short())
	}
	n, err := strconv.ParseUint(id.text, 10, 64)
	a, asks := c.pending[n]
	if err != nil || !asks {
		return nil, refuse("reply %s to a request that was not made", id.short())
	}
	delete(c.pending, n)
	result, hasResult := v.member("result")
	failure, hasError := v.member("error")
	out := strconv.AppendUint([]byte(`{"id":`), n, 10)
	if hasError && failure.kind != jsonNull {
		out = append(failure.append(append(out, `,"error":`...)), `,"result":null}`...)
		return out, nil
	}
	if !hasResult {
		return nil, refuse("reply to %q without result or error", a.method)
	}
	out, err = c.result(append(out, `,"error":null,"result":`...), &a, result)
	if err != nil {
		return nil, fmt.Errorf("%w: reply to %q", err, a.method)
	}
	return append(out, '}'), nil
}

// result judges what a method returns.
func (c *checker) result(out []byte, a *asked, v *jsonValue) ([]byte, error) {
	switch a.method {
	case "list_dbs":
		if v.kind != jsonArray || slices.ContainsFunc(v.list, func(e jsonValue) bool { return e.kind != jsonString }) {
			return nil, refuse("%s is no list of names", v.short())
		}
		return v.append(out), nil
	case "echo":
		if v.kind != jsonArray {
			return nil, refuse("%s is no array", v.short())
		}
		return v.append(out), nil
	case "get_schema":
		schema, err := parseSchemaValue(v, nil)
		if err != nil {
			return nil, refuse("schema: %w", err)
		}
		if err := usable(schema, a.database); err != nil {
			return nil, err
		}
		c.schemas[a.database] = schema
		if c.o.NoIndexes {
			withoutIndexes(v)
		}
		return v.append(out), nil
	case "monitor", "monitor_cond":
		return c.monitor(out, a, v)
	case "monitor_cond_since":
		if v.kind != jsonArray || len(v.list) != 3 || v.list[0].kind != jsonBool || v.list[1].kind != jsonString {
			return nil, refuse("%s is not [found, transaction id, updates]", v.short())
		}
		// The client begins with nothing: there is nothing to be found.
		out = append(v.list[1].append(append(out, "[false,"...)), ',')
		out, err := c.monitor(out, a, &v.list[2])
		return append(out, ']'), err
	case "monitor_cancel":
		return append(out, "{}"...), nil
	case "transact":
		return c.results(out, a, v)
	}
	return nil, refuse("a result that nobody reads")
}

// withoutIndexes takes the indexes out of a schema that was parsed.
func withoutIndexes(v *jsonValue) {
	tables, _ := v.member("tables")
	for i := 1; i < len(tables.list); i += 2 {
		t := &tables.list[i]
		for j := 0; j+1 < len(t.list); {
			if t.list[j].text == "indexes" {
				t.list = slices.Delete(t.list, j, j+2)
			} else {
				j += 2
			}
		}
	}
}

// usable tells whether a client can work with a schema: that of the database
// that it asked for, with the types that libovsdb makes maps of and compares.
func usable(schema *DatabaseSchema, name string) error {
	if schema.Name != name {
		return refuse("the schema of %q is that of %q", name, schema.Name)
	}
	for _, t := range schema.tables {
		for _, c := range t.Columns {
			for _, b := range []*BaseType{&c.Type.Key, &c.Type.Value} {
				if b.Type == TypeUUID && b.Enum.Len() > 0 {
					return refuse("schema: column %s enumerates UUIDs", c)
				}
			}
		}
		for _, index := range t.Indexes {
			for _, c := range index {
				if c.Type.Max != 1 || c.Type.IsMap() {
					return refuse("schema: an index over %s, which has several values", c)
				}
			}
		}
	}
	return nil
}

// monitor judges the rows that a monitor begins with.
func (c *checker) monitor(out []byte, a *asked, v *jsonValue) ([]byte, error) {
	if c.monitors[a.cookie] != nil {
		return nil, refuse("a second monitor %s", a.cookie)
	}
	c.monitors[a.cookie] = a.monitor
	start := len(out)
	out, err := c.tableUpdates(out, a.monitor, v, a.method == "monitor")
	if err == nil && c.o.Rows != nil {
		c.tell(true)
		out = append(out[:start], "{}"...)
	}
	return out, err
}

// tableUpdates judges <table-updates>, or with first false <table-updates2>.
func (c *checker) tableUpdates(out []byte, m *monitored, v *jsonValue, first bool) ([]byte, error) {
	if v.kind != jsonObject {
		return nil, refuse("%s is no object of tables", v.short())
	}
	out = append(out, '{')
	for i := 0; i < len(v.list); i += 2 {
		name, rows := v.list[i].text, &v.list[i+1]
		columns, ok := m.columns[name]
		t := m.schema.Tables[name]
		if !ok || t == nil || rows.kind != jsonObject {
			return nil, refuse("rows of table %q, which was not asked for", name)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, name), ":{"...)
		for j := 0; j < len(rows.list); j += 2 {
			if j > 0 {
				out = append(out, ',')
			}
			u, err := ParseUUID(rows.list[j].text)
			if err != nil {
				return nil, refuse("table %q: row %q has no valid UUID", name, rows.list[j].text)
			}
			out = append(u.append(append(out, '"')), `":`...)
			w := rowUpdate{t: t, columns: columns, rows: m.rows[name], uuid: u, c: c}
			if first {
				out, err = w.update(out, &rows.list[j+1])
			} else {
				out, err = w.update2(out, &rows.list[j+1])
			}
			if err != nil {
				return nil, fmt.Errorf("%w: table %q row %s", err, name, u)
			}
		}
		out = append(out, '}')
	}
	return append(out, '}'), nil
}

// results judges the results of a transaction.
func (c *checker) results(out []byte, a *asked, v *jsonValue) ([]byte, error) {
	if v.kind != jsonArray || len(v.list) > len(a.operations)+1 {
		return nil, refuse("%s are no results of %d operations", v.short(), len(a.operations))
	}
	out = append(out, '[')
	for i := range v.list {
		if i > 0 {
			out = append(out, ',')
		}
		r := &v.list[i]
		if r.kind == jsonNull {
			out = append(out, "null"...)
			continue
		}
		if r.kind != jsonObject {
			return nil, refuse("result %d is %s", i, r.short())
		}
		var members []string
		if n, ok := r.member("count"); ok {
			count, fits := n.integer()
			if !fits {
				return nil, refuse("result %d: count is %s", i, n.short())
			}
			members = append(members, fmt.Sprintf(`"count":%d`, count))
		}
		for _, name := range []string{"error", "details"} {
			if s, ok := r.member(name); ok && s.kind != jsonNull {
				if s.kind != jsonString {
					return nil, refuse("result %d: %s is %s", i, name, s.short())
				}
				members = append(members, fmt.Sprintf(`"%s":%s`, name, s))
			}
		}
		if u, ok := r.member("uuid"); ok {
			base := NewBaseType(TypeUUID)
			if _, err := base.parseAtom(u, nil); err != nil {
				return nil, refuse("result %d: uuid: %w", i, err)
			}
			members = append(members, `"uuid":`+u.String())
		}
		if rows, ok := r.member("rows"); ok {
			text, err := c.selected(a, i, rows)
			if err != nil {
				return nil, fmt.Errorf("%w: result %d", err, i)
			}
			members = append(members, `"rows":`+text)
		}
		out = append(append(append(out, '{'), strings.Join(members, ",")...), '}')
	}
	return append(out, ']'), nil
}

// selected judges the rows of the result of operation i.
func (c *checker) selected(a *asked, i int, v *jsonValue) (string, error) {
	var t *TableSchema
	if schema := c.schemas[a.database]; schema != nil && i < len(a.operations) {
		if name, ok := a.operations[i].member("table"); ok {
			t = schema.Tables[name.text]
		}
	}
	if t == nil || v.kind != jsonArray {
		return "", refuse("rows that were not asked for")
	}
	out := []byte{'['}
	var err error
	for j := range v.list {
		if j > 0 {
			out = append(out, ',')
		}
		if out, err = (&rowUpdate{t: t}).row(out, &v.list[j], false); err != nil {
			return "", err
		}
	}
	return string(append(out, ']')), nil
}

// rowUpdate judges what is said about one row.
type rowUpdate struct {
	t       *TableSchema
	columns map[string]bool // nil: all
	rows    map[UUID]struct{}
	uuid    UUID
	c       *checker
	now     *RowTold // where somebody wants to know
}

// update judges a <row-update> (RFC 7047, section 4.1.6).
func (w *rowUpdate) update(out []byte, v *jsonValue) ([]byte, error) {
	var before, after *jsonValue
	for i := 0; i < len(v.list) && v.kind == jsonObject; i += 2 {
		switch m := &v.list[i+1]; {
		case m.kind == jsonNull:
		case v.list[i].text == "old":
			before = m
		case v.list[i].text == "new":
			after = m
		}
	}
	var err error
	switch {
	case before == nil && after == nil:
		return nil, refuse("%s has neither old nor new", v.short())
	case before == nil:
		err = w.insert()
	case after == nil:
		err = w.remove()
	default:
		err = w.known()
	}
	if err != nil {
		return nil, err
	}
	out = append(out, '{')
	if before != nil {
		if out, err = w.row(append(out, `"old":`...), before, false); err != nil {
			return nil, err
		}
	}
	switch {
	case after == nil:
		w.note(RowGone)
	case before == nil:
		w.note(RowNew)
	default:
		w.note(RowChanged)
	}
	if after != nil {
		if before != nil {
			out = append(out, ',')
		}
		if out, err = w.row(append(out, `"new":`...), after, false); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// update2 judges a <row-update2> (ovsdb-server(7), section 4.1.14).
func (w *rowUpdate) update2(out []byte, v *jsonValue) ([]byte, error) {
	if v.kind != jsonObject || len(v.list) != 2 {
		return nil, refuse("%s is not one of initial, insert, modify, delete", v.short())
	}
	kind, row := v.list[0].text, &v.list[1]
	var err error
	switch kind {
	case "initial", "insert":
		err = w.insert()
	case "modify":
		err = w.known()
	case "delete":
		if err = w.remove(); err == nil {
			w.note(RowGone)
			return append(out, `{"delete":null}`...), nil
		}
	default:
		err = refuse("%q is not one of initial, insert, modify, delete", kind)
	}
	if err != nil {
		return nil, err
	}
	if kind == "modify" {
		w.note(RowChanged)
	} else {
		w.note(RowNew)
	}
	out = append(append(append(out, `{"`...), kind...), `":`...)
	if out, err = w.row(out, row, kind == "modify"); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

func (w *rowUpdate) known() error {
	if _, ok := w.rows[w.uuid]; !ok {
		return refuse("a change of a row that is not there")
	}
	return nil
}

func (w *rowUpdate) insert() error {
	if _, ok := w.rows[w.uuid]; ok {
		return refuse("an insertion of a row that is there")
	}
	if w.c.rows++; w.c.rows > w.c.o.MaxRows {
		return refuse("more than %d rows", w.c.o.MaxRows)
	}
	w.rows[w.uuid] = struct{}{}
	return nil
}

func (w *rowUpdate) remove() error {
	if err := w.known(); err != nil {
		return err
	}
	w.c.rows--
	delete(w.rows, w.uuid)
	return nil
}

// row judges a <row>: columns that were asked for, of their types. difference
// tells that sets and maps are what turns the old value into the new one.
func (w *rowUpdate) row(out []byte, v *jsonValue, difference bool) ([]byte, error) {
	if v.kind != jsonObject {
		return nil, refuse("%s is no row", v.short())
	}
	out = append(out, '{')
	for i := 0; i < len(v.list); i += 2 {
		name, value := v.list[i].text, &v.list[i+1]
		c := w.t.lookup(name)
		if c == nil || w.columns != nil && !w.columns[name] {
			return nil, refuse("column %q, which was not asked for", name)
		}
		typ := c.Type
		if difference && typ.Max > 1 {
			typ.Min, typ.Max = 0, Unlimited
		}
		parsed, err := typ.parseValue(value, nil)
		if err != nil {
			return nil, refuse("column %q: %w", name, err)
		}
		if w.noteColumn(c, parsed, difference); w.now != nil {
			continue // nobody else reads it
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = value.append(append(appendString(out, name), ':'))
	}
	return append(out, '}'), nil
}
