package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"govn/pkg/unixsocket"
)

// defaultPort is that of OVSDB (ovsdb(7), "Connection Methods").
const defaultPort = 6640

// ErrAddress is returned for a connection method that cannot be read.
var ErrAddress = errors.New("bad connection method")

// Address is a connection method of ovsdb(7), read.
//
//	tcp:HOST[:PORT]    ssl:HOST[:PORT]    unix:PATH      the server connects
//	ptcp:[PORT][:HOST] pssl:[PORT][:HOST] punix:PATH     the server listens
type Address struct {
	// Kind is the word before the first colon.
	Kind string
	// Host is a name or an IP address without brackets; empty where a listener
	// listens on all IPv4 addresses.
	Host string
	// Port is 0 where the kernel is to choose a listener's port.
	Port uint16
	// Path is that of a unix socket.
	Path string
}

// ParseAddress reads a connection method. IPv6 addresses stand in brackets.
func ParseAddress(s string) (a Address, err error) {
	bad := func(format string, args ...any) (Address, error) {
		return Address{}, fmt.Errorf("%w %q: "+format, append([]any{ErrAddress, s}, args...)...)
	}
	kind, rest, _ := strings.Cut(s, ":")
	a.Kind = kind
	port := ""
	switch kind {
	case "unix", "punix":
		if a.Path = rest; rest == "" {
			return bad("a path is expected after %q", kind+":")
		}
		return a, nil
	case "tcp", "ssl":
		if a.Host, port, err = cutHost(rest, true); err != nil {
			return bad("%w", err)
		}
		if a.Host == "" {
			return bad("a host is expected after %q", kind+":")
		}
	case "ptcp", "pssl":
		if port, a.Host, _ = strings.Cut(rest, ":"); a.Host != "" {
			host, more, err := cutHost(a.Host, false)
			if err != nil {
				return bad("%w", err)
			}
			if more != "" {
				return bad("nothing is expected after the host")
			}
			a.Host = host
		}
	default:
		return bad("ptcp:[PORT][:HOST], pssl:[PORT][:HOST], punix:PATH, tcp:HOST[:PORT], ssl:HOST[:PORT] or unix:PATH is expected")
	}
	a.Port = defaultPort
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 && !a.Passive() {
			return bad("%q is no port", port)
		}
		a.Port = uint16(n)
	}
	return a, nil
}

// cutHost splits HOST:REST, where HOST may be an IPv6 address in brackets, or, if
// nothing can follow it, without.
func cutHost(s string, follows bool) (host, rest string, err error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok = strings.Cut(inner, "]")
		if !ok || host == "" || rest != "" && rest[0] != ':' {
			return "", "", errors.New("an IPv6 address stands in brackets, [ADDRESS]")
		}
		return host, strings.TrimPrefix(rest, ":"), nil
	}
	if strings.Count(s, ":") > 1 {
		if !follows && net.ParseIP(s) != nil {
			return s, "", nil
		}
		return "", "", errors.New("an IPv6 address stands in brackets, [ADDRESS]")
	}
	host, rest, _ = strings.Cut(s, ":")
	return host, rest, nil
}

// activeAddress reads a connection method by which a client connects.
func activeAddress(remote string) (Address, error) {
	a, err := ParseAddress(remote)
	if err == nil && a.Passive() {
		err = fmt.Errorf("%w %q: a client connects, by unix:PATH, tcp:HOST[:PORT] or ssl:HOST[:PORT]", ErrAddress, remote)
	}
	if err != nil {
		return Address{}, fmt.Errorf("ovsdb: %w", err)
	}
	return a, nil
}

// CheckRemote tells whether [NewGuard] can connect to a remote, as far as that can
// be seen from its text. The error wraps [ErrAddress].
func CheckRemote(remote string) error {
	_, err := activeAddress(remote)
	return err
}

// Passive tells whether the server listens.
func (a Address) Passive() bool { return strings.HasPrefix(a.Kind, "p") }

