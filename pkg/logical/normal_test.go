package logical

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type sets map[string][]string

func (s sets) AddressSet(name string) ([]string, error) { return s.get("$" + name) }
func (s sets) PortGroup(name string) ([]string, error)  { return s.get("@" + name) }
func (s sets) get(name string) ([]string, error) {
	if list, ok := s[name]; ok {
		return list, nil
	}
	return nil, ErrUnknownSet
}

var testSets = sets{
	"$v4":    {"10.0.0.1", "10.0.0.2", "10.1.0.0/16"},
	"$v6":    {"fd00::1", "fd00:1::/32"},
	"$mac":   {"00:00:00:00:00:01"},
	"$empty": {},
	"@pg":    {"lp1", "lp2"},
	"@none":  {},
	"$bad":   {"nonsense", "10.1.0.0/8"},
}

func normal(t testing.TB, text string) []Conj {
	t.Helper()
	e, err := ParseMatch(text, Default())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	c, err := e.Normalize(testSets)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func text(list []Conj) string {
	if len(list) == 0 {
		return "0"
	}
	s := make([]string, len(list))
	for i := range list {
		s[i] = list[i].String()
	}
	return strings.Join(s, " | ")
}

// Rule: root fields only, prerequisites at the leaves, outside of negation;
// contradictions, duplicates and implied conjunctions are gone.
func TestNormalize(t *testing.T) {
	for _, row := range []struct{ in, out string }{
		{"1", "1"},
		{"0", "0"},
		{"ip4 && ip6", "0"},
		{"ip4 || 1", "1"},
		{"ip4", "eth.type == 0x800"},
		{"ip", "eth.type == 0x800 | eth.type == 0x86dd"},
		{"ip4.src == 10.0.0.0/8", "eth.type == 0x800 && ip4.src == 0xa000000/0xff000000"},
		{"ip4.src == 0.0.0.0/0", "eth.type == 0x800"},
		{"tcp.dst == 80 && ip4", "eth.type == 0x800 && ip.proto == 0x6 && tcp.dst == 0x50"},
		{"tcp.dst == 80 && udp", "0"},
		{"tcp.dst == {80, 80}", "eth.type == 0x800 && ip.proto == 0x6 && tcp.dst == 0x50 | eth.type == 0x86dd && ip.proto == 0x6 && tcp.dst == 0x50"},
		{"eth.dst[40]", "eth.dst == 0x10000000000/0x10000000000"},
		{"eth.dst[40] && eth.dst[0..1] == 2", "eth.dst == 0x10000000002/0x10000000003"},
		{"eth.dst[40] && !eth.mcast", "0"},
		{"eth.dst[1] || (eth.dst[1] && eth.dst[2])", "eth.dst == 0x2/0x2"},
		{"reg0[0..3] != 5", "reg0 == 0x4/0xf | reg0 == 0x6/0xe | reg0 == 0x0/0xc | reg0 == 0x8/0x8"},
		{"reg0[0..3] < 5", "reg0 == 0x4/0xf | reg0 == 0x0/0xc"},
		{"reg0[0..3] <= 5", "reg0 == 0x4/0xe | reg0 == 0x0/0xc"},
		{"reg0[0..3] <= 15", "1"},
		{"reg0[0..3] > 15", "0"},
		{"reg0[0..3] >= 0", "1"},
		{"reg0[0..3] < 0", "0"},
		{"reg0[0..3] >= 8", "reg0 == 0x8/0x8"},
		{"2 <= reg0[0..3] < 6", "reg0 == 0x2/0xe | reg0 == 0x4/0xe"},
		{"reg0[0..1] != {0, 1, 2}", "reg0 == 0x3/0x3"},
		{"!(tcp.dst[0..1] == 3) && ip4", "eth.type == 0x800 && ip.proto == 0x6 && tcp.dst == 0x2/0x3 | eth.type == 0x800 && ip.proto == 0x6 && tcp.dst == 0x0/0x2"},
		{"ip4.src == $v4", "eth.type == 0x800 && ip4.src == 0xa000001 | eth.type == 0x800 && ip4.src == 0xa000002 | eth.type == 0x800 && ip4.src == 0xa010000/0xffff0000"},
		{"ip4.src == $empty", "0"},
		{"ip4.src != $empty", "1"},
		{"ip4.src == $bad", "eth.type == 0x800 && ip4.src == 0xa000000/0xff000000"},
		{"inport == @pg", `inport == "lp1" | inport == "lp2"`},
		{"inport == @none", "0"},
		{"inport == \"a\" && inport == \"b\"", "0"},
		{"inport == {\"b\", \"a\"}", `inport == "a" | inport == "b"`},
		{"!(inport != \"a\")", `inport == "a"`},
		{"xxreg0 == fd00::1", "reg0 == 0xfd000000 && reg1 == 0x0 && reg2 == 0x0 && reg3 == 0x1"},
		{"xreg0[0..47] == 00:00:00:00:00:01", "reg0 == 0x0/0xffff && reg1 == 0x1"},
		{"xxreg0[96..127] == 5 && reg0 == 5", "reg0 == 0x5"},
		{"xxreg0[96..127] == 5 && reg0 == 4", "0"},
		{"ct.new && !ct.est", "ct_state == 0x21/0x23"},
		{"!ct.new", "ct_state == 0x20/0x21"},
		{"vlan.vid == 5", "vlan.tci == 0x1005/0x1fff"},
		{"ip.first_frag && ip4", "eth.type == 0x800 && ip.frag == 0x1"},
		{"!ip4.src_mcast && arp", "eth.type == 0x806"},
		{"!(ip4 == 0)", "eth.type == 0x800"},
		{"!(ip == 0) && eth.dst[0]", "eth.dst == 0x1/0x1 && eth.type == 0x800 | eth.dst == 0x1/0x1 && eth.type == 0x86dd"},
		{"!(ip.is_frag == 0) && ip4", "eth.type == 0x800 && ip.frag == 0x1/0x1"},
		{"!ip.is_frag", "eth.type == 0x800 && ip.frag == 0x0/0x1 | eth.type == 0x86dd && ip.frag == 0x0/0x1"},
		{"!ip4.dst[31] && ip", "eth.type == 0x800 && ip4.dst == 0x0/0x80000000"},
		{"ip4.mcast == 0 && ip4.dst[31] && ip", "eth.dst == 0x0/0x10000000000 && eth.type == 0x800 && ip4.dst == 0x80000000/0x80000000 | eth.dst == 0x10000000000/0x10000000000 && eth.type == 0x800 && ip4.dst == 0xf0000000/0xf0000000 | eth.dst == 0x10000000000/0x10000000000 && eth.type == 0x800 && ip4.dst == 0xc0000000/0xe0000000 | eth.dst == 0x10000000000/0x10000000000 && eth.type == 0x800 && ip4.dst == 0x80000000/0xc0000000"},
		{"!ip.first_frag && ip4", "eth.type == 0x800 && ip.frag == 0x0 | eth.type == 0x800 && ip.frag == 0x2/0x2"},
		{"is_chassis_resident(\"a\") && !is_chassis_resident(\"b\")", `is_chassis_resident("a") && !is_chassis_resident("b")`},
		{"is_chassis_resident(\"a\") && !is_chassis_resident(\"a\")", "0"},
		{"flags.loopback", "flags == 0x1/0x1"},
		{"nd_ns", "eth.type == 0x86dd && ip.proto == 0x3a && ip.ttl == 0xff && icmp6.type == 0x87 && icmp6.code == 0x0"},
	} {
		if got := text(normal(t, row.in)); got != row.out {
			t.Errorf("%s:\n got %s\nwant %s", row.in, got, row.out)
		}
	}
}

func TestNormalizeErrors(t *testing.T) {
	for _, row := range []struct {
		in   string
		want error
		msg  string
	}{
		{"ip4.src == $nobody", ErrUnknownSet, `address set "nobody": unknown set`},
		{"inport == @nobody", ErrUnknownSet, `port group "nobody": unknown set`},
		{"ip4.src == $v6", nil, `address set "v6": element "fd00::1": 128-bit`},
	} {
		e, err := ParseMatch(row.in, Default())
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Normalize(testSets)
		if err == nil || !strings.Contains(err.Error(), row.msg) || row.want != nil && !errors.Is(err, row.want) {
			t.Errorf("%s: error %v, want %s", row.in, err, row.msg)
		}
	}
	e, _ := ParseMatch("ip4.src == $v4", Default())
	if _, err := e.Normalize(nil); !errors.Is(err, ErrUnknownSet) {
		t.Errorf("no resolver: %v", err)
	}
}

// A blow-up ends soon and with an error.
func TestNormalizeLimit(t *testing.T) {
	var parts []string
	for i := range 10 {
		parts = append(parts, fmt.Sprintf("reg%d != 0x12345678", i))
	}
	e, err := ParseMatch(strings.Join(parts, " && "), Default())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Normalize(nil); !errors.Is(err, ErrTooComplex) {
		t.Errorf("error %v, want ErrTooComplex", err)
	}
}

// Rule: the complement of a set has at most one conjunction per deciding bit
// of each element, not their product.
func TestComplementOfSet(t *testing.T) {
	for _, row := range []struct{ elements, most int }{{1, 32}, {3, 32 * 3}, {500, 32 * 500}} {
		n := len(normal(t, "ip4.src != {"+addresses(row.elements)+"}"))
		if n > row.most {
			t.Errorf("%d elements: %d conjunctions", row.elements, n)
		}
	}
}

// addresses is a list of n addresses, spread evenly.
func addresses(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "10.%d.%d.%d ", i%7, i/256, i%256)
	}
	return b.String()
}

