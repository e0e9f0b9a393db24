package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"govn/pkg/openflow"
)

// frame4 is an IPv4 packet with right checksums.
func frame4(proto byte, payload []byte) []byte {
	b := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, 0x45, 0, 0, byte(20+len(payload)), 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	binary.BigEndian.PutUint16(b[24:], Checksum(b[14:34]))
	b = append(b, payload...)
	var s State
	l := Parse(b, &s)
	at := map[byte]int{ProtoTCP: 16, ProtoUDP: 6, ProtoICMP: 2}[proto]
	switch l4 := l.Layer4(b); {
	case proto == ProtoICMP:
		binary.BigEndian.PutUint16(l4[at:], Checksum(l4))
	case proto == ProtoSCTP:
		binary.LittleEndian.PutUint32(l4[8:], sctpSum(l4))
	default:
		binary.BigEndian.PutUint16(l4[at:], PseudoChecksum(&s.Key, l4))
	}
	return b
}

// What is written can be read again, and right checksums stay right.
func TestRewrite(t *testing.T) {
	for name, frame := range map[string][]byte{
		"TCP":  frame4(ProtoTCP, []byte{0, 80, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 9, 9, 0, 0, 0, 0, 'x'}),
		"UDP":  frame4(ProtoUDP, []byte{0, 80, 1, 0, 0, 12, 0, 0, 1, 2, 3, 4}),
		"ICMP": frame4(ProtoICMP, []byte{8, 0, 0, 0, 1, 2, 3, 4}),
		"SCTP": frame4(ProtoSCTP, []byte{0, 80, 1, 0, 9, 9, 9, 9, 0, 0, 0, 0, 1, 2, 3, 4}),
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			l := Parse(frame, &s)
			if !l.ChecksumsRight(frame, &s.Key) || s.Key.IPSrc() != netip.MustParseAddr("10.0.0.1") || s.Key.TTL() != 64 {
				t.Fatalf("source %v, TTL %d", s.Key.IPSrc(), s.Key.TTL())
			}
			before := bytes.Clone(frame)
			now := s
			now.PushVLAN(EthTypeVLAN)
			now.Key.Set(openflow.FieldVLANVID, U128{Lo: 0x1007})
			now.Key.Set(openflow.FieldIPDSCP, U128{Lo: 5})
			now.Key.SetTTL(3)
			now.Key.SetIPSrc(netip.MustParseAddr("192.0.2.77"))
			now.Key.SetIPDst(netip.MustParseAddr("198.51.100.3"))
			if name != "ICMP" {
				now.Key.SetPorts(4444, 55)
			}
			now.Key.Set(openflow.FieldEthDst, U128{Lo: 0x0a0b0c0d0e0f})
			out := Rewrite(frame, l, &s, &now)
			var again State
			m := Parse(out, &again)
			if again != now {
				t.Errorf("read again\n%+v\nwritten\n%+v", again, now)
			}
			if !m.ChecksumsRight(out, &again.Key) || m != l.Moved(&s, &now) {
				t.Errorf("wrong checksum, or layout %+v instead of %+v", m, l.Moved(&s, &now))
			}
			back := Rewrite(out, m, &again, &s)
			if !bytes.Equal(back, frame) || !bytes.Equal(before, frame) {
				t.Errorf("%x became %x", frame, back)
			}
			frame[len(frame)-1] ^= 1
			if l.ChecksumsRight(frame, &s.Key) {
				t.Error("a wrong checksum is right")
			}
		})
	}
}

// Every field can be written and read back, whole and bit by bit, without
// touching those that it shares no bits with.
func TestFields(t *testing.T) {
	for _, f := range openflow.Fields() {
		if f == openflow.FieldPacketType {
			continue
		}
		bits := places[f.Index()].bits
		if bits == 0 {
			t.Errorf("field %q has no place", f.Name)
			continue
		}
		if f == openflow.FieldInPort {
			continue // 16 bits are kept
		}
		var k Key
		k.Set(f, ones(f.Bits))
		if got := k.Get(f); got != ones(f.Bits) {
			t.Errorf("field %q: %x", f.Name, got)
		}
		n := 0
		for _, w := range k {
			for ; w != 0; w &= w - 1 {
				n++
			}
		}
		extra := 0
		if f == openflow.FieldVLANPCP || places[f.Index()].word >= wTunMeta && places[f.Index()].word < wTunPresent {
			extra = 1 // the tag, the presence of the option
		}
		if n != f.Bits+extra {
			t.Errorf("field %q has %d bits, wrote %d", f.Name, f.Bits, n)
		}
		half := openflow.Subfield{Field: f, Offset: f.Bits / 2, Bits: f.Bits - f.Bits/2}
		k.SetSubfield(half, U128{})
		if got := k.Get(f); got != ones(f.Bits/2) && f.Bits > 1 {
			t.Errorf("field %q: %x without its upper half", f.Name, got)
		}
		if got := k.Subfield(half); got != (U128{}) {
			t.Errorf("field %q: upper half %x", f.Name, got)
		}
	}
}

// Port numbers of OpenFlow 1.5 become 16 bits and come back.
func TestPortNumbers(t *testing.T) {
	for _, n := range []uint32{0, 1, 0xfeff, 0xffffff00, 0xfffffff8, 0xfffffffe, 0xffffffff} {
		if p, ok := PortFrom32(n); !ok || PortTo32(p) != n {
			t.Errorf("port %#x is %#x, %v", n, p, ok)
		}
	}
	for _, n := range []uint32{0xff00, 0x10000, 0xfffffeff} {
		if _, ok := PortFrom32(n); ok {
			t.Errorf("port %#x is one", n)
		}
	}
}
