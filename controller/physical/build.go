package physical

import (
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// Priorities of the flows of a host.
const (
	prioDefault = 0
	prioMatch   = 100
	prioTagged  = 150 // a VLAN on an interface before the interface itself
	prioOverlay = 110 // by a tunnel, though a physical network leads there, too
	prioStay    = 150 // must not leave this chassis
	prioConfine = 160 // must not leave by a localnet port
)

const vlanPresent = 0x1000

// builder collects the flows of one owner.
type builder struct {
	flows Flows
	owner uint8
	id    uint32
	err   error
}

func newBuilder(o Owner, note string) *builder {
	return &builder{flows: Flows{Note: note}, owner: o.cookieOwner(), id: o.ID()}
}

// add appends a flow.
func (b *builder) add(table uint8, priority uint16, m *openflow.Match, actions ...openflow.Action) {
	if b.err != nil {
		return
	}
	if err := m.Validate(); err != nil {
		b.err = fmt.Errorf("table %d, priority %d: %w", table, priority, err)
		return
	}
	f := openflow.Flow{Table: table, Priority: priority, Match: m.Encode(), Actions: openflow.EncodeActions(actions)}
	f.Cookie = abi.Cookie(b.owner, b.id, contentHash(&f))
	b.flows.List = append(b.flows.List, f)
}

func (b *builder) done() (Flows, error) { return b.flows, b.err }

// Matches and actions by what they mean.

func on(datapath uint32) *openflow.Match {
	m := &openflow.Match{}
	m.Set(openflow.FieldMetadata, uint64(datapath))
	return m
}

func onOutport(datapath, port uint32) *openflow.Match {
	m := on(datapath)
	m.Set(openflow.FieldReg(abi.RegOutport), uint64(port))
	return m
}

func onInport(datapath, port uint32) *openflow.Match {
	m := on(datapath)
	m.Set(openflow.FieldReg(abi.RegInport), uint64(port))
	return m
}

func onFlag(bit int) *openflow.Match {
	m := &openflow.Match{}
	m.SetMasked(openflow.FieldReg(abi.RegFlags), 1<<bit, 1<<bit)
	return m
}

func onInput(ofport int) *openflow.Match {
	m := &openflow.Match{}
	m.Set(openflow.FieldInPort, uint64(ofport))
	return m
}

func setReg(n int, value uint32) openflow.Action {
	return openflow.SetUint(openflow.FieldReg(n), uint64(value))
}

func setFlag(bit int) openflow.Action {
	return openflow.SetBits(openflow.FieldReg(abi.RegFlags), bit, bit, 1)
}

func resubmit(table uint8) openflow.Action { return openflow.ToTable(table) }

func output(ofport int) openflow.Action { return openflow.Output{Port: uint32(ofport)} }

// fixed are the flows that do not depend on anything. The tables that hold one
// flow for each port, group or address drop what none of them is for, or go on.
//
//	37 remote   p150 local-only or from a tunnel -> 38     p0 -> 38
//	38 local    p0 drop
//	39 loopback p0 clear the logical registers, -> 40
//	64 inport   p100 loopback allowed, or from a nested port: forget in_port, -> 65   p0 -> 65
func (b *builder) fixed() {
	b.add(abi.TableRemoteOutput, prioStay, onFlag(abi.FlagLocalOnly), resubmit(abi.TableLocalOutput))
	b.add(abi.TableRemoteOutput, prioStay, onFlag(abi.FlagFromTunnel), resubmit(abi.TableLocalOutput))
	b.add(abi.TableRemoteOutput, prioDefault, &openflow.Match{}, resubmit(abi.TableLocalOutput))
	b.add(abi.TableLocalOutput, prioDefault, &openflow.Match{})
	var clear []openflow.Action
	for n := range abi.LogicalRegs {
		clear = append(clear, setReg(abi.RegLogical0+n, 0))
	}
	b.add(abi.TableCheckLoopback, prioDefault, &openflow.Match{}, append(clear, resubmit(abi.TableEgress))...)
	b.add(abi.TableSaveInport, prioMatch, onFlag(abi.FlagAllowLoopback), forgetInPort()...)
	b.add(abi.TableSaveInport, prioMatch-1, onFlag(abi.FlagNested), forgetInPort()...)
	b.add(abi.TableSaveInport, prioDefault, &openflow.Match{}, resubmit(abi.TableLogToPhy))
}

// forgetInPort outputs a packet that may leave by the interface it came in by:
// Open vSwitch does not, as long as it knows the interface.
func forgetInPort() []openflow.Action {
	inPort := openflow.Whole(openflow.FieldInPortNXM)
	return []openflow.Action{
		openflow.StackPush{Src: inPort},
		openflow.SetUint(openflow.FieldInPortNXM, 0xffff),
		resubmit(abi.TableLogToPhy),
		openflow.StackPop{Dst: inPort},
	}
}

// localPort are the flows of a port on an interface of this host.
//
//	 0  in_port (and VLAN) -> datapath, reg14, zone, ingress pipeline
//	37  reg14 = localport -> 38
//	38  reg15 = port -> zone, 39
//	39  reg14 = reg15 = port without flags.loopback: drop
//	    reg15 = localnet port, local only or from a localport: drop
//	64  reg15 = nested port: forget in_port, -> 65
//	65  reg15 = port -> (VLAN) output
func (b *builder) localPort(id PortID, p Placement, zone int) {
	if p.Kind != KindVirtual { // what its workload sends is of the parent
		b.classify(id, p, zone)
	}

	b.add(abi.TableLocalOutput, prioMatch, onOutport(id.Datapath, id.Port),
		setReg(abi.RegZone, uint32(zone)), resubmit(abi.TableCheckLoopback))

	back := onOutport(id.Datapath, id.Port)
	back.Set(openflow.FieldReg(abi.RegInport), uint64(id.Port))
	back.SetMasked(openflow.FieldReg(abi.RegFlags), 0, 1<<abi.FlagAllowLoopback)
	b.add(abi.TableCheckLoopback, prioMatch, back)

	switch p.Kind {
	case KindLocalnet:
		for _, bit := range []int{abi.FlagLocalOnly, abi.FlagLocalport} {
			m := onOutport(id.Datapath, id.Port)
			m.SetMasked(openflow.FieldReg(abi.RegFlags), 1<<bit, 1<<bit)
			b.add(abi.TableCheckLoopback, prioConfine, m)
		}
	case KindLocalport:
		b.add(abi.TableRemoteOutput, prioStay, onInport(id.Datapath, id.Port), resubmit(abi.TableLocalOutput))
	case KindNested:
		b.add(abi.TableSaveInport, prioMatch, onOutport(id.Datapath, id.Port), forgetInPort()...)
	}

	b.add(abi.TableLogToPhy, prioMatch, onOutport(id.Datapath, id.Port), p.out()...)
}

// tunnelKeys load what goes on the wire: the datapath as VNI, and the option
// with ingress and egress port.
//
//	0                   1                   2                   3
//	0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-----------------------------+-------------------------------+
//	|0| logical ingress port        | logical egress port or group  |
//	+-+-----------------------------+-------------------------------+
func tunnelKeys(datapath, outport uint32, option *openflow.Field) []openflow.Action {
	return []openflow.Action{
		openflow.SetUint(openflow.FieldTunID, uint64(datapath)),
		openflow.SetUint(option, uint64(outport)),
		openflow.Move{
			Src: openflow.Bits(openflow.FieldReg(abi.RegInport), 0, 14),
			Dst: openflow.Bits(option, 16, 30),
		},
	}
}

// enter are the actions that bring a packet into the pipeline by a port.
func (b *builder) enter(id PortID, p Placement, zone int) []openflow.Action {
	to := []openflow.Action{
		setReg(abi.RegZone, uint32(zone)),
		openflow.SetUint(openflow.FieldMetadata, uint64(id.Datapath)),
		setReg(abi.RegInport, id.Port),
	}
	switch p.Kind {
	case KindNested:
		to = append(to, setFlag(abi.FlagNested))
	case KindLocalport:
		to = append(to, setFlag(abi.FlagLocalport))
	case KindVIF:
		if len(p.Also) > 0 && p.Via != 0 {
			to = append(to, setFlag(abi.FlagOverlay))
		}
	}
	return append(to, resubmit(abi.TableIngress))
}

// classify are the flows of what comes in by the interface of a port.
func (b *builder) classify(id PortID, p Placement, zone int) {
	to := b.enter(id, p, zone)
	untag := append([]openflow.Action{openflow.PopVLAN{}}, to...)
	in := onInput(p.OFPort)
	switch {
	case p.Tag != 0:
		in.Set(openflow.FieldVLANVID, uint64(vlanPresent|p.Tag))
		b.add(abi.TablePhyToLog, prioTagged, in, untag...)
	case p.Kind == KindLocalnet && !p.Any, p.Kind == KindL2Gateway && !p.Any:
		in.Set(openflow.FieldVLANVID, 0) // without a tag
		b.add(abi.TablePhyToLog, prioMatch, in, to...)
		in = onInput(p.OFPort)
		in.Set(openflow.FieldVLANVID, vlanPresent) // with a priority, but no VLAN
		b.add(abi.TablePhyToLog, prioMatch, in, untag...)
	default:
		b.add(abi.TablePhyToLog, prioMatch, in, to...)
	}
}

// fromTunnel is the flow of what comes in by a tunnel.
func (b *builder) fromTunnel(ofport int, option *openflow.Field) {
	b.add(abi.TablePhyToLog, prioMatch, onInput(ofport),
		openflow.Move{Src: openflow.Bits(openflow.FieldTunID, 0, 23), Dst: openflow.Bits(openflow.FieldMetadata, 0, 23)},
		openflow.Move{Src: openflow.Bits(option, 16, 30), Dst: openflow.Bits(openflow.FieldReg(abi.RegInport), 0, 14)},
		openflow.Move{Src: openflow.Bits(option, 0, 15), Dst: openflow.Bits(openflow.FieldReg(abi.RegOutport), 0, 15)},
		setFlag(abi.FlagFromTunnel),
		resubmit(abi.TableLocalOutput))
}

// member is a local member of a group.
type member struct {
	port uint32
	zone int
}

// zoneMember is a member of a group in another zone.
type zoneMember struct {
	port   uint32
	ofport int // of the tunnel
}

// group are the flows of a multicast group: to the localports of the chassis
// that sends, once to each other chassis with members, to each member in another
// zone, then to each member here.
func (b *builder) group(g GroupID, local, own []member, remote []int, zones []zoneMember, option *openflow.Field) {
	if len(remote)+len(own)+len(zones) > 0 {
		var actions []openflow.Action
		if len(own) > 0 {
			actions = append(toMembers(own), setReg(abi.RegOutport, g.Group))
		}
		if len(remote) > 0 {
			actions = append(actions, tunnelKeys(g.Datapath, g.Group, option)...)
		}
		for _, ofport := range remote {
			actions = append(actions, output(ofport))
		}
		for _, m := range zones {
			actions = append(append(actions, tunnelKeys(g.Datapath, m.port, option)...), output(m.ofport))
		}
		b.add(abi.TableRemoteOutput, prioMatch, onOutport(g.Datapath, g.Group), append(actions, resubmit(abi.TableLocalOutput))...)
	}
	if len(local) == 0 {
		return
	}
	b.add(abi.TableLocalOutput, prioMatch, onOutport(g.Datapath, g.Group), append(toMembers(local), setReg(abi.RegOutport, g.Group))...)
}

func toMembers(list []member) []openflow.Action {
	var actions []openflow.Action
	for _, m := range list {
		actions = append(actions, setReg(abi.RegZone, uint32(m.zone)), setReg(abi.RegOutport, m.port), resubmit(abi.TableCheckLoopback))
	}
	return actions
}

// learned are the flows of a MAC address that is behind a port: get_fdb and
// lookup_fdb.
func (b *builder) learned(id MACID, port uint32) {
	get := on(id.Datapath)
	get.Set(openflow.FieldEthDst, id.MAC)
	b.add(abi.TableGetFDB, prioMatch, get, setReg(abi.RegOutport, port))
	lookup := on(id.Datapath)
	lookup.Set(openflow.FieldEthSrc, id.MAC)
	lookup.Set(openflow.FieldReg(abi.RegInport), uint64(port))
	b.add(abi.TableLookupFDB, prioMatch, lookup, setFlag(abi.FlagLookupFDB))
}
