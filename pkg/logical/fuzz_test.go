package logical

import (
	"errors"
	"reflect"
	"testing"
)

// Whatever parses prints as text that reads the same, and normalises or fails
// in bounded time.
func FuzzParseMatch(f *testing.F) {
	for _, s := range []string{
		"ip4.src == {10.0.0.0/8, $v4} && !(tcp.dst == 80) || 1", `inport == @pg && outport == "a\"b"`, "1024 <= tcp.src <= 49151",
		"eth.dst[40] && reg0[0..15] != 0x5/0xf", "xxreg0 == ::ffff:1.2.3.4 || ip6.src == fe80::/10", "!ip.first_frag /* x */ // y",
		"is_chassis_resident(\"a\") && ct.new", "(((", "0x/", "ip4.src == 1.2.3.4/33", "vlan.vid[0..3] > 0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseMatch(s, Default())
		if err != nil {
			var pe *Error
			if !errors.As(err, &pe) || pe.Pos < 0 || pe.End < pe.Pos || pe.End > len(s) {
				t.Fatalf("error %#v", err)
			}
			pe.Caret()
			return
		}
		text := e.String()
		again, err := ParseMatch(text, Default())
		if err != nil || !again.Equal(e) {
			t.Fatalf("%q prints as %q, which reads as %v, %v", s, text, again, err)
		}
		conjs, err := e.Normalize(testSets)
		if err == nil {
			checkNormalForm(t, conjs)
		}
		_, _ = ParseMatchTemplate(s, Default())
	})
}

func FuzzParseActions(f *testing.F) {
	for i, r := range actionRows {
		if i%3 == 0 {
			f.Add(r.in)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		acts, err := ParseActions(s, Default())
		if err != nil {
			var pe *Error
			if !errors.As(err, &pe) || pe.Pos < 0 || pe.End < pe.Pos || pe.End > len(s) {
				t.Fatalf("error %#v", err)
			}
			pe.Caret()
			return
		}
		text := FormatActions(acts)
		again, err := ParseActions(text, Default())
		if err != nil || !reflect.DeepEqual(acts, again) {
			t.Fatalf("%q prints as %q, which reads as %q, %v", s, text, FormatActions(again), err)
		}
		Prerequisites(acts)
	})
}
