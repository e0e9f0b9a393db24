package ovsdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/cenkalti/rpc2"
)

// request is one JSON-RPC request or notification (RFC 7047, section 4).
type request struct {
	method string
	params []jsonValue
	id     jsonValue // null: a notification
	weight int64     // how much memory it takes, in bytes
}

// codec is the rpc2.Codec of a connection. It splits the stream into messages
// within limits, and queues what is to be sent:
//
//	conn -> scanner -> parseJSON -> request -> rpc2 -> handler -> session
//	conn <- writer goroutine <- bounded queue <- session, what the socket does not take
//	conn <--------------------------------------- session, what it takes at once
//
// Replies are not written by rpc2, since ids may be any JSON value, errors are
// objects, and a reply may have to wait; the session sends them.
type codec struct {
	conn    net.Conn
	limits  jsonLimits
	maxSize int
	prober

	buf      []byte // read but not consumed
	scanned  int    // of buf, already looked at
	depth    int
	inString bool
	escape   bool
	current  request
	held     holding
	charged  int64          // of held, for buf
	within   time.Duration  // which a message has to arrive; not positive: whenever
	begun    time.Time      // when the message of buf began, if it is not all there
	leave    func()         // the handling of a large message
	values   int            // of buf, about as many as the part looked at has; never fewer
	weight   int64          // of the last message, as request has it
	handling int64          // of held, for the message that is handled
	elements *requestValues // of the message that is handled
	consumed bool           // and nobody looks at them any more

	// The send queue, for what the socket does not take at once.
	direct   *direct
	mu       sync.Mutex
	queue    [][]byte
	queued   int
	maxQueue int
	closed   bool
	last     bool // close when the queue is empty
	wake     chan struct{}
	reason   error // why the connection ends, if we decided it
}

var (
	errSlow    = errors.New("the peer does not read what it asked for")
	errProbe   = errors.New("no answer to an inactivity probe")
	errMessage = errors.New("bad JSON-RPC message")
)

// newCodec reads and writes messages within limits; m counts what it holds, and
// may be nil.
func newCodec(conn net.Conn, l Limits, m *meter) *codec {
	return &codec{
		conn: conn, limits: jsonLimits{depth: l.MaxDepth, values: l.MaxMessage/8 + 1024}, maxSize: l.MaxMessage,
		maxQueue: l.MaxBacklog, within: l.MessageTimeout, wake: make(chan struct{}, 1), direct: newDirect(conn),
		held: holding{meter: m, ended: make(chan struct{})}, leave: func() {},
	}
}

