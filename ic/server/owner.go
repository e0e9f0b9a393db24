package server

import (
	"fmt"
	"slices"
	"time"

	"govn/pkg/ovsdb"
)

// client is a connection of an OVSDB client.
type client struct {
	who   principal
	since time.Time
	zone  ovsdb.UUID // that it writes as; zero: none yet
	said  bool       // that something was refused
}

func (r *registry) connected(cl *ovsdb.Client, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[cl] = &client{who: principal{cert: cl.Name, addr: cl.Host, local: cl.Local}, since: now}
}

func (r *registry) closed(cl *ovsdb.Client, now time.Time, lease time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[cl]
	delete(r.clients, cl)
	for _, z := range r.zones {
		switch {
		case z.writers[cl]:
			if delete(z.writers, cl); len(z.writers) == 0 {
				z.lostAt = now
			}
		case !z.live() && !z.lapsed && z.spokenBy(c.who) && now.After(z.lostAt.Add(lease)):
			z.lostAt = now // it was what kept the zone
		}
	}
	r.signal()
}

// spokenBy tells whether a client is the one that wrote as the zone before, as far
// as that can be told.
func (z *joined) spokenBy(p principal) bool {
	switch {
	case p.local:
		return false
	case z.cert != "":
		return z.cert == p.cert
	}
	return z.addr == p.addr
}

// mayReturn tells whether a zone of OVN that nobody speaks for may come back
// without a word: ovn-ic that was restarted, or stands by for another, has nothing
// to write while all is in place. r.mu is held.
func (r *registry) mayReturn(z *joined) bool {
	if z.id != "" {
		return false
	}
	for _, c := range r.clients {
		if c.who.local || !c.zone.IsZero() {
			continue
		}
		// A stranger cannot write for a zone that is bound to a certificate.
		if z.spokenBy(c.who) || z.cert == "" && c.since.Before(z.lostAt) && !r.knows(c.who) {
			return true
		}
	}
	return false
}

// knows tells whether a client is that of some zone. r.mu is held.
func (r *registry) knows(p principal) bool {
	for _, z := range r.zones {
		if z.leased() && z.spokenBy(p) {
			return true
		}
	}
	return false
}

// sbOwner is what OVSDB clients may write in OVN_IC_Southbound.
type sbOwner struct{ *Centre }

func (o sbOwner) Connected(cl *ovsdb.Client) { o.zones.connected(cl, time.Now()) }

func (o sbOwner) Closed(cl *ovsdb.Client) { o.zones.closed(cl, time.Now(), o.o.Lease) }

// Authorize lets a client write the rows of one zone, which is its own from then
// on. Those on a unix socket are the operator.
func (o sbOwner) Authorize(cl *ovsdb.Client, tx *ovsdb.Txn, rows []ovsdb.RowWrite) (func(), error) {
	c, r := o.columns, o.zones
	r.mu.Lock()
	defer r.mu.Unlock()
	me := r.clients[cl]
	w := ownedWrite{c: c, r: r, tx: tx, cl: cl, me: me, as: me.zone, most: o.o.MaxZones}
	for i := range 2 * len(rows) {
		check := w.check
		if i >= len(rows) { // it is known now who writes
			check = w.operators
		}
		if err := check(&rows[i%len(rows)]); err != nil {
			o.metrics.refusedWrites.WithLabelValues("ovsdb").Inc()
			if z := r.zones[me.zone]; z != nil {
				z.refused++
			}
			if !me.said {
				me.said = true
				o.log.Warn("a client was refused a write", "remote", me.who.String(), "err", err)
			}
			return nil, err
		}
	}
	if w.as == me.zone || me.who.local {
		return nil, nil
	}
	return func() { r.become(cl, w.as) }, nil
}

// become makes a client that of a zone.
func (r *registry) become(cl *ovsdb.Client, zone ovsdb.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	me := r.clients[cl]
	z := r.zones[zone]
	if z == nil {
		z = &joined{row: zone, writers: make(map[*ovsdb.Client]bool)}
		r.zones[zone] = z
	}
	me.zone, z.writers[cl], z.lapsed = zone, true, false
	if z.addr = me.who.addr; me.who.cert != "" {
		z.cert = me.who.cert
	}
	r.unsaved[z] = true
	r.signal()
}

// ownedWrite checks one transaction.
type ownedWrite struct {
	c  *columns
	r  *registry
	tx *ovsdb.Txn
	cl *ovsdb.Client
	me *client
	as ovsdb.UUID // zone that the client writes as; zero: none yet

	most int // zones that there may be
}

