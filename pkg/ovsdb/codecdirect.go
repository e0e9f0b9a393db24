package ovsdb

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct reads from and writes to a socket without waiting, so that an answer need not
// pass through the writer goroutine: most fit into the socket's buffer. It is nil for
// connections that are no sockets, such as TLS.
//
// It does so without telling Go's scheduler, as one tells it of calls that may block.
// Sending wakes the peer, which takes the processor at once where there are few: a thread
// that the scheduler knew to be in a system call would lose its right to run Go code to
// another one meanwhile, and the next request of the peer would wait until the kernel
// gives that thread a turn, which takes milliseconds.
type direct struct {
	raw syscall.RawConn

	// Of the read and of the write under way; the functions are made once.
	in, out          []byte
	got, put         int
	failed           unix.Errno
	reading, writing func(fd uintptr) bool
}

// directMost is how much is sent or received without telling the scheduler, in bytes:
// copying it takes a few microseconds.
const directMost = 16 << 10

func newDirect(conn net.Conn) *direct {
	switch conn.(type) {
	case *net.UnixConn, *net.TCPConn:
		if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil {
			d := &direct{raw: raw}
			d.reading, d.writing = d.receive, d.send
			return d
		}
	}
	return nil
}

// write sends as much of a message as the socket takes at once, and returns the
// rest. An error is left for the writer to find.
func (d *direct) write(m []byte) []byte {
	if d == nil || len(m) == 0 {
		return m
	}
	d.out, d.put = m, 0
	_ = d.raw.Write(d.writing)
	d.out = nil
	return m[d.put:]
}

func (d *direct) send(fd uintptr) bool {
	d.put, _ = transfer(unix.SYS_SENDTO, fd, d.out, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return true // whatever happened, do not wait
}

// read is Read of a connection that has a direct.
func (d *direct) read(b []byte) (int, error) {
	d.in = b
	err := d.raw.Read(d.reading)
	d.in = nil
	switch {
	case err != nil:
		return 0, err
	case d.failed != 0:
		return 0, os.NewSyscallError("recvfrom", d.failed)
	case d.got == 0:
		return 0, io.EOF
	}
	return d.got, nil
}

// receive tells whether there is something, or an error; if not, the runtime waits.
func (d *direct) receive(fd uintptr) bool {
	d.got, d.failed = transfer(unix.SYS_RECVFROM, fd, d.in, unix.MSG_DONTWAIT)
	return d.failed != unix.EAGAIN
}

// transfer is sendto or recvfrom without an address.
func transfer(call, fd uintptr, b []byte, flags uintptr) (int, unix.Errno) {
	for {
		var n uintptr
		var err unix.Errno
		if len(b) <= directMost {
			n, _, err = unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
		} else {
			n, _, err = unix.Syscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
		}
		switch err {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}
