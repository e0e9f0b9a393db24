package openflow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// Errors of a connection.
var (
	// ErrClosed is matched by the errors of calls on a connection that has
	// ended; the cause is wrapped too.
	ErrClosed = errors.New("OpenFlow connection closed")
	// ErrVersion is matched when the peer does not speak OpenFlow 1.5.
	ErrVersion = errors.New("OpenFlow version not supported")
	// ErrProbe ends a connection whose peer does not answer echo requests.
	ErrProbe = errors.New("no answer to OpenFlow echo request")
)

// ConnOptions configures Dial.
type ConnOptions struct {
	// Logger gets connection events, and at debug level every message;
	// optional.
	Logger *slog.Logger
	// PacketIn gets the packets that the switch sends, in order; optional. It
	// runs on the goroutine that reads the connection: it must not block, nor
	// wait for replies.
	PacketIn func(*PacketIn)
	// Async gets the other messages that the switch sends by itself, and
	// errors that belong to no request; optional, the rules of PacketIn hold.
	Async func(Message)
	// ProbeInterval is how long the switch may be silent before it gets an
	// echo request, and how long it then may take; optional, 30 s when 0,
	// never when negative. A switch that commits a large bundle is silent.
	ProbeInterval time.Duration
	// ControllerID is the id by which Controller actions name this
	// connection; optional.
	ControllerID uint16
}

// defaultProbeInterval is ConnOptions.ProbeInterval when it is 0.
const defaultProbeInterval = 30 * time.Second

// Conn is an OpenFlow 1.5 connection to a switch. Its methods can be called
// from several goroutines.
type Conn struct {
	nc   net.Conn
	opts ConnOptions
	log  *slog.Logger

	writing sync.Mutex // one message, or one bundle's run of messages
	w       *bufio.Writer

	mu       sync.Mutex
	nextXID  uint32
	bundleID uint32
	waiters  map[uint32]*waiter
	ranges   []*bundleErrors
	lastRead time.Time
	received uint64 // messages
	err      error

	done     chan struct{} // closed when the connection has ended
	finished sync.WaitGroup
}

// waiter collects the replies to one request.
type waiter struct {
	replies []Message
	done    chan struct{} // closed when the last one is there
}

// bundleErrors collects the errors for the messages of a bundle.
type bundleErrors struct {
	first, n uint32 // transaction ids first to first+n-1
	index    int    // lowest that failed, -1: none
	err      *Error
}

// Dial connects to "unix:PATH" or "tcp:HOST:PORT", agrees on OpenFlow 1.5 and
// sets the connection up: whole packets on a miss, packet-in as NXT_PACKET_IN2,
// packets and port changes sent by the switch. ctx bounds the setup only.
func Dial(ctx context.Context, target string, opts ConnOptions) (*Conn, error) {
	network, address, ok := strings.Cut(target, ":")
	if !ok || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("OpenFlow target %q: want unix:PATH or tcp:HOST:PORT", target)
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("OpenFlow target %q: %w", target, err)
	}
	c, err := NewConn(ctx, nc, opts)
	if err != nil {
		return nil, fmt.Errorf("OpenFlow target %q: %w", target, err)
	}
	return c, nil
}

