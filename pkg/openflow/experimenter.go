package openflow

import (
	"fmt"
	"slices"
)

// Subtypes of Nicira's messages.
const (
	nxtSetPacketInFormat = 16
	nxtSetControllerID   = 20
	nxtTLVTableMod       = 24
	nxtTLVTableRequest   = 25
	nxtTLVTableReply     = 26
	nxtResume            = 28
	nxtCTFlushZone       = 29
	nxtPacketIn2         = 30
)

// niciraMessage appends what begins a Nicira message.
func niciraMessage(b []byte, subtype uint32) []byte { return put32(put32(b, nxVendor), subtype) }

// experimenterDecoders decode what follows vendor and subtype.
var experimenterDecoders = map[uint32]func(r *reader) Message{
	nxtSetPacketInFormat: func(r *reader) Message { return &SetPacketInFormat{Format: r.u32()} },
	nxtSetControllerID:   func(r *reader) Message { r.skip(6); return &SetControllerID{ID: r.u16()} },
	nxtTLVTableMod: func(r *reader) Message {
		m := &TLVTableMod{Command: r.u16()}
		r.skip(6)
		m.Maps = r.tlvMaps()
		return m
	},
	nxtTLVTableRequest: func(*reader) Message { return &TLVTableRequest{} },
	nxtTLVTableReply:   decodeTLVTableReply,
	nxtResume:          func(r *reader) Message { return &Resume{PacketIn: *r.packetIn()} },
	nxtCTFlushZone:     func(r *reader) Message { r.skip(6); return &CTFlushZone{Zone: r.u16()} },
	nxtPacketIn2:       func(r *reader) Message { return r.packetIn() },
}

func decodeExperimenter(r *reader) Message {
	raw := &RawMessage{MessageType: TypeExperimenter, Body: slices.Clone(r.b)}
	vendor, sub := r.u32(), r.u32()
	if decode := experimenterDecoders[sub]; vendor == nxVendor && decode != nil {
		r.what = fmt.Sprintf("Nicira message %d", sub)
		return decode(r)
	}
	return raw
}

// PacketInNXT2 is the format of packet-in messages that this package decodes,
// for SetPacketInFormat.
const PacketInNXT2 = 2

// SetPacketInFormat sets the format of the packet-in messages of a connection.
type SetPacketInFormat struct{ Format uint32 }

// Type is TypeExperimenter.
func (*SetPacketInFormat) Type() uint8 { return TypeExperimenter }
func (m *SetPacketInFormat) appendBody(b []byte) []byte {
	return put32(niciraMessage(b, nxtSetPacketInFormat), m.Format)
}

// SetControllerID sets the id by which Controller actions name a connection.
type SetControllerID struct{ ID uint16 }

// Type is TypeExperimenter.
func (*SetControllerID) Type() uint8 { return TypeExperimenter }
func (m *SetControllerID) appendBody(b []byte) []byte {
	return put16(putZeros(niciraMessage(b, nxtSetControllerID), 6), m.ID)
}

// CTFlushZone forgets all connections of a conntrack zone.
type CTFlushZone struct{ Zone uint16 }

// Type is TypeExperimenter.
func (*CTFlushZone) Type() uint8 { return TypeExperimenter }
func (m *CTFlushZone) appendBody(b []byte) []byte {
	return put16(putZeros(niciraMessage(b, nxtCTFlushZone), 6), m.Zone)
}

// TLVMap maps a Geneve option to a tun_metadata field.
type TLVMap struct {
	Class  uint16
	Option uint8 // type of the option
	Length uint8 // bytes of its value, a multiple of 4
	Index  uint16
}

// String prints the map as ovs-ofctl add-tlv-map takes it.
func (m TLVMap) String() string {
	return fmt.Sprintf("{class=%#x,type=%#x,len=%d}->tun_metadata%d", m.Class, m.Option, m.Length, m.Index)
}

func appendTLVMaps(b []byte, maps []TLVMap) []byte {
	for _, m := range maps {
		b = put16(put16(append(put16(b, m.Class), m.Option, m.Length), m.Index), 0)
	}
	return b
}

func (r *reader) tlvMaps() (maps []TLVMap) {
	for r.err == nil && len(r.b) > 0 {
		m := TLVMap{Class: r.u16(), Option: r.u8(), Length: r.u8(), Index: r.u16()}
		r.skip(2)
		maps = append(maps, m)
	}
	return maps
}

// Commands of TLVTableMod.
const (
	TLVAdd    = 0
	TLVDelete = 1
	TLVClear  = 2
)

// TLVTableMod changes the map of Geneve options. The table is shared by all
// bridges of an Open vSwitch.
type TLVTableMod struct {
	Command uint16
	Maps    []TLVMap
}

// Type is TypeExperimenter.
func (*TLVTableMod) Type() uint8 { return TypeExperimenter }
func (m *TLVTableMod) appendBody(b []byte) []byte {
	return appendTLVMaps(putZeros(put16(niciraMessage(b, nxtTLVTableMod), m.Command), 6), m.Maps)
}

// TLVTableRequest asks for the map of Geneve options.
type TLVTableRequest struct{}

