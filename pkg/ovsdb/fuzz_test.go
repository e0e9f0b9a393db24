package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzParseJSON compares with encoding/json: what we take, it takes and finds the
// same in it; what only it takes, we have a reason to refuse.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\n",true,null]}`, `[[[[`, `{}`, `"\ud800"`, `01`, `{"a":1,"a":2}`, "\"\x00\"", `"\u0000"`, "\"\xff\"",
		`[1e400,-0,9007199254740993,1.0]`, `{"":{"":[]}} `, `nul`, `truefalse`,
	} {
		f.Add(s)
	}
	limits := jsonLimits{depth: 20, values: 1000}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseJSON(s, limits)
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		var want any
		if err != nil {
			reasons := []string{"nesting depth", "too many values", "UTF-8", "null bytes", "surrogate"}
			if json.Valid([]byte(s)) && !slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(err.Error(), r) }) {
				t.Fatalf("%q is refused: %v", s, err)
			}
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%q is accepted", s)
		}
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if got := goValue(&v); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", s, got, want)
		}
		again, err := parseJSON(v.String(), limits)
		if err != nil || again.String() != v.String() || !reflect.DeepEqual(goValue(&again), want) {
			t.Fatalf("%q prints as %q: %v", s, v.String(), err)
		}
	})
}

// TestParseLongLists: lists so long that they are not copied, behind and within
// others, have what encoding/json finds in them.
func TestParseLongLists(t *testing.T) {
	list := func(n int) string {
		b := []byte("[")
		for i := range n {
			b = fmt.Appendf(b, "%d,", i)
		}
		return string(b) + `"end"]`
	}
	for _, s := range []string{
		list(4095), list(4096), list(20_000), `[1,{"a":` + list(5000) + `,"b":` + list(5000) + `},[` + list(6000) + `,2],3]`,
		`[` + list(100) + `,` + strings.Repeat(`0,`, 1000) + list(5000) + `,4]`, `[` + strings.Repeat(`[1,[2]],`, 5000) + `[]]`,
		`{"x":1,` + strings.Repeat(`"y":[3],`, 5000) + `"z":` + list(9000) + `}`,
	} {
		v, err := parseJSON(s, defaultJSONLimits)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(goValue(&v), want) {
			t.Errorf("%.60s is read as %.60s", s, v.String())
		}
	}
}

// goValue is a value as encoding/json has it.
func goValue(v *jsonValue) any {
	switch v.kind {
	case jsonBool:
		return v.text == "true"
	case jsonNumber:
		return json.Number(v.text)
	case jsonString:
		return v.text
	case jsonArray:
		list := make([]any, len(v.list))
		for i := range v.list {
			list[i] = goValue(&v.list[i])
		}
		return list
	case jsonObject:
		members := make(map[string]any)
		for i := 0; i < len(v.list); i += 2 {
			members[v.list[i].text] = goValue(&v.list[i+1])
		}
		return members
	}
	return nil
}

