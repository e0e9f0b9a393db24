package vswitch

import (
	"encoding/binary"
	"fmt"
	"slices"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Types of messages that package openflow keeps raw.
const (
	typeGetConfigReply = 8
	typePortMod        = 16
	typeTableMod       = 17
	typeRoleRequest    = 24
	typeRoleReply      = 25
)

// handle carries out one message. An error is answered by an error message.
func (c *conn) handle(raw []byte) error {
	xid := xidOf(raw)
	switch raw[1] {
	case openflow.TypeFlowMod:
		return c.transaction(func(j *journal, _ *node) ([]result, error) {
			m, compiled, err := c.b.checkFlowMod(raw)
			if err != nil {
				return nil, err
			}
			return nil, c.b.flowMod(m, compiled, j)
		})
	case openflow.TypeGetConfigRequest:
		c.b.mu.Lock()
		size := c.missSendLen
		c.b.mu.Unlock()
		c.reply(xid, &openflow.RawMessage{MessageType: typeGetConfigReply, Body: binary.BigEndian.AppendUint16([]byte{0, 0}, size)})
		return nil
	case typePortMod, typeTableMod:
		return nil
	case typeRoleRequest:
		return c.roleRequest(raw)
	case openflow.TypePacketOut:
		return c.transaction(func(_ *journal, tr *node) ([]result, error) {
			m, actions, err := c.b.checkPacketOut(raw)
			if err != nil {
				return nil, err
			}
			return c.b.packetOut(m, actions, tr), nil
		})
	case openflow.TypeGroupMod:
		return c.transaction(func(j *journal, _ *node) ([]result, error) {
			m, err := checkGroupMod(raw)
			if err != nil {
				return nil, err
			}
			return nil, c.b.groupMod(m, j)
		})
	case openflow.TypeBundleAdd:
		return c.bundleAdd(raw)
	}
	m, _, err := openflow.DecodeMessage(raw)
	if err != nil {
		c.log.Debug("malformed OpenFlow message", "err", err)
		return refuse(etBadRequest, brcBadLen)
	}
	switch m := m.(type) {
	case *openflow.Hello, *openflow.EchoReply, *openflow.Error:
	case *openflow.EchoRequest:
		c.reply(xid, &openflow.EchoReply{Data: m.Data})
	case *openflow.FeaturesRequest:
		c.reply(xid, &openflow.FeaturesReply{DatapathID: c.b.opts.DatapathID, Tables: lastTable + 1, Capabilities: capabilities})
	case *openflow.BarrierRequest:
		c.reply(xid, &openflow.BarrierReply{})
	case *openflow.SetConfig:
		c.configure(func() { c.missSendLen = m.MissSendLen })
	case *openflow.SetAsync:
		c.configure(func() {
			for k, v := range m.Masks {
				c.async[k] = v
			}
		})
	case *openflow.GetAsyncRequest:
		c.b.mu.Lock()
		masks := map[uint16]uint32{}
		for k, v := range c.async {
			masks[k] = v
		}
		c.b.mu.Unlock()
		c.reply(xid, &openflow.GetAsyncReply{AsyncConfig: openflow.AsyncConfig{Masks: masks}})
	case *openflow.SetPacketInFormat:
		c.configure(func() { c.format = m.Format })
	case *openflow.SetControllerID:
		c.configure(func() { c.id = m.ID })
	case *openflow.CTFlushZone:
		c.b.ct.FlushZone(m.Zone)
	case *openflow.MeterMod:
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		return c.b.meterMod(m)
	case *openflow.TLVTableMod:
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		return c.b.tlvMod(m)
	case *openflow.TLVTableRequest:
		c.b.mu.Lock()
		r := c.b.tlvTable()
		c.b.mu.Unlock()
		c.reply(xid, r)
	case *openflow.Resume:
		return c.transaction(func(_ *journal, tr *node) ([]result, error) { return c.b.resume(m, tr) })
	case *openflow.MultipartRequest:
		return c.multipart(xid, m)
	case *openflow.BundleControl:
		return c.bundleControl(xid, m)
	default:
		return unknownMessage(raw)
	}
	return nil
}

// capabilities are those that Open vSwitch has: statistics of flows, tables,
// ports, groups and queues, and bundles.
const capabilities = 1 | 2 | 4 | 8 | 64 | 0x200

func unknownMessage(raw []byte) error {
	if raw[1] != openflow.TypeExperimenter {
		return refuse(etBadRequest, brcBadType)
	}
	if len(raw) >= 16 && binary.BigEndian.Uint32(raw[8:]) == vendorNicira {
		return refuse(etBadRequest, brcBadSubtype)
	}
	return refuse(etBadRequest, brcBadVendor)
}

func (c *conn) configure(fn func()) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	fn()
}

