package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// follow takes in what is committed until ctx ends.
func (c *Centre) follow(ctx context.Context) error {
	for {
		commits, err := c.sub.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("following the store: %w", err)
		}
		c.takeIn(ctx, commits)
	}
}

// round is what a number of commits asks for.
type round struct {
	unnumbered []ovsdb.UUID // routes that were not seen before
	forgotten  []ovsdb.UUID // routes that are gone, or other ones now
	unrecorded []ovsdb.UUID // zones that are gone
	keys       bool         // a transit switch or its key came or went
	freed      bool         // what was refused may be possible
}

// begin takes in what is there at the start.
func (c *Centre) begin(ctx context.Context, sn *ovsdb.Snapshot) {
	commit := ovsdb.Commit{Revision: sn.Revision()}
	for _, db := range []*ovsdb.DatabaseSchema{c.columns.private, c.columns.nb, c.columns.sb} {
		for _, name := range []string{"Zone", "Route", "IC_NB_Global", "Transit_Switch", "Availability_Zone", "Datapath_Binding", "Gateway", "Port_Binding"} {
			t := db.Tables[name]
			if t == nil {
				continue
			}
			for row := range sn.Rows(t) {
				commit.Changes = append(commit.Changes, ovsdb.Change{Table: t, UUID: row.UUID(), New: row})
			}
		}
	}
	c.starting = sn
	c.takeIn(ctx, []ovsdb.Commit{commit})
	c.starting = nil
}

func (c *Centre) takeIn(ctx context.Context, commits []ovsdb.Commit) {
	h := c.hub
	var r round
	h.mu.Lock()
	for i := range commits {
		for j := range commits[i].Changes {
			c.change(&commits[i].Changes[j], &r)
		}
		h.revision = commits[i].Revision
	}
	h.settling = len(r.unnumbered) > 0
	h.mu.Unlock()
	c.settle(ctx, &r)
	h.mu.Lock()
	h.settling = false
	told, more := h.conflicts.drain(h)
	for st := range h.streams {
		if r.freed {
			st.reconsider()
		}
		if st.whole || len(st.dirty) > 0 {
			st.Signal()
		}
	}
	h.mu.Unlock()
	c.logConflicts(told, more)
}

// change takes in one row. c.hub.mu is held.
func (c *Centre) change(ch *ovsdb.Change, r *round) {
	h, t := c.hub, c.columns
	h.work.changes++
	switch ch.Table {
	case t.record.table:
		c.changeRecord(ch, r)
	case t.seen.table:
		if ch.New != nil {
			route, _ := ch.New.Ref(t.seen.route)
			n := uint64(ch.New.Int(t.seen.since))
			h.seen[route], h.since = n, max(h.since, n)
		}
	case t.nbGlobal.table:
		strict := t.strictOf(ch.New)
		if strict != h.strict {
			h.restructure(nil, func() { h.strict = strict })
			c.recheck(nil, r)
		}
	case t.transit.table:
		c.changeSwitch(ch, r)
	case t.datapath.table:
		c.changeDatapath(ch, r)
	case t.zone.table:
		name, id := "", h.idOf(ch.UUID)
		if ch.New != nil {
			name = ch.New.Str(t.zone.name)
		} else if c.forgetZone(ch.UUID, r) {
			id = ""
		}
		c.setZone(ch.UUID, name, id, ch.New != nil, r)
	case t.gateway.table:
		c.setOwned(ch, key{kindGateway, ch.UUID}, c.newGateway(ch.New), r)
	case t.encap.table:
		c.changeEncap(ch, r)
	case t.port.table:
		var now *item
		if ch.New != nil {
			now = t.portOf(ch.New)
		}
		c.setOwned(ch, key{kindPort, ch.UUID}, now, r)
	case t.route.table:
		var now *item
		if ch.New != nil {
			now = t.routeOf(ch.New, h.numberOf(ch, r))
		}
		if ch.New == nil {
			r.forgotten = append(r.forgotten, ch.UUID)
			delete(h.seen, ch.UUID)
		}
		c.setOwned(ch, key{kindRoute, ch.UUID}, now, r)
	}
}

