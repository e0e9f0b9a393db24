package ovsdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// laterSchema is the test schema of a later version, with more in it.
func laterSchema(t testing.TB) string {
	t.Helper()
	return editSchema(t, func(tables map[string]any) {
		tables["Added"] = map[string]any{"isRoot": true, "columns": map[string]any{"a": map[string]any{"type": "string"}}}
		column(tables, "Port", "alias", `{"type":"string"}`)
		column(tables, "Port", "age", `{"type":{"key":"integer","min":1,"max":1}}`)
		column(tables, "Switch", "a_ports", `{"type":{"key":{"type":"uuid","refTable":"Port"},"min":0,"max":"unlimited"}}`)
	}, "2.0.0")
}

func column(tables map[string]any, table, name, text string) {
	columns := tables[table].(map[string]any)["columns"].(map[string]any)
	if text == "" {
		delete(columns, name)
		return
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	columns[name] = v
}

func editSchema(t testing.TB, edit func(tables map[string]any), version string) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(testSchemaJSON), &v); err != nil {
		t.Fatal(err)
	}
	edit(v["tables"].(map[string]any))
	v["version"] = version
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func anySchema(db *Database) { db.AnySchema = true }

// fillForConvert is what the databases of these tests hold.
const fillForConvert = `["Test",{"op":"insert","table":"Port","uuid-name":"p1","row":{"name":"p1","tag":7,"weight":2.0,"addresses":["set",["a","b"]]}},
 {"op":"insert","table":"Port","uuid-name":"p2","row":{"name":"p2","peers":["named-uuid","p1"]}},
 {"op":"insert","table":"Switch","row":{"name":"sw0","ports":["set",[["named-uuid","p1"],["named-uuid","p2"]]],"main":["named-uuid","p1"],"options":["map",[["k","v"]]]}},
 {"op":"insert","table":"Switch","row":{"name":"sw1"}},
 {"op":"insert","table":"Flow","row":{"match":"m","priority":3}},
 {"op":"insert","table":"Global","row":{"nb_cfg":1,"kind":"a"}}]`

// conversions are tried in order; what fails changes nothing. Values that a
// column's new type does not take are not among them: ovsdb-server 3.1 dies of
// those.
var conversions = []struct {
	name   string
	params func(t *testing.T) string
}{
	{"no params", func(*testing.T) string { return `[]` }},
	{"one param", func(*testing.T) string { return `["Test"]` }},
	{"three params", func(t *testing.T) string { return `["Test",` + testSchemaJSON + `,1]` }},
	{"no database", func(t *testing.T) string { return `["Nosuch",` + testSchemaJSON + `]` }},
	{"no schema", func(*testing.T) string { return `["Test",7]` }},
	{"another name", func(t *testing.T) string {
		return `["Test",` + strings.Replace(testSchemaJSON, `"Test"`, `"Rest"`, 1) + `]`
	}},
	{"unknown type", func(t *testing.T) string {
		return `["Test",` + strings.Replace(testSchemaJSON, `"real"`, `"complex"`, 1) + `]`
	}},
	{"unknown reference", func(t *testing.T) string {
		return `["Test",` + strings.Replace(testSchemaJSON, `"refTable":"Port"`, `"refTable":"Nosuch"`, 1) + `]`
	}},
	{"too many rows", changed(func(tables map[string]any) { tables["Switch"].(map[string]any)["maxRows"] = 1 })},
	{"a reference to nothing", changed(func(tables map[string]any) {
		column(tables, "Flow", "must", `{"type":{"key":{"type":"uuid","refTable":"Switch"}}}`)
	})},
	{"an index that is not unique", changed(func(tables map[string]any) {
		column(tables, "Switch", "one", `{"type":"string"}`)
		tables["Switch"].(map[string]any)["indexes"] = []any{[]any{"one"}}
	})},
	{"the same", func(*testing.T) string { return `["Test",` + testSchemaJSON + `]` }},
	{"later", func(t *testing.T) string { return `["Test",` + laterSchema(t) + `]` }},
	{"other types", changed(func(tables map[string]any) {
		column(tables, "Port", "tag", `{"type":{"key":"integer","min":0,"max":"unlimited"}}`)
		column(tables, "Flow", "match", `{"type":{"key":"string","min":0,"max":"unlimited"}}`)
		column(tables, "Flow", "priority", `{"type":{"key":{"type":"integer","maxInteger":3},"min":0,"max":1}}`)
	})},
	{"back", func(*testing.T) string { return `["Test",` + testSchemaJSON + `]` }},
	{"less", changed(func(tables map[string]any) {
		column(tables, "Port", "tag", "")
		column(tables, "Switch", "options", "")
		delete(tables, "Flow")
		delete(tables, "Needy")
	})},
	{"nothing refers to ports", changed(func(tables map[string]any) { column(tables, "Switch", "ports", "") })},
	{"back with defaults", func(*testing.T) string { return `["Test",` + testSchemaJSON + `]` }},
	{"integer to real", changed(func(tables map[string]any) { column(tables, "Global", "nb_cfg", `{"type":"real"}`) })},
}

