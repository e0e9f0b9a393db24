package translate

import (
	"net/netip"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// PortSecurity is the tables that check_in_port_sec() and check_out_port_sec()
// look into (ovn-nb(5), port_security). A port without port security has no
// flow in them, and passes.
//
//	                 +-- 73 in ---------------+        +-- 74 in, ND ----------+
//	port sends ----> | 95 ARP                 | -----> | 90 ARP of its own     |
//	                 | 90 its own addresses   | -----> | 90 ND of its own      |
//	                 | 80 anything else: drop |  ND    | 80 other ARP, ND: drop|
//	                 +------------------------+        +-----------------------+
//	                 +-- 75 out ----------------------------------------------+
//	port receives -> | 95 to its own addresses, multicast, broadcast          |
//	                 | 90 other IP to its own Ethernet address: drop          |
//	                 | 85 anything else to its own Ethernet address           |
//	                 | 80 anything else: drop                                 |
//	                 +--------------------------------------------------------+
func PortSecurity(p *topology.Port) []Extra {
	if len(p.PortSecurity) == 0 {
		return nil
	}
	s := &security{port: p}
	s.in(abi.TableInPortSec, 80, refuse, nil)
	s.in(abi.TableInPortSec, 95, checkND, func(m *openflow.Match) { ethType(m, etherARP) })
	s.in(abi.TableInPortSecND, 80, refuse, func(m *openflow.Match) { ethType(m, etherARP) })
	s.in(abi.TableInPortSecND, 80, refuse, func(m *openflow.Match) { nd(m, ndSolicit) })
	s.in(abi.TableInPortSecND, 80, refuse, func(m *openflow.Match) { nd(m, ndAdvert) })
	s.outFlow(80, refuse, nil)
	for _, a := range p.PortSecurity {
		s.sends(a.Addresses)
		s.receives(a.Addresses)
	}
	return s.out
}

const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherIPv6   = 0x86dd
	protoUDP    = 17
	protoICMP6  = 58
	mldReport   = 131
	mldv2Report = 143
	ndSolicit   = 135
	ndAdvert    = 136
)

var (
	allow   = []openflow.Action{setBit(abi.RegFlags, abi.FlagPortSec, false)}
	refuse  = []openflow.Action{setBit(abi.RegFlags, abi.FlagPortSec, true)}
	checkND = []openflow.Action{resubmit(abi.TableInPortSecND)}
)

type security struct {
	port *topology.Port
	out  []Extra
}

func (s *security) in(table uint8, priority uint16, acts []openflow.Action, more func(*openflow.Match)) {
	m := openflow.NewMatch(8)
	m.Set(openflow.FieldMetadata, 0)
	m.Set(openflow.FieldReg(abi.RegInport), uint64(s.port.Key))
	if more != nil {
		more(m)
	}
	s.out = append(s.out, Extra{Stage: pipeline.LSInCheckPortSec, Table: table, Priority: priority, Match: m.Done(), Actions: acts})
}

func (s *security) outFlow(priority uint16, acts []openflow.Action, more func(*openflow.Match)) {
	m := openflow.NewMatch(5)
	m.Set(openflow.FieldMetadata, 0)
	m.Set(openflow.FieldReg(abi.RegOutport), uint64(s.port.Key))
	if more != nil {
		more(m)
	}
	s.out = append(s.out, Extra{Stage: pipeline.LSOutCheckPortSec, Table: abi.TableOutPortSec, Priority: priority, Match: m.Done(), Actions: acts})
}

func ethType(m *openflow.Match, t uint64) { m.Set(openflow.FieldEthType, t) }

func nd(m *openflow.Match, icmpType uint64) {
	ethType(m, etherIPv6)
	m.Set(openflow.FieldIPProto, protoICMP6)
	m.Set(openflow.FieldIPTTL, 255)
	m.Set(openflow.FieldICMPv6Type, icmpType)
	m.Set(openflow.FieldICMPv6Code, 0)
}

func setMAC(m *openflow.Match, f *openflow.Field, mac topology.MAC) { m.SetBytes(f, mac[:], nil) }

// setPrefix matches the address alone where the prefix has a host part, and the
// subnet where it has none.
func setPrefix(m *openflow.Match, f *openflow.Field, p netip.Prefix) {
	addr := p.Addr().AsSlice()
	if topology.HostPart(p) {
		m.SetBytes(f, addr, nil)
		return
	}
	mask := make([]byte, len(addr))
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	m.SetBytes(f, addr, mask)
}

