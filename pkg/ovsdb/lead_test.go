package ovsdb

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"govn/pkg/eventually"
)

// watched notes who appends: a session, or the writer. While held is not nil, a session
// waits for it.
type watched struct {
	Engine
	mu   sync.Mutex
	by   []string
	held chan struct{}
	fail error // of the next batch that was held
}

func (e *watched) Append(ctx context.Context, batch []Entry) error {
	who := "writer"
	buf := make([]byte, 16<<10)
	if strings.Contains(string(buf[:runtime.Stack(buf, false)]), "(*session).transact") {
		who = "session"
	}
	e.mu.Lock()
	e.by = append(e.by, who)
	held := e.held
	e.mu.Unlock()
	if held != nil {
		<-held
		e.mu.Lock()
		err := e.fail
		e.fail = nil
		e.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return e.Engine.Append(ctx, batch)
}

// appended is who appended since the last call.
func (e *watched) appended() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	by := strings.Join(e.by, " ")
	e.by = nil
	return by
}

const insertFlow = `["Test",{"op":"insert","table":"Flow","row":{"match":"x"}}]`

// TestLead: a transaction that is alone is appended by its session, one that others
// follow, or that may wait, by the writer.
func TestLead(t *testing.T) {
	e := &watched{Engine: NewMemoryEngine()}
	s := openTest(t, e, testSchema(t))
	c := dial(t, serve(t, s, ServerOptions{}))
	step := func(what, want string, do func()) {
		t.Helper()
		s.durable.mu.Lock()
		s.durable.quick = true // whatever the machine does besides
		s.durable.mu.Unlock()
		e.appended()
		do()
		if got := e.appended(); got != want {
			t.Errorf("%s: appended by %q, want %q", what, got, want)
		}
	}
	insert := func() { c.result("transact", insertFlow) }
	insert()
	step("alone", "session", insert)
	step("nothing to write", "", func() { c.result("transact", `["Test",{"op":"select","table":"Flow","where":[]}]`) })
	step("another request is at hand", "writer", func() {
		c.send(`{"method":"transact","params":%s,"id":"a"}{"method":"echo","params":[],"id":"b"}`, insertFlow)
		c.await(`"a"`)
	})
	s.durable.mu.Lock()
	s.durable.quick = false
	s.durable.mu.Unlock()
	e.appended()
	insert()
	if got := e.appended(); got != "writer" {
		t.Errorf("after a slow batch: appended by %q", got)
	}
	s.Settled(s.Snapshot().Revision())
	step("the store is followed", "writer", insert)
}

// leading returns two clients, of which the first leads and waits for release, and the
// second's transaction waits for the first's; with the ids of both.
func leading(t *testing.T, e *watched) (s *Store, a, b *client, first, second string, release chan struct{}) {
	s = openTest(t, e, testSchema(t))
	sock := serve(t, s, ServerOptions{Logger: quiet()})
	a, b = dial(t, sock), dial(t, sock)
	a.result("transact", insertFlow)
	b.result("echo", `[]`)
	release = make(chan struct{})
	e.appended()
	e.mu.Lock()
	e.held = release
	e.mu.Unlock()
	s.durable.mu.Lock()
	s.durable.quick = true
	s.durable.mu.Unlock()
	first = a.request("transact", insertFlow)
	eventually.That(t, "the first appends", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.by) == 1
	})
	second = b.request("transact", insertFlow)
	eventually.That(t, "the second is visible", func() bool { return s.Snapshot().Revision() == s.durable.upTo()+2 })
	b.result("echo", `["is answered at once"]`)
	return s, a, b, first, second, release
}

// TestLeadHoldsUpNobody: while a session appends, others are served, and what they write
// is stored next.
func TestLeadHoldsUpNobody(t *testing.T) {
	e := &watched{Engine: NewMemoryEngine()}
	_, a, b, first, second, release := leading(t, e)
	close(release)
	for _, m := range []message{a.await(first), b.await(second)} {
		if string(m.Error) != "null" {
			t.Errorf("%s", m.Error)
		}
	}
	if got := e.appended(); got != "session writer" {
		t.Errorf("appended by %q", got)
	}
}

// TestLeadFails: when the batch of a session fails, that session and those behind it are
// told nothing of their transactions, and nobody appends any more.
func TestLeadFails(t *testing.T) {
	e := &watched{Engine: NewMemoryEngine(), fail: errors.New("no space left")}
	s, a, b, _, _, release := leading(t, e)
	close(release)
	for _, c := range []*client{a, b} {
		var m message
		if err := c.dec.Decode(&m); err == nil {
			t.Errorf("%+v", m)
		}
	}
	if err := s.durable.failed(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	s.durable.signal()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := e.appended(); got != "session" {
		t.Errorf("appended by %q", got)
	}
}
