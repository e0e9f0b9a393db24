package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// client is a raw OVSDB client (RFC 7047) on one connection: requests one after
// the other, and the updates of one monitor.
type client struct {
	db   string // that transact works on
	conn net.Conn
	wmu  sync.Mutex
	id   int

	replies chan message
	updates chan update
	done    chan struct{} // closed when the connection has ended
	err     error         // why; set before done is closed
}

type message struct {
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	ID     any             `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// update is the rows of an update notification: table to row to new columns.
type update struct {
	at   time.Time
	rows map[string]map[string]struct {
		New map[string]any `json:"new"`
	}
}

func dial(ctx context.Context, path, db string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", db, err)
	}
	c := &client{db: db, conn: conn, replies: make(chan message, 1), updates: make(chan update, 1024), done: make(chan struct{})}
	go c.read()
	return c, nil
}

func (c *client) read() {
	defer close(c.done)
	dec := json.NewDecoder(c.conn)
	for {
		var m message
		if c.err = dec.Decode(&m); c.err != nil {
			return
		}
		at := time.Now()
		switch m.Method {
		case "":
			c.replies <- m
		case "echo":
			if c.err = c.write(map[string]any{"result": m.Params, "error": nil, "id": m.ID}); c.err != nil {
				return
			}
		case "update":
			var params []json.RawMessage
			u := update{at: at}
			if c.err = json.Unmarshal(m.Params, &params); c.err != nil {
				return
			}
			if len(params) != 2 {
				c.err = errors.New("an update without rows")
				return
			}
			if c.err = json.Unmarshal(params[1], &u.rows); c.err != nil {
				return
			}
			c.updates <- u
		}
	}
}

func (c *client) write(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, err = c.conn.Write(data)
	return err
}

// call sends a request and waits for the reply. It returns the time at which the
// first byte was written.
func (c *client) call(ctx context.Context, method string, params ...any) (json.RawMessage, time.Time, error) {
	c.id++
	data, err := json.Marshal(map[string]any{"method": method, "params": params, "id": c.id})
	if err != nil {
		return nil, time.Time{}, err
	}
	start := time.Now()
	c.wmu.Lock()
	_, err = c.conn.Write(data)
	c.wmu.Unlock()
	if err != nil {
		return nil, start, fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-c.replies:
		if len(m.Error) > 0 && string(m.Error) != "null" {
			return nil, start, fmt.Errorf("%s: %s", method, m.Error)
		}
		return m.Result, start, nil
	case <-c.done:
		return nil, start, fmt.Errorf("%s: %w", method, c.err)
	case <-ctx.Done():
		return nil, start, fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// transact runs operations on the database; one that fails is an error.
func (c *client) transact(ctx context.Context, ops ...any) ([]map[string]any, time.Time, error) {
	raw, start, err := c.call(ctx, "transact", append([]any{c.db}, ops...)...)
	if err != nil {
		return nil, start, err
	}
	var results []map[string]any
	if err := json.Unmarshal(raw, &results); err != nil {
		return nil, start, fmt.Errorf("transact: %w", err)
	}
	for _, r := range results {
		if e, ok := r["error"]; ok && e != nil {
			return nil, start, fmt.Errorf("transact: %v: %v", e, r["details"])
		}
	}
	return results, start, nil
}

func (c *client) close() error {
	err := c.conn.Close()
	<-c.done
	return err
}

type row = map[string]any

func set(elems ...any) any  { return []any{"set", elems} }
func named(name string) any { return []any{"named-uuid", name} }
func insert(t string, name string, r row) any {
	return row{"op": "insert", "table": t, "uuid-name": name, "row": r}
}

func mutate(t string, where any, mutations ...any) any {
	return row{"op": "mutate", "table": t, "where": []any{where}, "mutations": mutations}
}
