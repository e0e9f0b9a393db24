package abi

import (
	"fmt"
	"testing"
)

func TestParseMACMappings(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		bad        bool
	}{
		{"", "map[]", false},
		{"physnet1:aa:bb:cc:dd:ee:ff", "map[physnet1:187723572702975]", false},
		{"a:00:00:00:00:00:01, b:00:00:00:00:00:02,", "map[a:1 b:2]", false},
		{"a:00:00:00:00:00:01,b:nonsense", "map[a:1]", true},
		{"a:01:00:00:00:00:01", "map[]", true},
		{"a:02:00:5e:10:00:00:00:01", "map[]", true},
		{":00:00:00:00:00:01", "map[]", true},
	} {
		got, err := ParseMACMappings(tt.text)
		if fmt.Sprint(got) != tt.want || (err != nil) != tt.bad {
			t.Errorf("%q: %v, %v; want %s, error %t", tt.text, got, err, tt.want, tt.bad)
		}
	}
}

func FuzzParseMACMappings(f *testing.F) {
	f.Add("physnet1:aa:bb:cc:dd:ee:ff,b:1")
	f.Fuzz(func(t *testing.T, text string) {
		macs, _ := ParseMACMappings(text)
		for network, mac := range macs {
			if network == "" || mac>>48 != 0 || mac>>40&1 == 1 {
				t.Errorf("%q: %q is %x", text, network, mac)
			}
		}
	})
}
