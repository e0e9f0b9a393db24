package physical

import (
	"strings"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
)

// While a workload moves from one chassis to another, its port is on several: it
// has additional chassis (ovn-nb(5), requested-chassis).
//
//	         +--> hv1: interface of vm (runs)
//	hv3 -----+
//	         +--> hv2: interface of vm (not yet)
//
// Everybody sends to all of them. Where a physical network carries the switch,
// the port is still reached by tunnels, and reaches the others by tunnels: the
// physical network would see its MAC address at two places.

// Hop is another chassis and the tunnel to it.
type Hop struct {
	Chassis string
	OFPort  int
}

// hops are the tunnels to all chassis of a port but this one; the main one comes
// first, if it is among them.
func (h *Host) hops(c *incr.Ctx, port *proto.Port) []Hop {
	c.Read(cellSelf)
	var out []Hop
	add := func(chassis, encapIP string) {
		if chassis == "" || chassis == h.in.self {
			return
		}
		if ofport := h.reach(c, chassis, encapIP); ofport > 0 {
			out = append(out, Hop{chassis, ofport})
		}
	}
	add(port.Chassis, port.EncapIp)
	for _, chassis := range port.AdditionalChassis {
		if chassis != port.Chassis {
			add(chassis, encapOf(port, chassis))
		}
	}
	return out
}

// encapOf is the address by which a port wants to be reached on an additional
// chassis; "": by any.
func encapOf(port *proto.Port, chassis string) string {
	for _, encap := range port.AdditionalEncaps {
		if name, ip, _ := strings.Cut(encap, "@"); name == chassis {
			return ip
		}
	}
	return ""
}

// overlay counts the ports with additional chassis of a datapath.
func (h *Host) overlay(datapath uint32, one bool) {
	before := h.multis[datapath]
	if one {
		h.multis[datapath]++
	} else if h.multis[datapath]--; h.multis[datapath] == 0 {
		delete(h.multis, datapath)
	}
	if (before == 0) != (h.multis[datapath] == 0) {
		h.e.Touch(cellOverlay(datapath))
	}
}

// overlaid tells whether a datapath has a port with additional chassis.
func (h *Host) overlaid(c *incr.Ctx, datapath uint32) bool {
	c.Read(cellOverlay(datapath))
	return h.multis[datapath] > 0
}

func cellOverlay(datapath uint32) incr.Cell { return incr.CellOf("overlay", uint64(datapath)) }

// copies is the flow of a port here that is on other chassis, too: one packet to
// each of them, one to the port here.
func (b *builder) copies(id PortID, p Placement, option *openflow.Field) {
	b.add(abi.TableRemoteOutput, prioMatch, onOutport(id.Datapath, id.Port),
		append(tunnelled(id, p.Also, option), resubmit(abi.TableLocalOutput))...)
}

// remotePort is the flow to a port on other chassis.
func (b *builder) remotePort(id PortID, p Placement, option *openflow.Field) {
	b.add(abi.TableRemoteOutput, prioMatch, onOutport(id.Datapath, id.Port),
		tunnelled(id, append([]Hop{{p.Chassis, p.OFPort}}, p.Also...), option)...)
}

// tunnelled sends a packet to a port through tunnels.
func tunnelled(id PortID, hops []Hop, option *openflow.Field) []openflow.Action {
	actions := tunnelKeys(id.Datapath, id.Port, option)
	for _, hop := range hops {
		actions = append(actions, output(hop.OFPort))
	}
	return actions
}

// elsewhere are the other chassis where a port gets its copy of a flood. Where a
// physical network carries the switch, that brings it.
func (p Placement) elsewhere() []string {
	if p.Where != Here && p.Where != Remote || p.Via != 0 {
		return nil
	}
	var out []string
	if p.Where == Remote {
		out = append(out, p.Chassis)
	}
	for _, hop := range p.Also {
		out = append(out, hop.Chassis)
	}
	return out
}
