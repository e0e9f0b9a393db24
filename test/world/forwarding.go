package world

import (
	"fmt"
	"slices"

	"govn/pkg/ovsdb"
)

// forwarding changes the forwarding groups of a switch. Some name ports that
// are not there (yet, or any more), or have an address that cannot be used.
func (w *World) forwarding(s *ovsdb.Row) string {
	fg, ls := &w.Columns.FwdGroup, &w.Columns.LS
	children := func() ovsdb.Set {
		set := ovsdb.NewSet(fmt.Sprint("vm", w.next+1+w.r.IntN(5)))
		for range w.r.IntN(3) {
			if p := pickRow(w.r, w.ports()); p != nil {
				set = set.With(p.Str(w.Columns.LSP.Name))
			}
		}
		return set
	}
	vip := func() string { return []string{w.ip4(), w.ip4(), w.ip6()}[w.r.IntN(3)] }
	var all []*ovsdb.Row
	for row := range w.Store.Snapshot().Rows(fg.Table) {
		all = append(all, row)
	}
	slices.SortFunc(all, byUUID)
	g := pickRow(w.r, all)
	kind := w.r.IntN(6)
	if g == nil {
		kind = 0
	}
	set := func(column string, v ovsdb.Value) string {
		w.hit("Forwarding_Group." + column)
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(fg.Table, g.UUID(), column, v); return tx.Err() })
		return fmt.Sprintf("set %s of forwarding group %s to %v", column, g.Str(fg.Name), v)
	}
	switch kind {
	case 1:
		return set("child_port", children())
	case 2:
		return set("vip", vip())
	case 3:
		return set("liveness", w.r.IntN(2) == 0)
	case 4:
		w.hit("Logical_Switch.forwarding_groups")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.AddToSet(ls.Table, s.UUID(), "forwarding_groups", g.UUID())
			return tx.Err()
		})
		return "a forwarding group in another switch"
	case 5:
		w.hit("Forwarding_Group:delete", "Logical_Switch.forwarding_groups")
		w.Deletions++
		w.nb(func(tx *ovsdb.Txn) error {
			for u := range tx.Referrers(ls.ForwardingGroups, g.UUID()) {
				tx.DelFromSet(ls.Table, u, "forwarding_groups", g.UUID())
			}
			return tx.Err()
		})
		return "delete forwarding group " + g.Str(fg.Name)
	}
	w.next++
	name, u, mac, ports, ip := fmt.Sprint("fg", w.next), w.uuid(), w.mac(), children(), vip()
	w.hit("Forwarding_Group:insert", "Logical_Switch.forwarding_groups")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(fg.Table, u, map[string]ovsdb.Value{"name": name, "vip": ip, "vmac": mac, "child_port": ports, "liveness": w.next%2 == 0})
		tx.AddToSet(ls.Table, s.UUID(), "forwarding_groups", u)
		return tx.Err()
	})
	return "add forwarding group " + name
}
