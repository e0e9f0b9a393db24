package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"govn/pkg/unixsocket"
)

const (
	maxRequest = 1 << 20          // bytes of one request
	maxConns   = 64               // connections at a time; later ones wait
	replyTime  = 10 * time.Second // for a peer to take its reply
)

// command is a command of the control socket.
type command struct {
	name, usage string
	min, max    int
	fn          func(context.Context, []string) (string, error)
}

// ctl is the control socket.
type ctl struct {
	path   string
	l      *net.UnixListener
	logger *slog.Logger
	slots  chan struct{}
	wg     sync.WaitGroup

	mu       sync.Mutex
	commands map[string]command
	conns    map[net.Conn]struct{}
	closing  bool
}

// listenUnix opens a socket that no other daemon may have.
func listenUnix(path string) (*net.UnixListener, error) {
	l, err := unixsocket.Listen(path)
	if errors.Is(err, unixsocket.ErrInUse) {
		return nil, fmt.Errorf("%q: %w", path, ErrRunning)
	}
	return l, err
}

func listenCtl(path string, lg *slog.Logger) (*ctl, error) {
	l, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("unixctl: %w", err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		l.Close()
		return nil, fmt.Errorf("unixctl: %w", err)
	}
	return &ctl{
		path: path, l: l, logger: lg,
		slots:    make(chan struct{}, maxConns),
		commands: map[string]command{},
		conns:    map[net.Conn]struct{}{},
	}, nil
}

func (c *ctl) handle(cmd command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commands[cmd.name] = cmd
}

func (c *ctl) start(ctx context.Context) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		for {
			c.slots <- struct{}{}
			conn, err := c.l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					c.logger.Error("control socket failed", "err", err)
				}
				return
			}
			if !c.add(conn) {
				conn.Close()
				return
			}
			c.wg.Add(1)
			go func() {
				defer c.wg.Done()
				defer func() { <-c.slots }()
				defer c.remove(conn)
				if err := c.serve(ctx, conn); err != nil {
					c.logger.Warn("control connection closed", "err", err)
				}
			}()
		}
	}()
}

func (c *ctl) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.conns[conn] = struct{}{}
	return true
}

func (c *ctl) remove(conn net.Conn) {
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	conn.Close()
}

// close stops listening, lets commands that run reply, and waits for them.
func (c *ctl) close() {
	c.mu.Lock()
	c.closing = true
	for conn := range c.conns {
		conn.SetReadDeadline(time.Unix(1, 0)) // wakes who waits for a request
	}
	c.mu.Unlock()
	c.l.Close()
	c.wg.Wait()
}

// request and reply are the messages of RFC 7047 section 4, that is JSON-RPC 1.0.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method *string         `json:"method"`
	Params []string        `json:"params"`
}

type reply struct {
	Result *string         `json:"result"`
	Error  *string         `json:"error"`
	ID     json.RawMessage `json:"id"`
}

var errNoRequest = errors.New("not a request")

// serve answers requests one after the other until the peer is done or sends
// what is not a request.
func (c *ctl) serve(ctx context.Context, conn net.Conn) error {
	in := &io.LimitedReader{R: conn}
	dec := json.NewDecoder(in)
	for {
		in.N = maxRequest
		var req request
		if err := dec.Decode(&req); err != nil {
			switch {
			case in.N == 0:
				return fmt.Errorf("%w: longer than %d bytes", errNoRequest, maxRequest)
			case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
				return nil
			}
			return fmt.Errorf("%w: %w", errNoRequest, err)
		}
		if req.Method == nil || len(req.ID) == 0 || string(req.ID) == "null" {
			return errNoRequest
		}
		rep := reply{ID: req.ID}
		if out, err := c.run(ctx, *req.Method, req.Params); err != nil {
			s := line(err.Error())
			rep.Error = &s
		} else {
			out = line(out)
			rep.Result = &out
		}
		if err := send(conn, rep); err != nil {
			return err
		}
	}
}

// line ends a text with a newline: ovs-appctl prints it as it is.
func line(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

func send(conn net.Conn, rep reply) error {
	b, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return err
	}
	_, err = conn.Write(b)
	return err
}

// run calls the command. Error texts are those of Open vSwitch.
func (c *ctl) run(ctx context.Context, name string, args []string) (string, error) {
	c.mu.Lock()
	cmd, ok := c.commands[name]
	c.mu.Unlock()
	switch {
	case !ok:
		return "", fmt.Errorf("%q is not a valid command (use \"list-commands\" to see a list of valid commands)", name)
	case len(args) < cmd.min:
		return "", fmt.Errorf("%q command requires at least %d arguments", name, cmd.min)
	case len(args) > cmd.max:
		return "", fmt.Errorf("%q command takes at most %d arguments", name, cmd.max)
	}
	return cmd.fn(ctx, args)
}

func (c *ctl) list() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := make([]string, 0, len(c.commands))
	for _, cmd := range c.commands {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("  %-23s %s", cmd.name, cmd.usage), " "))
	}
	slices.Sort(lines)
	return "The available commands are:\n" + strings.Join(lines, "\n") + "\n"
}
