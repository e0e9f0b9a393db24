package ovsdb

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// beside is the harness of the tests that run one script on our server and on
// stock ovsdb-server. Whatever comes back is compared as parsed JSON (in which
// only the order of object members is free): results, errors with their details
// and syntax, notifications, and their order.
//
// What may differ is made equal first, and nothing else:
//
//   - UUIDs that a server chose (rows, _version, transaction ids) become <n> in
//     the order in which they appear on that server;
//   - the rows of a select are sorted, unless inOrder is set;
//   - reals are compared by 15 digits, which is all that ovsdb-server prints,
//     where we print as many as it takes to read the same number; its -0 is 0;
//   - transaction ids, which a standalone ovsdb-server does not have;
//   - a "modify" without columns, which ovsdb-server sends when a column that is
//     only in the condition changed, is left out;
//   - the order of the updates of several monitors of one client for one commit;
//   - an error of ours may say more: what is in parentheses at the end of the
//     details, the column and the table, is cut off.
type beside struct {
	t     *testing.T
	ours  *party
	stock *party
	// store is ours.
	store *Store
	options
}

// options of a comparison.
type options struct {
	// inOrder tells that the rows of selects are compared in their order.
	inOrder bool
	// ignoreIdle leaves out what an update says of rows of which only _version
	// differs: ovsdb-server gives a new version to a row to which a transaction
	// adds nothing but weak references that lead nowhere, we do not.
	ignoreIdle bool
	// ignoreTimes makes all "N ms" in errors equal.
	ignoreTimes bool
	// kindsOnly leaves out the details and syntax of errors.
	kindsOnly bool
}

// party is one of the two servers, as its clients see it.
type party struct {
	name    string
	sock    string
	clients map[string]*client
	seen    map[string]string
	lost    func(error)
}

