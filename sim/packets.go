package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// minFrame is the least size of an Ethernet frame without FCS; shorter ones are
// padded.
const minFrame = 60

// frame puts layers together, with lengths and checksums.
func frame(list ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	// The layers are of this file's making, with what they need.
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	out := b.Bytes()
	if len(out) < minFrame {
		out = append(out[:len(out):len(out)], make([]byte, minFrame-len(out))...)
	}
	return out
}

func (s *Station) arp(op uint16, dst net.HardwareAddr, spa netip.Addr, tha net.HardwareAddr, tpa netip.Addr) []byte {
	return frame(
		&layers.Ethernet{SrcMAC: s.MAC, DstMAC: dst, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
			SourceHwAddress: s.MAC, SourceProtAddress: spa.AsSlice(), DstHwAddress: tha, DstProtAddress: tpa.AsSlice(),
		})
}

// solicitedNode is the group that listens for solicitations of an address (RFC
// 4291, section 2.7.1), with its MAC.
func solicitedNode(a netip.Addr) (netip.Addr, net.HardwareAddr) {
	t := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}),
		net.HardwareAddr{0x33, 0x33, 0xff, t[13], t[14], t[15]}
}

func (s *Station) solicitation(a netip.Addr) []byte {
	src, err := s.source(a)
	if err != nil {
		src = linkLocal(s.MAC)
	}
	group, mac := solicitedNode(a)
	return s.nd(mac, src, group, layers.ICMPv6TypeNeighborSolicitation, &layers.ICMPv6NeighborSolicitation{
		TargetAddress: a.AsSlice(), Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: s.MAC}},
	})
}

func (s *Station) nd(dst net.HardwareAddr, from, to netip.Addr, typ uint8, body gopacket.SerializableLayer) []byte {
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	_ = icmp.SetNetworkLayerForChecksum(ip) // an IPv6 layer is one
	return frame(&layers.Ethernet{SrcMAC: s.MAC, DstMAC: dst, EthernetType: layers.EthernetTypeIPv6}, ip, icmp, body)
}

// echoKey tells echo requests apart.
type echoKey struct {
	to  netip.Addr
	seq uint16
}

const echoID = 0x474f // "GO"

func (s *Station) echo(dst net.HardwareAddr, from, to netip.Addr, reply bool, id, seq uint16, ttl uint8, payload []byte) []byte {
	eth := &layers.Ethernet{SrcMAC: s.MAC, DstMAC: dst, EthernetType: layers.EthernetTypeIPv4}
	if to.Is4() {
		typ := uint8(layers.ICMPv4TypeEchoRequest)
		if reply {
			typ = layers.ICMPv4TypeEchoReply
		}
		return frame(eth,
			&layers.IPv4{Version: 4, TTL: ttl, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolICMPv4, SrcIP: from.AsSlice(), DstIP: to.AsSlice()},
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, 0), Id: id, Seq: seq}, gopacket.Payload(payload))
	}
	typ := uint8(layers.ICMPv6TypeEchoRequest)
	if reply {
		typ = layers.ICMPv6TypeEchoReply
	}
	eth.EthernetType = layers.EthernetTypeIPv6
	ip := &layers.IPv6{Version: 6, HopLimit: ttl, NextHeader: layers.IPProtocolICMPv6, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	_ = icmp.SetNetworkLayerForChecksum(ip) // an IPv6 layer is one
	return frame(eth, ip, icmp, &layers.ICMPv6Echo{Identifier: id, SeqNumber: seq}, gopacket.Payload(payload))
}

func (s *Station) receiveEcho4(eth *layers.Ethernet, ip *layers.IPv4, icmp *layers.ICMPv4, at *Node) {
	from, _ := netip.AddrFromSlice(ip.SrcIP)
	to, _ := netip.AddrFromSlice(ip.DstIP)
	if !s.has(to) {
		return
	}
	switch icmp.TypeCode.Type() {
	case layers.ICMPv4TypeEchoRequest:
		s.answer(s.echo(eth.SrcMAC, to, from, true, icmp.Id, icmp.Seq, 64, icmp.Payload), at)
	case layers.ICMPv4TypeEchoReply:
		s.echoed(from, icmp.Id, icmp.Seq, ip.TTL)
	}
}

