package ovsdb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"govn/pkg/eventually"
)

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestGarbageEndsOnlyItsConnection(t *testing.T) {
	d := testSchema(t)
	logs := &logBuffer{}
	sock := serve(t, openTest(t, NewMemoryEngine(), d), ServerOptions{
		Logger: slog.New(slog.NewTextHandler(logs, nil)), Limits: Limits{MaxMessage: 1 << 20},
	})
	good := dial(t, sock)
	for i, garbage := range []string{
		`{}`, `[[[[`, `[`, `7`, `"x"`, `null`, `}`, "\x00", "\x16\x03\x01\x02\x00", "GET / HTTP/1.1\r\n\r\n",
		`{"method":7,"params":[],"id":1}`, `{"method":"echo","params":{},"id":1}`, `{"method":"","params":[],"id":1}`,
		`{"id":1}`, `{"result":1}`, `{"method":"echo","params":["` + "\xff" + `"],"id":1}`, `{"a":}`, `{"a" 1}`, `{"a":[}]}`,
		`{"method":"echo","params":` + strings.Repeat("[", 200) + `1`,
		`{"method":"echo","params":["` + strings.Repeat("x", 2<<20),
	} {
		before := strings.Count(logs.String(), "connection dropped")
		conn, err := net.Dial("unix", sock)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, garbage)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%d %.40q: %v", i, garbage, err)
		}
		conn.Close()
		eventually.That(t, fmt.Sprintf("a log line for %.40q", garbage), func() bool {
			return strings.Count(logs.String(), "connection dropped") == before+1
		})
	}
	if got := good.result("echo", `["still",{"a":[1.0,null]}]`); got != `["still",{"a":[1.0,null]}]` {
		t.Error(got)
	}
}

// TestStrangeRequests sends requests that are JSON-RPC but not OVSDB: each gets
// an error, and the connection lives on.
func TestStrangeRequests(t *testing.T) {
	d := testSchema(t)
	c := dial(t, serve(t, openTest(t, NewMemoryEngine(), d), ServerOptions{}))
	values := []string{`null`, `[]`, `[7]`, `[{}]`, `["Test"]`, `["Test",null]`, `["Test","m",null]`, `["Test","m",7]`, `["Test","m",{"Nosuch":{}}]`,
		`["Test","m",{"Switch":7}]`, `["Test","m",{"Switch":{"columns":7}}]`, `["Test","m",{"Switch":{"columns":["nosuch"]}}]`, `["Test","m",{"Switch":{"where":[["name"]]}}]`,
		`["_Server",{"op":"delete","table":"Database","where":[]}]`, `["Test",null]`, `["Test",{"op":"select"}]`, `[[]]`, `["nosuch"]`, `[null,null,null,null,null]`,
		`["m","m",{"Switch":{"where":[]}}]`, `["Test",{"op":"wait","table":"Switch","where":[],"until":"==","rows":[7]}]`}
	for _, method := range []string{"list_dbs", "get_schema", "transact", "cancel", "monitor", "monitor_cond", "monitor_cond_since", "monitor_cond_change",
		"monitor_cancel", "lock", "steal", "unlock", "set_db_change_aware", "nosuch", "rpc2"} {
		for _, v := range values {
			c.send(`{"method":%q,"params":%s,"id":null}`, method, v)
			c.request(method, v)
		}
		if v := c.result("echo", `[1]`); v != "[1]" {
			t.Fatal(v)
		}
	}
}

func TestAnyJSONIds(t *testing.T) {
	c := dial(t, serve(t, openTest(t, NewMemoryEngine(), testSchema(t)), ServerOptions{}))
	for _, id := range []string{`1`, `-1.5e3`, `"x\"y"`, `[1,{"a":null}]`, `{"a":true}`, `false`, `18446744073709551616`} {
		c.send(`{"method":"echo","params":[],"id":%s}`, id)
		if m := c.receive(); string(m.ID) != id {
			t.Errorf("id %s came back as %s", id, m.ID)
		}
	}
}

