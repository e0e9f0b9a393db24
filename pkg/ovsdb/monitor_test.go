package ovsdb

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// exchange is a monitor request, and transactions whose updates and replies are
// compared. UUIDs of rows are chosen, so that nothing needs normalising but
// versions and transaction ids.
type exchange struct {
	method, params string
	transactions   []string
}

const (
	swA   = "aaaaaaaa-0000-4000-8000-000000000001"
	swB   = "aaaaaaaa-0000-4000-8000-000000000002"
	portA = "bbbbbbbb-0000-4000-8000-000000000001"
	portB = "bbbbbbbb-0000-4000-8000-000000000002"
)

var fill = []string{
	`{"op":"insert","table":"Switch","uuid":"` + swA + `","row":{"name":"a","ports":["uuid","` + portA + `"],"options":["map",[["k","1"],["l","2"]]]}},
	 {"op":"insert","table":"Port","uuid":"` + portA + `","row":{"name":"pa","tag":3,"addresses":["set",["x","y"]]}}`,
	`{"op":"insert","table":"Switch","uuid":"` + swB + `","row":{"name":"b","main":["uuid","` + portA + `"]}}`,
}

var changes = []string{
	`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"options":["map",[["l","3"],["m","4"]]]}}`,
	`{"op":"mutate","table":"Port","where":[],"mutations":[["addresses","insert","z"],["addresses","delete","x"],["tag","+=",1]]}`,
	`{"op":"update","table":"Port","where":[],"row":{"tag":["set",[]]}}`,
	`{"op":"comment","comment":"nothing"}`,
	`{"op":"insert","table":"Port","uuid":"` + portB + `","row":{"name":"pb"}},
	 {"op":"mutate","table":"Switch","where":[["name","==","b"]],"mutations":[["ports","insert",["uuid","` + portB + `"]]]}`,
	`{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"name":"c"}}`,
	`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"ports":["set",[]],"up":true}}`, // portA and the weak reference go
	`{"op":"update","table":"Port","where":[],"row":{"name":"pb"}}`,                                     // no change
	`{"op":"update","table":"Port","where":[],"row":{"name":"renamed","weight":1.5}}`,
	`{"op":"delete","table":"Switch","where":[]}`,
}

var exchanges = []exchange{
	{"monitor", `["Test",7,{"Switch":{},"Port":[{}]}]`, changes},
	{"monitor", `["Test",{"a":[null]},{"Switch":[{"columns":["name"]},{"columns":["ports"],"select":{"initial":false}}]}]`, changes},
	{"monitor", `["Test","x",{"Port":{"columns":["name","addresses"],"select":{"delete":false,"insert":false}}}]`, changes},
	{"monitor", `["Test","x",{"Port":{"columns":["tag"],"select":{"modify":false}}}]`, changes},
	{"monitor", `["Test","x",{"Port":{"columns":[]}}]`, changes},
	{"monitor", `["Test","x",{}]`, changes[:2]},
	{"monitor_cond", `["Test","x",{"Switch":[{"columns":["name","ports","main","options","up"]}],"Port":[{"columns":["name","tag","weight","addresses","peers"]}]}]`, changes},
	{"monitor_cond", `["Test","x",{"Switch":[{"columns":["options"],"where":[["name","==","a"],["name","==","c"]]}]}]`, changes},
	{"monitor_cond", `["Test","x",{"Port":[{"columns":["name"],"where":[["addresses","includes","z"]]}]}]`, changes},
	{"monitor_cond", `["Test","x",{"Port":[{"columns":["name"],"where":[["tag","==",4]]}],"Switch":[{"columns":["name"],"where":[false]}]}]`, changes},
	{"monitor_cond_since", `["Test","x",{"Port":[{"columns":["name","addresses"],"where":[]}]},"00000000-0000-0000-0000-000000000000"]`, changes},
}

