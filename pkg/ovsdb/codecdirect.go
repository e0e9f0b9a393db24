package ovsdb

import (
	"net"
	"syscall"
)

// direct writes to a connection without waiting, so that an answer need not
// pass through the writer goroutine: most fit into the socket's buffer. It is
// nil for connections that are no sockets, such as TLS.
type direct struct{ raw syscall.RawConn }

func newDirect(conn net.Conn) *direct {
	switch conn.(type) {
	case *net.UnixConn, *net.TCPConn:
		if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil {
			return &direct{raw}
		}
	}
	return nil
}

// write sends as much of a message as the socket takes at once, and returns the
// rest. An error is left for the writer to find.
func (d *direct) write(m []byte) []byte {
	if d == nil {
		return m
	}
	rest := m
	_ = d.raw.Write(func(fd uintptr) bool {
		if n, err := syscall.Write(int(fd), m); err == nil && n > 0 {
			rest = m[n:]
		}
		return true // whatever happened, do not wait
	})
	return rest
}
