package openflow

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Version is the version byte of OpenFlow 1.5.
const Version = 0x06

// Types of messages (section 7.1.1).
const (
	TypeHello            = 0
	TypeError            = 1
	TypeEchoRequest      = 2
	TypeEchoReply        = 3
	TypeExperimenter     = 4
	TypeFeaturesRequest  = 5
	TypeFeaturesReply    = 6
	TypeGetConfigRequest = 7
	TypeGetConfigReply   = 8
	TypeSetConfig        = 9
	TypePacketIn         = 10
	TypeFlowRemoved      = 11
	TypePortStatus       = 12
	TypePacketOut        = 13
	TypeFlowMod          = 14
	TypeGroupMod         = 15
	TypeMultipartRequest = 18
	TypeMultipartReply   = 19
	TypeBarrierRequest   = 20
	TypeBarrierReply     = 21
	TypeGetAsyncRequest  = 26
	TypeGetAsyncReply    = 27
	TypeSetAsync         = 28
	TypeMeterMod         = 29
	TypeBundleControl    = 33
	TypeBundleAdd        = 34
)

// HeaderLen is the size of a message's header:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|    version    |     type      |            length             |
//	+---------------+---------------+-------------------------------+
//	|                              xid                              |
//	+---------------------------------------------------------------+
const HeaderLen = 8

// MaxMessage is the length of the longest message, header included.
const MaxMessage = 65535

// Message is an OpenFlow message without its transaction id.
type Message interface {
	// Type is the type in the header.
	Type() uint8
	// appendBody appends what follows the header; offsets in it are relative
	// to a header that starts at a multiple of eight.
	appendBody(b []byte) []byte
}

