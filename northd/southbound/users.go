package southbound

import (
	"context"
	"fmt"

	"govn/pkg/ovsdb"
)

// Users writes HA_Chassis_Group:ref_chassis (ovn-sb(5)) of the groups whose users,
// names of chassis, changed. With all set, every other group has none: what is stored is of an
// earlier process.
func (w *Writer) Users(ctx context.Context, changed map[ovsdb.UUID][]string, all bool) error {
	if len(changed) == 0 && !all {
		return nil
	}
	g := &w.c.SBHAGroup
	_, err := w.store.Update(ctx, w.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		want := make(map[ovsdb.UUID]ovsdb.Set, len(changed))
		for group, names := range changed {
			var users []ovsdb.Atom
			for _, name := range names {
				users = append(users, ChassisUUID(name))
			}
			want[group] = ovsdb.NewSet(users...)
		}
		if all {
			for row := range tx.Rows(g.Table) {
				if _, there := want[row.UUID()]; !there {
					want[row.UUID()] = ovsdb.NewSet()
				}
			}
		}
		for u, users := range want {
			// A group that only gateway routers use has no row.
			if row := tx.Row(g.Table, u); row != nil && !row.Set(g.RefChassis).Equal(users) {
				tx.SetColumn(g.Table, u, "ref_chassis", users)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing who uses gateways: %w", err)
	}
	return nil
}
