package world

import (
	"fmt"
	"slices"

	"govn/pkg/ovsdb"
)

// routing changes routers, their ports, and the ports of switches that lead to
// them. Networks overlap, names are taken, peers are not there or not mutual:
// what clients do.
func (w *World) routing(s *ovsdb.Row) string {
	lr, lrp := &w.Columns.LR, &w.Columns.LRP
	r, p := pickRow(w.r, w.rows(lr.Table)), pickRow(w.r, w.rows(lrp.Table))
	kind := w.r.IntN(20)
	switch {
	case r == nil || kind == 0 && len(w.rows(lr.Table)) < 4:
		return w.addRouter()
	case p == nil || kind <= 3:
		return w.addRouterPort(r, s)
	}
	set := func(column string, v ovsdb.Value) string {
		w.hit("Logical_Router_Port." + column)
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(lrp.Table, p.UUID(), column, v); return tx.Err() })
		return fmt.Sprintf("set %s of router port %s to %v", column, p.Str(lrp.Name), v)
	}
	switch kind {
	case 4, 5:
		return set("networks", w.networks())
	case 6:
		return set("mac", []string{w.routerMAC(), w.routerMAC(), "nonsense"}[w.r.IntN(3)])
	case 7:
		return set("enabled", ovsdb.NewSet(w.r.IntN(2) == 0))
	case 8, 9:
		return w.pair(p)
	case 10:
		name := fmt.Sprint("lrp", w.r.IntN(9))
		if w.Store.Snapshot().Lookup(lrp.Table, 0, name) != nil {
			name = p.Str(w.Columns.LRP.Name)
		}
		return set("name", name)
	case 11:
		return set("options", []ovsdb.Map{ovsdb.MapOf(), ovsdb.MapOf("gateway_mtu", "1400"), ovsdb.MapOf("gateway_mtu", "none")}[w.r.IntN(3)])
	case 12:
		w.hit("Logical_Router.enabled")
		on := w.r.IntN(3) > 0
		w.nb(func(tx *ovsdb.Txn) error {
			tx.SetColumn(lr.Table, r.UUID(), "enabled", ovsdb.NewSet(on))
			return tx.Err()
		})
		return fmt.Sprintf("set enabled of router %s to %t", r.Str(lr.Name), on)
	case 13:
		w.hit("Logical_Router.options")
		key := []string{"dynamic_neigh_routers", "always_learn_from_arp_request"}[w.r.IntN(2)]
		v := fmt.Sprint(w.r.IntN(2) == 0)
		w.nb(func(tx *ovsdb.Txn) error { tx.PutInMap(lr.Table, r.UUID(), "options", key, v); return tx.Err() })
		return fmt.Sprintf("set %s of router %s to %s", key, r.Str(lr.Name), v)
	case 14:
		w.hit("Logical_Router.name")
		name := fmt.Sprint("router", w.r.IntN(4))
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(lr.Table, r.UUID(), "name", name); return tx.Err() })
		return "rename a router to " + name
	case 15:
		w.hit("Logical_Router.ports")
		to := pickRow(w.r, w.rows(lr.Table))
		w.nb(func(tx *ovsdb.Txn) error { // perhaps into a second router
			if w.r.IntN(3) > 0 {
				for u := range tx.Referrers(lr.Ports, p.UUID()) {
					tx.DelFromSet(lr.Table, u, "ports", p.UUID())
					break
				}
			}
			tx.AddToSet(lr.Table, to.UUID(), "ports", p.UUID())
			return tx.Err()
		})
		return "move a router port"
	}
	return w.attach(s, p)
}

// unrouting deletes a router or a router port.
func (w *World) unrouting() string {
	lr, lrp := &w.Columns.LR, &w.Columns.LRP
	if r := pickRow(w.r, w.rows(lr.Table)); r != nil && w.r.IntN(4) == 0 {
		w.hit("Logical_Router:delete")
		w.nb(func(tx *ovsdb.Txn) error { tx.Delete(lr.Table, r.UUID()); return tx.Err() })
		return "delete router " + r.Str(lr.Name)
	}
	p := pickRow(w.r, w.rows(lrp.Table))
	if p == nil {
		return ""
	}
	w.hit("Logical_Router_Port:delete", "Logical_Router.ports")
	w.nb(func(tx *ovsdb.Txn) error {
		for _, u := range slices.Collect(tx.Referrers(lr.Ports, p.UUID())) {
			tx.DelFromSet(lr.Table, u, "ports", p.UUID())
		}
		return tx.Err()
	})
	return "delete router port " + p.Str(lrp.Name)
}

func (w *World) rows(t *ovsdb.TableSchema) []*ovsdb.Row {
	return slices.SortedFunc(w.Store.Snapshot().Rows(t), byUUID)
}

func (w *World) routerMAC() string { return fmt.Sprintf("00:00:00:00:00:%02x", w.r.IntN(9)) }

func (w *World) networks() ovsdb.Set {
	set := ovsdb.NewSet()
	for range 1 + w.r.IntN(2) {
		set = set.With([]ovsdb.Atom{w.ip4() + "/24", w.ip4() + "/28", w.ip6() + "/64", "10.0.1.1/24", "10.0.0.999/24", "fe80::1/64"}[w.r.IntN(6)])
	}
	return set
}

