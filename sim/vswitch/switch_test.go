package vswitch

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"govn/pkg/openflow"
)

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// local is a bridge that a test programs by ovs-ofctl's syntax.
func local(t testing.TB, c *clock, flows ...string) (*Bridge, string) {
	t.Helper()
	b := NewBridge(Options{Name: "br-int", Now: c.Now})
	for i := uint32(1); i <= pairPorts; i++ {
		b.SetPort(Port{Number: i, Name: fmt.Sprintf("p%d", i)})
	}
	target := listen(t, b)
	for _, f := range flows {
		if out := ofctl(t, target, "add-flow", f); out != "" {
			t.Fatalf("%s: %s", f, out)
		}
	}
	return b, target
}

func ports(out []Output) string {
	var s []string
	for _, o := range out {
		s = append(s, fmt.Sprint(o.Port))
	}
	return strings.Join(s, " ")
}

// Flows end by their timeouts, idle ones when no packet comes; connections and
// learned addresses end too.
func TestExpire(t *testing.T) {
	c := newClock()
	b, _ := local(t, c, "table=0,hard_timeout=10,in_port=1,actions=2", "table=0,idle_timeout=5,in_port=2,actions=3",
		"table=0,in_port=3,tcp,actions=learn(table=1,idle_timeout=100,fin_idle_timeout=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]),ct(commit),resubmit(,1)", "table=1,priority=0,actions=normal")
	frame := segment("10.0.0.1", 1, "10.0.0.2", 2, flagSYN, 1, 0)
	b.Process(Packet{InPort: 3, Data: frame}, nil)
	step := func(d time.Duration, want int) {
		t.Helper()
		c.add(d)
		b.Expire()
		if n := b.FlowCount(); n != want {
			t.Errorf("%d flows, want %d:\n%s", n, want, b.DumpFlows())
		}
	}
	step(4*time.Second, 5)
	b.Process(Packet{InPort: 2, Data: frame}, nil)
	step(4*time.Second, 5) // the packet came 4 s ago
	step(time.Second, 4)
	step(time.Second, 3)
	// The FIN shortens what was learned. Its destination is what the first
	// packet's source was.
	back := segment("10.0.0.2", 2, "10.0.0.1", 1, flagFIN|flagACK, 1, 0)
	copy(back, frame[6:12])
	copy(back[6:], frame[:6])
	b.Process(Packet{InPort: 3, Data: back}, nil)
	step(2*time.Second, 3) // the flow that the FIN made itself is new
	if n := b.ct.Len(); n == 0 {
		t.Error("no connection")
	}
	c.add(48 * time.Hour)
	b.Expire()
	if b.ct.Len() != 0 || len(b.stations) != 0 {
		t.Errorf("%d connections, %d stations are left", b.ct.Len(), len(b.stations))
	}
}

// A meter lets its rate pass, and a burst before.
func TestMeter(t *testing.T) {
	c := newClock()
	b, target := local(t, c)
	if out := ofctl(t, target, "add-meter", "meter=1,pktps,burst,band=type=drop,rate=10,burst_size=20"); out != "" {
		t.Fatal(out)
	}
	if out := ofctl(t, target, "add-flow", "actions=meter:1,output:2"); out != "" {
		t.Fatal(out)
	}
	send := func(n int) (passed int) {
		for range n {
			passed += len(b.Process(Packet{InPort: 1, Data: udp("10.0.0.1", 1, "10.0.0.2", 2)}, nil))
		}
		return passed
	}
	if n := send(50); n != 20 {
		t.Errorf("%d of 50 packets passed at once, want the burst of 20", n)
	}
	c.add(500 * time.Millisecond)
	if n := send(50); n != 5 {
		t.Errorf("%d packets passed after half a second, want 5", n)
	}
	c.add(time.Hour)
	if n := send(50); n != 20 {
		t.Errorf("%d packets passed after an hour, want 20", n)
	}
}

