package conntrack

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Bits of ct_state (ovs-fields(7)).
const (
	New         = 0x01
	Established = 0x02
	Related     = 0x04
	Reply       = 0x08
	Invalid     = 0x10
	Tracked     = 0x20
	SNAT        = 0x40
	DNAT        = 0x80
)

// tuple identifies one direction of a connection.
type tuple struct {
	zone     uint16
	proto    uint8
	src, dst netip.Addr
	sport    uint16 // or ICMP: the identifier
	dport    uint16 // or ICMP: type and code of the request
}

// reversed is the tuple of replies.
func (t tuple) reversed() tuple {
	r := t
	r.src, r.dst = t.dst, t.src
	if t.proto != packet.ProtoICMP && t.proto != packet.ProtoICMPv6 {
		r.sport, r.dport = t.dport, t.sport
	} else {
		r.dport = echoReply(t.proto, t.dport)
	}
	return r
}

// echo types, shifted as type and code.
const (
	echoReply4, echoRequest4 = 0 << 8, 8 << 8
	echoRequest6, echoReply6 = 128 << 8, 129 << 8
)

func echoReply(proto uint8, t uint16) uint16 {
	switch {
	case proto == packet.ProtoICMP && t == echoRequest4:
		return echoReply4
	case proto == packet.ProtoICMP && t == echoReply4:
		return echoRequest4
	case proto == packet.ProtoICMPv6 && t == echoRequest6:
		return echoReply6
	case proto == packet.ProtoICMPv6 && t == echoReply6:
		return echoRequest6
	}
	return t
}

// phase is how far a connection has come.
type phase uint8

const (
	opening  phase = iota // no reply yet
	open                  // replies were seen
	closing               // a FIN
	finished              // FINs of both sides, or a RST
)

// conn is a connection.
type conn struct {
	original, reply tuple
	mark            uint32
	label           packet.U128
	phase           phase
	fin             [2]bool // by direction
	nat             openflow.NAT
	expires         time.Time
}

// Times without a packet after which a connection is forgotten.
const (
	openingTimeout = 60 * time.Second
	datagrams      = 180 * time.Second
	streams        = 24 * time.Hour
	closingTimeout = 30 * time.Second
)

// Request is what a ct action wants.
type Request struct {
	Zone          uint16
	Commit, Force bool
	Translate     bool         // there is a nat action
	NAT           openflow.NAT // with Translate; without Src and Dst: as the connection has it
	// With Commit: bits that are set in the connection.
	Mark, MarkMask   uint32
	Label, LabelMask packet.U128
}

// Table is the connections of a datapath.
type Table struct {
	mu    sync.Mutex
	conns map[tuple]*conn // by both tuples
}

// NewTable makes an empty table.
func NewTable() *Table { return &Table{conns: map[tuple]*conn{}} }

