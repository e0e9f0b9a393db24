package sim

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/ovsdb"
)

// StationOptions describes a workload.
type StationOptions struct {
	Name     string           // required
	Chassis  string           // that it is on; required
	Port     string           // iface-id; the name if empty
	Bridge   string           // that it is plugged into; br-int if empty
	VLAN     int              // of its port, an access port; 0: none, and always on br-int
	MAC      net.HardwareAddr // required
	IPs      []netip.Prefix   // optional
	Gateways []netip.Addr     // default routes, one per family; optional
	MTU      int              // optional: 1500
	// Deaf workloads answer nothing.
	Deaf bool
	// Autoconf workloads make themselves addresses from router advertisements.
	Autoconf bool
}

// Station is a workload: a simulated host behind an interface of br-int. It
// answers ARP, neighbour solicitations and echo requests, and keeps all frames
// that it sees.
type Station struct {
	StationOptions
	Interface string // name of its interface on the chassis
	net       *Network

	mu       sync.Mutex
	chassis  *Chassis
	seen     []Captured
	neigh    map[netip.Addr]net.HardwareAddr
	waiting  map[netip.Addr]*resolution
	echoes   map[echoKey]*PingResult
	nextEcho uint16
}

// AddStation adds a workload and plugs it in. The bridge must be there.
func (n *Network) AddStation(ctx context.Context, o StationOptions) (*Station, error) {
	if o.Port == "" {
		o.Port = o.Name
	}
	if o.Bridge == "" {
		o.Bridge = "br-int"
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if len(o.MAC) != 6 {
		return nil, fmt.Errorf("workload %q: %q is no MAC address", o.Name, o.MAC)
	}
	s := &Station{
		StationOptions: o, Interface: "v-" + o.Name, net: n,
		neigh: map[netip.Addr]net.HardwareAddr{}, waiting: map[netip.Addr]*resolution{}, echoes: map[echoKey]*PingResult{},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stations[o.Name] != nil {
		return nil, fmt.Errorf("workload %q is there already", o.Name)
	}
	c := n.chassis[o.Chassis]
	if c == nil {
		return nil, fmt.Errorf("workload %q: %w: chassis %q", o.Name, ErrNotFound, o.Chassis)
	}
	if n.pcapPath != nil {
		if err := n.openCapture(o.Name); err != nil {
			return nil, err
		}
	}
	n.stations[o.Name] = s
	return s, s.plug(ctx, c)
}

// plug connects the workload to a chassis.
func (s *Station) plug(ctx context.Context, c *Chassis) error {
	c.setDevice(s.Interface, s)
	s.mu.Lock()
	s.chassis = c
	s.mu.Unlock()
	return c.wrap(c.db.addPort(ctx, s.Bridge, s.Interface, map[string]ovsdb.Value{
		"external_ids": map[string]string{"iface-id": s.Port, "attached-mac": s.MAC.String()},
	}, s.VLAN))
}

// Unplug takes the workload off its chassis.
func (s *Station) Unplug(ctx context.Context) error {
	s.mu.Lock()
	c := s.chassis
	s.chassis = nil
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	err := c.DelPort(ctx, s.Interface)
	c.setDevice(s.Interface, nil)
	return err
}

// Move takes the workload to another chassis, as a migration does.
func (s *Station) Move(ctx context.Context, chassis string) error {
	c := s.net.ChassisNamed(chassis)
	if c == nil {
		return fmt.Errorf("workload %q: %w: chassis %q", s.Name, ErrNotFound, chassis)
	}
	if err := s.Unplug(ctx); err != nil {
		return err
	}
	return s.plug(ctx, c)
}

// Station is a workload by name; nil: there is none.
func (n *Network) Station(name string) *Station {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stations[name]
}

// Seen are the frames that the workload has sent and received last, in order: at
// least 32,768 if there were so many.
func (s *Station) Seen() []Captured {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Forget empties Seen and the neighbour cache.
func (s *Station) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
	clear(s.neigh)
}

// Send plans a frame, as it is. The way shows where it went, after Run.
func (s *Station) Send(frame []byte) *Node {
	d := s.net.root(&Node{Kind: NodeStation, Where: s.Name, Frame: frame})
	s.transmit(frame, d)
	return d
}

// answer sends a frame because of what came.
func (s *Station) answer(frame []byte, at *Node) {
	s.transmit(frame, s.net.follow(at, &Node{Kind: NodeStation, Where: s.Name, Frame: frame}))
}

func (s *Station) transmit(frame []byte, d *Node) {
	s.note(frame)
	s.mu.Lock()
	c := s.chassis
	s.mu.Unlock()
	if c == nil {
		d.end("workload %q is on no chassis", s.Name)
		return
	}
	if size := l3Size(frame); size > s.MTU {
		d.end("%d bytes do not fit the MTU of %d of workload %q", size, s.MTU, s.Name)
		return
	}
	s.net.line.after(portDelay, func() {
		p := c.vs.portNamed(s.Interface)
		if p == nil {
			d.end("chassis %q has no port for interface %q", c.Name, s.Interface)
			return
		}
		s.net.process(c, p, frame, nil, d)
	})
}

// l3Size is the size of what is in a frame, without a VLAN tag.
func l3Size(frame []byte) int {
	n := len(frame) - ethernetLen
	if n >= vlanLen && frame[12] == 0x81 && frame[13] == 0 {
		n -= vlanLen
	}
	return n
}

// maxSeen is how many frames a workload remembers; a simulation may be up for days.
const maxSeen = 1 << 16

func (s *Station) note(frame []byte) {
	s.mu.Lock()
	if len(s.seen) >= maxSeen {
		s.seen = slices.Delete(s.seen, 0, maxSeen/2)
	}
	s.seen = append(s.seen, Captured{s.net.clock.Now(), frame})
	s.mu.Unlock()
	s.net.capture(s.Name, frame)
}

// has tells whether an address is the workload's own.
func (s *Station) has(a netip.Addr) bool {
	return a == linkLocal(s.MAC) || slices.ContainsFunc(s.IPs, func(p netip.Prefix) bool { return p.Addr() == a })
}

// linkLocal is the address of RFC 4291, appendix A.
func linkLocal(m net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// receive takes a frame from the switch.
func (s *Station) receive(frame []byte, at *Node) {
	s.note(frame)
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, ok := p.LinkLayer().(*layers.Ethernet)
	if !ok || s.Deaf || (!bytes.Equal(eth.DstMAC, s.MAC) && eth.DstMAC[0]&1 == 0) {
		return
	}
	if arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		s.receiveARP(arp, at)
		return
	}
	if icmp, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
		ip := p.NetworkLayer().(*layers.IPv4)
		if from, ok := netip.AddrFromSlice(ip.SrcIP); ok {
			s.receiveError(from, ip.Payload)
		}
		s.receiveEcho4(eth, ip, icmp, at)
		return
	}
	if _, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
		s.receiveICMP6(eth, p, at)
	}
}

