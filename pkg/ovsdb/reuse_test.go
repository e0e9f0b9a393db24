package ovsdb

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestRequestsKeepTheirs: the memory of a request's values is used again by the next
// one only when nobody needs it: not the transaction that waits for a change, nor the
// answer, under whatever id, that waits for the disk.
func TestRequestsKeepTheirs(t *testing.T) {
	e := &watched{Engine: NewMemoryEngine()}
	s := openTest(t, e, testSchema(t))
	c := dial(t, serve(t, s, ServerOptions{}))
	c.send(`{"method":"transact","id":["waits"],"params":["Test",{"op":"wait","table":"Flow","where":[["match","==","go"]],"columns":["match"],"until":"==","rows":[{"match":"go"}]},` +
		`{"op":"insert","table":"Flow","row":{"match":"gone"}}]}`)
	if v := c.result("echo", `[1]`); v != "[1]" { // it has been read
		t.Fatal(v)
	}
	held := make(chan struct{})
	e.mu.Lock()
	e.held = held
	e.mu.Unlock()
	var all strings.Builder
	const n = 60
	for i := range n {
		fmt.Fprintf(&all, `{"method":"transact","id":[%d,{"a":["%d"]}],"params":["Test",{"op":"insert","table":"Flow","row":{"match":"m%d"}}]}`, i, i, i)
	}
	c.send("%s", all.String())
	d := dial(t, serve(t, s, ServerOptions{Relaxed: true}))
	for range n {
		d.result("transact", `["Test",{"op":"comment","comment":"others take the memory"},{"op":"select","table":"Flow","where":[]}]`)
	}
	e.mu.Lock()
	e.held = nil
	e.mu.Unlock()
	close(held)
	for i := range n {
		if m := c.receive(); string(m.ID) != fmt.Sprintf(`[%d,{"a":["%d"]}]`, i, i) || !strings.HasPrefix(string(m.Result), `[{"uuid"`) {
			t.Fatalf("answer %d: %s %s %s", i, m.ID, m.Result, m.Error)
		}
	}
	c.send(`{"method":"transact","id":"go","params":["Test",{"op":"insert","table":"Flow","row":{"match":"go"}}]}`)
	ids := make(map[string]bool)
	for range 2 {
		m := c.receive()
		if ids[string(m.ID)] = true; !strings.Contains(string(m.Result), `{"uuid"`) {
			t.Errorf("%s: %s %s", m.ID, m.Result, m.Error)
		}
	}
	if !ids[`["waits"]`] || !ids[`"go"`] {
		t.Errorf("answers to %v", ids)
	}
	got := c.result("transact", `["Test",{"op":"select","table":"Flow","where":[],"columns":["match"]}]`)
	for i := range n {
		if !strings.Contains(got, fmt.Sprintf(`{"match":"m%d"}`, i)) {
			t.Errorf("row m%d is not there", i)
		}
	}
	if !strings.Contains(got, `{"match":"gone"}`) {
		t.Error("what had waited did something else")
	}
}

// TestEntryWriter: an entry is what it is whatever the writer has written before.
func TestEntryWriter(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	sub := s.Subscribe()
	t.Cleanup(sub.Close)
	sw, port, flow := d.Table("Switch"), d.Table("Port"), d.Table("Flow")
	var u UUID
	update(t, s, d, func(tx *Txn) {
		u = tx.Insert(sw, UUID{}, map[string]Value{"name": "s"})
		tx.AddToSet(sw, u, "ports", tx.Insert(port, UUID{}, map[string]Value{"name": "p"}))
	})
	update(t, s, d, func(tx *Txn) {
		for i := range 3000 { // more than a writer keeps
			tx.Insert(flow, UUID{}, map[string]Value{"match": fmt.Sprint("a match of some length ", i)})
		}
	})
	update(t, s, d, func(tx *Txn) { tx.SetColumn(sw, u, "name", "t") })
	update(t, s, d, func(tx *Txn) { tx.Delete(sw, u) })
	commits, err := sub.Next(t.Context())
	if err != nil || len(commits) != 4 {
		t.Fatal(len(commits), err)
	}
	var w entryWriter
	var kept [][]byte
	for range 2 {
		for i := range commits {
			kept = append(kept, w.entry(&commits[i], false))
			if cap(w.b)+cap(w.table.rows) > entryKept {
				t.Errorf("after entry %d the writer keeps %d bytes", i, cap(w.b)+cap(w.table.rows))
			}
		}
	}
	for i, b := range kept {
		if want := new(entryWriter).entry(&commits[i%len(commits)], false); !bytes.Equal(b, want) {
			t.Errorf("entry %d is %d bytes, by a new writer %d, and not the same", i, len(b), len(want))
		}
	}
}
