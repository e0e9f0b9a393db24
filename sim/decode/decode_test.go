package decode

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/geneve"
)

var (
	macA, _ = net.ParseMAC("50:54:00:00:00:01")
	macB, _ = net.ParseMAC("50:54:00:00:00:02")
)

// serialize makes bytes of layers, with lengths and checksums.
func serialize(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, l := range all {
		if i == 0 {
			continue
		}
		if ip, ok := all[i-1].(gopacket.NetworkLayer); ok {
			if c, ok := l.(interface {
				SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
			}); ok {
				if err := c.SetNetworkLayerForChecksum(ip); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

func eth(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: macA, DstMAC: macB, EthernetType: typ}
}

func ip4(src, dst string, p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: p, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst), Id: 7, Flags: layers.IPv4DontFragment}
}

func ip6(src, dst string, p layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: p, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
}

// tunnel puts a payload behind a Geneve header between two endpoints.
func tunnel(t testing.TB, src, dst string, port uint16, header string, inner []byte) []byte {
	t.Helper()
	h, err := hex.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	return serialize(t, eth(layers.EthernetTypeIPv4), ip4(src, dst, layers.IPProtocolUDP),
		&layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}, gopacket.Payload(append(h, inner...)))
}

// ping is an echo request between two workloads.
func ping(t testing.TB, src, dst string) []byte {
	return serialize(t, eth(layers.EthernetTypeIPv4), ip4(src, dst, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 5, Seq: 1}, gopacket.Payload("12345678"))
}

const (
	outerHeader = "0240655800000100" + "0102800100010002" // VNI 1, ports 1 and 2
	innerHeader = "0000655800777700"
)

// zone is what a southbound database says about sw0 on two chassis.
func zone(name, a, b string) *Zone {
	return &Zone{Name: name, Chassis: map[netip.Addr]string{netip.MustParseAddr(a): "hv1", netip.MustParseAddr(b): "hv2"},
		Datapaths: map[geneve.VNI]*Datapath{1: {Name: name + "sw0", Kind: "switch",
			Ports: map[uint16]string{1: "vm1", 2: "vm2"}, Groups: map[uint16]string{32768: "_MC_flood"}}}}
}

func decodeBytes(d *Decoder, b []byte) *Packet {
	return d.Decode(Frame{Number: 1, Time: time.Unix(1e9, 0), Link: layers.LinkTypeEthernet, Length: len(b), Data: b})
}