// FuzzTransact runs operations: nothing panics, the reply is JSON of the right
// length, the store stays consistent, and a reload of the log gives the same.
func FuzzTransact(f *testing.F) {
	for _, ops := range transactions {
		f.Add(ops)
	}
	for _, ops := range append(fill, changes...) {
		f.Add("[" + ops + "]")
	}
	schema := testSchema(f)
	f.Fuzz(func(t *testing.T, ops string) {
		v, err := parseJSON(ops, jsonLimits{depth: 20, values: 10_000})
		if err != nil || v.kind != jsonArray {
			return
		}
		engine := NewMemoryEngine()
		s, err := Open(context.Background(), engine, []Database{{Schema: schema}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var first jsonValue
		if first, err = parseJSON("["+fill[0]+"]", defaultJSONLimits); err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]jsonValue{first.list, v.list, v.list} {
			o := (&transaction{store: s, db: s.database(schema), ops: list}).run(time.Hour)
			var results []any
			if !o.blocked {
				if err := json.Unmarshal(o.result, &results); err != nil {
					t.Fatalf("%s: %v", o.result, err)
				}
				if n := len(results); n != len(list) && n != len(list)+1 {
					t.Fatalf("%d results of %d operations", n, len(list))
				}
			}
			if err := s.Snapshot().dbs[0].check(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Open(context.Background(), engine, []Database{{Schema: schema}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		for _, ts := range schema.tables {
			for r := range s.Snapshot().Rows(ts) {
				o := again.Snapshot().Row(ts, r.UUID())
				for _, c := range ts.Columns {
					if o == nil || !c.Ephemeral && !ValuesEqual(o.Get(c), r.Get(c)) {
						t.Fatalf("%v became %v", r, o)
					}
				}
			}
		}
	})
}

// FuzzConnection gives a server any bytes.
func FuzzConnection(f *testing.F) {
	f.Add([]byte(`{"method":"monitor","params":["Test","m",{"Switch":{"columns":["name"]}}],"id":1}{"method":"transact","params":["Test",{"op":"insert","table":"Flow","row":{}}],"id":[2]}`))
	f.Add([]byte(`{"method":"monitor_cond_since","params":["Test","m",{"Switch":[{"where":[["name","==","x"]]}]},"00000000-0000-0000-0000-000000000000"],"id":1}{"method":"monitor_cond_change","params":["m","n",{"Switch":[{"where":[true]}]}],"id":2}{"method":"monitor_cancel","params":["n"],"id":3}`))
	f.Add([]byte(`{"method":"lock","params":["a"],"id":1}{"method":"cancel","params":[1]}{"method":"get_schema","params":["Test"],"id":{}}{}`))
	f.Add([]byte(`[[[[`))
	schema := testSchema(f)
	s, err := Open(context.Background(), NewMemoryEngine(), []Database{{Schema: schema}}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	srv := NewServer(s, ServerOptions{Logger: quiet(), Limits: Limits{MaxMessage: 1 << 16}})
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			newRemote(srv, "fuzz", Address{}, remoteOptions{}).converse(context.Background(), there, "")
		}()
		read := make(chan struct{})
		go func() {
			defer close(read)
			buf := make([]byte, 4096)
			for {
				if _, err := here.Read(buf); err != nil {
					return
				}
			}
		}()
		here.SetWriteDeadline(time.Now().Add(5 * time.Second))
		here.Write(b)
		here.Close()
		<-done
		<-read
	})
}

func FuzzParseSchema(f *testing.F) {
	f.Add(testSchemaJSON)
	f.Add(serverSchema)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseSchema([]byte(text))
		if err != nil {
			return
		}
		if again, err := ParseSchema(d.JSON()); err != nil || string(again.JSON()) != string(d.JSON()) {
			t.Fatalf("%s: %v", d.JSON(), err)
		}
	})
}

// FuzzEntry loads any bytes as a log entry, with a right checksum.
func FuzzEntry(f *testing.F) {
	schema := testSchema(f)
	e := &memoryEngine{}
	s, err := Open(context.Background(), e, []Database{{Schema: schema}}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	fillSwitch(f, s, schema, 3)
	update(f, s, schema, func(tx *Txn) {
		for r := range tx.Rows(schema.Table("Switch")) {
			tx.SetColumn(schema.Table("Switch"), r.UUID(), "options", map[string]string{"a": "b"})
		}
	})
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	for _, en := range e.entries {
		f.Add(en.Data[:len(en.Data)-4])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for rev := uint64(1); rev <= 2; rev++ {
			damaged := &memoryEngine{entries: append([]Entry(nil), e.entries[:rev-1]...)}
			damaged.entries = append(damaged.entries, Entry{rev, seal(append([]byte(nil), body...))})
			s, err := Open(context.Background(), damaged, []Database{{Schema: schema}}, Options{Logger: quiet()})
			if err == nil {
				s.Close()
			}
		}
	})
}
