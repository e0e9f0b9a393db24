package openflow

import (
	"bytes"
	"fmt"
	"time"
)

// Types of multipart messages.
const (
	MultipartDesc       = 0
	MultipartFlowDesc   = 1
	MultipartGroupStats = 6
	MultipartGroupDesc  = 7
	MultipartMeterDesc  = 10
	MultipartPortDesc   = 13
)

// MultipartRequest asks for something that comes in one or more parts.
type MultipartRequest struct {
	Kind uint16
	Body []byte
}

// Type is TypeMultipartRequest.
func (*MultipartRequest) Type() uint8 { return TypeMultipartRequest }
func (m *MultipartRequest) appendBody(b []byte) []byte {
	return append(putZeros(put16(b, m.Kind), 6), m.Body...)
}

func decodeMultipartRequest(r *reader) Message {
	m := &MultipartRequest{Kind: r.u16()}
	r.skip(6)
	m.Body = bytes.Clone(r.b)
	return m
}

// MultipartReply is one part of an answer. Which slice is filled depends on
// Kind; Body is what is of no kind known here.
type MultipartReply struct {
	Kind       uint16
	More       bool // more parts follow
	Flows      []FlowStats
	Groups     []GroupDesc
	GroupStats []GroupStats
	Ports      []Port
	Meters     []MeterMod // as they would be added
	Body       []byte
}

// Type is TypeMultipartReply.
func (*MultipartReply) Type() uint8 { return TypeMultipartReply }

func (m *MultipartReply) appendBody(b []byte) []byte {
	more := uint16(0)
	if m.More {
		more = 1
	}
	b = putZeros(put16(put16(b, m.Kind), more), 4)
	for i := range m.Flows {
		b = m.Flows[i].append(b)
	}
	for i := range m.Groups {
		b = m.Groups[i].append(b)
	}
	for i := range m.GroupStats {
		b = m.GroupStats[i].append(b)
	}
	for i := range m.Ports {
		b = m.Ports[i].append(b)
	}
	for i := range m.Meters {
		k := &m.Meters[i]
		start := len(b)
		b = put32(put16(putZeros(b, 2), k.Flags), k.ID)
		for _, band := range k.Bands {
			b = putZeros(put32(put32(put16(put16(b, 1), 16), band.Rate), band.Burst), 4)
		}
		b = setLen(b, start, 0)
	}
	return append(b, m.Body...)
}

func decodeMultipartReply(r *reader) Message {
	m := &MultipartReply{Kind: r.u16(), More: r.u16()&1 != 0}
	r.skip(4)
	for r.err == nil && len(r.b) > 0 {
		switch m.Kind {
		case MultipartFlowDesc:
			m.Flows = append(m.Flows, r.flowStats())
		case MultipartGroupDesc:
			m.Groups = append(m.Groups, r.groupDesc())
		case MultipartGroupStats:
			m.GroupStats = append(m.GroupStats, r.groupStats())
		case MultipartPortDesc:
			m.Ports = append(m.Ports, r.port())
		case MultipartMeterDesc:
			n := int(r.u16())
			d := reader{what: r.what}
			d.b, d.err = r.take(n-2), r.err
			k := MeterMod{Flags: d.u16(), ID: d.u32()}
			d.b = append(make([]byte, 8), d.b...) // as in a MeterMod
			bands := decodeMeterMod(&d).(*MeterMod).Bands
			k.Bands, r.err = bands, d.err
			m.Meters = append(m.Meters, k)
		default:
			m.Body, r.b = bytes.Clone(r.b), nil
		}
	}
	return m
}

// FlowDescRequest asks for the flows of a table whose cookie agrees with cookie
// in the bits of mask; TableAll and a mask of 0 are all.
func FlowDescRequest(table uint8, cookie, mask uint64) *MultipartRequest {
	b := append([]byte{table}, 0, 0, 0)
	b = putZeros(put32(put32(b, PortAny), 0xffffffff), 4)
	return &MultipartRequest{Kind: MultipartFlowDesc, Body: appendMatch(put64(put64(b, cookie), mask), nil)}
}

// GroupDescRequest asks for all groups.
func GroupDescRequest() *MultipartRequest {
	return &MultipartRequest{Kind: MultipartGroupDesc, Body: putZeros(put32(nil, GroupAny), 4)}
}

// PortDescRequest asks for all ports.
func PortDescRequest() *MultipartRequest {
	return &MultipartRequest{Kind: MultipartPortDesc, Body: putZeros(put32(nil, PortAny), 4)}
}

// MeterDescRequest asks for all meters.
func MeterDescRequest() *MultipartRequest {
	return &MultipartRequest{Kind: MultipartMeterDesc, Body: putZeros(put32(nil, MeterAll), 4)}
}

// Statistics are OXS TLVs of class 0x8002: the header has class, field << 1 and
// length, as OXM has.
const (
	oxsDuration = 0
	oxsIdleTime = 1
	oxsPackets  = 4
	oxsBytes    = 5
	oxsClass    = 0x8002
)

func oxsHeader(field, n uint32) uint32 { return oxsClass<<16 | field<<9 | n }

