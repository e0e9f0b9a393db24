package compile

import (
	"maps"
	"slices"

	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// optionMACMappings is the key of Chassis:other_config that tells from which
// addresses the distributed routers of a chassis send to physical networks.
const optionMACMappings = "ovn-chassis-mac-mappings"

// chassisMACs are those addresses. What the chassis cannot read of them, it says
// itself.
func (p *Program) chassisMACs(c *incr.Ctx, chassis ovsdb.UUID) []uint64 {
	text, _ := p.Reader.Option(c, p.c.Chassis.OtherConfig, chassis, optionMACMappings)
	macs, _ := abi.ParseMACMappings(text)
	return slices.Compact(slices.Sorted(maps.Values(macs)))
}

// routerAddress tells the chassis the address of the distributed router that a
// switch port leads to, and which port of it decides where it is.
func routerAddress(port *topology.Port, item *proto.Port) {
	if bindingType(port) != TypePatch || port.Peer == nil {
		return
	}
	item.Mac = port.Peer.Addresses.MAC.Uint64()
	item.GatewayPort = port.Peer.Gateway.RedirectKey
}
