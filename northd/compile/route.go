package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// routes are the queries about static routes. The routes of a router to one
// prefix are one unit: they are alternatives of each other. Each route has a unit
// besides that emits nothing and fails where the route cannot be used.
//
//	Logical_Router.static_routes --> index by prefix --> group --> flows
//	                |                                      ^
//	                +--> route (status) --> hop -----------+
//	networks of ports --> index by network --> exit --^
type routes struct {
	list  *topology.List
	exit  *incr.Query[destination, *topology.Exit]
	hop   *incr.Query[topology.Member, *topology.Hop]
	route *incr.Unit[topology.Member]
	group *incr.Unit[topology.RouteKey]
	table *incr.Unit[topology.Member]
}

// destination is a next hop of a router.
type destination struct {
	router ovsdb.UUID
	next   netip.Addr
}

func (d destination) compare(o destination) int {
	return cmp.Or(d.router.Compare(o.router), d.next.Compare(o.next))
}

func (p *Program) newRoutes(e *incr.Engine) {
	p.Reader.IndexRoutes()
	r := &p.routes
	r.list = p.Reader.List(p.c.LR.StaticRoutes)
	r.exit = incr.NewQuery(e, "exit", topology.HashExit, p.findExit, incr.Order(destination.compare))
	r.hop = incr.NewQuery(e, "hop", topology.HashHop, p.readHop, incr.Order(compareMember))
	r.route = incr.NewUnit(e, "route", p.runRoute, incr.Order(compareMember))
	r.table = incr.NewUnit(e, "route-table", p.runRouteTable, incr.Order(compareMember))
	r.group = incr.NewUnit(e, "routes", p.runRouteGroup, incr.Order(topology.RouteKey.Compare))
}

// eachRoute keeps alive what the static routes of a router contribute.
func (p *Program) eachRoute(c *incr.Ctx, lr ovsdb.UUID) {
	p.routes.list.Each(c, lr, p.routes.route)
	p.routers.ports.Each(c, lr, p.routes.table)
	incr.Each(c, p.Reader.RouteGroups(), incr.Hash(lr), p.routes.group)
}

// findExit finds the port of a router that reaches a next hop, nil if none does:
// the one with the longest prefix.
func (p *Program) findExit(c *incr.Ctx, d destination) (*topology.Exit, error) {
	for u, prefix := range p.Reader.Reaching(c, d.router, d.next) {
		port, err := p.routers.port.Get(c, topology.Member{Row: d.router, Elem: u})
		if err != nil || port == nil {
			continue // the port's own unit says why
		}
		for _, n := range slices.Concat(port.V4, port.V6) {
			if n.Masked() == prefix {
				exit := port.Exit(n.Addr())
				return &exit, nil
			}
		}
	}
	return nil, nil
}

// portExit is how a router gets to a next hop by the port that is named; the next
// hop may be in no network of it, or not be given.
func (p *Program) portExit(c *incr.Ctx, router ovsdb.UUID, name string, next netip.Addr, v4 bool) (*topology.Exit, error) {
	u, ok := p.Reader.Named(c, p.c.LRP.Name, name)
	m := topology.Member{Row: router, Elem: u}
	if !ok || !p.routers.ports.Has(c, m) {
		return nil, fmt.Errorf("%q: %w", name, topology.ErrNoPort)
	}
	port, err := p.routers.port.Get(c, m)
	if err != nil || port == nil {
		return nil, fmt.Errorf("%q: %w", name, topology.ErrNoPort)
	}
	source, ok := netip.Addr{}, false
	if next.IsValid() {
		source, ok = port.SourceFor(next)
	}
	if !ok {
		source, ok = port.FirstSource(v4)
	}
	if !ok {
		return nil, topology.ErrNoSource
	}
	exit := port.Exit(source)
	return &exit, nil
}

// readHop is what a static route of a router does, nil if it does nothing: it is
// gone, or its BFD session is down.
func (p *Program) readHop(c *incr.Ctx, m topology.Member) (*topology.Hop, error) {
	t, ok, err := p.Reader.ReadRoute(c, m.Elem)
	if err != nil || !ok || t.Down {
		return nil, err
	}
	h := &topology.Hop{Route: m.Elem, Discard: t.Discard, Next: t.Next}
	if t.Discard {
		return h, nil
	}
	h.Symmetric, h.Fields = p.Reader.RouteOptions(c, m.Elem)
	bad := func(column *ovsdb.ColumnSchema, err error) error {
		return &topology.FieldError{Table: p.c.Route.Table.Name, Column: column.Name, Object: p.Reader.RouteName(c, m.Elem), UUID: m.Elem, Err: err}
	}
	var exit *topology.Exit
	if t.Port != "" {
		if exit, err = p.portExit(c, m.Row, t.Port, t.Next, t.Prefix.Addr().Is4()); err != nil {
			return nil, bad(p.c.Route.OutputPort, err)
		}
	} else if exit, err = p.routes.exit.Get(c, destination{m.Row, t.Next}); err != nil {
		return nil, err
	} else if exit == nil {
		return nil, bad(p.c.Route.Nexthop, fmt.Errorf("%s: %w", t.Next, topology.ErrNoPath))
	}
	h.Exit = *exit
	return h, nil
}