// Track tracks a packet: its frame and where its headers are, and its key, which
// is translated. The result is what the ct fields say afterwards.
func (t *Table) Track(now time.Time, data []byte, l packet.Layout, k *packet.Key, req Request) packet.Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, ok := tupleOf(data, l, k, req.Zone)
	if !ok || !l.ChecksumsRight(data, k) {
		return packet.Connection{State: Tracked | Invalid, Zone: req.Zone}
	}
	c, reply := t.find(now, key)
	state := uint32(Tracked)
	related := false
	if c == nil {
		if inner, quoted := quotedTuple(data, l, k, req.Zone); quoted {
			if c, reply = t.find(now, inner); c != nil {
				// The error goes against the direction of what it quotes.
				reply = !reply
				related = true
			}
		}
	}
	if c != nil && req.Commit && req.Force && reply && !related {
		t.remove(c)
		c = nil
	}
	switch {
	case related:
		state |= Related
	case c != nil:
		s, again := c.update(now, k, reply)
		if again {
			t.remove(c)
			c = nil
		}
		state |= s
	}
	if c != nil && reply && state&Invalid == 0 {
		state |= Reply
	}
	if c == nil && state&Invalid == 0 {
		if !validNew(k) {
			return packet.Connection{State: Tracked | Invalid, Zone: req.Zone}
		}
		state |= New
		reply = false
		if req.Commit {
			if c = t.create(now, key, req); c == nil {
				return packet.Connection{State: Tracked | Invalid, Zone: req.Zone}
			}
		}
	}
	if c != nil && req.Translate && state&Invalid == 0 {
		state |= c.translate(k, reply, related)
	}
	r := packet.Connection{State: state, Zone: req.Zone, Proto: key.proto, Src: key.src, Dst: key.dst, SrcPort: key.sport, DstPort: key.dport}
	if c != nil {
		if req.Commit && state&Invalid == 0 {
			c.mark = c.mark&^req.MarkMask | req.Mark&req.MarkMask
			c.label.Hi = c.label.Hi&^req.LabelMask.Hi | req.Label.Hi&req.LabelMask.Hi
			c.label.Lo = c.label.Lo&^req.LabelMask.Lo | req.Label.Lo&req.LabelMask.Lo
		}
		o := c.original
		r.Mark, r.Label = c.mark, c.label
		r.Src, r.Dst, r.SrcPort, r.DstPort, r.Proto = o.src, o.dst, o.sport, o.dport, o.proto
	}
	if r.Proto == packet.ProtoICMP || r.Proto == packet.ProtoICMPv6 {
		// For ICMP the fields of ports are type and code.
		d := key.dport
		if c != nil {
			d = c.original.dport
		}
		r.SrcPort, r.DstPort = d>>8, d&0xff
	}
	return r
}

// tupleOf is the tuple of a packet; ok is false when it has none.
func tupleOf(data []byte, l packet.Layout, k *packet.Key, zone uint16) (tuple, bool) {
	b := l.Layer4(data)
	if b == nil || !k.IsIP() || k.LaterFragment() {
		return tuple{}, false
	}
	key := tuple{zone: zone, proto: k.Proto(), src: k.IPSrc(), dst: k.IPDst(), sport: k.PortSrc(), dport: k.PortDst()}
	switch key.proto {
	case packet.ProtoICMP, packet.ProtoICMPv6:
		key.dport = key.sport<<8 | key.dport
		key.sport = 0
		switch key.dport {
		case echoRequest4, echoReply4, echoRequest6, echoReply6:
			key.sport = binary.BigEndian.Uint16(b[4:])
		}
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP:
	default:
		return tuple{}, false
	}
	return key, true
}

// quotedTuple is the tuple of the packet that an ICMP error quotes.
func quotedTuple(data []byte, l packet.Layout, k *packet.Key, zone uint16) (tuple, bool) {
	b := l.Layer4(data)
	t := k.PortSrc()
	isError := k.Proto() == packet.ProtoICMP && (t == 3 || t == 4 || t == 5 || t == 11 || t == 12) ||
		k.Proto() == packet.ProtoICMPv6 && t >= 1 && t <= 4
	if !isError || len(b) <= 8 {
		return tuple{}, false
	}
	q := b[8:]
	key := tuple{zone: zone}
	switch {
	case k.Proto() == packet.ProtoICMP && len(q) >= 20 && q[0]>>4 == 4:
		n := int(q[0]&0xf) * 4
		if n < 20 || len(q) < n+8 {
			return tuple{}, false
		}
		key.proto = q[9]
		key.src, _ = netip.AddrFromSlice(q[12:16])
		key.dst, _ = netip.AddrFromSlice(q[16:20])
		q = q[n:]
	case k.Proto() == packet.ProtoICMPv6 && len(q) >= 48 && q[0]>>4 == 6:
		key.proto = q[6]
		key.src, _ = netip.AddrFromSlice(q[8:24])
		key.dst, _ = netip.AddrFromSlice(q[24:40])
		q = q[40:]
	default:
		return tuple{}, false
	}
	switch key.proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP:
		key.sport, key.dport = binary.BigEndian.Uint16(q), binary.BigEndian.Uint16(q[2:])
	case packet.ProtoICMP, packet.ProtoICMPv6:
		key.dport, key.sport = binary.BigEndian.Uint16(q), binary.BigEndian.Uint16(q[4:])
	default:
		return tuple{}, false
	}
	return key, true
}

