package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// gateways are the queries about chassis that may host ports.
type gateways struct {
	group *incr.Query[topology.HAGroupID, *topology.HAGroup]
	used  *incr.Collection[topology.HAGroupID] // groups that ports name
	emit  *incr.Unit[topology.HAGroupID]
	check *incr.Unit[topology.Member] // what is wrong with a router port's gateway
	named *incr.Unit[topology.HAGroupID]

	ports *incr.Collection[ovsdb.UUID] // distributed gateway ports by router
	port  *incr.Unit[topology.Member]
}

// HAGroup is a group as the chassis get it.
type HAGroup struct {
	Members string // names, separated by a zero byte
	Value   []byte // proto.HAGroup
}

// Names are the members.
func (g HAGroup) Names() []string {
	if g.Members == "" {
		return nil
	}
	return strings.Split(g.Members, "\x00")
}

func hashHAGroup(g HAGroup) incr.Hash { return incr.CellOf(g.Members, g.Value) }

func (p *Program) newGateways(e *incr.Engine) {
	g := &p.gateways
	p.HAGroups = incr.NewSink(e, "ha-groups", hashHAGroup, incr.Order(compareUUIDs))
	p.Warnings = incr.NewSink(e, "warnings", func(err error) incr.Hash { return incr.CellOf(err.Error()) }, incr.Order(strings.Compare))
	g.group = incr.NewQuery(e, "ha-group", topology.HashHAGroup, func(c *incr.Ctx, id topology.HAGroupID) (*topology.HAGroup, error) {
		return p.Reader.ReadHAGroup(c, id), nil
	}, incr.Order(topology.HAGroupID.Compare))
	g.used = incr.NewRelation(e, "used-ha-groups", incr.Order(topology.HAGroupID.Compare))
	g.emit = incr.NewUnit(e, "ha-group-item", p.runHAGroup, incr.Order(topology.HAGroupID.Compare))
	g.named = incr.NewUnit(e, "ha-group-check", p.checkHAGroup, incr.Order(topology.HAGroupID.Compare))
	g.ports = incr.NewRelation(e, "gateway-ports", incr.Order(compareUUIDs))
	g.port = incr.NewUnit(e, "gateway-port", func(c *incr.Ctx, m topology.Member) error {
		if p.Reader.IsGatewayPort(c, m.Elem) {
			incr.Insert(c, g.ports, incr.Hash(m.Row), m.Elem)
		}
		return nil
	}, incr.Order(compareMember))
	g.check = incr.NewUnit(e, "gateway-check", p.checkGateway, incr.Order(compareMember))
}

// warn says that something is used, and that what happens is not what was asked
// for.
func (p *Program) warn(c *incr.Ctx, err *topology.FieldError) {
	incr.Emit(c, p.Warnings, err.Table+" "+err.UUID.String()+" "+err.Column, error(err))
}

// use makes a group known to the chassis that need it, and returns its key.
func (p *Program) use(c *incr.Ctx, id topology.HAGroupID) []byte {
	if id.Kind == 0 {
		return nil
	}
	incr.Insert(c, p.gateways.used, topology.AllRows, id)
	key := id.Key()
	return key[:]
}

// runHAGroup emits a group that ports name. That of a gateway router is no group
// in the southbound database: its ports are of type l3gateway.
func (p *Program) runHAGroup(c *incr.Ctx, id topology.HAGroupID) error {
	g, err := p.gateways.group.Get(c, id)
	if err != nil || g == nil {
		return err
	}
	key := id.Key()
	item := &proto.HAGroup{Name: g.Name, Bfd: p.bfd(c)}
	var members []ovsdb.Atom
	for _, m := range g.Members {
		item.Members = append(item.Members, &proto.HAMember{Chassis: m.Chassis, Priority: m.Priority})
		if id.Kind == topology.HARouterChassis {
			continue
		}
		row := derived(key, m.Chassis)
		chassis := ovsdb.NewSet()
		if u, ok := p.Reader.Named(c, p.c.Chassis.Name, m.Chassis); ok {
			chassis = ovsdb.NewSet(u)
		}
		incr.Emit(c, p.Rows, RowKey{"HA_Chassis", row}, Row{[]Column{
			{"chassis", chassis}, {"priority", int64(m.Priority)}, {"external_ids", ovsdb.MapOf("chassis-name", m.Chassis)},
		}})
		members = append(members, row)
	}
	incr.Emit(c, p.HAGroups, key, HAGroup{strings.Join(g.Names(), "\x00"), marshal(item)})
	if id.Kind != topology.HARouterChassis {
		incr.Emit(c, p.Rows, RowKey{"HA_Chassis_Group", key}, Row{[]Column{{"name", g.Name}, {"ha_chassis", ovsdb.NewSet(members...)}}})
	}
	return nil
}

