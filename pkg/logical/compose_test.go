package logical

import (
	"reflect"
	"slices"
	"testing"
)

// Rule: binding an action list without holes gives the same list.
func TestActionTemplatesWithoutHoles(t *testing.T) {
	for _, row := range actionRows {
		acts, err := ParseActions(row.in, Default())
		if err != nil {
			t.Fatal(err)
		}
		if bound := bindActions(acts, nil); !reflect.DeepEqual(bound, acts) {
			t.Errorf("%s: bound as %s", row.in, FormatActions(bound))
		}
		literal := LiteralActions(acts)
		if FormatActions(literal.Actions()) != FormatActions(acts) || text(literal.Prerequisites()) != text(Prerequisites(acts)) {
			t.Errorf("%s: literally %s", row.in, literal)
		}
		tmpl := MustActions(row.in, Default())
		if text(tmpl.Prerequisites()) != text(Prerequisites(acts)) || len(tmpl.Holes()) != 0 || tmpl.Text() != row.in {
			t.Errorf("%s: as a template %q %q", row.in, tmpl.Text(), tmpl.Holes())
		}
	}
}

func TestLoadBalancerTemplate(t *testing.T) {
	tmpl := MustActions("ct_lb_mark(backends={ip}:{port},10.0.0.9:80; force_snat);", Default())
	if got := tmpl.MustBind(IP("ip", ip1), Int("port", 8080)).String(); got != "ct_lb_mark(backends=10.0.0.1:8080,10.0.0.9:80; force_snat);" {
		t.Error(got)
	}
	if got := tmpl.MustBind(IP("ip", ip6), Int("port", 8080)).String(); got != "ct_lb_mark(backends=[fd00::1]:8080,10.0.0.9:80; force_snat);" {
		t.Error(got)
	}
}

func TestCompose(t *testing.T) {
	st := Default()
	a, b, c := st.mustParse("ip4 && tcp"), st.mustParse("udp || ip4.src == {$x, $a}"), st.mustParse("inport == @p && ip4.dst == $a")
	for _, row := range []struct {
		e    *Expr
		want string
	}{
		{AllOf(), "1"}, {AnyOf(), "0"}, {AllOf(a), "ip4 && tcp"},
		{AllOf(a, b), "ip4 && tcp && (udp || ip4.src == {$x, $a})"},
		{AnyOf(a, b), "(ip4 && tcp) || udp || ip4.src == {$x, $a}"},
	} {
		if row.e.String() != row.want || !st.mustParse(row.want).Equal(row.e) {
			t.Errorf("%s, want %s", row.e, row.want)
		}
	}
	addrs, ports := AllOf(b, c).Sets()
	if !slices.Equal(addrs, []string{"a", "x"}) || !slices.Equal(ports, []string{"p"}) {
		t.Errorf("sets %q %q", addrs, ports)
	}
	if m, err := LiteralMatch(c); err != nil {
		t.Error(err)
	} else if conjs, err := m.NormalizeWith(sets{"$a": {"10.0.0.1"}, "@p": {"lp"}}); err != nil || text(conjs) != `inport == "lp" && eth.type == 0x800 && ip4.dst == 0xa000001` {
		t.Errorf("%s, %v", text(conjs), err)
	}
	or, err := Or(normal(t, "reg0 == 2 || reg0[0]"), normal(t, "reg0[0] || reg1 == 1"))
	if err != nil || text(or) != "reg0 == 0x2 | reg0 == 0x1/0x1 | reg1 == 0x1" {
		t.Errorf("or: %s, %v", text(or), err)
	}
	and, err := And(normal(t, "reg0 == {2, 3}"), normal(t, "reg0[0]"))
	if err != nil || text(and) != "reg0 == 0x3" {
		t.Errorf("and: %s, %v", text(and), err)
	}
	if x := and[0].Term(st.Lookup("reg0")); x == nil || !x.Exact() || x.String() != "reg0 == 0x3" || and[0].Term(st.Lookup("reg1")) != nil {
		t.Errorf("term %v", x)
	}
	if x := normal(t, "reg0[0]")[0][0]; x.Exact() {
		t.Errorf("%s is exact", &x)
	}
}

// Rule: expressions are equal only if they are written alike.
func TestEqual(t *testing.T) {
	list := []string{"1", "0", "ip4", "ip6", "!ct.new", "ct.new", "ip4 && ip6", "ip4 || ip6", "ip4 && ip6 && arp", "reg0 == 1", "reg0 == 0x1", "reg0 != 1",
		"reg1 == 1", "reg0 == 1/1", "reg0 == {1, 2}", "reg0 == {2, 1}", "reg0[0..3] == 1", `inport == "a"`, `inport == "b"`, "inport == @a", `is_chassis_resident("a")`}
	for i, x := range list {
		for j, y := range list {
			if a, b := Default().mustParse(x), Default().mustParse(y); a.Equal(b) != (i == j) {
				t.Errorf("%s and %s: %v", a, b, a.Equal(b))
			}
		}
	}
}

func TestParseConstant(t *testing.T) {
	for _, row := range []struct{ in, out string }{
		{"10.0.0.1", "10.0.0.1"}, {" 10.0.0.9/8 ", "10.0.0.0/8"}, {"fd00::/64", "fd00::/64"}, {"00:00:00:00:00:01", "00:00:00:00:00:01"}, {"5", "5"},
		{"", ""}, {"x", ""}, {"10.0.0.1 10.0.0.2", ""}, {"10.0.0.1/33", ""}, {"\"a\"", ""}, {"10.0.0.0/24/8", ""}, {"fd00::1/10.0.0.0", ""},
		{"ff:ff:ff:ff:ff:ff/8", ""}, {"10.0.0.1/", ""}, {"{1}", ""},
	} {
		c, err := ParseConstant(row.in)
		if (err == nil) != (row.out != "") || err == nil && c.String() != row.out {
			t.Errorf("%q: %s, %v, want %q", row.in, c.String(), err, row.out)
		}
	}
}

func TestFields(t *testing.T) {
	st := Default()
	for _, row := range []struct {
		in, root string
		low      int
		bits     int
	}{
		{"reg0", "reg0", 0, 32}, {"reg0[4..7]", "reg0", 4, 4}, {"vlan.pcp", "vlan.tci", 13, 3}, {"vlan.pcp[2]", "vlan.tci", 15, 1},
		{"ct.dnat", "ct_state", 7, 1}, {"xxreg1[0..31]", "xxreg1", 0, 32}, {"flags.network_id", "flags", 28, 4},
	} {
		f, err := st.Field(row.in)
		if err != nil {
			t.Errorf("%s: %v", row.in, err)
			continue
		}
		if root, low := f.Root(); root.Name != row.root || low != row.low || f.Bits != row.bits || f.String() != row.in {
			t.Errorf("%s is %d bits of %s from %d", f, f.Bits, root, low)
		}
	}
	for _, in := range []string{"", "nosuch", "reg0[32]", "reg0 reg1", "reg0[0][0]", "5"} {
		if f, err := st.Field(in); err == nil {
			t.Errorf("%q is %s", in, f)
		}
	}
	if !st.Lookup("ip.ttl").Writable() || st.Lookup("eth.type").Writable() || st.Lookup("ct_mark").Writable() || st.Lookup("ip4").Writable() {
		t.Error("Writable")
	}
}