// runRoute fails where a static route cannot be used.
func (p *Program) runRoute(c *incr.Ctx, m topology.Member) error {
	router, err := p.routers.router.Get(c, m.Row)
	if err != nil || router == nil {
		return err
	}
	p.useRouteBFD(c, m.Elem)
	_, err = p.routes.hop.Get(c, m)
	return err
}

// runRouteGroup emits what the routes of a router to one prefix do.
func (p *Program) runRouteGroup(c *incr.Ctx, k topology.RouteKey) error {
	router, err := p.routers.router.Get(c, k.Router)
	if err != nil || router == nil {
		return err
	}
	g := &topology.RouteGroup{RouteKey: k, OneChassis: router.Chassis != ""}
	ok := true
	if k.Table != "" {
		if g.TableID, ok = p.Reader.Key(c, topology.KindRouteTable, k.Router, topology.TableOwner(k.Router, k.Table)); !ok {
			return nil
		}
	}
	var objects []*proto.Object
	for _, u := range p.Reader.RoutesTo(c, k) {
		h, err := p.routes.hop.Get(c, topology.Member{Row: k.Router, Elem: u})
		if err != nil || h == nil {
			continue // the route's own unit says why
		}
		objects = append(objects, object(p.c.Route.Table.Name, u, k.Prefix.String()))
		if !h.Discard {
			g.Hops = append(g.Hops, *h)
		}
	}
	if len(objects) == 0 {
		return nil
	}
	g.Discard = len(g.Hops) == 0
	slices.SortFunc(g.Hops, func(a, b topology.Hop) int {
		return cmp.Or(a.Next.Compare(b.Next), strings.Compare(a.Exit.Name, b.Exit.Name), a.Route.Compare(b.Route))
	})
	if len(g.Hops) > 1 {
		if g.ID, ok = p.Reader.Key(c, topology.KindRouteGroup, k.Router, k.Owner()); !ok {
			return nil
		}
	}
	ports := make(map[string]uint32)
	fields := []string(nil)
	for i := range g.Hops {
		ports[g.Hops[i].Exit.Name] = g.Hops[i].Exit.Key
		fields = append(fields, g.Hops[i].Fields...)
	}
	flows, err := pipeline.OfRoutes(g)
	if err != nil {
		return err
	}
	body, err := translate.Compile(flows, someKeys(ports), nil, translate.WithFields(fields))
	if err != nil {
		return err
	}
	key := UnitKey{Switch: k.Router, Object: ovsdb.UUID(k.Owner()), Part: PartRoutes}
	p.emitUnit(c, key, body, Scope{Datapath: router.Key}, 0, func() ([]pipeline.Flow, error) { return pipeline.OfRoutes(g) }, objects...)
	return nil
}

// runRouteTable emits which route table the packets of a router port look into,
// if that is not the main one.
func (p *Program) runRouteTable(c *incr.Ctx, m topology.Member) error {
	name := p.Reader.PortRouteTable(c, m.Elem)
	if name == "" {
		return nil
	}
	port, err := p.routers.port.Get(c, m)
	if err != nil || port == nil {
		return nil // the port's own unit says why
	}
	id, ok := p.Reader.Key(c, topology.KindRouteTable, m.Row, topology.TableOwner(m.Row, name))
	if !ok {
		return nil
	}
	return p.emitFlows(c, UnitKey{Switch: m.Row, Object: m.Elem, Part: PartRoutes}, Scope{Datapath: port.Datapath}, 0, oneKey(port.Name, port.Key),
		func() ([]pipeline.Flow, error) { return pipeline.OfRouteTable(port.Name, id) }, object("Logical_Router_Port", port.UUID, port.Name))
}

// someKeys knows the ports of a map.
func someKeys(ports map[string]uint32) translate.PortKeys {
	return func(name string) (uint32, error) {
		if key, ok := ports[name]; ok {
			return key, nil
		}
		return 0, fmt.Errorf("no port %q", name)
	}
}