func (t *Table) find(now time.Time, key tuple) (c *conn, reply bool) {
	c = t.conns[key]
	if c == nil {
		return nil, false
	}
	if !now.Before(c.expires) {
		t.remove(c)
		return nil, false
	}
	return c, key != c.original
}

func (t *Table) remove(c *conn) {
	delete(t.conns, c.original)
	delete(t.conns, c.reply)
}

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// badFlags are combinations that no TCP sends.
func badFlags(f uint16) bool {
	switch {
	case f&syn != 0 && f&(rst|fin) != 0:
		return true
	case f&(syn|ack|rst) == 0:
		return true
	case f&fin != 0 && f&ack == 0:
		return true
	}
	return false
}

// validNew tells whether a packet can be the first of a connection.
func validNew(k *packet.Key) bool {
	switch k.Proto() {
	case packet.ProtoTCP:
		f := k.TCPFlags()
		return !badFlags(f) && f&(syn|ack) != syn|ack
	case packet.ProtoICMP:
		t := k.PortSrc()
		return t == 8 || t == 13 || t == 15
	case packet.ProtoICMPv6:
		return k.PortSrc() == 128
	}
	return true
}

// update takes a packet of the connection into account. again tells that it
// begins a new connection of the same tuple.
func (c *conn) update(now time.Time, k *packet.Key, reply bool) (state uint32, again bool) {
	if k.Proto() == packet.ProtoTCP {
		f := k.TCPFlags()
		if badFlags(f) {
			return Invalid, false
		}
		dir := 0
		if reply {
			dir = 1
		}
		switch {
		case f&(syn|ack) == syn && c.phase >= closing:
			return 0, true
		case f&rst != 0:
			c.phase = finished
		case f&fin != 0:
			c.fin[dir] = true
			c.phase = max(c.phase, closing)
			if c.fin[0] && c.fin[1] {
				c.phase = finished
			}
		case c.phase == opening && reply:
			c.phase = open
		}
	} else if reply && c.phase == opening {
		c.phase = open
	}
	c.expires = now.Add(c.timeout(k.Proto()))
	if c.phase == opening {
		return New, false
	}
	return Established, false
}

func (c *conn) timeout(proto uint8) time.Duration {
	switch {
	case c.phase == opening:
		return openingTimeout
	case proto != packet.ProtoTCP:
		return datagrams
	case c.phase == open:
		return streams
	}
	return closingTimeout
}

// create makes a connection; nil when translation has no free tuple.
func (t *Table) create(now time.Time, key tuple, req Request) *conn {
	c := &conn{original: key, reply: key.reversed()}
	if req.Translate && (req.NAT.Src || req.NAT.Dst) {
		c.nat = req.NAT
		if !t.choose(now, c) {
			return nil
		}
	}
	c.expires = now.Add(c.timeout(key.proto))
	t.conns[c.original], t.conns[c.reply] = c, c
	return c
}

// FlushZone forgets the connections of a zone.
func (t *Table) FlushZone(zone uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.conns {
		if key.zone == zone {
			delete(t.conns, key)
		}
	}
}

// Expire forgets the connections that had no packet for too long.
func (t *Table) Expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		if !now.Before(c.expires) {
			t.remove(c)
		}
	}
}

// Len is the number of connections.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for key, c := range t.conns {
		if key == c.original {
			n++
		}
	}
	return n
}
