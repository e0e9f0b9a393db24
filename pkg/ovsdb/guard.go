package ovsdb

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"govn/pkg/certs"
)

// GuardOptions bound what a server may make its client hold. The zero value is
// good for a hypervisor's database.
type GuardOptions struct {
	// MaxMessage is the greatest length of a message, in bytes; 64 MiB if zero.
	MaxMessage int
	// MaxRows is the greatest number of rows that monitors hold; 2^20 if zero.
	MaxRows int
	// MaxUpdates is how many bytes of updates the connection carries before it
	// has to be made anew, which is what bounds the length of columns that grow by
	// differences; 1 GiB if zero.
	MaxUpdates int64
	// WriteTimeout is how long the server may leave what it is sent unread; 10 s
	// if zero.
	WriteTimeout time.Duration
	// Keys are for servers at ssl:HOST:PORT.
	Keys *certs.Loader
	// NoIndexes hides the indexes of the schema from the client: libovsdb wants
	// every column of an index in its model, and versions of a database differ in
	// them.
	NoIndexes bool
	// Rows, where it is set, is told the rows of monitors, message by message, and
	// the client nothing of them: a cache of libovsdb stays empty. What a
	// transaction did is told before the client has the reply. It must neither
	// block nor use the connection.
	Rows func(RowsTold)
}

