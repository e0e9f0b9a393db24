package stories

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/geneve"
	"govn/sim/decode"
)

func decoderFor(n Network) *decode.Decoder { return &decode.Decoder{Names: n.Names()} }

// host is one end of a frame.
type host struct {
	mac net.HardwareAddr
	ip  netip.Addr
}

func workload(mac, ip string) host {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err) // only constants of this package are parsed
	}
	return host{hw, netip.MustParseAddr(ip)}
}

// The workloads of two of the examples.
var (
	vm1 = workload("50:54:00:00:00:01", "10.0.0.11")
	vm2 = workload("50:54:00:00:00:02", "10.0.0.12")
)

// datagram is a UDP frame from one host to another.
func datagram(t testing.TB, from, to host, port uint16, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.ip.AsSlice(), DstIP: to.ip.AsSlice(), Flags: layers.IPv4DontFragment}
	udp := &layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: from.mac, DstMAC: to.mac, EthernetType: layers.EthernetTypeIPv4}, ip, udp, gopacket.Payload(payload))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// header is a Geneve header as bytes, which may be wrong in any way.
type header struct {
	version   uint8
	control   bool  // O
	critical  *bool // C; nil: as the options are
	reserved  uint8 // bits of the second byte, six of them
	protocol  uint16
	vni       geneve.VNI
	options   []byte
	optLength int // added to the length of the options that is told, in words
}

func (h header) bytes() []byte {
	b, c := make([]byte, geneve.HeaderLen), false
	for o := range (geneve.Header{Options: h.options}).All() {
		c = c || o.Critical()
	}
	if h.critical != nil {
		c = *h.critical
	}
	b[0] = h.version<<6 | byte(len(h.options)/4+h.optLength)&0x3f
	b[1] = h.reserved & 0x3f
	if h.control {
		b[1] |= 0x80
	}
	if c {
		b[1] |= 0x40
	}
	protocol := h.protocol
	if protocol == 0 {
		protocol = geneve.ProtocolEthernet
	}
	b[2], b[3] = byte(protocol>>8), byte(protocol)
	b[4], b[5], b[6] = byte(h.vni>>16), byte(h.vni>>8), byte(h.vni)
	return append(b, h.options...)
}

// ports is OVN's option.
func ports(in, out uint16) []byte {
	return []byte{0x01, 0x02, 0x80, 1, byte(in >> 8), byte(in), byte(out >> 8), byte(out)}
}

// unknown is an option of the class for experiments, of four bytes.
func unknown(critical bool) []byte {
	typ := byte(0x01)
	if critical {
		typ = 0x81
	}
	return []byte{0xff, 0x00, typ, 1, 0xde, 0xad, 0xbe, 0xef}
}

// ChassisHeader is the Geneve header that a chassis sends between two ports of a
// switch.
func ChassisHeader(t testing.TB, n Network, name, from, to string) []byte {
	t.Helper()
	sw := findSwitch(t, n, name)
	return header{vni: sw.vni, options: ports(sw.port(from), sw.port(to))}.bytes()
}

// Between is a frame from vm1 to vm2 with a text in it.
func Between(t testing.TB, text string) []byte { return datagram(t, vm1, vm2, 7, []byte(text)) }

// Datagram is a frame on the underlay from one chassis to a UDP port of another.
func Datagram(t testing.TB, n Network, from, to string, port uint16, payload []byte) []byte {
	t.Helper()
	src, dst := endpoints(t, n, from, to)
	return datagram(t, src, dst, port, payload)
}

// endpoints are the tunnel endpoints of two chassis.
func endpoints(t testing.TB, n Network, from, to string) (src, dst host) {
	t.Helper()
	for chassis, h := range map[string]*host{from: &src, to: &dst} {
		mac, err := n.Endpoint(t.Context(), chassis)
		if err != nil {
			t.Fatal(err)
		}
		h.mac = mac
		for _, z := range n.Names().Zones() {
			for ip, name := range z.Chassis {
				if name == chassis {
					h.ip = ip
				}
			}
		}
		if !h.ip.IsValid() {
			t.Fatalf("no tunnel endpoint of %q in the southbound database", chassis)
		}
	}
	return src, dst
}
