package ovsdb

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestServerDatabase: _Server tells of each database what clients decide by, and
// follows when that changes.
func TestServerDatabase(t *testing.T) {
	s := openTest(t, NewMemoryEngine(), testSchema(t))
	c := dial(t, serve(t, s, ServerOptions{}))
	where := `"where":[["name","==","Test"]],"columns":["model","connected","leader","cid","sid","index"]`
	read := func() string {
		t.Helper()
		return c.result("transact", `["_Server",{"op":"select","table":"Database",`+where+`}]`)
	}
	var alone []struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(read()), &alone); err != nil || len(alone[0].Rows) != 1 {
		t.Fatal(err)
	}
	if r := alone[0].Rows[0]; r["model"] != "standalone" || r["connected"] != true || r["leader"] != true || fmt.Sprint(r["cid"], r["sid"], r["index"]) != "[set []] [set []] [set []]" {
		t.Errorf("alone: %v", r)
	}
	c.result("monitor_cond", `["_Server","m",{"Database":[{`+where+`}]}]`)
	id, sid := NewUUID(), NewUUID()
	last := int64(-1)
	for _, state := range []Cluster{{id, sid, false, true}, {id, sid, true, true}, {id, sid, false, false}} {
		c.result("transact", `["Test",{"op":"insert","table":"Flow","row":{}}]`)
		if err := s.SetCluster(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		if m := c.receive(); m.Method != "update2" || !strings.Contains(string(m.Params), `"index"`) {
			t.Errorf("%+v", m)
		}
		var now []struct{ Rows []map[string]any }
		if err := json.Unmarshal([]byte(read()), &now); err != nil {
			t.Fatal(err)
		}
		r := now[0].Rows[0]
		index := int64(r["index"].(float64))
		if r["model"] != "clustered" || r["leader"] != state.Leader || r["connected"] != state.Connected ||
			fmt.Sprint(r["cid"], r["sid"]) != fmt.Sprintf("[uuid %s] [uuid %s]", id, sid) || index <= last {
			t.Errorf("%+v: %v after index %d", state, r, last)
		}
		last = index
	}
	// A client cannot write it.
	if m := c.call("transact", `["_Server",{"op":"update","table":"Database","where":[],"row":{"leader":true}}]`); !strings.Contains(string(m.Result), ErrPermission) {
		t.Errorf("%s", m.Result)
	}
}
