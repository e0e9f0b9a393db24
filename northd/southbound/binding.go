package southbound

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// optionRequested names the chassis that may bind a port, by name or hostname;
// further ones after a comma are additional chassis (ovn-nb(5)).
const optionRequested = "requested-chassis"

// optionGateway names the chassis that an l2gateway port is on (ovn-nb(5)).
const optionGateway = "l2gateway-chassis"

// wanted is what a row of Port_Binding says about where it may be bound.
type wanted struct {
	iface     string   // iface-id of its interface
	bound     bool     // it is of a type that a chassis claims
	requested []string // names or hostnames; none: any chassis
	gateway   string   // of an l2gateway port: the chassis by name
	virtual   bool     // bound to where one of its parents is
	parents   []string // of a virtual port: names of ports that may have its address
	hosted    bool     // bound to the chassis that says it hosts it
	remote    bool     // bound to a chassis of another zone, by a client
	datapath  ovsdb.UUID
}

// hostedTypes are the types of ports that chassis decide about among themselves.
var hostedTypes = map[string]bool{topology.TypeExternal: true, "chassisredirect": true, "l3gateway": true}

func (r *Registry) wantedOf(row *ovsdb.Row) wanted {
	b := &r.c.PortBinding
	w := wanted{iface: row.Str(b.LogicalPort), bound: row.Str(b.Type) == ""}
	w.datapath, _ = row.Ref(b.Datapath)
	if parent, ok := row.Opt(b.ParentPort); ok {
		w.iface = parent.(string)
	}
	list := func(key string) (names []string) {
		if text, ok := row.Map(b.Options).Get(key); ok {
			for one := range strings.SplitSeq(text.(string), ",") {
				if one = strings.TrimSpace(one); one != "" {
					names = append(names, one)
				}
			}
		}
		return names
	}
	switch t := row.Str(b.Type); {
	case t == topology.TypeL2Gateway:
		gateway, _ := row.Map(b.Options).Get(optionGateway)
		w.gateway, _ = gateway.(string)
	case t == topology.TypeVirtual:
		w.virtual, w.parents = true, list(optionParents)
	case hostedTypes[t]:
		w.hosted = true
	case t == topology.TypeRemote:
		w.remote = true
	default:
		w.requested = list(optionRequested)
	}
	return w
}

func (w wanted) equal(o wanted) bool {
	return w.iface == o.iface && w.bound == o.bound && w.gateway == o.gateway && slices.Equal(w.requested, o.requested) &&
		w.virtual == o.virtual && w.datapath == o.datapath && w.hosted == o.hosted && w.remote == o.remote && slices.Equal(w.parents, o.parents)
}

// claimant is the chassis that a port is bound to: of those that have its
// interface, and may bind it, the one that saw the interface last; of equals,
// the one whose name sorts last. An l2gateway port is bound to the chassis that
// its options name.
func (r *Registry) claimant(tx *ovsdb.Txn, w wanted, row *ovsdb.Row) ovsdb.Set {
	if w.gateway != "" {
		if u := ChassisUUID(w.gateway); tx.Row(r.c.Chassis.Table, u) != nil {
			return ovsdb.NewSet(u)
		}
		return ovsdb.NewSet()
	}
	claims := r.claimsOf(tx, w, row)
	maps.DeleteFunc(claims, func(name string, _ int64) bool {
		return len(w.requested) > 0 && !r.called(tx, name, w.requested[:1])
	})
	if len(claims) == 0 {
		return ovsdb.NewSet()
	}
	return ovsdb.NewSet(ChassisUUID(slices.MaxFunc(slices.Collect(maps.Keys(claims)), func(a, b string) int {
		return cmp.Or(cmp.Compare(claims[a], claims[b]), cmp.Compare(a, b))
	})))
}

// additional are the chassis that a port is bound to besides the main one: those
// that have its interface, too, and that requested-chassis names after the first.
func (r *Registry) additional(tx *ovsdb.Txn, w wanted, row *ovsdb.Row) ovsdb.Set {
	all := ovsdb.NewSet()
	if len(w.requested) < 2 {
		return all
	}
	for name := range r.claimsOf(tx, w, row) {
		if r.called(tx, name, w.requested[1:]) && !r.called(tx, name, w.requested[:1]) {
			all = all.With(ChassisUUID(name))
		}
	}
	return all
}

