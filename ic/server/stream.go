package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"govn/pkg/ovsdb"
	"govn/pkg/rpc"
	"govn/proto/ic"
)

// stream is the one stream of a zone. Four goroutines work on it: the handler,
// which waits for its end, the receiver, the sender and the writer.
//
//	         +----------+ Publish  +--------+   one transaction
//	zone --> | receiver | -------> | writer | --------------------> databases
//	         +----------+          +--------+                           |
//	               | Heartbeat         | Published                     hub
//	               |          +--------+                                |
//	               +--------> | sender | <------------------------------+
//	         zone <---------- +--------+     what changed for the zone
type stream struct {
	*rpc.Life[*ic.FromZone]

	centre *Centre
	grpc   grpc.BidiStreamingServer[ic.FromZone, ic.ToZone]
	who    principal
	zone   ovsdb.UUID // its row in Availability_Zone
	id     string     // 32 hexadecimal digits
	called string     // its name when it joined, or was renamed; of admit, then of the writer

	// Guarded by hub.mu.
	whole bool         // everything is to be sent
	dirty map[key]bool // items to be sent; whether the zone knows of one

	heard atomic.Int64 // nanoseconds of the centre's life at the last message

	outbox outbox
	wishes wishes
}

// outbox is what is to be sent beside updates; only the last of each kind counts.
type outbox struct {
	mu        sync.Mutex
	heartbeat *ic.Heartbeat
	published *ic.Published
}

// lastHeard is when the zone said something. Nobody who sets the clock changes how
// long ago that is.
func (st *stream) lastHeard() time.Time { return st.centre.born.Add(time.Duration(st.heard.Load())) }

// Join is the handler of a zone's stream.
func (c *Centre) Join(g grpc.BidiStreamingServer[ic.FromZone, ic.ToZone]) error {
	c.ending.Lock()
	if c.ended {
		c.ending.Unlock()
		return errEnds
	}
	c.wg.Add(1)
	c.ending.Unlock()
	defer c.wg.Done()
	if c.streams.Add(1) > int64(c.o.MaxStreams) {
		c.streams.Add(-1)
		c.metrics.refusedStreams.Inc()
		return status.Errorf(codes.ResourceExhausted, "%d zones are connected", c.o.MaxStreams)
	}
	defer c.streams.Add(-1)
	st := &stream{
		Life: rpc.NewLife[*ic.FromZone](), centre: c, grpc: g, who: principalOf(g.Context()), dirty: make(map[key]bool), whole: true,
	}
	if st.who.nameless {
		c.metrics.refusedStreams.Inc()
		c.log.Warn("a zone was refused: its certificate has no common name", "remote", st.who.String())
		return status.Error(codes.PermissionDenied, "the certificate has no common name, to which the zone could be bound")
	}
	st.wishes.init()
	ctx, cancel := context.WithCancel(g.Context())
	defer cancel()
	defer context.AfterFunc(c.ctx, func() { st.End(errEnds) })()
	c.wg.Go(func() {
		st.Receive(g.Context(), st.recv, func(m *ic.FromZone) error { return st.take(g.Context(), m) }, st.garbage)
	})
	first, err := st.First(ctx, c.o.HelloTimeout)
	var hello *ic.Hello
	if err == nil {
		hello, err = checkHello(first.GetHello())
	}
	if err != nil {
		c.metrics.garbage.Inc()
		c.log.Warn("a stream ended before its hello", "remote", st.who.String(), "err", err)
		return err
	}
	welcome, err := c.admit(ctx, st, hello)
	if err != nil {
		c.metrics.refusedStreams.Inc()
		c.log.Warn("a zone was refused", "zone", hello.Name, "remote", st.who.String(), "err", err)
		return err
	}
	defer c.leave(st)
	return st.serve(ctx, welcome)
}

// maxName is the length of the longest name, in bytes.
const maxName = 255

// checkHello refuses a Hello that no agent sends.
func checkHello(h *ic.Hello) (*ic.Hello, error) {
	if h == nil {
		return nil, status.Error(codes.InvalidArgument, "the first message is no hello")
	}
	if len(h.Zone) != 16 || [16]byte(h.Zone) == [16]byte{} {
		return nil, status.Errorf(codes.InvalidArgument, "zone %x: an id has 16 bytes, not all of them zero", h.Zone[:min(len(h.Zone), 32)])
	}
	if err := checkName(h.Name); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "name of the zone: %v", err)
	}
	return h, nil
}

func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%d bytes; 1 to %d are allowed", len(name), maxName)
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%q has a control character", name)
		}
	}
	return nil
}

var (
	errEnds     = status.Error(codes.Unavailable, "the interconnection's centre ends")
	errReplaced = status.Error(codes.Aborted, "another stream of the zone began")
	errSilent   = status.Error(codes.DeadlineExceeded, "the lease ran out: the zone said nothing")
	errStalled  = status.Error(codes.DeadlineExceeded, "the zone does not read")
)

