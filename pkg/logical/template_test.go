package logical

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	mac1  = [6]byte{0, 0, 0, 0, 0, 1}
	mac2  = [6]byte{0, 0, 0, 0, 0, 2}
	ip1   = netip.MustParseAddr("10.0.0.1")
	ip6   = netip.MustParseAddr("fd00::1")
	net10 = netip.MustParsePrefix("10.1.2.3/8")
)

func TestMatchTemplate(t *testing.T) {
	for _, row := range []struct {
		template string
		args     []Arg
		text     string
		normal   string
	}{
		{"1", nil, "1", "1"},
		{"inport == {port} && eth.src == {mac}", []Arg{MAC("mac", mac1), Port("port", "v\"1")},
			`inport == "v\"1" && eth.src == 00:00:00:00:00:01`, `inport == "v\"1" && eth.src == 0x1`},
		{"ip4.dst == {net}", []Arg{Prefix("net", net10)}, "ip4.dst == 10.0.0.0/8", "eth.type == 0x800 && ip4.dst == 0xa000000/0xff000000"},
		{"ip4.dst == {net}", []Arg{Prefix("net", netip.PrefixFrom(ip1, 32))}, "ip4.dst == 10.0.0.1", "eth.type == 0x800 && ip4.dst == 0xa000001"},
		{"xxreg0 == {ip}", []Arg{IP("ip", ip6)}, "xxreg0 == fd00::1", "reg0 == 0xfd000000 && reg1 == 0x0 && reg2 == 0x0 && reg3 == 0x1"},
		{"reg0[0..3] == {n}", []Arg{Bits("n", U64(0xff), U64(5))}, "reg0[0..3] == 0x5/0x5", "reg0 == 0x5/0x5"},
		{"reg0[0] == {n}", []Arg{Int("n", 1)}, "reg0[0] == 1", "reg0 == 0x1/0x1"},
		{"reg0[0..3] == {n} && reg0[2..5] == {m}", []Arg{Int("n", 15), Int("m", 15)}, "reg0[0..3] == 15 && reg0[2..5] == 15", "reg0 == 0x3f/0x3f"},
		{"reg0[0..3] == {n} && reg0[2..5] == {m}", []Arg{Int("n", 15), Int("m", 0)}, "reg0[0..3] == 15 && reg0[2..5] == 0", "0"},
		{"reg0[0..3] == {n} && reg0[2..5] == {n}", []Arg{Int("n", 15)}, "reg0[0..3] == 15 && reg0[2..5] == 15", "reg0 == 0x3f/0x3f"},
		{"inport == {ports}", []Arg{PortSet("ports", []string{"b", "a"})}, `inport == {"b", "a"}`, `inport == "a" | inport == "b"`},
		{"inport == {ports} && ip4", []Arg{PortSet("ports", nil)}, `0 && ip4`, `0`},
		{"inport == {ports}", []Arg{PortSet("ports", []string{"a"})}, `inport == "a"`, `inport == "a"`},
		{"eth.dst == {{mac}, ff:ff:ff:ff:ff:ff}", []Arg{MAC("mac", mac1)}, `eth.dst == {00:00:00:00:00:01, ff:ff:ff:ff:ff:ff}`, `eth.dst == 0x1 | eth.dst == 0xffffffffffff`},
		{"eth.src != {macs}", []Arg{MACSet("macs", nil)}, "1", "1"},
		{"reg0[0..1] != {n}", []Arg{Int("n", 2)}, "reg0[0..1] != 2", "reg0 == 0x3/0x3 | reg0 == 0x0/0x2"},
		{"reg0[0..1] < {n}", []Arg{Int("n", 2)}, "reg0[0..1] < 2", "reg0 == 0x0/0x2"},
		{"arp.tpa == {ips} || ip4.dst == {ips}", []Arg{IPSet("ips", []netip.Prefix{netip.PrefixFrom(ip1, 32)})},
			"arp.tpa == 10.0.0.1 || ip4.dst == 10.0.0.1", "eth.type == 0x800 && ip4.dst == 0xa000001 | eth.type == 0x806 && arp.tpa == 0xa000001"},
		{"is_chassis_resident({p}) && inport == {p}", []Arg{Port("p", "a")}, `is_chassis_resident("a") && inport == "a"`, `is_chassis_resident("a") && inport == "a"`},
		{"ip.ttl == {n}", []Arg{IntSet("n", []uint64{0, 1})}, "ip.ttl == {0, 1}", "eth.type == 0x800 && ip.ttl == 0x0 | eth.type == 0x800 && ip.ttl == 0x1 | eth.type == 0x86dd && ip.ttl == 0x0 | eth.type == 0x86dd && ip.ttl == 0x1"},
		{"eth.dst == {mac} && eth.mcast", []Arg{MAC("mac", mac1)}, "eth.dst == 00:00:00:00:00:01 && eth.mcast", "0"},
	} {
		tmpl := MustMatch(row.template, Default())
		m, err := tmpl.Bind(row.args...)
		if err != nil {
			t.Errorf("%s: %v", row.template, err)
			continue
		}
		if got := m.String(); got != row.text {
			t.Errorf("%s: text %s, want %s", row.template, got, row.text)
		}
		conjs, err := m.Normalize()
		if err != nil || text(conjs) != row.normal {
			t.Errorf("%s: normal form %s, %v, want %s", row.template, text(conjs), err, row.normal)
		}
		// The short way and the general one come to the same.
		general, err := m.Expr().Normalize(nil)
		if err != nil || text(general) != text(conjs) {
			t.Errorf("%s: in general %s, %v", row.template, text(general), err)
		}
		if _, err := ParseMatch(m.String(), Default()); err != nil {
			t.Errorf("%s: %s: %v", row.template, m, err)
		}
	}
}