// Type is TypeExperimenter.
func (*TLVTableRequest) Type() uint8 { return TypeExperimenter }
func (m *TLVTableRequest) appendBody(b []byte) []byte {
	return niciraMessage(b, nxtTLVTableRequest)
}

// TLVTableReply is the map of Geneve options.
type TLVTableReply struct {
	MaxOptionSpace uint32 // bytes
	MaxFields      uint16
	Maps           []TLVMap
}

// Type is TypeExperimenter.
func (*TLVTableReply) Type() uint8 { return TypeExperimenter }
func (m *TLVTableReply) appendBody(b []byte) []byte {
	b = put16(put32(niciraMessage(b, nxtTLVTableReply), m.MaxOptionSpace), m.MaxFields)
	return appendTLVMaps(putZeros(b, 10), m.Maps)
}

func decodeTLVTableReply(r *reader) Message {
	m := &TLVTableReply{MaxOptionSpace: r.u32(), MaxFields: r.u16()}
	r.skip(10)
	m.Maps = r.tlvMaps()
	return m
}

// PacketIn is a packet that a Controller action or a table miss sent here
// (NXT_PACKET_IN2).
type PacketIn struct {
	Packet       []byte // from its Ethernet header
	FullLen      uint32 // of the packet, when Packet is shorter; 0: it is whole
	BufferID     uint32
	Table        uint8
	Cookie       uint64 // of the flow that sent it
	Reason       uint8
	Metadata     Match // registers, metadata, tunnel and ingress port
	UserData     []byte
	Continuation []byte // opaque; for Resume, when the action had Pause
}

const (
	pinPacket = iota
	pinFullLen
	pinBufferID
	pinTable
	pinCookie
	pinReason
	pinMetadata
	pinUserData
	pinContinuation
)

// Type is TypeExperimenter.
func (*PacketIn) Type() uint8 { return TypeExperimenter }

func (m *PacketIn) appendBody(b []byte) []byte {
	return m.appendProperties(niciraMessage(b, nxtPacketIn2))
}

func (m *PacketIn) appendProperties(b []byte) []byte {
	if len(m.Packet) > 0 {
		b = property(b, pinPacket, m.Packet)
	}
	if m.FullLen != 0 {
		b = property(b, pinFullLen, put32(nil, m.FullLen))
	}
	if m.BufferID != 0 {
		b = property(b, pinBufferID, put32(nil, m.BufferID))
	}
	b = property(b, pinTable, []byte{m.Table})
	b = property(b, pinCookie, put64(put32(nil, 0), m.Cookie))
	b = property(b, pinReason, []byte{m.Reason})
	if !m.Metadata.Empty() {
		b = property(b, pinMetadata, m.Metadata.Encode())
	}
	if len(m.UserData) > 0 {
		b = property(b, pinUserData, m.UserData)
	}
	if len(m.Continuation) > 0 {
		b = property(b, pinContinuation, m.Continuation)
	}
	return b
}

func (r *reader) packetIn() *PacketIn {
	m := &PacketIn{}
	if r.err != nil {
		return m
	}
	r.err = eachTLV(r.what, r.b, func(typ uint16, body []byte) (err error) {
		p := reader{b: body, what: r.what}
		switch typ {
		case pinPacket:
			m.Packet = slices.Clone(body)
		case pinFullLen:
			m.FullLen = p.u32()
		case pinBufferID:
			m.BufferID = p.u32()
		case pinTable:
			m.Table = p.u8()
		case pinCookie:
			p.skip(4)
			m.Cookie = p.u64()
		case pinReason:
			m.Reason = p.u8()
		case pinMetadata:
			m.Metadata, p.err = ParseMatch(body)
		case pinUserData:
			m.UserData = slices.Clone(body)
		case pinContinuation:
			m.Continuation = slices.Clone(body)
		}
		return p.err
	})
	return m
}

// Resume lets a paused packet go on after the action that paused it. Packet and
// metadata, as far as Open vSwitch lets them be changed, replace what they were.
type Resume struct{ PacketIn }

func (m *Resume) appendBody(b []byte) []byte {
	return m.appendProperties(niciraMessage(b, nxtResume))
}

// PacketOut sends a packet through actions.
type PacketOut struct {
	Packet  []byte
	Match   Match // ingress port; other metadata is allowed
	Actions []byte
}

// Type is TypePacketOut.
func (*PacketOut) Type() uint8 { return TypePacketOut }

func (m *PacketOut) appendBody(b []byte) []byte {
	match := m.Match
	if match.index(FieldInPort) < 0 {
		match.Set(FieldInPort, PortController)
	}
	b = putZeros(put16(put32(b, noBuffer), uint16(len(m.Actions))), 2)
	b = appendMatch(b, match.Encode())
	return append(append(b, m.Actions...), m.Packet...)
}

func decodePacketOut(r *reader) Message {
	m := &PacketOut{}
	r.skip(4)
	n := int(r.u16())
	r.skip(2)
	tlvs := r.match()
	m.Actions = slices.Clone(r.take(n))
	m.Packet = slices.Clone(r.b)
	if r.err == nil {
		m.Match, r.err = ParseMatch(tlvs)
	}
	return m
}
