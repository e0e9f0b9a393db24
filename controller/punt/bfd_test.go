package punt

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/abi"
	"govn/pkg/bfd"
	"govn/pkg/openflow"
	"govn/proto"
)

// router is a chassis with one session, and what it said.
type router struct {
	*BFD
	key    BFDKey
	frames [][]byte
	states []string
}

func newRouter(t testing.TB, now time.Time, discr uint32, self, peer string) *router {
	t.Helper()
	r := &router{BFD: NewBFD(), key: BFDKey{5, 7, netip.MustParseAddr(peer)}}
	want := openflow.FormatActions([]openflow.Action{
		openflow.SetUint(openflow.FieldMetadata, 5), openflow.SetUint(openflow.FieldReg(abi.RegInport), 7),
		openflow.SetBits(openflow.FieldReg(abi.RegFlags), abi.FlagLocalOnly, abi.FlagLocalOnly, 1), openflow.ToTable(abi.TableIngress)})
	r.Send = func(data []byte, actions []openflow.Action) {
		if got := openflow.FormatActions(actions); got != want {
			t.Errorf("sent through %s, want %s", got, want)
		}
		r.frames = append(r.frames, data)
	}
	r.Changed = func(_ BFDKey, s *proto.BfdStatus) { r.states = append(r.states, s.State) }
	if err := r.Set(now, r.key, sessionOf(discr, self)); err != nil {
		t.Fatal(err)
	}
	return r
}

func sessionOf(discr uint32, self string) *proto.BfdSession {
	return &proto.BfdSession{Discriminator: discr, SourcePort: 50000, Source: netip.MustParseAddr(self).AsSlice(),
		Mac: 0x0a0000000001, MinTx: 100, MinRx: 100, DetectMult: 3}
}

// exchange lets d pass between two routers.
func exchange(now *time.Time, d time.Duration, a, b *router) {
	for until := now.Add(d); now.Before(until); *now = now.Add(5 * time.Millisecond) {
		for _, r := range []*router{a, b} {
			r.Advance(*now)
		}
		for i, r := range []*router{a, b} {
			for _, f := range r.frames {
				[]*router{b, a}[i].HandleAt(*now, &Packet{Data: f, Datapath: 5, Inport: 7})
			}
			r.frames = nil
		}
	}
}

func TestBFD(t *testing.T) {
	for _, ip := range [][2]string{{"172.16.0.1", "172.16.0.2"}, {"fd00::1", "fe80::2"}} {
		now := time.Unix(1000, 0)
		a, b := newRouter(t, now, 1, ip[0], ip[1]), newRouter(t, now, 2, ip[1], ip[0])
		if len(a.Level()) != 0 {
			t.Errorf("a state before it is known: %v", a.Level())
		}
		exchange(&now, 3*time.Second, a, b)
		if l := a.Level(); len(l) != 1 || l[0].State != "up" || l[0].Port != 7 || l[0].Discriminator != 1 || !slices.Equal(l[0].Peer, a.key.Peer.AsSlice()) {
			t.Fatalf("%s: %v, changes %v", ip[0], l, a.states)
		}
		// The controller of a starts again: its peer and northd see nothing.
		a2 := newRouter(t, now, 1, ip[0], ip[1])
		b.states = nil
		exchange(&now, time.Second, a2, b)
		if !slices.Equal(a2.states, []string{"up"}) || len(b.states) != 0 {
			t.Errorf("%s: after a restart %v, the peer %v", ip[0], a2.states, b.states)
		}
		if up, all := a2.Len(); up != 1 || all != 1 {
			t.Errorf("%d of %d sessions are up", up, all)
		}
		// The peer dies.
		if err := b.Set(now, b.key, nil); err != nil || b.table.Len() != 0 {
			t.Fatal(err)
		}
		exchange(&now, 400*time.Millisecond, a2, b)
		if up, all := a2.Len(); up != 0 || all != 1 {
			t.Errorf("%d of %d sessions are up", up, all)
		}
		if l := a2.Level(); l[0].State != "down" || a2.Report()[0].Diag != bfd.DiagTimeExpired {
			t.Errorf("%s: peer is gone, state %v", ip[0], l)
		}
		if b.Strange == 0 || a.Strange+a2.Strange != 0 {
			t.Errorf("strange packets: %d, %d, %d", a.Strange, a2.Strange, b.Strange)
		}
	}
}