// NewConn does what Dial does on a connection that is there already. It owns nc
// from then on, and closes it when it fails.
func NewConn(ctx context.Context, nc net.Conn, opts ConnOptions) (*Conn, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.ProbeInterval == 0 {
		opts.ProbeInterval = defaultProbeInterval
	}
	c := &Conn{
		nc: nc, opts: opts, log: opts.Logger,
		w:        bufio.NewWriterSize(nc, 64<<10),
		nextXID:  1,
		waiters:  map[uint32]*waiter{},
		done:     make(chan struct{}),
		lastRead: time.Now(),
	}
	br := bufio.NewReaderSize(nc, 64<<10)
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	err := c.hello(br)
	if !stop() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	c.finished.Add(1)
	go c.readLoop(br)
	if opts.ProbeInterval > 0 {
		c.finished.Add(1)
		go c.probeLoop()
	}
	if err := c.setup(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// hello exchanges the versions.
func (c *Conn) hello(br *bufio.Reader) error {
	if err := c.Send(&Hello{Versions: 1 << Version}); err != nil {
		return err
	}
	m, _, err := readMessage(br, nil)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *Hello:
		if m.Versions&(1<<Version) == 0 {
			return fmt.Errorf("%w: the peer speaks %#x, a bit for each version", ErrVersion, m.Versions)
		}
		return nil
	case *Error:
		return fmt.Errorf("hello: %w", m)
	}
	return malformed("message type %d before hello", m.Type())
}

func (c *Conn) setup(ctx context.Context) error {
	all := uint32(1<<6 - 1) // every reason
	messages := []Message{
		&SetConfig{MissSendLen: 0xffff},
		&SetPacketInFormat{Format: PacketInNXT2},
		&SetAsync{AsyncConfig{Masks: map[uint16]uint32{AsyncPacketIn: all, AsyncPortStatus: 7, AsyncFlowRemoved: 0}}},
	}
	if c.opts.ControllerID != 0 {
		messages = append(messages, &SetControllerID{ID: c.opts.ControllerID})
	}
	return c.Do(ctx, messages...)
}

// readMessage reads one message. buf is memory to use, if large enough.
func readMessage(br *bufio.Reader, buf []byte) (Message, uint32, error) {
	var head [HeaderLen]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return nil, 0, err
	}
	n := int(be16(head[2:]))
	if n < HeaderLen {
		return nil, 0, malformed("message of %d bytes", n)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	copy(buf, head[:])
	if _, err := io.ReadFull(br, buf[HeaderLen:]); err != nil {
		return nil, 0, fmt.Errorf("message of %d bytes: %w", n, err)
	}
	return DecodeMessage(buf)
}

func (c *Conn) readLoop(br *bufio.Reader) {
	defer c.finished.Done()
	buf := make([]byte, MaxMessage)
	debug := c.log.Enabled(context.Background(), slog.LevelDebug)
	for {
		m, xid, err := readMessage(br, buf)
		if err != nil {
			c.end(err)
			return
		}
		if debug {
			c.log.Debug("received OpenFlow message", "type", m.Type(), "xid", xid)
		}
		c.mu.Lock()
		c.lastRead = time.Now()
		c.received++
		c.mu.Unlock()
		c.dispatch(m, xid)
	}
}

func (c *Conn) dispatch(m Message, xid uint32) {
	switch m := m.(type) {
	case *EchoRequest:
		// Not on this goroutine: while the switch does not read, a write blocks,
		// and the switch may not read while this side does not.
		c.finished.Add(1)
		go func() {
			defer c.finished.Done()
			c.send(xid, &EchoReply{Data: m.Data})
		}()
		return
	case *EchoReply:
		return
	case *PacketIn:
		if c.opts.PacketIn != nil {
			c.opts.PacketIn(m)
		}
		return
	}
	if !c.deliver(m, xid) {
		if e, ok := m.(*Error); ok {
			c.log.Warn("OpenFlow error without a request", "error", e.Name(), "xid", xid)
		}
		if c.opts.Async != nil {
			c.opts.Async(m)
		}
	}
}

// deliver hands a message to the request that it answers.
func (c *Conn) deliver(m Message, xid uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiters[xid]; w != nil {
		w.replies = append(w.replies, m)
		if part, ok := m.(*MultipartReply); !ok || !part.More {
			delete(c.waiters, xid)
			close(w.done)
		}
		return true
	}
	e, ok := m.(*Error)
	if !ok {
		return false
	}
	for _, r := range c.ranges {
		if i := xid - r.first; i < r.n {
			if r.index < 0 || int(i) < r.index {
				r.index, r.err = int(i), e
			}
			return true
		}
	}
	return false
}

// probeLoop ends the connection when the peer no longer answers.
func (c *Conn) probeLoop() {
	defer c.finished.Done()
	interval := c.opts.ProbeInterval
	t := time.NewTimer(interval)
	defer t.Stop()
	waiting := false    // an echo request went out
	before := uint64(0) // messages received until then
	for {
		select {
		case <-c.done:
			return
		case <-t.C:
		}
		c.mu.Lock()
		silent, received := time.Since(c.lastRead), c.received
		c.mu.Unlock()
		switch {
		case waiting && received == before:
			c.end(ErrProbe)
			return
		case silent < interval:
			waiting = false
			t.Reset(interval - silent)
		default:
			waiting, before = true, received
			c.finished.Add(1)
			go func() {
				defer c.finished.Done()
				c.Send(&EchoRequest{})
			}()
			t.Reset(interval)
		}
	}
}

// end ends the connection for a reason; the first one counts.
func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: closed by the peer", ErrClosed)
	} else if !errors.Is(err, ErrClosed) {
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	c.err = err
	c.waiters = map[uint32]*waiter{}
	close(c.done)
	c.nc.Close()
	c.log.Info("OpenFlow connection ended", "error", err)
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the connection has ended, nil while it has not. It matches
// ErrClosed.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and waits for its goroutines. It must not be
// called from a callback.
func (c *Conn) Close() error {
	c.end(fmt.Errorf("%w here", ErrClosed))
	c.finished.Wait()
	return nil
}

// xids reserves n consecutive transaction ids; 0 is not used.
func (c *Conn) xids(n uint32) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nextXID+n < c.nextXID || c.nextXID == 0 {
		c.nextXID = 1
	}
	x := c.nextXID
	c.nextXID += n
	return x
}

