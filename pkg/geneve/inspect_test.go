package geneve

import (
	"bytes"
	"errors"
	"testing"
)

func TestInspect(t *testing.T) {
	const ovn, critical = "0102800100010002", "0103810100000000"
	for _, tc := range []struct {
		name, in string
		at       int // of the first problem
		want     error
		fatal    bool
		options  int // bytes that could be read
	}{
		{"good", "0240655800000100" + ovn + "aa", 0, nil, false, 8},
		{"empty", "", 0, ErrTruncated, true, 0},
		{"short header", "00006558000001", 7, ErrTruncated, true, 0},
		{"version 1", "4000655800000100", 0, ErrVersion, true, 0},
		{"short options", "0440655800000100" + ovn + "0103", 18, ErrTruncated, true, 8},
		{"second option too long", "0440655800000100" + ovn + "0103811f00000000", 16, ErrOption, false, 8},
		{"option without a header", "0140655800000100" + "01028001", 8, ErrOption, false, 0},
		{"C bit missing", "0400655800000100" + "0103010100000000" + critical, 16, ErrCriticalBit, false, 16},
		{"C bit without an option", "0240655800000100" + "0103010100000000", 1, ErrCriticalBit, false, 8},
	} {
		in := unhex(t, tc.in)
		h, payload, problems := Inspect(in)
		if tc.want == nil {
			if len(problems) > 0 || len(payload) != 1 {
				t.Errorf("%s: %v, payload %x", tc.name, problems, payload)
			}
		} else if len(problems) == 0 || problems[0].Offset != tc.at || !errors.Is(&problems[0], tc.want) || problems[0].Fatal != tc.fatal {
			t.Errorf("%s: %v, want %v at byte %d", tc.name, problems, tc.want, tc.at)
		}
		if len(h.Options) != tc.options || (payload != nil) != (!tc.fatal) {
			t.Errorf("%s: %d bytes of options, payload %v", tc.name, len(h.Options), payload)
		}
	}
}

func TestClassName(t *testing.T) {
	for class, want := range map[uint16]string{
		0: "Standard", 0x101: "Open vSwitch", ClassOVN: "Open Virtual Networking (OVN)", 0x120: "Ericsson",
		0x8000: "Unassigned", 0xfeff: "Unassigned", 0xff00: "Experimental",
	} {
		if got := ClassName(class); got != want {
			t.Errorf("class %#04x: %q, want %q", class, got, want)
		}
	}
}

// Inspect and Decode agree about what is well-formed, and Inspect finds
// something wrong with everything else.
func FuzzInspect(f *testing.F) {
	f.Add([]byte{2, 0x40, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 0x80, 1, 0, 1, 0, 2, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := Decode(b)
		h2, payload2, problems := Inspect(b)
		if (err == nil) != (len(problems) == 0) {
			t.Fatalf("%x: Decode says %v, Inspect %v", b, err, problems)
		}
		if err == nil && (!bytes.Equal(payload, payload2) || !bytes.Equal(h.Options, h2.Options) || h.VNI != h2.VNI || h.Control != h2.Control || h.Critical != h2.Critical) {
			t.Fatalf("%x: %+v and %+v", b, h, h2)
		}
		for i := range problems {
			if problems[i].Offset < 0 || problems[i].Offset > len(b) {
				t.Fatalf("%x: offset of %v", b, &problems[i])
			}
		}
		for o := range h2.All() {
			_ = ClassName(o.Class)
		}
	})
}
