package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Life is that of a stream on which several goroutines of a server work, and whose
// peer speaks first. It ends once, for the first reason that somebody gives.
//
//	         +---------+  First  +---------+
//	peer --> | Receive | ------> | handler | -- Wait returns: the stream ends
//	         +---------+         +---------+
//	              | take              ^ End: of whoever has a reason
//	              +-----> Signal --> sender: Wake, Sends
type Life[M any] struct {
	first    chan M
	accepted chan struct{} // closed by Accept
	wake     chan struct{} // holds one token when there is something to send
	done     chan struct{} // closed by End
	once     sync.Once
	err      error // why done is closed

	born    time.Time
	sending atomic.Int64 // nanoseconds of its life since when a message is being sent; 0: none is
}

// NewLife begins one. M is what the peer sends.
func NewLife[M any]() *Life[M] {
	return &Life[M]{
		first: make(chan M, 1), accepted: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}), born: time.Now(),
	}
}

// End ends the stream for the given reason; the first one counts. Nil is that the
// peer has nothing more to say.
func (l *Life[M]) End(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.done)
	})
}

// Err is why the stream ended. It may be called when Wait has returned.
func (l *Life[M]) Err() error { return l.err }

// Signal wakes who waits for Wake.
func (l *Life[M]) Signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Wake has a token after Signal.
func (l *Life[M]) Wake() <-chan struct{} { return l.wake }

// Sends notes that something is being sent, until sent is called.
func (l *Life[M]) Sends() (sent func()) {
	l.sending.Store(int64(time.Since(l.born)) + 1)
	return func() { l.sending.Store(0) }
}

// Sending is for how long something is being sent; zero: none is.
func (l *Life[M]) Sending() time.Duration {
	if at := l.sending.Load(); at != 0 {
		return max(1, time.Since(l.born)-time.Duration(at))
	}
	return 0
}

// Accept has Receive go on after the first message.
func (l *Life[M]) Accept() { close(l.accepted) }

// First is the first message, for which the peer has the given time.
func (l *Life[M]) First(ctx context.Context, limit time.Duration) (m M, err error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case m = <-l.first:
		return m, nil
	case <-l.done:
		if l.err == nil {
			return m, status.Error(codes.InvalidArgument, "stream without hello")
		}
		return m, l.err
	case <-timer.C:
		return m, status.Error(codes.DeadlineExceeded, "no hello in time")
	case <-ctx.Done():
		return m, status.FromContextError(ctx.Err()).Err()
	}
}

// Wait returns when the stream has ended, and why: also where ctx has, or where a
// message is being sent for longer than limit, which is for stalled.
func (l *Life[M]) Wait(ctx context.Context, limit time.Duration, stalled error) error {
	look := time.NewTicker(limit / 4)
	defer look.Stop()
	for {
		select {
		case <-l.done:
			return l.err
		case <-ctx.Done():
			l.End(status.FromContextError(ctx.Err()).Err())
		case <-look.C:
			if l.Sending() > limit {
				l.End(stalled)
			}
		}
	}
}

// Receive takes what the peer sends until the stream ends: the first message is that
// of First, the others are for take once Accept was called. garbage is called with
// the error of what no program of govn sends.
func (l *Life[M]) Receive(ctx context.Context, recv func() (M, error), take func(M) error, garbage func(error)) {
	for n := 0; ; n++ {
		m, err := recv()
		if err == nil && n == 0 {
			l.first <- m
			select {
			case <-l.accepted:
				continue
			case <-l.done:
				return
			case <-ctx.Done():
				return
			}
		}
		if err == nil {
			err = take(m)
		}
		switch code := status.Code(err); {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			l.End(nil)
		case n == 0:
			l.End(err) // First reports it
		case code == codes.Internal, code == codes.ResourceExhausted, code == codes.InvalidArgument:
			garbage(err)
			l.End(status.Error(codes.InvalidArgument, err.Error()))
		default:
			l.End(err)
		}
		return
	}
}
