package topology

import (
	"cmp"
	"hash/maphash"
	"iter"
	"net/netip"
	"strings"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// RouteKey is what routes have in common that are alternatives of each other
// (ECMP): a router spreads packets over them.
type RouteKey struct {
	Router    ovsdb.UUID
	Table     string // route_table; "": the main table
	Source    bool   // by source address
	Connected bool   // options:origin=connected: learned from another zone, whose own network it is
	Prefix    netip.Prefix
}

// Compare orders keys.
func (k RouteKey) Compare(o RouteKey) int {
	return cmp.Or(k.Router.Compare(o.Router), strings.Compare(k.Table, o.Table), int(boolByte(k.Source))-int(boolByte(o.Source)),
		int(boolByte(k.Connected))-int(boolByte(o.Connected)), k.Prefix.Addr().Compare(o.Prefix.Addr()), cmp.Compare(k.Prefix.Bits(), o.Prefix.Bits()))
}

// text is the key without the router.
func (k RouteKey) text() string {
	return string([]byte{boolByte(k.Source), boolByte(k.Connected)}) + k.Prefix.String() + "\x00" + k.Table
}

// Option keys of static routes.
const (
	optionOrigin    = "origin"
	originConnected = "connected"
	policySource    = "src-ip"
)

// routeKey is the key of a route, false if its prefix cannot be used.
func (c *Columns) routeKey(router ovsdb.UUID, row *ovsdb.Row) (RouteKey, bool) {
	t := &c.Route
	prefix, err := ParsePrefix(row.Str(t.Prefix))
	if err != nil {
		return RouteKey{}, false
	}
	k := RouteKey{Router: router, Table: row.Str(t.RouteTable), Prefix: prefix.Masked(), Connected: stringAt(row, t.Options, optionOrigin) == originConnected}
	if v, there := row.Opt(t.Policy); there {
		k.Source = v.(string) == policySource
	}
	return k, true
}

// routeKeys is the keys under which a route of a router is.
func (c *Columns) routeKeys(sn *ovsdb.Snapshot, m Member) []RouteKey {
	row := memberRow(sn, c.LR.StaticRoutes, c.Route.Table, m)
	if row == nil {
		return nil
	}
	if k, ok := c.routeKey(m.Row, row); ok {
		return []RouteKey{k}
	}
	return nil
}

// network is a network of a router's port.
type network struct {
	router ovsdb.UUID
	prefix netip.Prefix
}

// family is the networks of a router in one version of IP.
type family struct {
	router ovsdb.UUID
	v6     bool
}

// routing is the index that a Reader has of routes and networks.
type routing struct {
	routes   members[RouteKey]
	byRouter map[ovsdb.UUID]map[RouteKey]struct{}
	groups   *incr.Collection[RouteKey]

	networks members[network]
	present  map[network]bool     // some port has it
	lengths  map[family]*[129]int // how many networks have a prefix of that length
}

// IndexRoutes makes the reader know routes by prefix and ports by network; before
// the first Advance.
func (r *Reader) IndexRoutes() {
	x := &r.routing
	x.routes, x.networks = newMembers[RouteKey](), newMembers[network]()
	x.byRouter, x.lengths, x.present = make(map[ovsdb.UUID]map[RouteKey]struct{}), make(map[family]*[129]int), make(map[network]bool)
	x.groups = incr.NewCollection(r.engine, "route-groups", func(key incr.Hash) iter.Seq[RouteKey] {
		return func(yield func(RouteKey) bool) {
			for k := range x.byRouter[ovsdb.UUID(key)] {
				if !yield(k) {
					return
				}
			}
		}
	}, incr.Order(RouteKey.Compare))
	for row := range r.snap.Rows(r.C.LR.Table) {
		for a := range row.Set(r.C.LR.StaticRoutes).All() {
			r.indexRoute(Member{row.UUID(), a.(ovsdb.UUID)})
		}
		for a := range row.Set(r.C.LR.Ports).All() {
			r.indexNetworks(Member{row.UUID(), a.(ovsdb.UUID)})
		}
	}
}

// touchRouting keeps the index up to date; the snapshot is the new one already.
func (r *Reader) touchRouting(ch *ovsdb.Change) {
	if r.routing.groups == nil {
		return
	}
	if r.C.LR.StaticRoutes != r.fault.SkipLeave {
		touchedMembers(ch, r.C.LR.StaticRoutes, r.C.Route.Table, r.snap, r.indexRoute)
	}
	touchedMembers(ch, r.C.LR.Ports, r.C.LRP.Table, r.snap, r.indexNetworks)
}

func (r *Reader) indexRoute(m Member) {
	x := &r.routing
	for _, k := range x.routes.set(m, r.C.routeKeys(r.snap, m)) {
		r.engine.Touch(r.routeCell(k))
		there := len(x.routes.by[k]) > 0
		all := x.byRouter[k.Router]
		if all == nil {
			all = make(map[RouteKey]struct{})
			x.byRouter[k.Router] = all
		}
		if there {
			all[k] = struct{}{}
		} else if delete(all, k); len(all) == 0 {
			delete(x.byRouter, k.Router)
		}
		x.groups.Change(incr.Hash(k.Router), k, there)
	}
}

func (r *Reader) indexNetworks(m Member) {
	x := &r.routing
	var keys []network
	if row := memberRow(r.snap, r.C.LR.Ports, r.C.LRP.Table, m); row != nil {
		for a := range row.Set(r.C.LRP.Networks).All() {
			if p, err := ParsePrefix(a.(string)); err == nil {
				keys = append(keys, network{m.Row, p.Masked()})
			}
		}
	}
	for _, k := range x.networks.set(m, keys) {
		r.engine.Touch(r.networkCell(k))
		now := len(x.networks.by[k]) > 0
		if x.present[k] == now {
			continue
		}
		f, by := family{k.router, k.prefix.Addr().Is6()}, 1
		if now {
			x.present[k] = true
		} else {
			delete(x.present, k)
			by = -1
		}
		n := x.lengths[f]
		if n == nil {
			n = new([129]int)
			x.lengths[f] = n
		}
		before := n[k.prefix.Bits()]
		n[k.prefix.Bits()] += by
		if before == 0 || n[k.prefix.Bits()] == 0 {
			r.engine.Touch(r.lengthsCell(f))
		}
		if *n == [129]int{} {
			delete(x.lengths, f)
		}
	}
}

func (r *Reader) routeCell(k RouteKey) incr.Cell {
	return mix(k.Router, maphash.String(r.seed, k.text()), 3)
}

func (r *Reader) networkCell(k network) incr.Cell {
	return mix(k.router, maphash.String(r.seed, k.prefix.String()), 4)
}

func (r *Reader) lengthsCell(f family) incr.Cell { return mix(f.router, uint64(boolByte(f.v6)), 5) }

// RouteGroups are the alternatives of a router by prefix: a collection whose key is
// the router.
func (r *Reader) RouteGroups() *incr.Collection[RouteKey] { return r.routing.groups }

// RoutesTo are the routes of a key, in order.
func (r *Reader) RoutesTo(c *incr.Ctx, k RouteKey) []ovsdb.UUID {
	c.Read(r.routeCell(k))
	return r.routing.routes.by[k]
}

// Reaching yields the ports of a router that have a network with an address,
// those with the longest prefix first. Only what is looked at is recorded.
func (r *Reader) Reaching(c *incr.Ctx, router ovsdb.UUID, ip netip.Addr) iter.Seq2[ovsdb.UUID, netip.Prefix] {
	return func(yield func(ovsdb.UUID, netip.Prefix) bool) {
		f := family{router, ip.Is6()}
		c.Read(r.lengthsCell(f))
		n := r.routing.lengths[f]
		if n == nil {
			return
		}
		for bits := ip.BitLen(); bits >= 0; bits-- {
			if n[bits] == 0 {
				continue
			}
			prefix, err := ip.Prefix(bits)
			if err != nil {
				continue
			}
			k := network{router, prefix}
			c.Read(r.networkCell(k))
			for _, u := range r.routing.networks.by[k] {
				if !yield(u, prefix) {
					return
				}
			}
		}
	}
}