// TestMonitorLikeStock compares initial rows, each update and its place before
// the reply of the transaction that caused it.
func TestMonitorLikeStock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.ovsschema")
	writeSchema(t, file)
	for _, x := range exchanges {
		t.Run(x.method+x.params, func(t *testing.T) {
			d := testSchema(t)
			ours := transcript(t, dial(t, serve(t, openTest(t, NewMemoryEngine(), d), ServerOptions{})), x)
			stock := transcript(t, dial(t, stockServer(t, file)), x)
			for i := range max(len(ours), len(stock)) {
				got, want := "", ""
				if i < len(ours) {
					got = ours[i]
				}
				if i < len(stock) {
					want = stock[i]
				}
				if !sameAnswer(got, want) {
					t.Errorf("answer %d\ngot  %s\nwant %s", i, got, want)
				}
			}
		})
	}
}

func transcript(t *testing.T, c *client, x exchange) (all []string) {
	for _, ops := range fill {
		c.result("transact", `["Test",`+ops+`]`)
	}
	note := func(reply string) {
		for _, m := range c.notes {
			all = append(all, fmt.Sprintf("%s %s", m.Method, m.Params))
		}
		all = append(all, reply)
	}
	note(c.result(x.method, x.params))
	for _, ops := range x.transactions {
		note(c.result("transact", `["Test",`+ops+`]`))
	}
	return all
}

func sameAnswer(a, b string) bool {
	parse := func(s string) (string, any) {
		method, rest, ok := strings.Cut(s, " ")
		if !ok || !strings.HasPrefix(method, "update") {
			method, rest = "", s
		}
		var v any
		if err := json.Unmarshal([]byte(rest), &v); err != nil {
			return s, nil
		}
		return method, maskIDs(v)
	}
	aMethod, aValue := parse(a)
	bMethod, bValue := parse(b)
	return aMethod == bMethod && reflect.DeepEqual(aValue, bValue)
}

// maskIDs hides versions and transaction ids, and sorts nothing: the order of
// sets is part of the protocol.
func maskIDs(v any) any {
	switch x := v.(type) {
	case []any:
		for i := range x {
			x[i] = maskIDs(x[i])
		}
	case map[string]any:
		for k := range x {
			if k == "_version" {
				x[k] = "version"
				continue
			}
			x[k] = maskIDs(x[k])
		}
	case string:
		if uuidPattern.MatchString(x) && !strings.HasPrefix(x, "aaaaaaaa") && !strings.HasPrefix(x, "bbbbbbbb") {
			return "id"
		}
	}
	return v
}

func TestMonitorSinceReplays(t *testing.T) {
	d := testSchema(t)
	engine := NewMemoryEngine()
	s := openTest(t, engine, d)
	sock := serve(t, s, ServerOptions{})
	c := dial(t, sock)
	for _, ops := range fill {
		c.result("transact", `["Test",`+ops+`]`)
	}
	id := s.Snapshot().TxnID()
	c.result("transact", `["Test",`+changes[0]+`]`)
	c.result("transact", `["Test",`+changes[1]+`]`)
	request := `["Test","m",{"Switch":[{"columns":["name","options"]}],"Port":[{"columns":["tag"]}]},"` + id.String() + `"]`
	want := `[true,"` + s.Snapshot().TxnID().String() + `",{"Port":{"` + portA + `":{"modify":{"tag":4}}},"Switch":{"` + swA + `":{"modify":{"options":["map",[["k","1"],["l","3"],["m","4"]]]}}}}]`
	if got := c.result("monitor_cond_since", request); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	// The same after a restart, from the log.
	again := openTest(t, engine, d)
	if got := dial(t, serve(t, again, ServerOptions{})).result("monitor_cond_since", request); got != want {
		t.Errorf("after a restart\ngot  %s\nwant %s", got, want)
	}
	if got := dial(t, sock).result("monitor_cond_since", strings.Replace(request, id.String(), NewUUID().String(), 1)); !strings.HasPrefix(got, "[false,") || !strings.Contains(got, `"initial"`) {
		t.Errorf("unknown id: %s", got)
	}
}