func (s *Station) receiveARP(arp *layers.ARP, at *Node) {
	sender, ok := netip.AddrFromSlice(arp.SourceProtAddress)
	target, ok2 := netip.AddrFromSlice(arp.DstProtAddress)
	if !ok || !ok2 {
		return
	}
	if s.has(target) && !sender.IsUnspecified() {
		s.learn(sender, slices.Clone(arp.SourceHwAddress))
	}
	if arp.Operation == layers.ARPRequest && s.has(target) {
		s.answer(s.arp(layers.ARPReply, arp.SourceHwAddress, target, arp.SourceHwAddress, sender), at)
	}
}

// learn notes a neighbour and does what waited for it.
func (s *Station) learn(a netip.Addr, mac net.HardwareAddr) {
	s.mu.Lock()
	s.neigh[a] = mac
	waiting := s.waiting[a]
	delete(s.waiting, a)
	s.mu.Unlock()
	if waiting != nil {
		for _, fn := range waiting.then {
			fn(mac)
		}
	}
}

// nextHop is who a packet is to be given to.
func (s *Station) nextHop(to netip.Addr) (netip.Addr, error) {
	if to.IsLinkLocalUnicast() || slices.ContainsFunc(s.IPs, func(p netip.Prefix) bool { return p.Contains(to) }) {
		return to, nil
	}
	for _, gw := range s.Gateways {
		if gw.Is4() == to.Is4() {
			return gw, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("workload %q has no route to %v", s.Name, to)
}

// source is the address that the workload uses towards another.
func (s *Station) source(to netip.Addr) (netip.Addr, error) {
	if to.IsLinkLocalUnicast() {
		return linkLocal(s.MAC), nil
	}
	best := netip.Addr{}
	for _, p := range s.IPs {
		if p.Addr().Is4() == to.Is4() && (!best.IsValid() || p.Contains(to)) {
			best = p.Addr()
		}
	}
	if !best.IsValid() {
		return best, fmt.Errorf("workload %q has no address towards %v", s.Name, to)
	}
	return best, nil
}

// Times of address resolution (RFC 4861, RETRANS_TIMER and MAX_MULTICAST_SOLICIT).
const (
	resolveEvery = time.Second
	resolveTries = 3
)

// resolution is the search for a neighbour.
type resolution struct {
	of   netip.Addr
	then []func(net.HardwareAddr) // what to do when it is over
}

// resolve finds a neighbour's MAC and calls fn with it; if nobody answers, with
// nil.
func (s *Station) resolve(a netip.Addr, fn func(net.HardwareAddr)) {
	s.mu.Lock()
	mac, known := s.neigh[a]
	r := s.waiting[a]
	begin := !known && r == nil
	if begin {
		r = &resolution{of: a}
		s.waiting[a] = r
	}
	if !known {
		r.then = append(r.then, fn)
	}
	s.mu.Unlock()
	if known {
		fn(mac)
	}
	if begin {
		s.solicit(r, 1)
	}
}

func (s *Station) solicit(r *resolution, try int) {
	s.mu.Lock()
	over := s.waiting[r.of] != r
	if !over && try > resolveTries {
		delete(s.waiting, r.of)
	}
	s.mu.Unlock()
	switch {
	case over:
		return
	case try > resolveTries:
		for _, fn := range r.then {
			fn(nil)
		}
		return
	case r.of.Is4():
		src, err := s.source(r.of)
		if err != nil {
			src = netip.IPv4Unspecified()
		}
		s.Send(s.arp(layers.ARPRequest, broadcast, src, make(net.HardwareAddr, 6), r.of))
	default:
		s.Send(s.solicitation(r.of))
	}
	s.net.line.after(resolveEvery, func() { s.solicit(r, try+1) })
}
