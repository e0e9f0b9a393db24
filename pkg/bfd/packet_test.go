package bfd

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A packet of a session that is down and has heard nothing.
const firstPacket = "2040031894d5b5e300000000000f4240000f424000000000"

func TestDecode(t *testing.T) {
	good, err := hex.DecodeString(firstPacket)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Decode(good)
	want := Packet{State: Down, Mult: 3, MyDiscr: 0x94d5b5e3, MinTx: time.Second, MinRx: time.Second}
	if err != nil || p != want {
		t.Errorf("got %v, %v", p, err)
	}
	if d := cmp.Diff(good, p.Append(nil)); d != "" {
		t.Errorf("encoded again (-sent +got):\n%s", d)
	}
	mod := func(at int, v ...byte) []byte {
		b := append([]byte{}, good...)
		copy(b[at:], v)
		return b
	}
	// Sent by Open vSwitch 3.1.
	for text, want := range map[string]Packet{
		"208003186377555b11223344000f4240000249f000000000": {State: Init, Mult: 3, MyDiscr: 0x6377555b, YourDiscr: 0x11223344, MinTx: time.Second, MinRx: 150 * time.Millisecond},
		"20e003186377555b1122334400061a80000493e000000000": {State: Up, Poll: true, Mult: 3, MyDiscr: 0x6377555b, YourDiscr: 0x11223344, MinTx: 400 * time.Millisecond, MinRx: 300 * time.Millisecond},
		"20d003186377555b1122334400061a80000493e000000000": {State: Up, Final: true, Mult: 3, MyDiscr: 0x6377555b, YourDiscr: 0x11223344, MinTx: 400 * time.Millisecond, MinRx: 300 * time.Millisecond},
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := Decode(b); err != nil || p != want {
			t.Errorf("%s: got %v, %v", text, p, err)
		}
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrLength},
		{"short", good[:23], ErrLength},
		{"version 0", mod(0, 0x00), ErrVersion},
		{"version 2", mod(0, 0x40), ErrVersion},
		{"length 23", mod(3, 23), ErrLength},
		{"length beyond the datagram", mod(3, 25), ErrLength},
		{"auth bit without section", mod(1, 0x44), ErrLength},
		{"auth", append(mod(1, 0x44, 3, 26), 1, 2), ErrAuth},
		{"mult 0", mod(2, 0), ErrMult},
		{"multipoint", mod(1, 0x41), ErrMultipoint},
		{"no discriminator", mod(4, 0, 0, 0, 0), ErrDiscriminator},
		{"init without ours", mod(1, 0x80), ErrState},
		{"up without ours", mod(1, 0xc0), ErrState},
		{"admin down without ours", mod(1, 0x00), nil},
		{"padding", append(mod(1, 0x40), 0, 0, 0, 0), nil},
	} {
		if _, err := Decode(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestAppend(t *testing.T) {
	p := Packet{Diag: DiagNeighbor, State: Up, Final: true, Independent: true, Demand: true, Mult: 255,
		MyDiscr: 1, YourDiscr: 2, MinTx: 90 * time.Minute, MinRx: 1500 * time.Nanosecond, MinEchoRx: -1}
	if got, want := hex.EncodeToString(p.Append(nil)), "23daff180000000100000002ffffffff0000000100000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := p.String(), `bfd up final independent demand diag="Neighbor Signaled Session Down" mult=255 discr=0x1/0x2 tx=1h30m0s rx=1.5µs echo=-1ns`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzDecode: what is accepted keeps the rules, and comes out as it came in.
func FuzzDecode(f *testing.F) {
	b, _ := hex.DecodeString(firstPacket)
	f.Add(b)
	f.Add(append(b, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		if p.Mult == 0 || p.MyDiscr == 0 || p.YourDiscr == 0 && p.State > Down {
			t.Errorf("%x accepted as %v", b, p)
		}
		again, err := Decode(p.Append(nil))
		if err != nil || again != p {
			t.Errorf("%v became %v, %v", p, again, err)
		}
		s, _ := New(time.Unix(0, 0), Config{Discr: max(1, p.YourDiscr), MinTx: time.Second, MinRx: time.Second, Mult: 3})
		now := time.Unix(1, 0)
		_ = s.Receive(now, p)
		for n := 0; ; n++ {
			if _, ok := s.Transmit(now); !ok {
				break
			}
			if n > 2 {
				t.Fatalf("%v makes a session send without end", p)
			}
		}
	})
}
