package fabric

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"govn/pkg/abi"
	"govn/pkg/rpc"
	"govn/proto"
	"govn/proto/state"
)

// session is what a chassis name has to do with streams.
type session struct {
	// events is held while Events is called for the name, and taken before
	// Server.mu. It guards current.
	events  sync.Mutex
	current *stream // whose events count

	// Guarded by Server.mu.
	refs   int // handlers that hold the chassis
	stream *stream
	last   ChassisStatus // of the stream before, when there is none
}

// stream is the one stream of a chassis. Three goroutines work on it: the
// handler, which waits for its end, the receiver and the sender.
//
//	            +-----------+  first   +---------+
//	chassis --> | receiver  | -------> | handler | -- returns: the stream ends
//	            |           |          +---------+    and with it the others
//	            |  events   |               ^ end
//	            +-----------+               |
//	                  | resync         +--------+
//	                  +--------------> | sender | --> chassis
//	                       Apply ----> |        |
//	                       wake        +--------+
type stream struct {
	*rpc.Life[*proto.FromChassis]

	server  *Server
	grpc    grpc.BidiStreamingServer[proto.FromChassis, proto.ToChassis]
	remote  string
	name    string
	chassis *chassis
	hello   *proto.Hello // only what the first frame needs; nil after it
	since   time.Time

	// Guarded by Server.mu.
	dirty   map[uint32]struct{} // datapaths to look at
	marked  uint64              // zone.batches of the last mark
	backlog int

	// Of the sender.
	view   view
	digest state.Digest
	nbCfg  int64
	framed uint64 // revision of the last frame

	bytes atomic.Uint64

	mu       sync.Mutex // guards what follows
	sent     uint64
	received uint64
	applied  uint64
	failed   []*proto.Failure
	unacked  []sentAt
	resync   bool // asked for
	inARow   int  // resyncs without a good acknowledgement between
	snapshot uint64
	resyncs  uint64
}

type sentAt struct {
	revision uint64
	at       time.Time
}

// maxUnacked is how many frames are remembered for the acknowledgement lag.
const maxUnacked = 256

// Attach is the handler of a chassis' stream.
func (s *Server) Attach(g grpc.BidiStreamingServer[proto.FromChassis, proto.ToChassis]) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	if s.stopped.Load() {
		return errNotLeader
	}
	st := &stream{
		Life: rpc.NewLife[*proto.FromChassis](), server: s, grpc: g, remote: "unknown", dirty: map[uint32]struct{}{}, view: view{},
	}
	if p, ok := peer.FromContext(g.Context()); ok {
		st.remote = p.Addr.String()
	}
	defer context.AfterFunc(s.ctx, func() { st.End(errClosed) })()
	s.wg.Go(st.receive)
	first, err := st.First(g.Context(), s.opts.HelloTimeout)
	var hello *proto.Hello
	if err == nil {
		hello, err = checkHello(first.GetHello())
	}
	if err != nil {
		s.metrics.garbage.Inc()
		s.logger.Warn("stream ended before hello", "remote", st.remote, "err", err)
		return err
	}
	return st.serve(hello)
}

// maxName is the length of the longest chassis name, in bytes.
const maxName = 255

// checkHello refuses a Hello that no controller sends.
func checkHello(h *proto.Hello) (*proto.Hello, error) {
	malformed := func(format string, args ...any) (*proto.Hello, error) {
		return nil, status.Errorf(codes.InvalidArgument, format, args...)
	}
	switch {
	case h == nil:
		return malformed("the first message is no hello")
	case len(h.Name) > maxName:
		return malformed("name of %d bytes", len(h.Name))
	case len(h.Digest) != 0 && len(h.Digest) != 16:
		return malformed("digest of %d bytes", len(h.Digest))
	case h.Revision != nil && len(h.Revision.Cluster) != 16:
		return malformed("cluster id of %d bytes", len(h.Revision.Cluster))
	}
	for _, b := range h.Bodies {
		if len(b) != 16 {
			return malformed("body hash of %d bytes", len(b))
		}
	}
	return h, nil
}

