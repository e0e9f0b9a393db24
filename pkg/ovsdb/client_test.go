package ovsdb

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"
)

// client is a JSON-RPC peer for tests.
type client struct {
	t    testing.TB
	conn net.Conn
	dec  *json.Decoder
	next int
	// notes are the notifications that came before the last reply.
	notes []message
	// lost, if set, is called instead of failing when the peer goes.
	lost func(error)
}

type message struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	ID     json.RawMessage `json:"id"`
}

func dial(t testing.TB, sock string) *client {
	t.Helper()
	conn, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, dec: json.NewDecoder(conn)}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() message {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	var m message
	if err := c.dec.Decode(&m); err != nil {
		if c.lost != nil {
			c.lost(err)
		}
		c.t.Fatal("receive: ", err)
	}
	return m
}

// request sends a request without waiting; params is JSON.
func (c *client) request(method, params string) (id string) {
	c.t.Helper()
	c.next++
	id = fmt.Sprint(c.next)
	c.send(`{"method":%q,"params":%s,"id":%s}`, method, params, id)
	return id
}

// await returns the reply to a request and keeps notifications in c.notes.
func (c *client) await(id string) message {
	c.t.Helper()
	c.notes = nil
	for {
		m := c.receive()
		if m.Method == "" && string(m.ID) == id {
			return m
		}
		c.notes = append(c.notes, m)
	}
}

func (c *client) call(method, params string) message {
	c.t.Helper()
	return c.await(c.request(method, params))
}

// result is call for requests that must succeed.
func (c *client) result(method, params string) string {
	c.t.Helper()
	m := c.call(method, params)
	if string(m.Error) != "null" && len(m.Error) > 0 {
		c.t.Fatalf("%s %s: %s", method, params, m.Error)
	}
	return string(m.Result)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
