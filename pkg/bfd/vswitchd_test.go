package bfd_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/bfd"
	"govn/test/ovstest"
)

const ms = time.Millisecond

// wire is a session of ours whose peer is the BFD of an interface of Open
// vSwitch's dummy datapath, which puts its frames on a unix socket, each behind
// its length in two bytes.
type wire struct {
	t       *testing.T
	ovs     *ovstest.OVS
	conn    net.Conn
	s       *bfd.Session
	changes []bfd.Change
	mute    bool // sends nothing
	pending []byte
}

var ours, theirs = netip.MustParseAddr("169.254.7.1"), netip.MustParseAddr("169.254.7.2")

func newWire(t *testing.T, settings ...string) *wire {
	t.Helper()
	w := &wire{t: t, ovs: ovstest.Start(t, ovstest.Options{})}
	socket := filepath.Join(w.ovs.RunDir, "wire.sock")
	w.ovs.AddPort("p0", 1, "options:pstream=punix:"+socket)
	w.set(append([]string{"enable=true", "bfd_src_ip=" + theirs.String(), "bfd_dst_ip=" + ours.String()}, settings...)...)
	w.ovs.Await("the socket of the interface", func() bool {
		var err error
		w.conn, err = net.Dial("unix", socket)
		return err == nil
	})
	t.Cleanup(func() { w.conn.Close() })
	return w
}

// set changes columns of the interface's bfd.
func (w *wire) set(settings ...string) {
	w.t.Helper()
	args := []string{"set", "interface", "p0"}
	for _, s := range settings {
		args = append(args, "bfd:"+s)
	}
	w.ovs.Vsctl(args...)
}

func (w *wire) start(c bfd.Config) {
	w.t.Helper()
	c.Changed = func(ch bfd.Change) { w.changes = append(w.changes, ch) }
	var err error
	if w.s, err = bfd.New(time.Now(), c); err != nil {
		w.t.Fatal(err)
	}
}

// until runs the session until done.
func (w *wire) until(what string, d time.Duration, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(d); !done(); {
		now := time.Now()
		if now.After(end) {
			w.t.Fatalf("%s: not after %v: %+v, %s", what, d, w.s.Status(), w.ovs.Vsctl("get", "interface", "p0", "bfd_status"))
		}
		for {
			p, ok := w.s.Transmit(now)
			if !ok {
				break
			}
			if !w.mute {
				w.send(&p)
			}
		}
		next := w.s.Next()
		if next.IsZero() || next.After(now.Add(20*ms)) {
			next = now.Add(20 * ms)
		}
		w.receive(next)
	}
}

func (w *wire) send(p *bfd.Packet) {
	w.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: bfd.TTL, Protocol: layers.IPProtocolUDP, SrcIP: ours.AsSlice(), DstIP: theirs.AsSlice()}
	udp := &layers.UDP{SrcPort: bfd.MinSourcePort, DstPort: bfd.Port}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		w.t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(p.Append(nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	frame := binary.BigEndian.AppendUint16(nil, uint16(len(buf.Bytes())))
	if _, err := w.conn.Write(append(frame, buf.Bytes()...)); err != nil {
		w.mute = true // ovs-vswitchd is gone
	}
}

// receive takes what comes until the deadline.
func (w *wire) receive(deadline time.Time) {
	w.t.Helper()
	_ = w.conn.SetReadDeadline(deadline)
	var b [4096]byte
	n, err := w.conn.Read(b[:])
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
		w.t.Fatal(err)
	}
	if errors.Is(err, io.EOF) { // nothing comes any more
		timer := time.NewTimer(time.Until(deadline))
		<-timer.C
	}
	w.pending = append(w.pending, b[:n]...)
	for len(w.pending) >= 2 {
		size := int(binary.BigEndian.Uint16(w.pending))
		if len(w.pending) < 2+size {
			return
		}
		frame := w.pending[2 : 2+size]
		w.pending = w.pending[2+size:]
		in := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		udp, ok := in.TransportLayer().(*layers.UDP)
		if !ok || udp.DstPort != bfd.Port {
			continue
		}
		if ip := in.NetworkLayer().(*layers.IPv4); ip.TTL != bfd.TTL {
			w.t.Errorf("Open vSwitch sends with TTL %d", ip.TTL)
		}
		p, err := bfd.Decode(udp.Payload)
		if err != nil {
			w.t.Fatalf("Open vSwitch sent %x: %v", udp.Payload, err)
		}
		if d := cmp.Diff(udp.Payload[:bfd.Len], p.Append(nil)); d != "" {
			w.t.Errorf("%v encoded again (-sent +got):\n%s", p, d)
		}
		if err := w.s.Receive(time.Now(), p); err != nil {
			w.t.Errorf("%v: %v", p, err)
		}
	}
}