// judge says why a Hello is refused, or which abi frames are in.
func (s *Server) judge(h *proto.Hello) (uint32, error) {
	low := h.AbiMin
	if low == 0 {
		low = h.Abi
	}
	use := min(h.Abi, abi.Version)
	switch {
	case h.Name == "":
		return 0, errors.New("chassis without a name")
	case h.Abi == 0 || low > h.Abi || use < low || use < MinABI:
		return 0, fmt.Errorf("abi %d to %d of chassis %q is not among %d to %d", low, h.Abi, h.Name, MinABI, abi.Version)
	case h.Revision != nil && [16]byte(h.Revision.Cluster) == s.opts.Cluster && h.Revision.Term > s.opts.Term:
		return 0, fmt.Errorf("chassis %q has seen term %d, this northd is of %d", h.Name, h.Revision.Term, s.opts.Term)
	}
	return use, nil
}

// serve runs the stream from its Hello on.
func (st *stream) serve(h *proto.Hello) error {
	s := st.server
	st.name, st.since = h.Name, s.opts.Now()
	use, err := s.judge(h)
	if err == nil {
		err = st.identify(h.Name)
	}
	if err != nil {
		return st.refuse(err)
	}
	// Events may keep h; the sender needs these only.
	st.hello = &proto.Hello{Revision: h.Revision, Digest: h.Digest, Bodies: h.Bodies}
	if err := st.attach(h); err != nil {
		return st.refuse(err)
	}
	defer st.detach()
	ctx, cancel := context.WithCancel(st.grpc.Context())
	defer cancel()
	st.Accept()
	s.wg.Go(func() { st.End(st.run(ctx, use)) })
	return st.Wait(ctx, s.opts.SendTimeout, errStalled)
}

// refuse answers Hello with an error, and is the end of the stream.
func (st *stream) refuse(err error) error {
	s := st.server
	s.metrics.refused.Inc()
	s.logger.Warn("chassis refused", "chassis", st.name, "remote", st.remote, "err", err)
	_ = st.grpc.Send(&proto.ToChassis{Msg: &proto.ToChassis_Welcome{Welcome: &proto.Welcome{Error: err.Error()}}}) // it ends anyway
	return status.Error(codes.FailedPrecondition, err.Error())
}

