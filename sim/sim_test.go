package sim

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
	"govn/sim/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const twoHypervisors = "../docs/examples/two-hypervisors.yaml"

func load(t testing.TB, text string) *lab.Config {
	t.Helper()
	cfg, err := lab.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func loadFile(t testing.TB, file string) *lab.Config {
	t.Helper()
	cfg, err := lab.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func up(t testing.TB, cfg *lab.Config, o Options) *Scenario {
	t.Helper()
	s, err := Start(within(t), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ping(t testing.TB, s *Scenario, from, to string) *PingResult {
	t.Helper()
	r, err := s.Station(from).Ping(within(t), netip.MustParseAddr(to))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wire is what is on the underlay since KeepUnderlay: VNI and ports of each
// packet.
func wire(t testing.TB, s *Scenario) []string {
	t.Helper()
	var list []string
	for _, c := range s.Underlay() {
		o, _, err := decapsulate(c.Data)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, o.Geneve.VNI.String()+" "+o.Ports.String())
	}
	return list
}

func run(t testing.TB, s *Scenario) {
	t.Helper()
	if err := s.Run(within(t)); err != nil {
		t.Fatal(err)
	}
}

func wantWire(t testing.TB, s *Scenario, want ...string) {
	t.Helper()
	if got := wire(t, s); !slices.Equal(got, want) {
		t.Errorf("on the underlay: %q, want %q", got, want)
	}
}

// A ping goes through the tunnel with the metadata that OVN defines, by the
// unchanged controller; captures of two runs are the same bytes.
func TestPing(t *testing.T) {
	cfg := loadFile(t, twoHypervisors)
	var captures [2][]byte
	for i := range captures {
		dir := t.TempDir()
		s := up(t, cfg, Options{})
		if err := s.CaptureFiles(dir, "lab"); err != nil {
			t.Fatal(err)
		}
		s.KeepUnderlay()
		if r := ping(t, s, "vm1", "10.0.0.12"); !r.Answered || r.TTL != 64 || r.RTT != 2*(wireDelay+2*portDelay) {
			t.Errorf("%+v", r)
		}
		wantWire(t, s, "vni 0x1 00010002", "vni 0x1 00020001")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"lab.pcap", "lab-vm1.pcap", "lab-vm2.pcap"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			captures[i] = append(captures[i], b...)
		}
	}
	if len(captures[0]) < 800 || !bytes.Equal(captures[0], captures[1]) {
		t.Errorf("captures of %d and %d bytes differ", len(captures[0]), len(captures[1]))
	}
}

// What happened in the tables is explained with stages and rows, and told.
func TestTell(t *testing.T) {
	s := up(t, loadFile(t, twoHypervisors), Options{Trace: true})
	r := ping(t, s, "vm1", "10.0.0.12")
	tell := func(list []*Node, st Style) string {
		var b bytes.Buffer
		if err := NewTeller(s, &b, st).Ways(within(t), list); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	text := tell(r.Journeys, Style{})
	for _, want := range []string{
		"ARP who has 10.0.0.12? tell 10.0.0.11",
		"ls_in_arp_rsp         arp.tpa == 10.0.0.12 && arp.op == 1             Logical_Switch_Port \"vm2\"",
		"ls_in_check_port_sec  1                                               Logical_Switch \"sw0\"",
		"eth.dst == 50:54:00:00:00:02", "24 tables let it pass",
		"vni 0x1 = \"sw0\"", "data 00010002 = from \"vm1\" (1) to \"vm2\" (2)", "data 00020001 = from \"vm2\" (2) to \"vm1\" (1)",
		"gets   ICMP echo reply 10.0.0.12 to 10.0.0.11, seq 1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b│║") {
		t.Error("a plain way has colours or box characters")
	}
	if all := tell(r.Journeys, Style{All: true}); strings.Contains(all, "let it pass") || !strings.Contains(all, "ls_in_stateful") {
		t.Errorf("not every table is told:\n%s", all)
	}
	narrow := stripInk(tell(r.Journeys, Style{Color: true, Unicode: true, Width: 100}))
	for line := range strings.Lines(narrow) {
		if strings.Contains(line, "↳") && len([]rune(strings.TrimRight(line, "\n"))) > 100 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
	// A packet that is dropped names the rule.
	if _, err := s.Zone.Nbctl(within(t), "lsp-set-port-security", "vm1", "50:54:00:00:00:01 192.168.0.1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	s.Station("vm1").Forget()
	r = ping(t, s, "vm1", "10.0.0.12")
	if r.Answered || r.Why != "nobody answers for 10.0.0.12" {
		t.Errorf("%+v", r)
	}
	text = tell(r.Journeys, Style{})
	for _, want := range []string{"REFUSES  Logical_Switch_Port \"vm1\"", "reg0[15] == 1", "x dropped", "sent 2 more times"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

const mixed = `
name: mixed
chassis: [{name: hv1}, {name: hv2}, {name: hv3}]
workloads:
  - {name: a, chassis: hv1, mac: "0a:00:00:00:00:01", ip: [10.0.0.1/24, "fd00::1/64"]}
  - {name: b, chassis: hv2, mac: "0a:00:00:00:00:02", ip: [10.0.0.2/24, "fd00::2/64"]}
  - {name: c, chassis: hv3, mac: "0a:00:00:00:00:03", ip: [10.0.0.3/24]}
topology:
  switches:
    - name: sw0
      ports:
        - {name: a, addresses: ["0a:00:00:00:00:01 10.0.0.1 fd00::1"]}
        - {name: b, addresses: ["0a:00:00:00:00:02 10.0.0.2 fd00::2"]}
        - {name: c, unknown: true}
  nbctl:
    - set Logical_Switch sw0 external_ids:owner="the test"
`

// Neighbour solicitations are answered by the controller of the sender's
// chassis: packet-in, packet-out.
func TestIPv6(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	s.KeepUnderlay()
	if r := ping(t, s, "a", "fd00::2"); !r.Answered {
		t.Fatalf("%+v", r)
	}
	wantWire(t, s, "vni 0x1 00010002", "vni 0x1 00020001") // the solicitation stays on hv1
}

// A MAC address that nobody has told is flooded to, answers, and is learned
// then.
func TestLearning(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	s.KeepUnderlay()
	if r := ping(t, s, "a", "10.0.0.3"); !r.Answered {
		t.Fatalf("%+v", r)
	}
	if got := wire(t, s); len(got) < 4 || got[0] != "vni 0x1 00018000" { // the ARP request goes to all
		t.Errorf("on the underlay: %q", got)
	}
	if err := s.Zone.Until(within(t), "the MAC is learned", func() bool { return s.Zone.Store.Snapshot().Len(s.Zone.Columns.FDB.Table) == 1 }); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Quiet(within(t)); err != nil {
		t.Fatal(err)
	}
	s.KeepUnderlay()
	if r := ping(t, s, "a", "10.0.0.3"); !r.Answered {
		t.Fatalf("%+v", r)
	}
	wantWire(t, s, "vni 0x1 00010003", "vni 0x1 00030001")
}

func TestMove(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	if r := ping(t, s, "a", "10.0.0.2"); !r.Answered {
		t.Fatalf("%+v", r)
	}
	if err := s.Station("b").Move(within(t), "hv1"); err != nil {
		t.Fatal(err)
	}
	hv1 := s.ChassisNamed("hv1")
	if err := hv1.AwaitInterfaceID(within(t), "v-b", "ovn-installed"); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Quiet(within(t)); err != nil {
		t.Fatal(err)
	}
	s.KeepUnderlay()
	if r := ping(t, s, "a", "10.0.0.2"); !r.Answered {
		t.Fatalf("%+v", r)
	}
	wantWire(t, s)
	if err := s.Station("b").Unplug(within(t)); err != nil {
		t.Fatal(err)
	}
	if d := s.Station("b").Send(make([]byte, 60)); d.End == "" {
		t.Error("a workload without a chassis sends")
	}
}

// Without a controller the switch goes on; one that starts again changes
// nothing.
func TestControllerRestart(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	hv1 := s.ChassisNamed("hv1")
	before := hv1.Flows()
	if err := hv1.StopController(); err != nil {
		t.Fatal(err)
	}
	if r := ping(t, s, "a", "10.0.0.2"); !r.Answered {
		t.Fatalf("without a controller: %+v", r)
	}
	if err := hv1.StartController(); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Connected(within(t), "hv1", "hv2", "hv3"); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Quiet(within(t)); err != nil {
		t.Fatal(err)
	}
	if after := hv1.Flows(); !slices.Equal(before, after) || len(before) < 50 {
		t.Errorf("flows changed:\n%s\nnow\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if out, err := hv1.Control(within(t), "connection-status"); err != nil || out != "connected\n" {
		t.Errorf("connection-status: %q, %v", out, err)
	}
	if _, err := hv1.Control(within(t), "no-such-command"); err == nil {
		t.Error("an unknown command is answered")
	}
	// A chassis that is gone takes its port with it.
	if err := s.RemoveChassis("hv2"); err != nil {
		t.Fatal(err)
	}
	if r := ping(t, s, "a", "10.0.0.2"); r.Answered {
		t.Error("a chassis that is gone answers")
	}
	if err := s.RemoveChassis("hv2"); err == nil {
		t.Error("a chassis is removed twice")
	}
}

func TestFaults(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	for _, tt := range []struct {
		name  string
		fault Fault
		want  bool
	}{
		{"none", nil, true},
		{"its link", LinkDown("hv2", "hv1"), false},
		{"another link", LinkDown("hv1", "hv3"), true},
		{"any link of hv1", LinkDown("hv1", ""), false},
		{"every second frame", LoseEvery(2), false},
		{"every third frame", LoseEvery(3), true},
		{"a bad checksum", func(f *Frame) bool { f.Data = bytes.Clone(f.Data); f.Data[len(f.Data)-1] ^= 1; return false }, false},
	} {
		s.SetFault(tt.fault)
		if r := ping(t, s, "a", "10.0.0.2"); r.Answered != tt.want {
			t.Errorf("%s: answered=%v (%s)", tt.name, r.Answered, r.Why)
		}
	}
}

func TestMTU(t *testing.T) {
	cfg := load(t, strings.Replace(mixed, "chassis: [", "underlay: {mtu: 1558}\nchassis: [", 1))
	s := up(t, cfg, Options{})
	a := s.Station("a")
	for size, want := range map[int]bool{1472: true, 1473: false} { // 1500 with headers
		r, err := a.PingSize(within(t), netip.MustParseAddr("10.0.0.2"), size)
		if err != nil || r.Answered != want {
			t.Errorf("%d bytes: %+v, %v", size, r, err)
		}
	}
	s.mu.Lock()
	s.underlayMTU--
	s.mu.Unlock()
	if r, err := a.PingSize(within(t), netip.MustParseAddr("10.0.0.2"), 1472); err != nil || r.Answered {
		t.Errorf("58 bytes of Geneve fit into 57: %+v, %v", r, err)
	}
}

// Frames that somebody puts on the underlay: only what a tunnel port is for
// gets in.
func TestInject(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	s.KeepUnderlay()
	if r := ping(t, s, "a", "10.0.0.2"); !r.Answered {
		t.Fatal("no answer")
	}
	good := s.Underlay()[0].Data
	hv2 := s.ChassisNamed("hv2")
	const (
		udp     = ethernetLen + ipv4Len
		header  = udp + udpLen
		options = header + 8
	)
	change := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		b[udp+6], b[udp+7] = 0, 0 // no UDP checksum
		return b
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  string // end of the way on the wire; "" gets in
	}{
		{"as it was", good, ""},
		{"the O bit", change(header+1, 0xc0), ""},
		{"no C bit", change(header+1, 0), ""},
		{"another UDP port", change(udp+2, 0x17, 0xc2), "no tunnel port for UDP port 6082"},
		{"another sender", change(ethernetLen+10, 0, 0), "bad IP checksum"},
		{"version 1", change(header, good[header]|0x40), "version"},
		{"no Ethernet inside", change(header+2, 8, 0), "protocol 0x0800"},
		{"options longer than the packet", change(header, 0x3f), "geneve"},
		{"an option longer than the options", change(options+3, 0x1f), "geneve"},
		{"cut short", good[:20], "not a Geneve packet"},
	} {
		d := s.Inject(hv2, tt.frame)
		run(t, s)
		if got := d.Delivered(); tt.want == "" && !slices.Equal(got, []string{"b"}) || tt.want != "" && (len(got) != 0 || !strings.Contains(d.End, tt.want)) {
			t.Errorf("%s: delivered to %q, end %q, want %q", tt.name, got, d.End, tt.want)
		}
	}
	// An unknown critical option is for nobody; an unknown other one is skipped.
	unknown := func(typ byte) []byte {
		b := slices.Insert(bytes.Clone(good), options, 0x01, 0x03, typ, 0x01, 0xde, 0xad, 0xbe, 0xef)
		b[header] += 2
		for _, at := range []int{ethernetLen + 2, udp + 4} {
			n := int(b[at])<<8 | int(b[at+1]) + 8
			b[at], b[at+1] = byte(n>>8), byte(n)
		}
		b[udp+6], b[udp+7] = 0, 0
		ip := b[ethernetLen:udp]
		ip[10], ip[11] = 0, 0
		sum := ^fold(sum16(0, ip))
		ip[10], ip[11] = byte(sum>>8), byte(sum)
		return b
	}
	for typ, want := range map[byte]int{0x05: 1, 0x85: 0} {
		d := s.Inject(hv2, unknown(typ))
		run(t, s)
		if got := d.Delivered(); len(got) != want {
			t.Errorf("option of type %#x: delivered to %q, end %q, want %d", typ, got, d.End, want)
		}
	}
}

// The database says of each interface what ovs-vswitchd would say.
func TestInterfaces(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	c, ctx := s.ChassisNamed("hv1"), within(t)
	for _, tt := range []struct {
		name    string
		columns map[string]ovsdb.Value
		ofport  int64
		err     string
	}{
		{"p1", map[string]ovsdb.Value{"type": "dummy", "ofport_request": ovsdb.NewSet(int64(77))}, 77, ""},
		{"p2", map[string]ovsdb.Value{"type": "internal"}, 0, ""},
		{"p3", nil, -1, "could not open network device p3 (No such device)"},
		{"p4", map[string]ovsdb.Value{"type": "teapot"}, -1, "Address family not supported by protocol"},
		{"p5", map[string]ovsdb.Value{"type": "geneve"}, -1, "geneve type requires valid 'remote_ip' argument"},
		{"p6", map[string]ovsdb.Value{"type": "geneve", "options": ovsdb.MapOf("remote_ip", "203.0.113.2", "key", "flow")}, -1, "File exists"},
		{"p7", map[string]ovsdb.Value{"type": "geneve", "options": ovsdb.MapOf("remote_ip", "203.0.113.2", "key", "flow", "dst_port", "6082")}, 0, ""},
		{"p8", map[string]ovsdb.Value{"type": "geneve", "options": ovsdb.MapOf("remote_ip", "203.0.113.2", "key", "x")}, -1, "bad geneve 'key'"},
		{"p9", map[string]ovsdb.Value{"type": "patch"}, -1, "patch type requires valid 'peer' argument"},
	} {
		if err := c.AddPort(ctx, "br-int", tt.name, tt.columns); err != nil {
			t.Fatal(err)
		}
		ofport, reason := awaitOFPort(t, c, tt.name)
		if tt.err != "" && (ofport != -1 || !strings.Contains(reason, tt.err)) || tt.err == "" && (ofport <= 0 || tt.ofport != 0 && ofport != tt.ofport) {
			t.Errorf("%s: ofport %d, error %q; want %d, %q", tt.name, ofport, reason, tt.ofport, tt.err)
		}
	}
	if err := c.DelPort(ctx, "p1"); err != nil {
		t.Fatal(err)
	}
	if err := c.DelPort(ctx, "p1"); err == nil {
		t.Error("a port is removed twice")
	}
	if err := c.AddPort(ctx, "br-none", "p10", nil); err == nil {
		t.Error("a port is added to a bridge that is not there")
	}
	root := c.db.store.Snapshot().Row(c.db.root, c.db.rootID)
	if next, cur := root.Int(c.db.root.Column("next_cfg")), root.Int(c.db.root.Column("cur_cfg")); next < 10 || cur < next-2 {
		t.Errorf("next_cfg %d, cur_cfg %d", next, cur)
	}
}

func awaitOFPort(t testing.TB, c *Chassis, name string) (int64, string) {
	t.Helper()
	sub := c.db.store.Subscribe()
	defer sub.Close()
	for {
		row := c.db.store.Snapshot().Lookup(c.db.iface, 0, name)
		if n, ok := row.Opt(c.db.iface.Column("ofport")); ok {
			reason, _ := row.Opt(c.db.iface.Column("error"))
			text, _ := reason.(string)
			return n.(int64), text
		}
		if _, err := sub.Next(within(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadScenarios(t *testing.T) {
	n, err := New(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	mac, _ := net.ParseMAC("0a:00:00:00:00:01")
	if _, err := n.AddStation(within(t), StationOptions{Name: "a", Chassis: "nowhere", MAC: mac}); err == nil {
		t.Error("a workload is on a chassis that is not there")
	}
	if _, err := n.AddStation(within(t), StationOptions{Name: "a", Chassis: "nowhere"}); err == nil {
		t.Error("a workload has no MAC")
	}
	cfg := load(t, strings.Replace(mixed, "set Logical_Switch sw0", "set Logical_Switch sw9", 1))
	if s, err := Start(within(t), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "topology.nbctl[0]") {
		t.Errorf("%v", err)
		if s != nil {
			s.Close()
		}
	}
}

func TestNames(t *testing.T) {
	s := up(t, load(t, mixed), Options{})
	for key, want := range map[uint32]string{1: "a", 2: "b", 9: "9", abi.GroupFlood: "_MC_flood"} {
		if got := s.Zone.PortName(1, key); got != want {
			t.Errorf("port %d is %q, want %q", key, got, want)
		}
	}
	if got := s.Zone.DatapathName(1) + s.Zone.DatapathName(2); got != "sw02" {
		t.Errorf("datapaths: %q", got)
	}
}

func FuzzDecapsulate(f *testing.F) {
	good, err := hex.DecodeString("02000000000202000000000108004500004e00004000401194d5cb007101cb00710294d717c1003a0000" +
		"0240655800000100010280010001000250540000000250540000000108060001080006040001505400000001" + "0a00000b0000000000000a00000c")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		o, inner, err := decapsulate(b)
		if err == nil && (len(inner) > len(b) || !o.Src.IsValid() || !o.Dst.IsValid()) {
			t.Errorf("%+v, %d of %d bytes", o, len(inner), len(b))
		}
		Summary(b)
	})
}