// claimsOf are the chassis that are there and have the interface of a port, and
// since when. One that the row is bound to, and that did not say anything since
// the start, still has it.
func (r *Registry) claimsOf(tx *ovsdb.Txn, w wanted, row *ovsdb.Row) map[string]int64 {
	if !w.bound {
		return nil
	}
	b := &r.c.PortBinding
	r.mu.Lock()
	claims := make(map[string]int64, len(r.claims[w.iface]))
	maps.Copy(claims, r.claims[w.iface])
	for _, set := range []ovsdb.Set{row.Set(b.Chassis), row.Set(b.AdditionalChassis)} {
		for u := range set.All() {
			ch := tx.Row(r.c.Chassis.Table, u.(ovsdb.UUID))
			if ch == nil {
				continue
			}
			name := ch.Str(r.c.Chassis.Name)
			if _, says := claims[name]; !says && r.chassis[name] == nil {
				claims[name] = 0
			}
		}
	}
	r.mu.Unlock()
	maps.DeleteFunc(claims, func(name string, _ int64) bool { return tx.Row(r.c.Chassis.Table, ChassisUUID(name)) == nil })
	return claims
}

// called tells whether a chassis has one of the names, or it is its hostname.
func (r *Registry) called(tx *ovsdb.Txn, name string, names []string) bool {
	row := tx.Row(r.c.Chassis.Table, ChassisUUID(name))
	return row != nil && (slices.Contains(names, name) || slices.Contains(names, row.Str(r.c.Chassis.Hostname)))
}

// rebind makes a row follow the claims. A chassis that was an additional one has
// the flows, so that the port stays up when it becomes the main one.
func (r *Registry) rebind(tx *ovsdb.Txn, row *ovsdb.Row) {
	b := &r.c.PortBinding
	w := r.wantedOf(row)
	if w.remote {
		return
	}
	var now ovsdb.Set
	more, parent := r.additional(tx, w, row), ovsdb.NewSet()
	switch {
	case w.virtual:
		now, parent = r.virtualHost(tx, row, w)
	case w.hosted:
		now = r.hostOf(tx, row)
	default:
		now = r.claimant(tx, w, row)
	}
	moved := !row.Set(b.Chassis).Equal(now) || !row.Set(b.AdditionalChassis).Equal(more)
	if was := row.Set(b.Chassis); !was.Equal(now) {
		tx.SetColumn(b.Table, row.UUID(), "chassis", now)
		stays := false
		for u := range now.All() {
			stays = row.Set(b.AdditionalChassis).Has(u)
		}
		if up, _ := row.Opt(b.Up); !stays || up == nil {
			// Who hosts a port has what it takes: that is why it does.
			tx.SetColumn(b.Table, row.UUID(), "up", ovsdb.NewSet(w.hosted && now.Len() > 0))
		}
	}
	if !row.Set(b.AdditionalChassis).Equal(more) {
		tx.SetColumn(b.Table, row.UUID(), "additional_chassis", more)
	}
	r.encapsOf(tx, w, row, now, more)
	if !row.Set(b.VirtualParent).Equal(parent) {
		tx.SetColumn(b.Table, row.UUID(), "virtual_parent", parent)
	}
	if moved {
		r.rebindVirtual(tx, row.Str(b.LogicalPort))
	}
}

