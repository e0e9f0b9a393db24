package vswitch

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Any bytes can be parsed, and rewriting nothing changes nothing.
func FuzzPacket(f *testing.F) {
	g := &generator{r: rand.New(rand.NewPCG(1, 1))}
	for range 40 {
		f.Add(g.frame(), uint32(0))
		f.Add(g.frame(), g.r.Uint32())
	}
	f.Fuzz(func(t *testing.T, data []byte, change uint32) {
		var s packet.State
		l := packet.Parse(data, &s)
		if out := packet.Rewrite(data, l, &s, &s); !bytes.Equal(out, data) && s.Key.VLANTCI() == 0 {
			t.Fatalf("%x became %x", data, out)
		}
		now := s
		now.Key.SetTTL(byte(change))
		now.Key.SetPorts(uint16(change), uint16(change>>16))
		if change&1 != 0 {
			now.PushVLAN(packet.EthTypeVLAN)
		}
		out := packet.Rewrite(data, l, &s, &now)
		var again packet.State
		packet.Parse(out, &again)
		if len(data) >= 14 && again.Key.EthDst() != s.Key.EthDst() {
			t.Fatalf("another destination: %x became %x", data, out)
		}
		l.ChecksumsRight(data, &s.Key)
		if ip := l.Layer3(data); len(ip) > len(data) {
			t.Fatal("layer 3 is longer than the frame")
		}
	})
}

// Whatever a peer sends, Serve neither panics nor hangs; what is no OpenFlow
// ends the connection with an error.
func FuzzConnection(f *testing.F) {
	hello, _ := openflow.EncodeMessage(1, &openflow.Hello{Versions: 1 << openflow.Version})
	f.Add(hello)
	for _, m := range []openflow.Message{
		flowMod(1, 2, nil, output(1), openflow.Clone{Actions: []openflow.Action{openflow.ToTable(1)}}),
		&openflow.BundleControl{ID: 1, Flags: 3}, &openflow.GroupMod{Group: allGroup(1, output(1))},
		&openflow.PacketOut{Packet: udp("10.0.0.1", 1, "10.0.0.2", 2), Actions: openflow.EncodeActions([]openflow.Action{openflow.ToTable(0)})},
		&openflow.Resume{PacketIn: openflow.PacketIn{Packet: []byte{1}, Continuation: make([]byte, 24)}},
		openflow.FlowDescRequest(openflow.TableAll, 0, 0), &openflow.MeterMod{ID: 1, Flags: 1},
	} {
		b, _ := openflow.EncodeMessage(2, m)
		f.Add(append(bytes.Clone(hello), b...))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := NewBridge(Options{Name: "br-int", DatapathID: 1})
		b.SetPort(Port{Number: 1, Name: "p1"})
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- b.Serve(context.Background(), ours) }()
		go func() {
			theirs.Write(data)
			theirs.Close()
		}()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			buf := make([]byte, 4096)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("Serve hangs")
		}
		<-drained
		b.Process(Packet{InPort: 1, Data: data}, &Trace{})
	})
}

// Garbage ends a connection with a line in the log that says so.
func TestGarbage(t *testing.T) {
	for _, garbage := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x06\x00\x00\x04\x00\x00\x00\x00", "\x05\x00\x00\x08\x00\x00\x00\x00", "\x06\x05\x00\x08\x00\x00\x00\x00"} {
		var log bytes.Buffer
		b := NewBridge(Options{Name: "br-int", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- b.Serve(context.Background(), ours) }()
		go func() {
			buf := make([]byte, 4096)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		theirs.Write([]byte(garbage))
		if err := <-done; err == nil || !strings.Contains(err.Error(), "OpenFlow") || !strings.Contains(log.String(), "OpenFlow connection ended") {
			t.Errorf("%q: error %v, log %s", garbage, err, log.String())
		}
		theirs.Close()
	}
}

// A peer that breaks the protocol and reads nothing does not hold Serve up.
func TestDeafPeer(t *testing.T) {
	b := NewBridge(Options{Name: "br-int"})
	ours, theirs := net.Pipe()
	defer theirs.Close()
	done := make(chan error, 1)
	go func() { done <- b.Serve(context.Background(), ours) }()
	theirs.Write([]byte{6, 5, 0, 8, 0, 0, 0, 0})
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve hangs")
	}
}
