package vswitch

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"govn/pkg/openflow"
)

// Limits of a connection.
const (
	maxQueued   = 512     // messages that the switch sends by itself; more are dropped
	maxReplies  = 4 << 20 // bytes of replies that the peer has not read: then its requests wait
	maxBundles  = 16
	maxMessages = 1 << 20 // of a bundle
	maxVersion  = 0x20    // that a hello may have in its header
	lastWrite   = time.Second
)

// conn is a connection to a controller. What the bridge's lock guards is marked.
type conn struct {
	b   *Bridge
	nc  net.Conn
	log *slog.Logger

	mu      sync.Mutex // of the queue
	more    sync.Cond  // something is queued, or the end has come
	less    sync.Cond  // the queue got shorter, or the end has come
	queue   [][]byte
	bytes   int
	dropped int
	ended   bool

	// Guarded by the bridge's lock.
	format      uint32 // of packet-in
	id          uint16
	missSendLen uint16
	async       map[uint16]uint32
	role        uint32

	bundles map[uint32]*bundle // of the reader
}

// Serve speaks OpenFlow on one connection until it ends or ctx does, and
// closes it. It returns nil when ctx ended or the peer closed the connection,
// an error that matches ErrProtocol when the peer did not speak OpenFlow 1.5.
func (b *Bridge) Serve(ctx context.Context, nc net.Conn) error {
	c := &conn{
		b: b, nc: nc, log: b.log, bundles: map[uint32]*bundle{},
		async: map[uint16]uint32{openflow.AsyncPacketIn: 0x3f, openflow.AsyncPortStatus: 7, openflow.AsyncFlowRemoved: 0x3f},
		role:  roleEqual,
	}
	c.more.L, c.less.L = &c.mu, &c.mu
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		c.writeLoop()
	}()
	err := c.readLoop()
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
	c.end()
	nc.SetWriteDeadline(time.Now().Add(lastWrite)) // for a peer that reads nothing
	writer.Wait()
	nc.Close()
	switch {
	case ctx.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return nil
	}
	b.log.Warn("OpenFlow connection ended", "err", err)
	return fmt.Errorf("bridge %q: OpenFlow connection: %w", b.opts.Name, err)
}

// end lets the writer finish what is queued.
func (c *conn) end() {
	c.mu.Lock()
	c.ended = true
	c.more.Broadcast()
	c.less.Broadcast()
	c.mu.Unlock()
}

func (c *conn) writeLoop() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.ended {
			c.more.Wait()
		}
		batch := c.queue
		c.queue, c.bytes = nil, 0
		c.less.Broadcast()
		ended := c.ended
		c.mu.Unlock()
		if len(batch) == 0 && ended {
			return
		}
		buffers := net.Buffers(batch)
		if _, err := buffers.WriteTo(c.nc); err != nil {
			c.nc.Close() // ends the reader too
			c.end()
			return
		}
	}
}

// reply queues an answer. It waits while the peer reads none.
func (c *conn) reply(xid uint32, m openflow.Message) {
	b, err := openflow.EncodeMessage(xid, m)
	if err != nil {
		c.log.Warn("message not sent", "type", m.Type(), "err", err)
		return
	}
	c.log.Debug("OpenFlow message sent", "type", m.Type(), "xid", xid)
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes > maxReplies && !c.ended {
		c.less.Wait()
	}
	c.push(b)
}

func (c *conn) push(b []byte) {
	c.queue = append(c.queue, b)
	c.bytes += len(b)
	c.more.Signal()
}

// tell queues a message of the switch's own, unless too many wait.
func (c *conn) tell(m openflow.Message) {
	b, err := openflow.EncodeMessage(0, m)
	if err != nil {
		c.log.Warn("message not sent", "type", m.Type(), "err", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= maxQueued || c.ended {
		c.dropped++
		return
	}
	c.push(b)
}

// readLoop handles messages until the connection ends.
func (c *conn) readLoop() error {
	br := bufio.NewReaderSize(c.nc, 64<<10)
	c.reply(1, &openflow.Hello{Versions: 1 << openflow.Version})
	// The length in a header is believed of those only who speak OpenFlow.
	if head, err := br.Peek(2); err == nil && (head[1] != openflow.TypeHello || head[0] == 0 || head[0] > maxVersion) {
		return violated("message of type %d, version %#x instead of hello", head[1], head[0])
	}
	raw, err := readRaw(br, nil)
	if err != nil {
		return err
	}
	if err := c.hello(raw); err != nil {
		return err
	}
	c.b.mu.Lock()
	c.b.conns[c] = struct{}{}
	c.b.mu.Unlock()
	for {
		if raw, err = readRaw(br, raw[:0]); err != nil {
			return err
		}
		if raw[0] != openflow.Version && raw[1] != openflow.TypeHello {
			c.refused(raw, refuse(etBadRequest, brcBadVersion))
			return violated("version %#x in a message of type %d", raw[0], raw[1])
		}
		c.log.Debug("OpenFlow message received", "type", raw[1], "xid", xidOf(raw))
		if err := c.handle(raw); err != nil {
			c.refused(raw, asRefusal(err))
		}
	}
}

func (c *conn) hello(raw []byte) error {
	m, _, err := openflow.DecodeMessage(raw)
	h, ok := m.(*openflow.Hello)
	if err != nil || !ok {
		return violated("message of type %d, version %#x instead of hello", raw[1], raw[0])
	}
	if h.Versions&(1<<openflow.Version) == 0 {
		c.reply(xidOf(raw), &openflow.Error{ErrType: 0, Code: 0, Data: []byte("OpenFlow 1.5 only")})
		return violated("the peer speaks the versions %#x, a bit for each", h.Versions)
	}
	return nil
}

func xidOf(raw []byte) uint32 { return binary.BigEndian.Uint32(raw[4:]) }

// refused sends an error about a message, of which it quotes the beginning.
func (c *conn) refused(raw []byte, e *openflow.Error) {
	c.log.Debug("OpenFlow message refused", "type", raw[1], "xid", xidOf(raw), "err", e)
	answer := *e
	answer.Data = append([]byte(nil), raw[:min(len(raw), errorDataSize)]...)
	c.reply(xidOf(raw), &answer)
}

// readRaw reads one message. buf is memory to use.
func readRaw(br *bufio.Reader, buf []byte) ([]byte, error) {
	var head [openflow.HeaderLen]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if n < openflow.HeaderLen {
		return nil, violated("message of %d bytes", n)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	copy(buf, head[:])
	if _, err := io.ReadFull(br, buf[openflow.HeaderLen:]); err != nil {
		return nil, fmt.Errorf("message of %d bytes: %w", n, io.ErrUnexpectedEOF)
	}
	return buf, nil
}