// bfd is how BFD is to run between chassis (ovn-nb(5), NB_Global, options); nil:
// as the chassis have it.
func (p *Program) bfd(c *incr.Ctx) *proto.Bfd {
	global, ok := p.Reader.Global(c)
	if !ok {
		return nil
	}
	number := func(key string) uint32 {
		text, _ := p.Reader.Option(c, p.c.NBGlobal.Options, global, key)
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0
		}
		return uint32(n)
	}
	b := &proto.Bfd{MinRx: number("bfd-min-rx"), MinTx: number("bfd-min-tx"), DecayMinRx: number("bfd-decay-min-rx"), Mult: number("bfd-mult")}
	if b.MinRx|b.MinTx|b.DecayMinRx|b.Mult == 0 {
		return nil
	}
	return b
}

// checkHAGroup warns of members that are no chassis.
func (p *Program) checkHAGroup(c *incr.Ctx, id topology.HAGroupID) error {
	g, err := p.gateways.group.Get(c, id)
	if err != nil || g == nil {
		return err
	}
	var missing []topology.HAMember
	for _, m := range g.Members {
		if _, ok := p.Reader.Named(c, p.c.Chassis.Name, m.Chassis); !ok {
			missing = append(missing, m)
		}
	}
	// What that means: nothing passes, or one member less to take over.
	then := topology.ErrNoMember
	if len(missing) < len(g.Members) {
		then = topology.ErrMemberAway
	}
	for _, m := range missing {
		e := &topology.FieldError{UUID: m.Row, Object: m.Chassis, Err: fmt.Errorf("%q: %w, %w", m.Chassis, topology.ErrNoChassis, then)}
		switch id.Kind {
		case topology.HAGroupRow:
			e.Table, e.Column = p.c.HAChassis.Table.Name, "chassis_name"
		case topology.HAGatewayChassis:
			e.Table, e.Column, e.Object = p.c.GatewayChassis.Table.Name, "chassis_name", p.Reader.Str(c, p.c.GatewayChassis.Name, m.Row)
		case topology.HARouterChassis:
			e.Table, e.Column, e.Object = p.c.LR.Table.Name, "options:chassis", g.Name
		}
		p.warn(c, e)
	}
	return nil
}

// checkGateway warns of what a router port asks of a gateway and cannot have.
func (p *Program) checkGateway(c *incr.Ctx, m topology.Member) error {
	port, err := p.routers.port.Get(c, m)
	if err != nil || port == nil {
		return nil // the port's own unit says why
	}
	if e, ok := p.Reader.GatewayProblem(c, port).(*topology.FieldError); ok {
		p.warn(c, e)
	}
	p.checkFlood(c, port)
	return nil
}

// Types of southbound rows of gateways (ovn-sb(5), Port_Binding, type).
const (
	TypeRedirect  = "chassisredirect"
	TypeL3Gateway = "l3gateway"
)

const (
	optionRedirectPort = "chassis-redirect-port"
	optionDistributed  = "distributed-port"
	optionAlways       = "always-redirect"
	optionRedirectType = "redirect-type"
	optionL3Chassis    = "l3gateway-chassis"
)

// patchType is the type of a patch to or from a router port.
func patchType(g *topology.Gateway) string {
	if g.Chassis != "" {
		return TypeL3Gateway
	}
	return TypePatch
}

// gatewayOptions adds the options of the row of a router port, or of the switch
// port at the other end.
func gatewayOptions(options ovsdb.Map, g *topology.Gateway, router bool) ovsdb.Map {
	if g.Chassis != "" {
		options = options.With(optionL3Chassis, g.Chassis)
	}
	if g.Redirect != "" && router {
		options = options.With(optionRedirectPort, g.Redirect)
	}
	return options
}

// gatewayOf is what makes a switch port the other end of a gateway's.
func gatewayOf(port *topology.Port) *topology.Gateway {
	if port.Peer == nil {
		return &topology.Gateway{}
	}
	return &port.Peer.Gateway
}

// pinned is the HA group of a patch to or from a gateway router, nil otherwise.
func (p *Program) pinned(c *incr.Ctx, g *topology.Gateway) []byte {
	if g.Chassis == "" {
		return nil
	}
	return p.use(c, g.Group)
}

