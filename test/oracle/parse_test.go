package oracle

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"govn/sim/lab"
)

// text is what ovn-trace prints, of the two forms.
func text(summary, minimal string) string {
	return "# x\n" + summaryMark + summary + minimalMark + minimal
}

func TestParseText(t *testing.T) {
	in := Packet{"eth.src": "0a:00:00:00:00:01", "eth.dst": "ff:ff:ff:ff:ff:ff", "arp.op": "1", "ip.ttl": "64"}
	const toA, toB = "/* output to \"a\", type \"\" */;\n", "/* output to \"b\", type \"\" */;\n"
	const outA, outB = "output(\"a\");\n", "output(\"b\");\n"
	for _, tc := range []struct {
		name, summary, minimal string
		want                   Verdict
	}{
		{"drop", "ingress(dp=\"s\", inport=\"a\") {\ndrop;\n};\n", "", nil},
		{"flood", "multicast(dp=\"s\") {\negress(x) {\n" + toB + "};\negress(x) {\n" + toA + "};\n};\n", outB + outA, Verdict{{Port: "a"}, {Port: "b"}}},
		{"arp reply", "eth.dst = eth.src;\narp.op = 2;\n" + toA, "eth.dst = 0A:00:00:00:00:01;\narp.op = 2;\n" + outA,
			Verdict{{Port: "a", Rewrites: []string{"arp.op=2", "eth.dst=0a:00:00:00:00:01"}}}},
		{"exchange", "eth.dst <-> eth.src;\n" + toA, "eth.dst = 0a:00:00:00:00:01;\neth.src = ff:ff:ff:ff:ff:ff;\n" + outA,
			Verdict{{Port: "a", Rewrites: []string{"eth.dst=0a:00:00:00:00:01", "eth.src=ff:ff:ff:ff:ff:ff"}}}},
		{"TTL", "ip.ttl--;\n" + toA, "ip.ttl--;\n" + outA, Verdict{{Port: "a", Rewrites: []string{"ip.ttl=63"}}}},
		{"registers do not count", "reg0 = 7;\n" + toA, outA, Verdict{{Port: "a"}}},
		{"inside is no output", "/* output to \"p\", type \"patch\" */;\n" + toA, outA, Verdict{{Port: "a"}}},
		{"what a copy changes stays there", "clone { eth.src = eth.dst; output; };\nclone {\neth.src = eth.dst;\n" + toB + "};\n" + toA,
			"clone;\neth.src = ff:ff:ff:ff:ff:ff;\n" + outB + outA, Verdict{{Port: "a"}, {Port: "b", Rewrites: []string{"eth.src=ff:ff:ff:ff:ff:ff"}}}},
		{"lookup", "get_arp(outport, reg0);\n/* No MAC binding. */\n" + toA, "eth.dst = 00:00:00:00:00:00;\n" + outA,
			Verdict{{Port: "a", Rewrites: []string{"eth.dst=00:00:00:00:00:00"}}}},
		{"select", "select: reg8[16..31] = 2 {\n" + toA + "};\n", "select: reg8[16..31] = 2 {\n" + outA + "};\n", Verdict{{Port: "a"}}},
		{"block", "nd_na { x; };\nnd_na {\neth.src = eth.dst;\n" + toB + "};\n", "nd_na {\n    eth.src = 0a:00:00:00:00:09;\n    " + outB + "};\n",
			Verdict{{Punt: "nd_na", Inner: Verdict{{Port: "b", Rewrites: []string{"eth.src=0a:00:00:00:00:09"}}}}}},
	} {
		got, err := parseText(text(tc.summary, tc.minimal), in)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
	for _, bad := range []string{"gibberish", text("", "gibberish"), text("x {\n", ""), text("};\n", ""), text("", outA), text("x {\n};\n", "x {\n")} {
		if v, err := parseText(bad, in); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, %v, want ErrSyntax", bad, v, err)
		}
	}
}