// fill reads more bytes, probing a silent peer.
func (c *codec) fill() error {
	if len(c.buf) >= c.maxSize {
		return fmt.Errorf("%w: %w", errMessage, c.held.meter.exceeded(limitMessage, "longer than %d bytes", c.maxSize))
	}
	c.buf = slices.Grow(c.buf, 4096)
	c.charge()
	since := time.Now()
	var due time.Time
	if c.depth > 0 && c.within > 0 {
		if c.begun.IsZero() {
			c.begun = since
		}
		due = c.begun.Add(c.within)
	}
	for {
		if err := c.arm(c.conn, since, due); err != nil {
			return err
		}
		if !due.IsZero() && time.Now().After(due) {
			return fmt.Errorf("%w: %w", errMessage, c.held.meter.exceeded(limitMessageTime, "%d bytes of it came in %v", len(c.buf), c.within))
		}
		n, err := c.read(c.buf[len(c.buf):min(cap(c.buf), len(c.buf)+1<<20)])
		if n > 0 {
			c.buf = c.buf[:len(c.buf)+n]
			c.probing.Store(false)
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			switch now := time.Now(); {
			case !c.silent(now.Sub(since)): // the interval was changed meanwhile
			case c.probing.Load():
				return errProbe
			default:
				since = now
				c.probing.Store(true)
				c.send([]byte(`{"id":"echo","method":"echo","params":[]}`))
			}
			continue
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
}

func (c *codec) read(b []byte) (int, error) {
	if c.direct != nil {
		return c.direct.read(b)
	}
	return c.conn.Read(b)
}

// charge counts the buffer, if it is not small.
func (c *codec) charge() {
	n := int64(cap(c.buf))
	if n <= 64<<10 {
		n = 0
	}
	c.held.add(n - c.charged)
	c.charged = n
}

// message returns the bytes of the next message, which is a JSON object. The one
// before has been handled. What a connection that was dropped has sent is not
// looked at any more.
func (c *codec) message() (string, error) {
	if c.handled(); c.held.over() {
		return "", net.ErrClosed
	}
	for {
		for ; c.scanned < len(c.buf); c.scanned++ {
			b := c.buf[c.scanned]
			if c.depth == 0 && b != '{' {
				switch b {
				case ' ', '\t', '\r', '\n':
					continue
				}
				return "", fmt.Errorf("%w: %w", errMessage, badStart(b))
			}
			switch {
			case c.escape:
				c.escape = false
			case c.inString:
				// Most of a message is inside of strings.
				if rest := c.buf[c.scanned:]; b != '"' && b != '\\' {
					skip := bytes.IndexByte(rest, '"')
					if skip < 0 {
						skip = len(rest)
					}
					if i := bytes.IndexByte(rest[:skip], '\\'); i >= 0 {
						skip = i
					}
					c.scanned += skip - 1
					continue
				}
				c.inString = b != '"'
				c.escape = b == '\\'
			case b == '"':
				c.inString = true
			case b == ',', b == ':':
				c.values++
			case b == '{', b == '[':
				c.values++
				if c.depth++; c.depth > c.limits.depth {
					return "", fmt.Errorf("%w: %w", errMessage, c.held.meter.exceeded(limitDepth, "nested deeper than %d", c.limits.depth))
				}
			case b == '}', b == ']':
				c.depth--
				if c.depth == 0 {
					c.weight = int64(c.scanned) + int64(c.values+1)*int64(unsafe.Sizeof(jsonValue{}))
					c.leave = c.held.meter.enter(c.scanned)
					m := string(c.buf[:c.scanned+1])
					rest := copy(c.buf, c.buf[c.scanned+1:])
					if cap(c.buf) > 1<<20 && rest < 4096 {
						c.buf = append(make([]byte, 0, 4096), c.buf[:rest]...)
					} else {
						c.buf = c.buf[:rest]
					}
					c.scanned, c.depth, c.values, c.begun = 0, 0, 0, time.Time{}
					c.charge()
					return m, nil
				}
			}
		}
		if c.values > c.limits.values {
			return "", fmt.Errorf("%w: %w", errMessage, c.held.meter.exceeded(limitMessage, "too many values, more than %d", c.limits.values))
		}
		if err := c.fill(); err != nil {
			if c.depth > 0 && errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: %w", errMessage, io.ErrUnexpectedEOF)
			}
			return "", err
		}
	}
}

// parse reads the JSON of a message, which is counted as held until it is handled.
func (c *codec) parse(text string) (v jsonValue, err error) {
	if c.weight >= smallMessage {
		c.handling = c.weight
		if c.held.add(c.handling); c.held.over() {
			return v, c.why()
		}
	}
	if c.elements == nil {
		c.elements = freeValues.Get().(*requestValues)
	}
	if v, err = parseJSONIn(text, c.limits, c.elements[:]); err != nil {
		err = fmt.Errorf("%w: %w", errMessage, err)
	}
	return v, err
}

// handled ends the handling of a message.
func (c *codec) handled() {
	c.leave()
	c.held.add(-c.handling)
	c.leave, c.handling = func() {}, 0
	if c.consumed {
		clear(c.elements[:]) // they hold the message
		freeValues.Put(c.elements)
	}
	c.elements, c.consumed = nil, false
}

// requestValues are the elements of a request, as far as they go: enough for the usual
// ones.
type requestValues [160]jsonValue

// freeValues are those of requests that were consumed.
var freeValues = sync.Pool{New: func() any { return new(requestValues) }}

// consume tells that nobody looks at the request any more that is handled, nor at what
// its id has, but at the texts in it.
func (c *codec) consume() { c.consumed = c.elements != nil }

// ReadHeader reads the next message. What is no JSON-RPC message ends the
// connection; a response, such as that to a probe, is passed over.
func (c *codec) ReadHeader(req *rpc2.Request, _ *rpc2.Response) (err error) {
	defer func() {
		if err != nil {
			c.fail(err)
		}
	}()
	for {
		text, err := c.message()
		if err != nil {
			return err
		}
		v, err := c.parse(text)
		if err != nil {
			return err
		}
		id, hasID := v.member("id")
		method, hasMethod := v.member("method")
		_, hasResult := v.member("result")
		_, hasError := v.member("error")
		if !hasMethod {
			if hasID && (hasResult || hasError) {
				continue
			}
			return fmt.Errorf("%w: neither request nor response", errMessage)
		}
		params, hasParams := v.member("params")
		if method.kind != jsonString || method.text == "" {
			return fmt.Errorf("%w: \"method\" must be a string", errMessage)
		}
		// What outlives its handling keeps all of elements.
		c.current = request{method: method.text, weight: c.weight + int64(unsafe.Sizeof(requestValues{}))}
		if hasID {
			c.current.id = *id
		}
		switch {
		case !hasParams, params.kind == jsonNull:
		case params.kind != jsonArray:
			return fmt.Errorf("%w: \"params\" must be JSON array", errMessage)
		default:
			c.current.params = params.list
		}
		// Seq is for rpc2 only, which must not see a notification here: the
		// session answers all.
		req.Seq, req.Method = 1, rpcMethod
		return nil
	}
}

// rpcMethod is the one handler that rpc2 knows; the session dispatches, so that
// an unknown method is an error of the protocol, not of rpc2.
const rpcMethod = "request"

// ReadRequestBody gives the handler the request.
func (c *codec) ReadRequestBody(body any) error {
	if p, ok := body.(*any); ok {
		*p = c.current
	}
	c.current = request{}
	return nil
}

// ReadResponseBody has nothing to do: we send no requests through rpc2.
func (c *codec) ReadResponseBody(any) error { return nil }

// WriteRequest is not used.
func (c *codec) WriteRequest(*rpc2.Request, any) error { return rpc2.ErrShutdown }

// WriteResponse does nothing: the session answers.
func (c *codec) WriteResponse(*rpc2.Response, any) error { return nil }

// fail remembers the first reason for the end of the connection and closes it.
func (c *codec) fail(err error) {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = err
	}
	c.mu.Unlock()
	c.Close()
}

