package nbctl

import (
	"net/netip"
	"testing"
)

func TestParsePrefix(t *testing.T) {
	for _, tt := range []struct{ in, want string }{ // want "" is an error
		{"10.0.0.1", "10.0.0.1"},
		{"10.0.0.1/32", "10.0.0.1"},
		{"10.0.0.1/24", "10.0.0.0/24"},
		{"10.0.0.1/0", "0.0.0.0/0"},
		{"10.0.0.1/255.255.255.0", "10.0.0.0/24"},
		{"10.0.0.1/255.255.255.255", "10.0.0.1"},
		{"10.0.0.1/0.0.0.0", "0.0.0.0/0"},
		{"10.0.0.1/255.0.255.0", ""},
		{"10.0.0.1/ffff::", ""},
		{"10.0.0.1/33", ""},
		{"10.0.0.1/-1", ""},
		{"10.0.0.1/+8", ""},
		{"10.0.0.1/", ""},
		{"10.0.0", ""},
		{"FD00:0::1/64", "fd00::/64"},
		{"fd00::1", "fd00::1"},
		{"fd00::1/ffff:ffff::", "fd00::/32"},
		{"fd00::1%eth0", ""},
		{"fd00::1/129", ""},
		{"", ""},
	} {
		p, err := parsePrefix(tt.in)
		got := ""
		if err == nil {
			got = normalPrefix(p)
		}
		if got != tt.want {
			t.Errorf("%q is %q (%v), want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestEthernet(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"00:00:00:00:00:01", "00:00:00:00:00:01"},
		{"0:A:b:0:0:1", "00:0a:0b:00:00:01"},
		{"00:00:00:00:00:01 10.0.0.1", ""},
		{"00:00:00:00:00", ""},
		{"00:00:00:00:00:001", ""},
		{"", ""},
	} {
		if got, ok := ethernet(tt.in); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q is %q, %v; want %q", tt.in, got, ok, tt.want)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"10.0.0.1", "10.0.0.1"},
		{"10.0.0.1:80", "10.0.0.1:80"},
		{"10.0.0.1:080", "10.0.0.1:80"},
		{"10.0.0.1:0", "10.0.0.1"},
		{"fd00::1", "fd00::1"},
		{"[FD00::1]:80", "[fd00::1]:80"},
		{"[fd00::1]", "fd00::1"},
		{"[fd00::1", ""},
		{"[fd00::1]x", ""},
		{"10.0.0.1:65536", ""},
		{"10.0.0.1:x", ""},
		{"host:80", ""},
		{"", ""},
	} {
		e, err := parseEndpoint(tt.in)
		got := ""
		if err == nil {
			got = e.String()
		}
		if got != tt.want {
			t.Errorf("%q is %q (%v), want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestValidPorts(t *testing.T) {
	for s, want := range map[string]bool{"1": true, "1-65535": true, "5-5": true, "0": false, "0-5": false, "6-5": false, "1-65536": false, "1-": false, "-1": false, "x": false, "1-2-3": false} {
		if got := validPorts(s); got != want {
			t.Errorf("validPorts(%q) = %v", s, got)
		}
	}
}

// The addresses of a port, as lsp-set-addresses looks for duplicates.
func TestPortAddresses(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
		ok   bool
	}{
		{"00:00:00:00:00:01", 0, true},
		{"00:00:00:00:00:01 10.0.0.1 fd00::1/64", 2, true},
		{"00:00:00:00:00:01 dynamic", 0, true},
		{"dynamic", 0, false},
		{"unknown", 0, false},
		{"", 0, false},
	} {
		if ips, ok := portAddresses(tt.in); len(ips) != tt.want || ok != tt.ok {
			t.Errorf("%q: %v, %v", tt.in, ips, ok)
		}
	}
	for s, want := range map[string]bool{"dynamic": true, "dynamic 10.0.0.1": true, "00:00:00:00:00:01 dynamic": true, "00:00:00:00:00:01": false, "unknown": false, "": false} {
		if got := isDynamic(s); got != want {
			t.Errorf("isDynamic(%q) = %v", s, got)
		}
	}
}

// No text of a user makes a parser panic; what is read is printed in a form
// that is read as the same.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"10.0.0.1/24", "[fd00::1]:80", "10.0.0.1/255.255.0.0", "0:0:0:0:0:1 10.0.0.1", "1-2", "::ffff:1.2.3.4/96"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePrefix(s); err == nil {
			if q, err := parsePrefix(normalPrefix(p)); err != nil || q.Masked() != p.Masked() {
				t.Fatalf("%q is %v, printed %q, read as %v, %v", s, p, normalPrefix(p), q, err)
			}
		}
		if e, err := parseEndpoint(s); err == nil {
			if again, err := parseEndpoint(e.String()); err != nil || again != e {
				t.Fatalf("%q is %v, read as %v, %v", s, e, again, err)
			}
		}
		if mac, ok := ethernet(s); ok {
			if again, ok := ethernet(mac); !ok || again != mac {
				t.Fatalf("%q is %q, read as %q", s, mac, again)
			}
		}
		ips, _ := portAddresses(s)
		for _, ip := range ips {
			if !ip.IsValid() || ip == (netip.Addr{}) {
				t.Fatalf("%q has the address %v", s, ip)
			}
		}
		_ = validPorts(s)
	})
}

// Each verb is there once, with something to do.
func TestCommands(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Program().All() {
		switch {
		case seen[c.Name]:
			t.Errorf("%s is there twice", c.Name)
		case c.Run == nil, c.Max >= 0 && c.Min > c.Max:
			t.Errorf("%s cannot run", c.Name)
		}
		seen[c.Name] = true
	}
}
