package idl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers each connection to a socket with f, which returns what to send
// for a request, and returns the remote.
func serve(t *testing.T, f func(method string, params, id json.RawMessage) string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				d := json.NewDecoder(conn)
				for {
					var m struct {
						Method     string
						Params, ID json.RawMessage
					}
					if d.Decode(&m) != nil {
						return
					}
					if _, err := conn.Write([]byte(f(m.Method, m.Params, m.ID))); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "unix:" + path
}

// model is a server that says what it is to its cluster.
func model(t *testing.T, row string) string {
	return serve(t, func(method string, params, id json.RawMessage) string {
		switch method {
		case "get_schema":
			return fmt.Sprintf(`{"id":%s,"error":null,"result":%s}`, id, testSchema)
		case "transact":
			return fmt.Sprintf(`{"id":%s,"error":null,"result":[{"rows":[%s]}]}`, id, row)
		}
		return ""
	})
}

func dialed(t *testing.T, o Options) (*Conn, error) {
	t.Helper()
	o.Database = "T"
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, o)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// The leader of a cluster is looked for among the remotes, unless any member is
// good enough.
func TestLeader(t *testing.T) {
	follower := model(t, `{"model":"clustered","connected":true,"leader":false}`)
	leader := model(t, `{"model":"clustered","connected":true,"leader":true}`)
	alone := model(t, `{"model":"standalone","connected":true,"leader":false}`)
	for _, tt := range []struct {
		remotes string
		o       Options
		ok      bool
	}{
		{follower, Options{LeaderOnly: true}, false},
		{follower, Options{}, true},
		{follower + "," + leader, Options{LeaderOnly: true}, true},
		{leader + ", " + follower, Options{LeaderOnly: true, Shuffle: true}, true},
		{alone, Options{LeaderOnly: true}, true},
		{"unix:/nonexistent," + alone, Options{}, true},
	} {
		tt.o.Remotes = tt.remotes
		_, err := dialed(t, tt.o)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.remotes, err)
		}
		if !tt.ok && !errors.Is(err, errNotLeader) {
			t.Errorf("%s: %v, want %v", tt.remotes, err, errNotLeader)
		}
	}
}

// A server that talks nonsense gives an error, not a panic or a hang.
func TestGarbage(t *testing.T) {
	for _, answer := range []string{
		"{}", "[", "null\n", "{\"id\":1}}", "{\"id\":{}}", strings.Repeat("[", 1000), "{" + strings.Repeat("[", 1000),
		`{"id":1,"result":{"name":"T","tables":{"T":7}},"error":null}`, `{"id":1,"result":null,"error":{"error":"unknown database"}}`,
	} {
		remote := serve(t, func(string, json.RawMessage, json.RawMessage) string { return answer })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := Dial(ctx, Options{Remotes: remote, Database: "T"})
		cancel()
		if err == nil {
			t.Errorf("%.40q is taken for a database", answer)
		}
	}
}

// Echo requests are answered while a reply is awaited, messages in pieces and
// several at once are put together.
func TestEcho(t *testing.T) {
	echoed := make(chan string, 1)
	remote := serve(t, func(method string, params, id json.RawMessage) string {
		switch method {
		case "get_schema":
			return fmt.Sprintf(`{"id":"echo","method":"echo","params":["%s"]}{"id":%s,"error":null,"result":%s}`, strings.Repeat("x", 1<<17), id, testSchema)
		case "transact":
			return fmt.Sprintf(`{"id":%s,"error":{"error":"unknown database"},"result":null}`, id)
		}
		echoed <- string(id)
		return ""
	})
	c, err := dialed(t, Options{Remotes: remote})
	if err != nil {
		t.Fatal(err)
	}
	if c.Schema.Name != "T" {
		t.Errorf("schema %q", c.Schema.Name)
	}
	select {
	case id := <-echoed:
		if id != `"echo"` {
			t.Errorf("the reply has id %s", id)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the echo request was not answered")
	}
}

// A deadline ends a wait for a server that says nothing.
func TestDeadline(t *testing.T) {
	remote := serve(t, func(string, json.RawMessage, json.RawMessage) string { return "" })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, Options{Remotes: remote, Database: "T"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v", err)
	}
}