// A select group sends a flow always the same way, many flows by weight, and
// none to a dead bucket.
func TestSelectGroup(t *testing.T) {
	b, target := local(t, newClock())
	for _, g := range []string{"group_id=1,type=select,bucket=weight:1,watch_port:2,actions=output:2,bucket=weight:3,watch_port:3,actions=output:3",
		"group_id=2,type=select,selection_method=hash,fields(ip_src),bucket=weight:1,actions=output:2,bucket=weight:1,actions=output:3"} {
		if out := ofctl(t, target, "add-group", g); out != "" {
			t.Fatal(out)
		}
	}
	for _, f := range []string{"in_port=1,actions=group:1", "in_port=4,actions=group:2"} {
		if out := ofctl(t, target, "add-flow", f); out != "" {
			t.Fatal(out)
		}
	}
	count := func() map[string]int {
		n := map[string]int{}
		for i := range 1000 {
			frame := udp("10.0.0.1", uint16(i), "10.0.0.2", 80)
			first := ports(b.Process(Packet{InPort: 1, Data: frame}, nil))
			if again := ports(b.Process(Packet{InPort: 1, Data: frame}, nil)); again != first {
				t.Fatalf("port %s, then %s", first, again)
			}
			n[first]++
		}
		return n
	}
	if n := count(); n["2"] < 150 || n["2"] > 350 || n["2"]+n["3"] != 1000 {
		t.Errorf("ports %v, want 1 to 3", n)
	}
	counted := regexp.MustCompile(`group_id=1,duration=[0-9.]+s,ref_count=1,packet_count=2000,byte_count=\d+,bucket0:packet_count=\d+,`)
	if out := ofctl(t, target, "dump-group-stats"); !counted.MatchString(out) {
		t.Errorf("2000 packets were sent; the counters are\n%s", out)
	}
	b.SetPort(Port{Number: 3, Name: "p3", Down: true})
	if n := count(); n["2"] != 1000 {
		t.Errorf("ports %v with port 3 down", n)
	}
	b.SetPort(Port{Number: 2, Name: "p2", Down: true})
	if n := count(); n[""] != 1000 {
		t.Errorf("ports %v with both down", n)
	}
	b.SetPort(Port{Number: 2, Name: "p2"})
	b.SetPort(Port{Number: 3, Name: "p3"})
	// By source only: ports do not matter, sources do.
	seen := map[string]bool{}
	for i := range 40 {
		var at string
		for port := range 5 {
			out := ports(b.Process(Packet{InPort: 4, Data: udp(fmt.Sprintf("10.0.0.%d", i+1), uint16(port), "10.0.0.200", 80)}, nil))
			if at != "" && at != out {
				t.Fatalf("source %d went to %s and %s", i, at, out)
			}
			at = out
		}
		seen[at] = true
	}
	if len(seen) != 2 {
		t.Errorf("all sources went to %v", seen)
	}
}

// Packets pass through patch ports in both directions; registers and metadata do
// not, the mark does. The trace shows both bridges.
func TestPatch(t *testing.T) {
	c := newClock()
	in, _ := local(t, c, "table=0,in_port=1,actions=set_field:7->pkt_mark,set_field:5->reg0,set_field:5->metadata,output:9,output:2", "table=0,in_port=9,actions=output:3")
	ex := NewBridge(Options{Name: "br-ex", Now: c.Now})
	ex.SetPort(Port{Number: 1, Name: "eth0"})
	ex.SetPort(Port{Number: 2, Name: "patch-int", Type: PortPatch, Peer: in, PeerNumber: 9})
	in.SetPort(Port{Number: 9, Name: "patch-ex", Type: PortPatch, Peer: ex, PeerNumber: 2})
	target := listen(t, ex)
	for _, f := range []string{"reg0=0,metadata=0,pkt_mark=7,actions=normal", "priority=1,in_port=1,actions=normal"} {
		if out := ofctl(t, target, "add-flow", f); out != "" {
			t.Fatal(out)
		}
	}
	frame := udp("10.0.0.1", 1, "10.0.0.2", 2)
	var tr Trace
	out := in.Process(Packet{InPort: 1, Data: frame}, &tr)
	if ports(out) != "1 2" || out[0].Bridge != ex || out[1].Bridge != in {
		t.Errorf("outputs %+v", out)
	}
	const want = `bridge("br-int")
----------------
 0. in_port=1, priority 32768
    set_field:0x7->pkt_mark
    set_field:0x5->reg0
    set_field:0x5->metadata
    output:9

    bridge("br-ex")
     0. pkt_mark=0x7,reg0=0,metadata=0, priority 32768
        NORMAL
         -> unknown destination, flooded
    output:2
`
	if got := tr.String(); got != want {
		t.Errorf("trace\n%s\nwant\n%s", got, want)
	}
	back := append(append(append([]byte{}, frame[6:12]...), frame[:6]...), frame[12:]...)
	if out := ex.Process(Packet{InPort: 1, Data: back}, nil); ports(out) != "3" || out[0].Bridge != in {
		t.Errorf("outputs %+v", out)
	}
}