// Send sends a message without waiting for anything; an error that the switch
// answers goes to ConnOptions.Async.
func (c *Conn) Send(m Message) error { return c.send(c.xids(1), m) }

func (c *Conn) send(xid uint32, m Message) error {
	b, err := EncodeMessage(xid, m)
	if err != nil {
		return err
	}
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("sending OpenFlow message", "type", m.Type(), "xid", xid)
	}
	return c.write(func(w *bufio.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// write runs fn while nobody else writes, and flushes. A failed write ends the
// connection.
func (c *Conn) write(fn func(*bufio.Writer) error) error {
	c.writing.Lock()
	err := fn(c.w)
	if err == nil {
		err = c.w.Flush()
	}
	c.writing.Unlock()
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrTooLong) {
		return err
	}
	c.end(err)
	if why := c.Err(); why != nil {
		return why
	}
	return err
}

// Request sends a request and returns its reply, or all parts of it. An error
// message of the switch is returned as *Error.
func (c *Conn) Request(ctx context.Context, m Message) ([]Message, error) {
	xid := c.xids(1)
	w, err := c.expect(xid)
	if err != nil {
		return nil, err
	}
	defer c.forget(xid)
	if err := c.send(xid, m); err != nil {
		return nil, err
	}
	return c.await(ctx, w)
}

// expect prepares for the replies to xid.
func (c *Conn) expect(xid uint32) (*waiter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	w := &waiter{done: make(chan struct{})}
	c.waiters[xid] = w
	return w, nil
}

func (c *Conn) forget(xid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiters, xid)
}

func (c *Conn) await(ctx context.Context, w *waiter) ([]Message, error) {
	select {
	case <-w.done:
	case <-c.done:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for _, m := range w.replies {
		if e, ok := m.(*Error); ok {
			return nil, e
		}
	}
	return w.replies, nil
}

// Barrier returns when the switch has done everything sent before.
func (c *Conn) Barrier(ctx context.Context) error {
	_, err := c.Request(ctx, &BarrierRequest{})
	return err
}

// Do sends messages that have no reply, such as TLVTableMod, MeterMod or
// CTFlushZone, then a barrier, and returns when the switch has done them. When
// some fail, the others are done nevertheless; the error is a *BundleError that
// names the first one.
func (c *Conn) Do(ctx context.Context, messages ...Message) error {
	errs, err := c.stream(ctx, nil, len(messages), func(xid uint32, i int) Message { return messages[i] })
	if err != nil {
		return err
	}
	return errs.failure()
}