func TestLocks(t *testing.T) {
	sock := serve(t, openTest(t, NewMemoryEngine(), testSchema(t)), ServerOptions{})
	a, b := dial(t, sock), dial(t, sock)
	assert := func(c *client, want bool) {
		t.Helper()
		got := c.result("transact", `["Test",{"op":"assert","lock":"l"}]`)
		if (got == `[{}]`) != want || !want && !strings.Contains(got, `"error":"not owner"`) {
			t.Errorf("assert: %s", got)
		}
	}
	expect := func(c *client, method string) {
		t.Helper()
		if m := c.receive(); m.Method != method || string(m.Params) != `["l"]` {
			t.Errorf("%s %s, not %s", m.Method, m.Params, method)
		}
	}
	if got := a.result("lock", `["l"]`); got != `{"locked":true}` {
		t.Error(got)
	}
	if got := b.result("lock", `["l"]`); got != `{"locked":false}` {
		t.Error(got)
	}
	if m := b.call("lock", `["l"]`); string(m.Error) == "null" {
		t.Error("a second lock is accepted")
	}
	assert(a, true)
	assert(b, false)
	a.result("unlock", `["l"]`)
	expect(b, "locked")
	assert(b, true)
	if got := a.result("steal", `["l"]`); got != `{"locked":true}` {
		t.Error(got)
	}
	expect(b, "stolen")
	assert(b, false)
	a.conn.Close() // the lock goes with its connection
	expect(b, "locked")
	assert(b, true)
	if m := dial(t, sock).call("unlock", `["l"]`); string(m.Error) == "null" {
		t.Error("unlock of what was not locked is accepted")
	}
}

const waitForSwitch = `{"op":"wait","table":"Switch","where":[["name","==","w"]],"columns":["name"],"until":"==","rows":[{"name":"w"}]%s}`

