package openflow

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serve accepts one connection and hands it to fn, which runs until the test
// ends; it returns the target to dial.
func serve(t *testing.T, fn func(net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "of.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fn(c)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "unix:" + path
}

// fakeSwitch answers hello and barriers, until stop returns true for a message.
func fakeSwitch(c net.Conn, stop func(m Message, xid uint32, reply func(uint32, Message)) bool) {
	reply := func(xid uint32, m Message) {
		b, err := EncodeMessage(xid, m)
		if err == nil {
			c.Write(b)
		}
	}
	br := bufio.NewReader(c)
	for {
		m, xid, err := readMessage(br, nil)
		if err != nil || stop(m, xid, reply) {
			return
		}
		switch m.(type) {
		case *Hello:
			reply(0, &Hello{Versions: 1 << Version})
		case *BarrierRequest:
			reply(xid, &BarrierReply{})
		}
	}
}

// Garbage from the peer ends the connection with an error, before and after it
// is set up.
func TestGarbageEndsConnection(t *testing.T) {
	for name, garbage := range map[string]string{
		"braces":        "{}",
		"brackets":      strings.Repeat("[", 1000),
		"http":          "GET / HTTP/1.1\r\n\r\n",
		"length 0":      "\x06\x00\x00\x00\x00\x00\x00\x00",
		"short message": "\x06\x13\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00",
		"nothing":       "",
	} {
		t.Run(name+" first", func(t *testing.T) {
			target := serve(t, func(c net.Conn) { io.WriteString(c, garbage) })
			c, err := Dial(testContext(t), target, ConnOptions{})
			if err == nil {
				c.Close()
				t.Fatal("no error")
			}
		})
		t.Run(name+" later", func(t *testing.T) {
			target := serve(t, func(c net.Conn) {
				fakeSwitch(c, func(m Message, _ uint32, _ func(uint32, Message)) bool {
					if _, ok := m.(*EchoRequest); ok {
						io.WriteString(c, garbage)
						return true
					}
					return false
				})
			})
			c, err := Dial(testContext(t), target, ConnOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Send(&EchoRequest{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Request(testContext(t), &FeaturesRequest{}); !errors.Is(err, ErrClosed) {
				t.Errorf("request: %v", err)
			}
			<-c.Done()
		})
	}
}

func TestVersionIsRefused(t *testing.T) {
	target := serve(t, func(c net.Conn) {
		c.Write([]byte{4, 0, 0, 8, 0, 0, 0, 1}) // a hello of OpenFlow 1.3
		io.Copy(io.Discard, c)
	})
	if _, err := Dial(testContext(t), target, ConnOptions{}); !errors.Is(err, ErrVersion) {
		t.Errorf("error %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	if _, err := Dial(testContext(t), "ssl:somewhere", ConnOptions{}); err == nil {
		t.Error("ssl is not refused")
	}
	if _, err := Dial(testContext(t), "unix:"+filepath.Join(t.TempDir(), "none"), ConnOptions{}); err == nil {
		t.Error("no socket is no error")
	}
	silent := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, silent, ConnOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent peer: %v", err)
	}
}

// A peer that goes silent is found by an echo request; one that answers stays.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		silent := make(chan struct{})
		echoes := 0
		go fakeSwitch(theirs, func(m Message, xid uint32, reply func(uint32, Message)) bool {
			if e, ok := m.(*EchoRequest); ok {
				select {
				case <-silent:
				default:
					echoes++
					reply(xid, &EchoReply{Data: e.Data})
				}
			}
			return false
		})
		c, err := NewConn(t.Context(), ours, ConnOptions{ProbeInterval: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := c.Err(); err != nil || echoes < 300 {
			t.Fatalf("after an hour: %v, %d echoes", err, echoes)
		}
		close(silent)
		start := time.Now()
		<-c.Done()
		if err := c.Err(); !errors.Is(err, ErrProbe) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took > 31*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestEchoIsAnswered(t *testing.T) {
	answered := make(chan string, 1)
	target := serve(t, func(c net.Conn) {
		fakeSwitch(c, func(m Message, xid uint32, reply func(uint32, Message)) bool {
			if _, ok := m.(*BarrierRequest); ok {
				reply(99, &EchoRequest{Data: []byte("alive?")})
			}
			if e, ok := m.(*EchoReply); ok && xid == 99 {
				answered <- string(e.Data)
			}
			return false
		})
	})
	c, err := Dial(testContext(t), target, ConnOptions{ProbeInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case got := <-answered:
		if got != "alive?" {
			t.Errorf("echo of %q", got)
		}
	case <-testContext(t).Done():
		t.Error("no answer")
	}
}

func TestTooLongMessage(t *testing.T) {
	_, err := EncodeMessage(1, &PacketOut{Packet: make([]byte, 70_000)})
	if !errors.Is(err, ErrTooLong) {
		t.Errorf("error %v", err)
	}
	if _, err := EncodeMessage(1, &BundleAdd{Message: &PacketOut{Packet: make([]byte, 65_500)}}); !errors.Is(err, ErrTooLong) {
		t.Errorf("in a bundle: %v", err)
	}
}
