package oracle

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"govn/sim/lab"
)

func TestParseMinimal(t *testing.T) {
	in := Packet{"eth.src": "0a:00:00:00:00:01", "eth.dst": "ff:ff:ff:ff:ff:ff", "arp.op": "1"}
	for _, tc := range []struct {
		name, text string
		want       Verdict
	}{
		{"drop", "# reg14=0x3\n", nil},
		{"flood", "# x\noutput(\"b\");\noutput(\"a\");\n", Verdict{{Port: "a"}, {Port: "b"}}},
		{"arp reply", "# x\neth.dst = 0A:00:00:00:00:01;\neth.src = 0a:00:00:00:00:01;\narp.op = 2;\noutput(\"a\");\n",
			Verdict{{Port: "a", Rewrites: []string{"arp.op=2", "eth.dst=0a:00:00:00:00:01"}}}},
		{"registers do not count", "# x\nreg0 = 7;\noutput(\"a\");\n", Verdict{{Port: "a"}}},
		{"block", "# x\nnd_na {\n    eth.src = 0a:00:00:00:00:09;\n    output(\"b\");\n};\n",
			Verdict{{Port: "b", Punt: "nd_na", Rewrites: []string{"eth.src=0a:00:00:00:00:09"}}}},
	} {
		got, err := parseMinimal(tc.text, in)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
	for _, text := range []string{"gibberish", "nd_na {\n", "};\n", "output(a);"} {
		if v, err := parseMinimal(text, in); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, %v, want ErrSyntax", text, v, err)
		}
	}
}

const push = "tnl_push(tnl_port(6081),header(size=58,type=5,eth(dst=0a:58:cb:00:71:01,src=ca:cd:44:eb:b1:4e,dl_type=0x0800)," +
	"ipv4(src=203.0.113.2,dst=203.0.113.1,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=6081,csum=0xffff)," +
	"geneve(crit,vni=0x1,options({class=0x102,type=0x80,len=4,0x48000}))),out_port(2))"

// A rewrite counts for the outputs after it, and not outside of its clone.
func TestExecute(t *testing.T) {
	list, err := parseActions("userspace(pid=0,controller(reason=1,max_len=65535)),4,clone(set(eth(src=0a:00:00:00:00:09)),5)," +
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
	text := "controller(userdata=00.00.00.19.00.00.00.00)\n controller(reason=action,userdata=00.00.00.03.00)\n controller(userdata=00.02.aa)\n controller(userdata=00.01)\n controller(userdata=77.00.00.00)"
	if got, want := punts(text), []string{"nd_na", "nd_na", "punt 77.00.00.00"}; !reflect.DeepEqual(got, want) {
		t.Errorf("punts = %q, want %q", got, want)
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
		{nil, Verdict{{Port: "a"}}, false},
		{Verdict{{Port: "a"}}, Verdict{{Port: "a"}, {Port: "a"}}, false},
		{Verdict{{Port: "a"}, {Port: "b"}}, Verdict{{Port: "b"}, {Port: "a"}}, true},
		{Verdict{{Port: "a", Rewrites: []string{"ip.ttl=63"}}}, Verdict{{Port: "a"}}, false},
		{Verdict{{Punt: "nd_na"}}, Verdict{{Punt: "nd_na", Port: "a", Rewrites: []string{"x=1"}}}, true},
		{Verdict{{Punt: "nd_na"}}, Verdict{{Port: "a"}}, false},
	} {
		if got := tc.a.Equal(tc.b); got != tc.want {
			t.Errorf("%v == %v: %v", tc.a, tc.b, got)
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
		e, _, err := readTrace(text, in)
		if err == nil && e == nil {
			t.Fatal("neither effects nor an error")
		}
		if !reflect.DeepEqual(in, Packet{"eth.src": "a"}) {
			t.Fatal("the packet at the ingress was changed")
		}
	})
}

func FuzzParseMinimal(f *testing.F) {
	f.Add("# x\nnd_na {\n    eth.src = 0a:00:00:00:00:09;\n    output(\"b\");\n};\n")
	f.Add("eth.dst = eth.src;\noutput(\"")
	f.Add("};\n};")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseMinimal(text, Packet{"eth.src": "a"}); err != nil && v != nil {
			t.Fatal("a verdict and an error")
		}
	})
}
