package idl

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/certs"
	"govn/pkg/ovsdb"
)

// Options say how to reach a database.
type Options struct {
	// Remotes is a list of unix:PATH, tcp:HOST:PORT and ssl:HOST:PORT, separated
	// by commas. Required.
	Remotes string
	// Database is the name of the database. Required.
	Database string
	// LeaderOnly avoids the members of a cluster that are not its leader.
	LeaderOnly bool
	// Shuffle tries the remotes in random order.
	Shuffle bool
	// Keys are used for ssl: remotes. Optional.
	Keys *certs.Loader
	// Trace receives each message. Optional.
	Trace func(direction string, message []byte)
}

// ConnectError says why no remote of a list could be used.
type ConnectError struct {
	Remotes string
	Err     error // of the last remote
}

// Error is worded as the OVN tools word it.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("%s: database connection failed (%s)", e.Remotes, reason(e.Err))
}

func (e *ConnectError) Unwrap() error { return e.Err }

// reason is the text of the system's error number where the network has one.
func reason(err error) string {
	var op *net.OpError
	var errno syscall.Errno
	if !errors.As(err, &op) || !errors.As(op, &errno) {
		return err.Error()
	}
	s := []rune(errno.Error())
	s[0] = unicode.ToUpper(s[0])
	return string(s)
}

// errNotLeader is returned for a server that does not lead its cluster.
var errNotLeader = errors.New("not the leader of the cluster")

// maxMessage is the greatest length of a message, in bytes.
const maxMessage = 1 << 30

// Conn is a connection to one database of a server. It is for one goroutine.
type Conn struct {
	o      Options
	conn   net.Conn
	buf    []byte   // received and not yet used
	next   int      // id of the next request
	notes  [][]byte // updates that were received and not yet taken over
	noted  int      // their length in bytes
	Schema *ovsdb.DatabaseSchema
}

// Dial connects to the first remote that serves the database and, where that is
// wanted, leads its cluster; and reads the schema.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	remotes := strings.Split(o.Remotes, ",")
	if o.Shuffle {
		rand.Shuffle(len(remotes), func(i, j int) { remotes[i], remotes[j] = remotes[j], remotes[i] })
	}
	var last error
	for _, remote := range remotes {
		c, err := dial(ctx, o, strings.TrimSpace(remote))
		if err == nil {
			return c, nil
		}
		last = err
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, &ConnectError{Remotes: o.Remotes, Err: last}
}

func dial(ctx context.Context, o Options, remote string) (*Conn, error) {
	kind, address, _ := strings.Cut(remote, ":")
	var d net.Dialer
	var conn net.Conn
	var err error
	switch kind {
	case "unix":
		conn, err = d.DialContext(ctx, "unix", address)
	case "tcp":
		conn, err = d.DialContext(ctx, "tcp", address)
	case "ssl":
		conn, err = dialTLS(ctx, o.Keys, address)
		if errors.Is(err, certs.ErrBootstrapped) {
			conn, err = dialTLS(ctx, o.Keys, address) // with what the first peer has told
		}
	default:
		return nil, fmt.Errorf("%q is not unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT", remote)
	}
	if err != nil {
		return nil, err
	}
	c := &Conn{o: o, conn: conn}
	if err := c.hello(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func dialTLS(ctx context.Context, keys *certs.Loader, address string) (net.Conn, error) {
	if keys == nil {
		return nil, certs.ErrNotConfigured
	}
	config, err := keys.ClientConfig(address)
	if errors.Is(err, certs.ErrNotConfigured) {
		return nil, fmt.Errorf("%w; ssl needs --private-key, --certificate and --ca-cert", err)
	}
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// hello reads the schema and, in the same round trip, the state of the server.
func (c *Conn) hello(ctx context.Context) error {
	state := libovsdb.Operation{
		Op: libovsdb.OperationSelect, Table: "Database",
		Where:   []libovsdb.Condition{libovsdb.NewCondition("name", libovsdb.ConditionEqual, c.o.Database)},
		Columns: []string{"model", "connected", "leader"},
	}
	schema, err := c.send(ctx, "get_schema", c.o.Database)
	if err != nil {
		return err
	}
	server, err := c.send(ctx, "transact", "_Server", state)
	if err != nil {
		return err
	}
	result, err := c.reply(ctx, schema)
	if err != nil {
		return err
	}
	if c.Schema, err = ovsdb.ParseSchema(result); err != nil {
		return fmt.Errorf("schema of %q: %w", c.o.Database, err)
	}
	result, err = c.reply(ctx, server)
	if err != nil {
		return nil // an old server has no such database, and no clusters
	}
	var answer []struct {
		Rows []struct {
			Model     string `json:"model"`
			Connected bool   `json:"connected"`
			Leader    bool   `json:"leader"`
		} `json:"rows"`
	}
	if json.Unmarshal(result, &answer) != nil || len(answer) == 0 || len(answer[0].Rows) == 0 {
		return nil
	}
	if s := answer[0].Rows[0]; s.Model == "clustered" && c.o.LeaderOnly && !s.Leader {
		return errNotLeader
	}
	return nil
}

// deadline makes the context end blocking reads and writes. The returned
// function must be called afterwards.
func (c *Conn) deadline(ctx context.Context) (stop func() bool) {
	end, _ := ctx.Deadline()
	c.conn.SetDeadline(end)
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
}

// because prefers the context's reason for the end of a read or write.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		if _, ok := ctx.Deadline(); ok {
			return context.DeadlineExceeded
		}
	}
	return err
}

