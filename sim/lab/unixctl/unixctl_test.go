package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// daemon is a control socket that answers each request by answer.
func daemon(t *testing.T, answer func(method string, params []string, id any) string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.ctl")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		dec := json.NewDecoder(conn)
		for {
			var r struct {
				Method string   `json:"method"`
				Params []string `json:"params"`
				ID     any      `json:"id"`
			}
			if dec.Decode(&r) != nil {
				return
			}
			if s := answer(r.Method, r.Params, r.ID); s != "" {
				if _, err := conn.Write([]byte(s)); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return path
}

func open(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func reply(result, failure any, id any) string {
	b, err := json.Marshal(map[string]any{"result": result, "error": failure, "id": id})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// One connection serves many calls; a refused command leaves it usable.
func TestCalls(t *testing.T) {
	c := open(t, daemon(t, func(method string, params []string, id any) string {
		if method == "bad" {
			return reply(nil, "no such command\n", id)
		}
		return reply(method+" "+params[0], nil, id)
	}))
	for range 3 {
		if out, err := c.Call(t.Context(), "say", "hello"); err != nil || out != "say hello" {
			t.Fatalf("say: %q, %v", out, err)
		}
		var refused *CommandError
		if _, err := c.Call(t.Context(), "bad"); !errors.As(err, &refused) || refused.Text != "no such command\n" || refused.Command != "bad" {
			t.Fatalf("bad: %v", err)
		}
	}
}

// What is no reply to the request closes the connection.
func TestGarbage(t *testing.T) {
	for _, text := range []string{"}", `{"id":7,"result":"x","error":null}`, "[[[["} {
		c := open(t, daemon(t, func(string, []string, any) string { return text }))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if out, err := c.Call(ctx, "version"); err == nil {
			t.Errorf("%s: answer %q", text, out)
		}
		cancel()
		if _, err := c.Call(t.Context(), "version"); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: next call: %v, want ErrClosed", text, err)
		}
	}
}

// A daemon that does not answer holds nobody up for longer than the context.
func TestContextEnds(t *testing.T) {
	c := open(t, daemon(t, func(string, []string, any) string { return "" }))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := c.Call(ctx, "version"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestDialNothing(t *testing.T) {
	if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("connected to nothing")
	}
}
