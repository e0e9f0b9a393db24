package vswitch

import (
	"encoding/binary"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Instructions of OpenFlow 1.5 (section 5.9).
const (
	instGoto          = 1
	instWriteMetadata = 2
	instWriteActions  = 3
	instApply         = 4
	instClearActions  = 5
	instMeter         = 6
)

// program is the decoded instructions of a flow.
type program struct {
	meter        uint32 // 0: none
	actions      []openflow.Action
	clear        bool
	write        []openflow.Action
	metadata     uint64
	metadataMask uint64
	next         int // table to go to, -1: none
}

// newProgram decodes checked bytes.
func newProgram(actions, instructions []byte) (p program, err error) {
	p.next = -1
	if p.actions, err = openflow.DecodeActions(actions); err != nil {
		return p, err
	}
	for b := instructions; len(b) >= 8; b = b[binary.BigEndian.Uint16(b[2:]):] {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 8 || n > len(b) {
			return p, refuse(etBadInst, bicBadLen)
		}
		switch binary.BigEndian.Uint16(b) {
		case instGoto:
			p.next = int(b[4])
		case instWriteMetadata:
			if n < 24 {
				return p, refuse(etBadInst, bicBadLen)
			}
			p.metadata, p.metadataMask = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
		case instWriteActions:
			if p.write, err = openflow.DecodeActions(b[8:n]); err != nil {
				return p, err
			}
		case instClearActions:
			p.clear = true
		case instMeter:
			p.meter = binary.BigEndian.Uint32(b[4:])
		default:
			return p, refuse(etBadInst, bicUnknown)
		}
	}
	return p, nil
}

// all lists the actions, nested ones too.
func (p *program) all() []openflow.Action {
	list := flatten(flatten(nil, p.actions), p.write)
	if p.meter != 0 {
		list = append(list, openflow.Meter{ID: p.meter})
	}
	return list
}

func flatten(list, actions []openflow.Action) []openflow.Action {
	for _, a := range actions {
		list = append(list, a)
		switch a := a.(type) {
		case openflow.Clone:
			list = flatten(list, a.Actions)
		case openflow.CT:
			list = flatten(list, a.Actions)
		}
	}
	return list
}

func (p *program) conjunctions() (list []openflow.Conjunction) {
	for _, a := range p.actions {
		if c, ok := a.(openflow.Conjunction); ok {
			list = append(list, c)
		}
	}
	return list
}

func (p *program) outputs(port uint32) bool {
	for _, a := range p.all() {
		switch a := a.(type) {
		case openflow.Output:
			if a.Port == port {
				return true
			}
		case openflow.Bundle:
			for _, m := range a.Members {
				if packet.PortTo32(m) == port {
					return true
				}
			}
		}
	}
	return false
}

func (p *program) usesGroup(id uint32) bool {
	for _, a := range p.all() {
		if g, ok := a.(openflow.Group); ok && g.ID == id {
			return true
		}
	}
	return false
}

// references checks that groups and meters of actions are there.
func (b *Bridge) references(actions []openflow.Action) error {
	for _, a := range actions {
		switch a := a.(type) {
		case openflow.Group:
			if b.groups[a.ID] == nil {
				return refuse(etBadAction, bacBadOutGroup)
			}
		case openflow.Meter:
			if b.meters[a.ID] == nil {
				return refuse(etMeterMod, mmfcInvalid)
			}
		case openflow.Controller:
			if a.MeterID != 0 && b.meters[a.MeterID] == nil {
				return refuse(etMeterMod, mmfcInvalid)
			}
		}
	}
	return nil
}