// send sends a request and returns its id.
func (c *Conn) send(ctx context.Context, method string, params ...any) (id int, err error) {
	c.next++
	return c.next, c.write(ctx, map[string]any{"method": method, "params": params, "id": c.next})
}

// Call sends a request whose parameters are a JSON array, and returns the result.
func (c *Conn) Call(ctx context.Context, method string, params []byte) ([]byte, error) {
	c.next++
	id := c.next
	if err := c.write(ctx, map[string]any{"method": method, "params": json.RawMessage(params), "id": id}); err != nil {
		return nil, err
	}
	return c.reply(ctx, id)
}

func (c *Conn) write(ctx context.Context, message any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(message); err != nil {
		return err
	}
	if c.o.Trace != nil {
		c.o.Trace("send", b.Bytes())
	}
	defer c.deadline(ctx)()
	if _, err := c.conn.Write(b.Bytes()); err != nil {
		return because(ctx, err)
	}
	return nil
}

// receive reads the next message.
func (c *Conn) receive(ctx context.Context) ([]byte, error) {
	defer c.deadline(ctx)()
	for search := true; ; search = c.ended() {
		b := bytes.TrimLeft(c.buf, " \t\r\n")
		if search && len(b) > 0 {
			if b[0] != '{' {
				return nil, ErrSyntax
			}
			n, err := valueEnd(b)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				c.buf = b[n:]
				if c.o.Trace != nil {
					c.o.Trace("received", b[:n])
				}
				return b[:n], nil
			}
		}
		if len(c.buf) > maxMessage {
			return nil, fmt.Errorf("%w: a message of more than %d bytes", ErrSyntax, maxMessage)
		}
		c.grow()
		n, err := c.conn.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if n == 0 && err != nil {
			return nil, because(ctx, err)
		}
	}
}

// ended guesses whether the last byte received closes a message, as it does
// whenever the server pauses: a large message is searched for its end a few
// times rather than after each read.
func (c *Conn) ended() bool {
	b := bytes.TrimRight(c.buf, " \t\r\n")
	return len(b) > 0 && b[len(b)-1] == '}'
}

func (c *Conn) grow() {
	if cap(c.buf)-len(c.buf) < 1<<14 {
		b := make([]byte, len(c.buf), 2*cap(c.buf)+1<<16)
		copy(b, c.buf)
		c.buf = b
	}
}

// message is a JSON-RPC 1.0 request, notification or reply.
type message struct {
	Method                    string
	Params, Result, Error, ID []byte
}

func parseMessage(b []byte) (m message, err error) {
	r := &reader{b: b}
	r.object(func(name string) {
		switch name {
		case "method":
			if !r.null() {
				m.Method = r.text()
			}
		case "params":
			m.Params = r.skip()
		case "result":
			m.Result = r.skip()
		case "error":
			m.Error = r.skip()
		case "id":
			m.ID = r.skip()
		default:
			r.skip()
		}
	})
	return m, r.err
}

// handle answers echo requests and keeps updates; it returns replies.
func (c *Conn) handle(ctx context.Context) (m message, isReply bool, err error) {
	b, err := c.receive(ctx)
	if err != nil {
		return m, false, err
	}
	if m, err = parseMessage(b); err != nil {
		return m, false, err
	}
	switch m.Method {
	case "":
		return m, true, nil
	case "echo":
		reply := map[string]any{"result": json.RawMessage(m.Params), "error": nil, "id": json.RawMessage(m.ID)}
		return m, false, c.write(ctx, reply)
	case "update2":
		if c.noted += len(m.Params); c.noted > maxMessage {
			return m, false, fmt.Errorf("%w: %d bytes of updates while a reply is awaited", ErrSyntax, c.noted)
		}
		c.notes = append(c.notes, m.Params)
	}
	return m, false, nil
}

// reply waits for the reply to a request.
func (c *Conn) reply(ctx context.Context, id int) ([]byte, error) {
	want := fmt.Sprint(id)
	for {
		m, isReply, err := c.handle(ctx)
		if err != nil {
			return nil, err
		}
		if !isReply || string(m.ID) != want {
			continue
		}
		if e := string(m.Error); e != "" && e != "null" {
			return nil, &ReplyError{JSON: e}
		}
		return m.Result, nil
	}
}

// ReplyError is an error of the server, as JSON.
type ReplyError struct{ JSON string }

func (e *ReplyError) Error() string { return e.JSON }

func (c *Conn) call(ctx context.Context, method string, params ...any) ([]byte, error) {
	id, err := c.send(ctx, method, params...)
	if err != nil {
		return nil, err
	}
	return c.reply(ctx, id)
}
