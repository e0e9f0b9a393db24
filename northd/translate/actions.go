package translate

import (
	"encoding/binary"
	"fmt"

	"govn/northd/pipeline"
	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// compiler translates the actions of one flow.
type compiler struct {
	stage    *pipeline.Stage
	flow     uint32 // id of the logical flow
	keys     PortKeys
	out      []openflow.Action
	nested   logical.NestKind // of the actions inside of another one; "": none
	argument uint32           // for the userdata of that one

	group  uint32  // allocated id for the group of the flow; 0: none
	groups []Group // that the actions use

	places Places   // of ports that is_chassis_resident asks for; nil: it cannot
	fields []string // that choices depend on
}

func (c *compiler) add(a ...openflow.Action) { c.out = append(c.out, a...) }

// base is the OpenFlow table of logical table 0 of a direction.
func base(d pipeline.Direction) uint8 {
	if d == pipeline.Egress {
		return abi.TableEgress
	}
	return abi.TableIngress
}

func resubmit(table uint8) openflow.Action {
	return openflow.ToTable(table)
}

func (c *compiler) all(list []logical.Action) error {
	for _, a := range list {
		if err := c.one(a); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) one(a logical.Action) error {
	switch a := a.(type) {
	case *logical.Next:
		return c.next(a)
	case *logical.Output:
		if c.stage.Direction == pipeline.Ingress {
			c.add(resubmit(abi.TableRemoteOutput))
		} else {
			c.add(resubmit(abi.TableSaveInport))
		}
		return nil
	case *logical.Drop:
		return nil
	case *logical.Set:
		return c.set(a)
	case *logical.Move:
		return c.move(a.Dst, a.Src)
	case *logical.Exchange:
		return c.exchange(a)
	case *logical.DecTTL:
		c.add(openflow.DecTTL{})
		return nil
	case *logical.Push:
		sub, err := subfield(a.Field)
		c.add(openflow.StackPush{Src: sub})
		return err
	case *logical.Pop:
		sub, err := subfield(a.Field)
		c.add(openflow.StackPop{Dst: sub})
		return err
	case *logical.Nest:
		return c.nest(a)
	case *logical.Call:
		return c.call(a)
	case *logical.Options:
		return c.options(a)
	}
	return fmt.Errorf("the action %T cannot be compiled", a)
}

// subfield is the place of a logical field.
func subfield(l *logical.Field) (openflow.Subfield, error) {
	f, low, err := place(l)
	if err != nil {
		return openflow.Subfield{}, err
	}
	if l.Kind == logical.String {
		return openflow.Whole(f), nil
	}
	return openflow.Bits(f, low, low+l.Bits-1), nil
}

func (c *compiler) next(a *logical.Next) error {
	direction := c.stage.Direction
	switch a.Pipeline {
	case logical.Ingress:
		direction = pipeline.Ingress
	case logical.Egress:
		direction = pipeline.Egress
	}
	table := a.Table
	if table < 0 {
		table = int(c.stage.Table) + 1
	}
	limit := abi.IngressTables
	if direction == pipeline.Egress {
		limit = abi.EgressTables
	}
	if table >= limit {
		return fmt.Errorf("there is no table %d in the %s pipeline", table, direction)
	}
	c.add(resubmit(base(direction) + uint8(table)))
	return nil
}

func (c *compiler) set(a *logical.Set) error {
	if fragMTU[a.Field.Name] {
		return c.fragMTU(a)
	}
	f, low, err := place(a.Field)
	if err != nil {
		return err
	}
	if a.Field.Kind == logical.String {
		key, err := c.keys.key(a.Value.Text)
		if err != nil {
			return err
		}
		c.add(openflow.SetUint(f, uint64(key)))
		return nil
	}
	mask := logical.Ones(a.Field.Bits)
	if a.Value.Masked {
		mask = a.Value.Mask
	}
	v, m := a.Value.Value.Shl(low).Bytes(), mask.Shl(low).Bytes()
	c.add(openflow.SetBytes(f, rightmost(&v, f), rightmost(&m, f)))
	return nil
}

// setBit loads one bit of a register.
func setBit(reg, bit int, v bool) openflow.Action {
	n := uint64(0)
	if v {
		n = 1
	}
	return openflow.SetBits(openflow.FieldReg(reg), bit, bit, n)
}

func (c *compiler) move(dst, src *logical.Field) error {
	d, err := subfield(dst)
	if err != nil {
		return err
	}
	s, err := subfield(src)
	if err != nil {
		return err
	}
	c.add(openflow.Move{Src: s, Dst: d})
	return nil
}

func (c *compiler) exchange(a *logical.Exchange) error {
	x, err := subfield(a.A)
	if err != nil {
		return err
	}
	y, err := subfield(a.B)
	if err != nil {
		return err
	}
	c.add(openflow.StackPush{Src: x}, openflow.StackPush{Src: y}, openflow.StackPop{Dst: x}, openflow.StackPop{Dst: y})
	return nil
}

// nest hands the packet to the controller, which makes the new packet and
// sends it with the inner actions.
func (c *compiler) nest(a *logical.Nest) error {
	inner := &compiler{stage: c.stage, flow: c.flow, keys: c.keys, nested: a.Kind}
	if err := inner.all(a.Actions); err != nil {
		return err
	}
	switch a.Kind {
	case logical.Clone:
		c.add(openflow.Clone{Actions: inner.out})
		return nil
	case logical.CTCommit:
		c.add(c.track(openflow.CT{Commit: true, Table: openflow.CTNoTable, Actions: inner.out}))
		return nil
	}
	opcode, ok := nestOpcodes[a.Kind]
	if !ok {
		return fmt.Errorf("the action %q cannot be compiled", a.Kind)
	}
	c.add(punt(opcode, inner.argument, openflow.EncodeActions(inner.out)))
	return nil
}

// nestOpcodes are the actions that the controller makes a packet for.
var nestOpcodes = map[logical.NestKind]uint16{
	logical.ARP:        abi.PuntARP,
	logical.NDNS:       abi.PuntNDNS,
	logical.NDNA:       abi.PuntNDNA,
	logical.NDNARouter: abi.PuntNDNARouter,
	logical.ICMP4:      abi.PuntICMP4,
	logical.ICMP4Error: abi.PuntICMP4,
	logical.ICMP6:      abi.PuntICMP6,
	logical.ICMP6Error: abi.PuntICMP6,
	logical.TCPReset:   abi.PuntTCPReset,
	logical.SCTPAbort:  abi.PuntSCTPAbort,
}

// punt sends the packet to the controller. What follows the head of the
// userdata (see package abi) is aligned to eight bytes.
func punt(opcode uint16, argument uint32, data []byte) openflow.Controller {
	u := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(u, opcode)
	binary.BigEndian.PutUint32(u[4:], argument)
	return openflow.ToController(append(u, data...)...)
}

func (c *compiler) call(a *logical.Call) error {
	switch a.Func {
	case logical.PutFDB:
		c.add(punt(abi.PuntPutFDB, 0, nil))
		return nil
	case logical.HandleBFDMsg:
		c.add(punt(abi.PuntBFD, 0, nil))
		return nil
	case logical.GetFDB:
		c.add(openflow.SetUint(openflow.FieldReg(abi.RegOutport), 0), resubmit(abi.TableGetFDB))
		return nil
	case logical.LookupFDB:
		return c.lookup(a, abi.FlagLookupFDB, abi.TableLookupFDB)
	case logical.CheckInPortSec:
		return c.lookup(a, abi.FlagPortSec, abi.TableInPortSec)
	case logical.CheckOutPortSec:
		return c.lookup(a, abi.FlagPortSec, abi.TableOutPortSec)
	}
	if fn := calls[a.Func]; fn != nil {
		return fn(c, a)
	}
	return fmt.Errorf("the action %q cannot be compiled", a.Func)
}

// calls are the functions with a file of their own.
var calls = map[logical.Func]func(*compiler, *logical.Call) error{
	logical.GetARP:         getMAC,
	logical.GetND:          getMAC,
	logical.PutARP:         putMAC,
	logical.PutND:          putMAC,
	logical.LookupARP:      lookupMAC,
	logical.LookupND:       lookupMAC,
	logical.LookupARPIP:    lookupMAC,
	logical.LookupNDIP:     lookupMAC,
	logical.CheckPktLarger: checkPktLarger,
	logical.BindVport:      bindVPort,
	logical.CTNext:         ctNext,
	logical.ChkECMPNH:      checkECMPNext,
	logical.ChkECMPNHMAC:   checkECMPNext,
}

// lookup clears a flag, lets a table set it, and copies it to the result.
func (c *compiler) lookup(a *logical.Call, flag int, table uint8) error {
	dst, err := subfield(a.Result)
	if err != nil {
		return err
	}
	c.add(setBit(abi.RegFlags, flag, false), resubmit(table),
		openflow.Move{Src: openflow.Bits(openflow.FieldReg(abi.RegFlags), flag, flag), Dst: dst})
	return nil
}