// newBeside starts both servers with an empty database of the schema.
func newBeside(t *testing.T, schema string) *beside {
	t.Helper()
	d, err := ParseSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.ovsschema")
	if err := os.WriteFile(file, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &beside{t: t}
	b.store = openTest(t, NewMemoryEngine(), d)
	b.ours = newParty("govn", serve(t, b.store, ServerOptions{}))
	b.stock = newParty("ovsdb-server", stockServer(t, file))
	return b
}

func newParty(name, sock string) *party {
	return &party{name: name, sock: sock, clients: make(map[string]*client), seen: make(map[string]string)}
}

func (p *party) client(t testing.TB, name string) *client {
	if p.clients[name] == nil {
		p.clients[name] = dial(t, p.sock)
		p.clients[name].lost = p.lost
	}
	return p.clients[name]
}

// call sends one request from the default client of each.
func (b *beside) call(method, params string) string { return b.as("", method, params) }

// as sends one request from a named client of each server, compares what comes
// back up to and with the reply, and returns our reply.
func (b *beside) as(who, method, params string) string {
	b.t.Helper()
	run := func(p *party) (message, []any) {
		c := p.client(b.t, who)
		m := c.call(method, params)
		return m, p.conversation(b.t, c.notes, &m, b.options)
	}
	m, got := run(b.ours)
	_, want := run(b.stock)
	b.compare(fmt.Sprintf("%s %s", method, params), got, want)
	return string(m.Result)
}

// start sends a request that is not answered at once; finish awaits the answer.
func (b *beside) start(who, method, params string) map[*party]string {
	b.t.Helper()
	ids := make(map[*party]string)
	for _, p := range []*party{b.ours, b.stock} {
		ids[p] = p.client(b.t, who).request(method, params)
		p.client(b.t, who).call("echo", `["started"]`) // it has been run once
	}
	return ids
}

func (b *beside) finish(who string, ids map[*party]string) {
	b.t.Helper()
	run := func(p *party) []any {
		c := p.client(b.t, who)
		m := c.await(ids[p])
		return p.conversation(b.t, c.notes, &m, b.options)
	}
	b.compare("the answer of "+who, run(b.ours), run(b.stock))
}

func (b *beside) cancel(who string, ids map[*party]string) {
	for _, p := range []*party{b.ours, b.stock} {
		p.client(b.t, who).send(`{"method":"cancel","params":[%s],"id":null}`, ids[p])
	}
}

func (b *beside) close(who string) {
	for _, p := range []*party{b.ours, b.stock} {
		p.client(b.t, who).conn.Close()
		delete(p.clients, who)
	}
}

// expect waits for a notification with the method.
func (b *beside) expect(who, method string) {
	b.t.Helper()
	for _, p := range []*party{b.ours, b.stock} {
		if m := p.client(b.t, who).receive(); m.Method != method {
			b.t.Errorf("%s: %s gets %q, not %q", p.name, who, m.Method, method)
		}
	}
}

// transact sends operations, without the brackets, to the database Test.
func (b *beside) transact(ops string) string {
	b.t.Helper()
	if ops == "" {
		return b.call("transact", `["Test"]`)
	}
	return b.call("transact", `["Test",`+ops+`]`)
}

// notes compares the notifications that a client has received since it was last
// asked; an empty transaction makes sure that all are there, since updates come
// before replies.
func (b *beside) notes(who string) {
	b.t.Helper()
	run := func(p *party) []any {
		c := p.client(b.t, who)
		c.call("transact", `["Test"]`)
		return p.conversation(b.t, c.notes, nil, b.options)
	}
	got, want := run(b.ours), run(b.stock)
	if b.ignoreIdle {
		got, want = slices.DeleteFunc(got, idle), slices.DeleteFunc(want, idle)
	}
	b.compare("notifications of "+who, got, want)
}

// idle removes what an update says of rows of which only _version differs, and
// tells whether nothing is left.
func idle(note any) bool {
	params := note.(map[string]any)["params"].([]any)
	tables, ok := params[len(params)-1].(map[string]any)
	if !ok {
		return false
	}
	for name, t := range tables {
		rows := t.(map[string]any)
		for u, r := range rows {
			row := r.(map[string]any)
			change, ok := row["modify"].(map[string]any)
			if old, v1 := row["old"].(map[string]any); v1 && row["new"] != nil {
				change, ok = old, true
			}
			if _, version := change["_version"]; ok && version && len(change) == 1 {
				delete(rows, u)
			}
		}
		if len(rows) == 0 {
			delete(tables, name)
		}
	}
	return len(tables) == 0
}

var waitTimes = regexp.MustCompile(`\d+ ms`)

func (b *beside) compare(what string, got, want []any) {
	b.t.Helper()
	if b.ignoreTimes {
		if waitTimes.ReplaceAllString(lay("", got), "ms") == waitTimes.ReplaceAllString(lay("", want), "ms") {
			return
		}
	}
	if len(got)+len(want) == 0 || reflect.DeepEqual(got, want) {
		return
	}
	b.t.Errorf("%s\n%s\n%s", what, lay("govn ", got), lay("stock", want))
}

func lay(who string, all []any) string {
	lines := make([]string, len(all))
	for i := range all {
		j, _ := json.Marshal(all[i])
		lines[i] = who + " " + strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(j))
	}
	return strings.Join(lines, "\n")
}

// conversation is what a client received, ready to be compared.
func (p *party) conversation(t testing.TB, notes []message, reply *message, o options) (all []any) {
	for _, m := range notes {
		params := p.parse(t, m.Params)
		if list, ok := params.([]any); ok && m.Method == "update3" {
			list[1] = "<txid>"
		}
		params = p.mask(params, o)
		if list, ok := params.([]any); ok && strings.HasPrefix(m.Method, "update") {
			updates := list[len(list)-1].(map[string]any)
			if withoutEmpty(updates); len(updates) == 0 {
				continue
			}
		}
		all = append(all, map[string]any{"method": m.Method, "params": params})
	}
	slices.SortStableFunc(all, func(a, b any) int { return strings.Compare(monitorOf(a), monitorOf(b)) })
	if reply != nil {
		result := p.parse(t, reply.Result)
		if list, ok := result.([]any); ok && len(list) == 3 {
			if _, since := list[0].(bool); since {
				list[1] = "<txid>"
			}
		}
		all = append(all, map[string]any{"result": p.mask(result, o), "error": p.mask(p.parse(t, reply.Error), o)})
	}
	return all
}

