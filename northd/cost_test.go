package northd_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"govn/pkg/ovsdb"
)

// grow gives a router n routes, policies, static MAC bindings and gateway chassis
// on as many of its ports, and the zone n chassis.
func (z *zone) grow(t testing.TB, lr ovsdb.UUID, n int) {
	t.Helper()
	for i := range n {
		for _, add := range costs(lr) {
			if _, err := z.store.Update(z.ctx, add.db(z), ovsdb.OwnerClient, func(tx *ovsdb.Txn) error { return add.do(z, tx, i) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	z.step(t)
}

// routerChange is a kind of change, of which there can be many.
type routerChange struct {
	name string
	db   func(z *zone) *ovsdb.DatabaseSchema
	do   func(z *zone, tx *ovsdb.Txn, i int) error
}

func costs(lr ovsdb.UUID) []routerChange {
	nb := func(z *zone) *ovsdb.DatabaseSchema { return z.schemas.NB }
	sb := func(z *zone) *ovsdb.DatabaseSchema { return z.schemas.SB }
	lrp := func(z *zone, i int) ovsdb.UUID {
		return z.store.Snapshot().Lookup(z.columns.LRP.Table, 0, fmt.Sprint("r-sw", i)).UUID()
	}
	return []routerChange{
		{"route-add", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			tx.AddToSet(z.columns.LR.Table, lr, "static_routes", tx.Insert(z.columns.Route.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"ip_prefix": fmt.Sprintf("172.%d.%d.0/24", 16+i>>8, i&255), "nexthop": "10.0.0.10"}))
			return tx.Err()
		}},
		{"source route-add", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			tx.AddToSet(z.columns.LR.Table, lr, "static_routes", tx.Insert(z.columns.Route.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"ip_prefix": fmt.Sprintf("192.%d.%d.0/24", i>>8, i&255), "nexthop": "10.0.0.11", "policy": ovsdb.NewSet("src-ip")}))
			return tx.Err()
		}},
		{"policy-add", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			tx.AddToSet(z.columns.LR.Table, lr, "policies", tx.Insert(z.columns.Policy.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"priority": int64(1000 + i), "match": fmt.Sprintf("ip4.src == 198.18.%d.%d", i>>8, i&255), "action": "drop"}))
			return tx.Err()
		}},
		{"policy-add reroute", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			tx.AddToSet(z.columns.LR.Table, lr, "policies", tx.Insert(z.columns.Policy.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"priority": int64(5000 + i), "match": fmt.Sprintf("ip4.src == 198.19.%d.%d", i>>8, i&255), "action": "reroute", "nexthops": ovsdb.NewSet("10.0.0.10")}))
			return tx.Err()
		}},
		{"static-mac-binding-add", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			tx.Insert(z.columns.StaticMAC.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"logical_port": "r-sw0", "ip": fmt.Sprintf("10.0.0.%d", 20+i), "mac": "0a:00:00:00:00:99"})
			return tx.Err()
		}},
		{"gateway chassis set", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			tx.AddToSet(z.columns.LRP.Table, lrp(z, i+1), "gateway_chassis", tx.Insert(z.columns.GatewayChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": fmt.Sprint("gw", i), "chassis_name": fmt.Sprint("far", i%3), "priority": int64(10)}))
			return tx.Err()
		}},
		{"chassis added", sb, func(z *zone, tx *ovsdb.Txn, i int) error {
			name := fmt.Sprint("far", i)
			encap := tx.Insert(z.columns.Encap.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"type": "geneve", "ip": fmt.Sprintf("203.0.113.%d", i+1), "chassis_name": name})
			tx.Insert(z.columns.Chassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "hostname": name, "encaps": ovsdb.NewSet(encap)})
			return tx.Err()
		}},
		{"NB_Global option changed", nb, func(z *zone, tx *ovsdb.Txn, i int) error {
			for row := range tx.Rows(z.columns.NBGlobal.Table) {
				tx.PutInMap(z.columns.NBGlobal.Table, row.UUID(), "options", "northd_probe_interval", fmt.Sprint(5000+i))
			}
			return tx.Err()
		}},
	}
}

// TestQueriesOfRouterChanges counts what one change more of each kind costs: the
// same where there are few already, and where there are many.
func TestQueriesOfRouterChanges(t *testing.T) {
	const few, many = 4, 120
	all := map[string][]int{}
	for _, n := range []int{few, many} {
		z := newZone(t, "")
		lr, _ := z.fan(t, n+2, 2)
		z.grow(t, lr, n)
		for _, add := range costs(lr) {
			if _, err := z.store.Update(z.ctx, add.db(z), ovsdb.OwnerClient, func(tx *ovsdb.Txn) error { return add.do(z, tx, n) }); err != nil {
				t.Fatal(err)
			}
			z.step(t)
			all[add.name] = append(all[add.name], z.last.Executed)
		}
		if errs := z.Program().Engine.Errors(); len(errs) > 0 {
			t.Errorf("%d: %d units cannot be compiled: %v", n, len(errs), errs[0])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Logf("%-26s %3d queries with %d, %3d with %d", name, all[name][0], few, all[name][1], many)
		if all[name][0] != all[name][1] {
			t.Errorf("%s: %d queries with %d, %d with %d", name, all[name][0], few, all[name][1], many)
		}
	}
}
