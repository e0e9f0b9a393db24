package fabric

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"govn/pkg/abi"
	"govn/proto"
	"govn/proto/state"
)

// MinABI is the oldest abi that a chassis may be of: the current one and the
// one before it are supported.
const MinABI = max(1, abi.Version-1)

// Server is the fabric of one zone. Use New.
type Server struct {
	proto.UnimplementedFabricServer

	opts    Options
	logger  *slog.Logger
	metrics *metrics
	gate    *gate
	slots   chan struct{} // one token per snapshot that is being sent

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // all goroutines and handlers

	stopped atomic.Bool
	ready   chan struct{} // closed by the first Apply

	mu     sync.Mutex // guards what follows and the sessions
	zone   *zone
	begun  bool // ready is closed
	closed bool
}

// New returns a server that holds nothing. Close ends it.
func New(opts Options) *Server {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.LogKeys == 0 {
		opts.LogKeys = 4096
	}
	if opts.MaxSnapshots <= 0 {
		opts.MaxSnapshots = 8
	}
	if opts.ChunkSize <= 0 {
		opts.ChunkSize = state.MaxChunk
	}
	if opts.ReportRate <= 0 {
		opts.ReportRate = 2000
	}
	if opts.ReportBurst <= 0 {
		opts.ReportBurst = 100000
	}
	def(&opts.HelloTimeout, 10*time.Second)
	def(&opts.SendTimeout, 2*time.Minute)
	def(&opts.ResyncDelay, 100*time.Millisecond)
	s := &Server{
		opts: opts, logger: opts.Logger, slots: make(chan struct{}, opts.MaxSnapshots),
		ready: make(chan struct{}), zone: newZone(opts.Logger, opts.LogKeys),
		gate: newGate(opts.WaitDurable, opts.Logger),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.metrics = newMetrics(opts.Registry, s.worstBacklog)
	if opts.WaitDurable != nil {
		s.wg.Go(func() { s.gate.run(s.ctx) })
	}
	return s
}

// Register adds the service to a gRPC server, which should have been made with
// ServerOptions and serve a Listener:
//
//	g := grpc.NewServer(s.ServerOptions()...)
//	s.Register(g)
//	err := g.Serve(s.Listener(l))
func (s *Server) Register(g *grpc.Server) { proto.RegisterFabricServer(g, s) }

// ServerOptions are the options that the gRPC server should have: limits of
// what a peer can send, keepalive, and what Listener needs.
func (s *Server) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(state.MaxMessage),
		grpc.MaxConcurrentStreams(8),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(s.opts.HelloTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.StatsHandler(streamsBegin{}),
	}
}

// Apply makes one batch the desired state. It does not wait for any chassis.
// The values in the batch belong to the server afterwards.
func (s *Server) Apply(b Batch) {
	bodies := make([]*item, len(b.Bodies))
	for i, ch := range b.Bodies {
		if ch.Value != nil {
			bodies[i] = newItem(bodyKey(ch.Hash), ch.Value, false)
		}
	}
	items := make([]*item, len(b.Items))
	for i, ch := range b.Items {
		if ch.Value != nil {
			items[i] = newItem(ch.Key, ch.Value, ch.Critical)
		}
	}
	groups := make([]*item, len(b.HAGroups))
	for i, ch := range b.HAGroups {
		if ch.Value != nil {
			groups[i] = newItem(haGroupKey(ch.Key), ch.Value, true)
		}
	}
	s.mu.Lock()
	awake := s.zone.apply(&b, bodies, items, groups)
	if !s.begun {
		s.begun = true
		close(s.ready)
	}
	s.mu.Unlock()
	for _, st := range awake {
		st.Signal()
	}
}

// StopSending ends all streams and refuses new ones: northd lost its lease. A
// chunk that is on its way into the transport may still arrive, none after it;
// the chassis refuse it anyway when they have heard of a higher term.
func (s *Server) StopSending() {
	s.stopped.Store(true)
	s.endAll(errNotLeader)
}

var (
	errNotLeader = status.Error(codes.Unavailable, "this northd does not lead")
	errClosed    = status.Error(codes.Unavailable, "northd ends")
	errStalled   = status.Error(codes.DeadlineExceeded, "chassis does not read")
	errReplaced  = status.Error(codes.Aborted, "another stream has the name")
)

func (s *Server) endAll(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.zone.chassis {
		if c.session.stream != nil {
			c.session.stream.End(err)
		}
	}
}

// Close ends all streams and waits for everything that the server started.
// Apply may still be called, to no effect on anybody.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stopped.Store(true)
	s.endAll(errClosed)
	s.cancel()
	s.wg.Wait()
}

// Status tells about every chassis that is known or connected, by name.
func (s *Server) Status() []ChassisStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ChassisStatus, 0, len(s.zone.chassis))
	for _, c := range s.zone.chassis {
		st := c.session.last
		if c.session.stream != nil {
			st = c.session.stream.status()
		}
		st.Name, st.Local = c.name, len(c.local)
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b ChassisStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (s *Server) worstBacklog() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	worst := 0
	for _, c := range s.zone.chassis {
		if st := c.session.stream; st != nil {
			worst = max(worst, st.backlog)
		}
	}
	return float64(worst)
}
