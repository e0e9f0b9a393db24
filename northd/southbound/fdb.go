package southbound

import (
	"context"
	"fmt"
	"time"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// putFDB writes rows of FDB.
func (r *Registry) putFDB(tx *ovsdb.Txn, l *learned, now time.Time) {
	f := &r.c.FDB
	for _, e := range l.fdbPut {
		row := r.learned(tx, e)
		if row == nil {
			tx.Insert(f.Table, fdbUUID(tx, f.Table, e), map[string]ovsdb.Value{
				"mac": macOf(e.Mac).String(), "dp_key": int64(e.Datapath), "port_key": int64(e.Port), "timestamp": now.UnixMilli()})
			continue
		}
		if row.Int(f.PortKey) != int64(e.Port) {
			tx.SetColumn(f.Table, row.UUID(), "port_key", int64(e.Port))
		}
		tx.SetColumn(f.Table, row.UUID(), "timestamp", now.UnixMilli())
	}
	for _, e := range l.fdbGone {
		if row := r.learned(tx, e); row != nil && row.Int(f.PortKey) == int64(e.Port) {
			tx.Delete(f.Table, row.UUID())
		}
	}
	for _, e := range l.fdbSeen {
		if row := r.learned(tx, e); row != nil && row.Int(f.PortKey) == int64(e.Port) && fresher(row.Int(f.Timestamp), now) {
			tx.SetColumn(f.Table, row.UUID(), "timestamp", now.UnixMilli())
		}
	}
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

// Forget deletes rows of FDB and MAC_Binding that stand for nothing any more.
func (w *Writer) Forget(ctx context.Context, rows []ovsdb.UUID) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := w.store.Update(ctx, w.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, t := range []*ovsdb.TableSchema{w.c.FDB.Table, w.c.MACBinding.Table} {
			for _, u := range rows {
				if tx.Row(t, u) != nil {
					tx.Delete(t, u)
				}
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("deleting learned addresses of ports that are gone: %w", err)
	}
	return nil
}
