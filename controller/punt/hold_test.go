package punt

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// bench is a hold with its clock, what it knows and what it sent.
type bench struct {
	hold  *Hold
	now   time.Time
	known map[NextHop]uint64
	sent  []string // actions, in order
	raw   [][]byte
}

func newBench() *bench {
	b := &bench{now: time.Unix(1000, 0), known: map[NextHop]uint64{}}
	b.hold = NewHold(func() time.Time { return b.now })
	b.hold.Known = func(n NextHop) uint64 { return b.known[n] }
	b.hold.Send = func(frame []byte, actions []openflow.Action) {
		b.sent = append(b.sent, openflow.FormatActions(actions))
		b.raw = append(b.raw, frame)
	}
	return b
}

// take returns what was sent since the last time.
func (b *bench) take() []string {
	out := b.sent
	b.sent, b.raw = nil, nil
	return out
}

var requestActions = []openflow.Action{
	openflow.Move{Src: openflow.Whole(openflow.FieldReg(0)), Dst: openflow.Whole(openflow.FieldByName("arp_tpa"))}, openflow.ToTable(37),
}

// toHop is a packet in table lr_in_arp_request, to an IPv4 next hop.
func toHop(t testing.TB, hop string, id int) *Packet {
	t.Helper()
	ip := netip.MustParseAddr(hop).As4()
	p := &Packet{Datapath: 3, Inport: 1, Outport: 2, Data: udp4(t, "10.0.0.9", "20.0.0.9", id),
		Userdata: append(make([]byte, headLeft), openflow.EncodeActions(requestActions)...)}
	p.Regs[0] = uint32(ip[0])<<24 | uint32(ip[1])<<16 | uint32(ip[2])<<8 | uint32(ip[3])
	p.Regs[1], p.Regs[abi.RegFlags] = 0x14000001, 1
	return p
}

// udp4 is an IPv4 packet with an identification.
func udp4(t testing.TB, src, dst string, id int) []byte {
	t.Helper()
	b := serialize(Ethernet(0x000000000002), Ethernet(0), nil, layers.EthernetTypeIPv4,
		&layers.IPv4{Version: 4, TTL: 63, Id: uint16(id), Protocol: layers.IPProtocolUDP,
			SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice()},
		gopacket.Payload("0123456789"))
	if b == nil {
		t.Fatal("no packet")
	}
	return b
}

// TestHold: the first packets wait for the answer and go in order; there is one
// request a second; what comes later is sent at once.
func TestHold(t *testing.T) {
	b := newBench()
	arp := &ARP{Hold: b.hold}
	for id := range 3 {
		if !arp.Handle(toHop(t, "20.0.0.254", id)) {
			t.Fatal("malformed")
		}
	}
	p := gopacket.NewPacket(b.raw[0], layers.LayerTypeEthernet, gopacket.Default)
	q, _ := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if len(b.sent) != 1 || q == nil || q.Operation != layers.ARPRequest || number(q.SourceHwAddress) != 2 || number(q.DstHwAddress) != 0 {
		t.Fatalf("%d requests, the first one %v", len(b.sent), p)
	}
	meta := "set_field:0x3->metadata,set_field:0x140000fe->reg0,set_field:0x14000001->reg1,set_field:0x1->reg10,set_field:0x1->reg14,set_field:0x2->reg15,"
	if want := meta + openflow.FormatActions(requestActions); b.sent[0] != want {
		t.Errorf("request by %s, want %s", b.sent[0], want)
	}
	b.take()
	to := NextHop{3, 2, netip.MustParseAddr("20.0.0.254")}
	b.hold.Resolve(NextHop{3, 2, netip.MustParseAddr("20.0.0.253")}, 5)
	if len(b.sent) != 0 {
		t.Fatalf("another neighbour's answer sends %v", b.sent)
	}
	b.known[to] = 0x0a0000000001
	b.hold.Resolve(to, b.known[to])
	for id, frame := range b.raw {
		ip, _ := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).NetworkLayer().(*layers.IPv4)
		if ip == nil || int(ip.Id) != id {
			t.Errorf("packet %d: %v", id, ip)
		}
	}
	want := meta + "set_field:0a:00:00:00:00:01->eth_dst,resubmit(,37)"
	if len(b.sent) != 3 || b.sent[0] != want {
		t.Fatalf("sent %v, want three of %s", b.sent, want)
	}
	b.take()
	arp.Handle(toHop(t, "20.0.0.254", 9)) // it was under way when the flow came
	if got := b.take(); len(got) != 1 || got[0] != want {
		t.Errorf("a packet to a known next hop: %v", got)
	}
	if b.hold.Len() != 0 || !b.hold.Tick().IsZero() {
		t.Errorf("%d packets are left", b.hold.Len())
	}
	if c := b.hold.Counters; c != (HoldCounters{Held: 3, Sent: 4, Requests: 1}) {
		t.Errorf("counters %+v", c)
	}
}

