package topology

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
)

func TestParseDynamic(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want string // printed result; "": not dynamic
		pos  int    // of the error; -1: none
	}{
		{"dynamic", "dynamic", -1},
		{" dynamic  10.0.0.5", "dynamic 10.0.0.5", -1},
		{"dynamic fd00::5", "dynamic fd00::5", -1},
		{"dynamic 10.0.0.5 fd00::5", "dynamic 10.0.0.5 fd00::5", -1},
		{"50:54:00:00:00:01 dynamic", "50:54:00:00:00:01 dynamic", -1},
		{"unknown", "", -1},
		{"router", "", -1},
		{"50:54:00:00:00:01 10.0.0.5", "", -1},
		{"", "", -1},
		{"dynamic 10.0.0.500", "", 8},
		{"dynamic 10.0.0.5/24", "", 8},
		{"dynamic fe80::1%eth0", "", 8},
		{"dynamic fd00::5 10.0.0.5", "", 16},
		{"dynamic fd00::5 fd00::6", "", 16},
		{"dynamic 10.0.0.5 fd00::5 x", "", 25},
		{"dynamic 10.0.0.5 fd00::5 fd00::6", "", 25},
		{"dynamic dynamic", "", 8},
		{"50:54:00:00:00:01 10.0.0.5 dynamic", "", 27},
		{"50:54:00:00:00:01 dynamic 10.0.0.5", "", 18},
		{"50:54:00:00:00 dynamic", "", 0},
	} {
		d, asks, err := ParseDynamic(tt.in)
		if tt.pos >= 0 {
			var ae *AddressError
			if !errors.As(err, &ae) || ae.Pos != tt.pos || !asks {
				t.Errorf("%q: %v, want an error at position %d", tt.in, err, tt.pos)
			}
			continue
		}
		if err != nil || asks != (tt.want != "") {
			t.Errorf("%q: asks %v, %v", tt.in, asks, err)
		} else if got := dynamicText(d); asks && got != tt.want {
			t.Errorf("%q: got %q", tt.in, got)
		}
	}
}

func dynamicText(d Dynamic) string {
	s := "dynamic"
	if d.HasMAC {
		return d.MAC.String() + " " + s
	}
	for _, ip := range []netip.Addr{d.V4, d.V6} {
		if ip.IsValid() {
			s += " " + ip.String()
		}
	}
	return s
}

func TestEUI64(t *testing.T) {
	mac := MAC{0x0a, 0, 0, 0, 0, 3}
	for _, tt := range [][2]string{{"aef0::", "aef0::800:ff:fe00:3"}, {"bef0:1234:a890:5678::", "bef0:1234:a890:5678:800:ff:fe00:3"},
		{"fd00::1:2:3:4", "fd00::800:ff:fe00:3"}} {
		if got := mac.EUI64(netip.MustParseAddr(tt[0])).String(); got != tt[1] {
			t.Errorf("in %s: %s, want %s", tt[0], got, tt[1])
		}
	}
}

func TestStaticPart(t *testing.T) {
	for _, tt := range [][2]string{
		{"50:54:00:00:00:01 10.0.0.5 nonsense 10.0.0.6", "50:54:00:00:00:01 [10.0.0.5/32] [] true"},
		{"50:54:00:00:00:01 10.0.0.5/24 fd00::1", "50:54:00:00:00:01 [10.0.0.5/24] [fd00::1/128] true"},
		{"unknown", "00:00:00:00:00:00 [] [] false"},
		{"dynamic 10.0.0.5", "00:00:00:00:00:00 [] [] false"},
	} {
		a, ok := StaticPart(tt[0])
		if got := fmt.Sprint(a.MAC, a.V4, a.V6, ok); got != tt[1] {
			t.Errorf("%q: got %s, want %s", tt[0], got, tt[1])
		}
	}
}

func FuzzParseDynamic(f *testing.F) {
	for _, s := range []string{"dynamic", "dynamic 10.0.0.5 fd00::5", "50:54:00:00:00:01 dynamic", "dynamic  ,,, x y z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, asks, err := ParseDynamic(s)
		var ae *AddressError
		switch {
		case err != nil && (!asks || !errors.As(err, &ae) || ae.Pos < 0 || ae.Pos > len(s)):
			t.Fatalf("%q: asks %v, %v", s, asks, err)
		case err == nil && asks:
			if again, _, err := ParseDynamic(dynamicText(d)); err != nil || again != d {
				t.Fatalf("%q: %q does not read back: %v", s, dynamicText(d), err)
			}
		}
	})
}