func (o GuardOptions) withDefaults() GuardOptions {
	if o.MaxMessage == 0 {
		o.MaxMessage = 64 << 20
	}
	if o.MaxRows == 0 {
		o.MaxRows = 1 << 20
	}
	if o.MaxUpdates == 0 {
		o.MaxUpdates = 1 << 30
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	return o
}

// guardDepth is how deep a server's messages may be nested. A schema is the
// deepest that there is, with 10.
const guardDepth = 32

// ErrPeer is returned when a server sent what RFC 7047, or ovsdb-server(7),
// does not let it send.
var ErrPeer = errors.New("the OVSDB server does not keep to the protocol")

// ErrRenew is returned when a connection has carried GuardOptions.MaxUpdates.
var ErrRenew = errors.New("the connection has carried as many updates as one may")

// Guard is a checked connection to an OVSDB server, for clients that take what
// they read for good: libovsdb's, which panics on many a message.
//
//	libovsdb --unix socket, one connection--> Guard --unix, tcp, tls--> server
//	          <-- checked, printed anew -----       <-- anything ---
//
// Only messages that the client waits for come through: replies to its requests,
// of the type that the method has, updates of its monitors, and echo requests.
// Schemas are read as ParseSchema reads them; rows must fit the schema and the
// rows that are there, so that a modification of a row that was never inserted
// ends the connection. Messages are printed anew from what was understood, since
// readers differ in what they make of members that are there twice or in another
// case. The first message that is refused ends the connection; Err tells why.
type Guard struct {
	o        GuardOptions
	check    *checker
	server   net.Conn
	listener net.Listener
	dir      *os.File // that of the socket
	endpoint string
	done     chan struct{}
	ended    sync.WaitGroup

	mu     sync.Mutex
	client net.Conn
	err    error
	closed bool
}

// NewGuard connects to the server at remote, unix:PATH, tcp:HOST:PORT or
// ssl:HOST:PORT. ctx bounds that only; Close must be called.
func NewGuard(ctx context.Context, remote string, o GuardOptions) (*Guard, error) {
	to, err := activeAddress(remote)
	if err != nil {
		return nil, err
	}
	address := to.Path
	if !to.Local() {
		address = to.hostPort()
	}
	server, err := dialServer(ctx, to.Kind, address, o.Keys)
	if err != nil {
		return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
	}
	g := &Guard{o: o.withDefaults(), server: server, done: make(chan struct{})}
	g.check = newChecker(g.o)
	near := ""
	if to.Kind == "unix" {
		near = filepath.Dir(address)
	}
	if err := g.listen(near); err != nil {
		server.Close()
		return nil, fmt.Errorf("ovsdb: socket for the connection to %q: %w", remote, err)
	}
	g.ended.Go(g.run)
	return g, nil
}

// dialServer connects, and agrees on TLS where that is the kind.
func dialServer(ctx context.Context, kind, address string, keys *certs.Loader) (net.Conn, error) {
	var d net.Dialer
	if kind != "ssl" {
		return d.DialContext(ctx, kind, address)
	}
	if keys == nil {
		return nil, certs.ErrNotConfigured
	}
	config, err := keys.ClientConfig(address)
	if err != nil {
		return nil, err
	}
	plain, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(plain, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	return secure, nil
}

// listen makes the client's socket in a directory that only this user can enter:
// where temporary files go, or near the server's socket where nothing else can
// be written. It is named by the directory's descriptor, since the path of a
// socket has at most 107 bytes.
func (g *Guard) listen(near string) error {
	dir, err := os.MkdirTemp("", "govn-ovsdb-")
	if err != nil && near != "" {
		dir, err = os.MkdirTemp(near, "govn-ovsdb-")
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	if g.dir, err = os.Open(dir); err != nil {
		return err
	}
	path := fmt.Sprintf("/proc/self/fd/%d/s", g.dir.Fd())
	if g.listener, err = net.Listen("unix", path); err != nil {
		g.dir.Close()
		return err
	}
	g.endpoint = "unix:" + path
	return nil
}

// Endpoint is where the client connects to, once.
func (g *Guard) Endpoint() string { return g.endpoint }

// Done is closed when the connection has ended.
func (g *Guard) Done() <-chan struct{} { return g.done }

// Err is why the connection ended; nil while it has not, and where the client
// ended it.
func (g *Guard) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Close ends the connection and waits for its end. It may be called again.
func (g *Guard) Close() {
	g.end(nil)
	g.ended.Wait()
}

// end closes everything, once, and keeps the reason.
func (g *Guard) end(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed, g.err = true, err
	g.server.Close()
	g.listener.Close()
	if g.client != nil {
		g.client.Close()
	}
	close(g.done)
}

// run waits for the client and copies in both directions.
func (g *Guard) run() {
	client, err := g.listener.Accept()
	g.listener.Close() // and its file with it
	os.Remove(g.dir.Name())
	g.dir.Close()
	if err != nil {
		g.end(err)
		return
	}
	g.mu.Lock()
	g.client = client
	if g.closed {
		client.Close()
	}
	g.mu.Unlock()
	g.ended.Go(func() { g.end(g.requests(client)) })
	g.end(g.answers(client))
}

// requests copies what the client sends.
func (g *Guard) requests(client net.Conn) error {
	c := newCodec(client, Limits{MaxMessage: g.o.MaxMessage, MaxDepth: 100}, nil)
	for {
		text, err := c.message()
		if err != nil {
			return nil // it is gone
		}
		if err := g.check.request(text); err != nil {
			return err
		}
		if err := g.server.SetWriteDeadline(time.Now().Add(g.o.WriteTimeout)); err != nil {
			return err
		}
		if _, err := io.WriteString(g.server, text); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = fmt.Errorf("%w: it read nothing for %v", ErrPeer, g.o.WriteTimeout)
			}
			return err
		}
	}
}

// answers copies what the server sends and the client may see.
func (g *Guard) answers(client net.Conn) error {
	c := newCodec(g.server, Limits{MaxMessage: g.o.MaxMessage, MaxDepth: guardDepth}, nil)
	for {
		text, err := c.message()
		switch {
		case errors.Is(err, errMessage):
			return fmt.Errorf("%w: %w", ErrPeer, err)
		case errors.Is(err, io.EOF):
			return errors.New("the server closed the connection")
		case err != nil:
			return err
		}
		out, err := g.check.answer(text)
		if err != nil {
			return err
		}
		if out == nil {
			continue
		}
		if _, err := bytes.NewReader(out).WriteTo(client); err != nil {
			return nil // it is gone
		}
	}
}
