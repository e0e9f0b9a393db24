package ndra

import (
	"errors"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestErrors: what cannot be used changes nothing. What a whole message looks
// like package translate tests.
func TestErrors(t *testing.T) {
	if _, err := New("x"); !errors.Is(err, ErrOption) {
		t.Errorf("mode x: %v", err)
	}
	m, err := New("slaac")
	if err != nil {
		t.Fatal(err)
	}
	was := string(m.Bytes())
	for _, bad := range [][2]string{{"slla", "1"}, {"mtu", "x"}, {"prefix", "10.0.0.0/8"}, {"rdnss", "10.0.0.1"}, {"dnssl", ""}, {"dnssl", "a,b..c"},
		{"route_info", "HIGH-fd00::/8,LOW-x"}, {"route_info", "fd00::/8"}, {"router_preference", "high"}, {"other", ""}} {
		if err := m.Add(bad[0], bad[1]); !errors.Is(err, ErrOption) {
			t.Errorf("%v: %v", bad, err)
		}
		if string(m.Bytes()) != was {
			t.Fatalf("%v changed the message", bad)
		}
	}
}

func FuzzAdd(f *testing.F) {
	f.Add("dnssl", "a.b,c.d")
	f.Add("route_info", "HIGH-aef1::/48,LOW-aef2::/96")
	f.Add("prefix", "fd00::/64")
	f.Fuzz(func(t *testing.T, name, value string) {
		m, err := New("slaac")
		if err != nil {
			t.Fatal(err)
		}
		if m.Add(name, value) != nil {
			return
		}
		if len(m.Bytes())%8 != 0 {
			t.Fatalf("%d bytes", len(m.Bytes()))
		}
		var ra layers.ICMPv6RouterAdvertisement
		if err := ra.DecodeFromBytes(m.Bytes()[4:], gopacket.NilDecodeFeedback); err != nil {
			t.Errorf("%s=%q cannot be read: %v", name, value, err)
		}
	})
}
