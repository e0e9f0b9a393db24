package logical

import (
	"errors"
	"strings"
	"testing"
)

// Rule: canonical text keeps the structure, drops redundant parentheses,
// writes ranges as two comparisons and puts the field first.
func TestMatchText(t *testing.T) {
	for _, row := range []struct{ in, out string }{
		{"1", "1"},
		{"0", "0"},
		{"!1", "0"},
		{"ip4", "ip4"},
		{"ip4 == 1", "ip4"},
		{"((ip4))", "ip4"},
		{"ip4.src==10.0.0.1", "ip4.src == 10.0.0.1"},
		{"ip4.src == 10.0.0.0/8", "ip4.src == 10.0.0.0/8"},
		{"ip4.src == 10.9.9.9/8", "ip4.src == 10.0.0.0/8"},
		{"ip4.src == 10.0.0.0/255.0.0.0", "ip4.src == 10.0.0.0/8"},
		{"ip4.src == 0.0.0.1/0.0.0.255", "ip4.src == 0.0.0.1/0.0.0.255"},
		{"ip6.dst == fd00::/64", "ip6.dst == fd00::/64"},
		{"ip6.dst == ::1", "ip6.dst == ::1"},
		{"eth.dst == 01:00:00:00:00:00/01:00:00:00:00:00", "eth.dst == 01:00:00:00:00:00/01:00:00:00:00:00"},
		{"eth.src == AA:bb:cc:dd:ee:0F", "eth.src == aa:bb:cc:dd:ee:0f"},
		{"reg0 == 0x10/0xF0", "reg0 == 0x10/0xf0"},
		{"xxreg0 == 0x123456789abcdef0123456789abcdef", "xxreg0 == 0x123456789abcdef0123456789abcdef"},
		{"ct_label == 0x10000000000000000", "ct_label == 0x10000000000000000"},
		{"80 == tcp.dst", "tcp.dst == 80"},
		{"1024 <= tcp.src <= 49151", "tcp.src >= 1024 && tcp.src <= 49151"},
		{"5 > tcp.src > 1 && ip4", "tcp.src < 5 && tcp.src > 1 && ip4"},
		{"0 < tcp.src < 5 || ip6", "(tcp.src > 0 && tcp.src < 5) || ip6"},
		{"{1,2 3,} == tcp.src", "tcp.src == {1, 2, 3}"},
		{"tcp.src == {7}", "tcp.src == 7"},
		{"ip4.src == $as1 && inport == @pg1", "ip4.src == $as1 && inport == @pg1"},
		{"ip4.src == {$as1, 10.0.0.1, $as.2_ip4}", "ip4.src == {$as1, 10.0.0.1, $as.2_ip4}"},
		{"!(ip4.src == 10.0.0.1)", "!(ip4.src == 10.0.0.1)"},
		{"!ct.trk || !(!ct.new)", "!ct.trk || !(!ct.new)"},
		{"!(inport != \"a\")", "!(inport != \"a\")"},
		{`inport == "\"\\\/\u0041é"`, `inport == "\"\\/Aé"`},
		{"eth.dst[40]", "eth.dst[40]"},
		{"reg0[0..15] == 5", "reg0[0..15] == 5"},
		{"reg0[3..3] == 0", "reg0[3] == 0"},
		{"reg0[3] == 0x1", "reg0[3] == 1"},
		{"reg0[3]", "reg0[3] == 1"},
		{"!reg0[3]", "reg0[3] == 0"},
		{"!(reg0[3] == 0)", "reg0[3] == 1"},
		{"!xxreg0[100] && !eth.src[40] && !flags.loopback", "xxreg0[100] == 0 && !eth.src[40] && !flags.loopback"},
		{"vlan.vid[0..3] < 3", "vlan.vid[0..3] < 3"},
		{"is_chassis_resident(\"lp1\") && !is_chassis_resident(\"lp2\")", "is_chassis_resident(\"lp1\") && !is_chassis_resident(\"lp2\")"},
		{"ip4 /* c */ && // rest\n tcp", "ip4 && tcp"},
		{"(ip4 && (tcp && ct.new)) && ct.trk", "ip4 && tcp && ct.new && ct.trk"},
	} {
		e, err := ParseMatch(row.in, Default())
		if err != nil {
			t.Errorf("%s: %v", row.in, err)
			continue
		}
		if got := e.String(); got != row.out {
			t.Errorf("%s: printed as %s, want %s", row.in, got, row.out)
		}
		again, err := ParseMatch(e.String(), Default())
		if err != nil || !again.Equal(e) {
			t.Errorf("%s: %s reads as %v, %v", row.in, e, again, err)
		}
	}
}

