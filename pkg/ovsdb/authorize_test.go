package ovsdb

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"govn/pkg/eventually"
)

// firstComer lets the first client that names a switch have it.
type firstComer struct {
	mu    sync.Mutex
	owner map[string]*Client
	log   []string
}

func (f *firstComer) Connected(c *Client) { f.note("connected local=%t host=%q", c.Local, c.Host) }

func (f *firstComer) Closed(c *Client) { f.note("closed local=%t host=%q", c.Local, c.Host) }

func (f *firstComer) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

func (f *firstComer) noted(line string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.log, line)
}

// owns tells whether a switch has an owner.
func (f *firstComer) owns(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owner[name] != nil
}

func (f *firstComer) Authorize(c *Client, _ *Txn, rows []RowWrite) (func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, w := range rows {
		for _, row := range []*Row{w.Old, w.New} {
			if row == nil || w.Table.Name != "Switch" {
				continue
			}
			name := row.Str(w.Table.Column("name"))
			if o := f.owner[name]; o != nil && o != c {
				return nil, &Error{Kind: ErrPermission, Details: fmt.Sprintf("switch %s is another's (%s)", name, w.Columns()[0].Name)}
			}
			names = append(names, name)
		}
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, name := range names {
			f.owner[name] = c
		}
	}, nil
}

// TestAuthorizer: every kind of write of a client is put to it, a refusal undoes
// the whole transaction, and what is committed is told.
func TestAuthorizer(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	f := &firstComer{owner: make(map[string]*Client)}
	sock := serve(t, s, ServerOptions{Authorizer: f})
	first, second := dial(t, sock), dial(t, sock)
	run := func(c *client, ops string) string { return c.result("transact", `["Test",`+ops+`]`) }
	insert := func(name string) string { return `{"op":"insert","table":"Switch","row":{"name":"` + name + `"}}` }
	where := `"table":"Switch","where":[["name","==","s1"]]`

	// Failing at commit, it is nobody's.
	if got := run(first, insert("s1")+","+insert("s1")); !strings.Contains(got, ErrConstraint) || f.owns("s1") {
		t.Errorf("two of a name: %s; it has an owner: %t", got, f.owns("s1"))
	}
	run(first, insert("s1"))
	for _, op := range []string{
		`{"op":"delete",` + where + `}`,
		`{"op":"update",` + where + `,"row":{"options":["map",[["a","b"]]]}}`,
		`{"op":"mutate",` + where + `,"mutations":[["options","insert",["map",[["a","b"]]]]]}`,
	} {
		got := run(second, insert("s2")+","+op)
		if !strings.Contains(got, `"error":"permission error"`) || !strings.Contains(got, "switch s1 is another's") || !strings.HasPrefix(got, `[{"uuid"`) {
			t.Errorf("%s: %s", op, got)
		}
	}
	if n := s.Snapshot().Len(d.Table("Switch")); n != 1 || f.owns("s2") {
		t.Errorf("%d switches; s2 has an owner: %t", n, f.owns("s2"))
	}
	// What changes nothing, and what only reads, is not asked about.
	if got := run(second, `{"op":"update",`+where+`,"row":{"name":"s1"}},{"op":"select",`+where+`}`); strings.Contains(got, "error") {
		t.Error(got)
	}
	if got := run(second, insert("s2")); strings.Contains(got, "error") {
		t.Error(got)
	}
	second.conn.Close()
	eventually.That(t, "closed", func() bool { return f.noted(`closed local=true host=""`) })
}

func TestAuthorizerClient(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		host, _, _ := net.SplitHostPort(l.Addr().String())
		if c := clientOf(conn, "name"); c.Local || c.Host != host || c.Name != "name" {
			t.Errorf("%+v", c)
		}
		conn.Close()
		l.Close()
	}
}