// sends allows what a port may send with one Ethernet address.
func (s *security) sends(a topology.Addresses) {
	src := func(m *openflow.Match) { setMAC(m, openflow.FieldEthSrc, a.MAC) }
	if len(a.V4)+len(a.V6) == 0 {
		s.in(abi.TableInPortSec, 90, checkND, src)
		s.arp(a, nil)
		s.neighbour(a, nil)
		return
	}
	for _, ip := range a.V4 {
		s.in(abi.TableInPortSec, 90, allow, func(m *openflow.Match) {
			src(m)
			ethType(m, etherIPv4)
			setPrefix(m, openflow.FieldIPv4Src, ip)
		})
		s.arp(a, &ip)
	}
	if len(a.V4) > 0 {
		s.in(abi.TableInPortSec, 90, allow, func(m *openflow.Match) { // a DHCP client without an address
			src(m)
			ethType(m, etherIPv4)
			m.Set(openflow.FieldIPv4Src, 0)
			m.Set(openflow.FieldIPv4Dst, 0xffffffff)
			m.Set(openflow.FieldIPProto, protoUDP)
			m.Set(openflow.FieldUDPSrc, 68)
			m.Set(openflow.FieldUDPDst, 67)
		})
	}
	if len(a.V6) == 0 {
		return
	}
	for _, t := range []struct {
		icmp uint64
		acts []openflow.Action
	}{{mldReport, allow}, {mldv2Report, allow}, {ndSolicit, checkND}} {
		s.in(abi.TableInPortSec, 90, t.acts, func(m *openflow.Match) { // a host that looks for duplicates of itself
			src(m)
			ethType(m, etherIPv6)
			m.SetBytes(openflow.FieldIPv6Src, make([]byte, 16), nil)
			setPrefix(m, openflow.FieldIPv6Dst, netip.MustParsePrefix("ff02::/16"))
			m.Set(openflow.FieldIPProto, protoICMP6)
			m.Set(openflow.FieldICMPv6Type, t.icmp)
			m.Set(openflow.FieldICMPv6Code, 0)
		})
	}
	for _, ip := range withLinkLocal(a) {
		s.in(abi.TableInPortSec, 90, checkND, func(m *openflow.Match) {
			src(m)
			ethType(m, etherIPv6)
			setPrefix(m, openflow.FieldIPv6Src, ip)
		})
	}
	s.neighbour(a, withLinkLocal(a))
}

func withLinkLocal(a topology.Addresses) []netip.Prefix {
	list := append([]netip.Prefix(nil), a.V6...)
	return append(list, netip.PrefixFrom(a.MAC.LinkLocal(), 128))
}

// arp allows ARP with the port's own addresses inside.
func (s *security) arp(a topology.Addresses, spa *netip.Prefix) {
	s.in(abi.TableInPortSecND, 90, allow, func(m *openflow.Match) {
		setMAC(m, openflow.FieldEthSrc, a.MAC)
		ethType(m, etherARP)
		setMAC(m, openflow.FieldARPSHA, a.MAC)
		if spa != nil {
			setPrefix(m, openflow.FieldARPSPA, *spa)
		}
	})
}

// neighbour allows neighbour discovery with the port's own addresses inside,
// or without a link-layer address. Without targets any is allowed.
func (s *security) neighbour(a topology.Addresses, targets []netip.Prefix) {
	for _, mac := range []topology.MAC{{}, a.MAC} {
		s.in(abi.TableInPortSecND, 90, allow, func(m *openflow.Match) {
			setMAC(m, openflow.FieldEthSrc, a.MAC)
			nd(m, ndSolicit)
			setMAC(m, openflow.FieldNDSLL, mac)
		})
		if len(targets) == 0 {
			s.in(abi.TableInPortSecND, 90, allow, func(m *openflow.Match) {
				setMAC(m, openflow.FieldEthSrc, a.MAC)
				nd(m, ndAdvert)
				setMAC(m, openflow.FieldNDTLL, mac)
			})
		}
		for _, ip := range targets {
			s.in(abi.TableInPortSecND, 90, allow, func(m *openflow.Match) {
				setMAC(m, openflow.FieldEthSrc, a.MAC)
				nd(m, ndAdvert)
				setMAC(m, openflow.FieldNDTLL, mac)
				setPrefix(m, openflow.FieldNDTarget, ip)
			})
		}
	}
}

// receives allows what a port may receive with one Ethernet address. Frames to
// a multicast address do not come here.
func (s *security) receives(a topology.Addresses) {
	dst := func(m *openflow.Match) { setMAC(m, openflow.FieldEthDst, a.MAC) }
	s.outFlow(85, allow, dst)
	if len(a.V4)+len(a.V6) == 0 {
		return
	}
	for _, t := range []uint64{etherIPv4, etherIPv6} {
		s.outFlow(90, refuse, func(m *openflow.Match) {
			dst(m)
			ethType(m, t)
		})
	}
	to4 := func(p netip.Prefix) {
		s.outFlow(95, allow, func(m *openflow.Match) {
			dst(m)
			ethType(m, etherIPv4)
			setPrefix(m, openflow.FieldIPv4Dst, p)
		})
	}
	for _, ip := range a.V4 {
		to4(ip)
		if topology.HostPart(ip) && ip.Bits() < 32 {
			to4(netip.PrefixFrom(topology.Broadcast(ip), 32))
		}
	}
	if len(a.V4) > 0 {
		to4(netip.MustParsePrefix("255.255.255.255/32"))
		to4(netip.MustParsePrefix("224.0.0.0/4"))
	}
	if len(a.V6) > 0 {
		for _, ip := range append(withLinkLocal(a), netip.MustParsePrefix("ff00::/8")) {
			s.outFlow(95, allow, func(m *openflow.Match) {
				dst(m)
				ethType(m, etherIPv6)
				setPrefix(m, openflow.FieldIPv6Dst, ip)
			})
		}
	}
}