// status tells whether Open vSwitch's side says so.
func (w *wire) status(column, want string) bool {
	return strings.Contains(w.ovs.Vsctl("get", "interface", "p0", "bfd_status"), column+"="+want) ||
		strings.Contains(w.ovs.Vsctl("get", "interface", "p0", "bfd_status"), column+`="`+want+`"`)
}

// TestOpenvSwitch: a session with Open vSwitch's own BFD comes up, keeps to
// changed times, and each side finds the end of the other. The detection times
// are long, because the session waits while ovs-vsctl runs.
func TestOpenvSwitch(t *testing.T) {
	w := newWire(t, "min_rx=150", "min_tx=100", "mult=10")
	w.start(bfd.Config{Discr: 0x11223344, MinTx: 100 * ms, MinRx: 200 * ms, Mult: 10})
	up := func() bool {
		return w.s.State() == bfd.Up && !w.s.Status().Polling && w.status("state", "up") && w.status("remote_state", "up")
	}
	w.until("up", 20*time.Second, up)
	w.until("negotiated", 5*time.Second, func() bool {
		s := w.s.Status()
		return s.Tx == 150*ms && s.Detection == 2000*ms && s.RemoteState == bfd.Up
	})
	// Open vSwitch changes its times with a poll sequence, we do, too.
	w.set("min_rx=300", "min_tx=400")
	w.until("its times", 10*time.Second, func() bool {
		s := w.s.Status()
		return s.Tx == 300*ms && s.Detection == 4000*ms
	})
	if err := w.s.Configure(time.Now(), bfd.Config{Discr: 0x11223344, MinTx: 500 * ms, MinRx: 450 * ms, Mult: 10,
		Changed: func(c bfd.Change) { w.changes = append(w.changes, c) }}); err != nil {
		t.Fatal(err)
	}
	w.until("our times", 10*time.Second, func() bool {
		s := w.s.Status()
		return s.Tx == 500*ms && s.Detection == 4500*ms && !s.Polling
	})
	w.set("min_rx=100", "min_tx=100")
	if err := w.s.Configure(time.Now(), bfd.Config{Discr: 0x11223344, MinTx: 100 * ms, MinRx: 100 * ms, Mult: 10,
		Changed: func(c bfd.Change) { w.changes = append(w.changes, c) }}); err != nil {
		t.Fatal(err)
	}
	w.until("fast again", 10*time.Second, func() bool {
		s := w.s.Status()
		return s.Tx == 100*ms && s.Detection == 1000*ms && !s.Polling
	})
	for _, c := range w.changes {
		if c.Old == bfd.Up {
			t.Errorf("it flapped: %v", w.changes)
		}
	}
	// We fall silent.
	w.mute = true
	w.until("it finds us gone", 10*time.Second, func() bool {
		return w.s.State() != bfd.Up && w.s.Status().RemoteDiag == bfd.DiagTimeExpired
	})
	w.mute = false
	w.until("up again", 20*time.Second, up)
	// It is administratively down: it says so, or says nothing.
	w.set("enable=false")
	w.until("disabled", 10*time.Second, func() bool { return w.s.State() != bfd.Up })
	w.set("enable=true")
	w.until("enabled", 20*time.Second, up)
	// It dies.
	w.changes = nil
	before := time.Now()
	w.ovs.KillVswitchd()
	w.until("killed", 5*time.Second, func() bool { return w.s.State() == bfd.Down })
	if c := w.changes[0]; c.Diag != bfd.DiagTimeExpired || c.At.Sub(before) > 5*time.Second {
		t.Errorf("killed: %v after %v", c, c.At.Sub(before))
	}
}
