package vswitch

import (
	"encoding/binary"

	"govn/pkg/openflow"
)

// Roles of a controller (OpenFlow 1.5, section 7.3.9).
const (
	roleNoChange = 0
	roleEqual    = 1
	rolePrimary  = 2
	roleSlave    = 3
)

// wants tells whether a connection gets messages of a kind for a reason.
// Properties of those that are slave are one lower.
func (c *conn) wants(property uint16, reason uint8) bool {
	if c.role == roleSlave {
		property--
	}
	return c.async[property]&(1<<reason) != 0
}

// tellPort tells the controllers about a port; the bridge is locked.
func (b *Bridge) tellPort(reason uint8, p *Port) {
	for c := range b.conns {
		if c.wants(openflow.AsyncPortStatus, reason) {
			c.tell(&openflow.PortStatus{Reason: reason, Port: p.description()})
		}
	}
}

// tellRemoved tells the controllers that a flow has gone; the bridge is locked.
func (b *Bridge) tellRemoved(f *flow, reason uint8) {
	m := &openflow.FlowRemoved{Reason: reason, Stats: f.stats(b.opts.Now())}
	for c := range b.conns {
		if c.wants(openflow.AsyncFlowRemoved, reason) {
			c.tell(m)
		}
	}
}

// tellPacket sends a packet to the controllers of an id; the bridge is locked.
// A connection gets packets once it has said how long they may be.
func (b *Bridge) tellPacket(in *openflow.PacketIn, id uint16) {
	for c := range b.conns {
		if c.missSendLen == 0 || c.id != id || !c.wants(openflow.AsyncPacketIn, in.Reason) {
			continue
		}
		if c.format == openflow.PacketInNXT2 {
			c.tell(in)
		} else if len(in.Continuation) == 0 {
			c.tell(standardPacketIn(in))
		}
	}
}

// standardPacketIn is a packet-in in OpenFlow's own form, which has no userdata.
func standardPacketIn(in *openflow.PacketIn) openflow.Message {
	b := binary.BigEndian.AppendUint32(nil, noBuffer)
	b = binary.BigEndian.AppendUint16(b, uint16(len(in.Packet)))
	b = append(b, in.Reason, in.Table)
	b = binary.BigEndian.AppendUint64(b, in.Cookie)
	match := in.Metadata.Encode()
	b = binary.BigEndian.AppendUint16(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(match)))
	b = append(b, match...)
	b = append(b, make([]byte, -(4+len(match))&7+2)...)
	return &openflow.RawMessage{MessageType: openflow.TypePacketIn, Body: append(b, in.Packet...)}
}