func TestChoices(t *testing.T) {
	for text, want := range map[string]int{"next;": 1, "reg8[16..31] = select(1=100, 2=100);": 2, "select(1=1, 2=1)\nselect(1=1, 2=1, 3=1)": 3} {
		if got := choices(text); got != want {
			t.Errorf("choices(%q) = %d, want %d", text, got, want)
		}
	}
}

const push = "tnl_push(tnl_port(6081),header(size=58,type=5,eth(dst=0a:58:cb:00:71:01,src=ca:cd:44:eb:b1:4e,dl_type=0x0800)," +
	"ipv4(src=203.0.113.2,dst=203.0.113.1,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=6081,csum=0xffff)," +
	"geneve(crit,vni=0x1,options({class=0x102,type=0x80,len=4,0x48000}))),out_port(2))"

// A rewrite counts for the outputs after it, and not outside of its clone.
func TestExecute(t *testing.T) {
	list, err := parseActions("userspace(pid=0,controller(reason=1,max_len=65535)),4,clone(set(eth(src=0a:00:00:00:00:09)),set(skb_mark(0x7)),5)," +
		"clone(" + push + ",3),set(eth(dst=0a:00:00:00:00:08)),6")
	if err != nil {
		t.Fatal(err)
	}
	in := Packet{"eth.src": "a", "eth.dst": "b"}
	var e effects
	if err := e.execute(list, clone(in)); err != nil {
		t.Fatal(err)
	}
	want := map[int]Packet{
		3: in, 4: in, 5: {"eth.src": "0a:00:00:00:00:09", "eth.dst": "b"}, 6: {"eth.src": "a", "eth.dst": "0a:00:00:00:00:08"},
	}
	for _, c := range e.ports {
		if !reflect.DeepEqual(c.p, want[c.number]) {
			t.Errorf("port %d: %v, want %v", c.number, c.p, want[c.number])
		}
		delete(want, c.number)
	}
	if len(want) > 0 {
		t.Errorf("no output to %v", want)
	}
	if len(e.tunnels) != 1 || e.tunnels[0].vni != 1 || e.tunnels[0].option != 0x48000 || e.tunnels[0].dst != "203.0.113.1" || e.tunnels[0].src != "203.0.113.2" {
		t.Errorf("tunnels: %+v", e.tunnels)
	}
}

// Of the branches by size one is taken, and the packets to a controller are those
// of that branch.
func TestExecuteBySize(t *testing.T) {
	const text = "controller(userdata=00.00.00.03)\ncontroller(userdata=00.00.00.0a)\ncontroller(userdata=00.00.00.09)\n" +
		"Datapath actions: userspace(pid=0),check_pkt_len(size=1414,gt(userspace(pid=0),5),le(userspace(pid=0),set(eth(src=0a:00:00:00:00:09)),6)),7\n"
	for _, tc := range []struct {
		large bool
		punts []string
		ports []int
	}{{false, []string{"nd_na", "nd_ns"}, []int{6, 7}}, {true, []string{"nd_na", "icmp"}, []int{5, 7}}} {
		e, kinds, err := readTrace(text, Packet{"eth.src": "a"}, tc.large)
		if err != nil {
			t.Fatal(err)
		}
		var ports []int
		for _, c := range e.ports {
			ports = append(ports, c.number)
		}
		if last := e.ports[len(e.ports)-1]; last.p["eth.src"] != "a" {
			t.Errorf("large=%v: after the branch the packet is %v", tc.large, last.p)
		}
		if !reflect.DeepEqual(kinds, tc.punts) || !reflect.DeepEqual(ports, tc.ports) || !e.sized {
			t.Errorf("large=%v: punts %q, ports %v, by size %v", tc.large, kinds, ports, e.sized)
		}
	}
}

// What the reader does not know is an error, not a verdict.
func TestExecuteRefuses(t *testing.T) {
	for _, s := range []string{
		"recirc(0x1)", "ct(commit)", "set(eth(colour=red))", "tnl_push(tnl_port(1),header())", "x", "4,(", "clone(4", "4)",
		strings.Replace(push, "0x102", "0x103", 1),
		strings.Repeat("clone(", 100) + "4" + strings.Repeat(")", 100),
	} {
		list, err := parseActions(s)
		if err == nil {
			var e effects
			err = e.execute(list, Packet{})
		}
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v, want ErrSyntax", s, err)
		}
	}
}

