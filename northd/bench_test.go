package northd_test

import (
	"fmt"
	"testing"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// cloud fills a zone as a cloud does: switches with ports, each switch behind a
// distributed router of its own, all of them "sw<n>", "lr<n>" and "lr<n>-p". It is
// the shape of the reference network of docs/benchmarks.md, 500 x 50.
func (z *zone) cloud(t testing.TB, switches, ports int) {
	t.Helper()
	lsp := z.columns.LSP.Table
	for s := range switches {
		_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			refs := make([]ovsdb.Atom, 0, ports+1)
			for p := range ports {
				refs = append(refs, tx.Insert(lsp, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprintf("p%d-%d", s, p),
					"addresses": ovsdb.NewSet(fmt.Sprintf("0a:00:%02x:%02x:%02x:%02x 10.%d.%d.%d", s>>8, s&255, p>>8, p&255, s&255, p>>8, p&255+1))}))
			}
			lr := z.routerWithPort(tx, fmt.Sprint("lr", s), fmt.Sprintf("f0:00:00:00:%02x:%02x", s>>8, s&255), fmt.Sprintf("10.%d.255.254/16", s&255))
			refs = append(refs, z.attach(tx, lr+"-p"))
			tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("sw", s), "ports": ovsdb.NewSet(refs...)})
			return tx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	z.step(t)
}

func (z *zone) routerWithPort(tx *ovsdb.Txn, name, mac, network string) string {
	port := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name + "-p", "mac": mac, "networks": ovsdb.NewSet(network)})
	tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "ports": ovsdb.NewSet(port)})
	return name
}

// attach makes the switch port that leads to a router port.
func (z *zone) attach(tx *ovsdb.Txn, lrp string) ovsdb.UUID {
	return tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
		"name": "to-" + lrp, "type": topology.TypeRouter, "addresses": ovsdb.NewSet("router"), "options": ovsdb.MapOf("router-port", lrp)})
}

// rowNamed is a row by its name.
func (z *zone) rowNamed(t testing.TB, table *ovsdb.TableSchema, name string) ovsdb.UUID {
	t.Helper()
	for row := range z.store.Snapshot().Rows(table) {
		if row.Str(table.Column("name")) == name {
			return row.UUID()
		}
	}
	t.Fatalf("%s has no %q", table.Name, name)
	return ovsdb.UUID{}
}

// BenchmarkChange makes changes of one kind after the other on a network of 500
// switches, 500 routers and 25,000 ports, one a round: what a change costs northd
// without sockets, disk and chassis.
func BenchmarkChange(b *testing.B) {
	z := newZone(b, "")
	z.cloud(b, 500, 50)
	sw, lr := z.rowNamed(b, z.columns.LS.Table, "sw0"), z.rowNamed(b, z.columns.LR.Table, "lr0")
	made := 0 // of all kinds
	port := func(tx *ovsdb.Txn, n int) (lrp ovsdb.UUID) {
		name := fmt.Sprint("newlrp", n)
		ls := tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("with", name)})
		lrp = tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name,
			"mac": fmt.Sprintf("0a:02:00:%02x:%02x:%02x", byte(n>>16), byte(n>>8), byte(n)), "networks": ovsdb.NewSet(fmt.Sprintf("172.%d.%d.1/24", 16+n/250%16, n%250))})
		tx.AddToSet(z.columns.LR.Table, lr, "ports", lrp)
		tx.AddToSet(z.columns.LS.Table, ls, "ports", z.attach(tx, name))
		return lrp
	}
	kinds := []struct {
		name    string
		prepare func(tx *ovsdb.Txn, n int) ovsdb.UUID // optional, not measured; its row is given to make
		make    func(tx *ovsdb.Txn, n int, row ovsdb.UUID)
	}{
		{"lsp-add", nil, func(tx *ovsdb.Txn, n int, _ ovsdb.UUID) {
			a := fmt.Sprintf("0e:00:00:%02x:%02x:%02x 10.0.%d.%d", n>>16&255, n>>8&255, n&255, 100+n>>8&127, n&255)
			tx.AddToSet(z.columns.LS.Table, sw, "ports", tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": fmt.Sprint("x", n), "addresses": ovsdb.NewSet(a), "port_security": ovsdb.NewSet(a)}))
		}},
		{"ls-add", nil, func(tx *ovsdb.Txn, n int, _ ovsdb.UUID) {
			tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("new", n)})
		}},
		{"lrp-add", nil, func(tx *ovsdb.Txn, n int, _ ovsdb.UUID) { port(tx, n) }},
		{"gateway-chassis", port, func(tx *ovsdb.Txn, n int, lrp ovsdb.UUID) {
			tx.AddToSet(z.columns.LRP.Table, lrp, "gateway_chassis", tx.Insert(z.columns.GatewayChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": fmt.Sprint("gw", n), "chassis_name": fmt.Sprint("far", n%3), "priority": int64(10)}))
		}},
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			queries := 0
			for range b.N {
				made++
				var row ovsdb.UUID
				if kind.prepare != nil {
					b.StopTimer()
					z.nb(b, func(tx *ovsdb.Txn) error { row = kind.prepare(tx, made); return tx.Err() })
					b.StartTimer()
				}
				z.nb(b, func(tx *ovsdb.Txn) error { kind.make(tx, made, row); return tx.Err() })
				queries += z.last.Executed
			}
			b.ReportMetric(float64(queries)/float64(b.N), "queries/op")
		})
	}
}