// monitorOf is the id of the monitor that an update is of.
func monitorOf(note any) string {
	n := note.(map[string]any)
	if list, ok := n["params"].([]any); ok && strings.HasPrefix(n["method"].(string), "update") {
		j, _ := json.Marshal(list[0])
		return string(j)
	}
	return ""
}

// withoutEmpty removes rows whose "modify" says nothing.
func withoutEmpty(updates map[string]any) {
	for name, table := range updates {
		rows, _ := table.(map[string]any)
		for u, row := range rows {
			r, _ := row.(map[string]any)
			if change, ok := r["modify"].(map[string]any); ok && len(change) == 0 {
				delete(rows, u)
			}
		}
		if len(rows) == 0 {
			delete(updates, name)
		}
	}
}

func (p *party) parse(t testing.TB, raw json.RawMessage) any {
	t.Helper()
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 9007199254740993 is not 9007199254740992
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v in %s", p.name, err, raw)
	}
	return v
}

// chosen are the UUIDs that tests give: they are compared as they are.
var chosen = regexp.MustCompile(`^(?:00000000-0000-0000|[0-9a-f]{8}-0000-4000-8000)-0000`)

func (p *party) maskText(s string) string {
	return uuidPattern.ReplaceAllStringFunc(s, func(u string) string {
		if chosen.MatchString(u) {
			return u
		}
		if p.seen[u] == "" {
			p.seen[u] = fmt.Sprintf("<%d>", len(p.seen))
		}
		return p.seen[u]
	})
}

// place is what ours adds to details.
var place = regexp.MustCompile(` \((?:column|table) [^()]*\)$`)

// mask replaces what may differ. Object members are walked in order, so that
// numbers are given alike.
func (p *party) mask(v any, o options) any {
	switch x := v.(type) {
	case string:
		return p.maskText(x)
	case json.Number:
		if f, err := x.Float64(); err == nil && strings.ContainsAny(string(x), ".e") || x == "-0" {
			return json.Number(fmt.Sprintf("%.15g", f+0))
		}
	case []any:
		for i := range x {
			x[i] = p.mask(x[i], o)
		}
	case map[string]any:
		if _, isError := x["error"].(string); isError {
			if o.kindsOnly {
				// With several rows, which one is refused first differs.
				kind := x["error"]
				if kind == ErrDomain || kind == ErrRange {
					kind = ErrConstraint
				}
				return map[string]any{"error": kind}
			}
			if details, ok := x["details"].(string); ok {
				x["details"] = sameProse(p.maskText(place.ReplaceAllString(details, "")))
			}
		}
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		masked := make(map[string]any, len(x))
		for _, k := range keys {
			if k == "_version" {
				masked[k] = "<version>"
				continue
			}
			masked[p.maskText(k)] = p.mask(x[k], o)
		}
		if rows, ok := masked["rows"].([]any); ok && len(masked) == 1 && !o.inOrder {
			sortRows(rows)
		}
		return masked
	}
	return v
}

var twoRows = regexp.MustCompile(`First row, (.*?)  Second row, (.*)$`)

var otherMembers = regexp.MustCompile(`Member '[^']*' and`)

// sameProse makes texts of ovsdb-server like ours: which one of several members
// and which of two rows with equal indexes comes first depends on its hashes,
// and a word is spelled wrong.
func sameProse(s string) string {
	if m := twoRows.FindStringSubmatch(s); m != nil {
		rows := []string{m[1], m[2]}
		slices.SortFunc(rows, func(a, b string) int {
			_, aText, _ := strings.Cut(a, ",")
			_, bText, _ := strings.Cut(b, ",")
			return cmp.Or(strings.Compare(aText, bText), strings.Compare(a, b))
		})
		s = strings.TrimSuffix(s, m[0]) + "Rows: " + rows[0] + " " + rows[1]
	}
	s = otherMembers.ReplaceAllString(s, "Member * and")
	return strings.Replace(s, "volation", "violation", 1)
}

func sortRows(rows []any) {
	slices.SortFunc(rows, func(a, b any) int {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return bytes.Compare(x, y)
	})
}
