package nbctl

import "testing"

// Only the beginning of a number is read, as by the stock programs.
func TestScanInt(t *testing.T) {
	for _, tt := range []struct {
		text string
		base int
		want int64
		ok   bool
	}{
		{"7", 10, 7, true}, {" 7", 10, 7, true}, {"7x", 10, 7, true}, {"-7", 10, -7, true}, {"+7", 10, 7, true}, {"", 10, 0, false},
		{"x7", 10, 0, false}, {"-", 10, 0, false}, {"0x10", 10, 0, true}, {"0x10", 0, 16, true}, {"010", 0, 8, true}, {"010", 10, 10, true},
		{"0", 0, 0, true}, {"0x", 0, 0, true}, {"0xg", 0, 0, true}, {"18446744073709551617", 10, 1, true}, {"10.0.0.1", 10, 10, true},
	} {
		if n, ok := scanInt(tt.text, tt.base); n != tt.want || ok != tt.ok {
			t.Errorf("scanInt(%q, %d) = %d, %t, want %d, %t", tt.text, tt.base, n, ok, tt.want, tt.ok)
		}
	}
}
