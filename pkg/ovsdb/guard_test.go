package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-org/libovsdb/cache"
	dbmodel "github.com/ovn-org/libovsdb/model"
	"github.com/ovn-org/libovsdb/ovsdb"
)

// guardSchema has a column of each kind that libovsdb treats in its own way.
const guardSchema = `{"name":"G","version":"1.0.0","tables":{"T":{"isRoot":true,"indexes":[["name"]],"columns":{
	"name":{"type":"string"},"n":{"type":"integer"},"x":{"type":"real"},"on":{"type":"boolean"},
	"kind":{"type":{"key":{"type":"string","enum":["set",["a","b"]]}}},
	"maybe":{"type":{"key":"string","min":0,"max":1}},"maybes":{"type":{"key":"integer","min":0,"max":3}},
	"refs":{"type":{"key":{"type":"uuid","refTable":"T"},"min":0,"max":"unlimited"}},
	"ids":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
	"ports":{"type":{"key":"integer","value":{"type":"uuid","refTable":"T"},"min":0,"max":"unlimited"}},
	"hidden":{"type":"string"}}}}}`

type guardRow struct {
	UUID   string            `ovsdb:"_uuid"`
	Name   string            `ovsdb:"name"`
	N      int               `ovsdb:"n"`
	X      float64           `ovsdb:"x"`
	On     bool              `ovsdb:"on"`
	Kind   string            `ovsdb:"kind"`
	Maybe  *string           `ovsdb:"maybe"`
	Maybes []int             `ovsdb:"maybes"`
	Refs   []string          `ovsdb:"refs"`
	IDs    map[string]string `ovsdb:"ids"`
	Ports  map[int]string    `ovsdb:"ports"`
}

const guardRequests = `[{"method":"list_dbs","params":[null],"id":1}
	{"method":"get_schema","params":["G"],"id":2}
	{"method":"monitor_cond_since","params":["G",{"databaseName":"G","id":"m"},{"T":{"columns":["name","n","x","on","kind","maybe","maybes","refs","ids","ports"]}},"00000000-0000-0000-0000-000000000000"],"id":3}
	{"method":"transact","params":["G",{"op":"insert","table":"T","row":{}},{"op":"select","table":"T","where":[]}],"id":4}]`

const (
	row1 = `"11111111-1111-1111-1111-111111111111"`
	row2 = `"22222222-2222-2222-2222-222222222222"`
)

// guardRowText is a row with all columns.
const guardRowText = `{"name":"r","n":7,"x":1.5,"on":true,"kind":"a","maybe":"m","maybes":["set",[1,2]],
	"refs":["uuid",` + row1 + `],"ids":["map",[["k","v"]]],"ports":["map",[[1,["uuid",` + row1 + `]]]]}`

