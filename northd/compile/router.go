package compile

import (
	"fmt"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// routers are the queries about logical routers.
type routers struct {
	ports *topology.List // Logical_Router:ports

	router     *incr.Query[ovsdb.UUID, *topology.Router]
	port       *incr.Query[topology.Member, *topology.RouterPort]
	attachment *incr.Query[topology.Member, *topology.Attachment] // by switch port of type router
	body       *incr.Query[topology.RouterShape, *translate.Body]

	datapath  *incr.Unit[ovsdb.UUID]
	logic     *incr.Unit[ovsdb.UUID]
	member    *incr.Unit[topology.Member]
	neighbour *incr.Pairs[topology.Member, topology.Member] // switch port of type router, port of its switch
	pair      *incr.Pairs[topology.Member, topology.Member] // router port with a gateway_mtu, port of its router
}

// LinkKey names a patch between two datapaths by one of its ports.
type LinkKey struct{ Port ovsdb.UUID }

// Link says that two datapaths are connected: where one is local, the other one
// is too, unless the link is a border.
type Link struct {
	A, B   uint32 // tunnel keys
	Border bool
	Hosts  string // of a border: chassis for which it is none, separated by a zero byte
}

func hashLink(l Link) incr.Hash { return incr.CellOf(uint64(l.A), uint64(l.B), l.Border, l.Hosts) }

func (p *Program) newRouters(e *incr.Engine) {
	r := &p.routers
	r.ports = p.Reader.List(p.c.LR.Ports)
	r.router = incr.NewQuery(e, "router", topology.HashRouter, p.readRouter, incr.Order(compareUUIDs))
	r.port = incr.NewQuery(e, "router-port", topology.HashRouterPort, p.readRouterPort, incr.Order(compareMember))
	r.attachment = incr.NewQuery(e, "attachment", topology.HashAttachment, p.readAttachment, incr.Order(compareMember))
	r.body = incr.NewQuery(e, "router-body", hashBody, p.compileRouter)
	r.datapath = incr.NewUnit(e, "router-datapath", p.runRouterDatapath, incr.Order(compareUUIDs))
	r.logic = incr.NewUnit(e, "router-logic", p.runRouter, incr.Order(compareUUIDs))
	r.member = incr.NewUnit(e, "router-member", p.runRouterPort, incr.Order(compareMember))
	r.neighbour = incr.NewPairs(e, "router-neighbour", p.runRouterNeighbour, incr.Order(comparePairs))
	r.pair = incr.NewPairs(e, "router-pair", p.runRouterPair, incr.Order(comparePairs))
	p.Reader.Rows(p.c.LR.Table)
}

func comparePairs(a, b incr.Pair[topology.Member, topology.Member]) int {
	if c := compareMember(a.Parent, b.Parent); c != 0 {
		return c
	}
	return compareMember(a.Elem, b.Elem)
}

// readRouter is a router that is enabled and has a key, else nil.
func (p *Program) readRouter(c *incr.Ctx, lr ovsdb.UUID) (*topology.Router, error) {
	if !p.Reader.RouterEnabled(c, lr) {
		return nil, nil
	}
	key, err := p.datapathKey.Get(c, lr)
	if err != nil || key == 0 {
		return nil, err
	}
	r := p.Reader.ReadRouter(c, lr, key)
	r.Gateways = r.Chassis == "" && incr.Any(c, p.gateways.ports, incr.Hash(lr))
	return r, nil
}

func (p *Program) readRouterPort(c *incr.Ctx, m topology.Member) (*topology.RouterPort, error) {
	r, err := p.routers.router.Get(c, m.Row)
	if err != nil || r == nil {
		return nil, err
	}
	port, ok, err := p.Reader.ReadRouterPort(c, m, r.Key)
	if err != nil || !ok {
		return nil, err
	}
	port.Shape = r.RouterShape
	port.BFD = p.hasBFD(c, port.Name)
	if g := &port.Gateway; g.Redirect != "" || g.Reside != "" {
		ls, ok := p.Reader.SwitchOf(c, port)
		g.Localnet = ok && p.hasLocalnet(c, ls)
	}
	return port, nil
}

// readAttachment is what the peer of a switch port of type router brings to the
// switch, nil if there is no peer.
func (p *Program) readAttachment(c *incr.Ctx, m topology.Member) (*topology.Attachment, error) {
	port, err := p.port.Get(c, m)
	if err != nil || port == nil || port.Peer == nil {
		return nil, nil // the port's own unit says why
	}
	return port.Peer.Attachment(p.Reader.DynamicNeighbours(c, port.Peer.Router)), nil
}

// connect finds the router port that a switch port of type router leads to. A
// router port that cannot be used is none: its own unit says why.
func (p *Program) connect(c *incr.Ctx, port *topology.Port) error {
	m, ok, err := p.Reader.RouterPortNamed(c, port.UUID, port.RouterPort)
	if err != nil {
		return port.FieldError("options", err)
	}
	if !ok {
		return nil
	}
	if peer, err := p.routers.port.Get(c, m); err == nil && peer != nil {
		port.Connect(peer)
	}
	return nil
}

// runRouterDatapath emits the rows and the item of a router, and walks its ports.
func (p *Program) runRouterDatapath(c *incr.Ctx, lr ovsdb.UUID) error {
	if !p.Reader.RouterEnabled(c, lr) {
		return nil
	}
	p.routers.ports.Each(c, lr, p.routers.member)
	p.routers.ports.Each(c, lr, p.neighbours.configs)
	p.routers.ports.Each(c, lr, p.gateways.check)
	p.routers.ports.Each(c, lr, p.gateways.port)
	p.checkRelay(c, lr)
	p.eachRoute(c, lr)
	p.policies.list.Each(c, lr, p.policies.unit)
	key, err := p.datapathKey.Get(c, lr)
	if err != nil || key == 0 {
		return err
	}
	name := p.Reader.Str(c, p.c.LR.Name, lr)
	incr.Emit(c, p.Rows, RowKey{"Datapath_Binding", lr}, Row{[]Column{
		{"tunnel_key", int64(key)},
		{"type", ovsdb.NewSet(typeRouter)},
		{"nb_uuid", ovsdb.NewSet(lr)},
		{"external_ids", ovsdb.MapOf("logical-router", lr.String(), "name", name)},
	}})
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_DATAPATH, Key: state.DatapathKey(key)}, Item{
		Scope: Scope{Datapath: key},
		Value: marshal(&proto.Datapath{Uuid: lr[:], Name: name, Type: typeRouter, MacBindingAgeThreshold: p.neighbourAge(c, lr)}),
	})
	return nil
}

