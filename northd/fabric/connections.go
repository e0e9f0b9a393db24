package fabric

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/stats"
)

// connections writes a log line for each connection on which no stream was
// ever begun: a peer that does not speak gRPC.
type connections struct {
	logger  *slog.Logger
	garbage prometheus.Counter
}

type connectionKey struct{}

type connection struct {
	remote string
	calls  atomic.Int64
}

func (c *connections) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	conn := &connection{remote: "unknown"}
	if info.RemoteAddr != nil {
		conn.remote = info.RemoteAddr.String()
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}

func (c *connections) HandleConn(ctx context.Context, s stats.ConnStats) {
	conn, ok := ctx.Value(connectionKey{}).(*connection)
	if _, end := s.(*stats.ConnEnd); end && ok && conn.calls.Load() == 0 {
		c.garbage.Inc()
		c.logger.Warn("connection ended without a stream", "remote", conn.remote)
	}
}

func (c *connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if conn, ok := ctx.Value(connectionKey{}).(*connection); ok {
		conn.calls.Add(1)
	}
	return ctx
}

func (c *connections) HandleRPC(context.Context, stats.RPCStats) {}
