package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// frames splits a stream of JSON objects without parsing them, so that the
// client costs little beside the server that it measures.
type frames struct {
	r        io.Reader
	buf      []byte
	pos      int // of buf, looked at
	depth    int
	inString bool
}

// next returns the next object, which is valid until the next call.
func (f *frames) next() ([]byte, error) {
	if f.depth == 0 && !f.inString {
		rest := copy(f.buf, f.buf[f.pos:])
		f.buf, f.pos = f.buf[:rest], 0
	}
	for {
		if f.scan() {
			return f.buf[:f.pos], nil
		}
		f.buf = slices.Grow(f.buf, max(64<<10, len(f.buf)/2))
		n, err := f.r.Read(f.buf[len(f.buf):cap(f.buf)])
		if f.buf = f.buf[:len(f.buf)+n]; n == 0 && err != nil {
			return nil, err
		}
	}
}

// scan goes on to the end of an object, or of what has been read.
func (f *frames) scan() bool {
	for f.pos < len(f.buf) {
		if f.inString {
			i := bytes.IndexByte(f.buf[f.pos:], '"')
			if i < 0 {
				f.pos = len(f.buf)
				return false
			}
			quote := f.pos + i
			backslashes := 0
			for quote-backslashes > 0 && f.buf[quote-backslashes-1] == '\\' {
				backslashes++
			}
			f.pos, f.inString = quote+1, backslashes%2 == 1
			continue
		}
		switch f.buf[f.pos] {
		case '"':
			f.inString = true
		case '{', '[':
			f.depth++
		case '}', ']':
			if f.depth--; f.depth == 0 {
				f.pos++
				return true
			}
		}
		f.pos++
	}
	return false
}

// wire is an OVSDB connection of raw messages.
type wire struct {
	conn net.Conn
	in   frames
}

// dialWire connects. A queue of connections that is full (ovsdb-server's is 64
// long) is no error: clients try again.
func dialWire(path string) (*wire, error) {
	for {
		conn, err := net.Dial("unix", path)
		switch {
		case err == nil:
			return &wire{conn: conn, in: frames{r: conn}}, nil
		case !errors.Is(err, unix.EAGAIN):
			return nil, err
		}
		<-time.After(time.Millisecond)
	}
}

func (w *wire) close() error { return w.conn.Close() }

var (
	noError  = []byte(`"error":null`)
	anyError = []byte(`"error":"`)
	isUpdate = []byte(`"method":"update`)
)

// reply returns the next message, which is a reply without an error in it.
func (w *wire) reply() ([]byte, error) {
	m, err := w.in.next()
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(m, noError) || bytes.Contains(m, anyError) {
		return nil, fmt.Errorf("not the reply that was expected: %.300s", m)
	}
	return m, nil
}

// call makes one request.
func (w *wire) call(request []byte) ([]byte, error) {
	if _, err := w.conn.Write(request); err != nil {
		return nil, err
	}
	return w.reply()
}

// sample is what one run of a workload took.
type sample struct {
	latency []time.Duration // sorted
	wall    time.Duration
	cpu     time.Duration // of the server
	n       int           // requests, or what the workload counts
}

// load is requests by clients that each have a number of them under way.
type load struct {
	clients, window, n int
	// request appends the i-th request.
	request func(b []byte, i int) []byte
}

// run sends the requests, round robin among the clients.
func (l load) run(srv *ovsdbServer) (s sample, err error) {
	wires := make([]*wire, l.clients)
	for i := range wires {
		if wires[i], err = dialWire(srv.sock); err != nil {
			return s, err
		}
		defer wires[i].close()
	}
	latencies, errs := make([][]time.Duration, l.clients), make([]error, l.clients)
	before, err := cpu(srv.pid())
	if err != nil {
		return s, err
	}
	start := time.Now()
	var wg sync.WaitGroup
	for k, w := range wires {
		wg.Go(func() { latencies[k], errs[k] = l.client(w, k) })
	}
	wg.Wait()
	s.wall, s.n = time.Since(start), l.n
	after, err := cpu(srv.pid())
	s.cpu = after - before
	s.latency = slices.Concat(latencies...)
	slices.Sort(s.latency)
	return s, firstError(append(errs, err))
}

// firstError is one of many clients, which fail alike.
func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// client makes every clients-th request from the k-th on.
func (l load) client(w *wire, k int) (latency []time.Duration, err error) {
	sent := make([]time.Time, 0, l.n/l.clients+1)
	var b []byte
	next := k
	send := func() error {
		b = l.request(b[:0], next)
		next += l.clients
		sent = append(sent, time.Now())
		_, err := w.conn.Write(b)
		return err
	}
	for next < l.n && len(sent) < max(l.window, 1) {
		if err := send(); err != nil {
			return nil, err
		}
	}
	for done := 0; done < len(sent); done++ {
		if _, err := w.reply(); err != nil {
			return nil, err
		}
		latency = append(latency, time.Since(sent[done]))
		if next < l.n {
			if err := send(); err != nil {
				return nil, err
			}
		}
	}
	return latency, nil
}