const typeRouter = "logical-router"

// runRouter emits what a router does without looking at its ports.
func (p *Program) runRouter(c *incr.Ctx, lr ovsdb.UUID) error {
	r, err := p.routers.router.Get(c, lr)
	if err != nil || r == nil {
		return err
	}
	body, err := p.routers.body.Get(c, r.RouterShape)
	if err != nil {
		return err
	}
	shape := r.RouterShape
	p.emitUnit(c, UnitKey{Switch: lr, Object: lr, Part: PartDefault}, body, Scope{Datapath: r.Key}, 0,
		func() ([]pipeline.Flow, error) { return pipeline.OfRouter(shape) }, object("Logical_Router", lr, r.Name))
	return nil
}

// compileRouter is the body of all routers of a shape.
func (p *Program) compileRouter(_ *incr.Ctx, s topology.RouterShape) (*translate.Body, error) {
	flows, err := pipeline.OfRouter(s)
	if err != nil {
		return nil, err
	}
	return translate.Compile(flows, nil, nil)
}

// runRouterPort emits what a port of a router contributes.
func (p *Program) runRouterPort(c *incr.Ctx, m topology.Member) error {
	port, err := p.routers.port.Get(c, m)
	if err != nil || port == nil {
		return err
	}
	everywhere := Scope{Datapath: port.Datapath}
	err = p.emitFlows(c, UnitKey{Switch: m.Row, Object: m.Elem, Part: PartPort}, everywhere, 0, gatewayKeys(port),
		func() ([]pipeline.Flow, error) { return pipeline.OfRouterPort(port) }, object("Logical_Router_Port", port.UUID, port.Name))
	if err != nil {
		return err
	}
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(port.Datapath, port.Key)}, Item{
		Scope: everywhere,
		Value: marshal(&proto.Port{Uuid: port.UUID[:], Name: port.Name, Type: patchType(&port.Gateway),
			PeerDatapath: port.Peer.Datapath, PeerPort: port.Peer.Key, HaGroup: p.pinned(c, &port.Gateway),
			Mac: port.MAC.Uint64(), Networks: port.Networks, Advertise: advertisement(port)}),
	})
	p.redirect(c, port)
	incr.Emit(c, p.Rows, RowKey{"Port_Binding", m.Elem}, p.routerPortBinding(c, port))
	p.link(c, port.UUID, port.Datapath, &port.Peer, &port.Gateway)
	if port.GatewayMTU > 0 {
		topology.EachPair(c, p.routers.ports, m.Row, p.routers.pair)
	}
	return p.runRouterPeer(c, port)
}

// runRouterPeer emits what a router knows of the router at the other end.
func (p *Program) runRouterPeer(c *incr.Ctx, port *topology.RouterPort) error {
	if !port.Peer.Router {
		return nil
	}
	peer, err := p.routers.port.Get(c, topology.Member{Row: port.Peer.Owner, Elem: port.Peer.Port})
	if err != nil || peer == nil {
		return nil // the peer's own unit says why
	}
	a := port.Attachment(false)
	return p.emitFlows(c, UnitKey{Switch: port.Router, Object: port.UUID, Part: PartPeer}, Scope{Datapath: port.Datapath}, 0,
		oneKey(port.Name, port.Key), func() ([]pipeline.Flow, error) { return pipeline.OfRouterPeer(a, peer) },
		object("Logical_Router_Port", port.UUID, port.Name), object("Logical_Router_Port", peer.UUID, peer.Name))
}

