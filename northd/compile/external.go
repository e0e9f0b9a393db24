package compile

import (
	"fmt"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// externals are the queries about external ports. Each is guarded against each
// router on its switch, at each localnet port.
type externals struct {
	localnets *incr.Collection[topology.Member] // by switch
	routers   *incr.Collection[topology.Member] // switch ports of type router, by switch

	at    *incr.Pairs[topology.Member, topology.Member] // external port, localnet port
	guard *incr.Pairs[incr.Pair[topology.Member, topology.Member], topology.Member]
}

func (p *Program) newExternals(e *incr.Engine) {
	x := &p.externals
	x.localnets = incr.NewRelation(e, "localnets", incr.Order(compareMember))
	x.routers = incr.NewRelation(e, "router-peers", incr.Order(compareMember))
	x.at = incr.NewPairs(e, "external-at", func(c *incr.Ctx, port, _ topology.Member) error {
		incr.EachPair(c, x.routers, incr.Hash(port.Row), x.guard)
		return nil
	}, incr.Order(comparePairs))
	x.guard = incr.NewPairs(e, "external", p.runExternal, incr.Order(func(a, b incr.Pair[incr.Pair[topology.Member, topology.Member], topology.Member]) int {
		if c := comparePairs(a.Parent, b.Parent); c != 0 {
			return c
		}
		return compareMember(a.Elem, b.Elem)
	}))
}

// hasLocalnet reports whether a switch has a port to a physical network.
func (p *Program) hasLocalnet(c *incr.Ctx, ls ovsdb.UUID) bool {
	return incr.Any(c, p.externals.localnets, incr.Hash(ls))
}

// provide notes what external ports of the switch have to do with.
func (p *Program) provide(c *incr.Ctx, m topology.Member, port *topology.Port) {
	localnet := port.Type == topology.TypeExternal && p.hasLocalnet(c, m.Row)
	if e, ok := p.Reader.ProviderProblem(c, port, localnet).(*topology.FieldError); ok {
		p.warn(c, e)
	}
	switch port.Type {
	case topology.TypeLocalnet:
		incr.Insert(c, p.externals.localnets, incr.Hash(m.Row), m)
	case topology.TypeRouter:
		incr.Insert(c, p.externals.routers, incr.Hash(m.Row), m)
	case topology.TypeExternal:
		incr.EachPair(c, p.externals.localnets, incr.Hash(m.Row), p.externals.at)
	}
}

// runExternal emits what keeps a router from hearing an external port, by a
// localnet port, where the external port is not hosted.
func (p *Program) runExternal(c *incr.Ctx, pair incr.Pair[topology.Member, topology.Member], rm topology.Member) error {
	port, err := p.port.Get(c, pair.Parent)
	if err != nil || port == nil {
		return nil // the ports' own units say why
	}
	localnet, err := p.port.Get(c, pair.Elem)
	if err != nil || localnet == nil {
		return nil
	}
	router, err := p.port.Get(c, rm)
	if err != nil || router == nil {
		return nil
	}
	keys := translate.PortKeys(func(name string) (uint32, error) {
		if name == localnet.Name {
			return localnet.Key, nil
		}
		return 0, fmt.Errorf("no port %q", name)
	})
	via := derived(pair.Elem.Elem, rm.Elem.String())
	return p.emitFlows(c, UnitKey{Switch: port.Switch, Object: port.UUID, Part: PartExternal, Via: via}, Scope{Datapath: port.Datapath}, 0,
		keys, func() ([]pipeline.Flow, error) { return pipeline.OfExternal(port, localnet, router) },
		object("Logical_Switch_Port", port.UUID, port.Name))
}

// haGroupRow is Port_Binding:ha_chassis_group of a port.
func haGroupRow(id topology.HAGroupID) ovsdb.Set {
	if id.Kind == 0 {
		return ovsdb.NewSet()
	}
	return ovsdb.NewSet(id.Key())
}
