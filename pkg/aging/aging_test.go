package aging

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const list = "192.168.0.0/16:300;192.168.10.0/24:0;fd00::/8:20;60"
	for _, tt := range []struct {
		text, ip string
		want     time.Duration
		shortest time.Duration
		bad      bool
	}{
		{"", "10.0.0.1", 0, 0, false},
		{"0", "10.0.0.1", 0, 0, false},
		{"60", "10.0.0.1", time.Minute, time.Minute, false},
		{"60", "fd00::1", time.Minute, time.Minute, false},
		{list, "192.168.1.1", 5 * time.Minute, 20 * time.Second, false},
		{list, "192.168.10.1", 0, 20 * time.Second, false},
		{list, "fd00::1", 20 * time.Second, 20 * time.Second, false},
		{list, "2001:db8::1", time.Minute, 20 * time.Second, false},
		{"192.168.0.0/16:300", "10.0.0.1", 0, 5 * time.Minute, false},
		{" 60 ; 10.0.0.0/8:5; ", "10.0.0.1", 5 * time.Second, 5 * time.Second, false},
		{"x;10.0.0.0/8:y;10.0.0.0/99:5;10.0.0.0/8:7;-1;4294967296", "10.0.0.1", 7 * time.Second, 7 * time.Second, true},
	} {
		a, err := Parse(tt.text)
		if (err != nil) != tt.bad || err != nil && !errors.Is(err, ErrThreshold) {
			t.Errorf("%q: error %v", tt.text, err)
		}
		if got := a.Of(netip.MustParseAddr(tt.ip)); got != tt.want || a.Shortest() != tt.shortest {
			t.Errorf("%q, %s: %v, least %v; want %v, %v", tt.text, tt.ip, got, a.Shortest(), tt.want, tt.shortest)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("192.168.0.0/16:300;fd00::/8:20;60", "fd00::1")
	f.Fuzz(func(t *testing.T, text, ip string) {
		a, _ := Parse(text)
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return
		}
		if d := a.Of(addr); d > 0 && d < a.Shortest() {
			t.Errorf("%q: %v of %s is less than the shortest, %v", text, d, ip, a.Shortest())
		}
	})
}
