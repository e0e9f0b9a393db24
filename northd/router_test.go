package northd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// fan makes one router with switches behind it, each with workloads. It returns
// the router and the first switch.
func (z *zone) fan(t testing.TB, switches, ports int) (lr, ls ovsdb.UUID) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		lr = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r"})
		return tx.Err()
	})
	for s := range switches {
		u := z.spoke(t, lr, s, ports)
		if s == 0 {
			ls = u
		}
	}
	z.step(t)
	return lr, ls
}

// spoke adds a switch with workloads behind a router; no round.
func (z *zone) spoke(t testing.TB, lr ovsdb.UUID, s, ports int) (ls ovsdb.UUID) {
	t.Helper()
	_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		c := z.columns
		rp := fmt.Sprint("r-sw", s)
		tx.AddToSet(c.LR.Table, lr, "ports", tx.Insert(c.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": rp, "mac": fmt.Sprintf("0a:00:%02x:%02x:00:01", s>>8, s&255), "networks": ovsdb.NewSet(fmt.Sprintf("10.%d.%d.1/24", s>>8, s&255))}))
		refs := []ovsdb.Atom{tx.Insert(c.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": fmt.Sprintf("sw%d-r", s), "type": "router", "addresses": ovsdb.NewSet("router"), "options": ovsdb.MapOf("router-port", rp)})}
		for p := range ports {
			refs = append(refs, tx.Insert(c.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": fmt.Sprintf("p%d-%d", s, p), "addresses": ovsdb.NewSet(fmt.Sprintf("0a:01:%02x:%02x:00:%02x 10.%d.%d.%d", s>>8, s&255, p, s>>8, s&255, p+10))}))
		}
		ls = tx.Insert(c.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": fmt.Sprint("sw", s), "ports": ovsdb.NewSet(refs...)})
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// TestQueriesBehindRouter counts what changes behind a router cost: the same with
// 10 and with 1,000 switches behind it.
func TestQueriesBehindRouter(t *testing.T) {
	type cost struct{ port, change, spoke, network, remove int }
	var costs []cost
	for _, n := range []int{10, 1000} {
		z := newZone(t, "")
		lr, ls := z.fan(t, n, 2)
		var c cost
		port := z.addPort(t, ls, 1)
		z.step(t)
		c.port = z.last.Executed
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.SetColumn(z.columns.LSP.Table, port, "addresses", ovsdb.NewSet("0e:00:00:00:00:77 10.0.0.77"))
			return tx.Err()
		})
		c.change = z.last.Executed
		added := z.spoke(t, lr, n, 2)
		z.step(t)
		c.spoke = z.last.Executed
		lrp := z.store.Snapshot().Lookup(z.columns.LRP.Table, 0, "r-sw3")
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.SetColumn(z.columns.LRP.Table, lrp.UUID(), "networks", ovsdb.NewSet("10.200.0.1/24"))
			return tx.Err()
		})
		c.network = z.last.Executed
		z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.LS.Table, added); return tx.Err() })
		c.remove = z.last.Executed
		t.Logf("%d switches: %+v queries", n, c)
		costs = append(costs, c)
	}
	if costs[0] != costs[1] || slices.Contains([]int{costs[0].port, costs[0].change, costs[0].spoke, costs[0].network}, 0) {
		t.Errorf("the cost of a change depends on the size of the router: %+v", costs)
	}
}

// TestRouterNodesReturn creates and deletes routers with all that is connected to
// them: nothing is left.
func TestRouterNodesReturn(t *testing.T) {
	z := newZone(t, "")
	z.step(t)
	var before [2]int
	for i := range 3 {
		lr, _ := z.fan(t, 4, 3)
		z.nb(t, func(tx *ovsdb.Txn) error {
			a := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "a", "mac": "0a:00:00:00:00:0a",
				"networks": ovsdb.NewSet("172.16.0.1/30"), "peer": ovsdb.NewSet("b"), "options": ovsdb.MapOf("gateway_mtu", "1400")})
			b := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "b", "mac": "0a:00:00:00:00:0b",
				"networks": ovsdb.NewSet("172.16.0.2/30"), "peer": ovsdb.NewSet("a")})
			tx.AddToSet(z.columns.LR.Table, lr, "ports", a)
			tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "other", "ports": ovsdb.NewSet(b)})
			return tx.Err()
		})
		if len(z.fabric.links) != 5 {
			t.Errorf("%d links, want 4 to switches and one between routers", len(z.fabric.links))
		}
		z.nb(t, func(tx *ovsdb.Txn) error {
			for _, table := range []*ovsdb.TableSchema{z.columns.LS.Table, z.columns.LR.Table} {
				var all []ovsdb.UUID
				for row := range tx.Rows(table) {
					all = append(all, row.UUID())
				}
				for _, u := range all {
					tx.Delete(table, u)
				}
			}
			return tx.Err()
		})
		st := z.Program().Engine.Stats()
		switch now := [2]int{st.Nodes, st.Edges}; {
		case i == 0:
			before = now
		case now != before:
			t.Fatalf("after everything was deleted there are %v nodes and edges, %v before", now, before)
		}
		if n := len(z.fabric.items) + len(z.fabric.bodies) + len(z.fabric.links); n != 0 {
			t.Fatalf("%d items, bodies and links are left", n)
		}
	}
}

