package topology

import (
	"fmt"
	"testing"
)

func TestParseProxy(t *testing.T) {
	for text, want := range map[string]string{
		"169.254.239.254 169.254.239.2":               "00:00:00:00:00:00 [169.254.239.254/32 169.254.239.2/32] [] plain",
		"0a:58:a9:fe:01:01 169.254.0.7/24, fd7b::/64": "0a:58:a9:fe:01:01 [169.254.0.0/24] [fd7b::/64]",
		"10.0.0.0/8":        "00:00:00:00:00:00 [10.0.0.0/8] []",
		"":                  "an IP address is missing",
		"0a:58:a9:fe:01:01": "an IP address is missing",
		"10.0.0.1 nonsense": `"10.0.0.1 nonsense", at position 9: "nonsense" is no IP address`,
	} {
		a, err := ParseProxy(text)
		got := ""
		if err != nil {
			got = err.Error()
			if len(got) > len(want) {
				got = got[len(got)-len(want):]
			}
		} else {
			got = a.MAC.String() + " " + fmt.Sprint(a.V4) + " " + fmt.Sprint(a.V6)
			if a.Plain() {
				got += " plain"
			}
		}
		if got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func FuzzParseProxy(f *testing.F) {
	f.Add("0a:58:a9:fe:01:01 169.254.0.7/24, fd7b::/64")
	f.Add("169.254.239.254 169.254.239.2")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseProxy(text)
		if err == nil && len(a.V4)+len(a.V6) == 0 {
			t.Errorf("%q is accepted without an address", text)
		}
	})
}
