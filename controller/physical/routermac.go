package physical

import (
	"fmt"
	"maps"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
)

// A distributed router has one Ethernet address and is on every chassis. On a
// physical network its packets would come from that address in many places, and
// the network would not know where it is. So each chassis sends them from an
// address of its own (external_ids:ovn-chassis-mac-mappings), and takes the
// addresses of the others back to that of the router when they come in:
//
//	65  outport = localnet port, eth.src = router   -> from this chassis' address
//	 0  in_port and VLAN of the localnet port, eth.src of another chassis
//	                                                -> from the router's address
//
// The two conditions of the second one are a conjunction, so that the number of
// flows is that of chassis plus that of localnet ports. A distributed gateway port
// is in one place: the chassis that hosts it sends from its address, and it alone
// takes others' back.

// prioRouterMAC is above the priorities of what comes in otherwise.
const prioRouterMAC = 180

// routerPort is a switch port that leads to a distributed router.
type routerPort struct {
	mac     uint64
	gateway PortID // chassisredirect port of a distributed gateway port; zero: it is none
}

// SetMACMappings tells from which address the routers of this chassis send to a
// physical network.
func (h *Host) SetMACMappings(macs map[string]uint64) {
	for network := range h.in.macs {
		if macs[network] == 0 {
			delete(h.in.macs, network)
			h.e.Touch(cellMapping(network))
		}
	}
	for network, mac := range macs {
		if h.in.macs[network] != mac {
			h.in.macs[network] = mac
			h.e.Touch(cellMapping(network))
		}
	}
}

func cellMapping(network string) incr.Cell { return incr.CellOf("mac-mapping", network) }
func cellRouters(datapath uint32) incr.Cell {
	return incr.CellOf("routers", uint64(datapath))
}

// noteRouter keeps track of the router ports that a switch leads to.
func (h *Host) noteRouter(id PortID, port *proto.Port) {
	now := routerPort{mac: port.GetMac()}
	if key := port.GetGatewayPort(); key != 0 {
		now.gateway = PortID{port.PeerDatapath, key}
	}
	ports := h.routers[id.Datapath]
	if ports[id.Port] == now {
		return
	}
	if ports == nil {
		ports = map[uint32]routerPort{}
		h.routers[id.Datapath] = ports
	}
	put(ports, id.Port, now)
	if now.mac == 0 {
		delete(ports, id.Port)
	}
	if len(ports) == 0 {
		delete(h.routers, id.Datapath)
	}
	h.e.Touch(cellRouters(id.Datapath))
}

// routerMACs are the flows of a localnet port for the routers behind its switch.
func (h *Host) routerMACs(c *incr.Ctx, b *builder, id PortID, p Placement, zone int) error {
	if p.Kind != KindLocalnet {
		return nil
	}
	c.Read(cellRouters(id.Datapath))
	ports := h.routers[id.Datapath]
	if len(ports) == 0 {
		return nil
	}
	c.Read(cellPort(id))
	network := Network(h.in.ports[id])
	c.Read(cellMapping(network))
	own := h.in.macs[network]
	back := uint64(0) // the router that others' addresses are taken for: there is no telling between several
	for _, key := range slices.Sorted(maps.Keys(ports)) {
		r := ports[key]
		hosted := r.gateway == PortID{}
		if !hosted {
			var err error
			if hosted, err = h.resident.Get(c, r.gateway); err != nil {
				return err
			}
		}
		if hosted && back == 0 {
			back = r.mac
		}
		if own != 0 && (r.gateway == PortID{} || !hosted) {
			b.fromChassis(id, p, r.mac, own)
		}
	}
	if back != 0 {
		b.toRouter(id, p, zone, back)
	}
	return nil
}

// fromChassis sends what a router sends to a physical network from the address of
// the chassis.
func (b *builder) fromChassis(id PortID, p Placement, router, own uint64) {
	m := onOutport(id.Datapath, id.Port)
	m.Set(openflow.FieldEthSrc, router)
	actions := append([]openflow.Action{openflow.SetUint(openflow.FieldEthSrc, own)}, p.out()...)
	b.add(abi.TableLogToPhy, prioTagged, m, append(actions, openflow.SetUint(openflow.FieldEthSrc, router))...)
}

// toRouter takes what comes in from the address of another chassis for what the
// router sends.
func (b *builder) toRouter(id PortID, p Placement, zone int, router uint64) {
	vlan := func() *openflow.Match {
		m := onInput(p.OFPort)
		switch {
		case p.Tag != 0:
			m.Set(openflow.FieldVLANVID, uint64(vlanPresent|p.Tag))
		case !p.Any:
			m.Set(openflow.FieldVLANVID, 0)
		}
		return m
	}
	b.add(abi.TablePhyToLog, prioRouterMAC, vlan(), openflow.Conjunction{ID: abi.ConjChassisMAC, Clause: 1, NClauses: 2})
	var actions []openflow.Action
	if p.Tag != 0 {
		actions = append(actions, openflow.PopVLAN{})
	}
	actions = append(actions, openflow.SetUint(openflow.FieldEthSrc, router))
	m := vlan()
	m.Set(openflow.FieldConjID, abi.ConjChassisMAC)
	b.add(abi.TablePhyToLog, prioRouterMAC, m, append(actions, b.enter(id, p, zone)...)...)
}

// chassisMACs emits the addresses from which the routers of another chassis send.
func (h *Host) chassisMACs(c *incr.Ctx, name string) error {
	c.Read(cellChassis(name))
	ch := h.in.chassis[name]
	if len(ch.GetMacs()) == 0 {
		return nil
	}
	o := Owner{Kind: KindChassis, Name: name}
	b := newBuilder(o, "chassis "+name)
	for _, mac := range slices.Compact(slices.Sorted(slices.Values(ch.Macs))) {
		m := &openflow.Match{}
		m.Set(openflow.FieldEthSrc, mac)
		b.add(abi.TablePhyToLog, prioRouterMAC, m, openflow.Conjunction{ID: abi.ConjChassisMAC, Clause: 0, NClauses: 2})
	}
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("chassis %q: %w", name, err)
	}
	incr.Emit(c, h.flows, o, f)
	return nil
}
