package vswitch

import (
	"encoding/binary"
	"fmt"
	"slices"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// frozen is what is left to do of a packet that waits for NXT_RESUME.
type frozen struct {
	action openflow.Controller
	frames []frame // innermost first
}

// frame is the rest of a list of actions, with the flow that it is of.
type frame struct {
	table   uint8
	cookie  uint64
	actions []openflow.Action
}

// controller is the action that hands the packet to a controller.
func (x *execution) controller(a openflow.Controller) {
	if !a.Pause {
		x.packetIn(a)
		return
	}
	x.frozen = &frozen{action: a}
}

// freeze sends the paused packet with its continuation.
func (x *execution) freeze() {
	f := x.frozen
	x.frozen = nil
	// Open vSwitch does not say which table it was.
	table := x.table
	x.table = 0
	x.sendPacketIn(f.action, x.continuation(f))
	x.table = table
}

func (x *execution) packetIn(a openflow.Controller) { x.sendPacketIn(a, nil) }

func (x *execution) sendPacketIn(a openflow.Controller, continuation []byte) {
	if a.MeterID != 0 && !x.b.meterPass(a.MeterID, x.now, len(x.data)) {
		x.tr.note("the meter drops the packet to the controller")
		return
	}
	data := packet.Rewrite(x.data, x.layout, &x.base, &x.cur)
	in := &openflow.PacketIn{
		Packet: data, BufferID: noBuffer, // all of it: without buffers Open vSwitch ignores max_len
		Table: x.table, Cookie: x.cookie, Reason: a.Reason,
		Metadata: metadata(&x.cur.Key), UserData: a.UserData, Continuation: continuation,
	}
	b, id := x.b, a.ControllerID
	*x.results = append(*x.results, result{notify: func() { b.tellPacket(in, id) }})
}

const noBuffer = 0xffffffff

// metadata is what a packet-in says of a packet besides its bytes: what is not
// zero.
func metadata(k *packet.Key) (m openflow.Match) {
	m.Set(openflow.FieldInPort, uint64(packet.PortTo32(k.InPort())))
	for _, f := range metadataFields {
		if v := k.Get(f); v != (packet.U128{}) {
			m.SetBytes(f, v.Bytes(f.Size()), nil)
		}
	}
	for i := range packet.TunnelOptions {
		if v, ok := k.TunOption(i); ok {
			m.Set(openflow.FieldTunMetadata(i), uint64(v))
		}
	}
	return m
}

var metadataFields = func() []*openflow.Field {
	list := []*openflow.Field{
		openflow.FieldMetadata, openflow.FieldTunID, openflow.FieldTunSrc, openflow.FieldTunDst,
		openflow.FieldTunIPv6Src, openflow.FieldTunIPv6Dst, openflow.FieldPktMark,
		openflow.FieldCTState, openflow.FieldCTZone, openflow.FieldCTMark, openflow.FieldCTLabel,
		openflow.FieldCTNwProto, openflow.FieldCTNwSrc, openflow.FieldCTNwDst, openflow.FieldCTIPv6Src,
		openflow.FieldCTIPv6Dst, openflow.FieldCTTPSrc, openflow.FieldCTTPDst,
	}
	for i := range 16 {
		list = append(list, openflow.FieldReg(i))
	}
	return list
}()

// Properties of a continuation, as Open vSwitch 3.1 writes them.
const (
	contBridge    = 0x8000
	contStack     = 0x8001
	contTable     = 0x8004
	contCookie    = 0x8005
	contActions   = 0x8006
	contActionSet = 0x8007
)

// continuation encodes what is left to do: the bridge's identity, the stack
// from its bottom, the frames, the action set.
func (x *execution) continuation(f *frozen) []byte {
	id := x.b.identity()
	b := property(make([]byte, 4), contBridge, id[:])
	for _, v := range x.stack {
		b = property(b, contStack, v.Bytes(16))
	}
	for _, fr := range f.frames {
		b = property(b, contTable, []byte{fr.table})
		b = property(b, contCookie, binary.BigEndian.AppendUint64(make([]byte, 4), fr.cookie))
		b = property(b, contActions, append(make([]byte, 4), openflow.EncodeActions(fr.actions)...))
	}
	if len(x.actionSet) > 0 {
		b = property(b, contActionSet, append(make([]byte, 4), openflow.EncodeActions(x.actionSet)...))
	}
	return b
}

// property appends a property, padded to eight bytes.
func property(b []byte, typ uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -(4+len(value))&7)...)
}

// identity tells the bridges of a fabric apart in continuations.
func (b *Bridge) identity() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], b.opts.DatapathID)
	copy(id[8:], b.opts.Name)
	return id
}

// resume goes on with a paused packet, whose bytes and metadata the controller
// may have changed.
func (b *Bridge) resume(m *openflow.Resume, tr *node) ([]result, error) {
	x := b.newExecution(m.Packet, tr)
	setMetadata(&x.cur.Key, &m.Metadata)
	x.cur.Key.SetActsetOutput(openflow.PortUnset)
	x.base = x.cur
	var frames []frame
	current := frame{cookie: ^uint64(0)}
	id := b.identity()
	known := false
	err := eachProperty(m.Continuation, func(typ uint16, v []byte) (err error) {
		switch typ {
		case contBridge:
			known = len(v) >= 16 && slices.Equal(v[:16], id[:])
		case contStack:
			x.stack = append(x.stack, packet.Number(v[:min(16, len(v))]))
		case contTable:
			if len(v) > 0 {
				current.table = v[0]
			}
		case contCookie:
			if len(v) >= 12 {
				current.cookie = binary.BigEndian.Uint64(v[4:])
			}
		case contActions, contActionSet:
			if len(v) < 4 {
				return refuse(etBadRequest, brcBadLen)
			}
			current.actions, err = openflow.DecodeActions(v[4:])
			if err != nil {
				return fmt.Errorf("continuation: %w", err)
			}
			if typ == contActions {
				frames = append(frames, current)
			} else {
				x.actionSet = current.actions
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, refuseVendor(nxrStale)
	}
	for i, f := range frames {
		if x.exit || *x.failed != "" {
			break
		}
		x.table, x.cookie = f.table, f.cookie
		x.run(f.actions)
		if x.frozen != nil {
			x.frozen.frames = append(x.frozen.frames, frames[i+1:]...)
			break
		}
	}
	return x.finish(), nil
}

const nxrStale = 35

// setMetadata writes what a packet-out or a resumed packet says of itself.
func setMetadata(k *packet.Key, m *openflow.Match) {
	m.Entries(func(f *openflow.Field, v, mask []byte) {
		if f != nil {
			k.SetMasked(f, packet.Number(v), packet.Number(mask))
		}
	})
}

func eachProperty(b []byte, fn func(typ uint16, v []byte) error) error {
	if len(b) < 4 {
		return refuse(etBadRequest, brcBadLen)
	}
	for b = b[4:]; len(b) >= 4; {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 4 || n > len(b) {
			return refuse(etBadRequest, brcBadLen)
		}
		if err := fn(binary.BigEndian.Uint16(b), b[4:n]); err != nil {
			return err
		}
		b = b[min((n+7)&^7, len(b)):]
	}
	return nil
}

// packetOut runs the actions of a packet-out.
func (b *Bridge) packetOut(m *openflow.PacketOut, actions []openflow.Action, tr *node) []result {
	x := b.newExecution(m.Packet, tr)
	x.packetOut = true
	setMetadata(&x.cur.Key, &m.Match)
	x.cur.Key.SetActsetOutput(openflow.PortUnset)
	x.base = x.cur
	x.run(actions)
	return x.finish()
}
