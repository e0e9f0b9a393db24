package northd

import (
	"context"
	"fmt"

	"govn/pkg/ovsdb"
)

// bfd writes BFD:status of the northbound database.
func (z *Zone) bfd(ctx context.Context) error {
	changes := z.program.Status.Drain()
	if len(changes) == 0 {
		return nil
	}
	t := &z.columns.BFD
	_, err := z.store.Update(ctx, z.schemas.NB, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, ch := range changes {
			row := tx.Row(t.Table, ch.Key)
			if row == nil || ch.New == nil {
				continue
			}
			if now, there := row.Opt(t.Status); !there || now.(string) != *ch.New {
				tx.SetColumn(t.Table, ch.Key, "status", ovsdb.NewSet(*ch.New))
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing status of BFD sessions: %w", err)
	}
	return nil
}
