package ovsdb

import (
	"context"
	"strings"
	"testing"
)

// heldEngine does not store anything until it is released.
type heldEngine struct {
	Engine
	held chan struct{}
}

func (e heldEngine) Append(ctx context.Context, batch []Entry) error {
	<-e.held
	return e.Engine.Append(ctx, batch)
}

// TestRelaxed: a relaxed server answers, and tells monitors, before a
// transaction is durable, unless it asks to be; updates stay in order.
func TestRelaxed(t *testing.T) {
	engine := heldEngine{NewMemoryEngine(), make(chan struct{})}
	s := openTest(t, engine, testSchema(t))
	sock := serve(t, s, ServerOptions{Relaxed: true})
	watcher, c := dial(t, sock), dial(t, sock)
	watcher.result("monitor_cond", `["Test","m",{"Flow":[{"columns":["match"]}]}]`)
	c.result("transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"a"}}]`)
	if m := watcher.receive(); m.Method != "update2" || !strings.Contains(string(m.Params), `"a"`) {
		t.Fatalf("%s %s", m.Method, m.Params)
	}
	durable := c.request("transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"b"}},{"op":"commit","durable":true}]`)
	// A monitor that begins behind a transaction that waits begins after it.
	begin := c.request("monitor_cond", `["Test","n",{"Flow":[{"columns":["match"]}]}]`)
	c.result("echo", `[]`) // the monitor has been taken up
	watcher.result("transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"c"}}]`)
	if d := s.durable.upTo(); d != 0 {
		t.Fatalf("durable up to %d, which the engine holds", d)
	}
	close(engine.held)
	if m := c.await(durable); string(m.Error) != "null" || len(c.notes) != 0 {
		t.Fatalf("%s, after %v", m.Error, c.notes)
	}
	initial := string(c.await(begin).Result)
	if !strings.Contains(initial, `"b"`) || strings.Contains(initial, `"c"`) {
		t.Error("initial rows:", initial)
	}
	if m := c.receive(); !strings.Contains(string(m.Params), `"c"`) {
		t.Errorf("update: %s", m.Params)
	}
}