func TestBindErrors(t *testing.T) {
	for _, row := range []struct {
		template string
		args     []Arg
		msg      string
	}{
		{"inport == {port}", nil, "0 arguments for 1 holes"},
		{"inport == {port}", []Arg{Port("prot", "a")}, `no argument for hole "port"`},
		{"inport == {port}", []Arg{Int("port", 1)}, "not compatible"},
		{"eth.src == {mac}", []Arg{IP("mac", ip6)}, "128-bit constant fd00::1 does not fit 48-bit field eth.src"},
		{"eth.src == {mac}", []Arg{Port("mac", "a")}, "not compatible"},
		{"ip4.src == {ip}", []Arg{IP("ip", netip.Addr{})}, "not compatible"},
		{"ip.proto == {n}", []Arg{Bits("n", U64(1), U64(1))}, "takes no mask"},
		{"reg0 < {n}", []Arg{IntSet("n", []uint64{1, 2})}, "takes one value"},
		{"reg0 < {n}", []Arg{Bits("n", U64(1), U64(1))}, "takes no mask"},
		{"is_chassis_resident({n})", []Arg{Int("n", 1)}, "takes a port"},
		{"reg0 == {a} && reg1 == {a}", []Arg{Int("a", 1<<32)}, "33-bit constant"},
	} {
		_, err := MustMatch(row.template, Default()).Bind(row.args...)
		if !errors.Is(err, ErrArgument) || !strings.Contains(err.Error(), row.msg) {
			t.Errorf("%s: error %v, want %q", row.template, err, row.msg)
		}
	}
	for _, text := range []string{"inport == {port", "ip4 == {x}", "nosuch == {x}", "{x}", "inport != {port}"} {
		if _, err := ParseMatchTemplate(text, Default()); err == nil {
			t.Errorf("template %s is accepted", text)
		}
	}
	defer func() {
		if s := fmt.Sprint(recover()); !strings.Contains(s, "^^^^^^") {
			t.Errorf("MustMatch panics with %s", s)
		}
	}()
	MustMatch("ip4 && nosuch == 1", Default())
}

