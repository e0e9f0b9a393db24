package server

import (
	"context"
	"time"

	"govn/pkg/ovsdb"
)

// renew notes that a zone said something.
func (r *registry) renew(st *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if z := r.zones[st.zone]; z != nil && z.stream == st {
		z.lapsed = false
	}
}

// end is when a zone's lease ends; false: not as things are.
func (r *registry) end(z *joined, o *CentreOptions) (time.Time, bool) {
	switch {
	case !z.leased() || z.lapsed, z.id == "" && (o.NoStockLease || o.NoOwnership):
		return time.Time{}, false
	case z.stream != nil:
		return later(z.stream.lastHeard(), r.trusted).Add(o.Lease), true
	case len(z.writers) > 0:
		return time.Time{}, false
	}
	return later(z.lostAt, r.trusted).Add(o.Lease), true
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// expire takes out the zones whose lease has ended, and tells when the next one
// does; zero: none.
func (r *registry) expire(now time.Time, o *CentreOptions) (over []*joined, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, z := range r.zones {
		at, ok := r.end(z, o)
		switch {
		case !ok:
		case at.After(now):
			if next.IsZero() || at.Before(next) {
				next = at
			}
		case z.stream == nil && r.mayReturn(z):
			// It is looked at again when a client leaves.
		default:
			z.lapsed = true
			if z.stream != nil {
				z.stream.End(errSilent)
				z.stream, z.lostAt = nil, at
			}
			over = append(over, z)
		}
	}
	return over, next
}

// looks is how often in a lease somebody looks whether the centre itself stood
// still, and pause the part of a lease that is too long between two looks.
const (
	looks = 8
	pause = 2
)

// awake gives every zone a whole lease where the centre stood still, as in a
// virtual machine that is moved: what zones said meanwhile is not read yet.
func (r *registry) awake(last, now time.Time, lease time.Duration) (paused bool) {
	if now.Sub(last) <= lease/pause {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trusted = now
	return true
}

// keepLeases takes the routes of zones that nobody speaks for, until ctx ends.
func (c *Centre) keepLeases(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	look := time.NewTicker(c.o.Lease / looks)
	defer look.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-c.zones.wake:
		case <-timer.C:
		case <-look.C:
		}
		now := time.Now()
		if c.zones.awake(last, now, c.o.Lease) {
			c.log.Warn("the centre stood still; every zone has a whole lease from now on", "for", now.Sub(last), "lease", c.o.Lease)
		}
		last = now
		c.saveRecords(ctx)
		over, next := c.zones.expire(now, &c.o)
		for _, z := range over {
			c.lapse(ctx, z)
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), time.Millisecond))
		}
	}
}

// saveRecords stores what became known of zones of OVN.
func (c *Centre) saveRecords(ctx context.Context) {
	c.zones.mu.Lock()
	unsaved := c.zones.unsaved
	c.zones.unsaved = make(map[*joined]bool)
	c.zones.mu.Unlock()
	for z := range unsaved {
		if _, err := c.storeRecord(ctx, z); err != nil && ctx.Err() == nil {
			c.log.Error("a zone cannot be stored", "zone", z.row.String(), "err", err)
		}
	}
}

// lapse deletes the routes of a zone whose lease ended. The zone, its gateways and
// ports stay, and their keys with them.
func (c *Centre) lapse(ctx context.Context, z *joined) {
	t, n, name := &c.columns.route, 0, ""
	_, err := c.store.Update(ctx, c.columns.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		c.zones.mu.Lock()
		back := z.live() || !z.lapsed
		c.zones.mu.Unlock()
		if back {
			return ovsdb.ErrUnchanged
		}
		if row := tx.Row(c.columns.zone.table, z.row); row != nil {
			name = row.Str(c.columns.zone.name)
		}
		var routes []ovsdb.UUID
		for u := range tx.Referrers(t.zone, z.row) {
			routes = append(routes, u)
		}
		for _, u := range routes {
			tx.Delete(t.table, u)
		}
		n = len(routes)
		return tx.Err()
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.zones.mu.Lock()
		z.lapsed = false // tried again
		z.lostAt = time.Now().Add(retryWrite - c.o.Lease)
		c.zones.mu.Unlock()
		c.zones.signal()
		c.log.Error("the routes of a dead zone cannot be deleted", "zone", z.row.String(), "err", err)
	case name != "":
		c.metrics.expired.Inc()
		c.log.Warn("the lease of a zone ended, its routes are deleted", "zone", name, "owner", z.owner(), "routes", n)
	}
}