// TestHoldExpires: requests are repeated, packets dropped after HoldTime, and a
// later packet begins anew.
func TestHoldExpires(t *testing.T) {
	b := newBench()
	arp := &ARP{Hold: b.hold}
	arp.Handle(toHop(t, "20.0.0.254", 1))
	b.take()
	began := b.now
	for next := b.hold.Tick(); !next.IsZero(); next = b.hold.Tick() {
		if !next.After(b.now) {
			t.Fatalf("next tick at %v, now %v", next, b.now)
		}
		b.now = next
	}
	if c := b.hold.Counters; c.Expired != 1 || c.Requests != 3 || b.hold.Len() != 0 || b.now.Sub(began) != HoldTime {
		t.Errorf("after %v: %+v", b.now.Sub(began), c)
	}
	b.take()
	arp.Handle(toHop(t, "20.0.0.254", 2))
	if got := b.take(); len(got) != 1 || !strings.Contains(got[0], "arp_tpa") && !strings.Contains(got[0], "ARP_TPA") {
		t.Errorf("a later packet asks %v", got)
	}
}

// TestHoldBounds: memory has limits whatever comes.
func TestHoldBounds(t *testing.T) {
	b := newBench()
	arp := &ARP{Hold: b.hold}
	for i := range 10 * HoldPackets {
		arp.Handle(toHop(t, "20.0.0.254", i))
	}
	if b.hold.Len() != HoldPackets || b.hold.Counters.Full != 9*HoldPackets {
		t.Errorf("%d held, counters %+v", b.hold.Len(), b.hold.Counters)
	}
	for i := range 2 * HoldNextHops {
		for range 8 {
			arp.Handle(toHop(t, netip.AddrFrom4([4]byte{20, 1, byte(i >> 8), byte(i)}).String(), i))
		}
	}
	if b.hold.Len() != HoldTotal || len(b.hold.wait) != HoldNextHops {
		t.Errorf("%d held for %d next hops", b.hold.Len(), len(b.hold.wait))
	}
	b.now = b.now.Add(HoldTime)
	b.hold.Tick()
	b.now = b.now.Add(HoldTime)
	b.hold.Tick()
	if b.hold.Len() != 0 || len(b.hold.wait) != 0 || b.hold.bytes != 0 {
		t.Errorf("%d packets, %d next hops, %d bytes are left", b.hold.Len(), len(b.hold.wait), b.hold.bytes)
	}
}

// TestHoldDistributed: what leaves by a chassisredirect port waits for the
// address on the port that it stands for.
func TestHoldDistributed(t *testing.T) {
	b := newBench()
	b.hold.Port = func(_, port uint32) uint32 {
		if port == 2 {
			return 7
		}
		return port
	}
	(&ARP{Hold: b.hold}).Handle(toHop(t, "20.0.0.254", 1))
	b.take()
	b.hold.Resolve(NextHop{3, 7, netip.MustParseAddr("20.0.0.254")}, 5)
	if got := b.take(); len(got) != 1 || !strings.Contains(got[0], "set_field:0x2->reg15") {
		t.Errorf("sent %v", got)
	}
}