// Patch ports that lead around in a circle end.
func TestPatchLoop(t *testing.T) {
	c := newClock()
	a, _ := local(t, c, "actions=output:9,in_port")
	b := NewBridge(Options{Name: "b", Now: c.Now})
	target := listen(t, b)
	a.SetPort(Port{Number: 9, Name: "to-b", Type: PortPatch, Peer: b, PeerNumber: 1})
	b.SetPort(Port{Number: 1, Name: "to-a", Type: PortPatch, Peer: a, PeerNumber: 8})
	a.SetPort(Port{Number: 8, Name: "from-b", Type: PortPatch, Peer: b, PeerNumber: 1})
	if out := ofctl(t, target, "add-flow", "actions=in_port"); out != "" {
		t.Fatal(out)
	}
	a.Process(Packet{InPort: 1, Data: udp("10.0.0.1", 1, "10.0.0.2", 2)}, nil)
}

// Lookups that never end drop the packet, as does too much of them.
func TestResubmitLimits(t *testing.T) {
	b, _ := local(t, newClock(), "table=0,actions=output:2,resubmit(,0)", "table=1,actions=resubmit(,2),resubmit(,2),resubmit(,2),resubmit(,2)")
	var tr Trace
	if out := b.Process(Packet{InPort: 1, Data: udp("10.0.0.1", 1, "10.0.0.2", 2)}, &tr); len(out) != 0 || !strings.Contains(tr.String(), "everything is dropped") {
		t.Errorf("%d outputs", len(out))
	}
}

// The tunnel port of a packet is that of its endpoints.
func TestFindTunnel(t *testing.T) {
	b := NewBridge(Options{Name: "br-int"})
	ip := netip.MustParseAddr
	b.SetPort(Port{Number: 1, Name: "a", Type: PortGeneve, RemoteIP: ip("192.0.2.1"), FlowKey: true})
	b.SetPort(Port{Number: 2, Name: "b", Type: PortGeneve, RemoteIP: ip("192.0.2.2"), FlowKey: true})
	b.SetPort(Port{Number: 3, Name: "c", Type: PortGeneve, RemoteIP: ip("192.0.2.2"), LocalIP: ip("192.0.2.9"), FlowKey: true})
	for _, tt := range []struct {
		local, remote string
		want          uint32
	}{{"192.0.2.9", "192.0.2.1", 1}, {"192.0.2.8", "192.0.2.2", 2}, {"192.0.2.9", "192.0.2.2", 3}, {"192.0.2.9", "192.0.2.7", 0}} {
		if n, ok := b.FindTunnel(ip(tt.local), ip(tt.remote)); n != tt.want || ok != (tt.want != 0) {
			t.Errorf("from %s to %s: port %d, %v", tt.remote, tt.local, n, ok)
		}
	}
	if b.SetPort(Port{Number: 0xff05, Name: "bad"}); len(b.Ports()) != 3 {
		t.Errorf("ports %v", b.Ports())
	}
}

