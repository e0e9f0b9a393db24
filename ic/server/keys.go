package server

import (
	"context"
	"fmt"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
)

// Keys of transit switches: what OVN sets apart for them. The first one is left
// out, as ovn-ic does.
const (
	minTransitKey = abi.MinDatapathKeyGlobal + 1
	maxTransitKey = abi.MaxDatapathKey
)

// transitRouter is Datapath_Binding:type of what is no switch.
const transitRouter = "transit-router"

// assignKeys gives each transit switch a key that no other has, the lowest that is
// free, and takes the keys of switches that are gone. Agents do so too, with the
// same result: whoever comes first.
func (c *Centre) assignKeys(ctx context.Context) error {
	t, ts := &c.columns.datapath, &c.columns.transit
	_, err := c.store.Update(ctx, c.columns.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		sn := tx.Snapshot()
		used, has := make(map[int64]bool), make(map[string]bool)
		for row := range tx.Rows(t.table) {
			used[row.Int(t.key)] = true
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
		next := int64(minTransitKey)
		for _, name := range without {
			for used[next] {
				next++
			}
			if next > maxTransitKey {
				c.log.Error("no key is left for a transit switch", "switch", name)
				break
			}
			used[next] = true
			tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{"transit_switch": name, "tunnel_key": next})
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("keys of transit switches: %w", err)
	}
	return nil
}