func (w *World) addRouter() string {
	w.next++
	name, u := fmt.Sprint("lr", w.next), w.uuid()
	w.hit("Logical_Router:insert", "Logical_Router.name")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(w.Columns.LR.Table, u, map[string]ovsdb.Value{"name": name})
		return tx.Err()
	})
	return "add router " + name
}

func (w *World) addRouterPort(r, s *ovsdb.Row) string {
	w.next++
	name, u, networks, mac := fmt.Sprint("rp", w.next), w.uuid(), w.networks(), w.routerMAC()
	if p := pickRow(w.r, w.ports()); p != nil && w.r.IntN(8) == 0 {
		name = p.Str(w.Columns.LSP.Name) // a name that the southbound database has already
		if w.Store.Snapshot().Lookup(w.Columns.LRP.Table, 0, name) != nil {
			name = fmt.Sprint("rp", w.next)
		}
	}
	attached, lsp := w.r.IntN(3) > 0, w.uuid()
	w.hit("Logical_Router_Port:insert", "Logical_Router.ports")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(w.Columns.LRP.Table, u, map[string]ovsdb.Value{"name": name, "networks": networks, "mac": mac})
		tx.AddToSet(w.Columns.LR.Table, r.UUID(), "ports", u)
		if attached {
			tx.Insert(w.Columns.LSP.Table, lsp, map[string]ovsdb.Value{"name": fmt.Sprint("of", w.next), "type": "router",
				"addresses": ovsdb.NewSet("router"), "options": ovsdb.MapOf("router-port", name)})
			tx.AddToSet(w.Columns.LS.Table, s.UUID(), "ports", lsp)
		}
		return tx.Err()
	})
	return "add router port " + name
}

// pair makes two router ports peers of each other, or only one of them.
func (w *World) pair(p *ovsdb.Row) string {
	lrp := &w.Columns.LRP
	other, mutual := pickRow(w.r, w.rows(lrp.Table)), w.r.IntN(4) > 0
	w.hit("Logical_Router_Port.peer")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.SetColumn(lrp.Table, p.UUID(), "peer", ovsdb.NewSet(other.Str(lrp.Name)))
		if mutual {
			tx.SetColumn(lrp.Table, other.UUID(), "peer", ovsdb.NewSet(p.Str(lrp.Name)))
		}
		return tx.Err()
	})
	return fmt.Sprintf("peer of %s is %s", p.Str(lrp.Name), other.Str(lrp.Name))
}

// attach connects a switch to a router port, or to a port of another switch.
func (w *World) attach(s, p *ovsdb.Row) string {
	lsp, ls := &w.Columns.LSP, &w.Columns.LS
	if w.r.IntN(4) == 0 {
		return w.joinSwitches(s)
	}
	w.next++
	name, u, port := fmt.Sprint("to", w.next), w.uuid(), p.Str(w.Columns.LRP.Name)
	addresses := ovsdb.NewSet([]ovsdb.Atom{"router", "router", w.mac() + " " + w.ip4(), "unknown"}[w.r.IntN(4)])
	options := ovsdb.MapOf("router-port", port)
	switch w.r.IntN(4) {
	case 0:
		options = options.With("arp_proxy", w.ip4()+" "+w.ip4())
	case 1:
		options = options.With("arp_proxy", w.mac()+" 10.9.0.0/16 "+w.ip6())
	}
	w.hit("Logical_Switch_Port:insert", "Logical_Switch.ports", "Logical_Switch_Port.type")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(lsp.Table, u, map[string]ovsdb.Value{"name": name, "type": "router", "addresses": addresses, "options": options})
		tx.AddToSet(ls.Table, s.UUID(), "ports", u)
		return tx.Err()
	})
	return fmt.Sprintf("attach switch %s to router port %s by %s", s.Str(ls.Name), port, name)
}

// joinSwitches connects two switches by ports of type switch.
func (w *World) joinSwitches(s *ovsdb.Row) string {
	lsp, ls := &w.Columns.LSP, &w.Columns.LS
	other := pickRow(w.r, w.switches())
	w.next++
	a, b := fmt.Sprint("tie", w.next, "a"), fmt.Sprint("tie", w.next, "b")
	ua, ub, unknown := w.uuid(), w.uuid(), ovsdb.NewSet("unknown")
	w.hit("Logical_Switch_Port:insert", "Logical_Switch.ports", "Logical_Switch_Port.type")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(lsp.Table, ua, map[string]ovsdb.Value{"name": a, "type": "switch", "addresses": unknown, "options": ovsdb.MapOf("peer", b)})
		tx.Insert(lsp.Table, ub, map[string]ovsdb.Value{"name": b, "type": "switch", "addresses": unknown, "options": ovsdb.MapOf("peer", a)})
		tx.AddToSet(ls.Table, s.UUID(), "ports", ua)
		tx.AddToSet(ls.Table, other.UUID(), "ports", ub)
		return tx.Err()
	})
	return fmt.Sprintf("join switches %s and %s", s.Str(ls.Name), other.Str(ls.Name))
}
