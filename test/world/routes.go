package world

import (
	"fmt"
	"slices"

	"govn/pkg/ovsdb"
)

// routes changes the routes and policies of a router, and its ports. Some name
// ports or next hops that are not there (yet, or any more), or cannot be used at
// all.
func (w *World) routes() string {
	lr := &w.Columns.LR
	var all []*ovsdb.Row
	for row := range w.Store.Snapshot().Rows(lr.Table) {
		all = append(all, row)
	}
	slices.SortFunc(all, byUUID)
	r := pickRow(w.r, all)
	if r == nil || len(all) < 3 && w.r.IntN(6) == 0 {
		w.next++
		name, u := fmt.Sprint("lr", w.next), w.uuid()
		w.hit("Logical_Router:insert")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.Insert(lr.Table, u, map[string]ovsdb.Value{"name": name})
			return tx.Err()
		})
		return "add router " + name
	}
	route, policy := w.memberOf(r, lr.StaticRoutes), w.memberOf(r, lr.Policies)
	if route == nil && w.r.IntN(2) == 0 { // most routers are gone before they have many
		for _, row := range all {
			if m := w.memberOf(row, lr.StaticRoutes); m != nil {
				r, route = row, m
				break
			}
		}
	}
	switch kind := w.r.IntN(14); {
	case kind == 0:
		return w.addRoutedPort(r)
	case kind == 1:
		return w.changeRoutedPort(w.memberOf(r, lr.Ports))
	case kind == 2 && len(all) > 0:
		w.hit("Logical_Router:delete")
		w.Deletions++
		w.nb(func(tx *ovsdb.Txn) error { tx.Delete(lr.Table, r.UUID()); return tx.Err() })
		return "delete router " + r.Str(lr.Name)
	case kind == 3 && route != nil, kind == 4 && policy != nil:
		col, gone := lr.StaticRoutes, route
		if kind == 4 {
			col, gone = lr.Policies, policy
		}
		w.hit(col.Table.Name + "." + col.Name)
		w.Deletions++
		w.nb(func(tx *ovsdb.Txn) error { tx.DelFromSet(lr.Table, r.UUID(), col.Name, gone.UUID()); return tx.Err() })
		return fmt.Sprint("delete one of ", col.Name, " of ", r.Str(lr.Name))
	case kind < 7 && route != nil, kind > 11 && route != nil && w.r.IntN(2) == 0:
		return w.set(route, w.rarest(route.Table().Name, "nexthop", "ip_prefix", "output_port", "policy", "route_table", "options", "selection_fields"))
	case kind < 9 && policy != nil:
		return w.set(policy, w.rarest(policy.Table().Name, "nexthops", "match", "action", "priority", "options"))
	case kind < 11:
		col := &w.Columns.Policy
		return w.addTo(r, lr.Policies, map[string]ovsdb.Value{"priority": int64(w.r.IntN(3)),
			"match": w.routingValue("match"), "action": w.routingValue("action"), "nexthops": w.routingValue("nexthops")}, col.Table)
	}
	return w.addTo(r, lr.StaticRoutes, map[string]ovsdb.Value{"ip_prefix": w.routingValue("ip_prefix"), "nexthop": w.routingValue("nexthop"),
		"route_table": w.routingValue("route_table"), "policy": w.routingValue("policy")}, w.Columns.Route.Table)
}

func pick[T any](w *World, list []T) T { return list[w.r.IntN(len(list))] }

// memberOf is one of the rows that a set column of a row refers to.
func (w *World) memberOf(row *ovsdb.Row, col *ovsdb.ColumnSchema) *ovsdb.Row {
	var list []*ovsdb.Row
	for a := range row.Set(col).All() {
		for _, t := range []*ovsdb.TableSchema{w.Columns.Route.Table, w.Columns.Policy.Table, w.Columns.LRP.Table} {
			if m := w.Store.Snapshot().Row(t, a.(ovsdb.UUID)); m != nil {
				list = append(list, m)
			}
		}
	}
	slices.SortFunc(list, byUUID)
	return pickRow(w.r, list)
}