// serve runs the stream from its Welcome on.
func (st *stream) serve(ctx context.Context, welcome *ic.Welcome) error {
	c := st.centre
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	c.hub.attach(st)
	defer c.hub.detach(st)
	workers.Go(func() { st.End(st.send(ctx, welcome)) })
	workers.Go(func() { st.End(st.write(ctx)) })
	st.Accept()
	return st.Wait(ctx, c.o.SendTimeout, errStalled)
}

func (h *hub) attach(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[st] = true
	st.Signal()
}

func (h *hub) detach(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, st)
}

// recv is the next message of the zone.
func (st *stream) recv() (*ic.FromZone, error) {
	m, err := st.grpc.Recv()
	if err == nil {
		st.heard.Store(int64(time.Since(st.centre.born)))
	}
	return m, err
}

func (st *stream) garbage(err error) {
	st.centre.metrics.garbage.Inc()
	st.centre.log.Warn("a zone sends garbage", "zone", st.id, "remote", st.who.String(), "err", err)
}

// take handles one message after Hello.
func (st *stream) take(ctx context.Context, m *ic.FromZone) error {
	c := st.centre
	switch {
	case m.GetHeartbeat() != nil:
		c.zones.renew(st)
		st.outbox.mu.Lock()
		st.outbox.heartbeat = m.GetHeartbeat()
		st.outbox.mu.Unlock()
		st.Signal()
		return nil
	case m.GetPublish() != nil:
		c.zones.renew(st)
		return st.publish(ctx, m.GetPublish())
	case m.GetRename() != nil:
		c.zones.renew(st)
		name := m.GetRename().Name
		if err := checkName(name); err != nil {
			return status.Errorf(codes.InvalidArgument, "name of the zone: %v", err)
		}
		st.wishes.rename(name)
		return nil
	}
	return status.Error(codes.InvalidArgument, "neither publish, heartbeat nor rename")
}

// send is the sender: it welcomes the zone, and tells it what there is.
func (st *stream) send(ctx context.Context, welcome *ic.Welcome) error {
	if err := st.emit(&ic.ToZone{Msg: &ic.ToZone_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	for {
		select {
		case <-st.Wake():
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
		st.outbox.mu.Lock()
		heartbeat, published := st.outbox.heartbeat, st.outbox.published
		st.outbox.heartbeat, st.outbox.published = nil, nil
		st.outbox.mu.Unlock()
		if heartbeat != nil {
			if err := st.emit(&ic.ToZone{Msg: &ic.ToZone_Heartbeat{Heartbeat: heartbeat}}); err != nil {
				return err
			}
		}
		if published != nil {
			if err := st.emit(&ic.ToZone{Msg: &ic.ToZone_Published{Published: published}}); err != nil {
				return err
			}
		}
		if err := st.sendUpdate(ctx); err != nil {
			return err
		}
	}
}

func (st *stream) emit(m *ic.ToZone) error {
	defer st.Sends()()
	return st.grpc.Send(m)
}

// pieceItems is how many items go into one message. An item has some hundred
// bytes, and clients of gRPC take 4 MB.
const pieceItems = 2000

// sendUpdate sends what the zone does not know yet, once it is durable.
func (st *stream) sendUpdate(ctx context.Context) error {
	c := st.centre
	whole, revision, put, gone := c.hub.capture(st)
	if !whole && len(put)+len(gone) == 0 {
		return nil
	}
	if err := c.store.WaitDurable(ctx, revision); err != nil {
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		return status.Errorf(codes.Unavailable, "the databases cannot be written: %v", err)
	}
	kind := "difference"
	if whole {
		kind = "whole"
	}
	for first := true; first || len(put)+len(gone) > 0; first = false {
		u := &ic.Update{Whole: whole && first, Revision: revision}
		n := min(len(gone), pieceItems)
		for _, k := range gone[:n] {
			k.gone(u)
		}
		gone = gone[n:]
		m := min(len(put), pieceItems-n)
		for _, it := range put[:m] {
			it.put(u)
		}
		put = put[m:]
		u.More = len(put)+len(gone) > 0
		c.metrics.items.WithLabelValues(kind).Add(float64(n + m))
		if err := st.emit(&ic.ToZone{Msg: &ic.ToZone_Update{Update: u}}); err != nil {
			return err
		}
	}
	c.metrics.updates.WithLabelValues(kind).Inc()
	return nil
}

// capture takes what a stream is to be told.
func (h *hub) capture(st *stream) (whole bool, revision uint64, put []*item, gone []key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settling {
		return false, 0, nil, nil // it is woken afterwards
	}
	if st.whole {
		st.whole = false
		for _, it := range h.items {
			if h.visible(it, st.zone) {
				put = append(put, it)
			}
		}
		return true, h.revision, put, nil
	}
	for k, had := range st.dirty {
		it := h.items[k]
		switch {
		case it != nil && h.visible(it, st.zone):
			put = append(put, it)
		case had:
			gone = append(gone, k)
		}
	}
	clear(st.dirty)
	return false, h.revision, put, gone
}
