package southbound

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"govn/northd/topology"
	"govn/pkg/aging"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// bulkDelay is how long the rest waits when an option cut a removal short
// (ovn-nb(5), options:fdb_removal_limit, options:mac_binding_removal_limit).
const bulkDelay = 5 * time.Second

// Aging deletes learned rows that nobody used for as long as an option of their
// datapath says. Chassis report use, which makes a row young again. It is safe
// for concurrent use.
type Aging struct {
	store *ovsdb.Store
	sb    *ovsdb.DatabaseSchema
	c     *topology.Columns
	what  learnedRows
	begun time.Time // no row is older: nobody could report use before

	mu       sync.Mutex
	switches map[uint32]time.Duration        // FDB: by tunnel key
	routers  map[ovsdb.UUID]aging.Thresholds // MAC_Binding: by Datapath_Binding
	next     time.Time                       // nothing is to be done before
}

// learnedRows is a table of what was learned.
type learnedRows struct {
	table     *ovsdb.TableSchema
	timestamp *ovsdb.ColumnSchema
	limit     string // key of NB_Global:options: rows that go at a time
}

// NewAging makes one for FDB, without thresholds.
func NewAging(store *ovsdb.Store, sb *ovsdb.DatabaseSchema, c *topology.Columns) *Aging {
	return newAging(store, sb, c, learnedRows{c.FDB.Table, c.FDB.Timestamp, "fdb_removal_limit"})
}

// NewNeighbourAging makes one for MAC_Binding, without thresholds.
func NewNeighbourAging(store *ovsdb.Store, sb *ovsdb.DatabaseSchema, c *topology.Columns) *Aging {
	return newAging(store, sb, c, learnedRows{c.MACBinding.Table, c.MACBinding.Timestamp, "mac_binding_removal_limit"})
}

func newAging(store *ovsdb.Store, sb *ovsdb.DatabaseSchema, c *topology.Columns, what learnedRows) *Aging {
	return &Aging{store: store, sb: sb, c: c, what: what, begun: time.Now(),
		switches: map[uint32]time.Duration{}, routers: map[ovsdb.UUID]aging.Thresholds{}}
}

// Apply takes in changed thresholds of switches, in seconds by tunnel key.
func (a *Aging) Apply(changes []incr.SinkChange[uint32, uint32]) {
	if len(changes) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ch := range changes {
		if ch.New == nil {
			delete(a.switches, ch.Key)
		} else {
			a.switches[ch.Key] = time.Duration(*ch.New) * time.Second
		}
	}
	a.next = time.Time{}
}

// ApplyRouters takes in changed thresholds of routers.
func (a *Aging) ApplyRouters(changes []incr.SinkChange[ovsdb.UUID, string]) {
	if len(changes) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ch := range changes {
		delete(a.routers, ch.Key)
		if ch.New != nil {
			if t, _ := aging.Parse(*ch.New); t.Shortest() > 0 {
				a.routers[ch.Key] = t
			}
		}
	}
	a.next = time.Time{}
}

// threshold is that of a row; 0: it stays.
func (a *Aging) threshold(row *ovsdb.Row) time.Duration {
	if a.what.table == a.c.FDB.Table {
		return a.switches[uint32(row.Int(a.c.FDB.DpKey))]
	}
	m := &a.c.MACBinding
	router, _ := row.Ref(m.Datapath)
	t, ages := a.routers[router]
	if !ages {
		return 0
	}
	ip, err := netip.ParseAddr(row.Str(m.IP))
	if err != nil {
		return 0 // it is no neighbour
	}
	return t.Of(ip)
}

// Sweep deletes what is too old now, oldest first, and not more than the limit of
// NB_Global:options at a time.
func (a *Aging) Sweep(ctx context.Context, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.switches)+len(a.routers) == 0 || now.Before(a.next) {
		return nil
	}
	sn := a.store.Snapshot()
	type entry struct {
		row ovsdb.UUID
		at  int64
	}
	var old []entry
	// What is learned later is older later than the shortest threshold.
	next := now.Add(time.Duration(math.MaxInt64))
	for _, d := range a.switches {
		next = earlier(next, now.Add(d))
	}
	for _, t := range a.routers {
		next = earlier(next, now.Add(t.Shortest()))
	}
	for row := range sn.Rows(a.what.table) {
		threshold := a.threshold(row)
		if threshold == 0 {
			continue
		}
		at := row.Int(a.what.timestamp)
		due := time.UnixMilli(max(at, a.begun.UnixMilli())).Add(threshold)
		if due.After(now) {
			next = earlier(next, due)
		} else {
			old = append(old, entry{row.UUID(), at})
		}
	}
	slices.SortFunc(old, func(x, y entry) int { return cmp.Or(cmp.Compare(x.at, y.at), x.row.Compare(y.row)) })
	if limit := a.limit(sn); limit > 0 && len(old) > limit {
		old, next = old[:limit], earlier(next, now.Add(bulkDelay))
	}
	if len(old) > 0 {
		_, err := a.store.Update(ctx, a.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
			for _, e := range old {
				if row := tx.Row(a.what.table, e.row); row != nil && row.Int(a.what.timestamp) == e.at {
					tx.Delete(a.what.table, e.row)
				}
			}
			return tx.Err()
		})
		if err != nil {
			return fmt.Errorf("deleting old rows of %s: %w", a.what.table.Name, err)
		}
	}
	a.next = next
	return nil
}

func (a *Aging) limit(sn *ovsdb.Snapshot) int {
	g := &a.c.NBGlobal
	for row := range sn.Rows(g.Table) {
		if v, ok := row.Map(g.Options).Get(a.what.limit); ok {
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