func changed(edit func(map[string]any)) func(*testing.T) string {
	return func(t *testing.T) string { return `["Test",` + editSchema(t, edit, "1.5.0") + `]` }
}

// dumpTest selects everything there is.
func dumpTest(c *client, tables ...string) any {
	var all []any
	for _, table := range tables {
		m := c.call("transact", `["Test",{"op":"select","table":"`+table+`","where":[]}]`)
		all = append(all, canonicalRows(string(m.Result)))
	}
	return all
}

// canonicalRows makes results comparable: UUIDs are alike, rows are in order, and
// of errors the kind counts.
func canonicalRows(raw string) any {
	var results []any
	if err := json.Unmarshal([]byte(uuidPattern.ReplaceAllString(raw, "<uuid>")), &results); err != nil {
		return raw
	}
	for i, r := range results {
		m, _ := r.(map[string]any)
		if m["error"] != nil {
			results[i] = m["error"]
		}
		rows, _ := m["rows"].([]any)
		slices.SortFunc(rows, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return results
}

func kindOf(m message) string {
	var e struct{ Error string }
	if json.Unmarshal(m.Error, &e) != nil {
		return string(m.Error)
	}
	return e.Error
}

// TestConvertLikeStock converts on both servers: the same is refused and done,
// and the same becomes of the rows.
func TestConvertLikeStock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.ovsschema")
	writeSchema(t, file)
	ours := dial(t, serve(t, openTest(t, NewMemoryEngine(), testSchema(t), anySchema), ServerOptions{}))
	stock := dial(t, stockServer(t, file))
	for _, c := range []*client{ours, stock} {
		c.result("set_db_change_aware", "[true]")
		c.result("transact", fillForConvert)
	}
	for _, conv := range conversions {
		params := conv.params(t)
		got, want := ours.call("convert", params), stock.call("convert", params)
		if g, w := kindOf(got), kindOf(want); g != w || string(got.Result) != string(want.Result) && w == "" {
			t.Errorf("%s\ngot  %s %s\nwant %s %s", conv.name, got.Result, got.Error, want.Result, want.Error)
		} else if testing.Verbose() {
			t.Logf("%s\ngot  %s %s\nwant %s %s", conv.name, got.Result, got.Error, want.Result, want.Error)
		}
		tables := []string{"Switch", "Port", "Global", "Needy", "Flow", "Added"}
		if got, want := dumpTest(ours, tables...), dumpTest(stock, tables...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %v\nwant %v", conv.name, got, want)
		}
	}
}

// TestConvertClients compares what becomes of other clients.
func TestConvertClients(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.ovsschema")
	writeSchema(t, file)
	wait := `["Test",{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"==","rows":[],"timeout":100000}]`
	run := func(sock string, stock bool) []string {
		converter, aware, plain, idle := dial(t, sock), dial(t, sock), dial(t, sock), dial(t, sock)
		converter.result("set_db_change_aware", "[true]")
		converter.result("transact", fillForConvert)
		aware.result("set_db_change_aware", "[true]")
		for i, method := range []string{"monitor", "monitor_cond", "monitor_cond_since"} {
			since := strings.Repeat(`,"00000000-0000-0000-0000-000000000000"`, i/2)
			aware.result(method, fmt.Sprintf(`["Test",{"m":[%d]},{"Switch":{"columns":["name"]}}%s]`, i, since))
		}
		aware.result("monitor_cond", `["_Server","server",{"Database":[{"columns":["name","schema"]}]}]`)
		aware.result("lock", `["l"]`)
		blocked := aware.request("transact", wait)
		aware.result("echo", `[]`)
		plain.result("monitor", `["Test","m",{"Switch":{"columns":["name"]}}]`)
		plain.request("transact", wait)
		idle.result("echo", `[]`)

		var log []string
		converter.result("convert", `["Test",`+laterSchema(t)+`]`)
		// Monitors are canceled in the order of a hash table.
		canceled := map[string]bool{}
		var update bool
		for len(canceled) < 3 {
			m := aware.receive()
			switch m.Method {
			case "monitor_canceled":
				canceled[string(m.Params)] = true
			case "update2":
				update = true
			default:
				t.Fatalf("%+v", m)
			}
		}
		log = append(log, fmt.Sprint(canceled))
		m := aware.await(blocked)
		update = update || len(aware.notes) > 0
		ask := func(method, params string) string {
			result := aware.result(method, params)
			update = update || len(aware.notes) > 0
			return result
		}
		log = append(log, string(m.Error))
		// The ids are free, the lock is still held, _Server is monitored.
		log = append(log, normalise(ask("monitor_cond", `["Test",{"m":[0]},{"Added":[{}]}]`)))
		log = append(log, ask("transact", `["Test",{"op":"assert","lock":"l"}]`))
		log = append(log, ask("transact", `["_Server",{"op":"select","table":"Database","where":[["name","==","Test"]],"columns":["model","connected","leader","cid","sid","index"]}]`))
		schema := ask("transact", `["_Server",{"op":"select","table":"Database","where":[["name","==","Test"]],"columns":["schema"]}]`)
		// ovsdb-server 3.1 leaves the schema that was there.
		if !stock && (!strings.Contains(schema, `\"version\":\"2.0.0\"`) || !update) {
			t.Errorf("_Server shows %s, was monitored: %t", schema, update)
		}
		for _, c := range []*client{plain, idle} {
			var m message
			err := c.dec.Decode(&m)
			log = append(log, fmt.Sprint(err != nil))
		}
		// Who converts and is not aware gets its reply first.
		again := dial(t, sock)
		log = append(log, again.result("convert", `["Test",`+testSchemaJSON+`]`))
		var end message
		log = append(log, fmt.Sprint(again.dec.Decode(&end) != nil))
		return log
	}
	got := run(serve(t, openTest(t, NewMemoryEngine(), testSchema(t), anySchema), ServerOptions{}), false)
	want := run(stockServer(t, file), true)
	for i := range want {
		if canonicalText(got[i]) != canonicalText(want[i]) {
			t.Errorf("%d\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
}

func canonicalText(s string) string {
	v, err := parseJSON(s, defaultJSONLimits)
	if err != nil {
		return strings.Replace(s, " null", " ", 1)
	}
	return v.canonical()
}

// TestOvsdbClientConvert runs ovsdb-client on both.
func TestOvsdbClientConvert(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "1.ovsschema"), filepath.Join(dir, "2.ovsschema")
	writeSchema(t, first)
	if err := os.WriteFile(second, []byte(laterSchema(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	script := []string{
		"needs-conversion SOCK " + second, "convert SOCK " + second, "needs-conversion SOCK " + second, "get-schema-version SOCK Test",
		"dump SOCK Test", "convert SOCK " + second, "convert SOCK " + first, "dump SOCK Test", "needs-conversion SOCK " + first,
		"convert SOCK /usr/share/ovn/ovn-nb.ovsschema",
	}
	run := func(sock string) (out []string) {
		dial(t, sock).result("transact", fillForConvert)
		for _, args := range script {
			text, err := tryCommand("ovsdb-client", strings.Fields(strings.ReplaceAll(args, "SOCK", "unix:"+sock))...)
			out = append(out, anonymous(fmt.Sprintf("%s: %v\n%s", args, err, strings.ReplaceAll(text, sock, "SOCK"))))
		}
		return out
	}
	got := run(serve(t, openTest(t, NewMemoryEngine(), testSchema(t), anySchema), ServerOptions{}))
	want := run(stockServer(t, first))
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// TestConvertUnderAProgram: a program goes on with its own schema's tables and
// columns when the database gets more; what it needs cannot be taken away.
func TestConvertUnderAProgram(t *testing.T) {
	d := testSchema(t)
	var checked int
	s := openTest(t, NewMemoryEngine(), d, func(db *Database) {
		db.Check = func(_ *Snapshot, changes []Change, _ Owner) error {
			for _, ch := range changes {
				if ch.Table.DB != d {
					t.Errorf("Check sees a table of another schema: %s", ch.Table.Name)
				}
				checked++
			}
			return nil
		}
	})
	sw, port := d.Table("Switch"), d.Table("Port")
	big := fillSwitch(t, s, d, 10)
	sub := s.Subscribe()
	defer sub.Close()
	rev, err := s.Convert(t.Context(), d, []byte(laterSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	if commits, err := sub.Next(t.Context()); err != nil || commits[0].Revision != rev || commits[0].DB != d || len(commits[0].Changes) > 0 {
		t.Errorf("%+v, %v", commits, err)
	}
	if got := s.Schema(d).Version; got != "2.0.0" {
		t.Errorf("version %s", got)
	}
	checked = 0
	u := UUID{}
	update(t, s, d, func(tx *Txn) {
		if r := tx.Lookup(sw, 0, "big"); r == nil || r.Set(sw.Column("ports")).Len() != 10 || r.Table() != sw {
			t.Errorf("%v", r)
		}
		u = tx.Insert(port, UUID{}, map[string]Value{"name": "new"})
		tx.AddToSet(sw, big, "ports", u)
		for r := range tx.Referrers(sw.Column("ports"), u) {
			if r != big {
				t.Error(r)
			}
		}
	})
	if checked != 2 {
		t.Errorf("Check saw %d changes", checked)
	}
	commits, err := sub.Next(t.Context())
	for err == nil && len(commits[len(commits)-1].Changes) == 0 || commits[len(commits)-1].DB != d {
		commits, err = sub.Next(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range commits[len(commits)-1].Changes {
		if ch.Table != sw && ch.Table != port || ch.New.Table() != ch.Table {
			t.Errorf("%+v", ch)
		}
	}
	sn := s.Snapshot()
	if r := sn.Row(port, u); r == nil || r.Str(port.Column("name")) != "new" || sn.Len(port) != 11 || sn.Lookup(port, 0, "new") != r {
		t.Errorf("%v", r)
	}
	// A client sees the rest, and writes it.
	c := dial(t, serve(t, s, ServerOptions{}))
	c.result("transact", `["Test",{"op":"update","table":"Port","where":[["name","==","new"]],"row":{"alias":"x"}},{"op":"insert","table":"Added","row":{"a":"y"}}]`)
	if got := c.result("transact", `["Test",{"op":"select","table":"Port","where":[["alias","==","x"]],"columns":["name","age"]},{"op":"select","table":"Added","where":[],"columns":["a"]}]`); got != `[{"rows":[{"name":"new","age":0}]},{"rows":[{"a":"y"}]}]` {
		t.Error(got)
	}
	if _, err := sub.Next(t.Context()); err != nil {
		t.Error(err)
	}
	c.result("set_db_change_aware", "[true]")
	for what, edit := range map[string]func(map[string]any){
		`table "Flow" is missing`:                        func(m map[string]any) { delete(m, "Flow") },
		`table "Port": column "tag" is missing`:          func(m map[string]any) { column(m, "Port", "tag", "") },
		`column "weight": the type is integer, not real`: func(m map[string]any) { column(m, "Port", "weight", `{"type":"integer"}`) },
		`column "name": strings are limited to 0 to 3 characters`: func(m map[string]any) {
			column(m, "Switch", "name", `{"type":{"key":{"type":"string","maxLength":3}}}`)
		},
		`column "main": it refers to nothing, not to rows of "Port" weakly`: func(m map[string]any) { column(m, "Switch", "main", `{"type":{"key":"uuid","min":0}}`) },
		`table "Port": the index on "name" is missing`:                      func(m map[string]any) { delete(m["Port"].(map[string]any), "indexes") },
		`table "Switch": maxRows is 5`:                                      func(m map[string]any) { m["Switch"].(map[string]any)["maxRows"] = 5 },
		`table "Flow" is not isRoot`:                                        func(m map[string]any) { delete(m["Flow"].(map[string]any), "isRoot") },
		`column "kind": the enum has no b`: func(m map[string]any) {
			column(m, "Global", "kind", `{"mutable":false,"type":{"key":{"type":"string","enum":["set",["a"]]},"min":0}}`)
		},
		`column "match" is not mutable`: func(m map[string]any) { column(m, "Flow", "match", `{"mutable":false,"type":"string"}`) },
	} {
		if m := c.call("convert", `["Test",`+editSchema(t, edit, "3.0.0")+`]`); !strings.Contains(string(m.Error), jsonText(what)) {
			t.Errorf("%s: %s", what, m.Error)
		}
		if _, err := s.Convert(t.Context(), d, []byte(editSchema(t, edit, "3.0.0"))); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m := c.call("convert", `["_Server",`+serverSchema+`]`); !strings.Contains(string(m.Error), ErrPermission) {
		t.Errorf("_Server: %s", m.Error)
	}
	// Back to what the program has: what was added is gone.
	c.result("convert", `["Test",`+testSchemaJSON+`]`)
	if got := c.result("get_schema", `["Test"]`); strings.Contains(got, "alias") {
		t.Error(got)
	}
}

func jsonText(s string) string { q := string(appendString(nil, s)); return q[1 : len(q)-1] }

// TestConvertNamesTheValue: a value that the new type does not take is named.
func TestConvertNamesTheValue(t *testing.T) {
	s := openTest(t, NewMemoryEngine(), testSchema(t), anySchema)
	c := dial(t, serve(t, s, ServerOptions{}))
	c.result("transact", fillForConvert)
	before := s.Snapshot()
	for want, edit := range map[string]func(map[string]any){
		`expected integer (column "match" of table "Flow", row `: func(m map[string]any) { column(m, "Flow", "match", `{"type":"integer"}`) },
		`7 is greater than maximum allowed value 6 (column "tag" of table "Port", row `: func(m map[string]any) {
			column(m, "Port", "tag", `{"type":{"key":{"type":"integer","maxInteger":6},"min":0}}`)
		},
		`"colour" is not an atomic-type (column "name" of table "Port")`:                 func(m map[string]any) { column(m, "Port", "name", `{"type":"colour"}`) },
		`must have at least one column (table "Flow")`:                                   func(m map[string]any) { m["Flow"].(map[string]any)["indexes"] = []any{[]any{}} },
		`(column "addresses" of table "Port", row `:                                      func(m map[string]any) { column(m, "Port", "addresses", `{"type":{"key":"string","min":0}}`) },
		`m is not one of the allowed values ([n]) (column "match" of table "Flow", row `: func(m map[string]any) { column(m, "Flow", "match", `{"type":{"key":{"type":"string","enum":"n"}}}`) },
		`(column "options" of table "Switch", row `:                                      func(m map[string]any) { column(m, "Switch", "options", `{"type":"string"}`) },
		`, converted from map of (string, string) pairs)`: func(m map[string]any) {
			column(m, "Switch", "options", `{"type":{"key":"string","min":0,"max":"unlimited"}}`)
		},
	} {
		if m := c.call("convert", `["Test",`+editSchema(t, edit, "3.0.0")+`]`); !strings.Contains(string(m.Error), jsonText(want)) {
			t.Errorf("%s: %s", want, m.Error)
		}
	}
	if s.Snapshot() != before {
		t.Error("something has changed")
	}
}

// TestNotificationsLikeStock: only "cancel" is a notification, and nothing else.
func TestNotificationsLikeStock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.ovsschema")
	writeSchema(t, file)
	run := func(sock string) (out []string) {
		c := dial(t, sock)
		c.send(`{"method":"transact","params":["Test",{"op":"insert","table":"Flow","row":{}}],"id":null}{"method":"echo","params":[],"id":null}{"method":"nosuch","params":[],"id":null}`)
		for _, r := range []string{`cancel [1]`, `transact ["Test",{"op":"select","table":"Flow","where":[]}]`, `echo []`} {
			method, params, _ := strings.Cut(r, " ")
			m := c.call(method, params)
			out = append(out, fmt.Sprint(r, string(m.Result), kindOf(m), len(c.notes)))
		}
		return out
	}
	got := run(serve(t, openTest(t, NewMemoryEngine(), testSchema(t)), ServerOptions{}))
	want := run(stockServer(t, file))
	for i := range want {
		if strings.Replace(got[i], "null", "", 1) != strings.Replace(want[i], "null", "", 1) {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
}
