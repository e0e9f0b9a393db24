package compile

import (
	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// runPort emits what a port of a switch contributes.
func (p *Program) runPort(c *incr.Ctx, m topology.Member) error {
	port, err := p.port.Get(c, m)
	if err != nil || port == nil {
		return err
	}
	keys := portKeys(port)
	p.provide(c, m, port)
	if port.Type == topology.TypeRouter {
		topology.EachPair(c, p.ports, m.Row, p.routers.neighbour)
	}
	flows, err := pipeline.OfPort(port)
	if err != nil {
		return err
	}
	body, err := translate.Compile(flows, keys, nil, translate.WithPlaces(p.places(c)))
	if err != nil {
		return err
	}
	resident, err := pipeline.OfResident(port)
	if err != nil {
		return err
	}
	local, err := translate.Compile(resident, keys, translate.PortSecurity(port))
	if err != nil {
		return err
	}
	obj := object("Logical_Switch_Port", port.UUID, port.Name)
	everywhere := Scope{Datapath: port.Datapath}
	if body.Len() > 0 {
		p.emitUnit(c, UnitKey{Switch: m.Row, Object: m.Elem, Part: PartPort}, body, everywhere, 0,
			func() ([]pipeline.Flow, error) { return pipeline.OfPort(port) }, obj)
	}
	if local.Len() > 0 {
		p.emitUnit(c, UnitKey{Switch: m.Row, Object: m.Elem, Part: PartResident}, local, residence(port), port.Key,
			func() ([]pipeline.Flow, error) { return pipeline.OfResident(port) }, obj)
	}

	groups := p.join(c, port)
	if port.Type == topology.TypeExternal { // the physical network brings it what is flooded
		groups = nil
	}
	g := gatewayOf(port)
	item := &proto.Port{Uuid: port.UUID[:], Name: port.Name, Type: bindingType(port), Groups: groups,
		Parent: hostParent(port), Tag: port.Tag, Learn: pipeline.Learns(port), Options: hostOptions(port),
		PeerDatapath: port.Crossing.Datapath, PeerPort: port.Crossing.Key, HaGroup: p.pinned(c, g)}
	routerAddress(port, item)
	if port.Type == topology.TypeExternal {
		item.HaGroup = p.use(c, port.HAGroup)
	}
	announced := p.announce(c, port, item)
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(port.Datapath, port.Key)}, Item{Scope: everywhere, Value: marshal(item)})
	p.link(c, port.UUID, port.Datapath, &port.Crossing, g)
	row := p.portBinding(c, port)
	row.Columns = append(row.Columns, Column{"nat_addresses", announced}, Column{"ha_chassis_group", haGroupRow(port.HAGroup)})
	incr.Emit(c, p.Rows, RowKey{"Port_Binding", m.Elem}, row)
	return nil
}

// bindingType is Port_Binding:type of a port.
func bindingType(port *topology.Port) string {
	if port.Patch() {
		return patchType(gatewayOf(port))
	}
	return port.Type
}

// residence is who is sent what holds where a port is resident: the chassis that
// it is bound to, or all, if each decides for itself.
func residence(port *topology.Port) Scope {
	if port.Bound() {
		return Scope{port.Datapath, port.Key}
	}
	return Scope{Datapath: port.Datapath}
}

// Option keys of Port_Binding that a chassis reads.
const (
	optionNetwork  = "network_name"
	optionPassthru = "vlan-passthru"
	optionEthType  = "ethtype"
	optionPeer     = "peer"

	optionActivation = "activation-strategy"
)

// hostOptions are the options that a chassis needs.
func hostOptions(port *topology.Port) map[string]string {
	if port.Activation == topology.ActivationRARP {
		return map[string]string{optionActivation: port.Activation}
	}
	if !port.Physical() {
		return nil
	}
	options := map[string]string{optionNetwork: port.Network}
	if port.EthType != "" {
		options[optionEthType] = port.EthType
	}
	if port.Passthru {
		options[optionPassthru] = "true"
	}
	return options
}

// join makes the port a member of its multicast groups.
func (p *Program) join(c *incr.Ctx, port *topology.Port) []uint32 {
	var keys []uint32
	add := func(g Group) {
		keys = append(keys, g.Key)
		incr.Emit(c, p.Members, MemberKey{g.UUID(port.Switch), port.UUID}, port.UUID)
	}
	if port.Enabled {
		add(GroupFlood)
		if port.Unknown {
			add(GroupUnknown)
			incr.Insert(c, p.unknown, incr.Hash(port.Switch), port.UUID)
		}
		if port.Type != topology.TypeRouter {
			add(GroupFloodL2)
		}
	}
	return keys
}

func (p *Program) portBinding(c *incr.Ctx, port *topology.Port) Row {
	columns := p.Reader.Row(c, p.c.LSP.Table, port.UUID)
	xid := columns.Map(p.c.LSP.XID)
	if name, ok := xid.Get("neutron:port_name"); ok {
		xid = xid.With("name", name)
	}
	options := columns.Map(p.c.LSP.Options)
	if port.Passthru {
		options = options.With(optionPassthru, "true")
	}
	switch port.Type {
	case topology.TypeRouter:
		options = gatewayOptions(ovsdb.MapOf(optionPeer, port.RouterPort), gatewayOf(port), false)
	case topology.TypeSwitch:
		options = ovsdb.MapOf(optionPeer, port.Crossing.Name)
	}
	return Row{[]Column{
		{"logical_port", port.Name},
		{"type", bindingType(port)},
		{"options", options},
		{"datapath", port.Switch},
		{"tunnel_key", int64(port.Key)},
		{"mac", stringSet(port.Mac)},
		{"port_security", stringSet(port.Security)},
		{"parent_port", optional(port.Parent, port.Parent != "")},
		{"tag", optional(int64(port.Tag), port.Tag != 0)},
		{"external_ids", xid},
	}}
}

func stringSet(list []string) ovsdb.Set {
	atoms := make([]ovsdb.Atom, len(list))
	for i, s := range list {
		atoms[i] = s
	}
	return ovsdb.NewSet(atoms...)
}

func optional(a ovsdb.Atom, there bool) ovsdb.Set {
	if there {
		return ovsdb.NewSet(a)
	}
	return ovsdb.NewSet()
}