// TestOneBodyForRouters has two routers and expects one body for what they do by
// themselves.
func TestOneBodyForRouters(t *testing.T) {
	z := newZone(t, "")
	z.nb(t, func(tx *ovsdb.Txn) error {
		for _, name := range []string{"a", "b"} {
			tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name})
		}
		return tx.Err()
	})
	if len(z.fabric.bodies) != 1 {
		t.Errorf("%d bodies for two empty routers, want 1", len(z.fabric.bodies))
	}
}

// TestRouterViews asks for the flows of a router and its ports, what status says,
// and what lint does.
func TestRouterViews(t *testing.T) {
	z := newZone(t, "")
	lr, _ := z.fan(t, 2, 1)
	for _, name := range []string{"Logical_Router:r", "Logical_Router_Port:r-sw0", "Logical_Switch_Port:p0-0"} {
		table, object, _ := strings.Cut(name, ":")
		got, err := z.View().Flows(control.Selector{Table: table, Key: object})
		if err != nil {
			t.Errorf("flows of %s: %v", name, err)
			continue
		}
		stages := map[string]bool{}
		for _, o := range got.Origins {
			stages[o.Stage.Name] = true
			if o.Datapath.Name == "r" && !strings.Contains(o.Scope, `router "r"`) {
				t.Errorf("%s: a flow of router r is sent to %q", name, o.Scope)
			}
		}
		want := map[string]string{"Logical_Router": "lr_in_admission", "Logical_Router_Port": "lr_out_delivery", "Logical_Switch_Port": "lr_in_arp_resolve"}[table]
		if !stages[want] {
			t.Errorf("%s has flows in %v, not in %s", name, stages, want)
		}
	}
	st := z.View().Status()
	if st.Switches != 2 || st.Routers != 1 {
		t.Errorf("status counts %d switches and %d routers, want 2 and 1", st.Switches, st.Routers)
	}
	if !slices.ContainsFunc(st.Keys.Ports, func(k control.SwitchKeys) bool { return k.Switch == "r" && k.Used == 2 }) {
		t.Errorf("the keys of the router's ports are not counted: %+v", st.Keys.Ports)
	}

	c := z.columns
	z.nb(t, func(tx *ovsdb.Txn) error {
		add := func(name, mac string, networks ...ovsdb.Atom) ovsdb.UUID {
			u := tx.Insert(c.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "mac": mac, "networks": ovsdb.NewSet(networks...)})
			tx.AddToSet(c.LR.Table, lr, "ports", u)
			return u
		}
		add("bad-mac", "nonsense", "10.9.0.1/24")
		add("bad-net", "0a:00:00:00:00:01", "10.9.0.999/24")
		add("p0-0", "0a:00:00:00:00:02", "10.9.1.1/24")
		add("overlap", "0a:00:00:00:00:03", "10.0.0.0/16")
		add("network", "0a:00:00:00:00:04", "10.9.2.0/24")
		tx.SetColumn(c.LRP.Table, add("alone", "0a:00:00:00:00:05", "10.9.3.1/24"), "peer", ovsdb.NewSet("nobody"))
		tx.SetColumn(c.LRP.Table, add("mtu", "0a:00:00:00:00:06", "10.9.4.1/24"), "options", ovsdb.MapOf("gateway_mtu", "much"))
		for name, port := range map[string]string{"second": "r-sw0", "nowhere": "missing", "nothing": ""} {
			u := tx.Insert(c.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "type": "router", "options": ovsdb.MapOf("router-port", port)})
			for row := range tx.Rows(c.LS.Table) {
				if row.Str(c.LS.Name) == "sw1" {
					tx.AddToSet(c.LS.Table, row.UUID(), "ports", u)
				}
			}
		}
		return tx.Err()
	})
	got := map[string]string{}
	for _, p := range z.View().Lint().Problems {
		if strings.Contains(p.Reason, "another port is connected") { // of the two ports, the one with the higher UUID
			p.Name = "second"
		}
		got[p.Name+" "+p.Column] += p.Effect + ": " + p.Reason + "\n"
	}
	for object, reason := range map[string]string{
		"bad-mac mac": "nonsense", "bad-net networks": "10.9.0.999/24", "p0-0 name": "a switch port has this name",
		"overlap networks": `10.0.0.0/24 is a part of it and on port "r-sw0": packets for addresses there go out by that port`, "alone peer": `"nobody"`, "mtu options": "much",
		"second options": "another port is connected", "nowhere options": `no router port "missing"`, "nothing options": "router-port",
	} {
		if !strings.Contains(got[object], reason) {
			t.Errorf("lint says of %s: %q, want %q in it", object, got[object], reason)
		}
	}
}