// routingValue is a value for a column of a route or policy.
func (w *World) routingValue(column string) ovsdb.Value {
	next := func() string {
		return pick(w, []string{"10.0.0.9", "10.1.0.9", "10.2.0.9", "172.16.0.9", "fd00:1::9", "10.0.0.8", "nonsense"})
	}
	switch column {
	case "ip_prefix":
		return pick(w, []string{"192.168.0.0/24", "192.168.0.7/24", "192.168.1.0/24", "0.0.0.0/0", "2001:db8::/32", "bad/24"})
	case "nexthop":
		return pick(w, []string{next(), next(), next(), "discard", ""})
	case "nexthops":
		set := ovsdb.NewSet()
		for range w.r.IntN(4) {
			set = set.With(next())
		}
		return set
	case "output_port":
		return pick(w, []ovsdb.Set{ovsdb.NewSet(), ovsdb.NewSet(fmt.Sprint("wp", w.r.IntN(w.next+2))), ovsdb.NewSet("none")})
	case "policy":
		return pick(w, []ovsdb.Set{ovsdb.NewSet(), ovsdb.NewSet(), ovsdb.NewSet("dst-ip"), ovsdb.NewSet("src-ip")})
	case "route_table":
		return pick(w, []string{"", "", "", "red", "blue"})
	case "options":
		return pick(w, []ovsdb.Map{ovsdb.MapOf(), ovsdb.MapOf("origin", "connected"), ovsdb.MapOf("pkt_mark", "7"), ovsdb.MapOf("ecmp_symmetric_reply", "true")})
	case "selection_fields":
		return pick(w, []ovsdb.Set{ovsdb.NewSet(), ovsdb.NewSet("ip_src"), ovsdb.NewSet("ip_src", "tp_dst")})
	case "match":
		return pick(w, []string{"ip4.src == 10.0.0.0/24", "ip4", "ip6", fmt.Sprintf(`inport == "wp%d"`, w.r.IntN(w.next+2)), "ip4.src == "})
	case "action":
		return pick(w, []string{"allow", "drop", "reroute", "reroute"})
	}
	return int64(w.r.IntN(4)) // priority
}

func (w *World) set(row *ovsdb.Row, column string) string {
	v := w.routingValue(column)
	w.hit(row.Table().Name + "." + column)
	w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(row.Table(), row.UUID(), column, v); return tx.Err() })
	return fmt.Sprintf("set %s of a row of %s to %v", column, row.Table().Name, v)
}

// addTo adds a row to a set column of a router.
func (w *World) addTo(r *ovsdb.Row, col *ovsdb.ColumnSchema, values map[string]ovsdb.Value, t *ovsdb.TableSchema) string {
	u := w.uuid()
	w.hit(t.Name+":insert", col.Table.Name+"."+col.Name)
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(t, u, values)
		tx.AddToSet(col.Table, r.UUID(), col.Name, u)
		return tx.Err()
	})
	return fmt.Sprintf("add to %s: %v", col.Name, values)
}

// routerNetworks are networks for a port of a router.
func (w *World) routerNetworks() ovsdb.Set {
	set := ovsdb.NewSet()
	for range 1 + w.r.IntN(2) {
		set = set.With(pick(w, []string{"10.0.0.1/24", "10.1.0.1/24", "10.2.0.1/16", "10.2.0.2/24", "fd00:1::1/64", "10.0.0.0/33"}))
	}
	return set
}

func (w *World) addRoutedPort(r *ovsdb.Row) string {
	w.next++
	return w.addTo(r, w.Columns.LR.Ports, map[string]ovsdb.Value{"name": fmt.Sprint("wp", w.next), "mac": w.mac(), "networks": w.routerNetworks()}, w.Columns.LRP.Table)
}

func (w *World) changeRoutedPort(p *ovsdb.Row) string {
	if p == nil {
		return "nothing: there is no router port"
	}
	t := w.Columns.LRP.Table
	switch w.r.IntN(3) {
	case 0:
		set := w.routerNetworks()
		w.hit("Logical_Router_Port.networks")
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(t, p.UUID(), "networks", set); return tx.Err() })
		return fmt.Sprint("networks of a router port: ", set)
	case 1:
		table := pick(w, []string{"red", "blue", "green"})
		w.hit("Logical_Router_Port.options")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.PutInMap(t, p.UUID(), "options", "route_table", table)
			return tx.Err()
		})
		return "route table of a router port: " + table
	}
	w.hit("Logical_Router_Port:delete")
	w.Deletions++
	w.nb(func(tx *ovsdb.Txn) error {
		for u := range tx.Referrers(w.Columns.LR.Ports, p.UUID()) {
			tx.DelFromSet(w.Columns.LR.Table, u, "ports", p.UUID())
		}
		return tx.Err()
	})
	return "delete router port " + p.Str(w.Columns.LRP.Name)
}