// AppendMessage appends a message with its header. It fails when the message is
// longer than 65,535 bytes.
func AppendMessage(b []byte, xid uint32, m Message) ([]byte, error) {
	start := len(b)
	b = append(b, Version, m.Type(), 0, 0)
	b = m.appendBody(put32(b, xid))
	n := len(b) - start
	if n > MaxMessage {
		return b[:start], fmt.Errorf("%w: message of %d bytes", ErrTooLong, n)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	return b, nil
}

// EncodeMessage returns a message with its header.
func EncodeMessage(xid uint32, m Message) ([]byte, error) { return AppendMessage(nil, xid, m) }

// messageDecoders decode what follows the header.
var messageDecoders = map[uint8]func(r *reader) Message{
	TypeHello:            decodeHello,
	TypeError:            decodeError,
	TypeEchoRequest:      func(r *reader) Message { return &EchoRequest{Data: slices.Clone(r.b)} },
	TypeEchoReply:        func(r *reader) Message { return &EchoReply{Data: slices.Clone(r.b)} },
	TypeExperimenter:     decodeExperimenter,
	TypeFeaturesRequest:  func(*reader) Message { return &FeaturesRequest{} },
	TypeFeaturesReply:    decodeFeatures,
	TypeSetConfig:        func(r *reader) Message { return &SetConfig{Flags: r.u16(), MissSendLen: r.u16()} },
	TypeFlowRemoved:      decodeFlowRemoved,
	TypePortStatus:       decodePortStatus,
	TypePacketOut:        decodePacketOut,
	TypeFlowMod:          decodeFlowMod,
	TypeGroupMod:         decodeGroupMod,
	TypeMultipartRequest: decodeMultipartRequest,
	TypeMultipartReply:   decodeMultipartReply,
	TypeBarrierRequest:   func(*reader) Message { return &BarrierRequest{} },
	TypeBarrierReply:     func(*reader) Message { return &BarrierReply{} },
	TypeGetAsyncRequest:  func(*reader) Message { return &GetAsyncRequest{} },
	TypeGetAsyncReply:    func(r *reader) Message { return &GetAsyncReply{decodeAsync(r)} },
	TypeSetAsync:         func(r *reader) Message { return &SetAsync{decodeAsync(r)} },
	TypeMeterMod:         decodeMeterMod,
	TypeBundleControl:    decodeBundleControl,
}

func init() { messageDecoders[TypeBundleAdd] = decodeBundleAdd }

// messageNames name the types in errors.
var messageNames = func() (names [256]string) {
	for i := range names {
		names[i] = fmt.Sprintf("message type %d", i)
	}
	return names
}()

// DecodeMessage decodes one whole message. The result shares no memory with b.
// Types that it does not know become *RawMessage. Any version is accepted of
// hello and error, only 1.5 of others.
func DecodeMessage(b []byte) (m Message, xid uint32, err error) {
	if len(b) < HeaderLen {
		return nil, 0, malformed("message of %d bytes", len(b))
	}
	typ, n := b[1], int(be16(b[2:]))
	xid = be32(b[4:])
	if n != len(b) {
		return nil, xid, malformed("message type %d: length %d of %d", typ, n, len(b))
	}
	if b[0] != Version && typ != TypeHello && typ != TypeError {
		return nil, xid, malformed("message type %d: version %#x", typ, b[0])
	}
	r := &reader{b: b[HeaderLen:], what: messageNames[typ], version: b[0]}
	decode := messageDecoders[typ]
	if decode == nil {
		return &RawMessage{MessageType: typ, Body: slices.Clone(r.b)}, xid, nil
	}
	m = decode(r)
	if r.err != nil {
		return nil, xid, r.err
	}
	return m, xid, nil
}

// RawMessage is a message that this package does not know.
type RawMessage struct {
	MessageType uint8
	Body        []byte
}

// Type is the type in the header.
func (m *RawMessage) Type() uint8                { return m.MessageType }
func (m *RawMessage) appendBody(b []byte) []byte { return append(b, m.Body...) }

// Hello opens a connection: the versions that the sender can speak.
type Hello struct {
	Versions uint32 // bit n: version n; bit 6 is OpenFlow 1.5
}

// Type is TypeHello.
func (*Hello) Type() uint8 { return TypeHello }
func (m *Hello) appendBody(b []byte) []byte {
	return put32(put16(put16(b, 1), 8), m.Versions)
}

func decodeHello(r *reader) Message {
	// Without a bitmap the version of the header is the only one.
	m := &Hello{Versions: 1 << r.version}
	r.err = eachTLV("hello", r.b, func(typ uint16, body []byte) error {
		if typ == 1 && len(body) >= 4 {
			m.Versions = be32(body)
		}
		return nil
	})
	return m
}

// EchoRequest asks for an EchoReply with the same data.
type EchoRequest struct{ Data []byte }

// Type is TypeEchoRequest.
func (*EchoRequest) Type() uint8                  { return TypeEchoRequest }
func (m *EchoRequest) appendBody(b []byte) []byte { return append(b, m.Data...) }

// EchoReply answers an EchoRequest.
type EchoReply struct{ Data []byte }

// Type is TypeEchoReply.
func (*EchoReply) Type() uint8                  { return TypeEchoReply }
func (m *EchoReply) appendBody(b []byte) []byte { return append(b, m.Data...) }

// FeaturesRequest asks for a FeaturesReply.
type FeaturesRequest struct{}

// Type is TypeFeaturesRequest.
func (*FeaturesRequest) Type() uint8                { return TypeFeaturesRequest }
func (*FeaturesRequest) appendBody(b []byte) []byte { return b }

// FeaturesReply describes the switch.
type FeaturesReply struct {
	DatapathID   uint64
	Buffers      uint32
	Tables       uint8
	AuxiliaryID  uint8
	Capabilities uint32
}

// Type is TypeFeaturesReply.
func (*FeaturesReply) Type() uint8 { return TypeFeaturesReply }
func (m *FeaturesReply) appendBody(b []byte) []byte {
	b = append(put32(put64(b, m.DatapathID), m.Buffers), m.Tables, m.AuxiliaryID, 0, 0)
	return put32(put32(b, m.Capabilities), 0)
}

func decodeFeatures(r *reader) Message {
	m := &FeaturesReply{DatapathID: r.u64(), Buffers: r.u32(), Tables: r.u8(), AuxiliaryID: r.u8()}
	r.skip(2)
	m.Capabilities = r.u32()
	return m
}

// SetConfig sets how the switch treats packets that it sends here.
type SetConfig struct {
	Flags       uint16 // fragments: 0 normal
	MissSendLen uint16 // bytes of a packet that are sent; 65535: all
}

// Type is TypeSetConfig.
func (*SetConfig) Type() uint8                  { return TypeSetConfig }
func (m *SetConfig) appendBody(b []byte) []byte { return put16(put16(b, m.Flags), m.MissSendLen) }

// BarrierRequest is answered when everything before it has been done.
type BarrierRequest struct{}

// Type is TypeBarrierRequest.
func (*BarrierRequest) Type() uint8                { return TypeBarrierRequest }
func (*BarrierRequest) appendBody(b []byte) []byte { return b }

// BarrierReply answers a BarrierRequest.
type BarrierReply struct{}

// Type is TypeBarrierReply.
func (*BarrierReply) Type() uint8                { return TypeBarrierReply }
func (*BarrierReply) appendBody(b []byte) []byte { return b }

// AsyncConfig says which messages the switch sends by itself: bits by reason,
// by the property's type of OpenFlow 1.4 (section A.3.10).
type AsyncConfig struct {
	Masks map[uint16]uint32
}

// Properties of AsyncConfig, for a controller that is master or equal.
const (
	AsyncPacketIn    = 1
	AsyncPortStatus  = 3
	AsyncFlowRemoved = 5
)

func (a AsyncConfig) append(b []byte) []byte {
	types := make([]uint16, 0, len(a.Masks))
	for t := range a.Masks {
		types = append(types, t)
	}
	slices.Sort(types)
	for _, t := range types {
		b = put32(put16(put16(b, t), 8), a.Masks[t])
	}
	return b
}

func decodeAsync(r *reader) AsyncConfig {
	a := AsyncConfig{Masks: map[uint16]uint32{}}
	r.err = eachTLV("async config", r.b, func(typ uint16, body []byte) error {
		if len(body) >= 4 {
			a.Masks[typ] = be32(body)
		}
		return nil
	})
	return a
}

// SetAsync sets an AsyncConfig.
type SetAsync struct{ AsyncConfig }

// Type is TypeSetAsync.
func (*SetAsync) Type() uint8                  { return TypeSetAsync }
func (m *SetAsync) appendBody(b []byte) []byte { return m.append(b) }

// GetAsyncRequest asks for the AsyncConfig.
type GetAsyncRequest struct{}

// Type is TypeGetAsyncRequest.
func (*GetAsyncRequest) Type() uint8                { return TypeGetAsyncRequest }
func (*GetAsyncRequest) appendBody(b []byte) []byte { return b }

// GetAsyncReply is the AsyncConfig.
type GetAsyncReply struct{ AsyncConfig }

// Type is TypeGetAsyncReply.
func (*GetAsyncReply) Type() uint8                  { return TypeGetAsyncReply }
func (m *GetAsyncReply) appendBody(b []byte) []byte { return m.append(b) }

// Bundle control types and flags.
const (
	BundleOpenRequest    = 0
	BundleOpenReply      = 1
	BundleCloseRequest   = 2
	BundleCloseReply     = 3
	BundleCommitRequest  = 4
	BundleCommitReply    = 5
	BundleDiscardRequest = 6
	BundleDiscardReply   = 7

	BundleAtomic  = 1
	BundleOrdered = 2
)

// BundleControl opens, closes, commits or discards a bundle.
type BundleControl struct {
	ID      uint32
	Control uint16 // BundleOpenRequest and others
	Flags   uint16
}

// Type is TypeBundleControl.
func (*BundleControl) Type() uint8 { return TypeBundleControl }
func (m *BundleControl) appendBody(b []byte) []byte {
	return put16(put16(put32(b, m.ID), m.Control), m.Flags)
}

func decodeBundleControl(r *reader) Message {
	return &BundleControl{ID: r.u32(), Control: r.u16(), Flags: r.u16()}
}

// BundleAdd puts a message into a bundle. Open vSwitch takes flow, group and
// packet-out messages.
type BundleAdd struct {
	ID      uint32
	Flags   uint16 // of the bundle
	XID     uint32 // of Message: must be that of the BundleAdd
	Message Message
}

// Type is TypeBundleAdd.
func (*BundleAdd) Type() uint8 { return TypeBundleAdd }
func (m *BundleAdd) appendBody(b []byte) []byte {
	b = put16(put16(put32(b, m.ID), 0), m.Flags)
	start := len(b)
	b = append(b, Version, m.Message.Type(), 0, 0)
	b = m.Message.appendBody(put32(b, m.XID))
	return setLen(b, start, 2)
}

func decodeBundleAdd(r *reader) Message {
	m := &BundleAdd{ID: r.u32()}
	r.skip(2)
	m.Flags = r.u16()
	if r.err != nil || len(r.b) < HeaderLen {
		r.fail("no message inside")
		return m
	}
	if r.b[1] == TypeBundleAdd {
		r.fail("a bundle inside of a bundle")
		return m
	}
	n := int(be16(r.b[2:]))
	if n > len(r.b) {
		r.fail("message of %d bytes in %d", n, len(r.b))
		return m
	}
	m.Message, m.XID, r.err = DecodeMessage(r.b[:n])
	return m
}
