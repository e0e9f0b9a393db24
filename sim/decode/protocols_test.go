package decode

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// sampleFrames are frames of every protocol, with words that the text must have.
func sampleFrames(t testing.TB) map[string]struct {
	frame []byte
	want  []string
} {
	t.Helper()
	udp := func(src, dst uint16) *layers.UDP {
		return &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
	}
	v4 := func(p layers.IPProtocol) *layers.IPv4 { return ip4("10.0.0.11", "10.0.0.12", p) }
	v6 := func(p layers.IPProtocol) *layers.IPv6 { return ip6("fd00::11", "fd00::12", p) }
	a4, b4 := net.ParseIP("10.0.0.11").To4(), net.ParseIP("10.0.0.12").To4()
	quoted := serialize(t, v4(17), udp(1000, 2000), gopacket.Payload("abcdefgh"))
	out := map[string]struct {
		frame []byte
		want  []string
	}{}
	add := func(name string, frame []byte, want ...string) {
		out[name] = struct {
			frame []byte
			want  []string
		}{frame, want}
	}
	add("arp request", serialize(t, eth(layers.EthernetTypeARP), &layers.ARP{AddrType: 1, Protocol: 0x800, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: 1, SourceHwAddress: macA, SourceProtAddress: a4, DstHwAddress: make([]byte, 6), DstProtAddress: b4}),
		"arp     who has 10.0.0.12, tell 10.0.0.11 (50:54:00:00:00:01)")
	add("vlan", serialize(t, eth(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 42, Priority: 3, Type: layers.EthernetTypeIPv4}, v4(17), udp(1000, 2000), gopacket.Payload("abc")),
		"vlan    id 42 priority 3  IPv4", "udp     1000 > 2000  len 11", "data    3 bytes")
	add("tcp", serialize(t, eth(layers.EthernetTypeIPv4), v4(6), &layers.TCP{SrcPort: 33000, DstPort: 80, SYN: true, Seq: 9, Window: 64000}),
		"tcp     33000 > 80  [SYN] seq 9 ack 0 win 64000 len 0")
	add("ping6", serialize(t, eth(layers.EthernetTypeIPv6), v6(58), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, &layers.ICMPv6Echo{Identifier: 3, SeqNumber: 4}),
		"ipv6    fd00::11 > fd00::12  icmp6 hops 255", "icmp6   echo request id 3 seq 4")
	add("solicitation", serialize(t, eth(layers.EthernetTypeIPv6), v6(58), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(135, 0)},
		&layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP("fd00::12"), Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: macA}}}),
		"icmp6   neighbour solicitation: who has fd00::12, source 50:54:00:00:00:01")
	add("advertisement", serialize(t, eth(layers.EthernetTypeIPv6), v6(58), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(136, 0)},
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: net.ParseIP("fd00::12"), Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: macB}}}),
		"icmp6   neighbour advertisement: fd00::12 solicited override, target 50:54:00:00:00:02")
	add("too big", serialize(t, eth(layers.EthernetTypeIPv4), v4(1), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 4), Seq: 1442}, gopacket.Payload(quoted)),
		"mtu 1442, about", "udp     1000 > 2000")
	add("dhcp", serialize(t, eth(layers.EthernetTypeIPv4), ip4("0.0.0.0", "255.255.255.255", 17), udp(68, 67), &layers.DHCPv4{Operation: 1, HardwareType: 1, HardwareLen: 6, Xid: 0x1234,
		ClientHWAddr: macA, Options: layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{1}), layers.NewDHCPOption(layers.DHCPOptHostname, []byte("a\x1b[2Jb"))}}),
		"dhcp    Discover xid 0x00001234 client 50:54:00:00:00:01")
	add("dns", serialize(t, eth(layers.EthernetTypeIPv4), v4(17), udp(1000, 53), &layers.DNS{ID: 7, QDCount: 1,
		Questions: []layers.DNSQuestion{{Name: []byte("vm1.example"), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}),
		`dns     query 7: A "vm1.example"`)
	fragment := v4(17)
	fragment.Flags, fragment.FragOffset = layers.IPv4MoreFragments, 0
	add("fragment", serialize(t, eth(layers.EthernetTypeIPv4), fragment, gopacket.Payload("\x03\xe8\x07\xd0\xff\xff\x00\x00part of the data")),
		"fragment of id 7 at 0 (more follow)", "udp     1000 > 2000  len 65535")
	add("llc", append(append(bytes.Clone(macB), macA...), 0, 3, 0x42, 0x42, 3), "802.3 len 3", "llc     3 bytes")
	add("unknown type", append(append(bytes.Clone(macB), macA...), 0x88, 0xb5, 1, 2, 3), "type 0x88b5", "data    3 bytes")
	return out
}

func TestProtocols(t *testing.T) {
	for name, s := range sampleFrames(t) {
		p := decodeBytes(&Decoder{}, s.frame)
		got := text(t, p)
		for _, want := range s.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, got)
			}
		}
		if len(p.Problems) > 0 {
			t.Errorf("%s: problems:\n%s", name, got)
		}
		if strings.ContainsAny(strings.ReplaceAll(got, "\n", ""), "\x1b\x00\r") {
			t.Errorf("%s: control characters of the packet in the text: %q", name, got)
		}
	}
}