// TLS tells whether connections are encrypted.
func (a Address) TLS() bool { return strings.HasSuffix(a.Kind, "ssl") }

// Local tells whether it is a unix socket.
func (a Address) Local() bool { return strings.HasSuffix(a.Kind, "unix") }

// hostPort is for package net.
func (a Address) hostPort() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// listen opens a passive address; dscp marks its packets. A stale socket file is
// replaced. ours are listeners that may have the same port at another address: one
// of 127.0.0.1 does not keep us from listening on all others.
func (a Address) listen(dscp int, ours []*net.TCPListener) (net.Listener, error) {
	if !a.Local() {
		// Without a host, IPv4 only, as ovn-nb(5) has it.
		network := "tcp"
		if a.Host == "" {
			network = "tcp4"
		}
		c := net.ListenConfig{Control: markDSCP(dscp)}
		l, err := c.Listen(context.Background(), network, a.hostPort())
		if errors.Is(err, syscall.EADDRINUSE) && len(ours) > 0 {
			return a.listenBeside(network, dscp, ours)
		}
		return l, err
	}
	l, err := unixsocket.Listen(a.Path)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// listenBeside opens a TCP port that listeners of ours have at other addresses. The
// kernel allows that to sockets with SO_REUSEPORT, which they have for no longer
// than it takes, so that no other process can join them.
func (a Address) listenBeside(network string, dscp int, ours []*net.TCPListener) (net.Listener, error) {
	for _, l := range ours {
		if raw, err := l.SyscallConn(); err == nil {
			if err := setReusePort(raw, 1); err != nil {
				return nil, err
			}
			defer setReusePort(raw, 0)
		}
	}
	mark := markDSCP(dscp)
	c := net.ListenConfig{Control: func(network, address string, raw syscall.RawConn) error {
		if mark != nil {
			if err := mark(network, address, raw); err != nil {
				return err
			}
		}
		return setReusePort(raw, 1)
	}}
	l, err := c.Listen(context.Background(), network, a.hostPort())
	if err != nil {
		return nil, err
	}
	if raw, err := l.(*net.TCPListener).SyscallConn(); err == nil {
		err = setReusePort(raw, 0)
		if err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

func setReusePort(raw syscall.RawConn, on int) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, on) })
	return errors.Join(err, failed)
}

// dial connects to an active address, in the clear.
func (a Address) dial(ctx context.Context, dscp int) (net.Conn, error) {
	if a.Local() {
		return (&net.Dialer{}).DialContext(ctx, "unix", a.Path)
	}
	return (&net.Dialer{Control: markDSCP(dscp)}).DialContext(ctx, "tcp", a.hostPort())
}

// markDSCP sets the DSCP, the upper six bits of the type of service, of a socket.
func markDSCP(dscp int) func(network, address string, c syscall.RawConn) error {
	if dscp == 0 {
		return nil
	}
	return func(network, _ string, c syscall.RawConn) error {
		level, name := syscall.IPPROTO_IP, syscall.IP_TOS
		if strings.HasSuffix(network, "6") {
			level, name = syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS
		}
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), level, name, dscp<<2) })
		if err == nil && failed != nil {
			err = fmt.Errorf("dscp %d: %w", dscp, failed)
		}
		return err
	}
}

// ListenRemote listens on a passive address in the clear: "ptcp:[PORT][:HOST]" or
// "punix:PATH".
func ListenRemote(remote string) (net.Listener, error) {
	a, err := ParseAddress(remote)
	if err == nil && (!a.Passive() || a.TLS()) {
		err = fmt.Errorf("%w: ptcp:[PORT][:HOST] or punix:PATH is expected", ErrAddress)
	}
	if err != nil {
		return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
	}
	l, err := a.listen(0, nil)
	if err != nil {
		return nil, fmt.Errorf("ovsdb: remote %q: %w", remote, err)
	}
	return l, nil
}