func (s *Station) receiveICMP6(eth *layers.Ethernet, p gopacket.Packet, at *Node) {
	ip, ok := p.NetworkLayer().(*layers.IPv6)
	if !ok {
		return
	}
	from, _ := netip.AddrFromSlice(ip.SrcIP)
	to, _ := netip.AddrFromSlice(ip.DstIP)
	if ns, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation); ok {
		target, _ := netip.AddrFromSlice(ns.TargetAddress)
		if !s.has(target) || from.IsUnspecified() {
			return
		}
		s.learn(from, append(net.HardwareAddr(nil), eth.SrcMAC...))
		s.answer(s.nd(eth.SrcMAC, target, from, layers.ICMPv6TypeNeighborAdvertisement, &layers.ICMPv6NeighborAdvertisement{
			Flags: 0x60, TargetAddress: target.AsSlice(), // solicited, override
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: s.MAC}},
		}), at)
		return
	}
	if na, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement); ok {
		target, _ := netip.AddrFromSlice(na.TargetAddress)
		for _, o := range na.Options {
			if o.Type == layers.ICMPv6OptTargetAddress && len(o.Data) == 6 {
				s.learn(target, append(net.HardwareAddr(nil), o.Data...))
			}
		}
		return
	}
	if ra, ok := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement); ok {
		s.receiveAdvertisement(from, eth.SrcMAC, ra)
		return
	}
	s.receiveError(from, ip.Payload)
	echo, ok := p.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo)
	if !ok || !s.has(to) {
		return
	}
	icmp := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	switch icmp.TypeCode.Type() {
	case layers.ICMPv6TypeEchoRequest:
		s.answer(s.echo(eth.SrcMAC, to, from, true, echo.Identifier, echo.SeqNumber, 64, echo.Payload), at)
	case layers.ICMPv6TypeEchoReply:
		s.echoed(from, echo.Identifier, echo.SeqNumber, ip.HopLimit)
	}
}

// UDP makes a UDP packet of the workload, to be sent with Send. mac is whom the
// frame is for.
func (s *Station) UDP(mac net.HardwareAddr, from, to netip.AddrPort, payload []byte) []byte {
	eth := &layers.Ethernet{SrcMAC: s.MAC, DstMAC: mac, EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	if to.Addr().Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
		_ = udp.SetNetworkLayerForChecksum(ip) // an IPv4 layer is one
		return frame(eth, ip, udp, gopacket.Payload(payload))
	}
	eth.EthernetType = layers.EthernetTypeIPv6
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	_ = udp.SetNetworkLayerForChecksum(ip) // an IPv6 layer is one
	return frame(eth, ip, udp, gopacket.Payload(payload))
}

// PingResult is what became of an echo request.
type PingResult struct {
	From, To string
	Addr     netip.Addr // that was pinged
	Seq      uint16
	Answered bool
	TTL      uint8         // of the reply as it arrived
	RTT      time.Duration // simulated
	Why      string        // why there was no answer
	Refused  *ICMPError    // what somebody on the way said; nil: nothing
	Journeys []*Node       // all that was sent for it, in order: resolution, request

	sent time.Time
	done bool
}

// ErrNoAnswer is wrapped where a ping is not answered.
var ErrNoAnswer = errors.New("no answer")

// pingTimeout is how long, in simulated time, an echo reply may take.
const pingTimeout = time.Second

// pingPayload is the size of an echo request's data, in bytes, as ping(8) has it.
const pingPayload = 56

// Ping sends an echo request to an address and runs the network until the reply
// is there, or it is certain that none comes. No answer is no error.
func (s *Station) Ping(ctx context.Context, to netip.Addr) (*PingResult, error) {
	return s.PingSize(ctx, to, pingPayload)
}

// PingSize is Ping with as many bytes of data.
func (s *Station) PingSize(ctx context.Context, to netip.Addr, size int) (*PingResult, error) {
	return s.PingWith(ctx, to, PingOptions{Size: size})
}

// PingWith is Ping with options.
func (s *Station) PingWith(ctx context.Context, to netip.Addr, o PingOptions) (*PingResult, error) {
	if o.Size == 0 {
		o.Size = pingPayload
	}
	if o.TTL == 0 {
		o.TTL = 64
	}
	s.mu.Lock()
	s.nextEcho++
	r := &PingResult{From: s.Name, Addr: to, Seq: s.nextEcho}
	key := echoKey{to, r.Seq}
	s.echoes[key] = r
	s.mu.Unlock()
	from, err := s.source(to)
	if err != nil {
		return nil, err
	}
	hop, err := s.nextHop(to)
	if err != nil {
		return nil, err
	}
	s.net.Record()
	s.resolve(hop, func(mac net.HardwareAddr) {
		if mac == nil {
			r.Why, r.done = fmt.Sprintf("nobody answers for %v", hop), true
			return
		}
		payload := make([]byte, o.Size)
		for i := range payload {
			payload[i] = byte(i)
		}
		r.sent = s.net.Now()
		s.Send(s.echo(mac, from, to, false, echoID, r.Seq, o.TTL, payload))
		s.net.line.after(pingTimeout, func() {
			if !r.done {
				r.Why, r.done = "no reply", true
			}
		})
	})
	if err := s.net.runUntil(ctx, func() bool { return r.done }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	delete(s.echoes, key)
	s.mu.Unlock()
	r.Journeys = s.net.Journeys()
	return r, nil
}

// echoed takes in an echo reply.
func (s *Station) echoed(from netip.Addr, id, seq uint16, ttl uint8) {
	s.mu.Lock()
	r := s.echoes[echoKey{from, seq}]
	s.mu.Unlock()
	if r == nil || r.done || id != echoID {
		return
	}
	r.Answered, r.TTL, r.RTT, r.done = true, ttl, s.net.Now().Sub(r.sent), true
}
