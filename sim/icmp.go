package sim

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket/layers"
)

// ICMPError is what somebody on the way said about a packet.
type ICMPError struct {
	From       netip.Addr
	Type, Code uint8
	MTU        int // of the next hop, where that is what it is about; else 0
}

// String says it in words.
func (e ICMPError) String() string {
	what := fmt.Sprintf("ICMP type %d, code %d", e.Type, e.Code)
	if e.From.Is4() {
		what = layers.CreateICMPv4TypeCode(e.Type, e.Code).String()
	} else if e.From.IsValid() {
		what = layers.CreateICMPv6TypeCode(e.Type, e.Code).String()
	}
	if e.MTU != 0 {
		what += fmt.Sprintf(", MTU %d", e.MTU)
	}
	return fmt.Sprintf("%v says %s", e.From, what)
}

// PingOptions change what a ping sends.
type PingOptions struct {
	Size int   // bytes of data; 0: 56, as ping(8) has it
	TTL  uint8 // 0: 64
}

// refused takes in an ICMP error about an echo request of the workload: quote is
// the packet that it is about.
func (s *Station) refused(e ICMPError, quote []byte) {
	to, echo := quotedEcho(quote)
	if len(echo) < 8 || binary.BigEndian.Uint16(echo[4:]) != echoID {
		return
	}
	s.mu.Lock()
	r := s.echoes[echoKey{to, binary.BigEndian.Uint16(echo[6:])}]
	s.mu.Unlock()
	if r == nil || r.done {
		return
	}
	r.Refused, r.Why, r.RTT, r.done = &e, e.String(), s.net.Now().Sub(r.sent), true
}

// quotedEcho is the destination of a quoted packet and what follows its IP
// header.
func quotedEcho(b []byte) (to netip.Addr, rest []byte) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n := int(b[0]&0xf) * 4
		if n < 20 || len(b) < n {
			return to, nil
		}
		return netip.AddrFrom4([4]byte(b[16:20])), b[n:]
	case len(b) >= 40 && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[24:40])), b[40:]
	}
	return to, nil
}

// receiveError takes in an ICMPv4 or ICMPv6 error, b is the message.
func (s *Station) receiveError(from netip.Addr, b []byte) {
	if len(b) < 8 {
		return
	}
	e := ICMPError{From: from, Type: b[0], Code: b[1]}
	switch {
	case from.Is4() && (e.Type == layers.ICMPv4TypeTimeExceeded || e.Type == layers.ICMPv4TypeDestinationUnreachable):
		if e.Type == layers.ICMPv4TypeDestinationUnreachable && e.Code == layers.ICMPv4CodeFragmentationNeeded {
			e.MTU = int(binary.BigEndian.Uint16(b[6:]))
		}
	case from.Is6() && e.Type < 128:
		if e.Type == layers.ICMPv6TypePacketTooBig {
			e.MTU = int(binary.BigEndian.Uint32(b[4:]))
		}
	default:
		return
	}
	s.refused(e, b[8:])
}

// SetMAC gives the workload another Ethernet address. It tells nobody.
func (s *Station) SetMAC(mac net.HardwareAddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.MAC = slices.Clone(mac)
}

// SolicitRouter asks the routers of the network to say what there is (RFC 4861,
// 4.1). A workload with Autoconf takes what they say.
func (s *Station) SolicitRouter() *Node {
	group := netip.MustParseAddr("ff02::2")
	return s.Send(s.nd(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 2}, linkLocal(s.MAC), group, layers.ICMPv6TypeRouterSolicitation,
		&layers.ICMPv6RouterSolicitation{Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: s.MAC}}}))
}

// receiveAdvertisement takes in a router advertisement: the workload makes itself
// an address of each prefix that says so (RFC 4862, 5.5.3), and takes the router
// as its default.
func (s *Station) receiveAdvertisement(from netip.Addr, mac net.HardwareAddr, ra *layers.ICMPv6RouterAdvertisement) {
	if !s.Autoconf || !from.IsLinkLocalUnicast() {
		return
	}
	s.learn(from, slices.Clone(mac))
	s.mu.Lock()
	defer s.mu.Unlock()
	if ra.RouterLifetime > 0 && !slices.Contains(s.Gateways, from) {
		s.Gateways = append(s.Gateways, from)
	}
	for _, o := range ra.Options {
		if o.Type != layers.ICMPv6OptPrefixInfo || len(o.Data) != 30 || o.Data[0] != 64 || o.Data[1]&0x40 == 0 {
			continue
		}
		b := linkLocal(s.MAC).As16()
		copy(b[:8], o.Data[14:22])
		if p := netip.PrefixFrom(netip.AddrFrom16(b), 64); !slices.Contains(s.IPs, p) {
			s.IPs = append(s.IPs, p)
		}
	}
}

// Addresses are those of the workload now.
func (s *Station) Addresses() []netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.IPs)
}
