package physical

import (
	"maps"
	"slices"

	"govn/pkg/incr"
	"govn/proto"
)

// PortKind says which rules of the host a port is under.
type PortKind uint8

const (
	KindVIF       PortKind = iota // an interface of a workload
	KindNested                    // a container in a workload: a VLAN of the parent's interface
	KindLocalnet                  // a physical network: a patch port to the bridge that it is mapped to
	KindRedirect                  // stands for a distributed gateway port where that is hosted
	KindLocalport                 // an interface on this chassis and perhaps on others, never reached by a tunnel
	KindL2Gateway                 // as KindLocalnet, but on one chassis only
	KindExternal                  // a machine on a physical network, which one chassis stands for
	KindVirtual                   // the interface of the port that has its address now
	KindPatch                     // a port of another datapath
	KindL3Gateway                 // as KindPatch, but on one chassis only: to or from a gateway router
	KindRemote                    // a port of a transit switch that is in another zone
)

// Types of ports (ovn-sb(5), Port_Binding, type).
const (
	typeLocalnet  = "localnet"
	typeLocalport = "localport"
	typeL2Gateway = "l2gateway"
	typeVirtual   = "virtual"
	typePatch     = "patch"
	typeRemote    = "remote"
)

// Option keys of ports.
const (
	optionNetwork  = "network_name"  // of a localnet or l2gateway port
	optionEthType  = "ethtype"       // of a localnet port
	optionPassthru = "vlan-passthru" // of the ports of a switch that lets VLAN tags pass
)

// Network is the physical network that a localnet or l2gateway port is on.
func Network(port *proto.Port) string { return port.Options[optionNetwork] }

func kindOf(port *proto.Port) PortKind {
	switch {
	case port.Type == typeLocalnet:
		return KindLocalnet
	case port.Type == typeRedirect:
		return KindRedirect
	case port.Type == typeLocalport:
		return KindLocalport
	case port.Type == typeL2Gateway:
		return KindL2Gateway
	case port.Type == typeVirtual:
		return KindVirtual
	case port.Type == typeExternal:
		return KindExternal
	case port.Type == typePatch:
		return KindPatch
	case port.Type == typeL3Gateway:
		return KindL3Gateway
	case port.Type == typeRemote:
		return KindRemote
	case port.Parent != "":
		return KindNested
	}
	return KindVIF
}

// local places a port that is to be on this chassis, whether its interface is
// there or not. What is false is elsewhere.
func (h *Host) local(c *incr.Ctx, id PortID, port *proto.Port, p *Placement) bool {
	p.Kind = kindOf(port)
	plug := func(ifaceID string, tag uint32) bool {
		c.Read(cellIface(ifaceID))
		name, ofport := h.in.interfaceOf(ifaceID)
		if ofport > 0 {
			p.Where, p.Interface, p.OFPort, p.Tag = Here, name, ofport, tag
		}
		return ofport > 0
	}
	switch p.Kind {
	case KindLocalnet:
		return h.patched(c, port, p)
	case KindLocalport:
		return plug(port.Name, 0)
	case KindPatch:
		h.crossing(c, id, port, p)
		return true
	}
	c.Read(cellSelf)
	here := port.Chassis == h.in.self || slices.Contains(port.AdditionalChassis, h.in.self)
	if h.in.self == "" || !here {
		return false
	}
	switch {
	case p.Kind == KindVIF:
		plug(port.Name, 0)
		h.awaits(c, port, p)
	case p.Kind == KindL2Gateway:
		h.patched(c, port, p)
	case p.Kind == KindVirtual:
		plug(port.Parent, 0)
	case port.Tag != 0:
		plug(port.Parent, port.Tag)
	}
	return true
}

// bridge is the key of the localnet port by which a switch leaves this chassis,
// 0 if there is none: of several whose network is mapped here, the one with the
// lowest key. The other chassis' ports are reached by it and not by tunnels.
func (h *Host) bridge(c *incr.Ctx, datapath uint32) (uint32, error) {
	c.Read(cellLocalnets(datapath))
	for _, key := range slices.Sorted(maps.Keys(h.localnets[datapath])) {
		name := h.in.ports[PortID{datapath, key}].Name
		c.Read(cellPatch(name))
		if h.in.patches[name] > 0 {
			return key, nil
		}
	}
	return 0, nil
}
