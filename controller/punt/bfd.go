package punt

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/abi"
	"govn/pkg/bfd"
	"govn/pkg/openflow"
	"govn/proto"
)

// Bounds of BFD.
const (
	// MaxBFDSessions bounds the sessions of one chassis.
	MaxBFDSessions = 1024
	// MinBFDInterval is the least time between packets that a session asks for:
	// shorter ones are not promised, and the peer is told so.
	MinBFDInterval = 10 * time.Millisecond
)

// ErrBFDFull is returned, wrapped, for a session beyond MaxBFDSessions.
var ErrBFDFull = errors.New("the chassis has as many BFD sessions as it may")

// BFDKey names a session: a router port, and its peer's address.
type BFDKey struct {
	Datapath, Port uint32
	Peer           netip.Addr
}

func (k BFDKey) String() string { return fmt.Sprintf("%d/%d to %s", k.Datapath, k.Port, k.Peer) }

// BFD handles PuntBFD and runs the sessions of the router ports that are resident
// on this chassis (RFC 5881, single hop).
//
//	peer --> router's ingress --handle_bfd_msg--> Handle --> session
//	                                                           |
//	peer <-- router's egress <-- routed, ARP <-- ingress <-- Advance
//
// What it sends enters the ingress pipeline of the router by the session's port,
// to the broadcast address of Ethernet: the router finds the peer's own. It never
// leaves for another chassis.
type BFD struct {
	// Send sends a packet through actions.
	Send func(data []byte, actions []openflow.Action)
	// Changed hears that the state of a session became known or changed. It must
	// not call back.
	Changed func(key BFDKey, s *proto.BfdStatus)

	// Strange counts packets that are sound but of no session: another TTL, an
	// address or discriminator that is not known, authentication.
	Strange uint64

	table    *bfd.Table[BFDKey]
	sessions map[BFDKey]*bfdSession
	up       map[BFDKey]uint32 // discriminator
}

type bfdSession struct {
	source     netip.Addr
	sourcePort uint16
	mac        [6]byte
}

// NewBFD makes one without sessions.
func NewBFD() *BFD {
	return &BFD{table: bfd.NewTable[BFDKey](), sessions: map[BFDKey]*bfdSession{}, up: map[BFDKey]uint32{}}
}

// Set makes, changes or (nil) ends a session. With an error the session is not
// there.
func (b *BFD) Set(now time.Time, key BFDKey, want *proto.BfdSession) error {
	if want == nil {
		b.end(key)
		return nil
	}
	s, c, err := b.read(key, want)
	if err == nil && b.sessions[key] == nil && len(b.sessions) >= MaxBFDSessions {
		err = fmt.Errorf("%w: %d", ErrBFDFull, MaxBFDSessions)
	}
	if err == nil {
		err = b.table.Put(now, key, c)
	}
	if err != nil {
		b.end(key)
		return fmt.Errorf("BFD session %v: %w", key, err)
	}
	b.sessions[key] = s
	if b.up[key] != want.Discriminator {
		delete(b.up, key) // it is another session
	}
	return nil
}

func (b *BFD) end(key BFDKey) {
	b.table.Delete(key)
	delete(b.sessions, key)
	delete(b.up, key)
}

// Len is the number of sessions that are up, and of all.
func (b *BFD) Len() (up, all int) { return len(b.up), len(b.sessions) }

// read checks what northd wants.
func (b *BFD) read(key BFDKey, want *proto.BfdSession) (*bfdSession, bfd.Config, error) {
	s := &bfdSession{sourcePort: uint16(want.SourcePort)}
	var ok bool
	if s.source, ok = netip.AddrFromSlice(want.Source); !ok || s.source.Is4() != key.Peer.Is4() {
		return nil, bfd.Config{}, fmt.Errorf("source address %x is not of the peer's family", want.Source)
	}
	if want.SourcePort < bfd.MinSourcePort || want.SourcePort > bfd.MaxSourcePort {
		return nil, bfd.Config{}, fmt.Errorf("source port %d is not of %d to %d", want.SourcePort, bfd.MinSourcePort, bfd.MaxSourcePort)
	}
	for i := range s.mac {
		s.mac[i] = byte(want.Mac >> (40 - 8*i))
	}
	c := bfd.Config{
		Discr: want.Discriminator, MinTx: interval(want.MinTx), MinRx: interval(want.MinRx),
		Mult: uint8(min(want.DetectMult, 255)), Admin: want.AdminDown, Resume: true,
	}
	if want.MinRx == 0 {
		c.MinRx = 0
	}
	c.Changed = func(ch bfd.Change) { b.changed(key, c.Discr, ch.New) }
	return s, c, nil
}

func interval(ms uint32) time.Duration {
	return min(max(time.Duration(ms)*time.Millisecond, MinBFDInterval), bfd.MaxInterval)
}

func (b *BFD) changed(key BFDKey, discr uint32, state bfd.State) {
	if delete(b.up, key); state == bfd.Up {
		b.up[key] = discr
	}
	if b.Changed != nil {
		b.Changed(key, &proto.BfdStatus{
			Datapath: key.Datapath, Port: key.Port, Peer: key.Peer.AsSlice(), Discriminator: discr, State: state.String()})
	}
}

// Level is the state of every session of which it is known.
func (b *BFD) Level() []*proto.BfdStatus {
	var out []*proto.BfdStatus
	for _, key := range b.keys() {
		if st := b.table.Get(key).Status(); !st.Resuming {
			out = append(out, &proto.BfdStatus{
				Datapath: key.Datapath, Port: key.Port, Peer: key.Peer.AsSlice(), Discriminator: st.Discr, State: st.State.String()})
		}
	}
	return out
}