// A packet sees the flows before or after a bundle: with every bundle the two
// tables agree on a number, and no packet may see them disagree.
func TestBundlesAreAtomic(t *testing.T) {
	b, target := local(t, newClock(), "table=0,actions=set_field:0->reg0,resubmit(,1)", "table=1,reg0=0,actions=output:2")
	conn, _ := dial(t, target, 0)
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 2 {
		senders.Add(1)
		go func() {
			defer senders.Done()
			frame := udp("10.0.0.1", 1, "10.0.0.2", 2)
			for {
				select {
				case <-stop:
					return
				default:
					if out := b.Process(Packet{InPort: 1, Data: frame}, nil); len(out) != 1 {
						t.Errorf("%d copies", len(out))
						return
					}
				}
			}
		}()
	}
	for i := uint64(1); i <= 200; i++ {
		var m, last openflow.Match
		m.Set(openflow.FieldReg(0), i)
		last.Set(openflow.FieldReg(0), i-1)
		err := conn.Bundle(t.Context(), []openflow.Message{
			openflow.DeleteFlow(openflow.Flow{Table: 1, Priority: openflow.DefaultPriority, Match: last.Encode()}),
			flowMod(0, openflow.DefaultPriority, nil, openflow.SetUint(openflow.FieldReg(0), i), openflow.ToTable(1)),
			flowMod(1, openflow.DefaultPriority, m.Encode(), output(2)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	senders.Wait()
}

// benchBridge has n flows of an L2 network: a few masks, many addresses.
func benchBridge(tb testing.TB, n int) *Bridge {
	b := NewBridge(Options{Name: "br-int"})
	b.SetPort(Port{Number: 1, Name: "p1"})
	b.SetPort(Port{Number: 2, Name: "p2"})
	var j journal
	add := func(table uint8, priority uint16, m openflow.Match, actions ...openflow.Action) {
		raw := encode(tb, 1, flowMod(table, priority, m.Encode(), actions...))
		mod, c, err := b.checkFlowMod(raw)
		if err == nil {
			err = b.flowMod(mod, c, &j)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	var in openflow.Match
	in.Set(openflow.FieldInPort, 1)
	add(0, 100, in, openflow.SetUint(openflow.FieldMetadata, 1), openflow.SetUint(openflow.FieldReg(14), 1), openflow.ToTable(8))
	for i := range n {
		var m openflow.Match
		m.Set(openflow.FieldMetadata, uint64(1+i%7))
		switch i % 4 {
		case 0:
			m.SetMasked(openflow.FieldEthDst, 1<<40, 1<<40)
			m.Set(openflow.FieldReg(14), uint64(i))
		case 1:
			m.Set(openflow.FieldEthType, 0x800)
			m.Set(openflow.FieldIPv4Dst, uint64(i))
		default:
			m.Set(openflow.FieldEthDst, uint64(i))
		}
		add(8, uint16(50+i%3), m, openflow.SetUint(openflow.FieldReg(15), uint64(i)), openflow.ToTable(65))
	}
	var dst openflow.Match
	dst.Set(openflow.FieldMetadata, 1)
	add(8, 1, dst, openflow.SetUint(openflow.FieldReg(15), 2), openflow.ToTable(65))
	add(65, 1, openflow.Match{}, output(2))
	j.commit()
	return b
}

func BenchmarkProcess(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(fmt.Sprint(n, " flows"), func(b *testing.B) {
			br := benchBridge(b, n)
			p := Packet{InPort: 1, Data: udp("10.0.0.1", 1, "10.0.0.2", 2)}
			b.ReportAllocs()
			for b.Loop() {
				if len(br.Process(p, nil)) != 1 {
					b.Fatal("no output")
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}

func BenchmarkFlowMods(b *testing.B) {
	target := listen(b, NewBridge(Options{Name: "br-int"}))
	conn, err := openflow.Dial(b.Context(), target, openflow.ConnOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const size = 1000
	n := uint64(0)
	for b.Loop() {
		var messages []openflow.Message
		for range size {
			var m openflow.Match
			m.Set(openflow.FieldMetadata, n%100000)
			m.Set(openflow.FieldReg(14), n%7)
			messages = append(messages, flowMod(8, 5, m.Encode(), openflow.SetUint(openflow.FieldReg(15), n), openflow.ToTable(9)))
			n++
		}
		if err := conn.Bundle(b.Context(), messages); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "flowmods/s")
}