// gatewayKeys knows a router port and its chassisredirect port.
func gatewayKeys(port *topology.RouterPort) translate.PortKeys {
	return func(name string) (uint32, error) {
		switch {
		case name == port.Name:
			return port.Key, nil
		case name == port.Gateway.Redirect && name != "":
			return port.Gateway.RedirectKey, nil
		}
		return 0, fmt.Errorf("no port %q", name)
	}
}

// redirect emits the chassisredirect port of a distributed gateway port.
func (p *Program) redirect(c *incr.Ctx, port *topology.RouterPort) {
	g := &port.Gateway
	if g.Redirect == "" {
		return
	}
	value := &proto.Port{Uuid: port.UUID[:], Name: g.Redirect, Type: TypeRedirect, HaGroup: p.use(c, g.Group), Distributed: port.Key}
	options := ovsdb.MapOf(optionDistributed, port.Name)
	if g.Bridged {
		options = options.With(optionRedirectType, "bridged")
		value.Options = map[string]string{optionRedirectType: "bridged"}
	} else {
		options = options.With(optionAlways, "true")
	}
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(port.Datapath, g.RedirectKey)},
		Item{Scope: Scope{Datapath: port.Datapath}, Value: marshal(value)})
	group := g.Group.Key()
	incr.Emit(c, p.Rows, RowKey{"Port_Binding", topology.RedirectUUID(port.UUID)}, Row{[]Column{
		{"logical_port", g.Redirect},
		{"type", TypeRedirect},
		{"options", options},
		{"datapath", port.Router},
		{"tunnel_key", int64(g.RedirectKey)},
		{"mac", ovsdb.NewSet(routerMAC(port))},
		{"ha_chassis_group", ovsdb.NewSet(group)},
		{"external_ids", p.Reader.Map(c, p.c.LRP.XID, port.UUID)},
	}})
}

func routerMAC(port *topology.RouterPort) string {
	return strings.Join(append([]string{port.MAC.String()}, port.Networks...), " ")
}

// border is the link of a router port, or of its peer, for locality: a border for
// all but the chassis that may host the port, where it is of a gateway.
func (p *Program) border(c *incr.Ctx, l Link, g *topology.Gateway) Link {
	if g.Chassis == "" && (g.Redirect == "" || g.Bridged) {
		return l
	}
	group, err := p.gateways.group.Get(c, g.Group)
	if err != nil || group == nil {
		return l
	}
	l.Border, l.Hosts = true, strings.Join(group.Names(), "\x00")
	return l
}

// announce fills in what the chassis that hosts a router announces to the switch
// of a port, and returns it for the port's row.
func (p *Program) announce(c *incr.Ctx, port *topology.Port, item *proto.Port) ovsdb.Set {
	all, err := p.Reader.NATAddresses(c, port, func() bool { return p.hasLocalnet(c, port.Switch) })
	if e, ok := err.(*topology.FieldError); ok {
		p.warn(c, e)
	}
	texts := make([]string, 0, len(all))
	for _, a := range all {
		texts = append(texts, a.String())
		item.Announce = append(item.Announce, &proto.Announcement{Addresses: a.Addresses, Datapath: a.Datapath, Port: a.Key})
	}
	slices.Sort(texts)
	return stringSet(texts)
}

// places finds the ports that is_chassis_resident names: chassisredirect ports and
// those of switches.
func (p *Program) places(c *incr.Ctx) translate.Places {
	return func(name string) (datapath, key uint32, err error) {
		missing := fmt.Errorf("is_chassis_resident: there is no port %q", name)
		owner, port, ports := ovsdb.UUID{}, ovsdb.UUID{}, p.c.LS.Ports
		if lrp, ok := p.Reader.Named(c, p.c.LRP.Name, strings.TrimPrefix(name, topology.RedirectName(""))); ok && strings.HasPrefix(name, topology.RedirectName("")) {
			owner, _ = p.Reader.Holder(c, p.c.LR.Ports, lrp)
			port = topology.RedirectUUID(lrp)
		} else if port, ok = p.Reader.Named(c, p.c.LSP.Name, name); ok {
			owner, _ = p.Reader.Holder(c, ports, port)
		} else {
			return 0, 0, missing
		}
		if datapath, err = p.datapathKey.Get(c, owner); err != nil {
			return 0, 0, err
		}
		key, ok := p.Reader.Key(c, topology.KindPort, owner, port)
		if !ok || datapath == 0 {
			return 0, 0, missing
		}
		return datapath, key, nil
	}
}
