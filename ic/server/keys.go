package server

import (
	"context"
	"fmt"
	"slices"

	"govn/pkg/interconnect"
	"govn/pkg/ovsdb"
)

// transitRouter is Datapath_Binding:type of what is no switch.
const transitRouter = "transit-router"

// assignKeys gives each transit switch a key that no other has, and takes the keys of
// switches that are gone. Keys go up from the one that was given last, and begin again
// after the highest: a zone that is cut off uses the keys of switches that were deleted
// meanwhile, and what it sends must not come to another switch. Agents give keys too, in
// the same way: whoever comes first.
func (c *Centre) assignKeys(ctx context.Context) error {
	t, ts := &c.columns.datapath, &c.columns.transit
	var given interconnect.TransitKeys
	_, err := c.store.Update(ctx, c.columns.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		sn := tx.Snapshot()
		used, has := make(map[int]bool), make(map[string]bool)
		for row := range tx.Rows(t.table) {
			used[int(row.Int(t.key))] = true
			if row.Str(t.kind) != transitRouter {
				has[row.Str(t.transit)] = true
			}
		}
		var without []string
		names := make(map[string]bool)
		for row := range sn.Rows(ts.table) {
			name := row.Str(ts.name)
			names[name] = true
			if !has[name] {
				without = append(without, name)
			}
		}
		for row := range tx.Rows(t.table) {
			if row.Str(t.kind) != transitRouter && !names[row.Str(t.transit)] {
				tx.Delete(t.table, row.UUID())
			}
		}
		slices.Sort(without)
		given = c.keys.With(used)
		for _, name := range without {
			next, ok := given.Next()
			if !ok {
				c.log.Error("no key is left for a transit switch", "switch", name)
				break
			}
			tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{"transit_switch": name, "tunnel_key": int64(next)})
		}
		return tx.Err()
	})
	if err == nil {
		before := c.keys.Last
		if c.keys = given; given.Last != before {
			err = c.keepLastKey(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("keys of transit switches: %w", err)
	}
	return nil
}

// loadKeys takes in which keys are in use, and which was the last.
func (c *Centre) loadKeys(sn *ovsdb.Snapshot) {
	t := c.columns
	used := make(map[int]bool)
	for row := range sn.Rows(t.datapath.table) {
		used[int(row.Int(t.datapath.key))] = true
	}
	c.keys = interconnect.TransitKeys{}.With(used)
	for row := range sn.Rows(t.given.table) {
		c.keys.Last = int(row.Int(t.given.last))
	}
}

// keepLastKey stores the key that was given last.
func (c *Centre) keepLastKey(ctx context.Context) error {
	t := &c.columns.given
	_, err := c.store.Update(ctx, c.columns.private, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(t.table) {
			tx.SetColumn(t.table, row.UUID(), "last_key", int64(c.keys.Last))
			return tx.Err()
		}
		tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{"last_key": int64(c.keys.Last)})
		return tx.Err()
	})
	return err
}
