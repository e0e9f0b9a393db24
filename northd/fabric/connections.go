package fabric

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/stats"
)

// Listener wraps a listener so that a connection on which no stream ever began
// ends with a log line: its peer does not speak gRPC. gRPC itself is silent
// about those. It works together with ServerOptions.
func (s *Server) Listener(l net.Listener) net.Listener {
	return &listener{l, s.logger, s.metrics.garbage}
}

type listener struct {
	net.Listener
	logger  *slog.Logger
	garbage prometheus.Counter
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, listener: l}, nil
}

// connection is a connection that knows whether a stream began on it. Its
// remote address leads gRPC's callbacks back to it.
type connection struct {
	net.Conn
	listener *listener
	spoke    atomic.Bool
	once     sync.Once
}

type connectionAddr struct {
	net.Addr
	connection *connection
}

func (c *connection) RemoteAddr() net.Addr { return connectionAddr{c.Conn.RemoteAddr(), c} }

func (c *connection) Close() error {
	c.once.Do(func() {
		if !c.spoke.Load() {
			c.listener.garbage.Inc()
			c.listener.logger.Warn("connection ended without a stream", "remote", c.Conn.RemoteAddr().String())
		}
	})
	return c.Conn.Close()
}

// streamsBegin notes for each connection that a stream began on it.
type streamsBegin struct{}

type connectionKey struct{}

func (streamsBegin) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	if addr, ok := info.RemoteAddr.(connectionAddr); ok {
		return context.WithValue(ctx, connectionKey{}, addr.connection)
	}
	return ctx
}

func (streamsBegin) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok {
		c.spoke.Store(true)
	}
	return ctx
}

func (streamsBegin) HandleConn(context.Context, stats.ConnStats) {}

func (streamsBegin) HandleRPC(context.Context, stats.RPCStats) {}
