package ovsdb

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// describe is what was told, for comparing.
func (t RowsTold) describe() string {
	var b strings.Builder
	if t.First {
		b.WriteString("first ")
	}
	for _, r := range t.Rows {
		fmt.Fprintf(&b, "%s %s %s", r.Table, r.UUID.String()[:1], []string{"new", "changed", "gone"}[r.Kind])
		for _, c := range r.Columns {
			fmt.Fprintf(&b, " %s=%v", c.Name, c.Value)
			if c.Difference {
				b.WriteByte('~')
			}
		}
		b.WriteByte(';')
	}
	return b.String()
}

// Who wants the rows is told them, and the client is not.
func TestGuardRows(t *testing.T) {
	for _, tt := range []struct{ in, told, client string }{
		{update2(row1 + `:{"modify":{"maybes":["set",[3]],"n":8,"maybe":["set",[]],"ids":["map",[["a","b"]]]}}`),
			`T 1 changed maybes=[3]~ n=8 maybe=[] ids={a=b}~;`, ""},
		{update2(row1 + `:{"delete":null},` + row2 + `:{"insert":{"name":"s","refs":["uuid",` + row2 + `]}}`),
			`T 1 gone;T 2 new name=s refs=[22222222-2222-2222-2222-222222222222];`, ""},
		{`{"id":null,"method":"update","params":[{"databaseName":"G","id":"m"},{"T":{` + row1 + `:{"old":{"maybes":3},"new":{"maybes":["set",[4]]}}}}]}`,
			`T 1 changed maybes=[4];`, ""},
		{`{"id":null,"method":"update","params":[{"databaseName":"G","id":"m"},{"T":{` + row1 + `:{"old":{"n":7}}}}]}`, `T 1 gone;`, ""},
		{`{"id":"e","method":"echo","params":[]}`, "", `{"id":"e","method":"echo","params":[]}`},
		{`{"id":4,"error":null,"result":[{"count":1}]}`, "", `{"id":4,"error":null,"result":[{"count":1}]}`},
	} {
		var told []string
		c := asking(t, GuardOptions{Rows: func(r RowsTold) { told = append(told, r.describe()) }})
		first, err := c.answer(`{"id":3,"error":null,"result":[false,"t1",{"T":{` + row1 + `:{"initial":{"name":"r"}}}}]}`)
		if err != nil || string(first) != `{"id":3,"error":null,"result":[false,"t1",{}]}` {
			t.Fatalf("the client reads %s: %v", first, err)
		}
		out, err := c.answer(tt.in)
		if err != nil || string(out) != tt.client || tt.client == "" && out != nil {
			t.Errorf("%s: the client reads %q: %v", tt.in, out, err)
		}
		if got, want := strings.Join(told, " "), strings.TrimSpace(`first T 1 new name=r; `+tt.told); got != want {
			t.Errorf("%s\ntold: %s\nwant: %s", tt.in, got, want)
		}
	}
}

// A message that is refused tells nothing, and what nobody else reads counts.
func TestGuardRowsRefused(t *testing.T) {
	told := 0
	c := monitoring(t, GuardOptions{MaxUpdates: 1000, Rows: func(RowsTold) { told++ }})
	if _, err := c.answer(update2(row1 + `:{"modify":{"n":8}},` + row2 + `:{"modify":{"n":8}}`)); !errors.Is(err, ErrPeer) || told != 1 {
		t.Errorf("told %d times: %v", told, err)
	}
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		_, err = c.answer(update2(row1 + `:{"modify":{"n":8}}`))
	}
	if !errors.Is(err, ErrRenew) {
		t.Error(err)
	}
}