// numberOf is that of a route: it keeps its own while it is the same route.
func (h *hub) numberOf(ch *ovsdb.Change, r *round) uint64 {
	n, seen := h.seen[ch.UUID]
	if seen && ch.Old != nil {
		t := &h.c.route
		for _, col := range []*ovsdb.ColumnSchema{t.transit, t.zone, t.routeTable, t.prefix} {
			seen = seen && ovsdb.ValuesEqual(ch.Old.Get(col), ch.New.Get(col))
		}
	}
	if seen {
		return n
	}
	h.since++
	h.seen[ch.UUID] = h.since
	r.unnumbered = append(r.unnumbered, ch.UUID)
	return h.since
}

func (h *hub) idOf(row ovsdb.UUID) string {
	if z := h.zones[row]; z != nil {
		return z.id
	}
	return ""
}

// changeRecord takes in what is known of a zone beside its row.
func (c *Centre) changeRecord(ch *ovsdb.Change, r *round) {
	if ch.New == nil {
		return
	}
	t := &c.columns.record
	row, _ := ch.New.Ref(t.zone)
	name, there := "", false
	if z := c.hub.zones[row]; z != nil {
		name, there = z.name, c.hub.items[key{kindZone, row}] != nil
	}
	c.setZone(row, name, ch.New.Str(t.id), there, r)
}

// forgetZone takes in that the row of a zone was deleted. While somebody speaks for
// the zone it is made again; otherwise nothing is left of it: gone.
func (c *Centre) forgetZone(row ovsdb.UUID, r *round) (gone bool) {
	st, gone := c.zones.forget(row)
	if st != nil {
		st.doubt("", true)
	}
	if gone {
		r.unrecorded = append(r.unrecorded, row)
	}
	return gone
}

// setZone makes a zone what it is now, which may be on lists.
func (c *Centre) setZone(row ovsdb.UUID, name, id string, there bool, r *round) {
	h := c.hub
	old := h.zones[row]
	if old == nil {
		old = &zone{row: row}
	}
	k := key{kindZone, row}
	now := &zone{row: row, name: name, id: id}
	var listed []*transit
	for _, t := range h.switches {
		if t.access.about(old.name, old.id) != t.access.about(name, id) {
			listed = append(listed, t)
		}
	}
	change := func() {
		if there || id != "" {
			h.zones[row] = now
		} else {
			delete(h.zones, row)
		}
	}
	if len(listed) > 0 {
		h.restructure(listed, change)
		c.recheck(listed, r)
	} else {
		change()
	}
	if !there {
		h.set(k, nil)
		return
	}
	told := &ic.Zone{Row: row.String(), Name: name}
	if id != "" {
		told.Zone = idBytes(id)
	}
	h.set(k, &item{key: k, zone: row, az: told})
	r.freed = r.freed || old.name != name
}

// changeSwitch takes in a transit switch.
func (c *Centre) changeSwitch(ch *ovsdb.Change, r *round) {
	h, t := c.hub, &c.columns.transit
	if ch.Old != nil && (ch.New == nil || ch.New.Str(t.name) != ch.Old.Str(t.name)) {
		c.setSwitch(ch.Old.Str(t.name), ovsdb.UUID{}, access{}, r)
	}
	if ch.New != nil {
		name, now := ch.New.Str(t.name), accessOf(ch.New.Map(t.otherConfig))
		if old := h.transit(name); old.row != ch.UUID || !old.access.equal(now) {
			c.setSwitch(name, ch.UUID, now, r)
		}
	}
}

func (c *Centre) setSwitch(name string, row ovsdb.UUID, a access, r *round) {
	h := c.hub
	t := h.transit(name)
	was := t.row
	h.restructure([]*transit{t}, func() {
		if was != row && !was.IsZero() {
			h.forget(t)
		}
		t.row, t.access = row, a
	})
	h.show(t)
	h.tidy(t)
	c.recheck([]*transit{t}, r)
	r.keys = true
}

// forget takes a switch away from those who know of it.
func (h *hub) forget(t *transit) { h.set(key{kindSwitch, t.row}, nil) }

// show tells of a switch that has a key.
func (h *hub) show(t *transit) {
	if t.row.IsZero() {
		return
	}
	k := key{kindSwitch, t.row}
	n := t.key()
	if n == 0 {
		h.set(k, nil)
		return
	}
	if old := h.items[k]; old == nil || old.sw.Key != n {
		h.set(k, &item{key: k, transit: t.name, sw: &ic.Switch{Row: t.row.String(), Name: t.name, Key: n}})
	}
}