func TestActionTemplate(t *testing.T) {
	tmpl := MustActions(`outport = {port}; eth.dst = {mac}; clone { reg0 = {ip}; output; }; reg8[16..31] = {n}; ct_dnat({ip}); log(name={name}, verdict=allow, severity={sev}); reg0[3] = put_dhcp_opts(offerip = {ip}, dns_server = {dns});`, Default())
	args := []Arg{Port("port", "a"), MAC("mac", mac1), IP("ip", ip1), Int("n", 7), Text("name", "acl"), Word("sev", "info"),
		IPSet("dns", []netip.Prefix{netip.PrefixFrom(ip1, 32), netip.MustParsePrefix("10.0.0.2/32")})}
	a, err := tmpl.Bind(args...)
	if err != nil {
		t.Fatal(err)
	}
	const want = `outport = "a"; eth.dst = 00:00:00:00:00:01; clone { reg0 = 10.0.0.1; output; }; reg8[16..31] = 7; ct_dnat(10.0.0.1); log(name="acl", verdict=allow, severity=info); reg0[3] = put_dhcp_opts(offerip = 10.0.0.1, dns_server = {10.0.0.1, 10.0.0.2});`
	if got := a.String(); got != want {
		t.Errorf("text %s\nwant %s", got, want)
	}
	if acts, err := ParseActions(a.String(), Default()); err != nil || FormatActions(acts) != want {
		t.Errorf("reads as %s, %v", FormatActions(acts), err)
	}
	if got := text(a.Prerequisites()); got != "eth.type == 0x800 | eth.type == 0x86dd" {
		t.Errorf("prerequisites %s", got)
	}
	if (Actions{}).String() != "drop;" || (Match{}).String() != "1" {
		t.Error("zero values")
	}
	for _, bad := range [][]Arg{args[:3], append(slices.Clone(args[1:]), Int("port", 1)), append(slices.Clone(args[:6]), Port("dnsx", "a"))} {
		if _, err := tmpl.Bind(bad...); !errors.Is(err, ErrArgument) {
			t.Errorf("%d arguments: %v", len(bad), err)
		}
	}
	if _, err := MustActions("reg0 = {x};", Default()).Bind(IntSet("x", []uint64{1})); !errors.Is(err, ErrArgument) {
		t.Errorf("a set: %v", err)
	}
}

func TestBindSome(t *testing.T) {
	args := []Arg{Port("port", "a"), MAC("mac", mac1)}
	m, err := MustMatch("eth.dst == {mac}", Default()).BindSome(args...)
	if err != nil || m.String() != "eth.dst == 00:00:00:00:00:01" {
		t.Errorf("match %s, %v", m, err)
	}
	a, err := MustActions("outport = {port}; output;", Default()).BindSome(args...)
	if err != nil || a.String() != `outport = "a"; output;` {
		t.Errorf("actions %s, %v", a, err)
	}
	if m, err := MustMatch("1", Default()).BindSome(args...); err != nil || m.String() != "1" {
		t.Errorf("no holes: %s, %v", m, err)
	}
	if _, err := MustMatch("ip4.src == {ip}", Default()).BindSome(args...); !errors.Is(err, ErrArgument) {
		t.Errorf("missing argument: %v", err)
	}
}