func (w *ownedWrite) check(row *ovsdb.RowWrite) error {
	c := w.c
	if row.Table == c.datapath.table {
		return w.datapath(row)
	}
	if w.me.who.local {
		return nil
	}
	for _, one := range []*ovsdb.Row{row.Old, row.New} {
		if one == nil {
			continue
		}
		zone, owned := w.zoneOf(one)
		if !owned {
			continue
		}
		if err := w.mayWrite(row, one, zone); err != nil {
			return err
		}
		w.as = zone
	}
	if row.New == nil {
		return nil
	}
	switch row.Table {
	case c.gateway.table:
		return w.ownEncaps(row)
	case c.zone.table:
		if zones := w.tx.Snapshot().Len(row.Table); row.Old == nil && zones >= w.most {
			return &ovsdb.Error{Kind: ovsdb.ErrResources, Details: fmt.Sprintf("table %q, row %s: there are %d zones already", row.Table.Name, row.New.UUID(), zones)}
		}
	case c.port.table:
		return w.switchOpen(row, c.port.transit)
	case c.route.table:
		return w.switchOpen(row, c.route.transit)
	}
	return nil
}

// ownEncaps keeps a gateway from having an encapsulation of another zone's.
func (w *ownedWrite) ownEncaps(row *ovsdb.RowWrite) error {
	t := &w.c.encap
	for u := range row.New.Set(w.c.gateway.encaps).All() {
		e := w.tx.Row(t.table, u.(ovsdb.UUID))
		if e == nil {
			continue
		}
		if zone, owned := w.zoneOf(e); owned && zone != w.as {
			return w.refuse(row, "the encapsulation %s %s is of zone %q, the client is zone %q", e.Str(t.kind), e.Str(t.ip), w.name(zone), w.name(w.as))
		}
	}
	return nil
}

// operators keeps zones from writing who may connect to the database, and with what
// keys.
func (w *ownedWrite) operators(row *ovsdb.RowWrite) error {
	theirs := false
	switch row.Table.Name {
	case "Connection", "SSL":
		theirs = true
	case "IC_SB_Global":
		theirs = slices.ContainsFunc(row.Columns(), func(c *ovsdb.ColumnSchema) bool { return c.Name == "connections" || c.Name == "ssl" })
	}
	who := w.me.who
	switch {
	case !theirs || who.local:
		return nil
	case !w.as.IsZero():
		return w.refuse(row, "the client is zone %q, and this is the operator's", w.name(w.as))
	case who.cert != "" && w.r.bound(who.cert):
		return w.refuse(row, "%q is a zone's certificate, and this is the operator's", who.cert)
	}
	return nil
}

// zoneOf is the zone that a row belongs to.
func (w *ownedWrite) zoneOf(row *ovsdb.Row) (zone ovsdb.UUID, owned bool) {
	c := w.c
	switch row.Table() {
	case c.zone.table:
		return row.UUID(), true
	case c.gateway.table:
		return row.Ref(c.gateway.zone)
	case c.port.table:
		return row.Ref(c.port.zone)
	case c.route.table:
		return row.Ref(c.route.zone)
	case c.addresses.table:
		return row.Ref(c.addresses.zone)
	case c.encap.table:
		name := row.Str(c.encap.gateway)
		gw := w.tx.Lookup(c.gateway.table, byName, name)
		if gw == nil { // with its gateway, or nobody's
			gw = w.tx.Snapshot().Lookup(c.gateway.table, byName, name)
		}
		if gw != nil {
			return gw.Ref(c.gateway.zone)
		}
	}
	return zone, false
}

func (w *ownedWrite) name(zone ovsdb.UUID) string {
	for _, row := range []*ovsdb.Row{w.tx.Snapshot().Row(w.c.zone.table, zone), w.tx.Row(w.c.zone.table, zone)} {
		if row != nil {
			return row.Str(w.c.zone.name)
		}
	}
	return zone.String()
}

// refuse is the error for a write.
func (w *ownedWrite) refuse(row *ovsdb.RowWrite, format string, args ...any) error {
	one, what := row.New, "inserted"
	switch {
	case row.New == nil:
		one, what = row.Old, "deleted"
	case row.Old != nil:
		what = fmt.Sprintf("column %q", row.Columns()[0].Name)
	}
	return &ovsdb.Error{Kind: ovsdb.ErrPermission, Details: fmt.Sprintf("table %q, row %s, %s: ", row.Table.Name, one.UUID(), what) + fmt.Sprintf(format, args...)}
}

