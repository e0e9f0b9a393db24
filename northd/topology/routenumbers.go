package topology

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
)

// Kinds of numbers that a router's registers carry. Their scope is the router.
const (
	KindRouteTable  = "route-table"  // of a route_table: reg7
	KindRouteGroup  = "route-group"  // of routes to one prefix, if they are several: reg8[0..15]
	KindPolicyGroup = "policy-group" // of a policy with several next hops: reg8[0..15]
)

// maxRouteNumber is what fits into 16 bits; 0 is the main table, and no group.
const maxRouteNumber = 1<<16 - 1

// ErrNoRouteNumber is returned, wrapped, when a router has used all numbers of a
// kind.
var ErrNoRouteNumber = errors.New("no free number is left in the router")

const optionRouteTable = "route_table"

// RouteNumbers numbers the route tables, groups of routes and policies with
// several next hops of each router. It is no part of the compile; like an
// [Allocator] it writes what the compile reads. The numbers are of registers that
// live within one pass of one chassis through a router's pipeline, so one is free
// as soon as its owner is gone.
type RouteNumbers struct {
	c  *Columns
	db *ovsdb.DatabaseSchema

	routes   members[RouteKey]
	tables   members[tableKey] // routes and ports that name a table
	policies members[policyKey]

	numbers map[numbered]uint32
	used    map[numberPlace]bool
	low     map[numberScope]uint32 // all numbers below are used
}

// tableKey is a route table of a router, by routes or by ports.
type tableKey struct {
	router ovsdb.UUID
	name   string
}

// policyKey is a policy with several next hops.
type policyKey struct{ router, policy ovsdb.UUID }

// claim says what something is called, and whether it is to have a number.
type claim struct {
	name string
	want func() bool // nil: no
}

// numbered is what has a number.
type numbered struct {
	kind          string
	router, owner ovsdb.UUID
}

type numberScope struct {
	kind   string
	router ovsdb.UUID
}

type numberPlace struct {
	numberScope
	number uint32
}

// TableOwner stands for a route table as the owner of a number.
func TableOwner(router ovsdb.UUID, name string) ovsdb.UUID {
	return ownerOf("table", router, name)
}

// Owner stands for the routes of a key as the owner of a number.
func (k RouteKey) Owner() ovsdb.UUID { return ownerOf("routes", k.Router, k.text()) }