// Invariant: keys are equal exactly for equal matches.
func TestAppendKey(t *testing.T) {
	port := MustMatch("inport == {port} && eth.src == {mac}", Default())
	other := MustMatch("outport == {port} && eth.src == {mac}", Default())
	sets := MustMatch("inport == {ports}", Default())
	acts := MustActions("outport = {port};", Default())
	key := func(m interface{ AppendKey([]byte) []byte }) string { return string(m.AppendKey([]byte("x"))) }
	list := []string{
		key(port.MustBind(Port("port", "a"), MAC("mac", mac1))),
		key(port.MustBind(Port("port", "a"), MAC("mac", mac2))),
		key(port.MustBind(Port("port", "b"), MAC("mac", mac1))),
		key(other.MustBind(Port("port", "a"), MAC("mac", mac1))),
		key(sets.MustBind(Port("ports", "a"))),
		key(sets.MustBind(PortSet("ports", []string{"a"}))),
		key(sets.MustBind(PortSet("ports", []string{"a", "b"}))),
		key(sets.MustBind(PortSet("ports", []string{"ab"}))),
		key(acts.MustBind(Port("port", "a"))),
		key(Match{}),
	}
	again := key(port.MustBind(MAC("mac", mac1), Port("port", "a")))
	if again != list[0] || !bytes.HasPrefix([]byte(again), []byte("x")) {
		t.Error("the order of the arguments counts")
	}
	slices.Sort(list)
	if len(slices.Compact(list)) != 10 {
		t.Error("different matches have the same key")
	}
	e, _ := ParseMatch("ip4", Default())
	l1, err := LiteralMatch(e)
	l2, _ := LiteralMatch(e)
	if err != nil || key(l1) != key(l2) || key(l1) == key(Match{}) {
		t.Error("literal matches")
	}
}

// Invariant: a template with arguments means what its text means, whatever
// way the normal form is found.
func TestTemplateAgreesWithText(t *testing.T) {
	leaves := []string{"inport == {p}", "inport == {ps}", "eth.src == {m}", "eth.dst == {m}", "eth.dst == {ms}", "reg0[0..3] == {n}",
		"reg0[2..5] == {n}", "ip4.src == {i}", "arp.spa == {i}", "ip4.dst == {is}", "xxreg0[30..50] == {n}", "ip.ttl == {n}", "eth.src != {ms}",
		"reg1 < {n}", "ip4", "ip6", "reg0[1]", "eth.mcast", "!ip.is_frag", "is_chassis_resident({p})", "!is_chassis_resident({p})"}
	args := []Arg{Port("p", "lp1"), PortSet("ps", []string{"lp1", "lp2"}), MAC("m", mac1), MACSet("ms", [][6]byte{mac1, mac2, mac1}), Int("n", 5),
		IP("i", ip1), IPSet("is", []netip.Prefix{net10, netip.PrefixFrom(ip1, 32)})}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for i := range rapid.IntRange(1, 3).Draw(t, "n") {
			if i > 0 {
				b.WriteString(" && ")
			}
			b.WriteString("(")
			b.WriteString(strings.Join(rapid.SliceOfN(rapid.SampledFrom(leaves), 1, 3).Draw(t, "leaves"), " || "))
			b.WriteString(")")
		}
		tmpl := MustMatch(b.String(), Default())
		var used []Arg
		for _, a := range args {
			if slices.Contains(tmpl.Holes(), a.Name) {
				used = append(used, a)
			}
		}
		m := tmpl.MustBind(used...)
		e, err := ParseMatch(m.String(), Default())
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		want, err := e.Normalize(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Normalize()
		if err != nil {
			t.Fatal(err)
		}
		checkNormalForm(t, got)
		if text(got) != text(want) {
			t.Fatalf("%s with arguments:\n%s\n%s:\n%s", b.String(), text(got), m, text(want))
		}
	})
}

func BenchmarkBindNormalize(b *testing.B) {
	tmpl := MustMatch("inport == {port} && eth.src == {mac} && ip4.src == {ip}", Default())
	b.ReportAllocs()
	for b.Loop() {
		m := tmpl.MustBind(Port("port", "vm1"), MAC("mac", mac1), IP("ip", ip1))
		if c, err := m.Normalize(); err != nil || len(c) != 1 {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseNormalize(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		e, err := ParseMatch(`inport == "vm1" && eth.src == 00:00:00:00:00:01 && ip4.src == 10.0.0.1`, Default())
		if err != nil {
			b.Fatal(err)
		}
		if c, err := e.Normalize(nil); err != nil || len(c) != 1 {
			b.Fatal(err)
		}
	}
}
