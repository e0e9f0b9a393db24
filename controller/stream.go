package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"govn/controller/vswitch"
	"govn/pkg/certs"
	"govn/pkg/rpc"
	"govn/proto"
)

// Times and sizes of the stream to northd.
const (
	streamRetryFirst = 100 * time.Millisecond
	streamRetryMax   = 2 * time.Second
	streamProbe      = 10 * time.Second // of silence, then as long for an answer
	inboxLength      = 16               // chunks not looked at yet; northd is held back behind them
)

// stream keeps one Attach call to northd alive. The loop gives it what to say
// and takes what it hears.
//
//	       setRemote        hello()           outbox (ack, report)
//	loop ------------> dial -------> Hello ------------------------> northd
//	     <-------------------------------- inbox (welcome, frames, lost)
type stream struct {
	log    *slog.Logger
	keys   *certs.Loader // for ssl
	target chan target
	asks   chan ask // the loop answers with the state as it is
	inbox  chan heard
	wake   chan struct{}

	mu     sync.Mutex
	ack    *proto.Ack
	report *proto.Report
	status streamStatus
}

// streamStatus is what connection-status tells.
type streamStatus struct {
	Remote    string
	Connected bool
	Since     time.Time
	Attempts  uint64
	LastError string
}

// ask is a session's question for its Hello. Frames of earlier sessions that
// are still in the inbox no longer count after the answer.
type ask struct {
	session uint64
	answer  chan<- *proto.Hello
}

// heard is an event of the stream.
type heard struct {
	session uint64
	welcome *proto.Welcome
	frame   *proto.Frame
	lost    error
}

func newStream(log *slog.Logger, keys *certs.Loader) *stream {
	return &stream{
		log: log, keys: keys, target: make(chan target, 1), asks: make(chan ask),
		inbox: make(chan heard, inboxLength), wake: make(chan struct{}, 1),
	}
}

// target is whom to connect to, and as whom. No remote: nobody.
type target struct{ remote, name string }

// setTarget takes the place of an earlier target; another one than that of the
// session ends the session.
func (s *stream) setTarget(t target) {
	select {
	case <-s.target:
	default:
	}
	s.target <- t
}

// sendAck replaces the ack that has not been sent yet; acks are levels.
func (s *stream) sendAck(a *proto.Ack) {
	s.mu.Lock()
	if s.ack != nil && s.ack.Resync {
		a.Resync = true
	}
	s.ack = a
	s.mu.Unlock()
	s.kick()
}

// sendReport adds to the report that has not been sent yet.
func (s *stream) sendReport(r *proto.Report) {
	s.mu.Lock()
	s.report = mergeReports(s.report, r)
	s.mu.Unlock()
	s.kick()
}

// forget drops what has not been sent: Hello will say it.
func (s *stream) forget() {
	s.mu.Lock()
	s.ack, s.report = nil, nil
	s.mu.Unlock()
}

func (s *stream) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) current() streamStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *stream) note(fn func(*streamStatus)) {
	s.mu.Lock()
	fn(&s.status)
	s.mu.Unlock()
}

// run connects, and connects again, until ctx ends.
func (s *stream) run(ctx context.Context) {
	var at target
	delay := streamRetryFirst
	for session := uint64(1); ; session++ {
		for at.remote == "" {
			select {
			case <-ctx.Done():
				return
			case at = <-s.target:
			}
		}
		s.note(func(st *streamStatus) { st.Remote, st.Attempts = at.remote, st.Attempts+1 })
		next, welcomed, err := s.attempt(ctx, at, session)
		if ctx.Err() != nil {
			return
		}
		s.note(func(st *streamStatus) { st.Connected, st.Since, st.LastError = false, time.Now(), fmt.Sprint(err) })
		if welcomed {
			delay = streamRetryFirst
			if !s.tell(ctx, heard{session: session, lost: err}) {
				return
			}
		}
		if next != at {
			s.log.Info("northd to connect to changed", "from", at.remote, "to", next.remote, "chassis", next.name)
			at, delay = next, streamRetryFirst
			continue
		}
		jittered := delay/2 + rand.N(delay)
		s.log.Warn("no connection to northd", "remote", at.remote, "err", err, "retry", jittered)
		timer := time.NewTimer(jittered)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case at = <-s.target:
			timer.Stop()
		}
		delay = min(2*delay, streamRetryMax)
	}
}

