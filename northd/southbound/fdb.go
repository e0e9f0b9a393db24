package southbound

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"govn/northd/topology"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// learn stores learned Ethernet addresses, in whatever row the database has for
// one: a client may have made it. A later report of an address wins.
func (r *Registry) learn(put, gone []*proto.FdbEntry) error {
	if len(put) == 0 && len(gone) == 0 {
		return nil
	}
	f := &r.c.FDB
	now := r.now().UnixMilli()
	_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		for _, e := range put {
			row := r.learned(tx, e)
			if row == nil {
				tx.Insert(f.Table, fdbUUID(tx, f.Table, e), map[string]ovsdb.Value{
					"mac": macOf(e.Mac).String(), "dp_key": int64(e.Datapath), "port_key": int64(e.Port), "timestamp": now})
				continue
			}
			if row.Int(f.PortKey) != int64(e.Port) {
				tx.SetColumn(f.Table, row.UUID(), "port_key", int64(e.Port))
			}
			tx.SetColumn(f.Table, row.UUID(), "timestamp", now)
		}
		for _, e := range gone {
			if row := r.learned(tx, e); row != nil && row.Int(f.PortKey) == int64(e.Port) {
				tx.Delete(f.Table, row.UUID())
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("storing learned addresses: %w", err)
	}
	return nil
}

// learned is the row of an address, nil if there is none.
func (r *Registry) learned(tx *ovsdb.Txn, e *proto.FdbEntry) *ovsdb.Row {
	t := r.c.FDB.Table
	for i, cols := range t.Indexes {
		if len(cols) == 2 && cols[0] == r.c.FDB.MAC && cols[1] == r.c.FDB.DpKey {
			return tx.Lookup(t, i, macOf(e.Mac).String(), int64(e.Datapath))
		}
	}
	panic("southbound: FDB has no index on mac and dp_key")
}

// fdbUUID is the identity of a new row: the same for the same address, unless a
// client made that row mean something else.
func fdbUUID(tx *ovsdb.Txn, t *ovsdb.TableSchema, e *proto.FdbEntry) ovsdb.UUID {
	u := named("fdb", fmt.Sprintf("%d %s", e.Datapath, macOf(e.Mac)))
	if tx.Row(t, u) != nil {
		return ovsdb.UUID{} // a random one
	}
	return u
}

func macOf(v uint64) topology.MAC {
	return topology.MAC{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// Forget deletes rows of learned addresses that stand for nothing any more.
func (w *Writer) Forget(ctx context.Context, rows []ovsdb.UUID) error {
	if len(rows) == 0 {
		return nil
	}
	t := w.c.FDB.Table
	_, err := w.store.Update(ctx, w.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, u := range rows {
			if tx.Row(t, u) != nil {
				tx.Delete(t, u)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("deleting learned addresses of ports that are gone: %w", err)
	}
	return nil
}

// bulkDelay is how long the rest waits when options:fdb_removal_limit cut a
// removal short.
const bulkDelay = 5 * time.Second

// Aging deletes learned addresses that are older than other_config of their
// switch says (fdb_age_threshold, seconds). It is safe for concurrent use.
type Aging struct {
	store *ovsdb.Store
	sb    *ovsdb.DatabaseSchema
	c     *topology.Columns

	mu         sync.Mutex
	thresholds map[uint32]time.Duration // by tunnel key of the switch
	next       time.Time                // nothing is to be done before
}

// NewAging makes one without thresholds.
func NewAging(store *ovsdb.Store, sb *ovsdb.DatabaseSchema, c *topology.Columns) *Aging {
	return &Aging{store: store, sb: sb, c: c, thresholds: make(map[uint32]time.Duration)}
}

// Apply takes in changed thresholds, in seconds by tunnel key.
func (a *Aging) Apply(changes []incr.SinkChange[uint32, uint32]) {
	if len(changes) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ch := range changes {
		if ch.New == nil {
			delete(a.thresholds, ch.Key)
		} else {
			a.thresholds[ch.Key] = time.Duration(*ch.New) * time.Second
		}
	}
	a.next = time.Time{}
}

// Sweep deletes what is too old now, oldest first, and not more than
// NB_Global:options:fdb_removal_limit at a time.
func (a *Aging) Sweep(ctx context.Context, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.thresholds) == 0 || now.Before(a.next) {
		return nil
	}
	sn, f := a.store.Snapshot(), &a.c.FDB
	type entry struct {
		row ovsdb.UUID
		at  int64
	}
	var old []entry
	// What is learned later is older later than the shortest threshold.
	next := now.Add(time.Duration(math.MaxInt64))
	for _, d := range a.thresholds {
		next = earlier(next, now.Add(d))
	}
	for row := range sn.Rows(f.Table) {
		threshold, ages := a.thresholds[uint32(row.Int(f.DpKey))]
		if !ages {
			continue
		}
		due := time.UnixMilli(row.Int(f.Timestamp)).Add(threshold)
		if due.After(now) {
			next = earlier(next, due)
		} else {
			old = append(old, entry{row.UUID(), row.Int(f.Timestamp)})
		}
	}
	slices.SortFunc(old, func(x, y entry) int { return cmp.Or(cmp.Compare(x.at, y.at), x.row.Compare(y.row)) })
	if limit := a.limit(sn); limit > 0 && len(old) > limit {
		old, next = old[:limit], earlier(next, now.Add(bulkDelay))
	}
	if len(old) > 0 {
		_, err := a.store.Update(ctx, a.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
			for _, e := range old {
				if row := tx.Row(f.Table, e.row); row != nil && row.Int(f.Timestamp) == e.at {
					tx.Delete(f.Table, e.row)
				}
			}
			return tx.Err()
		})
		if err != nil {
			return fmt.Errorf("deleting old learned addresses: %w", err)
		}
	}
	a.next = next
	return nil
}

func (a *Aging) limit(sn *ovsdb.Snapshot) int {
	g := &a.c.NBGlobal
	for row := range sn.Rows(g.Table) {
		if v, ok := row.Map(g.Options).Get("fdb_removal_limit"); ok {
			n, err := strconv.Atoi(v.(string))
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
