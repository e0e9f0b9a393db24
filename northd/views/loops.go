package views

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// Routes by which routers send packets round are found by following packets: to
// one address in each part of a route's prefix that its router and the next one
// treat alike.
//
//	route  |---------------------------| prefix of the route
//	best   |-----|  p1  |---|p2|-------| longer prefixes of the two routers
//	tried   ^       ^     ^   ^            one address each
//
// Only the main route tables count, and the routes by destination: policies,
// routes by source and those of other tables take single packets elsewhere.

// maxPath is how many routers a packet is followed through, and maxTried how many
// addresses are tried for one route.
const (
	maxPath  = 16
	maxTried = 4096
)

// hop is where a router sends packets: to another router or, with a zero one, to
// where no router gets them back.
type hop struct {
	next   netip.Addr
	port   string // of the router; "": the one that reaches next
	router *ovsdb.Row
}

// entry is what a router does with the packets for a prefix.
type entry struct {
	prefix netip.Prefix
	own    bool // a network of the router
	hops   []hop
}

// routeTable is the main route table of a router, by prefix.
type routeTable struct {
	by     map[netip.Prefix]*entry
	sorted []*entry // by address, wider ones first
	bits   [2][]int // lengths of the prefixes of IPv4 and IPv6, longest first
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// table is the route table of a router.
func (r *routers) table(lr *ovsdb.Row) *routeTable {
	if t := r.tables[lr.UUID()]; t != nil {
		return t
	}
	t := &routeTable{by: make(map[netip.Prefix]*entry)}
	r.tables[lr.UUID()] = t
	at := func(p netip.Prefix) *entry {
		e := t.by[p]
		if e == nil {
			e = &entry{prefix: p}
			t.by[p] = e
			t.sorted = append(t.sorted, e)
		}
		return e
	}
	for _, p := range r.ports[lr.UUID()] {
		for _, n := range p.networks {
			at(n.Masked()).own = true
		}
	}
	col := &r.s.Columns.Route
	for a := range lr.Set(r.s.Columns.LR.StaticRoutes).All() {
		row := r.s.Snapshot.Row(col.Table, a.(ovsdb.UUID))
		if row == nil {
			continue
		}
		prefix, h, ok := r.hop(lr, row)
		if !ok {
			continue // the compile leaves it out, too
		}
		e := at(prefix)
		if h.next.IsValid() {
			e.hops = append(e.hops, h)
		}
	}
	slices.SortFunc(t.sorted, func(a, b *entry) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	for _, e := range t.sorted {
		f := family(e.prefix.Addr())
		if !slices.Contains(t.bits[f], e.prefix.Bits()) {
			t.bits[f] = append(t.bits[f], e.prefix.Bits())
		}
	}
	for f := range t.bits {
		slices.SortFunc(t.bits[f], func(a, b int) int { return b - a })
	}
	return t
}

// best is what a router does with the packets for an address, nil: it has no route.
func (t *routeTable) best(a netip.Addr) *entry {
	for _, bits := range t.bits[family(a)] {
		if p, err := a.Prefix(bits); err == nil && t.by[p] != nil {
			return t.by[p]
		}
	}
	return nil
}

// within are the prefixes of the table that are a part of another one, without it.
func (t *routeTable) within(p netip.Prefix) []netip.Prefix {
	i, _ := slices.BinarySearchFunc(t.sorted, p, func(e *entry, p netip.Prefix) int {
		return cmp.Or(e.prefix.Addr().Compare(p.Addr()), cmp.Compare(e.prefix.Bits(), p.Bits()+1))
	})
	var out []netip.Prefix
	for ; i < len(t.sorted) && p.Contains(t.sorted[i].prefix.Addr()) && len(out) < maxTried; i++ {
		out = append(out, t.sorted[i].prefix)
	}
	return out
}

// hop is prefix and next hop of a route by destination in the main table; the next
// hop is none if packets are dropped. ok is false if the compile leaves it out.
func (r *routers) hop(lr, row *ovsdb.Row) (prefix netip.Prefix, h hop, ok bool) {
	t := &r.s.Columns.Route
	if policy, there := row.Opt(t.Policy); there && policy.(string) != "dst-ip" || row.Str(t.RouteTable) != "" {
		return prefix, h, false
	}
	prefix, err := topology.ParsePrefix(row.Str(t.Prefix))
	if err != nil {
		return prefix, h, false
	}
	prefix = prefix.Masked()
	if port, there := row.Opt(t.OutputPort); there {
		h.port = port.(string)
	}
	switch text := row.Str(t.Nexthop); {
	case text == "discard" || text == "":
		return prefix, h, true
	default:
		if h.next, err = netip.ParseAddr(text); err != nil {
			return prefix, h, false
		}
	}
	if h.port == "" {
		out, reached := r.exit(lr.UUID(), h.next)
		if !reached {
			return prefix, h, false
		}
		h.port = out.name
	}
	if segment := r.segment[h.port]; segment != "" {
		for _, at := range r.by[h.next] {
			if r.segment[at.name] == segment && at.router.UUID() != lr.UUID() {
				h.router = at.router
			}
		}
	}
	return prefix, h, true
}

// lintRoute finds out whether packets that follow a route come back to its router.
func (r *routers) lintRoute(lr, row *ovsdb.Row) []control.Problem {
	prefix, h, ok := r.hop(lr, row)
	if !ok || h.router == nil {
		return nil
	}
	mine := r.table(lr)
	tried := append(append([]netip.Prefix{prefix}, mine.within(prefix)...), r.table(h.router).within(prefix)...)
	slices.SortFunc(tried, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	tried = slices.Compact(tried)
	for i, p := range tried {
		a, there := gap(p, tried[i+1:])
		if !there {
			continue
		}
		if e := mine.best(a); e == nil || e.own || e.prefix != prefix {
			continue
		}
		if path := r.follow([]*ovsdb.Row{lr}, h.router, a); path != nil {
			t := &r.s.Columns.Route
			return []control.Problem{{
				Object: control.Object{Table: t.Table.Name, Name: row.Str(t.Prefix), UUID: row.UUID().String()},
				Column: t.Nexthop.Name, Value: h.next.String(), Effect: control.Ambiguous,
				Reason: fmt.Sprintf("packets to %v, for one, go round until their time to live ends: %s", a, strings.Join(path, " to ")),
			}}
		}
	}
	return nil
}

// follow follows a packet that went through routers and is at another one; path is
// the way by which it comes back to the first one, nil: it does not.
func (r *routers) follow(way []*ovsdb.Row, at *ovsdb.Row, to netip.Addr) (path []string) {
	for i, lr := range way {
		if lr.UUID() != at.UUID() {
			continue
		}
		if i > 0 {
			return nil // others go round; their own routes are found
		}
		for _, lr := range append(way, at) {
			path = append(path, fmt.Sprintf("router %q", nameOf(lr)))
		}
		return path
	}
	e := r.table(at).best(to)
	if e == nil || e.own || len(way) == maxPath {
		return nil
	}
	way = append(way, at)
	for _, h := range e.hops {
		if h.router == nil {
			continue
		}
		if path := r.follow(way, h.router, to); path != nil {
			return path
		}
	}
	return nil
}

// gap is an address of a prefix that is in none of others; sorted begins with those
// that are a part of it.
func gap(p netip.Prefix, sorted []netip.Prefix) (netip.Addr, bool) {
	a := p.Addr()
	if p.Bits() == 0 { // the first addresses of all stand for nobody
		a = netip.AddrFrom4([4]byte{1})
		if !p.Addr().Is4() {
			a = netip.AddrFrom16([16]byte{0x20})
		}
	}
	for _, inner := range sorted {
		if !p.Contains(inner.Addr()) || a.Less(inner.Addr()) {
			break
		}
		if a = after(inner, a); !a.IsValid() || !p.Contains(a) {
			return a, false
		}
	}
	return a, true
}

// after is the first address behind a prefix and not before another address.
func after(p netip.Prefix, least netip.Addr) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	if next := last.Next(); !next.IsValid() || least.Less(next) {
		return next
	}
	return least
}
