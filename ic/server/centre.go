package server

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"govn/pkg/interconnect"
	"govn/pkg/ovsdb"
	"govn/pkg/rpc"
	"govn/proto/ic"
)

// CentreOptions are the options of newCentre. All are optional.
type CentreOptions struct {
	// Lease is how long routes outlive the last sign of their zone. Default 15 s.
	Lease time.Duration
	// NoStockLease leaves the routes of zones that are written by OVSDB for ever.
	NoStockLease bool
	// NoOwnership lets every OVSDB client write the rows of every zone.
	NoOwnership bool

	// HelloTimeout is for the first message of a stream. Default 10 s.
	HelloTimeout time.Duration
	// SendTimeout is how long a zone may not read before its stream ends. Default 1
	// min.
	SendTimeout time.Duration
	// MaxStreams is how many streams there may be. Default 4096.
	MaxStreams int
	// MaxZones is how many zones there may be before no further one may join or be
	// made by an OVSDB client. Default 4096.
	MaxZones int
	// MaxItems is how many gateways, ports and routes a zone may publish. Default
	// 100000.
	MaxItems int
	// MaxBytes is how much memory, about, what a zone publishes may take. Default
	// 128 MiB.
	MaxBytes int
	// MaxBacklog is how many items a stream may be behind, before it gets everything
	// again instead. Default 10000.
	MaxBacklog int

	Logger   *slog.Logger
	Registry prometheus.Registerer
}

func (o CentreOptions) withDefaults() CentreOptions {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	number := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&o.Lease, 15*time.Second)
	def(&o.HelloTimeout, 10*time.Second)
	def(&o.SendTimeout, time.Minute)
	number(&o.MaxStreams, 4096)
	number(&o.MaxZones, 4096)
	number(&o.MaxItems, 100_000)
	number(&o.MaxBytes, 128<<20)
	number(&o.MaxBacklog, 10_000)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Centre is the interconnection at work on a store, without any socket: the gRPC
// service, keys, leases, and what OVSDB clients may write.
type Centre struct {
	ic.UnimplementedInterconnectServer

	o       CentreOptions
	log     *slog.Logger
	metrics *metrics
	columns *columns
	store   *ovsdb.Store
	born    time.Time
	sub     *ovsdb.Subscription
	hub     *hub
	zones   *registry
	keys    interconnect.TransitKeys // of transit switches; of the goroutine that follows the store

	starting *ovsdb.Snapshot // of begin, while it runs
	joining  sync.Mutex      // one zone joins at a time
	streams  atomic.Int64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // all goroutines and handlers of streams
	ending sync.Mutex     // guards ended
	ended  bool
}

// newCentre takes in what a store holds. Run goes on from there, and Close ends
// it.
func newCentre(ctx context.Context, store *ovsdb.Store, columns *columns, o CentreOptions) *Centre {
	o = o.withDefaults()
	c := &Centre{o: o, log: o.Logger, columns: columns, store: store, born: time.Now(), hub: newHub(columns), zones: newRegistry()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.metrics = newMetrics(o.Registry, c)
	sn, sub := store.SubscribeSnapshot()
	c.sub = sub
	c.zones.load(columns, sn, time.Now())
	c.loadKeys(sn)
	c.begin(ctx, sn)
	return c
}

// Run follows the store until ctx ends.
func (c *Centre) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.follow(ctx) })
	g.Go(func() error { return c.keepLeases(ctx) })
	return g.Wait()
}

// Close ends all streams and waits for everything that they started.
func (c *Centre) Close() {
	c.ending.Lock()
	c.ended = true
	c.ending.Unlock()
	c.cancel()
	c.wg.Wait()
	c.sub.Close()
}

// Register adds the service to a gRPC server, which should have been made with
// ServerOptions.
func (c *Centre) Register(g *grpc.Server) { ic.RegisterInterconnectServer(g, c) }

// Limits of a message that a zone may send. Agents put 2,000 items into one, of
// some 300 bytes and 20 fields.
const (
	maxMessage = 16 << 20 // bytes
	maxFields  = 400_000
)

// ServerOptions are the options that the gRPC server should have: limits of what a
// peer can send, and keepalive.
func (c *Centre) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ForceServerCodecV2(rpc.Codec(maxFields)),
		grpc.MaxConcurrentStreams(8),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(c.o.HelloTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	}
}