func (f *FlowStats) append(b []byte) []byte {
	start := len(b)
	b = putZeros(b, 4)
	b = put16(append(b, f.Table, 0), f.Priority)
	b = put16(put16(put16(put16(b, f.IdleTimeout), f.HardTimeout), f.Flags), f.Importance)
	b = appendMatch(put64(b, f.Cookie), f.Match)
	b = f.appendOXS(b)
	b = append(appendApply(b, f.Actions), f.Instructions...)
	return setLen(b, start, 0)
}

// appendOXS appends the counters.
func (f *FlowStats) appendOXS(b []byte) []byte {
	start := len(b)
	b = putZeros(b, 4)
	b = appendOXSTime(b, oxsDuration, f.Duration)
	b = appendOXSTime(b, oxsIdleTime, f.Idle)
	b = put64(put32(b, oxsHeader(oxsPackets, 8)), f.Packets)
	b = put64(put32(b, oxsHeader(oxsBytes, 8)), f.Bytes)
	return pad8(setLen(b, start, 2), start)
}

func appendOXSTime(b []byte, field uint32, d time.Duration) []byte {
	return put32(put32(put32(b, oxsHeader(field, 8)), uint32(d/time.Second)), uint32(d%time.Second))
}

// flowStats reads one flow of a multipart reply. The match is made canonical.
func (r *reader) flowStats() (f FlowStats) {
	n := int(r.u16())
	d := reader{what: r.what}
	d.b, d.err = r.take(n-2), r.err
	d.skip(2)
	f.Table = d.u8()
	d.skip(1)
	f.Priority, f.IdleTimeout, f.HardTimeout = d.u16(), d.u16(), d.u16()
	f.Flags, f.Importance, f.Cookie = d.u16(), d.u16(), d.u64()
	tlvs := d.match()
	d.skip(2)
	size := int(d.u16())
	stats := reader{what: r.what}
	stats.b, stats.err = d.take(size-4), d.err
	d.skip(pad8len(size) - size)
	if d.err == nil {
		d.err = stats.oxs(&f)
	}
	f.Actions, f.Instructions = d.instructions()
	if d.err == nil {
		f.Match, d.err = CanonicalMatch(tlvs)
	}
	r.err = d.err
	return f
}

func (r *reader) oxs(f *FlowStats) error {
	for r.err == nil && len(r.b) > 0 {
		h := r.u32()
		v := reader{what: r.what}
		v.b, v.err = r.take(int(h&0xff)), r.err
		if h>>16 == oxsClass {
			switch h >> 9 & 0x7f {
			case oxsDuration:
				f.Duration = time.Duration(v.u32())*time.Second + time.Duration(v.u32())
			case oxsIdleTime:
				f.Idle = time.Duration(v.u32())*time.Second + time.Duration(v.u32())
			case oxsPackets:
				f.Packets = v.u64()
			case oxsBytes:
				f.Bytes = v.u64()
			}
		}
		r.err = v.err
	}
	return r.err
}

func (g *GroupDesc) append(b []byte) []byte {
	start := len(b)
	b = put32(append(putZeros(b, 2), g.GroupType, 0), g.ID)
	at := len(b)
	b = putZeros(b, 8)
	buckets := len(b)
	for i := range g.Buckets {
		b = g.Buckets[i].append(b, g.GroupType)
	}
	n := len(b) - buckets
	b[at], b[at+1] = byte(n>>8), byte(n)
	return setLen(g.appendProperties(b), start, 0)
}

// Port is a port of the switch.
type Port struct {
	Number uint32
	MAC    [6]byte
	Name   string
	Config uint32 // bit 0: down by the administrator
	State  uint32 // bit 0: no link
}

// String prints number, name and address as ovs-ofctl show does.
func (p Port) String() string {
	return fmt.Sprintf("%s(%s): addr:%s", FormatPortNumber(p.Number), p.Name, formatMAC(p.MAC[:]))
}

const portNameLen = 16

func (p *Port) append(b []byte) []byte {
	var name [portNameLen]byte
	copy(name[:portNameLen-1], p.Name)
	b = putZeros(put16(put32(b, p.Number), 40), 2)
	b = append(putZeros(append(b, p.MAC[:]...), 2), name[:]...)
	return put32(put32(b, p.Config), p.State)
}

func (r *reader) port() (p Port) {
	p.Number = r.u32()
	n := int(r.u16())
	d := reader{what: r.what}
	d.b, d.err = r.take(n-6), r.err
	d.skip(2)
	copy(p.MAC[:], d.take(6))
	d.skip(2)
	name, _, _ := bytes.Cut(d.take(portNameLen), []byte{0})
	p.Name = string(name)
	p.Config, p.State = d.u32(), d.u32()
	r.err = d.err
	return p
}

// Reasons of PortStatus.
const (
	PortAdded    = 0
	PortDeleted  = 1
	PortModified = 2
)

// PortStatus tells that a port came, went or changed.
type PortStatus struct {
	Reason uint8
	Port   Port
}

// Type is TypePortStatus.
func (*PortStatus) Type() uint8 { return TypePortStatus }
func (m *PortStatus) appendBody(b []byte) []byte {
	return m.Port.append(putZeros(append(b, m.Reason), 7))
}

func decodePortStatus(r *reader) Message {
	m := &PortStatus{Reason: r.u8()}
	r.skip(7)
	m.Port = r.port()
	return m
}
