package agent

import (
	"net/netip"

	"govn/pkg/incr"
)

// Learning a route has three steps, so that of several zones with one prefix each
// router uses the first one that it may use:
//
//	route of another zone x port of ours --learn--> accepted --first--> zone that has the prefix
//	                                                learnable --decide--> routes, unused

// contest is what zones contend for: a prefix in a table of a router.
type contest struct{ router, table, prefix string }

func acceptedKey(router, route string) incr.Hash { return incr.CellOf(router, route) }

// newLearning makes the units for a route that a zone advertises, and for one that
// a router may learn.
func (p *program) newLearning() (advertised *incr.Unit[string], decide *incr.Unit[learnedKey]) {
	e := p.in.e
	p.accepted = incr.NewRelation[string](e, "accepted-routes")
	p.learnable = incr.NewRelation[learnedKey](e, "learnable-routes")
	p.first = incr.NewQuery[contest](e, "first-zone", incr.HashString, p.readFirst)
	learn := incr.NewPairs(e, "learn", p.runLearn)
	advertised = incr.NewUnit(e, "advertised-route", func(c *incr.Ctx, uuid string) error {
		r, ok := p.in.icRoute.get(c, uuid)
		if !ok || p.in.mine(c, r.AvailabilityZone) {
			return nil
		}
		incr.EachPair(c, p.onSwitch, incr.HashString(r.TransitSwitch), learn)
		return nil
	})
	return advertised, incr.NewUnit(e, "learnable-route", p.runDecide)
}

// runLearn finds out whether a router may learn a route of another zone by one of
// its ports.
func (p *program) runLearn(c *incr.Ctx, uuid, lsp string) error {
	r, ok := p.in.icRoute.get(c, uuid)
	t, err := p.attached.Get(c, lsp)
	if err != nil || t == nil || !ok {
		return err
	}
	if why, detail := p.unlearnable(c, r, t); why != Used {
		incr.Emit(c, p.unused, unusedKey{t.router, lsp, uuid}, verdict{why, detail, r.Origin, r.RouteTable})
		return nil
	}
	incr.Insert(c, p.accepted, acceptedKey(t.router, uuid), lsp)
	incr.Insert(c, p.learnable, allRows, learnedKey{t.router, uuid})
	return nil
}

// unlearnable finds why a route cannot be learned by a port.
func (p *program) unlearnable(c *incr.Ctx, r *icRoute, t *transitPort) (Reason, string) {
	prefix, ok := parsePrefix(r.IPPrefix)
	nexthop, err := netip.ParseAddr(r.Nexthop)
	if !ok || err != nil {
		return Malformed, ""
	}
	if why, detail := p.filtered(c, prefix, t.learn, optionLearn, optionLearnDefault, optionFilterLearn, optionDenyLearn); why != Used {
		return why, detail
	}
	switch {
	case r.Origin == originLoadBalancer && p.in.option(c, optionLearnLB) != "true":
		return LoadBalancer, optionLearnLB
	case t.skipTag != "" && r.ExternalIDs[keyTag] == t.skipTag:
		return Tagged, t.skipTag
	case r.RouteTable != "" && r.RouteTable != t.table:
		return WrongTable, t.table
	}
	reached := false
	for _, n := range t.networks {
		if n.Addr() == nexthop {
			return Loop, t.lrp
		}
		reached = reached || n.Contains(nexthop)
	}
	switch {
	case !reached:
		return Unreachable, ""
	case incr.Any(c, p.own, ownKey(t.router, r.RouteTable, prefix)):
		return OwnRoute, ""
	case p.in.first && incr.Any(c, p.own, ownKey(t.router, networks, prefix)):
		return OwnNetwork, ""
	}
	return Used, ""
}

// readFirst is the zone whose route for a prefix a router uses: the first one with
// a route that it may learn.
func (p *program) readFirst(c *incr.Ctx, k contest) (string, error) {
	cell := cellContest(k.table, k.prefix)
	c.Read(cell)
	for _, one := range p.in.contenders[cell] {
		if incr.Any(c, p.accepted, acceptedKey(k.router, one.uuid)) {
			return one.az, nil
		}
	}
	return "", nil
}

// runDecide has a router use a route that it may learn, unless another zone was
// first and the router does not share.
func (p *program) runDecide(c *incr.Ctx, k learnedKey) error {
	r, ok := p.in.icRoute.get(c, k.route)
	if !ok {
		return nil
	}
	if !p.ecmp(c, k.router) {
		prefix, ok := parsePrefix(r.IPPrefix)
		if !ok {
			return nil
		}
		first, err := p.first.Get(c, contest{k.router, r.RouteTable, prefix.Masked().String()})
		if err != nil {
			return err
		}
		if first != r.AvailabilityZone {
			incr.Emit(c, p.unused, unusedKey{k.router, "", k.route}, verdict{Contested, first, r.Origin, r.RouteTable})
			return nil
		}
	}
	incr.Emit(c, p.routes, k, wantRoute{r.IPPrefix, r.Nexthop, r.RouteTable, r.Origin})
	return nil
}