// transaction runs fn with the bridge locked. When it fails nothing has
// changed; packets that it sent go out afterwards.
func (c *conn) transaction(fn func(j *journal, tr *node) ([]result, error)) error {
	var j journal
	var tr *node
	if c.b.opts.TraceEmitted {
		tr = &node{}
	}
	c.b.mu.Lock()
	results, err := fn(&j, tr)
	if err != nil {
		j.rollback()
	} else {
		j.commit()
	}
	c.b.mu.Unlock()
	c.b.emit(results, tr)
	return err
}

// emit hands over what came of packets that no port received: those of
// controllers.
func (b *Bridge) emit(results []result, root *node) {
	out := b.deliver(results, new(int))
	if len(out) == 0 || b.opts.Emit == nil {
		return
	}
	var tr *Trace
	if root != nil {
		tr = &Trace{Bridge: b.opts.Name, Steps: root.steps()}
	}
	b.opts.Emit(out, tr)
}

func (c *conn) roleRequest(raw []byte) error {
	if len(raw) != 24 {
		return refuse(etBadRequest, brcBadLen)
	}
	role, generation := binary.BigEndian.Uint32(raw[8:]), binary.BigEndian.Uint64(raw[16:])
	if role > roleSlave {
		return refuse(11, 2)
	}
	c.b.mu.Lock()
	if role == rolePrimary || role == roleSlave {
		if c.b.elected && int64(generation-c.b.generation) < 0 {
			c.b.mu.Unlock()
			return refuse(11, 0)
		}
		c.b.elected, c.b.generation = true, generation
	}
	if role != roleNoChange {
		if role == rolePrimary {
			for o := range c.b.conns {
				if o.role == rolePrimary {
					o.role = roleSlave
				}
			}
		}
		c.role = role
	}
	generation = ^uint64(0)
	if c.b.elected {
		generation = c.b.generation
	}
	body := binary.BigEndian.AppendUint32(nil, c.role)
	body = binary.BigEndian.AppendUint32(body, 0)
	body = binary.BigEndian.AppendUint64(body, generation)
	c.b.mu.Unlock()
	c.reply(xidOf(raw), &openflow.RawMessage{MessageType: typeRoleReply, Body: body})
	return nil
}

// checkGroupMod checks a whole message.
func checkGroupMod(raw []byte) (*openflow.GroupMod, error) {
	if len(raw) < openflow.HeaderLen+16 {
		return nil, refuse(etBadRequest, brcBadLen)
	}
	m, _, err := openflow.DecodeMessage(raw)
	g, ok := m.(*openflow.GroupMod)
	if err != nil || !ok {
		return nil, refuse(etGroupMod, gmfcBadBucket)
	}
	switch {
	case g.Command > openflow.GroupRemoveBucket && g.Command != openflow.GroupAddOrModify || g.Command == 4:
		return nil, refuse(etGroupMod, gmfcBadCommand)
	case g.Group.GroupType > openflow.GroupFF:
		return nil, refuse(etGroupMod, gmfcBadType)
	}
	g.CommandBucketID = binary.BigEndian.Uint32(raw[openflow.HeaderLen+12:]) // 0 is a bucket
	return g, nil
}

// packetOutMatch is where the match is in the body of a packet-out.
const packetOutMatch = 8

// checkPacketOut checks a whole message.
func (b *Bridge) checkPacketOut(raw []byte) (*openflow.PacketOut, []openflow.Action, error) {
	decoded, _, err := openflow.DecodeMessage(raw)
	m, ok := decoded.(*openflow.PacketOut)
	if err != nil || !ok {
		return nil, nil, refuse(etBadRequest, brcBadLen)
	}
	if m.Match, _, err = b.pullMatch(raw[openflow.HeaderLen+packetOutMatch:]); err != nil {
		return nil, nil, err
	}
	in, ok := m.Match.Uint(openflow.FieldInPort)
	if !ok {
		return nil, nil, refuse(etBadRequest, brcBadPort)
	}
	if p, ok := packet.PortFrom32(uint32(in)); !ok || p >= portMax && p != portLocal && p != portNone && p != portController {
		return nil, nil, refuse(etBadRequest, brcBadPort)
	}
	// The actions must go with the packet, as those of a flow with its match.
	c := checker{}
	if err := c.list(m.Actions); err != nil {
		return nil, nil, err
	}
	var s packet.State
	packet.Parse(m.Packet, &s)
	c.match = impliedMatch(&s.Key)
	if err := c.consistent(); err != nil {
		return nil, nil, err
	}
	if err := b.references(flatten(nil, c.actions)); err != nil {
		return nil, nil, err
	}
	return m, c.actions, nil
}

