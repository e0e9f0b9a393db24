package physical

import (
	"maps"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
)

// Ethernet types of VLAN tags.
const (
	ethType8021Q  = 0x8100
	ethType8021AD = 0x88a8
)

// ethType8021ADName is the value of option ethtype that asks for an 802.1ad tag.
const ethType8021ADName = "802.11ad"

// patched places a port that is a patch port to the bridge of its network. False:
// the network is not mapped here.
func (h *Host) patched(c *incr.Ctx, port *proto.Port, p *Placement) bool {
	c.Read(cellPatch(port.Name))
	ofport := h.in.patches[port.Name]
	if ofport <= 0 {
		return false
	}
	p.Where, p.OFPort, p.Tag = Here, ofport, port.Tag
	p.Any = port.Tag == 0 && port.Options[optionPassthru] == "true"
	if port.Options[optionEthType] == ethType8021ADName {
		p.EthType = ethType8021AD
	}
	return true
}

// out are the actions that send a packet out of the interface of a port; what
// comes after them gets it as it was.
func (p Placement) out() []openflow.Action {
	if p.Tag == 0 {
		return []openflow.Action{output(p.OFPort)}
	}
	ethType := p.EthType
	if ethType == 0 {
		ethType = ethType8021Q
	}
	return []openflow.Action{
		openflow.PushVLAN{EthType: ethType},
		openflow.SetUint(openflow.FieldVLANVID, uint64(vlanPresent|p.Tag)),
		output(p.OFPort),
		openflow.PopVLAN{},
	}
}

func cellLocalnets(datapath uint32) incr.Cell { return incr.CellOf("localnets", uint64(datapath)) }

// noteKind keeps track of the ports that others have to know of: those of
// physical networks, and those with additional chassis. Names may have changed,
// too.
func (h *Host) noteKind(id PortID, old, now *proto.Port) {
	h.localnet(id, now.GetType() == typeLocalnet)
	h.noteRouter(id, now)
	if now.GetType() == typeL2Gateway {
		h.gateways[id] = true
	} else {
		delete(h.gateways, id)
	}
	if had, has := len(old.GetAdditionalChassis()) > 0, len(now.GetAdditionalChassis()) > 0; had != has {
		h.overlay(id.Datapath, has)
	}
}

// localnet notes whether a port is of type localnet.
func (h *Host) localnet(id PortID, is bool) {
	had := h.localnets[id.Datapath][id.Port]
	if !had && !is {
		return
	}
	h.e.Touch(cellLocalnets(id.Datapath))
	if !is {
		delete(h.localnets[id.Datapath], id.Port)
		if len(h.localnets[id.Datapath]) == 0 {
			delete(h.localnets, id.Datapath)
		}
		return
	}
	if h.localnets[id.Datapath] == nil {
		h.localnets[id.Datapath] = map[uint32]bool{}
	}
	h.localnets[id.Datapath][id.Port] = true
}

// Provided are the ports of physical networks that this chassis may have: all of
// type localnet, and those of type l2gateway that are bound to it.
func (h *Host) Provided() []*proto.Port {
	var out []*proto.Port
	for _, dp := range slices.Sorted(maps.Keys(h.localnets)) {
		for _, key := range slices.Sorted(maps.Keys(h.localnets[dp])) {
			out = append(out, h.in.ports[PortID{dp, key}])
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(h.gateways), comparePortID) {
		if port := h.in.ports[id]; h.in.self != "" && port.Chassis == h.in.self {
			out = append(out, port)
		}
	}
	return out
}

// IsVirtual tells whether a port is of type virtual.
func IsVirtual(port *proto.Port) bool { return port.Type == typeVirtual }

// IsL2Gateway tells whether a port is of type l2gateway.
func IsL2Gateway(port *proto.Port) bool { return port.Type == typeL2Gateway }

// bridgedPort are the flows to a port that the localnet port of its switch leads
// to: the packet leaves by that one instead, unless a workload on several chassis
// sends it.
func (b *builder) bridgedPort(id PortID, p Placement, option *openflow.Field) {
	b.add(abi.TableLocalOutput, prioMatch, onOutport(id.Datapath, id.Port), setReg(abi.RegOutport, p.Via), resubmit(abi.TableLocalOutput))
	if len(p.Also) == 0 {
		return
	}
	m := onOutport(id.Datapath, id.Port)
	m.SetMasked(openflow.FieldReg(abi.RegFlags), 1<<abi.FlagOverlay, 1<<abi.FlagOverlay)
	b.add(abi.TableRemoteOutput, prioOverlay, m, tunnelled(id, p.Also, option)...)
}
