package idl

import (
	"errors"
	"strings"
	"testing"

	"govn/pkg/ovsdb"
)

const testSchema = `{"name":"T","version":"1.0.0","tables":{
"R":{"isRoot":true,"columns":{"name":{"type":"string"},
	"kids":{"type":{"key":{"type":"uuid","refTable":"K"},"min":0,"max":"unlimited"}},
	"n":{"type":{"key":"integer","min":0,"max":1}},
	"m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}},
"K":{"columns":{"name":{"type":"string"}}}}}`

const (
	u1 = "00000000-0000-4000-8000-000000000001"
	u2 = "00000000-0000-4000-8000-000000000002"
	u3 = "00000000-0000-4000-8000-000000000003"
)

// replica returns a replica of the test schema with contents.
func replica(t testing.TB, updates string) *DB {
	t.Helper()
	schema, err := ovsdb.ParseSchema([]byte(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	db := NewDB(&Conn{Schema: schema})
	db.Need("R", "name", "kids", "n", "m")
	db.Need("K", "name")
	if err := db.update(&reader{b: []byte(updates)}); err != nil {
		t.Fatal(err)
	}
	return db
}

const initial = `{"R":{"` + u1 + `":{"initial":{"name":"a","kids":["set",[["uuid","` + u2 + `"],["uuid","` + u3 + `"]]],"m":["map",[["x","1"],["y","2"]]]}}},
"K":{"` + u2 + `":{"initial":{"name":"k2"}},"` + u3 + `":{"initial":{"name":"k3"}}}}`

func mustUUID(t testing.TB, s string) UUID {
	t.Helper()
	u, err := ovsdb.ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Updates change rows as ovsdb-server(7) section 4.1.14 has it.
func TestUpdate(t *testing.T) {
	db := replica(t, initial)
	row := db.Row("R", mustUUID(t, u1))
	if got := row.Get("kids").Len(); got != 2 {
		t.Fatalf("%d kids, want 2", got)
	}
	for _, tt := range []struct{ modify, column, want string }{
		{`"n":5`, "n", `5`},
		{`"n":["set",[]]`, "n", `[]`},
		{`"kids":["uuid","` + u2 + `"]`, "kids", `[` + u3 + `]`},
		{`"kids":["set",[["uuid","` + u2 + `"],["uuid","` + u3 + `"]]]`, "kids", `[` + u2 + `]`},
		{`"m":["map",[["x","1"]]]`, "m", `{y="2"}`},
		{`"m":["map",[["y","3"],["z","4"]]]`, "m", `{y="3", z="4"}`},
		{`"unknown":["map",[["y","3"]]],"name":"b"`, "name", `b`},
	} {
		if err := db.update(&reader{b: []byte(`{"R":{"` + u1 + `":{"modify":{` + tt.modify + `}}}}`)}); err != nil {
			t.Fatal(err)
		}
		if got := row.Get(tt.column).Format(&row.Table.Schema.Column(tt.column).Type); got != tt.want {
			t.Errorf("after %s: %s, want %s", tt.modify, got, tt.want)
		}
	}
	if err := db.update(&reader{b: []byte(`{"R":{"` + u1 + `":{"delete":null}},"Unknown":{"x":[1,{"]":"}"}]}}`)}); err != nil {
		t.Fatal(err)
	}
	if db.Row("R", mustUUID(t, u1)) != nil {
		t.Error("the row is still there")
	}
}

// operations renders a transaction.
func operations(t *testing.T, txn *Txn) string {
	t.Helper()
	ops, _ := txn.operations()
	var b strings.Builder
	for _, op := range ops {
		text, err := op.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String()
}

// A transaction says no more than what it changes.
func TestOperations(t *testing.T) {
	db := replica(t, initial)
	row := db.Row("R", mustUUID(t, u1))
	for _, tt := range []struct {
		name string
		do   func(*Txn)
		want string
	}{
		{"nothing", func(*Txn) { row.Set("name", String("a")) }, ``},
		{"replace", func(*Txn) { row.Set("name", String("b")) },
			`{"op":"update","table":"R","row":{"name":"b"},"where":[["_uuid","==",["uuid","` + u1 + `"]]]}` + "\n"},
		{"add and remove", func(*Txn) {
			row.Remove("m", String("x"))
			row.Add("m", StringMap(map[string]string{"y": "5", "z": "6"}))
		}, `{"op":"mutate","table":"R","mutations":[["m","delete",["set",["x","y"]]],["m","insert",["map",[["y","5"],["z","6"]]]]],"where":[["_uuid","==",["uuid","` + u1 + `"]]]}` + "\n"},
		{"add what is there", func(*Txn) { row.Add("kids", Ref(mustUUID(t, u2))) }, ``},
		{"verify", func(*Txn) { row.Verify("n"); row.Set("n", Int(1)) },
			`{"op":"wait","table":"R","rows":[{"n":["set",[]]}],"columns":["n"],"timeout":0,"where":[["_uuid","==",["uuid","` + u1 + `"]]],"until":"=="}` + "\n" +
				`{"op":"update","table":"R","row":{"n":1},"where":[["_uuid","==",["uuid","` + u1 + `"]]]}` + "\n"},
		{"delete", func(*Txn) { row.Delete() }, `{"op":"delete","table":"R","where":[["_uuid","==",["uuid","` + u1 + `"]]]}` + "\n"},
		{"delete what is not root", func(*Txn) { db.Row("K", mustUUID(t, u2)).Delete() }, ``},
		{"insert and delete", func(txn *Txn) { txn.Insert("R").Delete() }, ``},
		{"insert", func(txn *Txn) {
			kid := txn.InsertAs("K", mustUUID(t, "00000000-0000-4000-8000-00000000000f"), false).Set("name", String("new"))
			row.Add("kids", Refs(kid))
		}, `{"op":"insert","table":"K","row":{"name":"new"},"uuid-name":"row00000000_0000_4000_8000_00000000000f"}` + "\n" +
			`{"op":"mutate","table":"R","mutations":[["kids","insert",["named-uuid","row00000000_0000_4000_8000_00000000000f"]]],"where":[["_uuid","==",["uuid","` + u1 + `"]]]}` + "\n"},
		{"insert under a UUID", func(txn *Txn) { txn.InsertAs("R", mustUUID(t, u3), true) },
			`{"op":"insert","table":"R","row":{"kids":["set",[]]},"uuid":"` + u3 + `"}` + "\n"},
	} {
		txn := db.Begin()
		tt.do(txn)
		if err := db.Err(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		// What was written is read, before the commit.
		if got := operations(t, txn); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
	db.Begin()
	if len(db.Rows("R")) != 1 || row.Str("name") != "a" || row.Get("m").Len() != 2 || row.Deleted() {
		t.Error("a new transaction still sees the one before")
	}
}

// A column that nobody asked for cannot be read by mistake.
func TestColumnsNotAskedFor(t *testing.T) {
	schema, err := ovsdb.ParseSchema([]byte(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	db := NewDB(&Conn{Schema: schema})
	db.Need("R", "name")
	if err := db.update(&reader{b: []byte(initial)}); err != nil {
		t.Fatal(err)
	}
	txn := db.Begin()
	row := db.First("R")
	row.Add("kids", Ref(mustUUID(t, u3))) // without reading
	if err := db.Err(); err != nil {
		t.Error(err)
	}
	if got := operations(t, txn); !strings.Contains(got, `["kids","insert",["uuid","`+u3+`"]]`) {
		t.Errorf("the mutation is missing: %s", got)
	}
	row.Get("m")
	if _, err := txn.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "R.m is read and was not asked for") {
		t.Errorf("Commit: %v", err)
	}
	db.Begin()
	row.Set("missing", Int(1))
	if err := db.Err(); err == nil || !strings.Contains(err.Error(), "no column missing in table R") {
		t.Errorf("Err: %v", err)
	}
}

// Results are read: identities, the first error, a verification that failed.
func TestResult(t *testing.T) {
	db := replica(t, initial)
	txn := db.Begin()
	u := mustUUID(t, "00000000-0000-4000-8000-00000000000f")
	txn.InsertAs("R", u, false)
	db.First("R").Verify("n")
	ops, _ := txn.operations()
	r, err := txn.result(ops, []byte(`[{},{"uuid":["uuid","`+u3+`"]}]`), -1)
	if err != nil || r.UUIDs[u] != mustUUID(t, u3) {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := txn.result(ops, []byte(`[{"error":"timed out"},null]`), -1); !errors.Is(err, ErrTryAgain) {
		t.Errorf("a verification that failed: %v", err)
	}
	var refused *TransactionError
	if _, err := txn.result(ops, []byte(`[{},{},{"error":"constraint violation","details":"<no>"}]`), -1); !errors.As(err, &refused) ||
		err.Error() != `transaction error: {"details":"<no>","error":"constraint violation"}` {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := txn.result(ops, []byte(`{`), -1); !errors.Is(err, ErrSyntax) {
		t.Errorf("not JSON: %v", err)
	}
}

// Whatever a server sends, the client returns an error or contents that print.
func FuzzUpdate(f *testing.F) {
	f.Add([]byte(initial))
	f.Add([]byte(`{"R":{"` + u1 + `":{"modify":{"m":["map",[["x","1"]]],"n":1e3}}}}`))
	f.Add([]byte(`{"R":{"` + u1 + `":{"modify":{"name":["set",[]],"n":["set",[1,2]]}}}}`))
	f.Add([]byte(`{"R":{"` + u1 + `":{"insert":{"name":"\u00e9\ud800","kids":["set",[[[[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		db := replica(t, initial)
		if db.update(&reader{b: b}) != nil {
			return
		}
		for _, row := range db.Rows("R") {
			for _, c := range row.Table.Schema.Columns {
				d := row.Read(c)
				if d.Values != nil && len(d.Values) != len(d.Keys) {
					t.Fatalf("%s: %d keys and %d values", c, len(d.Keys), len(d.Values))
				}
				_ = d.Format(&c.Type)
				if c.Type.IsScalar() && d.Len() != 1 {
					t.Fatalf("%s: %d values", c, d.Len())
				}
			}
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"id":1,"error":null,"result":[{"rows":[]}]}`))
	f.Add([]byte(`{"method":"echo","params":["}"],"id":"x"}{`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := valueEnd(b)
		if err != nil {
			return
		}
		if n < 0 || n > len(b) {
			t.Fatalf("valueEnd(%q) = %d", b, n)
		}
		_, _ = parseMessage(b[:n])
	})
}
