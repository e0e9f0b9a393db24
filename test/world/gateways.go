package world

import (
	"fmt"

	"govn/pkg/ovsdb"
)

// gatewaying changes which chassis may host the ports of routers: HA groups,
// gateway chassis, routers on one chassis. Some name chassis that are not there.
func (w *World) gatewaying() string {
	c := w.Columns
	g, p, r := pickRow(w.r, w.rows(c.HAGroup.Table)), pickRow(w.r, w.rows(c.LRP.Table)), pickRow(w.r, w.rows(c.LR.Table))
	chassis := func() string { return fmt.Sprint("hv", w.r.IntN(4)) }
	priority := func() int64 { return int64(w.r.IntN(4)) }
	kind := w.r.IntN(12)
	switch {
	case g == nil || kind == 0 && len(w.rows(c.HAGroup.Table)) < 3:
		w.next++
		name := fmt.Sprint("group", w.next)
		u := w.uuid()
		w.hit("HA_Chassis_Group:insert")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.Insert(c.HAGroup.Table, u, map[string]ovsdb.Value{"name": name})
			return tx.Err()
		})
		return "add HA group " + name
	case kind == 0:
		w.hit("HA_Chassis_Group:delete")
		w.Deletions++
		w.nb(func(tx *ovsdb.Txn) error {
			for _, of := range []*ovsdb.ColumnSchema{c.LRP.Table.Column("ha_chassis_group"), c.LSP.Table.Column("ha_chassis_group")} {
				for u := range tx.Referrers(of, g.UUID()) {
					tx.SetColumn(of.Table, u, of.Name, ovsdb.NewSet())
				}
			}
			tx.Delete(c.HAGroup.Table, g.UUID())
			return tx.Err()
		})
		return "delete HA group " + g.Str(c.HAGroup.Name)
	case kind <= 2:
		name, prio, u := chassis(), priority(), w.uuid()
		w.hit("HA_Chassis:insert", "HA_Chassis_Group.ha_chassis")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.AddToSet(c.HAGroup.Table, g.UUID(), "ha_chassis", tx.Insert(c.HAChassis.Table, u, map[string]ovsdb.Value{"chassis_name": name, "priority": prio}))
			return tx.Err()
		})
		return fmt.Sprintf("add %s to HA group %s", name, g.Str(c.HAGroup.Name))
	case kind == 3:
		for a := range g.Set(c.HAGroup.HAChassis).All() {
			w.hit("HA_Chassis_Group.ha_chassis")
			w.nb(func(tx *ovsdb.Txn) error { tx.DelFromSet(c.HAGroup.Table, g.UUID(), "ha_chassis", a); return tx.Err() })
			return "remove a chassis from HA group " + g.Str(c.HAGroup.Name)
		}
		return w.gatewaying()
	case kind == 4:
		h := pickRow(w.r, w.rows(c.HAChassis.Table))
		if h == nil {
			return w.gatewaying()
		}
		prio := priority()
		w.hit("HA_Chassis.priority")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.SetColumn(c.HAChassis.Table, h.UUID(), "priority", prio)
			return tx.Err()
		})
		return fmt.Sprintf("set a priority to %d", prio)
	case kind == 5:
		key, v := []string{"bfd-min-rx", "bfd-mult"}[w.r.IntN(2)], fmt.Sprint(w.r.IntN(3)*100)
		w.hit("NB_Global.options")
		w.nb(func(tx *ovsdb.Txn) error {
			for row := range tx.Rows(c.NBGlobal.Table) {
				tx.PutInMap(c.NBGlobal.Table, row.UUID(), "options", key, v)
				break
			}
			return tx.Err()
		})
		return "set " + key + " to " + v
	case kind == 6 && r != nil:
		name := chassis()
		w.hit("Logical_Router.options")
		w.nb(func(tx *ovsdb.Txn) error {
			if _, on := r.Map(c.LR.Options).Get("chassis"); on {
				tx.DelFromMap(c.LR.Table, r.UUID(), "options", "chassis")
			} else {
				tx.PutInMap(c.LR.Table, r.UUID(), "options", "chassis", name)
			}
			return tx.Err()
		})
		return fmt.Sprintf("router %s is on %s, or no more", r.Str(c.LR.Name), name)
	case p == nil:
		return w.edit()
	case kind == 7:
		v := ovsdb.NewSet()
		if w.r.IntN(3) > 0 {
			v = ovsdb.NewSet(g.UUID())
		}
		w.hit("Logical_Router_Port.ha_chassis_group")
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(c.LRP.Table, p.UUID(), "ha_chassis_group", v); return tx.Err() })
		return fmt.Sprintf("set the HA group of %s to %v", p.Str(c.LRP.Name), v)
	case kind == 8:
		w.hit("Logical_Router_Port.gateway_chassis")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.SetColumn(c.LRP.Table, p.UUID(), "gateway_chassis", ovsdb.NewSet())
			return tx.Err()
		})
		return "no gateway chassis for " + p.Str(c.LRP.Name)
	case kind == 9:
		key := []string{"redirect-type", "reside-on-redirect-chassis"}[w.r.IntN(2)]
		v := []string{"bridged", "overlay", "true", "neither"}[w.r.IntN(4)]
		w.hit("Logical_Router_Port.options")
		w.nb(func(tx *ovsdb.Txn) error { tx.PutInMap(c.LRP.Table, p.UUID(), "options", key, v); return tx.Err() })
		return fmt.Sprintf("set %s of %s to %s", key, p.Str(c.LRP.Name), v)
	}
	w.next++
	name, on, prio, u := fmt.Sprint("gc", w.next), chassis(), priority(), w.uuid()
	w.hit("Gateway_Chassis:insert", "Logical_Router_Port.gateway_chassis")
	w.nb(func(tx *ovsdb.Txn) error {
		tx.AddToSet(c.LRP.Table, p.UUID(), "gateway_chassis", tx.Insert(c.GatewayChassis.Table, u,
			map[string]ovsdb.Value{"name": name, "chassis_name": on, "priority": prio}))
		return tx.Err()
	})
	return fmt.Sprintf("gateway chassis %s for %s", on, p.Str(c.LRP.Name))
}