// BFDReport is what there is to know about one session.
type BFDReport struct {
	Key    BFDKey
	Source netip.Addr
	bfd.Status
}

// Report tells about all sessions.
func (b *BFD) Report() []BFDReport {
	var out []BFDReport
	for _, key := range b.keys() {
		out = append(out, BFDReport{key, b.sessions[key].source, b.table.Get(key).Status()})
	}
	return out
}

func (b *BFD) keys() []BFDKey {
	keys := make([]BFDKey, 0, len(b.sessions))
	for key := range b.sessions {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y BFDKey) int {
		if x.Datapath != y.Datapath {
			return int(x.Datapath) - int(y.Datapath)
		}
		if x.Port != y.Port {
			return int(x.Port) - int(y.Port)
		}
		return strings.Compare(string(x.Peer.AsSlice()), string(y.Peer.AsSlice()))
	})
	return keys
}

// Next is when Advance must be called; zero: when a packet comes.
func (b *BFD) Next() time.Time { return b.table.Next() }

// Advance sends what is due. Packets that have come are to be handled first.
func (b *BFD) Advance(now time.Time) {
	b.table.Transmit(now, func(key BFDKey, p bfd.Packet) {
		s := b.sessions[key]
		if s == nil {
			return
		}
		frame, err := s.frame(key.Peer, &p)
		if err != nil {
			return
		}
		b.Send(frame, []openflow.Action{
			openflow.SetUint(openflow.FieldMetadata, uint64(key.Datapath)),
			openflow.SetUint(openflow.FieldReg(abi.RegInport), uint64(key.Port)),
			openflow.SetBits(openflow.FieldReg(abi.RegFlags), abi.FlagLocalOnly, abi.FlagLocalOnly, 1),
			openflow.ToTable(abi.TableIngress),
		})
	})
}

// dscp is class selector 6, network control, as Open vSwitch's BFD has it.
const dscp = 48 << 2

// frame is a control packet in UDP, IP and Ethernet.
func (s *bfdSession) frame(peer netip.Addr, p *bfd.Packet) ([]byte, error) {
	eth := layers.Ethernet{SrcMAC: s.mac[:], DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeIPv4}
	udp := layers.UDP{SrcPort: layers.UDPPort(s.sourcePort), DstPort: bfd.Port}
	var ip gopacket.SerializableLayer
	if peer.Is4() {
		ip4 := &layers.IPv4{Version: 4, IHL: 5, TOS: dscp, TTL: bfd.TTL, Protocol: layers.IPProtocolUDP, SrcIP: s.source.AsSlice(), DstIP: peer.AsSlice()}
		ip = ip4
		if err := udp.SetNetworkLayerForChecksum(ip4); err != nil {
			return nil, err
		}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip6 := &layers.IPv6{Version: 6, TrafficClass: dscp, HopLimit: bfd.TTL, NextHeader: layers.IPProtocolUDP, SrcIP: s.source.AsSlice(), DstIP: peer.AsSlice()}
		ip = ip6
		if err := udp.SetNetworkLayerForChecksum(ip6); err != nil {
			return nil, err
		}
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&eth, ip, &udp, gopacket.Payload(p.Append(nil)))
	return buf.Bytes(), err
}

// HandleAt takes a packet that came at now.
func (b *BFD) HandleAt(now time.Time, p *Packet) bool {
	in, ok := readBFD(p.Data)
	if !ok {
		return false
	}
	key := BFDKey{uint32(p.Datapath), p.Inport, in.src}
	s := b.sessions[key]
	if s == nil || in.dst != s.source || in.ttl != bfd.TTL {
		b.Strange++
		return true
	}
	packet, err := bfd.Decode(in.payload)
	if errors.Is(err, bfd.ErrAuth) {
		b.Strange++
		return true
	} else if err != nil {
		return false
	}
	if packet.YourDiscr != 0 && packet.YourDiscr != b.table.Get(key).Status().Discr {
		b.Strange++
		return true
	}
	if _, err := b.table.Receive(now, key, packet); err != nil && !errors.Is(err, bfd.ErrAdminDown) {
		b.Strange++
	}
	return true
}

type datagram struct {
	src, dst netip.Addr
	ttl      uint8
	payload  []byte
}

// readBFD reads a UDP datagram to BFD's port; false: it is none.
func readBFD(frame []byte) (d datagram, ok bool) {
	var (
		eth layers.Ethernet
		ip4 layers.IPv4
		ip6 layers.IPv6
		udp layers.UDP
		got []gopacket.LayerType
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip4, &ip6, &udp)
	parser.IgnoreUnsupported = true
	if err := parser.DecodeLayers(frame, &got); err != nil || len(got) < 3 || got[2] != layers.LayerTypeUDP || udp.DstPort != bfd.Port {
		return d, false
	}
	src, dst := ip4.SrcIP, ip4.DstIP
	d.ttl, d.payload = ip4.TTL, udp.Payload
	if got[1] == layers.LayerTypeIPv6 {
		src, dst, d.ttl = ip6.SrcIP, ip6.DstIP, ip6.HopLimit
	}
	var okSrc, okDst bool
	d.src, okSrc = netip.AddrFromSlice(src)
	d.dst, okDst = netip.AddrFromSlice(dst)
	return d, okSrc && okDst
}