// attach makes the stream that of its chassis. A stream that was there before
// ends.
func (st *stream) attach(h *proto.Hello) error {
	s := st.server
	s.mu.Lock()
	c := s.zone.chassisOf(st.name)
	c.session.refs++
	s.mu.Unlock()
	st.chassis = c

	c.session.events.Lock()
	defer c.session.events.Unlock()
	if err := st.grpc.Context().Err(); err != nil { // a dead stream replaces none
		s.mu.Lock()
		st.release()
		s.mu.Unlock()
		return err
	}
	if s.opts.Events != nil {
		if err := s.opts.Events.Hello(st.name, h); err != nil {
			s.mu.Lock()
			st.release()
			s.mu.Unlock()
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.session.current = st
	if old := c.session.stream; old != nil {
		old.End(errReplaced)
	} else {
		s.metrics.streams.Inc()
	}
	c.session.stream = st
	switch { // endAll comes after these are set, and takes s.mu
	case s.closed:
		st.End(errClosed)
	case s.stopped.Load():
		st.End(errNotLeader)
	}
	s.logger.Info("chassis connected", "chassis", st.name, "remote", st.remote)
	return nil
}

// release gives the chassis back; with Server.mu held.
func (st *stream) release() {
	st.chassis.session.refs--
	st.server.zone.forget(st.chassis)
}

// detach undoes attach.
func (st *stream) detach() {
	s, c := st.server, st.chassis
	now := s.opts.Now()
	c.session.events.Lock()
	defer c.session.events.Unlock()
	s.mu.Lock()
	if c.session.stream == st {
		c.session.stream = nil
		c.session.last = st.status()
		c.session.last.Connected, c.session.last.Since = false, now
		s.metrics.streams.Dec()
	}
	st.release()
	s.mu.Unlock()
	s.logger.Info("chassis lost", "chassis", st.name, "remote", st.remote, "err", st.Err())
	if c.session.current == st {
		c.session.current = nil
		if s.opts.Events != nil {
			s.opts.Events.Lost(st.name, now)
		}
	}
}

// deliver calls fn, unless another stream has taken the name over.
func (st *stream) deliver(fn func(Events)) {
	session := &st.chassis.session
	session.events.Lock()
	defer session.events.Unlock()
	if session.current == st && st.server.opts.Events != nil {
		fn(st.server.opts.Events)
	}
}

// receive reads what the chassis sends until the stream ends.
func (st *stream) receive() {
	s, ctx := st.server, st.grpc.Context()
	limit := bucket{rate: s.opts.ReportRate, burst: s.opts.ReportBurst}
	st.Receive(ctx, st.grpc.Recv, func(m *proto.FromChassis) error { return st.take(ctx, &limit, m) }, func(err error) {
		s.metrics.garbage.Inc()
		s.logger.Warn("chassis sends garbage", "chassis", st.name, "remote", st.remote, "err", err)
	})
}

// take handles one message after Hello.
func (st *stream) take(ctx context.Context, limit *bucket, m *proto.FromChassis) error {
	s := st.server
	cost := 1
	if r := m.GetReport(); r != nil {
		cost += len(r.InterfacesPut) + len(r.InterfacesGone) + len(r.FdbPut) + len(r.FdbGone)
	}
	waited, err := limit.take(ctx, cost)
	s.metrics.throttled.Add(waited.Seconds())
	if err != nil {
		return err
	}
	switch {
	case m.GetReport() != nil:
		r := m.GetReport()
		if n := r.GetConfig().GetName(); n != "" && n != st.name {
			return status.Errorf(codes.InvalidArgument, "report of chassis %q", n)
		}
		s.metrics.reports.Inc()
		st.deliver(func(e Events) { e.Report(st.name, r) })
	case m.GetAck() != nil:
		st.acked(m.GetAck())
	default:
		return status.Error(codes.InvalidArgument, "neither report nor ack")
	}
	return nil
}

// acked handles an acknowledgement. One that is about another cluster, or about
// what was not sent on this stream, tells nothing but that it wants a resync.
func (st *stream) acked(a *proto.Ack) {
	s := st.server
	now := time.Now()
	st.mu.Lock()
	known := func(r *proto.Revision) bool {
		return r == nil || string(r.Cluster) == string(s.opts.Cluster[:]) && r.Number <= st.sent
	}
	counts := known(a.Received) && known(a.Applied)
	if counts {
		st.received = max(st.received, a.GetReceived().GetNumber())
		st.applied = max(st.applied, a.GetApplied().GetNumber())
		st.failed = a.Failed
		for len(st.unacked) > 0 && st.unacked[0].revision <= st.applied {
			s.metrics.ackLag.Observe(now.Sub(st.unacked[0].at).Seconds())
			st.unacked = st.unacked[1:]
		}
		if !a.Resync && st.received >= st.snapshot {
			st.inARow = 0
		}
	}
	if a.Resync && !st.resync {
		st.resync = true
		st.resyncs++
		s.metrics.resyncs.Inc()
	}
	st.mu.Unlock()
	if a.Resync {
		s.logger.Warn("chassis asks for a snapshot: its digest differed", "chassis", st.name, "revision", a.GetReceived().GetNumber())
		st.Signal()
	}
	if counts {
		st.deliver(func(e Events) { e.Acked(st.name, a) })
	}
}

// status is that of a connected chassis; with Server.mu held.
func (st *stream) status() ChassisStatus {
	st.mu.Lock()
	defer st.mu.Unlock()
	return ChassisStatus{
		Name: st.name, Connected: true, Since: st.since, Sent: st.sent, Received: st.received, Applied: st.applied,
		Failed: st.failed, Backlog: st.backlog, BytesSent: st.bytes.Load(), Resyncs: st.resyncs,
	}
}
