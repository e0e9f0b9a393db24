package northd_test

import (
	"testing"

	"govn/pkg/ovsdb"
)

// TestBodyChangesHands has two switches swap the bodies that only they have, in
// one transaction and in either order: the bodies stay known.
func TestBodyChangesHands(t *testing.T) {
	z := newZone(t, "")
	first, _ := z.addSwitch(t, "first")
	second, _ := z.addSwitch(t, "second")
	swap := func(to map[ovsdb.UUID]string) {
		z.nb(t, func(tx *ovsdb.Txn) error {
			for ls, passthru := range to {
				tx.PutInMap(z.columns.LS.Table, ls, "other_config", "vlan-passthru", passthru)
			}
			return tx.Err()
		})
	}
	swap(map[ovsdb.UUID]string{first: "true", second: "false"})
	bodies := len(z.fabric.bodies)
	for range 2 {
		swap(map[ovsdb.UUID]string{first: "false", second: "true"})
		swap(map[ovsdb.UUID]string{first: "true", second: "false"})
	}
	if len(z.fabric.bodies) != bodies {
		t.Errorf("%d bodies, %d before", len(z.fabric.bodies), bodies)
	}
}
