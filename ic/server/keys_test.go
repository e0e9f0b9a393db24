package server

import (
	"testing"

	"govn/pkg/ovsdb"
)

// TestKeysOfDeletedSwitches: a transit switch does not get the key of one that was
// deleted a moment ago, also when the centre was started again in between.
func TestKeysOfDeletedSwitches(t *testing.T) {
	b := testBed(t, CentreOptions{})
	zone := newFake(t, 1).connect(b)
	defer zone.disconnect()
	b.addSwitch("ts1", "-")
	zone.knows("switch ts1 key 16711682")
	b.addSwitch("ts2", "-")
	zone.knows("switch ts2 key 16711683")
	b.delSwitch("ts2")
	zone.forgets("switch ts2")
	b.addSwitch("ts3", "-")
	zone.knows("switch ts3 key 16711684")
	b.delSwitch("ts3")
	zone.forgets("switch ts3")
	zone.disconnect()
	b.restart()
	zone.connect(b)
	b.addSwitch("ts4", "-")
	zone.knows("switch ts4 key 16711685")

	// Somebody else gives one, ahead of the others.
	b.write(b.columns.sb, func(tx *ovsdb.Txn) {
		tx.Insert(b.columns.datapath.table, ovsdb.UUID{}, map[string]ovsdb.Value{"transit_switch": "ts5", "tunnel_key": int64(16711690)})
	})
	b.addSwitch("ts5", "-")
	zone.knows("switch ts5")
	b.delSwitch("ts5")
	zone.forgets("switch ts5")
	b.addSwitch("ts6", "-")
	zone.knows("switch ts6 key 16711691")
}