func text(t testing.TB, p *Packet) string {
	t.Helper()
	var b strings.Builder
	if err := p.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A workload's own tunnel inside the overlay: the outer header has names, the
// inner one is shown as it is, though it has a VNI and addresses of its own.
func TestGeneveInGeneve(t *testing.T) {
	inner := tunnel(t, "10.0.0.11", "10.0.0.12", 6081, innerHeader, ping(t, "10.9.0.1", "10.9.0.2"))
	d := &Decoder{Names: Zones{zone("", "203.0.113.1", "203.0.113.2")}}
	p := decodeBytes(d, tunnel(t, "203.0.113.1", "203.0.113.2", 6081, outerHeader, inner))
	want := `1  2001-09-09 01:46:40.000000  168 bytes
  eth     50:54:00:00:00:01 > 50:54:00:00:00:02  IPv4
  ipv4    203.0.113.1 > 203.0.113.2  udp ttl 64 len 154 DF
  udp     40000 > 6081  len 134
  geneve  vni 0x1 = switch "sw0", hv1 to hv2  flags [C] proto Ethernet 0x6558
          option class 0x0102 Open Virtual Networking (OVN) type 0x80 critical: 00010002
          inport "vm1" (1), outport "vm2" (2)
    eth     50:54:00:00:00:01 > 50:54:00:00:00:02  IPv4
    ipv4    10.0.0.11 > 10.0.0.12  udp ttl 64 len 96 DF
    udp     40000 > 6081  len 76
    geneve  vni 0x7777  flags [none] proto Ethernet 0x6558
      eth     50:54:00:00:00:01 > 50:54:00:00:00:02  IPv4
      ipv4    10.9.0.1 > 10.9.0.2  icmp ttl 64 len 36 DF
      icmp    echo request id 5 seq 1
      data    8 bytes
`
	if diff := cmp.Diff(want, text(t, p)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if p.Broken() || len(p.Problems) > 0 {
		t.Errorf("problems: %v", p.Problems)
	}
	var line strings.Builder
	if err := p.Line(&line); err != nil || strings.Count(line.String(), "\n") != 1 || !strings.Contains(line.String(), "vni 0x7777") {
		t.Errorf("line: %q, %v", line.String(), err)
	}
}

// A transit switch is one network in the zones whose gateways it is between; any
// other key of theirs has no name.
func TestTransitSwitch(t *testing.T) {
	east, west := zone("east", "203.0.113.1", "203.0.113.2"), zone("west", "203.0.113.1", "203.0.113.2")
	packet := tunnel(t, "203.0.113.1", "203.0.113.2", 6081, outerHeader, ping(t, "10.9.0.1", "10.9.0.2"))
	d := &Decoder{Names: Zones{east, west}}
	if got := text(t, decodeBytes(d, packet)); !strings.Contains(got, "two zones have chassis with these addresses") {
		t.Errorf("two networks with one key:\n%s", got)
	}
	west.Datapaths[1].Name = east.Datapaths[1].Name
	if got := text(t, decodeBytes(d, packet)); !strings.Contains(got, `vni 0x1 = switch "eastsw0"`) || !strings.Contains(got, `inport "vm1" (1), outport "vm2" (2)`) {
		t.Errorf("a transit switch:\n%s", got)
	}
}

// The same VNI is another network between other endpoints.
func TestSameVNITwice(t *testing.T) {
	names := Zones{zone("east", "203.0.113.1", "203.0.113.2"), zone("west", "198.51.100.1", "198.51.100.2")}
	for _, tc := range []struct {
		src, dst, want string
		names          Names
	}{
		{"203.0.113.1", "203.0.113.2", `vni 0x1 = switch "eastsw0", hv1 to hv2 in zone east`, names},
		{"198.51.100.2", "198.51.100.1", `vni 0x1 = switch "westsw0", hv2 to hv1 in zone west`, names},
		{"203.0.113.1", "198.51.100.1", "vni 0x1  flags", names},
		{"203.0.113.9", "203.0.113.2", "203.0.113.9 is no tunnel endpoint of a chassis: a chassis takes nothing from it", names},
		{"203.0.113.1", "203.0.113.9", "203.0.113.9 is no tunnel endpoint of a chassis\n", names},
		{"203.0.113.1", "203.0.113.2", "two zones have chassis with these addresses", append(names, zone("again", "203.0.113.1", "203.0.113.2"))},
		{"203.0.113.1", "203.0.113.2", "vni 0x1  flags [C]", nil},
	} {
		got := text(t, decodeBytes(&Decoder{Names: tc.names}, tunnel(t, tc.src, tc.dst, 6081, outerHeader, ping(t, "10.0.0.11", "10.0.0.12"))))
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s to %s: %q is missing in\n%s", tc.src, tc.dst, tc.want, got)
		}
	}
}

// Geneve is expected where it is said to be, and nowhere else.
func TestPorts(t *testing.T) {
	for _, tc := range []struct {
		ports []uint16
		port  uint16
		found bool
	}{{nil, 6081, true}, {nil, 6082, false}, {[]uint16{6082}, 6081, false}, {[]uint16{6081, 6082}, 6082, true}} {
		p := decodeBytes(&Decoder{Ports: tc.ports}, tunnel(t, "203.0.113.1", "203.0.113.2", tc.port, outerHeader, ping(t, "10.0.0.11", "10.0.0.12")))
		if found := strings.Contains(text(t, p), "geneve"); found != tc.found {
			t.Errorf("ports %v, packet to %d: Geneve found %v", tc.ports, tc.port, found)
		}
	}
}

// What is wrong with a header is said with the byte where it is wrong; 42 is the
// first of the Geneve header.
func TestBroken(t *testing.T) {
	inner := ping(t, "10.0.0.11", "10.0.0.12")
	whole := tunnel(t, "203.0.113.1", "203.0.113.2", 6081, outerHeader, inner)
	geneveFrame := func(header string) []byte { return tunnel(t, "203.0.113.1", "203.0.113.2", 6081, header, inner) }
	change := func(at int, v byte) []byte {
		b := bytes.Clone(whole)
		b[at] = v
		return b
	}
	for _, tc := range []struct {
		name   string
		frame  []byte
		layer  string
		at     int
		reason string
		broken bool
	}{
		{"empty frame", nil, "eth", 0, "0 of 14 bytes", true},
		{"IPv4 header cut", whole[:30], "ipv4", 30, "16 of 20 bytes of the header", true},
		{"IPv4 version", change(14, 0x65), "ipv4", 14, "version 6", true},
		{"IPv4 header length", change(14, 0x41), "ipv4", 14, "header of 4 bytes", true},
		{"IPv4 total length", change(16, 0xff), "ipv4", len(whole), "of the packet", true},
		{"IPv4 checksum", change(24, 0), "ipv4", 24, "expected", false},
		{"UDP length", change(39, 3), "udp", 38, "length of 3 bytes", true},
		{"UDP checksum", change(len(whole)-1, 0x11), "udp", 40, "expected", false},
		{"Geneve header cut", serialize(t, eth(layers.EthernetTypeIPv4), ip4("203.0.113.1", "203.0.113.2", 17), &layers.UDP{SrcPort: 1, DstPort: 6081}, gopacket.Payload("\x00\x00\x65")),
			"geneve", 45, "truncated: 3 of 8 bytes", true},
		{"Geneve version", geneveFrame("4000655800000100"), "geneve", 42, "unknown version: version 1", true},
		{"Geneve options cut", serialize(t, eth(layers.EthernetTypeIPv4), ip4("203.0.113.1", "203.0.113.2", 17), &layers.UDP{SrcPort: 1, DstPort: 6081}, gopacket.Payload("\x3f\x00\x65\x58\x00\x00\x01\x00")),
			"geneve", 50, "0 of 252 bytes of options", true},
		{"Geneve option too long", geneveFrame("0240655800000100" + "0102801f00010002"), "geneve", 50, "an option of 128 bytes where 8 are left", true},
		{"Geneve C bit missing", geneveFrame("0200655800000100" + "0102800100010002"), "geneve", 50, "the option is critical, and the C bit is 0", false},
		{"Geneve C bit alone", geneveFrame("0240655800000100" + "0103010100000000"), "geneve", 43, "no option is critical", false},
		{"inner frame cut", geneveFrame(outerHeader)[:70], "ipv4", 70, "of the packet", true},
	} {
		p := decodeBytes(&Decoder{}, tc.frame)
		found := false
		for _, pr := range p.Problems {
			found = found || pr.Layer == tc.layer && pr.Offset == tc.at && strings.Contains(pr.Reason, tc.reason) && pr.Broken == tc.broken
		}
		if !found {
			t.Errorf("%s: want %s at %d: %q, got\n%s", tc.name, tc.layer, tc.at, tc.reason, text(t, p))
		}
		if p.Broken() != tc.broken {
			t.Errorf("%s: broken is %v:\n%s", tc.name, p.Broken(), text(t, p))
		}
	}
	// A frame that the capture cut is not broken, wherever the cut is.
	for n := range whole {
		p := (&Decoder{}).Decode(Frame{Link: layers.LinkTypeEthernet, Length: len(whole), Data: whole[:n]})
		if p.Broken() || len(p.Problems) == 0 && n < len(whole)-8 {
			t.Fatalf("cut at %d:\n%s", n, text(t, p))
		}
	}
	if p := decodeBytes(&Decoder{}, whole); len(p.Problems) > 0 {
		t.Errorf("nothing is wrong:\n%s", text(t, p))
	}
}

// What RFC 8926 makes an endpoint do is said with the header.
func TestVerdict(t *testing.T) {
	for header, want := range map[string]string{
		"0080655800000100":                      "flags [O] proto Ethernet 0x6558\n          RFC 8926 for an endpoint that knows OVN's option only: drop: control packet",
		"0240655800000100" + "ff00810100000000": "option class 0xff00 Experimental type 0x81 critical: 00000000\n          RFC 8926 for an endpoint that knows OVN's option only: drop: unknown critical option",
		"0200655800000100" + "ff00010100000000": "flags [none] proto Ethernet 0x6558\n          option class 0xff00 Experimental type 0x01: 00000000\n    eth",
		"0000080000000100":                      "proto IPv4 0x0800\n          RFC 8926 for an endpoint that knows OVN's option only: drop: unknown protocol",
	} {
		got := text(t, decodeBytes(&Decoder{}, tunnel(t, "203.0.113.1", "203.0.113.2", 6081, header, ping(t, "10.0.0.11", "10.0.0.12"))))
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q is missing in\n%s", header, want, got)
		}
	}
}