// why returns the reason for the end of the connection.
func (c *codec) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Close closes the connection; what is queued is dropped.
func (c *codec) Close() error {
	c.mu.Lock()
	c.closed, c.queue, c.queued = true, nil, 0
	c.mu.Unlock()
	c.held.release()
	c.signal()
	return c.conn.Close()
}

func (c *codec) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// send queues a message. A peer whose backlog is too long is dropped: one
// message of any length is always accepted.
func (c *codec) send(m []byte) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if queued := c.queued; queued > 0 && queued+len(m) > c.maxQueue {
		c.mu.Unlock()
		c.fail(fmt.Errorf("%w: %w", errSlow, c.held.meter.exceeded(limitBacklog, "%d bytes are queued", queued)))
		return
	}
	if c.queued == 0 {
		if m = c.direct.write(m); len(m) == 0 {
			c.mu.Unlock()
			return
		}
	}
	c.queue = append(c.queue, m)
	c.queued += len(m)
	c.mu.Unlock()
	c.signal()
	c.held.add(int64(len(m)))
}

// write sends what is queued until the connection closes.
func (c *codec) write() {
	for range c.wake {
		c.mu.Lock()
		batch, closed, last := c.queue, c.closed, c.last
		c.queue = nil
		c.mu.Unlock()
		if closed {
			return
		}
		n := 0
		for _, m := range batch {
			n += len(m)
		}
		buffers := net.Buffers(batch)
		if _, err := buffers.WriteTo(c.conn); err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		if !c.closed {
			c.queued -= n
		}
		c.mu.Unlock()
		c.held.add(-int64(n))
		if last {
			c.Close()
			return
		}
	}
}

// finish closes the connection when all that is queued has been sent.
func (c *codec) finish() {
	c.mu.Lock()
	c.last = true
	c.mu.Unlock()
	c.signal()
}