// impliedMatch is what of a packet decides which fields it has.
func impliedMatch(k *packet.Key) (m openflow.Match) {
	m.Set(openflow.FieldEthType, uint64(k.EthType()))
	if k.VLANTCI() != 0 {
		m.Set(openflow.FieldVLANVID, uint64(k.VLANTCI()&0x1fff))
	}
	if k.IsIP() {
		m.Set(openflow.FieldIPProto, uint64(k.Proto()))
	}
	if k.Meets(openflow.RequiresICMPv6) {
		m.Set(openflow.FieldICMPv6Type, uint64(k.PortSrc()))
		m.Set(openflow.FieldICMPv6Code, uint64(k.PortDst()))
	}
	return m
}

// Limits of the map of Geneve options.
const (
	maxTLVSpace  = 256
	maxTLVFields = 64
	maxTLVLength = 124
)

func (b *Bridge) tlvMod(m *openflow.TLVTableMod) error {
	switch m.Command {
	case openflow.TLVAdd:
		next := b.tlvCopy()
		for _, t := range m.Maps {
			switch _, index := next[t.Index]; {
			case t.Index >= maxTLVFields:
				return refuseVendor(nxTTMBadIndex)
			case t.Length == 0 || t.Length%4 != 0 || t.Length > maxTLVLength:
				return refuseVendor(nxTTMBadOptLen)
			case index:
				return refuseVendor(nxTTMMapped)
			}
			for _, o := range next {
				if o.Class == t.Class && o.Option == t.Option {
					return refuseVendor(nxTTMDup)
				}
			}
			next[t.Index] = t
		}
		if used := space(next); used > maxTLVSpace {
			return refuseVendor(nxTTMTableFull)
		}
		b.setTLV(next)
	case openflow.TLVDelete, openflow.TLVClear:
		next := map[uint16]openflow.TLVMap{}
		if m.Command == openflow.TLVDelete {
			next = b.tlvCopy()
			for _, t := range m.Maps {
				delete(next, t.Index)
			}
		}
		for i := range b.tlv {
			if _, kept := next[i]; !kept && b.optionInUse(i) {
				return refuseVendor(nxInvalidTLVDel)
			}
		}
		b.setTLV(next)
	default:
		return refuseVendor(nxTTMBadCommand)
	}
	return nil
}

func space(maps map[uint16]openflow.TLVMap) (n int) {
	for _, t := range maps {
		n += int(t.Length)
	}
	return n
}

func (b *Bridge) tlvCopy() map[uint16]openflow.TLVMap {
	c := map[uint16]openflow.TLVMap{}
	for k, v := range b.tlv {
		c[k] = v
	}
	return c
}

func (b *Bridge) setTLV(maps map[uint16]openflow.TLVMap) {
	b.tlv, b.byTLV = maps, map[optionKey]int{}
	for i, t := range maps {
		b.byTLV[optionKey{t.Class, t.Option}] = int(i)
	}
}

// optionInUse tells whether a flow matches or writes the field of an option.
func (b *Bridge) optionInUse(index uint16) bool {
	if index >= packet.TunnelOptions {
		return false
	}
	field := openflow.FieldTunMetadata(int(index))
	name := fmt.Sprintf("tun_metadata%d", index)
	for i := range b.tables {
		for r := range b.tables[i].All() {
			m, err := openflow.ParseMatch(r.Value.Match)
			if err == nil && slices.Contains(m.Fields(), field) {
				return true
			}
			for _, a := range r.Value.prog.all() {
				switch a := a.(type) {
				case openflow.SetField:
					if a.Field == field {
						return true
					}
				case openflow.Move:
					if a.Src.Field == field || a.Dst.Field == field {
						return true
					}
				case openflow.DeleteField:
					if a.Field.Name == name {
						return true
					}
				}
			}
		}
	}
	return false
}

func (b *Bridge) tlvTable() *openflow.TLVTableReply {
	r := &openflow.TLVTableReply{MaxOptionSpace: maxTLVSpace, MaxFields: maxTLVFields}
	for i := range uint16(maxTLVFields) {
		if t, ok := b.tlv[i]; ok {
			r.Maps = append(r.Maps, t)
		}
	}
	return r
}
