package punt

import (
	"bytes"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/openflow"
)

// sctpPacket is a frame with an SCTP packet from port 4000 to 80, with some chunks.
func sctpPacket(six bool, dst uint64, tag uint32, chunks ...[]byte) []byte {
	seg := &layers.SCTP{SrcPort: 4000, DstPort: 80, VerificationTag: tag}
	payload := gopacket.Payload(bytes.Join(chunks, nil))
	if six {
		ip := &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: layers.IPProtocolSCTP, SrcIP: net.ParseIP("fd01::9"), DstIP: net.ParseIP("fd02::9")}
		return serialize(Ethernet(1), Ethernet(dst), nil, layers.EthernetTypeIPv6, ip, seg, payload)
	}
	ip := &layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolSCTP, SrcIP: net.IP{10, 0, 0, 9}, DstIP: net.IP{20, 0, 0, 9}}
	return serialize(Ethernet(1), Ethernet(dst), nil, layers.EthernetTypeIPv4, ip, seg, payload)
}

// A packet of no association is refused as RFC 9260, 8.4 has it.
func TestSCTPAbort(t *testing.T) {
	initial := append([]byte{sctpInit, 0, 0, 20, 0xaa, 0xbb, 0xcc, 0xdd}, make([]byte, 12)...)
	data := []byte{0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'x', 0, 0, 0} // 17 bytes, padded to 20
	for _, tt := range []struct {
		what   string
		tag    uint32
		chunks [][]byte
		kind   byte // of the answer; 0: none
		flags  byte
		answer uint32 // its tag
	}{
		{"a new association", 0, [][]byte{initial}, sctpAbort, 0, 0xaabbccdd},
		{"data", 0x11223344, [][]byte{data}, sctpAbort, sctpReflected, 0x11223344},
		{"a heartbeat", 7, [][]byte{{4, 0, 0, 4}}, sctpAbort, sctpReflected, 7},
		{"the end", 9, [][]byte{{sctpShutdownAck, 0, 0, 4}}, sctpShutdownComplete, sctpReflected, 9},
		{"an abort", 9, [][]byte{{sctpAbort, 0, 0, 4}}, 0, 0, 0},
		{"an abort behind data", 9, [][]byte{data, {sctpAbort, 0, 0, 4}}, 0, 0, 0},
		{"the very end", 9, [][]byte{{sctpShutdownComplete, 0, 0, 4}}, 0, 0, 0},
		{"an error", 9, [][]byte{{sctpError, 0, 0, 4}}, 0, 0, 0},
		{"a late answer", 9, [][]byte{{sctpCookieAck, 0, 0, 4}}, 0, 0, 0},
		{"a new association without a tag", 0, [][]byte{{sctpInit, 0, 0, 4}}, 0, 0, 0},
		{"a new association that is not alone", 0, [][]byte{data, initial}, 0, 0, 0},
		{"a chunk without an end", 5, [][]byte{{0, 0, 0, 0}}, sctpAbort, sctpReflected, 5},
		{"a chunk longer than the packet", 5, [][]byte{{0, 0, 1, 0}}, sctpAbort, sctpReflected, 5},
	} {
		for _, six := range []bool{false, true} {
			var sent []byte
			h := &SCTPAbort{Send: func(b []byte, _ []openflow.Action) { sent = b }}
			if !h.Handle(&Packet{Userdata: userdata(0), Data: sctpPacket(six, 2, tt.tag, tt.chunks...), Datapath: 5, Inport: 7}) || (sent != nil) != (tt.kind != 0) {
				t.Errorf("%s: sent %x", tt.what, sent)
			}
			if sent == nil {
				continue
			}
			q := gopacket.NewPacket(sent, layers.LayerTypeEthernet, gopacket.Default)
			out, _ := q.Layer(layers.LayerTypeSCTP).(*layers.SCTP)
			if out == nil || out.SrcPort != 80 || out.DstPort != 4000 || out.VerificationTag != tt.answer ||
				!bytes.Equal(out.Payload, []byte{tt.kind, tt.flags, 0, 4}) {
				t.Errorf("%s, IPv6 %v: %v", tt.what, six, q)
				continue
			}
			again := gopacket.NewSerializeBuffer()
			if err := gopacket.SerializeLayers(again, gopacket.SerializeOptions{ComputeChecksums: true},
				&layers.SCTP{SrcPort: out.SrcPort, DstPort: out.DstPort, VerificationTag: out.VerificationTag}, gopacket.Payload(out.Payload)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(sent, again.Bytes()) {
				t.Errorf("%s: %x, another implementation makes it %x", tt.what, sent, again.Bytes())
			}
		}
	}
	h := &SCTPAbort{Send: func(b []byte, _ []openflow.Action) { t.Errorf("sent %x", b) }}
	for _, tt := range []struct {
		what string
		data []byte
		ok   bool
	}{
		{"to a group", sctpPacket(false, 0x01005e000001, 5, data), true},
		{"without a chunk", sctpPacket(false, 2, 5), false},
		{"no SCTP", rs("fe80::9", 255), false},
	} {
		if got := h.Handle(&Packet{Userdata: userdata(0), Data: tt.data}); got != tt.ok {
			t.Errorf("%s: %v", tt.what, got)
		}
	}
}
