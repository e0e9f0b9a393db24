package vswitch

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/pkg/geneve"
	"govn/sim/lab/unixctl"
	"govn/sim/vswitch/packet"
)

// capture reads what a dummy port of Open vSwitch has sent.
type capture struct {
	path string
	at   int64
}

// next returns the frames that have come since the last call.
func (c *capture) next(t testing.TB) (frames [][]byte) {
	t.Helper()
	b, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	if c.at == 0 {
		c.at = 24 // the header of the file
	}
	for int64(len(b)) >= c.at+16 {
		n := int64(binary.NativeEndian.Uint32(b[c.at+8:]))
		if int64(len(b)) < c.at+16+n {
			break
		}
		frames = append(frames, bytes.Clone(b[c.at+16:c.at+16+n]))
		c.at += 16 + n
	}
	return frames
}

// oracle sends packets to a real switch and to the simulator.
type oracle struct {
	*pair
	ctl      *unixctl.Client
	captures map[uint32]*capture
	tunnel   uint32 // port number of the tunnel
	underlay *capture
}

var (
	sentinelSource = []byte{2, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe}
	localEndpoint  = netip.MustParseAddr("198.51.100.1")
	remoteEndpoint = netip.MustParseAddr("198.51.100.2")
)

func newOracle(t testing.TB) *oracle {
	o := &oracle{pair: newPair(t), captures: map[uint32]*capture{}, tunnel: 7}
	dir := o.ovs.RunDir
	for i := 1; i <= pairPorts; i++ {
		o.captures[uint32(i)] = &capture{path: fmt.Sprintf("%s/p%d.pcap", dir, i)}
	}
	// The underlay: a bridge with an address, a route and a neighbour.
	o.ovs.Vsctl("add-br", "under", "--", "set", "Bridge", "under", "datapath_type=dummy", "other-config:hwaddr=aa:55:aa:55:00:00", "--",
		"add-port", "under", "u0", "--", "set", "Interface", "u0", "type=dummy", "options:tx_pcap="+dir+"/u0.pcap", "--",
		"add-port", "br-int", "tun", "--", "set", "Interface", "tun", "type=geneve", "ofport_request=7",
		"options:remote_ip="+remoteEndpoint.String(), "options:key=flow")
	o.underlay = &capture{path: dir + "/u0.pcap"}
	for _, args := range [][]string{
		{"netdev-dummy/ip4addr", "under", localEndpoint.String() + "/24"},
		{"ovs/route/add", "198.51.100.0/24", "under"},
		{"tnl/neigh/set", "under", remoteEndpoint.String(), "f8:bc:12:44:34:b6"},
	} {
		o.ovs.Appctl(args...)
	}
	o.sim.SetPort(Port{Number: 7, Name: "tun", Type: PortGeneve, RemoteIP: remoteEndpoint, FlowKey: true})
	ctl, err := unixctl.Dial(context.Background(), filepath.Join(dir, "vswitchd.ctl"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ctl.Close() })
	o.ctl = ctl
	o.both("add-tlv-map", "{class=0x102,type=0x80,len=4}->tun_metadata0")
	o.install("table=0,priority=65535,dl_src=02:fe:fe:fe:fe:fe,actions=in_port")
	return o
}

// install adds flows to both, and fails when one of them refuses what the other
// takes.
func (o *oracle) install(flows ...string) (accepted []string) {
	o.t.Helper()
	for _, f := range flows {
		if out := o.both("add-flow", f); out != "" {
			o.t.Logf("%s: %s", f, out)
		} else {
			accepted = append(accepted, f)
		}
	}
	return accepted
}

func (o *oracle) call(args ...string) {
	o.t.Helper()
	if out, err := o.ctl.Call(context.Background(), args[0], args[1:]...); err != nil {
		o.t.Fatalf("%v: %v %s", args, err, out)
	}
}

// real sends a packet into the real switch and returns what comes out.
func (o *oracle) real(p Packet) (out []Output) {
	o.t.Helper()
	name, data := fmt.Sprintf("p%d", p.InPort), p.Data
	sentinel := append(append([]byte{2, 0, 0, 0, 0, 1}, sentinelSource...), 0x88, 0xb5)
	sentinel = append(sentinel, make([]byte, 50)...)
	if p.Tunnel != nil {
		name, data = "u0", encapsulate(o.t, p)
	}
	o.call("netdev-dummy/receive", name, hex.EncodeToString(data))
	// The sentinel follows in the queue of the same port.
	if p.Tunnel != nil {
		o.call("netdev-dummy/receive", name, hex.EncodeToString(encapsulate(o.t, Packet{Data: sentinel, Tunnel: &Tunnel{Src: remoteEndpoint, Dst: localEndpoint}})))
	} else {
		o.call("netdev-dummy/receive", name, hex.EncodeToString(sentinel))
	}
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	// Once the sentinel has been seen, what came before it is in the files.
	for end, seen, last := time.Now().Add(20*time.Second), false, false; !last; <-tick.C {
		if time.Now().After(end) {
			o.t.Fatal("the sentinel did not come back")
		}
		last = seen
		for n, c := range o.captures {
			for _, f := range c.next(o.t) {
				if bytes.Equal(f[6:12], sentinelSource) {
					seen = true
				} else {
					out = append(out, Output{Port: n, Data: f})
				}
			}
		}
		for _, f := range o.underlay.next(o.t) {
			t, inner, ok := decapsulate(f)
			switch {
			case !ok: // the underlay's own
			case bytes.Equal(inner[6:12], sentinelSource):
				seen = true
			default:
				out = append(out, Output{Port: o.tunnel, Data: inner, Tunnel: t})
			}
		}
	}
	return out
}

