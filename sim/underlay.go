package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"govn/pkg/geneve"
	"govn/sim/vswitch"
)

// Delays of the simulated hardware.
const (
	wireDelay = 50 * time.Microsecond // from chassis to chassis
	portDelay = 5 * time.Microsecond  // from workload to switch and back
)

// Sizes of outer headers, in bytes.
const (
	ethernetLen = 14
	ipv4Len     = 20
	ipv6Len     = 40
	udpLen      = 8
	vlanLen     = 4
)

// Frame is a packet on the underlay.
type Frame struct {
	From, To string // chassis; To is "" where nobody has the address
	Data     []byte // with outer Ethernet, IP, UDP and Geneve headers
}

// Fault says what the underlay does to a frame. It may change the copy that it
// is given.
type Fault func(f *Frame) (lost bool)

// SetFault puts fn on the underlay, nil: takes it off. It is called for every
// frame in order, by the goroutine that runs the network.
func (n *Network) SetFault(fn Fault) {
	n.mu.Lock()
	n.fault = fn
	n.mu.Unlock()
	n.watch()
}

// LinkDown is a fault: nothing passes between two chassis. An empty name stands
// for any.
func LinkDown(a, b string) Fault {
	match := func(name, chassis string) bool { return name == "" || name == chassis }
	return func(f *Frame) bool {
		return match(a, f.From) && match(b, f.To) || match(a, f.To) && match(b, f.From)
	}
}

// LoseEvery is a fault: every n-th frame is lost.
func LoseEvery(n int) Fault {
	count := 0
	return func(*Frame) bool {
		count++
		return count%n == 0
	}
}

// Outer is what the outer headers of a packet say.
type Outer struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Geneve           geneve.Header
	HasPorts         bool // Ports is there
	Ports            geneve.Ports
}

var errNotTunnel = errors.New("not a Geneve packet for this chassis")

// encapsulate puts the outer headers before a frame:
//
//	Ethernet 14 | IPv4 20 or IPv6 40 | UDP 8 | Geneve 8 | options | frame
func encapsulate(t *vswitch.Tunnel, e *endpoint, frame []byte) ([]byte, *Outer, error) {
	if !t.Src.IsValid() || !t.Dst.IsValid() || t.Src.Is4() != t.Dst.Is4() {
		return nil, nil, fmt.Errorf("tunnel from %v to %v", t.Src, t.Dst)
	}
	o := &Outer{Src: t.Src, Dst: t.Dst, SrcPort: sourcePort(frame), DstPort: e.udp}
	var options []byte
	var err error
	for _, opt := range t.Options {
		if options, err = opt.Append(options); err != nil {
			return nil, nil, err
		}
	}
	o.Geneve = geneve.Header{Protocol: geneve.ProtocolEthernet, VNI: geneve.VNI(t.VNI), Options: options}
	ipLen := ipv4Len
	if t.Dst.Is6() {
		ipLen = ipv6Len
	}
	head := ethernetLen + ipLen + udpLen
	b := make([]byte, head, head+geneve.HeaderLen+len(options)+len(frame))
	if b, err = o.Geneve.Append(b); err != nil {
		return nil, nil, err
	}
	o.Geneve.Critical = b[head+1]&0x40 != 0
	o.Ports, o.HasPorts = o.Geneve.Ports()
	b = append(b, frame...)
	src, dst := macOf(t.Src.String()), macOf(t.Dst.String())
	copy(b, dst[:])
	copy(b[6:], src[:])
	ip, udp := b[ethernetLen:], b[ethernetLen+ipLen:]
	udpSize := len(udp)
	if t.Dst.Is4() {
		binary.BigEndian.PutUint16(b[12:], 0x0800)
		putIPv4(ip, t.Src, t.Dst, ipv4Len+udpSize)
	} else {
		binary.BigEndian.PutUint16(b[12:], 0x86dd)
		putIPv6(ip, t.Src, t.Dst, udpSize)
	}
	binary.BigEndian.PutUint16(udp, o.SrcPort)
	binary.BigEndian.PutUint16(udp[2:], o.DstPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpSize))
	if e.csum || t.Dst.Is6() {
		sum := udpChecksum(t.Src, t.Dst, udp)
		binary.BigEndian.PutUint16(udp[6:], sum)
	}
	return b, o, nil
}

const outerTTL = 64

func putIPv4(b []byte, src, dst netip.Addr, total int) {
	b[0], b[8], b[9] = 0x45, outerTTL, 17
	binary.BigEndian.PutUint16(b[2:], uint16(total))
	b[6] = 0x40 // don't fragment
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[10:], ^fold(sum16(0, b[:ipv4Len])))
}

func putIPv6(b []byte, src, dst netip.Addr, payload int) {
	b[0], b[6], b[7] = 0x60, 17, outerTTL
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	s, d := src.As16(), dst.As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
}