func BenchmarkNormalizeSet(b *testing.B) {
	for _, op := range []string{"==", "!="} {
		b.Run(op, func(b *testing.B) {
			e, err := ParseMatch("tcp && ip4.src "+op+" {"+addresses(1000)+"}", Default())
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				c, err := e.Normalize(nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(c)), "conjunctions")
			}
		})
	}
}

// packet is a Packet with drawn values. Fields that were not drawn are 0.
type packet struct {
	num      map[string]U128
	str      map[string]string
	resident map[string]bool
}

func (p packet) Number(f *Field) U128      { return p.num[f.Name] }
func (p packet) Port(f *Field) string      { return p.str[f.Name] }
func (p packet) Resident(port string) bool { return p.resident[port] }

// The values that matter in the expressions drawn below, so that tests hit.
var (
	testPorts = []string{"lp1", "lp2", "x\"y"}
	testNums  = map[string][]uint64{
		"eth.type": {0x800, 0x86dd, 0x806, 0x8035}, "ip.proto": {1, 6, 17, 58, 132},
		"eth.dst": {0xffffffffffff, 0x333300000001, 1, 0x01005e000001}, "eth.src": {1, 2},
		"vlan.tci": {0, 0x1005, 0x3005}, "ip.frag": {0, 1, 3}, "ip.ttl": {0, 64, 255},
		"ip4.src": {0x0a000001, 0x0a010203, 0xe0000001}, "ip4.dst": {0x0a000001, 0xe0000001},
		"icmp6.type": {130, 133, 134, 135, 136, 143}, "icmp6.code": {0, 1}, "icmp4.type": {3, 8}, "icmp4.code": {0, 1},
		"tcp.dst": {0, 80, 1024, 65535}, "udp.dst": {53, 67}, "tcp.src": {1, 80},
		"reg0": {0, 1, 5, 0xffffffff}, "reg1": {0, 7}, "ct_state": {0, 0x21, 0x22, 0x2a, 0x30, 0x64, 0xa2}, "arp.op": {1, 2},
		"ct_mark": {0, 1, 3}, "flags": {0, 1},
	}
)