// TestStrictRouters refuses router ports that can never be used, where the zone
// is strict, and nothing else.
func TestStrictRouters(t *testing.T) {
	z := newZone(t, "")
	lr, _ := z.fan(t, 1, 1)
	c := z.columns
	z.nb(t, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(c.NBGlobal.Table) {
			tx.PutInMap(c.NBGlobal.Table, row.UUID(), "options", topology.StrictOption, "true")
		}
		return tx.Err()
	})
	for _, tc := range []struct{ name, mac, network, refused string }{
		{"good", "0a:00:00:00:00:01", "10.9.0.1/24", ""},
		{"mac", "nonsense", "10.9.1.1/24", `Logical_Router_Port "mac", mac: "nonsense" is no Ethernet address`},
		{"net", "0a:00:00:00:00:02", "10.9.2.1/99", `"net", networks: "10.9.2.1/99", at position 0`},
		{"p0-0", "0a:00:00:00:00:03", "10.9.3.1/24", `"p0-0", name: a switch port has this name`},
	} {
		_, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
			tx.AddToSet(c.LR.Table, lr, "ports", tx.Insert(c.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": tc.name, "mac": tc.mac, "networks": ovsdb.NewSet(tc.network)}))
			return tx.Err()
		})
		if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
			t.Errorf("router port %s: %v, want %q", tc.name, err, tc.refused)
		}
	}
	good := z.store.Snapshot().Lookup(c.LRP.Table, 0, "good")
	if _, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		tx.SetColumn(c.LRP.Table, good.UUID(), "mac", "worse")
		return tx.Err()
	}); err == nil {
		t.Error("a change that makes a router port useless is accepted")
	}
}
