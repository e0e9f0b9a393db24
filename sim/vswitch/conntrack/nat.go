package conntrack

import (
	"net/netip"
	"time"

	"govn/sim/vswitch/packet"
)

// Ports that a source may get when its own is taken and the action names none.
const (
	firstPort = 1024
	lastPort  = 65535
)

// maxTries bounds how many addresses and ports are tried for a connection.
const maxTries = 1 << 17

// choose sets the reply tuple of a translated connection: the first address and
// port of the range, beginning where the hash of the source says, that no other
// connection uses.
func (t *Table) choose(now time.Time, c *conn) bool {
	nat := &c.nat
	addr := c.original.src
	if nat.Dst {
		addr = c.original.dst
	}
	low, high := addr, addr
	if nat.Min.IsValid() {
		low, high = nat.Min, nat.Min
		if nat.Max.IsValid() {
			high = nat.Max
		}
	}
	for tries, a := 0, pick(low, high, c.original.src); tries < maxTries; {
		if t.choosePort(now, c, a, &tries) {
			return true
		}
		if a = a.Next(); !a.IsValid() || high.Less(a) {
			a = low
		}
		if low == high {
			return false
		}
	}
	return false
}

// pick is an address between low and high that depends on the source only.
func pick(low, high, src netip.Addr) netip.Addr {
	if low == high || !low.Less(high) {
		return low
	}
	h := uint32(0)
	for _, b := range src.AsSlice() {
		h = (h ^ uint32(b)) * 16777619
	}
	span := uint32(1)
	for a := low; a != high && span < 1<<16; a = a.Next() {
		span++
	}
	a := low
	for range h % span {
		a = a.Next()
	}
	return a
}

// choosePort tries the ports of one address.
func (t *Table) choosePort(now time.Time, c *conn, a netip.Addr, tries *int) bool {
	set := func(port uint16) bool {
		*tries++
		r := c.original.reversed()
		icmp := c.original.proto == packet.ProtoICMP || c.original.proto == packet.ProtoICMPv6
		if c.nat.Src {
			r.dst = a
			if !icmp {
				r.dport = port
			}
		} else {
			r.src = a
			if !icmp {
				r.sport = port
			}
		}
		if used, _ := t.find(now, r); used != nil {
			return false
		}
		c.reply = r
		return true
	}
	own := c.original.sport
	if c.nat.Dst {
		own = c.original.dport
	}
	low, high := own, own
	if c.nat.PortMin != 0 {
		low, high = c.nat.PortMin, max(c.nat.PortMin, c.nat.PortMax)
	}
	if low <= own && own <= high && set(own) {
		return true
	}
	if c.nat.PortMin == 0 {
		if c.nat.Dst {
			return false
		}
		low, high = firstPort, lastPort
	}
	for p := int(low); p <= int(high) && *tries < maxTries; p++ {
		if set(uint16(p)) {
			return true
		}
	}
	return false
}

// translate changes the packet as its connection says, and returns the bit of
// ct_state that tells which address of this packet changed.
func (c *conn) translate(k *packet.Key, reply, related bool) uint32 {
	if !c.nat.Src && !c.nat.Dst {
		return 0
	}
	icmp := k.Proto() == packet.ProtoICMP || k.Proto() == packet.ProtoICMPv6
	ports := !icmp && !related
	// Replies come with the tuple of the reply and leave as if the original had
	// been answered.
	to := c.reply.reversed()
	if reply {
		to = c.original.reversed()
	}
	srcSide := c.nat.Src != reply // which address of the packet changes
	sport, dport := k.PortSrc(), k.PortDst()
	if srcSide {
		if !related || k.IPSrc() == fromOf(c, reply).src {
			k.SetIPSrc(to.src)
		}
		sport = to.sport
	} else {
		k.SetIPDst(to.dst)
		dport = to.dport
	}
	if ports {
		k.SetPorts(sport, dport)
	}
	if srcSide {
		return SNAT
	}
	return DNAT
}

// fromOf is the tuple that packets of a direction come with.
func fromOf(c *conn, reply bool) tuple {
	if reply {
		return c.reply
	}
	return c.original
}