// All zero, unicast, link-local, and the multicast addresses that predicates
// know.
var testIP6 = []U128{{}, {0xfd00 << 48, 1}, {0xfd000001 << 32, 1}, {0xfe80 << 48, 5}, {0xff00 << 48, 0}, {0xff01 << 48, 1}, {0xff01 << 48, 2},
	{0xff02 << 48, 1}, {0xff02 << 48, 2}, {0xff05 << 48, 2}, {0xff02 << 48, 0x16}, {0xff02 << 48, 0x1ff000001}, {0xff0e << 48, 9}}

func drawPacket(t *rapid.T) packet {
	p := packet{map[string]U128{}, map[string]string{}, map[string]bool{}}
	for _, name := range Default().names {
		f := Default().Lookup(name)
		switch {
		case f.Kind == String:
			p.str[name] = rapid.SampledFrom(testPorts).Draw(t, name)
		case f.Parent == nil && f.Parts == nil && f.Predicate == "":
			if list := testNums[name]; list != nil {
				p.num[name] = U64(rapid.SampledFrom(list).Draw(t, name))
			}
		}
	}
	p.num["ip6.src"] = rapid.SampledFrom(testIP6).Draw(t, "ip6.src")
	p.num["ip6.dst"] = rapid.SampledFrom(testIP6).Draw(t, "ip6.dst")
	for _, port := range testPorts {
		p.resident[port] = rapid.Bool().Draw(t, "resident")
	}
	return p
}