func TestPunts(t *testing.T) {
	text := "controller(userdata=00.00.00.19.00.00.00.00)\n controller(reason=action,userdata=00.00.00.03.00)\n controller(userdata=00.02.aa)\n controller(userdata=00.01)\n controller(userdata=77.00.00.00,pause)"
	if got, want := punts(text), []punt{{}, {kind: "nd_na"}, {kind: "nd_na"}, {}, {"punt 77.00.00.00", true}}; !reflect.DeepEqual(got, want) {
		t.Errorf("punts = %v, want %v", got, want)
	}
}

// The same seed makes the same microflows, and every kind of packet appears.
func TestGenerate(t *testing.T) {
	cfg, err := lab.Load("testdata/port-security.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a, b := Generate(cfg, 7, 1000), Generate(cfg, 7, 1000)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed makes different microflows")
	}
	if reflect.DeepEqual(a, Generate(cfg, 8, 1000)) {
		t.Error("two seeds make the same microflows")
	}
	for _, want := range []string{"arp-request-known", "arp-request-unknown", "nd-ns-known", "nd-na", "spoofed-mac", "spoofed-ip", "tagged",
		"ethernet-unknown", "ethernet-broadcast", "udp-known", "tcp6", "dhcp"} {
		found := false
		for i := range a {
			found = found || strings.Contains(a[i].Kind, want)
		}
		if !found {
			t.Errorf("no microflow of kind %q", want)
		}
	}
}

func TestVerdictEqual(t *testing.T) {
	for _, tc := range []struct {
		a, b Verdict
		want bool
	}{
		{nil, nil, true},
		{Verdict{{Punt: "put_nd_ra_opts"}, {Port: "a"}}, Verdict{{Punt: "put_nd_ra_opts"}}, true},
		{nil, Verdict{{Port: "a"}}, false},
		{Verdict{{Port: "a"}}, Verdict{{Port: "a"}, {Port: "a"}}, false},
		{Verdict{{Port: "a"}, {Port: "b"}}, Verdict{{Port: "b"}, {Port: "a"}}, true},
		{Verdict{{Port: "a", Rewrites: []string{"ip.ttl=63"}}}, Verdict{{Port: "a"}}, false},
		{Verdict{{Punt: "nd_na"}}, Verdict{{Punt: "nd_na", Inner: Verdict{{Port: "a", Rewrites: []string{"x=1"}}}}}, true},
		{Verdict{{Punt: "nd_na"}}, Verdict{{Port: "a"}}, false},
	} {
		if got := tc.a.Equal(tc.b); got != tc.want {
			t.Errorf("%v == %v: %v", tc.a, tc.b, got)
		}
	}
}

func TestAnswerAgrees(t *testing.T) {
	a, b, c := Verdict{{Port: "a"}}, Verdict{{Port: "b"}}, Verdict{{Port: "c"}}
	for _, tc := range []struct {
		x, y []Verdict
		want bool
	}{
		{[]Verdict{a}, []Verdict{a}, true},
		{[]Verdict{a}, []Verdict{b}, false},
		{[]Verdict{a}, []Verdict{b, a}, true},
		{[]Verdict{a, b}, []Verdict{b, a}, true},
		{[]Verdict{a, b}, []Verdict{b, c}, false},
		{[]Verdict{a, b}, []Verdict{a, b, c}, false},
	} {
		x, y := Answer{Verdicts: tc.x}, Answer{Verdicts: tc.y}
		if x.Agrees(y) != tc.want || y.Agrees(x) != tc.want {
			t.Errorf("%v and %v: %v", x, y, !tc.want)
		}
	}
}