func TestJSON(t *testing.T) {
	d := &Decoder{Names: Zones{zone("", "203.0.113.1", "203.0.113.2")}}
	flood := "0240655800000100" + "0102800100018000"
	data, err := json.Marshal(decodeBytes(d, tunnel(t, "203.0.113.1", "203.0.113.2", 6081, flood, ping(t, "10.0.0.11", "10.0.0.12"))))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Number, Length int
		Layers         []struct {
			Layer         string
			Depth, Offset int
			VNI           int
			Datapath      string
			Inport        Port
			Group         Port `json:"multicast_group"`
			Options       []option
			Src           string
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	g := got.Layers[3]
	if g.Layer != "geneve" || g.Offset != 42 || g.VNI != 1 || g.Datapath != "sw0" || g.Inport != (Port{1, "vm1"}) || g.Group != (Port{32768, "_MC_flood"}) ||
		len(g.Options) != 1 || g.Options[0] != (option{0x102, "Open Virtual Networking (OVN)", 0x80, true, "00018000"}) {
		t.Errorf("geneve: %+v", g)
	}
	if l := got.Layers[5]; l.Layer != "ipv4" || l.Depth != 1 || l.Src != "10.0.0.11" || l.Offset != 58+14 {
		t.Errorf("inner IPv4: %+v", l)
	}
}

func BenchmarkDecode(b *testing.B) {
	frame := tunnel(b, "203.0.113.1", "203.0.113.2", 6081, outerHeader, ping(b, "10.0.0.11", "10.0.0.12"))
	d := &Decoder{Names: Zones{zone("", "203.0.113.1", "203.0.113.2")}}
	b.ReportAllocs()
	for b.Loop() {
		p := decodeBytes(d, frame)
		if err := p.Text(io.Discard); err != nil || p.Broken() {
			b.Fatal(p, err)
		}
	}
}
