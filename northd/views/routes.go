package views

import (
	"net/netip"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// routers is what lint knows of the routers of a zone: where their ports are.
type routers struct {
	s       *Source
	ports   map[ovsdb.UUID][]routerPort // by router
	by      map[netip.Addr][]routerPort // by address
	segment map[string]string           // by name of a router port: the switch or pair of ports that it is on
	tables  map[ovsdb.UUID]*routeTable
}

// routerPort is a port of a router with its networks.
type routerPort struct {
	router   *ovsdb.Row
	name     string
	networks []netip.Prefix
}

func (s *Source) routers() *routers {
	r := &routers{s: s, ports: make(map[ovsdb.UUID][]routerPort), by: make(map[netip.Addr][]routerPort), segment: make(map[string]string), tables: make(map[ovsdb.UUID]*routeTable)}
	c := s.Columns
	for lr := range s.Snapshot.Rows(c.LR.Table) {
		for a := range lr.Set(c.LR.Ports).All() {
			row := s.Snapshot.Row(c.LRP.Table, a.(ovsdb.UUID))
			if row == nil {
				continue
			}
			p := routerPort{router: lr, name: row.Str(c.LRP.Name)}
			for n := range row.Set(c.LRP.Networks).All() {
				if prefix, err := topology.ParsePrefix(n.(string)); err == nil {
					p.networks = append(p.networks, prefix)
				}
			}
			r.ports[lr.UUID()] = append(r.ports[lr.UUID()], p)
			for _, n := range p.networks {
				r.by[n.Addr()] = append(r.by[n.Addr()], p)
			}
			if peer, ok := row.Opt(c.LRP.Peer); ok {
				r.segment[p.name] = "peers " + min(p.name, peer.(string)) + " " + max(p.name, peer.(string))
			}
		}
	}
	for ls := range s.Snapshot.Rows(c.LS.Table) {
		for a := range ls.Set(c.LS.Ports).All() {
			row := s.Snapshot.Row(c.LSP.Table, a.(ovsdb.UUID))
			if row == nil || row.Str(c.LSP.Type) != topology.TypeRouter {
				continue
			}
			if name, ok := row.Map(c.LSP.Options).Get("router-port"); ok {
				r.segment[name.(string)] = ls.UUID().String()
			}
		}
	}
	return r
}

// lint finds what routers were told and will not do, or do otherwise than
// was meant: next hops of policies that no port reaches, and routes that two
// routers send each other packets by.
func (r *routers) lint() []control.Problem {
	var out []control.Problem
	c := r.s.Columns
	for lr := range r.s.Snapshot.Rows(c.LR.Table) {
		for a := range lr.Set(c.LR.Policies).All() {
			if row := r.s.Snapshot.Row(c.Policy.Table, a.(ovsdb.UUID)); row != nil {
				out = append(out, r.lintPolicy(lr, row)...)
			}
		}
		for a := range lr.Set(c.LR.StaticRoutes).All() {
			if row := r.s.Snapshot.Row(c.Route.Table, a.(ovsdb.UUID)); row != nil {
				out = append(out, r.lintRoute(lr, row)...)
				out = append(out, r.lintSymmetric(lr, row)...)
			}
		}
	}
	return out
}

// lintPolicy finds next hops that are left out of a policy with others that are
// not.
func (r *routers) lintPolicy(lr, row *ovsdb.Row) []control.Problem {
	var out []control.Problem
	t := &r.s.Columns.Policy
	if row.Str(t.Action) != topology.ActionReroute || row.Set(t.OutputPort).Len() > 0 {
		return nil
	}
	reached := 0
	for a := range row.Set(t.Nexthops).All() {
		next, err := netip.ParseAddr(a.(string))
		if err != nil {
			return nil // the compile says so
		}
		if _, ok := r.exit(lr.UUID(), next); ok {
			reached++
			continue
		}
		out = append(out, control.Problem{
			Object: control.Object{Table: t.Table.Name, Name: topology.PolicyName(row, r.s.Columns), UUID: row.UUID().String()},
			Column: t.Nexthops.Name, Value: a.(string), Reason: topology.ErrNoPath.Error(), Effect: control.Ambiguous,
		})
	}
	if reached == 0 {
		return nil // it is left out as a whole, and the compile says so
	}
	return out
}

// exit is the port of a router that has a network with an address.
func (r *routers) exit(router ovsdb.UUID, ip netip.Addr) (routerPort, bool) {
	var best routerPort
	bits := -1
	for _, p := range r.ports[router] {
		for _, n := range p.networks {
			if n.Contains(ip) && n.Bits() > bits {
				best, bits = p, n.Bits()
			}
		}
	}
	return best, bits >= 0
}

// lintSymmetric finds routes that ask in vain for replies to go the way that the
// requests came: packets of a distributed router do not pass one chassis, and which
// route table a packet looks into is not known yet where connections are looked up.
func (r *routers) lintSymmetric(lr, row *ovsdb.Row) []control.Problem {
	t := &r.s.Columns.Route
	if v, _ := row.Map(t.Options).Get(topology.OptionSymmetricReply); v != "true" {
		return nil
	}
	reason := "works on gateway routers only (options:chassis); here replies go by any of the routes to the prefix"
	if chassis, _ := lr.Map(r.s.Columns.LR.Options).Get("chassis"); chassis != nil {
		if row.Str(t.RouteTable) == "" {
			return nil
		}
		reason = "works in the main route table only; replies go by any of the routes to the prefix"
	}
	return []control.Problem{{
		Object: control.Object{Table: t.Table.Name, Name: row.Str(t.Prefix), UUID: row.UUID().String()},
		Column: t.Options.Name, Value: topology.OptionSymmetricReply, Reason: reason, Effect: control.Ambiguous,
	}}
}
