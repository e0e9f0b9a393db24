package northd_test

import (
	"strings"
	"testing"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// Options that have a router forward multicast are listed, as long as they are set.
func TestNoMulticastRelay(t *testing.T) {
	z := newZone(t, "")
	lr, lrp := z.edge(t)
	set := func(relay, flood string) string {
		t.Helper()
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.PutInMap(z.columns.LR.Table, lr, "options", "mcast_relay", relay)
			tx.PutInMap(z.columns.LRP.Table, lrp, "options", "mcast_flood", flood)
			return tx.Err()
		})
		return z.problems()
	}
	got := set("true", "true")
	for _, want := range []string{`Logical_Router "r0" (`, `options:mcast_relay: `, `Logical_Router_Port "r0-out" (`, `options:mcast_flood: `} {
		if !strings.Contains(got, want) {
			t.Errorf("problems:\n%s\nwant %s", got, want)
		}
	}
	if n := strings.Count(got, topology.ErrNoRelay.Error()); n != 2 {
		t.Errorf("%d problems, want 2:\n%s", n, got)
	}
	if got := set("false", "false"); strings.Contains(got, topology.ErrNoRelay.Error()) {
		t.Errorf("problems of options that are off:\n%s", got)
	}
}