// sum16 adds up 16-bit words (RFC 1071).
func sum16(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func udpChecksum(src, dst netip.Addr, udp []byte) uint16 {
	sum := sum16(0, src.AsSlice())
	sum = sum16(sum, dst.AsSlice()) + 17 + uint32(len(udp))
	if c := ^fold(sum16(sum, udp)); c != 0 {
		return c
	}
	return 0xffff
}

// sourcePort spreads inner flows over the paths of the underlay: 32768 to 61000,
// as Open vSwitch has it, from a hash of the inner addresses and ports.
func sourcePort(frame []byte) uint16 {
	h := fnv.New32a()
	h.Write(frame[:min(len(frame), 12)])
	if len(frame) >= ethernetLen {
		switch l3 := frame[ethernetLen:]; {
		case frame[12] == 8 && frame[13] == 0 && len(l3) >= ipv4Len:
			h.Write(l3[9:10])
			h.Write(l3[12:min(len(l3), 24)])
		case frame[12] == 0x86 && frame[13] == 0xdd && len(l3) >= ipv6Len:
			h.Write(l3[6:7])
			h.Write(l3[8:min(len(l3), 44)])
		}
	}
	return uint16(32768 + h.Sum32()%(61000-32768))
}

// decapsulate reads the outer headers of a packet that a chassis receives.
func decapsulate(b []byte) (*Outer, []byte, error) {
	if len(b) < ethernetLen {
		return nil, nil, errNotTunnel
	}
	o := &Outer{}
	rest := b[ethernetLen:]
	switch {
	case b[12] == 8 && b[13] == 0 && len(rest) >= ipv4Len && rest[0]>>4 == 4 && rest[9] == 17:
		n := int(rest[0]&15) * 4
		total := int(binary.BigEndian.Uint16(rest[2:]))
		if n < ipv4Len || total < n+udpLen || total > len(rest) {
			return nil, nil, errNotTunnel
		}
		if fold(sum16(0, rest[:n])) != 0xffff {
			return nil, nil, fmt.Errorf("%w: bad IP checksum", errNotTunnel)
		}
		o.Src, o.Dst = netip.AddrFrom4([4]byte(rest[12:])), netip.AddrFrom4([4]byte(rest[16:]))
		rest = rest[n:total]
	case b[12] == 0x86 && b[13] == 0xdd && len(rest) >= ipv6Len+udpLen && rest[0]>>4 == 6 && rest[6] == 17:
		total := ipv6Len + int(binary.BigEndian.Uint16(rest[4:]))
		if total > len(rest) || total < ipv6Len+udpLen {
			return nil, nil, errNotTunnel
		}
		o.Src, o.Dst = netip.AddrFrom16([16]byte(rest[8:])), netip.AddrFrom16([16]byte(rest[24:]))
		rest = rest[ipv6Len:total]
	default:
		return nil, nil, errNotTunnel
	}
	o.SrcPort, o.DstPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	if n := int(binary.BigEndian.Uint16(rest[4:])); n < udpLen || n > len(rest) {
		return nil, nil, errNotTunnel
	}
	if rest[6]|rest[7] != 0 && fold(sum16(sum16(sum16(0, o.Src.AsSlice()), o.Dst.AsSlice())+17+uint32(len(rest)), rest)) != 0xffff {
		return nil, nil, fmt.Errorf("%w: bad UDP checksum", errNotTunnel)
	}
	// Open vSwitch looks at the options themselves, not at the C bit.
	g := append([]byte(nil), rest[udpLen:]...)
	h, inner, err := geneve.Decode(g)
	if errors.Is(err, geneve.ErrCriticalBit) {
		g[1] ^= 0x40
		h, inner, err = geneve.Decode(g)
	}
	if err != nil {
		return nil, nil, err
	}
	if h.Protocol != geneve.ProtocolEthernet {
		return nil, nil, fmt.Errorf("%w: protocol %#04x", errNotTunnel, h.Protocol)
	}
	o.Geneve = h
	o.Ports, o.HasPorts = h.Ports()
	return o, inner, nil
}

// send takes a packet from a chassis to whoever has its outer destination.
func (n *Network) send(from *Chassis, data []byte, o *Outer, at *Node) {
	n.mu.Lock()
	to, fault, mtu := n.byIP[o.Dst], n.fault, n.underlayMTU
	n.mu.Unlock()
	at.Outer = o
	n.capture(underlayCapture, data)
	f := &Frame{From: from.Name, Data: data}
	if to != nil {
		f.To = to.Name
	}
	at.To = f.To
	switch {
	case mtu > 0 && len(data)-ethernetLen > mtu:
		at.end("%d bytes do not fit the underlay's MTU of %d", len(data)-ethernetLen, mtu)
	case to == nil:
		at.end("nobody on the underlay has %v", o.Dst)
	case fault != nil && fault(f):
		at.end("lost on the underlay")
	default:
		n.line.after(wireDelay, func() { n.arrive(to, f.Data, at) })
	}
}

// Inject puts a frame on the wire to a chassis, whoever sends it.
func (n *Network) Inject(to *Chassis, data []byte) *Node {
	at := n.root(&Node{Kind: NodeWire, Where: "underlay", To: to.Name, Frame: data})
	n.capture(underlayCapture, data)
	n.line.after(wireDelay, func() { n.arrive(to, data, at) })
	return at
}

// arrive gives a packet from the underlay to the tunnel port that it is for.
func (n *Network) arrive(c *Chassis, data []byte, at *Node) {
	o, inner, err := decapsulate(data)
	if err != nil {
		at.end("chassis %q: %v", c.Name, err)
		return
	}
	if at.Outer == nil {
		at.Outer = o
	}
	p := c.vs.tunnelPort(o.Src, o.Dst, o.DstPort, uint32(o.Geneve.VNI))
	if p == nil {
		at.end("chassis %q has no tunnel port for UDP port %d, %v from %v", c.Name, o.DstPort, o.Geneve.VNI, o.Src)
		return
	}
	t := &vswitch.Tunnel{VNI: uint32(o.Geneve.VNI), Src: o.Src, Dst: o.Dst}
	for opt := range o.Geneve.All() {
		t.Options = append(t.Options, opt)
	}
	n.process(c, p, inner, t, at)
}