func ownerOf(kind string, router ovsdb.UUID, text string) ovsdb.UUID {
	h := sha256.Sum256(append(append([]byte("govn "+kind+"\x00"), router[:]...), text...))
	u := ovsdb.UUID(h[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

// NewRouteNumbers reads what was given out before.
func NewRouteNumbers(c *Columns, private *ovsdb.DatabaseSchema, sn *ovsdb.Snapshot) *RouteNumbers {
	n := &RouteNumbers{c: c, db: private, routes: newMembers[RouteKey](), tables: newMembers[tableKey](), policies: newMembers[policyKey](),
		numbers: make(map[numbered]uint32), used: make(map[numberPlace]bool), low: make(map[numberScope]uint32)}
	t := &c.Allocation
	for row := range sn.Rows(t.Table) {
		switch kind := row.Str(t.Kind); kind {
		case KindRouteTable, KindRouteGroup, KindPolicyGroup:
			router, _ := ovsdb.ParseUUID(row.Str(t.Scope))
			owner, _ := row.Ref(t.Owner)
			number := uint32(row.Int(t.Key))
			n.numbers[numbered{kind, router, owner}] = number
			n.used[numberPlace{numberScope{kind, router}, number}] = true
		}
	}
	return n
}

// All makes the table agree with the whole northbound database. It reports
// whether it wrote.
func (n *RouteNumbers) All(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) (bool, error) {
	touched := make(map[numbered]claim)
	for owner := range n.numbers {
		touched[owner] = claim{}
	}
	lr := &n.c.LR
	for row := range sn.Rows(lr.Table) {
		for _, col := range []*ovsdb.ColumnSchema{lr.StaticRoutes, lr.Policies, lr.Ports} {
			for a := range row.Set(col).All() {
				n.note(sn, col, Member{row.UUID(), a.(ovsdb.UUID)}, touched)
			}
		}
	}
	return n.write(ctx, s, touched)
}

// Follow makes the table agree with the commits. It reports whether it wrote.
func (n *RouteNumbers) Follow(ctx context.Context, s *ovsdb.Store, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (bool, error) {
	touched := make(map[numbered]claim)
	lr := &n.c.LR
	for _, commit := range commits {
		for i := range commit.Changes {
			ch := &commit.Changes[i]
			touchedMembers(ch, lr.StaticRoutes, n.c.Route.Table, sn, func(m Member) { n.note(sn, lr.StaticRoutes, m, touched) })
			touchedMembers(ch, lr.Policies, n.c.Policy.Table, sn, func(m Member) { n.note(sn, lr.Policies, m, touched) })
			touchedMembers(ch, lr.Ports, n.c.LRP.Table, sn, func(m Member) { n.note(sn, lr.Ports, m, touched) })
		}
	}
	return n.write(ctx, s, touched)
}

// note brings the indexes up to date with an element of a router, and notes by
// name what may have come or gone.
func (n *RouteNumbers) note(sn *ovsdb.Snapshot, col *ovsdb.ColumnSchema, m Member, touched map[numbered]claim) {
	var tables []tableKey
	table := func(name string) {
		if name != "" {
			tables = append(tables, tableKey{m.Row, name})
		}
	}
	switch col {
	case n.c.LR.StaticRoutes:
		keys := n.c.routeKeys(sn, m)
		for _, k := range n.routes.set(m, keys) {
			touched[numbered{KindRouteGroup, m.Row, k.Owner()}] = claim{k.Prefix.String(), func() bool { return len(n.routes.by[k]) > 1 }}
		}
		for _, k := range keys {
			table(k.Table)
		}
	case n.c.LR.Policies:
		var keys []policyKey
		if row := memberRow(sn, col, n.c.Policy.Table, m); row != nil && row.Str(n.c.Policy.Action) == ActionReroute && row.Set(n.c.Policy.Nexthops).Len() > 1 {
			keys = []policyKey{{m.Row, m.Elem}}
		}
		for _, k := range n.policies.set(m, keys) {
			touched[numbered{KindPolicyGroup, m.Row, m.Elem}] = claim{m.Elem.String(), func() bool { return len(n.policies.by[k]) > 0 }}
		}
		return
	default:
		if row := memberRow(sn, col, n.c.LRP.Table, m); row != nil {
			table(stringAt(row, n.c.LRP.Options, optionRouteTable))
		}
	}
	for _, k := range n.tables.set(m, tables) {
		touched[numbered{KindRouteTable, k.router, TableOwner(k.router, k.name)}] = claim{k.name, func() bool { return len(n.tables.by[k]) > 0 }}
	}
}

// write frees numbers and gives out others, the lowest first to what sorts first.
func (n *RouteNumbers) write(ctx context.Context, s *ovsdb.Store, touched map[numbered]claim) (bool, error) {
	var gone, come []numbered
	for owner, claim := range touched {
		want := claim.want != nil && claim.want()
		switch _, has := n.numbers[owner]; {
		case has && !want:
			gone = append(gone, owner)
		case want && !has:
			come = append(come, owner)
		}
	}
	if len(gone)+len(come) == 0 {
		return false, nil
	}
	slices.SortFunc(gone, numbered.compare)
	slices.SortFunc(come, func(a, b numbered) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), a.router.Compare(b.router),
			CompareNatural(touched[a].name, touched[b].name), a.owner.Compare(b.owner))
	})
	var full error
	t := &n.c.Allocation
	_, err := s.Update(ctx, n.db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, owner := range gone {
			if row := tx.Lookup(t.Table, 0, owner.kind, scopeText(owner.router), owner.owner); row != nil {
				tx.Delete(t.Table, row.UUID())
			}
			n.free(owner)
		}
		for _, owner := range come {
			number, ok := n.take(owner)
			if !ok {
				full = fmt.Errorf("%s %q: %w", owner.kind, touched[owner].name, ErrNoRouteNumber)
				continue
			}
			tx.Insert(t.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"kind": owner.kind, "scope": scopeText(owner.router), "owner": owner.owner, "key": int64(number), "retired": false})
		}
		return tx.Err()
	})
	if err != nil {
		return false, fmt.Errorf("allocation table: %w", err)
	}
	return true, full
}

// take gives an owner the lowest free number.
func (n *RouteNumbers) take(owner numbered) (uint32, bool) {
	scope := numberScope{owner.kind, owner.router}
	for number := max(1, n.low[scope]); number <= maxRouteNumber; number++ {
		if at := (numberPlace{scope, number}); !n.used[at] {
			n.used[at], n.numbers[owner], n.low[scope] = true, number, number+1
			return number, true
		}
	}
	return 0, false
}

func (n *RouteNumbers) free(owner numbered) {
	scope := numberScope{owner.kind, owner.router}
	number := n.numbers[owner]
	delete(n.numbers, owner)
	delete(n.used, numberPlace{scope, number})
	if n.low[scope] = min(n.low[scope], number); n.low[scope] <= 1 {
		delete(n.low, scope)
	}
}

func (o numbered) compare(p numbered) int {
	return cmp.Or(strings.Compare(o.kind, p.kind), o.router.Compare(p.router), o.owner.Compare(p.owner))
}
