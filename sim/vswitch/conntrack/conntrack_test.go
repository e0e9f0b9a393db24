package conntrack

import (
	"net/netip"
	"testing"
	"time"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// datagram is a UDP packet without a checksum.
func datagram(src, dst string, sport, dport uint16) []byte {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	ip := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0}
	ip = append(append(ip, s[:]...), d[:]...)
	c := packet.Checksum(ip)
	ip[10], ip[11] = byte(c>>8), byte(c)
	b := append(make([]byte, 12), 8, 0)
	return append(append(b, ip...), byte(sport>>8), byte(sport), byte(dport>>8), byte(dport), 0, 8, 0, 0)
}

func track(t *Table, now time.Time, data []byte, req Request) (packet.Connection, packet.Key) {
	var s packet.State
	l := packet.Parse(data, &s)
	c := t.Track(now, data, l, &s.Key, req)
	return c, s.Key
}

// Hosts behind one address get ports of their own, until none is left; an
// address that is free again can be used again.
func TestPortsRunOut(t *testing.T) {
	table, now := NewTable(), time.Unix(1000, 0)
	ip := netip.MustParseAddr
	req := Request{Zone: 1, Commit: true, Translate: true, NAT: openflow.NAT{Src: true, Min: ip("192.0.2.1"), PortMin: 1000, PortMax: 1002}}
	used := map[uint16]bool{}
	for i := range 3 {
		c, k := track(table, now, datagram("10.0.0.1", "198.51.100.1", uint16(5000+i), 53), req)
		if c.State != Tracked|New|SNAT || k.IPSrc() != ip("192.0.2.1") || k.PortSrc() < 1000 || k.PortSrc() > 1002 || used[k.PortSrc()] {
			t.Fatalf("connection %d: state %#x, source %v:%d", i, c.State, k.IPSrc(), k.PortSrc())
		}
		used[k.PortSrc()] = true
		if c.SrcPort != uint16(5000+i) || c.Src != ip("10.0.0.1") {
			t.Errorf("original tuple %+v", c)
		}
	}
	if c, _ := track(table, now, datagram("10.0.0.1", "198.51.100.1", 6000, 53), req); c.State != Tracked|Invalid {
		t.Errorf("state %#x with no port left", c.State)
	}
	if table.Len() != 3 {
		t.Errorf("%d connections", table.Len())
	}
	now = now.Add(openingTimeout)
	if c, _ := track(table, now, datagram("10.0.0.1", "198.51.100.1", 6000, 53), req); c.State&Invalid != 0 {
		t.Errorf("state %#x after the others ended", c.State)
	}
	table.Expire(now)
	if table.Len() != 1 {
		t.Errorf("%d connections after Expire", table.Len())
	}
	table.FlushZone(2)
	if table.Len() != 1 {
		t.Error("the flush of another zone")
	}
	table.FlushZone(1)
	if table.Len() != 0 {
		t.Errorf("%d connections after the flush", table.Len())
	}
}

// Addresses of a range are used, the same one for the same host.
func TestAddressRange(t *testing.T) {
	table, now := NewTable(), time.Unix(1000, 0)
	ip := netip.MustParseAddr
	req := Request{Commit: true, Translate: true, NAT: openflow.NAT{Src: true, Min: ip("192.0.2.1"), Max: ip("192.0.2.4")}}
	seen := map[netip.Addr]bool{}
	for i := range 40 {
		src := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}).String()
		_, a := track(table, now, datagram(src, "198.51.100.1", 5000, 53), req)
		_, b := track(table, now, datagram(src, "198.51.100.2", 5000, 53), req)
		if a.IPSrc() != b.IPSrc() {
			t.Errorf("%s has %v and %v", src, a.IPSrc(), b.IPSrc())
		}
		seen[a.IPSrc()] = true
	}
	if len(seen) != 4 {
		t.Errorf("addresses %v", seen)
	}
}

// Force begins anew against the direction of the connection; mark and label are
// set bit by bit.
func TestForceAndMark(t *testing.T) {
	table, now := NewTable(), time.Unix(1000, 0)
	there, back := datagram("10.0.0.1", "10.0.0.2", 1, 2), datagram("10.0.0.2", "10.0.0.1", 2, 1)
	track(table, now, there, Request{Commit: true, Mark: 0xff, MarkMask: 0x0f, Label: packet.U128{Hi: 1}, LabelMask: packet.U128{Hi: 3}})
	c, _ := track(table, now, back, Request{Commit: true, Mark: 0x30, MarkMask: 0xf0})
	if c.State != Tracked|Established|Reply || c.Mark != 0x3f && c.Mark != 0x0f || c.Label.Hi != 1 {
		t.Errorf("reply %+v", c)
	}
	c, _ = track(table, now, back, Request{Commit: true, Force: true})
	if c.State != Tracked|New {
		t.Errorf("state %#x after force", c.State)
	}
	c, _ = track(table, now, there, Request{})
	if c.State != Tracked|Established|Reply || c.Mark != 0 {
		t.Errorf("%+v: the direction did not change", c)
	}
}