func TestWait(t *testing.T) {
	sock := serve(t, openTest(t, NewMemoryEngine(), testSchema(t)), ServerOptions{})
	a, b := dial(t, sock), dial(t, sock)
	id := a.request("transact", `["Test",`+fmt.Sprintf(waitForSwitch, "")+`,{"op":"insert","table":"Flow","row":{"match":"after"}}]`)
	// Nothing behind it is held up, here or on another connection.
	a.result("echo", `[]`)
	a.result("transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"x"}}]`)
	b.result("transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"w"}}]`)
	if m := a.await(id); !strings.HasPrefix(string(m.Result), `[{},{"uuid":`) {
		t.Errorf("%s %s", m.Result, m.Error)
	}
	b.result("transact", `["Test",{"op":"delete","table":"Switch","where":[]}]`)
	start := time.Now()
	if got := a.result("transact", `["Test",{"op":"comment","comment":"c"},`+fmt.Sprintf(waitForSwitch, `,"timeout":50`)+`,{"op":"abort"}]`); !strings.HasPrefix(got, `[{},{"details":`) ||
		!strings.HasSuffix(got, `"error":"timed out"},null]`) {
		t.Error(got)
	}
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Errorf("timed out after %s", took)
	}
	id = a.request("transact", `["Test",`+fmt.Sprintf(waitForSwitch, "")+`]`)
	a.result("echo", `[]`)
	a.send(`{"method":"cancel","params":[%s],"id":null}`, id)
	if m := a.await(id); string(m.Error) != `"canceled"` || string(m.Result) != "null" {
		t.Errorf("%s %s", m.Result, m.Error)
	}
}

// TestSlowReader: a peer that does not read is dropped, the others go on.
func TestSlowReader(t *testing.T) {
	logs := &logBuffer{}
	s := openTest(t, NewMemoryEngine(), testSchema(t))
	sock := serve(t, s, ServerOptions{Logger: slog.New(slog.NewTextHandler(logs, nil)), Limits: Limits{MaxBacklog: 1 << 20}})
	slow, other := dial(t, sock), dial(t, sock)
	slow.result("monitor", `["Test","m",{"Flow":{}}]`)
	big := strings.Repeat("x", 200_000)
	for i := range 100 {
		other.result("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"match":"%d%s"}}]`, i, big))
	}
	eventually.That(t, "the slow reader is dropped", func() bool { return strings.Contains(logs.String(), "does not read") })
	other.result("echo", `[]`)
}

func TestInactivityProbe(t *testing.T) {
	logs := &logBuffer{}
	s := openTest(t, NewMemoryEngine(), testSchema(t))
	l, err := ListenRemote("ptcp:0:127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(s, ServerOptions{ProbeInterval: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t: t, conn: conn}
	buf := make([]byte, 4096)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for range 3 { // answered probes keep it alive
		n, err := conn.Read(buf)
		if err != nil || !strings.Contains(string(buf[:n]), `"method":"echo"`) {
			t.Fatalf("%s %v", buf[:n], err)
		}
		c.send(`{"result":[],"error":null,"id":"echo"}`)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error(err)
	}
	eventually.That(t, "a log line", func() bool { return strings.Contains(logs.String(), "inactivity probe") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOwners(t *testing.T) {
	d := testSchema(t)
	sw, port := d.Table("Switch"), d.Table("Port")
	s := openTest(t, NewMemoryEngine(), d, func(db *Database) {
		db.Owner = func(c *ColumnSchema) Owner {
			if c.Name == "tag" {
				return OwnerNorthd
			}
			return OwnerClient
		}
		db.InsertDelete = func(t *TableSchema) Owner {
			if t.Name == "Global" {
				return OwnerChassis
			}
			return OwnerClient
		}
	})
	var u, p UUID
	update(t, s, d, func(tx *Txn) {
		p = tx.Insert(port, UUID{}, map[string]Value{"name": "p", "tag": 7})
		u = tx.Insert(sw, UUID{}, map[string]Value{"name": "s", "ports": p})
	})
	c := dial(t, serve(t, s, ServerOptions{}))
	for ops, refused := range map[string]bool{
		`{"op":"update","table":"Port","where":[],"row":{"tag":8}}`:                               true,
		`{"op":"update","table":"Port","where":[],"row":{"tag":7}}`:                               false, // no change
		`{"op":"update","table":"Port","where":[],"row":{"name":"q"}}`:                            false,
		`{"op":"mutate","table":"Port","where":[],"mutations":[["tag","delete",7]]}`:              true,
		`{"op":"insert","table":"Port","row":{"name":"n","tag":1}}`:                               true,
		`{"op":"insert","table":"Global","row":{}}`:                                               true,
		`{"op":"delete","table":"Global","where":[]}`:                                             false, // no row
		`{"op":"update","table":"Port","where":[["name","==","nobody"]],"row":{"tag":9}}`:         false,
		`{"op":"update","table":"Switch","where":[],"row":{"options":["map",[["any","thing"]]]}}`: false,
	} {
		got := c.result("transact", `["Test",`+ops+`]`)
		if strings.Contains(got, `"error":"permission error"`) != refused {
			t.Errorf("%s: %s", ops, got)
		}
	}
	if got := c.result("transact", `["_Server",{"op":"delete","table":"Database","where":[]}]`); !strings.Contains(got, "permission error") {
		t.Error(got)
	}
	if s.Snapshot().Row(port, p).Int(port.Column("tag")) != 7 || s.Snapshot().Row(sw, u) == nil {
		t.Error("a refused write took effect")
	}
}

// fakeFlows is a virtual table.
type fakeFlows struct {
	mu     sync.Mutex
	table  *TableSchema
	rows   map[UUID]*Row
	notify func([]Change)
	begun  int
}

func (f *fakeFlows) Watch(notify func([]Change)) ([]*Row, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notify = notify
	f.begun++
	var rows []*Row
	for _, r := range f.rows {
		rows = append(rows, r)
	}
	return rows, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.notify = nil
	}
}

// watched tells how often somebody began to watch, and whether one still does.
func (f *fakeFlows) watched() (times int, now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun, f.notify != nil
}

func (f *fakeFlows) put(match string, priority int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := UUID(hashOf([]byte(match))).asV4()
	old := f.rows[u]
	f.rows[u] = NewVirtualRow(f.table, u, map[string]Value{"match": match, "priority": priority})
	if f.notify != nil {
		f.notify([]Change{{Table: f.table, UUID: u, Old: old, New: f.rows[u]}})
	}
}

func TestVirtualTable(t *testing.T) {
	d := testSchema(t)
	flows := &fakeFlows{table: d.Table("Flow"), rows: make(map[UUID]*Row)}
	s := openTest(t, NewMemoryEngine(), d, func(db *Database) { db.Virtual = map[string]VirtualTable{"Flow": flows} })
	flows.put("a", 1)
	c := dial(t, serve(t, s, ServerOptions{}))
	if n, _ := flows.watched(); n != 0 {
		t.Error("rendered for nobody")
	}
	if got := c.result("transact", `["Test",{"op":"select","table":"Flow","where":[["priority","==",1]],"columns":["match"]}]`); got != `[{"rows":[{"match":"a"}]}]` {
		t.Error(got)
	}
	if _, now := flows.watched(); now {
		t.Error("watched after a select")
	}
	if got := c.result("transact", `["Test",{"op":"insert","table":"Flow","row":{}}]`); !strings.Contains(got, "permission error") {
		t.Error(got)
	}
	if got := c.result("monitor_cond", `["Test","m",{"Flow":[{"columns":["match","priority"],"where":[["priority","<",5]]}]}]`); !strings.Contains(got, `"initial":{"match":"a","priority":1}`) {
		t.Error(got)
	}
	expect := func(part string) {
		t.Helper()
		if m := c.receive(); m.Method != "update2" || !strings.Contains(string(m.Params), part) {
			t.Errorf("%s %s, not %s", m.Method, m.Params, part)
		}
	}
	flows.put("b", 2)
	expect(`"insert":{"match":"b","priority":2}`)
	flows.put("a", 3)
	expect(`"modify":{"priority":3}`)
	flows.put("a", 7)
	expect(`"delete":null`)
	flows.put("c", 9)
	c.result("monitor_cond_change", `["m","m",{"Flow":[{"where":[["priority",">",5]]}]}]`)
	if len(c.notes) == 1 && strings.Count(string(c.notes[0].Params), `"insert"`) == 1 {
		c.notes = append(c.notes, c.receive()) // the hub brought c only now
	}
	all := fmt.Sprintf("%s", c.notes)
	if strings.Count(all, `"insert"`) != 2 || strings.Count(all, `"delete"`) != 1 {
		t.Error(all)
	}
	c.conn.Close()
	eventually.That(t, "the watch ends with the connection", func() bool {
		flows.mu.Lock()
		defer flows.mu.Unlock()
		return flows.notify == nil
	})
}

func TestServedDatabases(t *testing.T) {
	private, err := ParseSchema([]byte(`{"name":"_Hidden","version":"1.0.0","tables":{"T":{"columns":{"c":{"type":"integer"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	d := testSchema(t)
	nb := ovnSchema(t, "ovn-nb")
	s, err := Open(context.Background(), NewMemoryEngine(), []Database{{Schema: d}, {Schema: nb}, {Schema: private, Private: true}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list := func(o ServerOptions) (string, string) {
		c := dial(t, serve(t, s, o))
		if got, want := c.result("transact", `["_Server",{"op":"select","table":"Database","where":[["name","==","OVN_Northbound"]],"columns":["name","model"]}]`),
			map[bool]string{true: `[{"rows":[{"name":"OVN_Northbound","model":"standalone"}]}]`, false: `[{"rows":[]}]`}[len(o.Databases) == 0]; got != want {
			t.Errorf("select: %s, not %s", got, want)
		}
		return c.result("list_dbs", `[]`), c.result("monitor", `["_Server","m",{"Database":{"columns":["name"]}}]`)
	}
	if got, rows := list(ServerOptions{}); got != `["OVN_Northbound","Test","_Server"]` || strings.Count(rows, `"new"`) != 3 {
		t.Error(got, rows)
	}
	if got, rows := list(ServerOptions{Databases: []string{"Test"}}); got != `["Test","_Server"]` || strings.Contains(rows, "Northbound") {
		t.Error(got, rows)
	}
}

// TestUpdatesBeforeReply: with many writers, each sees its own change in an
// update before the reply, and all see the same order.
func TestUpdatesBeforeReply(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	sock := serve(t, s, ServerOptions{})
	watcher := dial(t, sock)
	watcher.result("monitor", `["Test","w",{"Flow":{"columns":["match"]}}]`)
	const writers, each = 4, 50
	var wg sync.WaitGroup
	for w := range writers {
		c := dial(t, sock)
		c.result("monitor_cond", `["Test","m",{"Flow":[{"columns":["match"],"select":{"delete":false}}]}]`)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				name := fmt.Sprintf("%d-%d", w, i)
				id := c.request("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"match":%q}}]`, name))
				found := false
				c.await(id)
				for _, n := range c.notes {
					found = found || strings.Contains(string(n.Params), `"`+name+`"`)
				}
				if !found {
					t.Errorf("the reply to %s came before its update", name)
				}
			}
		}()
	}
	wg.Wait()
	for range writers * each {
		if m := watcher.receive(); m.Method != "update" {
			t.Fatalf("%v", m)
		}
	}
}
