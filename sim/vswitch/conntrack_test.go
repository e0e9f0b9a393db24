package vswitch

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"govn/sim/vswitch/packet"
)

// datagram is an IP packet in a frame, with right checksums.
func datagram(src, dst string, proto byte, payload []byte) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	var k packet.Key
	eth := []byte{0x08, 0x00}
	if s.Is6() {
		eth = []byte{0x86, 0xdd}
	}
	k.SetEthType(binary.BigEndian.Uint16(eth))
	k.SetIPSrc(s)
	k.SetIPDst(d)
	k.SetProto(proto)
	payload = slices.Clone(payload)
	if at := map[byte]int{6: 16, 17: 6, 1: 2, 58: 2}[proto]; at != 0 {
		c := packet.PseudoChecksum(&k, payload)
		if proto == 1 {
			c = packet.Checksum(payload)
		}
		binary.BigEndian.PutUint16(payload[at:], c)
	}
	var ip []byte
	if s.Is4() {
		ip = []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
		ip = append(append(ip, s.AsSlice()...), d.AsSlice()...)
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(payload)))
		binary.BigEndian.PutUint16(ip[10:], sum(ip))
	} else {
		ip = []byte{0x60, 0, 0, 0, 0, 0, proto, 64}
		binary.BigEndian.PutUint16(ip[4:], uint16(len(payload)))
		ip = append(append(ip, s.AsSlice()...), d.AsSlice()...)
	}
	return slices.Concat([]byte{0x0a, 0, 0, 0, 0, 2, 0x0a, 0, 0, 0, 0, 1}, eth, ip, payload)
}

func udp(src string, sport uint16, dst string, dport uint16) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, sport), dport)
	return datagram(src, dst, 17, append(b, 0, 12, 0, 0, 1, 2, 3, 4))
}

func echo(src, dst string, request bool, id byte) []byte {
	typ := byte(0)
	if request {
		typ = 8
	}
	return datagram(src, dst, 1, []byte{typ, 0, 0, 0, 0, id, 0, 1, 9, 9})
}

// segment is a TCP segment without payload.
func segment(src string, sport uint16, dst string, dport uint16, flags byte, seq, ack uint32) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, sport), dport)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), ack)
	return datagram(src, dst, 6, append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0))
}

// unreachable is an ICMP error about a packet.
func unreachable(src, dst string, about []byte) []byte {
	return datagram(src, dst, 1, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, about[14:42]...))
}

const (
	flagFIN, flagSYN, flagRST, flagACK = 1, 2, 4, 16
)