func TestMonitorCondChange(t *testing.T) {
	d := testSchema(t)
	c := dial(t, serve(t, openTest(t, NewMemoryEngine(), d), ServerOptions{}))
	for _, ops := range fill {
		c.result("transact", `["Test",`+ops+`]`)
	}
	if got := c.result("monitor_cond", `["Test","m",{"Switch":[{"columns":["name"],"where":[["name","==","a"]]}]}]`); !strings.Contains(got, swA) || strings.Contains(got, swB) {
		t.Fatal(got)
	}
	c.result("monitor_cond_change", `["m","n",{"Switch":[{"where":[["name","==","b"]]}]}]`)
	want := `["n",{"Switch":{"` + swA + `":{"delete":null},"` + swB + `":{"insert":{"name":"b"}}}}]`
	if len(c.notes) != 1 || string(c.notes[0].Params) != want {
		t.Fatalf("notes %s, want %s", c.notes, want)
	}
	c.result("transact", `["Test",{"op":"update","table":"Switch","where":[],"row":{"options":["map",[["z","z"]]]}},{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"name":"bb"}}]`)
	if want := `["n",{"Switch":{"` + swB + `":{"delete":null}}}]`; len(c.notes) != 1 || string(c.notes[0].Params) != want {
		t.Fatalf("notes %s, want %s", c.notes, want)
	}
	c.result("monitor_cancel", `["n"]`)
	c.result("transact", `["Test",{"op":"update","table":"Switch","where":[["name","==","bb"]],"row":{"name":"b"}}]`)
	if len(c.notes) != 0 {
		t.Errorf("a canceled monitor sends %s", c.notes)
	}
	if m := c.call("monitor_cancel", `["n"]`); string(m.Error) != `"unknown monitor"` {
		t.Errorf("%s", m.Error)
	}
}

// TestHistoryIsBounded: what is too long ago cannot be resumed, and is not kept.
func TestHistoryIsBounded(t *testing.T) {
	d := testSchema(t)
	s, err := Open(t.Context(), NewMemoryEngine(), []Database{{Schema: d}}, Options{History: 4, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := dial(t, serve(t, s, ServerOptions{}))
	var ids []string
	for i := range 10 {
		c.result("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"priority":%d}}]`, i))
		ids = append(ids, s.Snapshot().TxnID().String())
	}
	for i, id := range ids {
		got := c.result("monitor_cond_since", fmt.Sprintf(`["Test",%d,{"Flow":[{"columns":["priority"]}]},%q]`, i, id))
		found, rows := strings.HasPrefix(got, "[true,"), strings.Count(got, `"priority"`)
		switch {
		case found != (i >= 6):
			t.Errorf("resumed from %d commits ago: %t", 9-i, found)
		case found && rows != 9-i:
			t.Errorf("%d rows since %d commits ago", rows, 9-i)
		case !found && strings.Count(got, `"initial"`) != 10:
			t.Errorf("%d initial rows", strings.Count(got, `"initial"`))
		}
	}
	s.publish.Lock()
	kept := len(s.history.order)
	s.publish.Unlock()
	if kept > 4 {
		t.Errorf("%d commits are kept", kept)
	}
	// Large values are not kept so often: a commit counts as its entry in the log.
	c.result("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"match":%q}}]`, strings.Repeat("x", 100_000)))
	s.publish.Lock()
	n, all := s.tail.size, s.history.bytes
	s.publish.Unlock()
	if n < 100_000 || n > 101_000 || all < n || all > n+1000 {
		t.Errorf("a commit of 100 kB counts as %d bytes, all as %d", n, all)
	}
	h := history{limit: 100}
	for i := range 50 {
		h.add(&commitNode{size: maxHistoryBytes/4 - 1, txid: UUID{byte(i)}})
	}
	if n := h.len(); n != 4 || len(h.byID) != 4 || h.bytes != 4*(maxHistoryBytes/4-1) {
		t.Errorf("%d large commits are kept, of %d bytes", n, h.bytes)
	}
	if h.add(&commitNode{size: 2 * maxHistoryBytes, txid: UUID{99}}); h.len() != 1 {
		t.Errorf("%d commits are kept beside one that is too large", h.len())
	}
}