// TestNDNS: a solicitation for the next hop, not for the destination.
func TestNDNS(t *testing.T) {
	b := newBench()
	p := &Packet{Datapath: 3, Inport: 1, Outport: 2, Data: udp6(t, "fd01::9", "2001:db8::1"),
		Userdata: append(make([]byte, headLeft), openflow.EncodeActions([]openflow.Action{openflow.ToTable(37)})...)}
	p.Regs[0], p.Regs[3] = 0xfd020000, 0xfe
	if !(&NDNS{Hold: b.hold}).Handle(p) || len(b.raw) != 1 {
		t.Fatal("no solicitation")
	}
	q := gopacket.NewPacket(b.raw[0], layers.LayerTypeEthernet, gopacket.Default)
	ip, _ := q.NetworkLayer().(*layers.IPv6)
	ns, _ := q.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation)
	if ip == nil || ns == nil || ip.SrcIP.String() != "fe80::200:ff:fe00:2" || ip.DstIP.String() != "ff02::1:ff00:fe" || ip.HopLimit != 255 ||
		ns.TargetAddress.String() != "fd02::fe" || q.LinkLayer().LinkFlow().Dst().String() != "33:33:ff:00:00:fe" ||
		len(ns.Options) != 1 || number(ns.Options[0].Data) != 2 {
		t.Fatalf("solicitation %v", q)
	}
	b.take()
	b.hold.Resolve(NextHop{3, 2, netip.MustParseAddr("fd02::fe")}, 5)
	if len(b.sent) != 1 {
		t.Errorf("sent %v", b.sent)
	}
}

// udp6 is an IPv6 packet.
func udp6(t testing.TB, src, dst string) []byte {
	t.Helper()
	b := serialize(Ethernet(2), Ethernet(0), nil, layers.EthernetTypeIPv6,
		&layers.IPv6{Version: 6, HopLimit: 63, NextHeader: layers.IPProtocolUDP, SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice()},
		gopacket.Payload("0123456789"))
	if b == nil {
		t.Fatal("no packet")
	}
	return b
}

// TestPutNeighbour learns what can be a neighbour and nothing else.
func TestPutNeighbour(t *testing.T) {
	table := map[NextHop]uint64{}
	n := &Neighbours{
		Learn: func(at NextHop, mac uint64) { table[at] = mac },
		Known: func(at NextHop) uint64 { return table[at] },
		Count: func(uint32) int { return len(table) },
	}
	put := func(ip string, port uint32, mac uint64) bool {
		p := &Packet{Datapath: 3, Inport: port, Data: frame(mac)}
		a := netip.MustParseAddr(ip)
		if a.Is4() {
			b := a.As4()
			p.Regs[0] = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
			return n.HandleARP(p)
		}
		for i, v := range a.As16() {
			p.Regs[i/4] |= uint32(v) << (24 - 8*(i%4))
		}
		return n.HandleND(p)
	}
	if !put("20.0.0.9", 2, 0x505400000001) || !put("fd02::9", 2, 0x505400000001) || !put("20.0.0.9", 2, 0x505400000002) {
		t.Error("a neighbour is refused")
	}
	for _, bad := range []string{"0.0.0.0", "0.0.0.9", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1", "::ffff:10.0.0.1"} {
		if put(bad, 2, 0x505400000001) {
			t.Errorf("%s is learned", bad)
		}
	}
	if put("20.0.0.8", 2, 0) || put("20.0.0.8", 2, 0x010000000000) || put("20.0.0.8", 0, 1) || put("20.0.0.8", 0x8000, 1) {
		t.Error("a bad MAC or port is learned")
	}
	if len(table) != 2 || table[NextHop{3, 2, netip.MustParseAddr("20.0.0.9")}] != 0x505400000002 {
		t.Errorf("learned %v", table)
	}
	for i := range 2 * MaxNeighbours {
		put(netip.AddrFrom4([4]byte{20, 1, byte(i >> 8), byte(i)}).String(), 2, 0x505400000001)
	}
	if len(table) != MaxNeighbours || n.Full == 0 {
		t.Errorf("%d learned, %d over the limit", len(table), n.Full)
	}
	if !put("20.0.0.9", 2, 0x505400000003) || table[NextHop{3, 2, netip.MustParseAddr("20.0.0.9")}] != 0x505400000003 {
		t.Error("a neighbour that is known changes its MAC in vain where the table is full")
	}
}
