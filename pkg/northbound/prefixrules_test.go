package northbound

import (
	"net/netip"
	"testing"
)

func TestPrefixRules(t *testing.T) {
	for _, tt := range []struct {
		list, prefix string
		want         bool
	}{
		{"10.0.0.0/8", "10.0.0.0/8", true},
		{"10.0.0.0/8", "10.1.0.0/16", true},
		{"10.1.2.3/8", "10.9.0.0/16", true}, // bits of the host do not matter
		{"10.0.0.0/8", "0.0.0.0/0", false},
		{"10.0.0.0/8", "11.0.0.0/16", false},
		{"10.0.0.0/8 ge 24", "10.1.0.0/16", false},
		{"10.0.0.0/8 ge 24", "10.1.0.0/24", true},
		{"10.0.0.0/8 le 16", "10.1.0.0/24", false},
		{"10.0.0.0/8 ge 16 le 24", "10.1.0.0/20", true},
		{"10.0.0.0/8 le 24 ge 16", "10.0.0.0/8", false},
		{"10.0.0.0/255.0.0.0", "10.1.0.0/16", true},
		{"10.0.0.7", "10.0.0.7/32", true},
		{"10.0.0.7", "10.0.0.0/24", false},
		{"fd00::/16 ge 64 le 64", "fd00:1::/64", true},
		{"fd00::/16 ge 64 le 64", "fd00:1::/65", false},
		{"::/0", "10.0.0.0/8", false},
		{"0.0.0.0/0 le 0", "0.0.0.0/0", true},
		{"bad, 10.0.0.0/8 ge 7,,11.0.0.0/8", "11.0.0.0/8", true}, // what cannot be read is left out
		{"bad, 10.0.0.0/8 ge 7,,11.0.0.0/8", "10.0.0.0/8", false},
		{"", "10.0.0.0/8", false},
	} {
		got := false
		for _, r := range PrefixRules(tt.list) {
			got = got || r.Matches(netip.MustParsePrefix(tt.prefix))
		}
		if got != tt.want {
			t.Errorf("%q in %q: %v", tt.prefix, tt.list, got)
		}
	}
	key, _ := Find("Logical_Router", "options", "ic-route-filter-learn")
	for text, pos := range map[string]int{
		"10.0.0.0/8": -1, "10.0.0.0/8 ge 16 le 24, fd00::/8": -1, "10.0.0.0/33": 9, "10.0.0.0/8, 10.0.0.0/8 gt 9": 23,
		"10.0.0.0/8 ge": 13, "10.0.0.0/8 ge 7": 14, "10.0.0.0/8 le 33": 14, "10.0.0.0/8 ge 24 le 16": 0, "host": 0,
	} {
		f := key.Type.Check(text)
		switch {
		case (f == nil) != (pos < 0):
			t.Errorf("%q: %v", text, f)
		case f != nil && f.Pos != pos:
			t.Errorf("%q: %v at %d, want %d", text, f, f.Pos, pos)
		}
	}
}

// Of any list, the rules are sound and the check says of each element whether it
// is one.
func FuzzPrefixRules(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8 ge 16 le 24", "fd00::/8,::1", "10.0.0.0/255.255.0.0", "1.2.3.4/ , ge 5", "::/0 le 128 le 0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		for _, r := range PrefixRules(list) {
			if !r.Prefix.IsValid() || r.Min > r.Max || r.Min < r.Prefix.Bits() || r.Max > r.Prefix.Addr().BitLen() {
				t.Fatalf("%q: %+v", list, r)
			}
			if r.Min == r.Prefix.Bits() && !r.Matches(r.Prefix) {
				t.Fatalf("%q: %+v does not match itself", list, r)
			}
		}
		for _, word := range fields(list, ",") {
			if (checkPrefixRule(word) == nil) != (len(PrefixRules(word)) == 1) {
				t.Fatalf("%q: the check says %v", word, checkPrefixRule(word))
			}
		}
	})
}