// encapsulate makes a frame of the underlay. Its addresses are what the bridge
// expects.
func encapsulate(t testing.TB, p Packet) []byte {
	var opts []byte
	for _, o := range p.Tunnel.Options {
		opts, _ = o.Append(opts)
	}
	payload, err := geneve.Header{Protocol: geneve.ProtocolEthernet, VNI: geneve.VNI(p.Tunnel.VNI), Options: opts}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	payload = append(payload, p.Data...)
	src, dst := p.Tunnel.Src.As4(), p.Tunnel.Dst.As4()
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0}
	ip = append(append(ip, src[:]...), dst[:]...)
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	binary.BigEndian.PutUint16(ip[10:], sum(ip))
	udp := []byte{0x30, 0x39, 0x17, 0xc1, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	return slices.Concat(underlayMAC, []byte{0xf8, 0xbc, 0x12, 0x44, 0x34, 0xb6, 8, 0}, ip, udp, payload)
}

// underlayMAC is the address of the underlay's bridge.
var underlayMAC = []byte{0xaa, 0x55, 0xaa, 0x55, 0, 0}

func decapsulate(f []byte) (*Tunnel, []byte, bool) {
	if len(f) < 42 || f[12] != 8 || f[13] != 0 || f[23] != 17 || binary.BigEndian.Uint16(f[36:]) != geneve.Port {
		return nil, nil, false
	}
	h, inner, err := geneve.Decode(f[42:])
	if err != nil || len(inner) < 14 {
		return nil, nil, false
	}
	t := &Tunnel{VNI: uint32(h.VNI)}
	t.Src, _ = netip.AddrFromSlice(f[26:30])
	t.Dst, _ = netip.AddrFromSlice(f[30:34])
	for o := range h.All() {
		t.Options = append(t.Options, geneve.Option{Class: o.Class, Type: o.Type, Data: bytes.Clone(o.Data)})
	}
	return t, bytes.Clone(inner), true
}

func sum(b []byte) uint16 {
	s := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// withoutFragment cuts off the payload of later fragments: the userspace
// datapath of Open vSwitch 3.1 takes its first bytes for a header of layer 4 and
// "corrects" a checksum there, which the kernel's does not.
func withoutFragment(f []byte) []byte {
	var s packet.State
	l := packet.Parse(f, &s)
	if ip := l.Layer3(f); s.Key.LaterFragment() && s.Key.EthType() == packet.EthTypeIPv4 {
		return f[:len(f)-len(ip)+20]
	}
	return f
}

// outputText prints outputs sorted by port, in the order of each port.
func outputText(out []Output) string {
	out = slices.Clone(out)
	slices.SortStableFunc(out, func(a, b Output) int { return int(a.Port) - int(b.Port) })
	var s strings.Builder
	for _, o := range out {
		fmt.Fprintf(&s, "port %d: %x", o.Port, withoutFragment(o.Data))
		if t := o.Tunnel; t != nil {
			fmt.Fprintf(&s, " to %v, VNI %#x", t.Dst, t.VNI)
			for _, opt := range t.Options {
				fmt.Fprintf(&s, " {%#x %#x %x}", opt.Class, opt.Type, opt.Data)
			}
		}
		s.WriteByte('\n')
	}
	return s.String()
}

// compare sends a packet through both. It returns how many copies came out.
func (o *oracle) compare(p Packet) int {
	o.t.Helper()
	var tr Trace
	sim := slices.DeleteFunc(o.sim.Process(p, &tr), func(out Output) bool { return out.Port > 7 })
	o.ovs.Appctl("revalidator/purge") // or a cached flow may not know yet what was learned
	want := o.real(p)
	if got, want := outputText(sim), outputText(want); got != want {
		flow := fmt.Sprintf("in_port=%d", p.InPort)
		o.t.Errorf("packet into port %d (%+v): %x\nsimulator:\n%sOpen vSwitch:\n%s%s%s", p.InPort, p.Tunnel, p.Data, got, want, tr.String(),
			o.ovs.Appctl("ofproto/trace", "br-int", flow, hex.EncodeToString(p.Data)))
	}
	return len(sim)
}

// Random packets through random flows come out of both the same, to the byte.
func TestRandomPackets(t *testing.T) {
	rounds, packets := 3, 100
	if testing.Short() {
		rounds, packets = 1, 40
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := newOracle(t)
			g := &generator{r: rand.New(rand.NewPCG(seed, 7))}
			n := len(o.install(g.flows(150)...))
			copies := 0
			for range packets {
				copies += o.compare(g.packet())
				if t.Failed() {
					return
				}
			}
			if n < 60 || copies < packets/8 {
				t.Errorf("%d flows, %d copies of %d packets: too little to judge by", n, copies, packets)
			}
			t.Logf("%d flows, %d packets, %d copies", n, packets, copies)
		})
	}
}