// What is sent is as RFC 5881 wants it.
func TestBFDFrame(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, ip := range [][2]string{{"172.16.0.1", "172.16.0.2"}, {"fd00::1", "fd00::2"}} {
		r := newRouter(t, now, 1, ip[0], ip[1])
		r.Advance(now.Add(time.Hour))
		if len(r.frames) != 1 {
			t.Fatalf("sent %d frames", len(r.frames))
		}
		p := gopacket.NewPacket(r.frames[0], layers.LayerTypeEthernet, gopacket.Default)
		eth := p.LinkLayer().(*layers.Ethernet)
		udp := p.TransportLayer().(*layers.UDP)
		flow := p.NetworkLayer().NetworkFlow()
		if eth.DstMAC.String() != "ff:ff:ff:ff:ff:ff" || eth.SrcMAC.String() != "0a:00:00:00:00:01" || udp.SrcPort != 50000 || udp.DstPort != 3784 ||
			flow.Src().String() != ip[0] || flow.Dst().String() != ip[1] {
			t.Errorf("sent %v", p)
		}
		if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		if err, mismatches := p.VerifyChecksums(); err != nil || len(mismatches) != 0 {
			t.Errorf("checksums: %v, %v", mismatches, err)
		}
		d, ok := readBFD(r.frames[0])
		if got, err := bfd.Decode(d.payload); !ok || d.ttl != 255 || err != nil || got.MyDiscr != 1 || got.MinTx != time.Second || got.MinRx != 100*time.Millisecond || got.Mult != 3 {
			t.Errorf("sent %v, %v", got, err)
		}
	}
}

// A packet that is not from the peer itself changes nothing.
func TestBFDStrange(t *testing.T) {
	now := time.Unix(1000, 0)
	r := newRouter(t, now, 1, "172.16.0.1", "172.16.0.2")
	good := bfdSession{source: netip.MustParseAddr("172.16.0.2"), sourcePort: 50001}
	packet := bfd.Packet{State: bfd.Down, Mult: 3, MyDiscr: 9, MinTx: time.Second, MinRx: time.Second}
	frame := func(change func(f []byte), p bfd.Packet) []byte {
		f, err := good.frame(netip.MustParseAddr("172.16.0.1"), &p)
		if err != nil {
			t.Fatal(err)
		}
		change(f)
		return f
	}
	other := packet
	other.YourDiscr = 2
	for _, tt := range []struct {
		name string
		p    Packet
		ok   bool
	}{
		{"TTL 254", Packet{Datapath: 5, Inport: 7, Data: frame(func(f []byte) { f[14+8] = 254 }, packet)}, true},
		{"another port", Packet{Datapath: 5, Inport: 8, Data: frame(func([]byte) {}, packet)}, true},
		{"another datapath", Packet{Datapath: 6, Inport: 7, Data: frame(func([]byte) {}, packet)}, true},
		{"another source", Packet{Datapath: 5, Inport: 7, Data: frame(func(f []byte) { f[14+15] = 9 }, packet)}, true},
		{"another destination", Packet{Datapath: 5, Inport: 7, Data: frame(func(f []byte) { f[14+19] = 9 }, packet)}, true},
		{"another discriminator", Packet{Datapath: 5, Inport: 7, Data: frame(func([]byte) {}, other)}, true},
		{"version", Packet{Datapath: 5, Inport: 7, Data: frame(func(f []byte) { f[42] = 0 }, packet)}, false},
		{"not BFD", Packet{Datapath: 5, Inport: 7, Data: frame(func(f []byte) { f[36] = 1 }, packet)}, false},
		{"short", Packet{Datapath: 5, Inport: 7, Data: frame(func([]byte) {}, packet)[:50]}, false},
	} {
		before := r.Strange
		if ok := r.HandleAt(now, &tt.p); ok != tt.ok || (r.Strange != before) != tt.ok || len(r.states) != 0 {
			t.Errorf("%s: handled %v, strange %d, states %v", tt.name, ok, r.Strange-before, r.states)
		}
	}
	if !r.HandleAt(now, &Packet{Datapath: 5, Inport: 7, Data: frame(func([]byte) {}, packet)}) || r.Level()[0].State != "init" {
		t.Errorf("the peer itself: %v", r.Level())
	}
}