// What happens to large packets counts where both engines tell it.
func TestAnswerAgreesOnLarge(t *testing.T) {
	a, b := []Verdict{{{Port: "a"}}}, []Verdict{{{Port: "b"}}}
	for _, tc := range []struct {
		x, y Answer
		want bool
	}{
		{Answer{Verdicts: a, Large: a}, Answer{Verdicts: a, Large: b}, false},
		{Answer{Verdicts: a, Large: b}, Answer{Verdicts: a, Large: b}, true},
		{Answer{Verdicts: a, Large: b}, Answer{Verdicts: a}, true},
	} {
		if tc.x.Agrees(tc.y) != tc.want || tc.y.Agrees(tc.x) != tc.want {
			t.Errorf("%v and %v: %v", tc.x, tc.y, !tc.want)
		}
	}
}

// No output of a tool makes the readers panic.
func FuzzReadTrace(f *testing.F) {
	f.Add("Datapath actions: drop\n")
	f.Add("controller(userdata=00.02)\nDatapath actions: 4," + push + ",clone(set(arp(op=2)),5)\n")
	f.Add("Datapath actions: set(ipv4(ttl=63)),{a},((((")
	f.Fuzz(func(t *testing.T, text string) {
		in := Packet{"eth.src": "a"}
		e, _, err := readTrace(text, in, len(text)%2 == 0)
		if err == nil && e == nil {
			t.Fatal("neither effects nor an error")
		}
		if !reflect.DeepEqual(in, Packet{"eth.src": "a"}) {
			t.Fatal("the packet at the ingress was changed")
		}
	})
}

func FuzzParseText(f *testing.F) {
	f.Add(text("nd_na {\n    eth.src = eth.dst;\n    /* output to \"b\", type \"\" */;\n};\n", "nd_na {\n    eth.src = 0a:00:00:00:00:09;\n    output(\"b\");\n};\n"))
	f.Add(text("eth.dst = eth.src;\n", "eth.dst = \noutput(\""))
	f.Add(text("ip.ttl--;", "ip.ttl--;"))
	f.Add("};\n};")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseText(text, Packet{"eth.src": "a"}); err != nil && v != nil {
			t.Fatal("a verdict and an error")
		}
	})
}

// Packets for routers are among those of a topology that has some.
func TestGenerateRouted(t *testing.T) {
	cfg, err := lab.Load("testdata/routing/routes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	flows := Generate(cfg, 7, 1000)
	for _, want := range []string{"arp-router", "arp-router-reply", "nd-ns-router", "nd-na-router", "router-solicitation", "routed4-known", "routed4-router",
		"routed4-router-elsewhere", "routed4-prefix", "routed4-outside", "routed4-special", "routed6-hairpin", "routed6-prefix", "ttl-0", "ttl-1", "ttl-255"} {
		if !slices.ContainsFunc(flows, func(m Microflow) bool { return strings.Contains(m.Kind, want) }) {
			t.Errorf("no microflow of kind %q", want)
		}
	}
	discard := netip.MustParsePrefix("172.16.1.128/25") // of a route
	if !slices.ContainsFunc(flows, func(m Microflow) bool {
		a, err := netip.ParseAddr(m.Packet["ip4.dst"])
		return err == nil && discard.Contains(a) && m.Packet["eth.dst"] == "0a:00:00:00:ff:01"
	}) {
		t.Error("no microflow goes to a network that a route names")
	}
}

func TestUnhex(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"eth.src", "0xa000000ff01", "0a:00:00:00:ff:01"},
		{"ip4.src", "0xa0000fe", "10.0.0.254"},
		{"nd.target", "0xfd000000000000010000000000000099", "fd00:0:0:1::99"},
		{"ip.ttl", "0x40", "64"},
		{"eth.src", "0A:00:00:00:00:01", "0a:00:00:00:00:01"},
	} {
		if got := unhex(tc.name, tc.value); got != tc.want {
			t.Errorf("unhex(%s, %s) = %q, want %q", tc.name, tc.value, got, tc.want)
		}
	}
}

// Random topologies are valid, and the same for one seed.
func TestRandom(t *testing.T) {
	for seed := range uint64(300) {
		cfg, text, err := Random(seed)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if _, again, _ := Random(seed); again != text {
			t.Fatalf("seed %d makes different topologies", seed)
		}
		if len(Generate(cfg, seed, 10)) != 10 {
			t.Fatalf("seed %d: no microflows", seed)
		}
	}
}
