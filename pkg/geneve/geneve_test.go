package geneve

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ExampleEncapsulate() {
	b, err := Encapsulate(nil, 1, Ports{Ingress: 1, Egress: 2})
	fmt.Printf("%x %v\n", b, err)
	h, _, err := Decode(b)
	ports, _ := h.Ports()
	fmt.Println(h.VNI, ports, h.Verdict(nil), err)
	// Output:
	// 02406558000001000102800100010002 <nil>
	// vni 0x1 00010002 accept <nil>
}

// The bytes that stock OVN sends for unicast, its reply and a broadcast.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		ports Ports
		want  string
	}{
		{Ports{1, 2}, "0102" + "80" + "01" + "00010002"},
		{Ports{2, 1}, "0102800100020001"},
		{Ports{1, 32768}, "0102800100018000"},
		{Ports{MaxIngress, MaxEgress}, "010280017fffffff"},
	} {
		got, err := tc.ports.Append(nil)
		if err != nil || hex.EncodeToString(got) != tc.want {
			t.Errorf("%v: %x, %v, want %s", tc.ports, got, err, tc.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"empty", "", ErrTruncated},
		{"short header", "00006558000001", ErrTruncated},
		{"short options", "0240655800000100" + "01028001", ErrTruncated},
		{"version 1", "4000655800000100", ErrVersion},
		{"option beyond the options", "0140655800000100" + "01028001", ErrOption},
		{"C bit missing", "0200655800000100" + "0102800100010002", ErrCriticalBit},
		{"C bit without an option", "0040655800000100", ErrCriticalBit},
	} {
		if _, _, err := Decode(unhex(t, tc.in)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// Rule of RFC 8926: an unknown critical option drops the packet, wherever it
// is; an unknown other one does not.
func TestVerdict(t *testing.T) {
	const ovn, unknown, critical = "0102800100010002", "0103010100000000", "0103810100000000"
	for _, tc := range []struct {
		name, in string
		want     Verdict
	}{
		{"no option", "0000655800000100", Accept},
		{"ports", "0240655800000100" + ovn, Accept},
		{"unknown option", "0200655800000100" + unknown, Accept},
		{"unknown option and ports", "0440655800000100" + unknown + ovn, Accept},
		{"critical", "0240655800000100" + critical, DropCritical},
		{"ports and critical", "0440655800000100" + ovn + critical, DropCritical},
		{"class of another", "0240655800000100" + "0104800100010002", DropCritical},
		{"control", "0080655800000100", DropControl},
		{"control and critical", "02c0655800000100" + critical, DropCritical},
		{"IPv4 inside", "0000080000000100", DropProtocol},
	} {
		h, _, err := Decode(unhex(t, tc.in))
		if got := h.Verdict(nil); err != nil || got != tc.want {
			t.Errorf("%s: %v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
	h, _, _ := Decode(unhex(t, "0240655800000100"+critical))
	if got := h.Verdict(func(c uint16, typ uint8) bool { return c == 0x103 && typ == 0x81 }); got != Accept {
		t.Errorf("critical option that is known: %v", got)
	}
}

func TestEncodeRange(t *testing.T) {
	for name, err := range map[string]error{
		"ingress":       second(Ports{Ingress: 1 << 15}.Append(nil)),
		"encapsulate":   second(Encapsulate(nil, 1, Ports{Ingress: 1 << 15})),
		"vni":           second(Header{VNI: MaxVNI + 1}.Append(nil)),
		"option length": second(Option{Data: make([]byte, 3)}.Append(nil)),
		"long option":   second(Option{Data: make([]byte, MaxOptionLen+4)}.Append(nil)),
		"long options":  second(Header{Options: make([]byte, MaxOptionsLen+4)}.Append(nil)),
	} {
		if !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := second(Header{Options: []byte{1, 2, 0x80, 1}}.Append(nil)); !errors.Is(err, ErrOption) {
		t.Errorf("malformed option: %v", err)
	}
	if h, _, _ := Decode(unhex(t, "02406558000001000102800080010002")); h.Critical {
		if _, ok := h.Ports(); ok {
			t.Error("ports in an option of no length")
		}
	}
}

func second[T any](_ T, err error) error { return err }

// drawHeader makes a random header.
func drawHeader(t *rapid.T) Header {
	h := Header{
		Control:  rapid.Bool().Draw(t, "control"),
		Protocol: rapid.Uint16().Draw(t, "protocol"),
		VNI:      VNI(rapid.Uint32Range(0, uint32(MaxVNI)).Draw(t, "vni")),
		Options:  []byte{},
	}
	for range rapid.IntRange(0, 3).Draw(t, "options") {
		o := Option{
			Class: rapid.Uint16().Draw(t, "class"),
			Type:  rapid.Uint8().Draw(t, "type"),
			Data:  make([]byte, 4*rapid.IntRange(0, 10).Draw(t, "words")),
		}
		copy(o.Data, rapid.SliceOfN(rapid.Byte(), len(o.Data), len(o.Data)).Draw(t, "data"))
		h.Critical = h.Critical || o.Critical()
		h.Options, _ = o.Append(h.Options)
	}
	return h
}

// What this package encodes, gopacket decodes the same, and so does Decode.
func TestAgreesWithGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHeader(t)
		b, err := h.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, "payload of the tunnel"...)
		got, payload, err := Decode(b)
		if err != nil || string(payload) != "payload of the tunnel" || !bytes.Equal(got.Options, h.Options) {
			t.Fatalf("Decode: %+v, %q, %v", got, payload, err)
		}
		got.Options = h.Options
		if fmt.Sprint(got) != fmt.Sprint(h) {
			t.Fatalf("Decode: %+v, want %+v", got, h)
		}
		var theirs layers.Geneve
		if err := theirs.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
			t.Fatalf("gopacket: %v", err)
		}
		if theirs.VNI != uint32(h.VNI) || theirs.OAMPacket != h.Control || theirs.CriticalOption != h.Critical || uint16(theirs.Protocol) != h.Protocol {
			t.Fatalf("gopacket: %+v, want %+v", theirs, h)
		}
		i := 0
		for o := range h.All() {
			p := theirs.Options[i]
			// gopacket splits the critical bit off the type.
			if p.Class != o.Class || p.Type&0x7f != o.Type&0x7f || !bytes.Equal(p.Data, o.Data) {
				t.Fatalf("option %d: gopacket %+v, want %+v", i, p, o)
			}
			i++
		}
		if i != len(theirs.Options) {
			t.Fatalf("%d options, gopacket %d", i, len(theirs.Options))
		}
	})
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	b, err := Encapsulate(nil, 1, Ports{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, make([]byte, 100)...)
	if n := testing.AllocsPerRun(100, func() {
		h, _, err := Decode(b)
		if _, ok := h.Ports(); err != nil || !ok || h.Verdict(nil) != Accept {
			t.Fatal("not decoded")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, "02406558000001000102800100010002"))
	f.Add(unhex(f, "0440655800000100"+"0103010100000000"+"0102800100010002"))
	f.Add(unhex(f, "3fc0ffffffffffff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := Decode(b)
		if err != nil {
			return
		}
		h.Verdict(nil)
		h.Ports()
		again, err := h.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		// Only reserved bits of the fixed header may differ.
		want := bytes.Clone(b[:len(b)-len(payload)])
		want[1] &= 0xc0
		want[7] = 0
		if !bytes.Equal(again, want) {
			t.Fatalf("%x encoded again is %x", want, again)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	in, _ := Encapsulate(nil, 1, Ports{1, 2})
	b.ReportAllocs()
	for b.Loop() {
		h, _, _ := Decode(in)
		h.Ports()
	}
}