// bind makes Port_Binding:chassis of the ports behind interfaces follow the
// claims. With level set, ports bound to the chassis that it no longer claims
// are released too.
func (r *Registry) bind(chassis string, ifaces []string, level bool) error {
	if len(ifaces) == 0 && !level {
		return nil
	}
	b := &r.c.PortBinding
	_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		rows := make(map[ovsdb.UUID]bool)
		if level {
			for _, column := range []*ovsdb.ColumnSchema{b.Chassis, b.AdditionalChassis} {
				for u := range tx.Referrers(column, ChassisUUID(chassis)) {
					rows[u] = true
				}
			}
		}
		byName := index(b.Table, "logical_port")
		for _, iface := range ifaces {
			if row := tx.Lookup(b.Table, byName, iface); row != nil {
				rows[row.UUID()] = true
			}
			for _, u := range r.rowsOf(r.nested, iface) {
				rows[u] = true
			}
		}
		for u := range rows {
			if row := tx.Row(b.Table, u); row != nil {
				r.rebind(tx, row)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("binding ports of chassis %q: %w", chassis, err)
	}
	return nil
}

// placed notes where the compiler's row of a port leads, and binds it where that
// changed; old is nil for a new row, and always is set after a start, when
// chassis may have claimed it before.
func (r *Registry) placed(tx *ovsdb.Txn, u ovsdb.UUID, old *ovsdb.Row, always bool) {
	row := tx.Row(r.c.PortBinding.Table, u)
	if row == nil {
		return
	}
	now := r.wantedOf(row)
	if old != nil && !always && now.equal(r.wantedOf(old)) {
		return
	}
	r.mu.Lock()
	if old != nil {
		r.note(u, r.wantedOf(old), false)
	}
	r.note(u, now, true)
	_, claimed := r.claims[now.iface]
	r.mu.Unlock()
	r.request(tx, row, now)
	if !always || claimed || !now.bound { // after a start, not before the chassis said what they have
		r.rebind(tx, row)
	}
	if name := row.Str(r.c.PortBinding.LogicalPort); old != nil {
		if was := old.Str(r.c.PortBinding.LogicalPort); was != name || !sameRef(old, row, r.c.PortBinding.Datapath) {
			r.rebindVirtual(tx, was)
			r.rebindVirtual(tx, name)
		}
	}
}

// left forgets the row of a port that was deleted.
func (r *Registry) left(tx *ovsdb.Txn, row *ovsdb.Row) {
	r.mu.Lock()
	r.note(row.UUID(), r.wantedOf(row), false)
	r.mu.Unlock()
	r.rebindVirtual(tx, row.Str(r.c.PortBinding.LogicalPort))
}

// note adds a row to the indexes, or takes it out. The caller holds mu.
func (r *Registry) note(u ovsdb.UUID, w wanted, there bool) {
	set := func(m map[string]map[ovsdb.UUID]bool, key string) {
		switch {
		case there && m[key] == nil:
			m[key] = map[ovsdb.UUID]bool{u: true}
		case there:
			m[key][u] = true
		default:
			if delete(m[key], u); len(m[key]) == 0 {
				delete(m, key)
			}
		}
	}
	set(r.nested, w.iface)
	for _, name := range w.requested {
		set(r.requested, name)
	}
	if w.gateway != "" {
		set(r.requested, w.gateway)
	}
	for _, name := range w.parents {
		set(r.virtuals, name)
	}
}

// rowsOf is what an index has under a key, in order.
func (r *Registry) rowsOf(m map[string]map[ovsdb.UUID]bool, key string) []ovsdb.UUID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Keys(m[key]), func(a, b ovsdb.UUID) int { return bytes.Compare(a[:], b[:]) })
}

// request writes Port_Binding:requested_chassis and requested_additional_chassis:
// the chassis of those names or hostnames, as far as they are there (ovn-sb(5)).
func (r *Registry) request(tx *ovsdb.Txn, row *ovsdb.Row, w wanted) {
	main, more := ovsdb.NewSet(), ovsdb.NewSet()
	for i, name := range w.requested {
		u, ok := r.chassisNamed(tx, name)
		switch {
		case !ok:
		case i == 0:
			main = ovsdb.NewSet(u)
		default:
			more = more.With(u)
		}
	}
	b := &r.c.PortBinding
	for column, want := range map[string]ovsdb.Set{"requested_chassis": main, "requested_additional_chassis": more} {
		if !row.Set(b.Table.Column(column)).Equal(want) {
			tx.SetColumn(b.Table, row.UUID(), column, want)
		}
	}
}

// requestedOf writes what request does for the ports that ask for one of the
// names, when a chassis came or changed its hostname.
func (r *Registry) requestedOf(tx *ovsdb.Txn, names []string) {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, u := range r.rowsOf(r.requested, name) {
			if row := tx.Row(r.c.PortBinding.Table, u); row != nil {
				w := r.wantedOf(row)
				r.request(tx, row, w)
				if w.gateway != "" {
					r.rebind(tx, row)
				}
			}
		}
	}
}

// chassisNamed finds a chassis by name, else by hostname.
func (r *Registry) chassisNamed(tx *ovsdb.Txn, name string) (ovsdb.UUID, bool) {
	h := &r.c.Chassis
	if u := ChassisUUID(name); tx.Row(h.Table, u) != nil {
		return u, true
	}
	var found ovsdb.UUID
	for row := range tx.Rows(h.Table) {
		if u := row.UUID(); row.Str(h.Hostname) == name && (found.IsZero() || bytes.Compare(u[:], found[:]) < 0) {
			found = u
		}
	}
	return found, !found.IsZero()
}