// Headers in each other have an end.
func TestNesting(t *testing.T) {
	inner := ping(t, "10.0.0.11", "10.0.0.12")
	for range 3 * maxDepth {
		inner = tunnel(t, "10.0.0.11", "10.0.0.12", 6081, innerHeader, inner)
	}
	p := decodeBytes(&Decoder{}, inner)
	if got := text(t, p); !p.Broken() || !strings.Contains(got, "more than 16 Geneve headers") {
		t.Errorf("%d layers:\n%s", len(p.Layers), got)
	}
	tags := append(append(bytes.Clone(macB), macA...), 0x81, 0)
	for range 1000 {
		tags = append(tags, 0, 1, 0x81, 0)
	}
	if p := decodeBytes(&Decoder{}, tags); !p.Broken() || len(p.Layers) != maxLayers {
		t.Errorf("%d layers of VLAN tags", len(p.Layers))
	}
}

// FuzzDecode feeds frames: no panic, offsets within the frame, and an end.
func FuzzDecode(f *testing.F) {
	for _, s := range sampleFrames(f) {
		f.Add(uint16(layers.LinkTypeEthernet), s.frame, 0)
		f.Add(uint16(layers.LinkTypeEthernet), tunnel(f, "203.0.113.1", "203.0.113.2", 6081, outerHeader, s.frame), 0)
	}
	f.Add(uint16(layers.LinkTypeRaw), []byte{0x45}, 7)
	f.Add(uint16(layers.LinkTypeLinuxSLL2), make([]byte, 64), 0)
	d := &Decoder{Names: Zones{zone("", "203.0.113.1", "203.0.113.2")}}
	f.Fuzz(func(t *testing.T, link uint16, b []byte, more int) {
		if more < 0 || more > 1<<16 {
			more = 0
		}
		p := d.Decode(Frame{Link: layers.LinkType(link), Length: len(b) + more, Data: b})
		for _, pr := range p.Problems {
			if pr.Offset < 0 || pr.Offset > len(b) {
				t.Errorf("problem outside of the frame of %d bytes: %v", len(b), &pr)
			}
			if pr.Layer == "decoder" && strings.HasPrefix(pr.Reason, "cannot be decoded") {
				t.Errorf("a decoder panicked: %v", &pr)
			}
		}
		for _, l := range p.Layers {
			if l.Offset < 0 || l.Offset > len(b) {
				t.Errorf("layer %q outside of the frame of %d bytes: %d", l.Name, len(b), l.Offset)
			}
			if _, err := l.MarshalJSON(); err != nil {
				t.Error(err)
			}
		}
		text(t, p)
	})
}