func TestBFDBounds(t *testing.T) {
	now := time.Unix(1000, 0)
	b := NewBFD()
	for i := range MaxBFDSessions + 1 {
		key := BFDKey{5, uint32(i) + 1, netip.MustParseAddr("10.0.0.2")}
		if err := b.Set(now, key, sessionOf(uint32(i)+1, "10.0.0.1")); (err != nil) != (i == MaxBFDSessions) || i == MaxBFDSessions && !errors.Is(err, ErrBFDFull) {
			t.Fatalf("session %d: %v", i, err)
		}
	}
	key := BFDKey{5, 1, netip.MustParseAddr("10.0.0.2")}
	fast := sessionOf(1, "10.0.0.1")
	fast.MinTx, fast.MinRx = 1, 1
	if err := b.Set(now, key, fast); err != nil {
		t.Fatal(err)
	}
	b.HandleAt(now, &Packet{Datapath: 5, Inport: 1, Data: func() []byte {
		s := bfdSession{source: key.Peer, sourcePort: 50000}
		f, _ := s.frame(netip.MustParseAddr("10.0.0.1"), &bfd.Packet{State: bfd.Up, Mult: 3, MyDiscr: 9, YourDiscr: 1, MinTx: time.Millisecond, MinRx: time.Millisecond})
		return f
	}()})
	if st := b.Report()[0]; st.Key != key || st.State != bfd.Up || st.Tx != MinBFDInterval || st.Detection != 3*MinBFDInterval {
		t.Errorf("%+v", st)
	}
	for name, bad := range map[string]func(*proto.BfdSession){
		"family": func(s *proto.BfdSession) { s.Source = make([]byte, 16) }, "source": func(s *proto.BfdSession) { s.Source = nil },
		"port": func(s *proto.BfdSession) { s.SourcePort = 3784 }, "multiplier": func(s *proto.BfdSession) { s.DetectMult = 0 },
		"discriminator of another": func(s *proto.BfdSession) { s.Discriminator = 2 },
	} {
		s := sessionOf(1, "10.0.0.1")
		if bad(s); b.Set(now, key, s) == nil || b.sessions[key] != nil || b.table.Get(key) != nil {
			t.Errorf("%s: the session is there", name)
		}
	}
}

// FuzzBFD feeds frames of a peer.
func FuzzBFD(f *testing.F) {
	s := bfdSession{source: netip.MustParseAddr("172.16.0.2"), sourcePort: 50001}
	frame, _ := s.frame(netip.MustParseAddr("172.16.0.1"), &bfd.Packet{State: bfd.Down, Mult: 3, MyDiscr: 9, MinTx: time.Second, MinRx: time.Second})
	f.Add(frame)
	s.source = netip.MustParseAddr("fd00::2")
	frame, _ = s.frame(netip.MustParseAddr("fd00::1"), &bfd.Packet{State: bfd.Up, Mult: 3, MyDiscr: 9, YourDiscr: 1})
	f.Add(frame)
	f.Fuzz(func(t *testing.T, frame []byte) {
		now := time.Unix(1000, 0)
		for _, ip := range [][2]string{{"172.16.0.1", "172.16.0.2"}, {"fd00::1", "fd00::2"}} {
			r := newRouter(t, now, 1, ip[0], ip[1])
			r.HandleAt(now, &Packet{Data: frame, Datapath: 5, Inport: 7})
			r.Advance(now)
			if len(r.frames) > 2 {
				t.Errorf("%x is answered with %d frames", frame, len(r.frames))
			}
		}
	})
}

// BenchmarkBFD is the work of a packet sent and one received among a hundred
// sessions, without Open vSwitch.
func BenchmarkBFD(b *testing.B) {
	now := time.Unix(1000, 0)
	r := NewBFD()
	var last []byte
	r.Send = func(data []byte, _ []openflow.Action) { last = data }
	peer := bfdSession{source: netip.MustParseAddr("10.0.0.2"), sourcePort: 50000}
	for i := range uint32(100) {
		if err := r.Set(now, BFDKey{5, i + 1, peer.source}, sessionOf(i+1, "10.0.0.1")); err != nil {
			b.Fatal(err)
		}
	}
	in := make([][]byte, 100)
	for i := range in {
		f, err := peer.frame(netip.MustParseAddr("10.0.0.1"), &bfd.Packet{State: bfd.Up, Mult: 3, MyDiscr: 9, YourDiscr: uint32(i) + 1, MinTx: 100 * time.Millisecond, MinRx: 100 * time.Millisecond})
		if err != nil {
			b.Fatal(err)
		}
		in[i] = f
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Millisecond)
		r.HandleAt(now, &Packet{Datapath: 5, Inport: uint32(i%100) + 1, Data: in[i%100]})
		r.Advance(now)
	}
	if up, _ := r.Len(); up == 0 || last == nil {
		b.Error("nothing is up")
	}
}