// drawMatch gives the text of an expression that parses.
func drawMatch(t *rapid.T, depth int, neg bool) string {
	if depth > 0 {
		switch rapid.IntRange(0, 6).Draw(t, "op") {
		case 0, 1:
			return "(" + drawMatch(t, depth-1, neg) + " && " + drawMatch(t, depth-1, neg) + ")"
		case 2, 3:
			return "(" + drawMatch(t, depth-1, neg) + " || " + drawMatch(t, depth-1, neg) + ")"
		case 4:
			return "!(" + drawMatch(t, depth-1, !neg) + ")"
		}
	}
	return drawLeaf(t, neg)
}

var leafFields = func() (list []string) {
	for _, name := range Default().names {
		if f := Default().Lookup(name); !strings.HasPrefix(name, "__") && name != "remote_outport" && f.Write < WritableInICMP4 {
			list = append(list, name)
		}
	}
	return append(list, "reg0[0..3]", "eth.dst[40]", "tcp.dst[0..1]", "xxreg0[90..100]", "vlan.vid[0..3]", "ip4.src[24..31]", "ip4.src", "tcp.dst", "ct.new", "inport")
}()

func drawLeaf(t *rapid.T, neg bool) string {
	switch rapid.IntRange(0, 12).Draw(t, "leaf") {
	case 0:
		return rapid.SampledFrom([]string{"0", "1", "ip4.src == $v4", "ip6.src == $v6", "eth.src == $mac", "ip4.dst != $v4", "ip4.dst == {$empty, 10.0.0.1}"}).Draw(t, "fixed")
	case 1:
		return fmt.Sprintf("is_chassis_resident(%s)", appendQuoted(nil, rapid.SampledFrom(testPorts).Draw(t, "port")))
	}
	name := rapid.SampledFrom(leafFields).Draw(t, "field")
	f := Default().MustField(name)
	rel := rapid.SampledFrom(relationText[:]).Draw(t, "relation")
	if f.Level != Ordinal {
		rel = rapid.SampledFrom(relationText[:2]).Draw(t, "relation")
	}
	positive := "=="
	if neg {
		positive = "!="
	}
	switch {
	case f.Kind == String:
		if rapid.Bool().Draw(t, "group") {
			return name + " " + positive + " @pg"
		}
		return name + " " + positive + " " + string(appendQuoted(nil, rapid.SampledFrom(testPorts).Draw(t, "port")))
	case f.Predicate != "" && f.Level == Nominal:
		if neg {
			return name + " == 0"
		}
		return name
	case f.Level == Nominal:
		rel = positive
	}
	value := func() string {
		root, low := f.Root()
		if list := testNums[root.Name]; list != nil && rapid.Bool().Draw(t, "likely") {
			return U64(rapid.SampledFrom(list).Draw(t, "value")).Shr(low).And(Ones(f.Bits)).text()
		}
		return U128{rapid.Uint64().Draw(t, "hi"), rapid.Uint64Range(0, 9).Draw(t, "lo")}.And(Ones(f.Bits)).text()
	}
	v := value()
	if rel == "==" || rel == "!=" {
		switch {
		case rapid.IntRange(0, 3).Draw(t, "set") == 0:
			v = "{" + v + ", " + value() + "}"
		case f.Level == Ordinal && f.Bits > 3 && rapid.IntRange(0, 3).Draw(t, "mask") == 0:
			v = rapid.SampledFrom([]string{"0/1", "1/1", "5/7", "8/0xa", "0/0"}).Draw(t, "masked")
		}
	}
	return name + " " + rel + " " + v
}