// mayWrite tells whether the client may write a row of a zone.
func (w *ownedWrite) mayWrite(row *ovsdb.RowWrite, one *ovsdb.Row, zone ovsdb.UUID) error {
	if zone == w.as {
		return nil
	}
	if !w.as.IsZero() {
		return w.refuse(row, "it is of zone %q, the client is zone %q", w.name(zone), w.name(w.as))
	}
	z, who := w.r.zones[zone], w.me.who
	switch {
	case z == nil:
		return nil
	case z.cert != "" && z.cert != who.cert:
		return w.refuse(row, "it is of zone %q, which is bound to the certificate of %q", w.name(zone), z.cert)
	case z.stream != nil:
		return w.refuse(row, "it is of zone %q, which has joined by gRPC from %s", w.name(zone), z.stream.who.addr)
	case z.cert == "" && len(z.writers) > 0 && !z.writers[w.cl]:
		return w.refuse(row, "it is of zone %q, which is written by another client at %s", w.name(zone), z.addr)
	}
	return nil
}

// switchOpen tells whether the zone may have a port or route on a switch.
func (w *ownedWrite) switchOpen(row *ovsdb.RowWrite, column *ovsdb.ColumnSchema) error {
	name := row.New.Str(column)
	if row.Old != nil && row.Old.Str(column) == name || w.tx.Snapshot().Lookup(w.c.transit.table, byName, name) == nil {
		return nil
	}
	id := ""
	if z := w.r.zones[w.as]; z != nil {
		id = z.id
	}
	if why := w.c.mayJoin(w.tx.Snapshot(), name, w.name(w.as), id); why != "" {
		return w.refuse(row, "zone %q on switch %q: %s", w.name(w.as), name, why)
	}
	return nil
}

// datapath keeps clients from giving a switch a second key, and from taking the
// one that it has.
func (w *ownedWrite) datapath(row *ovsdb.RowWrite) error {
	t := &w.c.datapath
	one := row.New
	if one == nil {
		one = row.Old
	}
	if one.Str(t.kind) == transitRouter {
		return nil
	}
	name := one.Str(t.transit)
	others := func(yield func(*ovsdb.Row) bool) {
		for r := range w.tx.Rows(t.table) {
			if r.UUID() != one.UUID() && r.Str(t.transit) == name && r.Str(t.kind) != transitRouter && !yield(r) {
				return
			}
		}
	}
	another := slices.Collect(others)
	exists := w.tx.Snapshot().Lookup(w.c.transit.table, byName, name) != nil
	switch {
	case row.Old == nil && len(another) > 0:
		return &ovsdb.Error{Kind: ovsdb.ErrConstraint, Details: fmt.Sprintf("table %q, row %s: switch %q has the key %d already", row.Table.Name, one.UUID(), name, another[0].Int(t.key))}
	case w.me.who.local:
	case row.New == nil && exists && len(another) == 0:
		return w.refuse(row, "the switch %q exists, and needs its key", name)
	case row.New != nil && row.Old != nil:
		return w.refuse(row, "the key of switch %q stays", name)
	}
	return nil
}

// nbOwner is what OVSDB clients may write in OVN_IC_Northbound: who shows a zone's
// certificate is not the operator.
type nbOwner struct{ *Centre }

func (nbOwner) Connected(*ovsdb.Client) {}

func (nbOwner) Closed(*ovsdb.Client) {}

func (o nbOwner) Authorize(cl *ovsdb.Client, _ *ovsdb.Txn, rows []ovsdb.RowWrite) (func(), error) {
	o.zones.mu.Lock()
	zone := cl.Name != "" && o.zones.bound(cl.Name)
	o.zones.mu.Unlock()
	if !zone {
		return nil, nil
	}
	for i := range rows {
		row := &rows[i]
		own := row.Table == o.columns.nbGlobal.table && row.Old != nil && row.New != nil &&
			!slices.ContainsFunc(row.Columns(), func(c *ovsdb.ColumnSchema) bool { return c.Name != "nb_ic_cfg" && c.Name != "sb_ic_cfg" })
		if !own {
			o.metrics.refusedWrites.WithLabelValues("ovsdb").Inc()
			w := ownedWrite{}
			return nil, w.refuse(row, "%q is a zone's certificate, and the database is the operator's", cl.Name)
		}
	}
	return nil, nil
}

// boundTo are the zones that are bound to a certificate.
func (r *registry) boundTo(cert string) (rows []ovsdb.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for row, z := range r.zones {
		if cert != "" && z.cert == cert {
			rows = append(rows, row)
		}
	}
	return rows
}

// bound tells whether some zone is bound to a certificate. r.mu is held.
func (r *registry) bound(cert string) bool {
	for _, z := range r.zones {
		if z.cert == cert {
			return true
		}
	}
	return false
}
