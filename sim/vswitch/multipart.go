package vswitch

import (
	"encoding/binary"
	"slices"

	"govn/pkg/openflow"
)

// Types of multipart messages that package openflow has no name for.
const (
	mpTableStats    = 3
	mpGroupFeatures = 8
	mpMeterFeatures = 11
	mpTableFeatures = 12
)

// partSize is about how many bytes of replies go into one message.
const partSize = 48 << 10

// multipart answers a request of many parts.
func (c *conn) multipart(xid uint32, m *openflow.MultipartRequest) error {
	b := c.b
	switch m.Kind {
	case openflow.MultipartDesc:
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Body: descBody(b.opts.Name)})
	case openflow.MultipartFlowDesc:
		return c.flowDesc(xid, m)
	case openflow.MultipartGroupDesc:
		if len(m.Body) < 4 {
			return refuse(etBadRequest, brcBadLen)
		}
		id := binary.BigEndian.Uint32(m.Body)
		groups := b.Groups()
		groups = slices.DeleteFunc(groups, func(g openflow.GroupDesc) bool { return id != openflow.GroupAny && g.ID != id })
		start, size := 0, 0
		for i := range groups {
			n := groupSize(&groups[i])
			if size+n > partSize && i > start {
				c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, More: true, Groups: groups[start:i]})
				start, size = i, 0
			}
			size += n
		}
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Groups: groups[start:]})
	case openflow.MultipartGroupStats:
		if len(m.Body) < 4 {
			return refuse(etBadRequest, brcBadLen)
		}
		id := binary.BigEndian.Uint32(m.Body)
		stats := b.groupStats()
		stats = slices.DeleteFunc(stats, func(g openflow.GroupStats) bool { return id != openflow.GroupAny && g.ID != id })
		for part := range slices.Chunk(stats, 16) { // a group has up to 1,024 buckets or so
			stats = stats[len(part):]
			c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, More: len(stats) > 0, GroupStats: part})
			if len(stats) == 0 {
				return nil
			}
		}
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind})
	case openflow.MultipartPortDesc:
		var ports []openflow.Port
		for _, p := range b.Ports() {
			ports = append(ports, p.description())
		}
		for part := range slices.Chunk(ports, partSize/40) {
			ports = ports[len(part):]
			c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, More: len(ports) > 0, Ports: part})
			if len(ports) == 0 {
				return nil
			}
		}
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind})
	case openflow.MultipartMeterDesc:
		if len(m.Body) < 4 {
			return refuse(etBadRequest, brcBadLen)
		}
		id := binary.BigEndian.Uint32(m.Body)
		b.mu.Lock()
		meters := b.meterList()
		b.mu.Unlock()
		meters = slices.DeleteFunc(meters, func(k openflow.MeterMod) bool { return id != openflow.MeterAll && k.ID != id })
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Meters: meters})
	case mpGroupFeatures:
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Body: groupFeatures()})
	case mpMeterFeatures:
		body := binary.BigEndian.AppendUint32(nil, 200000) // meters, as the userspace datapath
		body = binary.BigEndian.AppendUint32(body, 1<<1)   // bands that drop
		body = binary.BigEndian.AppendUint32(body, openflow.MeterKbps|openflow.MeterPktps|openflow.MeterBurst|openflow.MeterStats)
		body = append(body, 8, 0, 0, 0) // bands of a meter
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Body: body})
	case mpTableFeatures:
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Body: tableFeatures()})
	case mpTableStats:
		c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Body: b.tableStats()})
	default:
		return refuse(etBadRequest, brcBadStat)
	}
	return nil
}

// groupSize is about how many bytes a group takes.
func groupSize(g *openflow.GroupDesc) int {
	n := 64 + len(g.MethodFields)
	for i := range g.Buckets {
		n += 32 + len(g.Buckets[i].Actions)
	}
	return n
}

// descBody is the answer to a request for a description.
func descBody(name string) []byte {
	var b []byte
	for _, s := range []struct {
		text string
		size int
	}{{"Nicira, Inc.", 256}, {"govn simulator", 256}, {"3.1.0", 256}, {"None", 32}, {name, 256}} {
		field := make([]byte, s.size)
		copy(field[:s.size-1], s.text)
		b = append(b, field...)
	}
	return b
}

// groupFeatures is what Open vSwitch says of its groups: every type, weights,
// liveness and chaining, as many as there are ids.
func groupFeatures() []byte {
	b := binary.BigEndian.AppendUint32(nil, 0xf)
	b = binary.BigEndian.AppendUint32(b, 7)
	for range 4 {
		b = binary.BigEndian.AppendUint32(b, maxGroup)
	}
	actions := uint32(0)
	for _, n := range []int{0, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25} {
		actions |= 1 << n
	}
	for range 4 {
		b = binary.BigEndian.AppendUint32(b, actions)
	}
	return b
}

// tableFeatures describes every table without properties: those who ask want to
// know which tables there are, and their names, which they have not.
func tableFeatures() (body []byte) {
	const size, maxEntries = 64, 1000000
	for i := range lastTable + 1 {
		body = binary.BigEndian.AppendUint16(body, size)
		body = append(append(body, byte(i)), make([]byte, 5+32)...)
		body = binary.BigEndian.AppendUint64(body, ^uint64(0)) // metadata that is matched
		body = binary.BigEndian.AppendUint64(body, ^uint64(0)) // and written
		body = binary.BigEndian.AppendUint32(body, 0)
		body = binary.BigEndian.AppendUint32(body, maxEntries)
	}
	return body
}

func (b *Bridge) tableStats() (body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.tables {
		body = append(body, byte(i), 0, 0, 0)
		body = binary.BigEndian.AppendUint32(body, uint32(b.tables[i].Len()))
		body = append(body, make([]byte, 16)...)
	}
	return body
}

// flowDesc answers a request for flows.
func (c *conn) flowDesc(xid uint32, m *openflow.MultipartRequest) error {
	body := m.Body
	if len(body) < 40 {
		return refuse(etBadRequest, brcBadLen)
	}
	b := c.b
	b.mu.Lock()
	match, _, err := b.pullMatch(body[32:])
	if err != nil {
		b.mu.Unlock()
		return err
	}
	mod := &openflow.FlowMod{
		Command: openflow.FlowDelete, CookieMask: binary.BigEndian.Uint64(body[24:]),
		Flow: openflow.Flow{Table: body[0], Cookie: binary.BigEndian.Uint64(body[16:])},
	}
	if p := binary.BigEndian.Uint32(body[4:]); p != openflow.PortAny {
		mod.OutPort = p
	}
	if g := binary.BigEndian.Uint32(body[8:]); g != 0xffffffff {
		mod.OutGroup = g
	}
	now := b.opts.Now()
	var flows []openflow.FlowStats
	for _, f := range b.selected(mod, &compiledMod{match: match, compiled: compileMatch(&match)}) {
		flows = append(flows, f.stats(now))
	}
	b.mu.Unlock()
	var part []openflow.FlowStats
	size := 0
	for _, f := range flows {
		n := 128 + len(f.Match) + len(f.Actions) + len(f.Instructions)
		if size+n > partSize && len(part) > 0 {
			c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, More: true, Flows: part})
			part, size = nil, 0
		}
		part, size = append(part, f), size+n
	}
	c.reply(xid, &openflow.MultipartReply{Kind: m.Kind, Flows: part})
	return nil
}