func (a U128) text() string { return string(appendNumber(nil, FormHex, a)) }

// Invariants: the text reads as the same expression; the normal form holds
// for a packet exactly if the expression does, is sorted, without duplicates,
// in terms of root fields, and the same every time.
func TestNormalFormAgreesWithEval(t *testing.T) {
	var hits, total, complex, inexact int
	rapid.Check(t, func(t *rapid.T) {
		in := drawMatch(t, 3, false)
		e, err := ParseMatch(in, Default())
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		again, err := ParseMatch(e.String(), Default())
		if err != nil || !again.Equal(e) {
			t.Fatalf("%s: %s reads as %v, %v", in, e, again, err)
		}
		conjs, err := e.Normalize(testSets)
		if errors.Is(err, ErrTooComplex) {
			complex++
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkNormalForm(t, conjs)
		for range 8 {
			p := drawPacket(t)
			want, err := e.Eval(p, testSets)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.ContainsFunc(conjs, func(c Conj) bool { return c.Holds(p) })
			if want && !got && e.Inexact(testSets) {
				inexact++
			} else if got != want {
				t.Fatalf("%s is %v, its normal form %.500s is %v", in, want, text(conjs), got)
			}
			total++
			if want {
				hits++
			}
		}
	})
	if hits*20 < total || hits == total {
		t.Errorf("%d of %d packets matched: the test proves too little", hits, total)
	}
	if inexact*5 > total {
		t.Errorf("%d of %d packets were left out", inexact, total)
	}
	if complex*8*5 > total {
		t.Errorf("%d expressions were too complex, %d packets tried", complex, total)
	}
}

func checkNormalForm(t interface{ Fatalf(string, ...any) }, conjs []Conj) {
	for i, c := range conjs {
		if i > 0 && conjs[i-1].compare(c) >= 0 {
			t.Fatalf("not in order: %s, %s", conjs[i-1], c)
		}
		for j := range c {
			if j > 0 && c[j-1].place(&c[j]) >= 0 {
				t.Fatalf("terms not in order: %s", c)
			}
			f := c[j].Field
			if f.Parent != nil || f.Parts != nil || f.Predicate != "" {
				t.Fatalf("%s is not a root field", f)
			}
			v, m := FromBytes(c[j].Value), FromBytes(c[j].Mask)
			if f.Kind == Numeric && (v.And(m) != v || m.IsZero() || m.And(Ones(f.Bits)) != m) {
				t.Fatalf("term %s: value %v, mask %v", &c[j], v, m)
			}
		}
	}
}