// runRouterPair emits what a router does with packets from its port m that leave
// by its port to.
func (p *Program) runRouterPair(c *incr.Ctx, to, m topology.Member) error {
	if to == m {
		return nil
	}
	out, err := p.routers.port.Get(c, to)
	if err != nil || out == nil {
		return nil // its own unit says why
	}
	in, err := p.routers.port.Get(c, m)
	if err != nil || in == nil {
		return nil
	}
	return p.emitFlows(c, UnitKey{Switch: m.Row, Object: to.Elem, Part: PartPair, Via: m.Elem}, Scope{Datapath: out.Datapath}, 0,
		func(name string) (uint32, error) {
			if name == in.Name {
				return in.Key, nil
			}
			return oneKey(out.Name, out.Key)(name)
		}, func() ([]pipeline.Flow, error) { return pipeline.OfRouterPair(in, out) },
		object("Logical_Router_Port", out.UUID, out.Name), object("Logical_Router_Port", in.UUID, in.Name))
}

// TypePatch is the type of the southbound rows of both ends of a patch
// (ovn-sb(5), Port_Binding:type).
const TypePatch = "patch"

// link says that the datapath of a port is connected to that of its peer. Each
// end says so.
func (p *Program) link(c *incr.Ctx, port ovsdb.UUID, datapath uint32, peer *topology.Peer, g *topology.Gateway) {
	if peer.Datapath != 0 && peer.Datapath != datapath {
		incr.Emit(c, p.Links, LinkKey{port}, p.border(c, Link{A: min(datapath, peer.Datapath), B: max(datapath, peer.Datapath)}, g))
	}
}

func (p *Program) routerPortBinding(c *incr.Ctx, port *topology.RouterPort) Row {
	options := ovsdb.MapOf()
	if port.Peer.Name != "" {
		options = options.With(optionPeer, port.Peer.Name)
	}
	options = withAdvertisement(options, port)
	return Row{[]Column{
		{"logical_port", port.Name},
		{"type", patchType(&port.Gateway)},
		{"options", gatewayOptions(options, &port.Gateway, true)},
		{"datapath", port.Router},
		{"tunnel_key", int64(port.Key)},
		{"mac", ovsdb.NewSet(routerMAC(port))},
		{"external_ids", p.Reader.Map(c, p.c.LRP.XID, port.UUID)},
	}}
}

// runRouterNeighbour emits what a router knows of a port of a switch that it is
// on by the port at.
func (p *Program) runRouterNeighbour(c *incr.Ctx, at, m topology.Member) error {
	if at == m {
		return nil
	}
	a, err := p.routers.attachment.Get(c, at)
	if err != nil || a == nil {
		return err
	}
	port, err := p.port.Get(c, m)
	if err != nil || port == nil {
		return nil // the port's own unit says why
	}
	return p.emitFlows(c, UnitKey{Switch: a.Router, Object: m.Elem, Part: PartNeighbour, Via: at.Elem}, Scope{Datapath: a.Datapath}, 0,
		oneKey(a.Name, a.Key), func() ([]pipeline.Flow, error) { return pipeline.OfRouterNeighbour(a, port) },
		object("Logical_Switch_Port", port.UUID, port.Name))
}

// emitFlows compiles flows and emits them as a unit, unless there are none. See
// emitUnit.
func (p *Program) emitFlows(c *incr.Ctx, k UnitKey, s Scope, resident uint32, keys translate.PortKeys,
	logic func() ([]pipeline.Flow, error), objects ...*proto.Object) error {
	flows, err := logic()
	if err != nil || len(flows) == 0 {
		return err
	}
	body, err := translate.Compile(flows, keys, nil, translate.WithPlaces(p.places(c)))
	if err != nil {
		return err
	}
	if body.Len() > 0 {
		p.emitUnit(c, k, body, s, resident, logic, objects...)
	}
	return nil
}

// oneKey knows one port.
func oneKey(name string, key uint32) translate.PortKeys {
	return func(asked string) (uint32, error) {
		if asked == name {
			return key, nil
		}
		return 0, fmt.Errorf("no port %q", asked)
	}
}

// routerKeys knows the ports of a router, for what names them. What was asked is
// recorded.
func (p *Program) routerKeys(c *incr.Ctx, lr ovsdb.UUID) translate.PortKeys {
	return func(name string) (uint32, error) {
		if u, ok := p.Reader.Named(c, p.c.LRP.Name, name); ok {
			if key, ok := p.Reader.Key(c, topology.KindPort, lr, u); ok {
				return key, nil
			}
		}
		return 0, fmt.Errorf("the router has no port %q", name)
	}
}
