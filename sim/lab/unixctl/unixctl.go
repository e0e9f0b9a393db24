package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// ErrClosed is returned when the connection is closed, by us or the daemon.
var ErrClosed = errors.New("control connection is closed")

// CommandError is what a daemon answers to a command that fails.
type CommandError struct {
	Command string
	Text    string // the daemon's words
}

func (e *CommandError) Error() string { return fmt.Sprintf("%s: %s", e.Command, e.Text) }

// Client is a connection to one daemon.
type Client struct {
	mu   sync.Mutex
	conn net.Conn
	dec  *json.Decoder
	id   uint64
}

// Dial connects to the control socket at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Client{conn: conn, dec: json.NewDecoder(conn)}, nil
}

type request struct {
	Method string   `json:"method"`
	Params []string `json:"params"`
	ID     uint64   `json:"id"`
}

type response struct {
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	ID     uint64          `json:"id"`
}

// Call runs a command and returns its output. A [*CommandError] says that the
// daemon refused it.
func (c *Client) Call(ctx context.Context, command string, args ...string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return "", ErrClosed
	}
	out, err := c.call(ctx, command, args)
	var refused *CommandError
	if err != nil && !errors.As(err, &refused) {
		_ = c.conn.Close()
		c.conn = nil
	}
	return out, err
}

func (c *Client) call(ctx context.Context, command string, args []string) (string, error) {
	if args == nil {
		args = []string{}
	}
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.id++
	msg, err := json.Marshal(request{Method: command, Params: args, ID: c.id})
	if err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	if _, err := conn.Write(msg); err != nil {
		return "", fmt.Errorf("%s: %w", command, errors.Join(ctx.Err(), err))
	}
	var r response
	if err := c.dec.Decode(&r); err != nil {
		return "", fmt.Errorf("%s: %w", command, errors.Join(ctx.Err(), err))
	}
	if r.ID != c.id {
		return "", fmt.Errorf("%s: reply to request %d, expected %d", command, r.ID, c.id)
	}
	if len(r.Error) > 0 && string(r.Error) != "null" {
		return "", &CommandError{Command: command, Text: text(r.Error)}
	}
	return text(r.Result), nil
}

// text is a JSON string's value; anything else stays JSON.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// Close closes the connection. Further calls fail with [ErrClosed].
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}
