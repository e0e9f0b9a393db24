package rpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"govn/pkg/rpc"
)

// TestLife: messages go where they belong, and the first reason to end counts.
func TestLife(t *testing.T) {
	bad := status.Error(codes.InvalidArgument, "bad")
	lost := status.Error(codes.Unavailable, "lost")
	for _, tt := range []struct {
		name    string
		words   []string // "bad" is one that take refuses
		end     error    // of what is received
		want    codes.Code
		taken   []string
		garbage int
	}{
		{"nothing", nil, io.EOF, codes.InvalidArgument, nil, 0},
		{"nothing but an error", nil, lost, codes.Unavailable, nil, 0},
		{"hello", []string{"hello"}, io.EOF, codes.OK, nil, 0},
		{"some", []string{"hello", "a", "b"}, io.EOF, codes.OK, []string{"a", "b"}, 0},
		{"lost", []string{"hello", "a"}, lost, codes.Unavailable, []string{"a"}, 0},
		{"garbage", []string{"hello", "a", "bad", "b"}, io.EOF, codes.InvalidArgument, []string{"a"}, 1},
		{"garbage that cannot be read", []string{"hello"}, status.Error(codes.Internal, "no message"), codes.InvalidArgument, nil, 1},
	} {
		l, words := rpc.NewLife[string](), tt.words
		var taken []string
		garbage, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			l.Receive(t.Context(), func() (string, error) {
				if len(words) == 0 {
					return "", tt.end
				}
				w := words[0]
				words = words[1:]
				return w, nil
			}, func(w string) error {
				if w == "bad" {
					return bad
				}
				taken = append(taken, w)
				return nil
			}, func(error) { garbage++ })
		}()
		first, err := l.First(t.Context(), time.Minute)
		if err == nil {
			if first != "hello" {
				t.Errorf("%s: first %q", tt.name, first)
			}
			l.Accept()
			err = l.Wait(t.Context(), time.Minute, nil)
			if l.End(errors.New("later")); !errors.Is(l.Err(), err) {
				t.Errorf("%s: ended with %v, then %v", tt.name, err, l.Err())
			}
		}
		<-done
		if status.Code(err) != tt.want || !slices.Equal(taken, tt.taken) || garbage != tt.garbage {
			t.Errorf("%s: %v, took %q, garbage %d", tt.name, err, taken, garbage)
		}
	}
}

// TestLifeLimits: a peer that does not speak, or does not read, is given up, and a
// server that ends waits for neither.
func TestLifeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := rpc.NewLife[string](), time.Now()
		if _, err := l.First(t.Context(), time.Second); status.Code(err) != codes.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("no hello: %v after %v", err, time.Since(start))
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := l.First(ended, time.Second); status.Code(err) != codes.Canceled {
			t.Errorf("ended: %v", err)
		}
		stalled, read := errors.New("stalled"), make(chan struct{})
		go func() {
			time.Sleep(time.Minute)
			for range 3 { // each is read in time
				sent := l.Sends()
				time.Sleep(9 * time.Second)
				sent()
			}
			time.Sleep(time.Minute) // nothing is to be sent
			sent := l.Sends()
			<-read
			sent()
		}()
		start = time.Now()
		err := l.Wait(t.Context(), 10*time.Second, stalled)
		if took := time.Since(start); !errors.Is(err, stalled) || took < 157*time.Second || took > 160*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		close(read)
		if err := rpc.NewLife[string]().Wait(ended, time.Second, stalled); status.Code(err) != codes.Canceled {
			t.Errorf("ended: %v", err)
		}
		l.Signal()
		l.Signal()
		<-l.Wake()
		select {
		case <-l.Wake():
			t.Error("two tokens")
		default:
		}
	})
}
