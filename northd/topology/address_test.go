package topology

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
)

func TestParseAddresses(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want string // printed result
		pos  int    // of the error; -1: none
	}{
		{"50:54:00:00:00:01", "50:54:00:00:00:01 [] []", -1},
		{"50:54:00:00:00:01 10.0.0.11", "50:54:00:00:00:01 [10.0.0.11/32] []", -1},
		{"0:1:2:a:B:ff 10.0.0.5/24,fd00::1  fd01::/64", "00:01:02:0a:0b:ff [10.0.0.5/24] [fd00::1/128 fd01::/64]", -1},
		{" 50:54:00:00:00:01\t10.0.0.11 ", "50:54:00:00:00:01 [10.0.0.11/32] []", -1},
		{"", "", 0},
		{"10.0.0.1", "", 0},
		{"50:54:00:00:00", "", 0},
		{"50:54:00:00:00:01:02", "", 0},
		{"50:54:00:00:00:0g", "", 0},
		{"50:54:00:00:00:01 10.0.0.300", "", 18},
		{"50:54:00:00:00:01 10.0.0.1 fd00::1/129", "", 27},
		{"50:54:00:00:00:01 fe80::1%eth0", "", 18},
	} {
		got, err := ParseAddresses(tt.in)
		if tt.pos < 0 {
			if err != nil {
				t.Errorf("%q: %v", tt.in, err)
			} else if s := fmt.Sprint(got.MAC, got.V4, got.V6); s != tt.want {
				t.Errorf("%q: got %s, want %s", tt.in, s, tt.want)
			}
			continue
		}
		var ae *AddressError
		if !errors.As(err, &ae) || ae.Pos != tt.pos {
			t.Errorf("%q: error %v, want one at position %d", tt.in, err, tt.pos)
		}
	}
}

func TestDerivedAddresses(t *testing.T) {
	mac, err := ParseMAC("50:54:00:00:00:01")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ got, want string }{
		{mac.LinkLocal().String(), "fe80::5254:ff:fe00:1"},
		{SolicitedNode(netip.MustParseAddr("fd00::1:2:3")).String(), "ff02::1:ff02:3"},
		{Broadcast(netip.MustParsePrefix("10.0.2.5/24")).String(), "10.0.2.255"},
		{Broadcast(netip.MustParsePrefix("10.0.2.5/29")).String(), "10.0.2.7"},
		{fmt.Sprint(HostPart(netip.MustParsePrefix("10.0.2.0/24"))), "false"},
		{fmt.Sprint(HostPart(netip.MustParsePrefix("10.0.2.5/24"))), "true"},
		{fmt.Sprint(HostPart(netip.MustParsePrefix("10.0.2.0/32"))), "true"},
		{fmt.Sprintf("%x", mac.Uint64()), "505400000001"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func FuzzParseAddresses(f *testing.F) {
	for _, s := range []string{"50:54:00:00:00:01 10.0.0.11 fd00::1/64", "unknown", ":::::", "1:2:3:4:5:6,,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddresses(s)
		if err != nil {
			var ae *AddressError
			if !errors.As(err, &ae) || ae.Pos < 0 || ae.Pos > len(s) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if again, err := ParseMAC(a.MAC.String()); err != nil || again != a.MAC {
			t.Fatalf("%q: %v does not read back", s, a.MAC)
		}
	})
}

func TestCompareNatural(t *testing.T) {
	ordered := []string{"", "a", "vm", "vm1", "vm2", "vm10", "vm10a", "vm010b", "w"}
	for i := range ordered {
		for j := range ordered {
			if got := CompareNatural(ordered[i], ordered[j]); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q and %q: %d", ordered[i], ordered[j], got)
			}
		}
	}
}