// Connections are tracked and translated as by Open vSwitch's userspace
// datapath. Port 1 is inside, port 2 outside; the state that a packet has shows
// in the addresses that it leaves with.
func TestConntrack(t *testing.T) {
	a, b := "10.0.0.1", "10.0.0.2"
	for _, tt := range []struct {
		name    string
		flows   []string
		packets []Packet
	}{
		{"states of UDP", []string{
			"table=0,priority=10,ip,actions=ct(table=1,zone=7)",
			"table=1,ip,ct_state=+trk+new,actions=ct(commit,zone=7,exec(set_field:0x5->ct_mark,set_field:0x77->ct_label)),set_field:02:00:00:00:00:01->eth_src,output:3",
			"table=1,ip,ct_state=+trk+est-rpl,actions=set_field:02:00:00:00:00:02->eth_src,move:NXM_NX_CT_MARK[]->NXM_OF_ETH_DST[0..31],output:3",
			"table=1,ip,ct_state=+trk+est+rpl,actions=set_field:02:00:00:00:00:03->eth_src,move:NXM_NX_CT_LABEL[0..31]->NXM_OF_ETH_DST[0..31],output:3",
			"table=1,ip,ct_state=+trk+inv,actions=set_field:02:00:00:00:00:04->eth_src,output:3",
			"table=1,ip,ct_state=+trk+rel,actions=set_field:02:00:00:00:00:05->eth_src,output:3",
		}, []Packet{
			{InPort: 1, Data: udp(a, 1000, b, 53)},
			{InPort: 1, Data: udp(a, 1000, b, 53)},
			{InPort: 2, Data: udp(b, 53, a, 1000)},
			{InPort: 1, Data: udp(a, 1000, b, 53)},
			{InPort: 1, Data: udp(a, 1001, b, 53)},
			{InPort: 2, Data: unreachable(b, a, udp(a, 1001, b, 53))},
			{InPort: 2, Data: unreachable(b, a, udp(a, 1002, b, 53))},
			{InPort: 1, Data: echo(a, b, true, 1)},
			{InPort: 2, Data: echo(b, a, false, 1)},
			{InPort: 1, Data: echo(a, b, true, 1)},
			{InPort: 2, Data: echo(b, a, false, 2)},
			{InPort: 1, Data: udp("fd00::1", 1, "fd00::2", 2)},
			{InPort: 1, Data: corrupt(udp(a, 1003, b, 53))},
		}},
		{"a TCP connection", []string{
			"table=0,priority=10,tcp,actions=ct(table=1)",
			"table=1,tcp,ct_state=+new,actions=ct(commit),set_field:02:00:00:00:00:01->eth_src,output:3",
			"table=1,tcp,ct_state=+est-rpl,actions=set_field:02:00:00:00:00:02->eth_src,output:3",
			"table=1,tcp,ct_state=+est+rpl,actions=set_field:02:00:00:00:00:03->eth_src,output:3",
			"table=1,tcp,ct_state=+inv,actions=set_field:02:00:00:00:00:04->eth_src,output:3",
		}, []Packet{
			{InPort: 2, Data: segment(b, 80, a, 1000, flagSYN|flagACK, 1, 1)}, // nobody asked
			{InPort: 1, Data: segment(a, 1000, b, 80, flagSYN, 100, 0)},
			{InPort: 1, Data: segment(a, 1000, b, 80, flagSYN, 100, 0)},
			{InPort: 2, Data: segment(b, 80, a, 1000, flagSYN|flagACK, 500, 101)},
			{InPort: 1, Data: segment(a, 1000, b, 80, flagACK, 101, 501)},
			{InPort: 2, Data: segment(b, 80, a, 1000, flagACK, 501, 101)},
			{InPort: 1, Data: segment(a, 1000, b, 80, flagFIN|flagACK, 101, 501)},
			{InPort: 2, Data: segment(b, 80, a, 1000, flagFIN|flagACK, 501, 102)},
			{InPort: 1, Data: segment(a, 1000, b, 80, flagACK, 102, 502)},
			{InPort: 1, Data: segment(a, 1000, b, 80, flagSYN, 9000, 0)}, // again
			{InPort: 1, Data: segment(a, 1001, b, 80, flagSYN|flagRST, 1, 0)},
		}},
		{"source translation", []string{
			"table=0,priority=10,in_port=1,ip,actions=ct(commit,zone=3,nat(src=192.0.2.1),table=1)",
			"table=0,priority=10,in_port=2,ip,actions=ct(zone=3,nat,table=2)",
			"table=1,ip,ct_state=+snat,actions=output:2",
			"table=2,ip,ct_state=+est+rpl+dnat-snat,actions=move:NXM_NX_CT_NW_SRC[]->NXM_OF_ETH_SRC[0..31],output:1",
			"table=2,ip,ct_state=+rel,actions=set_field:02:00:00:00:00:05->eth_src,output:1",
			"table=2,ip,ct_state=+new,actions=output:4",
		}, []Packet{
			{InPort: 1, Data: udp(a, 1000, "198.51.100.9", 53)},
			{InPort: 2, Data: udp("198.51.100.9", 53, "192.0.2.1", 1000)},
			{InPort: 1, Data: udp(a, 1000, "198.51.100.9", 53)},
			{InPort: 2, Data: udp("198.51.100.9", 53, "192.0.2.1", 1001)},
			{InPort: 1, Data: echo(a, "198.51.100.9", true, 7)},
			{InPort: 2, Data: echo("198.51.100.9", "192.0.2.1", false, 7)},
			{InPort: 1, Data: segment(a, 1000, "198.51.100.9", 80, flagSYN, 1, 0)},
			{InPort: 2, Data: segment("198.51.100.9", 80, "192.0.2.1", 1000, flagSYN|flagACK, 1, 2)},
		}},
		{"destination translation with a port", []string{
			"table=0,priority=10,in_port=1,ip,actions=ct(commit,zone=4,nat(dst=10.0.0.9:8080),table=1)",
			"table=0,priority=10,in_port=2,ip,actions=ct(zone=4,nat,table=1)",
			"table=1,ip,ct_state=+dnat-rpl,actions=output:2",
			"table=1,ip,ct_state=+snat+rpl-dnat,actions=output:1",
		}, []Packet{
			{InPort: 1, Data: udp(a, 1000, "192.0.2.80", 80)},
			{InPort: 2, Data: udp("10.0.0.9", 8080, a, 1000)},
			{InPort: 1, Data: segment(a, 1000, "192.0.2.80", 80, flagSYN, 1, 0)},
			{InPort: 2, Data: segment("10.0.0.9", 8080, a, 1000, flagSYN|flagACK, 1, 2)},
			{InPort: 1, Data: segment(a, 1000, "192.0.2.80", 80, flagACK, 2, 2)},
		}},
		{"IPv6 translation", []string{
			"table=0,priority=10,in_port=1,ipv6,actions=ct(commit,nat(src=2001:db8::1),table=1)",
			"table=0,priority=10,in_port=2,ipv6,actions=ct(nat,table=1)",
			"table=1,ipv6,in_port=1,actions=output:2",
			"table=1,ipv6,in_port=2,ct_state=+est,actions=output:1",
		}, []Packet{
			{InPort: 1, Data: udp("fd00::1", 1000, "2001:db8::9", 53)},
			{InPort: 2, Data: udp("2001:db8::9", 53, "2001:db8::1", 1000)},
		}},
		{"commit without a table, zones apart", []string{
			"table=0,priority=10,in_port=1,ip,actions=ct(commit,zone=1,nat(src=192.0.2.1)),output:2",
			"table=0,priority=10,in_port=2,ip,actions=ct(zone=2,table=1),ct(zone=1,nat,table=1)",
			"table=1,ip,ct_state=+est,actions=output:1",
			"table=1,ip,ct_state=+new,ct_zone=2,actions=output:4",
			"table=1,ip,ct_state=+new,actions=output:3",
		}, []Packet{
			{InPort: 1, Data: udp(a, 1000, b, 53)},
			{InPort: 2, Data: udp(b, 53, "192.0.2.1", 1000)},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOracle(t)
			if got := len(o.install(tt.flows...)); got != len(tt.flows) {
				t.Fatalf("%d of %d flows were accepted", got, len(tt.flows))
			}
			copies := 0
			for i, p := range tt.packets {
				copies += o.compare(p)
				if t.Failed() {
					t.Fatalf("packet %d", i)
				}
			}
			if copies < len(tt.packets)/2 {
				t.Errorf("%d copies of %d packets", copies, len(tt.packets))
			}
		})
	}
}

// corrupt breaks the checksum of layer 4.
func corrupt(f []byte) []byte {
	f[len(f)-1] ^= 0xff
	return f
}