func (c *Centre) changeDatapath(ch *ovsdb.Change, r *round) {
	h, t := c.hub, &c.columns.datapath
	set := func(row *ovsdb.Row, there bool) {
		if row == nil || row.Str(t.kind) == transitRouter {
			return
		}
		s := h.transit(row.Str(t.transit))
		h.restructure([]*transit{s}, func() {
			if there {
				s.keys[ch.UUID] = uint32(row.Int(t.key))
			} else {
				delete(s.keys, ch.UUID)
			}
		})
		h.show(s)
		h.tidy(s)
		c.recheck([]*transit{s}, r)
	}
	if ch.Old != nil && (ch.New == nil || ch.New.Str(t.transit) != ch.Old.Str(t.transit)) {
		set(ch.Old, false)
	}
	set(ch.New, true)
	r.keys = true
}

// encapRow finds a row of Encap as it is at the moment that is taken in, or later.
func (c *Centre) encapRow(u ovsdb.UUID) *ovsdb.Row {
	sn := c.starting
	if sn == nil {
		sn = c.store.Snapshot()
	}
	return sn.Row(c.columns.encap.table, u)
}

func (c *Centre) newGateway(row *ovsdb.Row) *item {
	if row == nil {
		return nil
	}
	return c.columns.gatewayOf(row, c.encapRow)
}

// changeEncap takes in the gateways that have an encapsulation.
func (c *Centre) changeEncap(ch *ovsdb.Change, r *round) {
	sn, t := c.store.Snapshot(), &c.columns.gateway
	for u := range sn.Referrers(t.encaps, ch.UUID) {
		k := key{kindGateway, u}
		now := c.newGateway(sn.Row(t.table, u))
		if old := c.hub.items[k]; old == nil || !old.fulfils(now.gateway) {
			c.setOwned(&ovsdb.Change{Table: t.table, UUID: u}, k, now, r)
		}
	}
	r.freed = r.freed || ch.New == nil
}

// setOwned takes in a row that a zone has, and looks whether it is what the zone
// asked for.
func (c *Centre) setOwned(ch *ovsdb.Change, k key, now *item, r *round) {
	old := c.hub.items[k]
	c.hub.set(k, now)
	for _, it := range []*item{old, now} {
		if it != nil {
			if st := c.zones.streamOf(it.zone); st != nil {
				st.stored(it.wish(), now)
			}
		}
	}
	r.freed = r.freed || now == nil || old != nil && old.wish() != now.wish()
}

// recheck has the streams look again at what they want on switches that changed;
// nil: all.
func (c *Centre) recheck(switches []*transit, r *round) {
	r.freed = true
	for st := range c.hub.streams {
		if switches == nil {
			st.doubt("", true)
			continue
		}
		for _, t := range switches {
			st.doubt(t.name, false)
		}
	}
}

// settle stores what follows from the changes: numbers of routes, and keys of
// transit switches.
func (c *Centre) settle(ctx context.Context, r *round) {
	var errs error
	if len(r.unnumbered)+len(r.forgotten) > 0 {
		rev, err := c.storeNumbers(ctx, r)
		errs = errors.Join(errs, err)
		c.hub.mu.Lock()
		c.hub.revision = max(c.hub.revision, rev)
		c.hub.mu.Unlock()
	}
	for _, zone := range r.unrecorded {
		errs = errors.Join(errs, c.dropRecord(ctx, zone))
	}
	if r.keys {
		errs = errors.Join(errs, c.assignKeys(ctx))
	}
	if errs != nil && ctx.Err() == nil {
		c.log.Error("what follows from a change cannot be stored", "err", errs)
	}
}

// storeNumbers keeps the numbers of new routes, and drops those of old ones.
func (c *Centre) storeNumbers(ctx context.Context, r *round) (uint64, error) {
	t := &c.columns.seen
	numbers := make(map[ovsdb.UUID]uint64, len(r.unnumbered))
	c.hub.mu.Lock()
	for _, u := range slices.Concat(r.unnumbered, r.forgotten) {
		numbers[u] = c.hub.seen[u]
	}
	c.hub.mu.Unlock()
	rev, err := c.store.Update(ctx, c.columns.private, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for route, n := range numbers {
			row := tx.Lookup(t.table, bySeen, route)
			switch {
			case n == 0 && row != nil:
				tx.Delete(t.table, row.UUID())
			case n != 0 && row == nil:
				tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{"route": route, "since": int64(n)})
			case n != 0:
				tx.SetColumn(t.table, row.UUID(), "since", int64(n))
			}
		}
		return tx.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("numbers of routes: %w", err)
	}
	return rev, nil
}