// Rule: an error names the place, and the caret shows it.
func TestMatchErrors(t *testing.T) {
	for _, row := range []struct {
		in       string
		pos, end int
		msg      string
	}{
		{"", 0, 0, "expecting a constant"},
		{"ip4.dest == 1.2.3.4", 0, 8, `no symbol "ip4.dest"`},
		{"ip4 && ip6 || arp", 11, 13, "must be parenthesized"},
		{"!tcp.dst == 80", 0, 14, "must be in parentheses"},
		{"ip4.src = 1.2.3.4", 8, 9, "use =="},
		{"ip4.src == 1.2.3", 11, 16, "invalid IPv4 address"},
		{"ip4.src == 1.0.0.0/33", 19, 21, "at most 32"},
		{"eth.src == 0:1", 11, 14, "invalid Ethernet or IPv6"},
		{"ip4.src == fd00::1", 0, 18, "128-bit constant"},
		{"tcp.dst == 65536", 0, 16, "17-bit constant 65536 does not fit 16-bit field tcp.dst"},
		{"tcp.dst == \"80\"", 0, 15, "not compatible"},
		{"inport == 1", 0, 11, "not compatible"},
		{"inport < \"a\"", 0, 12, "only be compared by == and !="},
		{"inport != \"a\"", 0, 13, "nominal field inport"},
		{"!(inport == \"a\")", 2, 15, "nominal field inport"},
		{"eth.type != 0x800", 0, 17, "nominal field eth.type"},
		{"!ip4", 1, 4, "cannot be negated"},
		{"ip4 == 0", 0, 8, "cannot be negated"},
		{"inport", 0, 6, "must be compared"},
		{"tcp.dst", 0, 7, "tcp.dst != 0"},
		{"inport[0]", 0, 9, "string field"},
		{"eth.type[0]", 0, 11, "nominal field"},
		{"ip4[0]", 0, 6, "predicate"},
		{"reg0[32]", 0, 8, "beyond 32-bit"},
		{"reg0[4..2] == 1", 0, 10, "invalid bit range"},
		{"reg0[x]", 5, 6, "bit number"},
		{"tcp.dst < {1, 2}", 0, 16, "a set"},
		{"ip4.src < 10.0.0.0/8", 0, 20, "masked"},
		{"tcp.dst == 080", 11, 14, "leading zeros"},
		{"reg0 == 0x", 8, 10, "hex digits"},
		{"reg0 == 99999999999999999999", 8, 28, "larger than 64"},
		{"xxreg0 == 0x1" + strings.Repeat("0", 32), 10, 45, "larger than 128"},
		{"tcp.dst == 8x", 11, 13, "invalid numeric"},
		{"ip4 & ip6", 4, 5, "`&&'"},
		{"ip4 | ip6", 4, 5, "`||'"},
		{"ip4 ip6", 4, 7, "end of the text"},
		{"(ip4", 4, 4, "expecting `)'"},
		{"tcp.dst == {1, 2", 16, 16, "expecting a constant"},
		{"tcp.dst == {}", 12, 13, "expecting a constant"},
		{"1 < tcp.dst > 5", 12, 13, "a range"},
		{"5", 1, 1, "relational operator"},
		{"inport == \"a", 10, 12, "unterminated"},
		{"inport == \"\\x\"", 10, 14, "invalid string"},
		{"inport == \"\\u0000\"", 10, 18, "null character"},
		{"ip4 /* ip6", 4, 6, "without matching"},
		{"ip4.src == $", 11, 12, "name of a set"},
		{"ip4.src == {x}", 12, 13, "expecting a constant"},
		{"ip4 && é", 7, 9, "invalid character"},
		{"is_chassis_resident(lp)", 20, 22, "expecting a constant"},
		{"icmp4.frag_mtu == 5", 0, 19, "only be assigned"},
		{strings.Repeat("(", 200) + "ip4", 99, 100, "nested"},
		{strings.Repeat("!", 200) + "ip4", 100, 101, "nested"},
	} {
		_, err := ParseMatch(row.in, Default())
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", row.in, err)
			continue
		}
		if !strings.Contains(e.Msg, row.msg) {
			t.Errorf("%s: %v, want %q", row.in, e, row.msg)
		}
		if len(row.in) < 100 && (e.Pos != row.pos || e.End != row.end) {
			t.Errorf("%s: at %d..%d, want %d..%d (%s)", row.in, e.Pos, e.End, row.pos, row.end, e.Msg)
		}
	}
}

func TestCaret(t *testing.T) {
	var e *Error
	_, err := ParseMatch("ip4 &&\n ip4.dest == 1.2.3.4", Default())
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	const want = " ip4.dest == 1.2.3.4\n ^^^^^^^^ no symbol \"ip4.dest\""
	if got := e.Caret(); got != want {
		t.Errorf("caret:\n%s\nwant:\n%s", got, want)
	}
	if got := e.Error(); got != `offset 8: no symbol "ip4.dest"` {
		t.Errorf("error text %s", got)
	}
}