// asking returns a checker that has seen the requests.
func asking(t testing.TB, o GuardOptions) *checker {
	t.Helper()
	c := newChecker(o.withDefaults())
	for i, text := range strings.Split(strings.Trim(guardRequests, "[]"), "\n") {
		if i == 2 { // the monitor needs the schema
			if _, err := c.answer(`{"id":2,"error":null,"result":` + guardSchema + `}`); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.request(strings.TrimSpace(text)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// monitoring returns a checker whose monitor has row1.
func monitoring(t testing.TB, o GuardOptions) *checker {
	t.Helper()
	c := asking(t, o)
	if _, err := c.answer(`{"id":3,"error":null,"result":[false,"t1",{"T":{` + row1 + `:{"initial":` + guardRowText + `}}}]}`); err != nil {
		t.Fatal(err)
	}
	return c
}

// update2 is a notification about table T.
func update2(rows string) string {
	return `{"id":null,"method":"update2","params":[{"databaseName":"G","id":"m"},{"T":{` + rows + `}}]}`
}

// What a server may say comes through, in one form.
func TestGuardPasses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{"id":1,"error":null,"result":["G","_Server"]}`, `{"id":1,"error":null,"result":["G","_Server"]}`},
		{`{"result":["G"],"RESULT":7,"Id":null,"id":9,"id":1}`, `{"id":1,"error":null,"result":["G"]}`},
		{`{"id":1,"error":{"error":"no"},"result":null}`, `{"id":1,"error":{"error":"no"},"result":null}`},
		{`{"id":"e","method":"echo","params":[1,[]]}`, `{"id":"e","method":"echo","params":[1,[]]}`},
		{update2(row1 + `:{"modify":{"maybes":["set",[1,2,3,4]],"n":8.0}}`),
			update2(row1 + `:{"modify":{"maybes":["set",[1,2,3,4]],"n":8.0}}`)},
		{update2(row1 + `:{"delete":null}`), update2(row1 + `:{"delete":null}`)},
		{update2(strings.ToUpper(row2) + `:{"insert":{"Name":7,"name":"s"}}`), ""},
		{`{"id":null,"method":"update","params":[{"databaseName":"G","id":"m"},{"T":{` + row1 + `:{"old":{"n":7},"new":{"n":8}}}}]}`,
			`{"id":null,"method":"update","params":[{"databaseName":"G","id":"m"},{"T":{` + row1 + `:{"old":{"n":7},"new":{"n":8}}}}]}`},
		{`{"id":null,"method":"update3","params":[{"databaseName":"G","id":"m"},"t2",{"T":{}}]}`,
			`{"id":null,"method":"update3","params":[{"databaseName":"G","id":"m"},"t2",{"T":{}}]}`},
		// ovsdb-server gives the cookie back with its members in another order.
		{`{"id":null,"method":"update3","params":[{"id":"m","databaseName":"G"},"t2",{"T":{}}]}`,
			`{"id":null,"method":"update3","params":[{"databaseName":"G","id":"m"},"t2",{"T":{}}]}`},
		{`{"id":4,"error":null,"result":[{"uuid":["uuid",` + row2 + `]},{"rows":[{"name":"r","_uuid":["uuid",` + row1 + `]}]}]}`,
			`{"id":4,"error":null,"result":[{"uuid":["uuid",` + row2 + `]},{"rows":[{"name":"r","_uuid":["uuid",` + row1 + `]}]}]}`},
		{`{"id":4,"error":null,"result":[{"error":"x","details":"y","syntax":7},null]}`, `{"id":4,"error":null,"result":[{"error":"x","details":"y"},null]}`},
	} {
		got, err := monitoring(t, GuardOptions{}).answer(tt.in)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s passes as %s", tt.in, got)
			}
		} else if err != nil || string(got) != tt.want {
			t.Errorf("%s\npasses as %s: %v", tt.in, got, err)
		}
	}
}

// A client that wants no indexes sees none, and nothing else is lost.
func TestGuardNoIndexes(t *testing.T) {
	const schema = `{"name":"G","version":"1.0.0","tables":{"T":{"columns":{"a":{"type":"string"}},"isRoot":true,"indexes":[["a"]]},"U":{"columns":{}}}}`
	v, err := parseJSON(schema, defaultJSONLimits)
	if err != nil {
		t.Fatal(err)
	}
	withoutIndexes(&v)
	if got, want := string(v.append(nil)), strings.Replace(schema, `,"indexes":[["a"]]`, "", 1); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// guardGarbage are messages that no client waits for.
var guardGarbage = []string{
	`{}`, `{"id":null}`, `{"id":{}}`, `{"id":77,"result":[]}`, `{"id":-1,"result":[]}`, `{"id":1}`, `{"id":1.5,"result":[]}`,
	`{"id":1,"result":7}`, `{"id":1,"result":[7]}`, `{"id":1,"result":null}`, `{"id":1,"ID":null}`,
	`{"method":7,"params":[]}`, `{"method":"","params":[],"id":1}`, `{"method":"update2"}`, `{"method":"update2","params":{}}`,
	`{"method":"update2","params":[]}`, `{"method":"update2","params":[1]}`, `{"method":"update2","params":[null,{}]}`,
	`{"method":"update2","params":[{"databaseName":"G","id":"other"},{}]}`, `{"method":"update2","params":[{"databaseName":"G","id":"m"},null]}`,
	`{"method":"update3","params":[{"databaseName":"G","id":"m"},{}]}`, `{"method":"update3","params":[{"databaseName":"G","id":"m"},7,{}]}`,
	`{"method":"steal","params":[],"id":5}`, `{"method":"update2","id":1,"params":[{"databaseName":"G","id":"m"},{}]}`,
	update2(`7:{}`), update2(`"x":{"delete":null}`), update2(row1 + `:null`), update2(row1 + `:{}`), update2(row1 + `:{"modify":null}`),
	update2(row1 + `:{"modify":{},"delete":null}`), update2(row1 + `:{"replace":{}}`), update2(row2 + `:{"modify":{}}`),
	update2(row2 + `:{"delete":null}`), update2(row1 + `:{"insert":{}}`), update2(row1 + `:{"modify":[]}`),
	update2(row1 + `:{"modify":{"hidden":"x"}}`), update2(row1 + `:{"modify":{"none":"x"}}`),
	update2(row1 + `:{"modify":{"name":[]}}`), update2(row1 + `:{"modify":{"name":null}}`), update2(row1 + `:{"modify":{"name":["set",[]]}}`),
	update2(row1 + `:{"modify":{"n":"7"}}`), update2(row1 + `:{"modify":{"n":7.5}}`), update2(row1 + `:{"modify":{"x":1e999}}`),
	update2(row1 + `:{"modify":{"kind":"c"}}`), update2(row1 + `:{"modify":{"maybe":["set"]}}`), update2(row1 + `:{"modify":{"maybe":["set",["a","b"]]}}`),
	update2(row1 + `:{"modify":{"refs":["uuid"]}}`), update2(row1 + `:{"modify":{"refs":["uuid",7]}}`), update2(row1 + `:{"modify":{"refs":["set",7]}}`),
	update2(row1 + `:{"modify":{"refs":["named-uuid","x"]}}`), update2(row1 + `:{"modify":{"ids":["map"]}}`), update2(row1 + `:{"modify":{"ids":["map",[7]]}}`),
	update2(row1 + `:{"modify":{"ids":["map",[["k"]]]}}`), update2(row1 + `:{"modify":{"ids":["map",[[["map",[]],"v"]]]}}`),
	update2(row1 + `:{"modify":{"ids":{"k":"v"}}}`), update2(row1 + `:{"modify":{"ports":["map",[["1",["uuid",` + row1 + `]]]]}}`),
	`{"method":"update2","params":[{"databaseName":"G","id":"m"},{"None":{}}]}`,
	`{"id":4,"result":7}`, `{"id":4,"result":[7]}`, `{"id":4,"result":[{"uuid":["uuid"]}]}`, `{"id":4,"result":[{"uuid":"x"}]}`,
	`{"id":4,"result":[{"count":"x"}]}`, `{"id":4,"result":[{"rows":[{"name":[]}]}]}`, `{"id":4,"result":[null,null,null,null]}`,
	`{"id":1,"result":[` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `]}`, `{"id":1,"result":["` + "\xff" + `"]}`,
}

func TestGuardRefuses(t *testing.T) {
	for _, text := range guardGarbage {
		if got, err := monitoring(t, GuardOptions{}).answer(text); !errors.Is(err, ErrPeer) {
			t.Errorf("%s passes as %s: %v", text, got, err)
		}
	}
}

// A schema that libovsdb panics on is no schema.
func TestGuardSchemas(t *testing.T) {
	column := func(c string) string {
		return `{"name":"G","version":"1","tables":{"T":{"columns":{"c":` + c + `}}}}`
	}
	for _, schema := range []string{
		`7`, `{}`, `{"name":"H","version":"1","tables":{}}`, `{"name":"G","tables":{"T":null}}`, `{"name":"G","tables":{"T":{}}}`,
		column(`{}`), column(`{"type":null}`), column(`{"type":"void"}`), column(`{"type":{"key":{"type":"void"}}}`), column(`{"type":{"value":"string"}}`),
		column(`{"type":{"key":{"type":"string","enum":["set"]}}}`), column(`{"type":{"key":{"type":"string","enum":["set",7]}}}`),
		column(`{"type":{"key":{"type":"uuid","enum":["uuid",` + row1 + `]}}}`), column(`{"type":{"key":"string","min":0,"max":"some"}}`),
		`{"name":"G","tables":{"T":{"columns":{"c":{"type":{"key":"string","min":0,"max":"unlimited"}}},"indexes":[["c"]]}}}`,
		`{"name":"G","tables":{"T":{"columns":{"c":{"type":"string"}},"indexes":[[]]}}}`,
	} {
		c := newChecker(GuardOptions{}.withDefaults())
		if err := c.request(`{"method":"get_schema","params":["G"],"id":0}`); err != nil {
			t.Fatal(err)
		}
		if got, err := c.answer(`{"id":0,"error":null,"result":` + schema + `}`); !errors.Is(err, ErrPeer) {
			t.Errorf("%s passes as %s: %v", schema, got, err)
		}
	}
}

// A server cannot make its client hold more and more.
func TestGuardBounds(t *testing.T) {
	c := monitoring(t, GuardOptions{MaxRows: 3})
	insert := func(n int) error {
		_, err := c.answer(update2(fmt.Sprintf(`"%08d-0000-0000-0000-000000000000":{"insert":{}}`, n)))
		return err
	}
	if err := errors.Join(insert(1), insert(2)); err != nil {
		t.Error(err)
	}
	if err := insert(3); !errors.Is(err, ErrPeer) {
		t.Errorf("a fourth row: %v", err)
	}
	c = monitoring(t, GuardOptions{MaxUpdates: 10_000})
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = c.answer(update2(fmt.Sprintf(row1+`:{"modify":{"ids":["map",[["k%d","v"]]]}}`, n)))
	}
	if !errors.Is(err, ErrRenew) || n < 100 {
		t.Errorf("after %d updates: %v", n, err)
	}
}

// guarded is a guard with a server that f plays, and the client's end.
func guarded(t *testing.T, o GuardOptions, f func(net.Conn)) (*Guard, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		f(conn)
	}()
	g, err := NewGuard(t.Context(), "unix:"+l.Addr().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		l.Close()
		<-done
	})
	path, _ := strings.CutPrefix(g.Endpoint(), "unix:")
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return g, conn
}

// The connection ends, with the reason, whatever is wrong with it.
func TestGuardConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		o    GuardOptions
		f    func(net.Conn)
		want error
		text string
	}{
		"closed":   {f: func(net.Conn) {}, text: "closed"},
		"no JSON":  {f: func(c net.Conn) { io.WriteString(c, "HTTP/1.0 200\r\n") }, want: ErrPeer},
		"{}":       {f: func(c net.Conn) { io.WriteString(c, "{}") }, want: ErrPeer},
		"deep":     {f: func(c net.Conn) { io.WriteString(c, `{"id":`+strings.Repeat("[", 1000)) }, want: ErrPeer},
		"long":     {o: GuardOptions{MaxMessage: 5000}, f: func(c net.Conn) { io.WriteString(c, `{"id":"`+strings.Repeat("x", 20000)) }, want: ErrPeer, text: "longer than 5000"},
		"cut":      {f: func(c net.Conn) { io.WriteString(c, `{"id":1`) }, want: ErrPeer, text: "unexpected EOF"},
		"many":     {o: GuardOptions{MaxMessage: 50000}, f: func(c net.Conn) { io.WriteString(c, `{"id":[`+strings.Repeat("0,", 20000)+"0]}") }, want: ErrPeer, text: "too many"},
		"not read": {o: GuardOptions{WriteTimeout: 20 * time.Millisecond}, want: ErrPeer, text: "read nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			f, stop := tt.f, make(chan struct{})
			if f == nil {
				f = func(net.Conn) { <-stop }
			}
			g, client := guarded(t, tt.o, f)
			t.Cleanup(func() { close(stop) }) // before the server is waited for
			if tt.f == nil {
				go func() {
					for n := 0; ; n++ {
						if _, err := fmt.Fprintf(client, `{"method":"echo","params":["%01000d"],"id":%d}`, n, n); err != nil {
							return
						}
					}
				}()
			}
			select {
			case <-g.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the connection goes on")
			}
			if err := g.Err(); tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// The client's socket is gone as soon as it is connected, and when nobody
// connects.
func TestGuardLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	files := func() int {
		entries, err := os.ReadDir(tmp)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := files()
	stop := make(chan struct{})
	g, client := guarded(t, GuardOptions{}, func(c net.Conn) {
		io.WriteString(c, `{"id":"e","method":"echo","params":[]}`)
		<-stop
	})
	if err := json.NewDecoder(client).Decode(&struct{}{}); err != nil {
		t.Error(err)
	}
	if n := files() - before; n > 1 { // t.TempDir of the server's socket
		t.Errorf("%d new files", n)
	}
	close(stop)
	g.Close()

	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before = files()
	g, err = NewGuard(t.Context(), "unix:"+l.Addr().String(), GuardOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if files() != before+1 {
		t.Error("the socket's directory is elsewhere")
	}
	g.Close()
	if files() != before {
		t.Error("the socket's directory stays")
	}
	if _, err := NewGuard(t.Context(), "unix:"+tmp+"/none", GuardOptions{}); err == nil || files() != before {
		t.Errorf("no server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewGuard(ctx, "pssl:1", GuardOptions{}); err == nil {
		t.Error("a remote of another kind")
	}
}

// FuzzGuard sends what a guard lets through to libovsdb's decoder and cache:
// neither panics.
func FuzzGuard(f *testing.F) {
	for _, s := range guardGarbage {
		f.Add(s, s)
	}
	f.Add(update2(row1+`:{"modify":`+guardRowText+`}`), update2(row2+`:{"insert":`+guardRowText+`},`+row1+`:{"delete":null}`))
	f.Add(`{"method":"update3","params":[{"databaseName":"G","id":"m"},"t",{"T":{`+row1+`:{"modify":{"maybes":1}}}}]}`,
		`{"method":"update","params":[{"databaseName":"G","id":"m"},{"T":{`+row1+`:{"new":{"maybes":1}}}}]}`)
	var schema ovsdb.DatabaseSchema
	if err := json.Unmarshal([]byte(guardSchema), &schema); err != nil {
		f.Fatal(err)
	}
	m, err := dbmodel.NewClientDBModel("G", map[string]dbmodel.Model{"T": &guardRow{}})
	if err != nil {
		f.Fatal(err)
	}
	db, errs := dbmodel.NewDatabaseModel(schema, m)
	if len(errs) > 0 {
		f.Fatal(errs)
	}
	quiet := logr.Discard()
	f.Fuzz(func(t *testing.T, first, second string) {
		c := monitoring(t, GuardOptions{})
		rows, err := cache.NewTableCache(db, nil, &quiet)
		if err != nil {
			t.Fatal(err)
		}
		var initial ovsdb.TableUpdates2
		if err := json.Unmarshal([]byte(`{"T":{`+row1+`:{"initial":`+guardRowText+`}}}`), &initial); err != nil {
			t.Fatal(err)
		}
		if err := rows.Populate2(initial); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{first, second} {
			out, err := c.answer(text)
			if err != nil {
				return
			}
			feed(t, rows, out)
		}
	})
}

// feed does with a message what libovsdb's client does.
func feed(t *testing.T, rows *cache.TableCache, out []byte) {
	var v struct {
		Method string
		Params []json.RawMessage
		Result json.RawMessage
		Error  any
		ID     *json.RawMessage
	}
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	switch v.Method {
	case "":
		if v.ID == nil {
			t.Fatalf("%s: without an id", out)
		}
		var results []ovsdb.OperationResult
		json.Unmarshal(v.Result, &results)
	case "update":
		var u ovsdb.TableUpdates
		if err := json.Unmarshal(v.Params[1], &u); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if err := rows.Populate(u); err != nil {
			t.Logf("%s: %v", out, err)
		}
	case "update2", "update3":
		var u ovsdb.TableUpdates2
		if err := json.Unmarshal(v.Params[len(v.Params)-1], &u); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if err := rows.Populate2(u); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}
}