// attempt runs one session, and ends it when the target changes.
func (s *stream) attempt(ctx context.Context, at target, session uint64) (next target, welcomed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		welcomed, err = s.session(ctx, at.remote, session)
	}()
	next = at
	for {
		select {
		case <-done:
			return next, welcomed, err
		case next = <-s.target:
			if next != at {
				cancel()
			}
		}
	}
}

func (s *stream) tell(ctx context.Context, h heard) bool {
	select {
	case s.inbox <- h:
		return true
	case <-ctx.Done():
		return false
	}
}

// session is one Attach call. welcomed tells whether northd accepted.
func (s *stream) session(ctx context.Context, remote string, session uint64) (welcomed bool, err error) {
	conn, err := rpc.Dial(vswitch.FirstRemote(remote), s.keys,
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: streamProbe, Timeout: streamProbe}))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := proto.NewFabricClient(conn).Attach(ctx)
	if err != nil {
		return false, err
	}
	answer := make(chan *proto.Hello, 1)
	select {
	case s.asks <- ask{session, answer}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	hello := <-answer
	if err := call.Send(&proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: hello}}); err != nil {
		return false, recvError(call, err)
	}
	first, err := call.Recv()
	if err != nil {
		return false, err
	}
	w := first.GetWelcome()
	switch {
	case w == nil:
		return false, errors.New("northd sent something before its welcome")
	case w.Error != "":
		return false, fmt.Errorf("northd refuses this chassis: %s", w.Error)
	}
	s.log.Info("connected to northd", "remote", remote, "abi", w.Abi)
	s.note(func(st *streamStatus) { st.Connected, st.Since, st.LastError = true, time.Now(), "" })
	if !s.tell(ctx, heard{session: session, welcome: w}) {
		return true, ctx.Err()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		s.talk(ctx, call)
	})
	defer wg.Wait()
	defer cancel()
	for {
		m, err := call.Recv()
		if err != nil {
			return true, err
		}
		if f := m.GetFrame(); f != nil && !s.tell(ctx, heard{session: session, frame: f}) {
			return true, ctx.Err()
		}
	}
}

// talk sends what is in the outbox until ctx ends or sending fails.
func (s *stream) talk(ctx context.Context, call grpc.BidiStreamingClient[proto.FromChassis, proto.ToChassis]) {
	for {
		s.mu.Lock()
		ack, report := s.ack, s.report
		s.ack, s.report = nil, nil
		s.mu.Unlock()
		if report != nil {
			if call.Send(&proto.FromChassis{Msg: &proto.FromChassis_Report{Report: report}}) != nil {
				return
			}
		}
		if ack != nil {
			if call.Send(&proto.FromChassis{Msg: &proto.FromChassis_Ack{Ack: ack}}) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
	}
}

// recvError is the reason of a stream whose Send failed: Recv has it.
func recvError(call grpc.BidiStreamingClient[proto.FromChassis, proto.ToChassis], err error) error {
	if _, e := call.Recv(); e != nil {
		return e
	}
	return err
}

// mergeReports adds b, which is later, to a.
func mergeReports(a, b *proto.Report) *proto.Report {
	if a == nil {
		return b
	}
	out := &proto.Report{Config: a.Config}
	if b.Config != nil {
		out.Config = b.Config
	}
	put, gone := map[string]*proto.Interface{}, map[string]bool{}
	for _, r := range []*proto.Report{a, b} {
		for _, id := range r.InterfacesGone {
			delete(put, id)
			gone[id] = true
		}
		for _, i := range r.InterfacesPut {
			put[i.IfaceId] = i
			delete(gone, i.IfaceId)
		}
	}
	for _, id := range sortedKeys(put) {
		out.InterfacesPut = append(out.InterfacesPut, put[id])
	}
	out.InterfacesGone = sortedKeys(gone)
	type at struct {
		datapath uint32
		mac      uint64
	}
	learned, forgotten := map[at]*proto.FdbEntry{}, map[at]*proto.FdbEntry{}
	for _, r := range []*proto.Report{a, b} {
		for _, e := range r.FdbGone {
			delete(learned, at{e.Datapath, e.Mac})
			forgotten[at{e.Datapath, e.Mac}] = e
		}
		for _, e := range r.FdbPut {
			learned[at{e.Datapath, e.Mac}] = e
			delete(forgotten, at{e.Datapath, e.Mac})
		}
	}
	for _, e := range learned {
		out.FdbPut = append(out.FdbPut, e)
	}
	for _, e := range forgotten {
		out.FdbGone = append(out.FdbGone, e)
	}
	out.Bfd = mergeBFD(a.Bfd, b.Bfd)
	mergeClaims(out, a, b)
	mergeNeighbours(out, a, b)
	return out
}
