package southbound

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// Ports that no interface decides about are bound to the chassis that says it
// hosts them. Which claim counts depends on the type of the port:
//
//	virtual   the last one whose parent is bound to the claiming chassis; where
//	          nobody claims it (northd was started anew), the parent that the row
//	          has, as long as that is bound to the chassis that the row has
//	others    of several, the latest
//
// A claim that comes in a report is later than all that came before it, whatever
// clock its chassis has. One in Hello is as late as it says.

// optionParents names the ports that may have the address of a virtual port
// (ovn-nb(5)).
const optionParents = "virtual-parents"

// hosted names a port by its tunnel keys.
type hosted struct{ datapath, port uint32 }

func hostedOf(c *proto.Claim) hosted { return hosted{c.Datapath, c.Port} }

// host takes in the claims of a chassis; with level set, all that it has.
func (r *Registry) host(chassis string, put, gone []*proto.Claim, level bool) error {
	touched := make(map[hosted]bool)
	r.mu.Lock()
	says := make(map[hosted]bool, len(put))
	for _, c := range put {
		says[hostedOf(c)] = true
		r.hosting.add(chassis, c, !level)
		touched[hostedOf(c)] = true
	}
	for _, c := range gone {
		r.hosting.drop(chassis, hostedOf(c))
		touched[hostedOf(c)] = true
	}
	if level {
		for h, claims := range r.hosting {
			if claims[chassis] != nil && !says[h] {
				r.hosting.drop(chassis, h)
				touched[h] = true
			}
		}
	}
	r.mu.Unlock()
	if len(touched) == 0 {
		return nil
	}
	order := slices.SortedFunc(maps.Keys(touched), func(a, b hosted) int {
		return cmp.Or(cmp.Compare(a.datapath, b.datapath), cmp.Compare(a.port, b.port))
	})
	_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		for _, h := range order {
			if row := r.rowByKey(tx, h); row != nil {
				r.rebind(tx, row)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("binding ports that chassis %q hosts: %w", chassis, err)
	}
	return nil
}

// hosting are the claims, by port and chassis.
type hosting map[hosted]map[string]*proto.Claim

// add notes a claim; last makes it later than all of the others.
func (m hosting) add(chassis string, c *proto.Claim, last bool) {
	h := hostedOf(c)
	if m[h] == nil {
		m[h] = make(map[string]*proto.Claim)
	}
	since := c.Since
	if last {
		for name, other := range m[h] {
			if name != chassis && other.Since >= since {
				since = other.Since + 1
			}
		}
	}
	m[h][chassis] = &proto.Claim{Datapath: c.Datapath, Port: c.Port, Since: since, Parent: c.Parent}
}

func (m hosting) drop(chassis string, h hosted) {
	if delete(m[h], chassis); len(m[h]) == 0 {
		delete(m, h)
	}
}

// rowByKey is the Port_Binding of a port, nil if there is none.
func (r *Registry) rowByKey(tx *ovsdb.Txn, h hosted) *ovsdb.Row {
	d, b := &r.c.Datapath, &r.c.PortBinding
	dp := tx.Lookup(d.Table, index(d.Table, "tunnel_key"), int64(h.datapath))
	if dp == nil {
		return nil
	}
	for i, cols := range b.Table.Indexes {
		if len(cols) == 2 && cols[0] == b.Datapath && cols[1] == b.TunnelKey {
			return tx.Lookup(b.Table, i, dp.UUID(), int64(h.port))
		}
	}
	panic("southbound: Port_Binding has no index on datapath and tunnel_key")
}

// keyOf is the port of a row by its tunnel keys.
func (r *Registry) keyOf(tx *ovsdb.Txn, row *ovsdb.Row) hosted {
	h := hosted{port: uint32(row.Int(r.c.PortBinding.TunnelKey))}
	if u, ok := row.Ref(r.c.PortBinding.Datapath); ok {
		if dp := tx.Row(r.c.Datapath.Table, u); dp != nil {
			h.datapath = uint32(dp.Int(r.c.Datapath.TunnelKey))
		}
	}
	return h
}

// claimsOn are the claims of a port by chassis that are there, the latest one
// first.
func (r *Registry) claimsOn(tx *ovsdb.Txn, h hosted) (names []string, claims map[string]*proto.Claim) {
	r.mu.Lock()
	claims = maps.Clone(r.hosting[h])
	r.mu.Unlock()
	for name := range claims {
		if tx.Row(r.c.Chassis.Table, ChassisUUID(name)) != nil {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return -cmp.Or(cmp.Compare(claims[a].Since, claims[b].Since), strings.Compare(a, b))
	})
	return names, claims
}

// hostOf is the chassis that hosts a port for which the latest claim counts.
// That of the row still hosts it if it did not say anything since the start.
func (r *Registry) hostOf(tx *ovsdb.Txn, row *ovsdb.Row) ovsdb.Set {
	names, _ := r.claimsOn(tx, r.keyOf(tx, row))
	if len(names) > 0 {
		return ovsdb.NewSet(ChassisUUID(names[0]))
	}
	was := row.Set(r.c.PortBinding.Chassis)
	for u := range was.All() {
		if ch := tx.Row(r.c.Chassis.Table, u.(ovsdb.UUID)); ch != nil && !r.heard(ch.Str(r.c.Chassis.Name)) {
			return was
		}
	}
	return ovsdb.NewSet()
}

// heard tells whether a chassis said something since the start.
func (r *Registry) heard(chassis string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chassis[chassis] != nil
}

// virtualHost is the chassis of a virtual port, and the parent that has its
// address.
func (r *Registry) virtualHost(tx *ovsdb.Txn, row *ovsdb.Row, w wanted) (chassis, parent ovsdb.Set) {
	b := &r.c.PortBinding
	h := r.keyOf(tx, row)
	names, claims := r.claimsOn(tx, h)
	for _, name := range names {
		p := r.rowByKey(tx, hosted{h.datapath, claims[name].Parent})
		if p != nil && r.parents(p, w, ChassisUUID(name)) {
			return ovsdb.NewSet(ChassisUUID(name)), ovsdb.NewSet(p.Str(b.LogicalPort))
		}
	}
	at, bound := row.Ref(b.Chassis)
	name, has := row.Opt(b.VirtualParent)
	if bound && has {
		p := tx.Lookup(b.Table, index(b.Table, "logical_port"), name)
		if p != nil && sameRef(p, row, b.Datapath) && r.parents(p, w, at) {
			return row.Set(b.Chassis), row.Set(b.VirtualParent)
		}
	}
	return ovsdb.NewSet(), ovsdb.NewSet()
}

// parents tells whether a port may have the address of a virtual port on a
// chassis.
func (r *Registry) parents(p *ovsdb.Row, w wanted, chassis ovsdb.UUID) bool {
	b := &r.c.PortBinding
	return p.Str(b.Type) == topology.TypeVIF && slices.Contains(w.parents, p.Str(b.LogicalPort)) &&
		(p.Set(b.Chassis).Has(chassis) || p.Set(b.AdditionalChassis).Has(chassis))
}

func sameRef(a, b *ovsdb.Row, col *ovsdb.ColumnSchema) bool {
	x, _ := a.Ref(col)
	y, _ := b.Ref(col)
	return x == y
}

// rebindVirtual makes the virtual ports follow one of their parents, which may be
// gone.
func (r *Registry) rebindVirtual(tx *ovsdb.Txn, parent string) {
	b := &r.c.PortBinding
	for _, u := range r.rowsOf(r.virtuals, parent) {
		if row := tx.Row(b.Table, u); row != nil {
			r.rebind(tx, row)
		}
	}
}
