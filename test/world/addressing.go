package world

import (
	"fmt"
	"slices"

	"govn/pkg/ovsdb"
	"govn/proto"
)

// addressing changes what ports get their addresses and keys from: the settings
// of a switch, the prefix of MAC addresses, router ports, keys that are asked
// for. Subnets are small and overlap with static addresses, so that ports get in
// each other's way.
func (w *World) addressing(s, p *ovsdb.Row) string {
	switch w.r.IntN(12) {
	case 0:
		return w.setMACPrefix()
	case 1:
		return w.routerPort(s)
	case 2:
		if p == nil {
			return ""
		}
		return w.writeDynamic(p)
	case 3:
		return w.requestSwitchKey(s)
	case 4:
		if p == nil {
			return ""
		}
		return w.requestPortKey(p)
	case 5:
		return w.learn()
	}
	return w.setSubnet(s)
}

// setSubnet changes one of the settings of a switch that addresses depend on.
func (w *World) setSubnet(s *ovsdb.Row) string {
	keys := []string{"subnet", "exclude_ips", "ipv6_prefix", "mac_only", "fdb_age_threshold"}
	key := keys[w.r.IntN(len(keys))]
	values := map[string][]string{
		"subnet":      {"10.0.0.0/28", "10.0.0.0/29", "10.0.0.16/255.255.255.240", "10.0.0.0/24", "10.0.0.0/33"},
		"exclude_ips": {"10.0.0.2", "10.0.0.3..10.0.0.6 10.0.0.9", "10.0.0.4 nonsense", "20.0.0.1 10.0.0.2"},
		"ipv6_prefix": {"aef0::", "fd00::/64", "fd00::/48", "nonsense"},
		"mac_only":    {"true", "false"},

		"fdb_age_threshold": {"300", "20", "0", "nonsense"},
	}[key]
	w.hit("Logical_Switch.other_config:" + key)
	return w.setConfig(s, key, values[w.r.IntN(len(values))])
}

// setConfig sets a key of other_config, or removes it one time in four.
func (w *World) setConfig(s *ovsdb.Row, key, value string) string {
	ls := w.Columns.LS.Table
	if w.r.IntN(4) == 0 {
		w.nb(func(tx *ovsdb.Txn) error { tx.DelFromMap(ls, s.UUID(), "other_config", key); return tx.Err() })
		return fmt.Sprintf("remove %s of switch %s", key, s.Str(w.Columns.LS.Name))
	}
	w.nb(func(tx *ovsdb.Txn) error { tx.PutInMap(ls, s.UUID(), "other_config", key, value); return tx.Err() })
	return fmt.Sprintf("set %s of switch %s to %s", key, s.Str(w.Columns.LS.Name), value)
}

func (w *World) setMACPrefix() string {
	w.hit("NB_Global.options:mac_prefix")
	t := w.Columns.NBGlobal.Table
	value := []string{"0a:00:00", "50:54:00", "nonsense", ""}[w.r.IntN(4)]
	w.nb(func(tx *ovsdb.Txn) error {
		for g := range tx.Rows(t) {
			if value == "" {
				tx.DelFromMap(t, g.UUID(), "options", "mac_prefix")
			} else {
				tx.PutInMap(t, g.UUID(), "options", "mac_prefix", value)
			}
			break
		}
		return tx.Err()
	})
	return fmt.Sprintf("set the prefix of MAC addresses to %q", value)
}

// writeDynamic is a client that writes what it should not.
func (w *World) writeDynamic(p *ovsdb.Row) string {
	w.hit("Logical_Switch_Port.dynamic_addresses")
	v := ovsdb.NewSet([]ovsdb.Atom{w.mac() + " " + w.ip4(), "0a:00:00:00:00:03 10.0.0.2 aef0::1", "nonsense", w.mac()}[w.r.IntN(4)])
	if w.r.IntN(4) == 0 {
		v = ovsdb.NewSet()
	}
	w.nb(func(tx *ovsdb.Txn) error {
		tx.SetColumn(w.Columns.LSP.Table, p.UUID(), "dynamic_addresses", v)
		return tx.Err()
	})
	return fmt.Sprintf("a client sets dynamic_addresses of %s to %s", p.Str(w.Columns.LSP.Name), v)
}

// routerPort adds, changes or removes a router port that a port of a switch may
// name.
func (w *World) routerPort(s *ovsdb.Row) string {
	lrp, lr := w.Columns.LRP.Table, w.Schemas.NB.Table("Logical_Router")
	name := fmt.Sprint("rp", w.r.IntN(2))
	networks := ovsdb.NewSet([]ovsdb.Atom{w.ip4() + "/24", w.ip4() + "/28", "nonsense"}[w.r.IntN(3)])
	mac := []string{w.mac(), "0a:00:00:00:00:03", "nonsense"}[w.r.IntN(3)]
	what := "connect"
	w.hit("Logical_Router_Port.name", "Logical_Router_Port.mac", "Logical_Router_Port.networks")
	w.nb(func(tx *ovsdb.Txn) error {
		var there *ovsdb.Row
		for row := range tx.Rows(lrp) {
			if row.Str(w.Columns.LRP.Name) == name {
				there = row
			}
		}
		switch {
		case there == nil:
			rp := tx.Insert(lrp, w.uuid(), map[string]ovsdb.Value{"name": name, "mac": mac, "networks": networks})
			tx.Insert(lr, w.uuid(), map[string]ovsdb.Value{"name": "lr-" + name, "ports": ovsdb.NewSet(rp)})
			w.next++
			u := tx.Insert(w.Columns.LSP.Table, w.uuid(), map[string]ovsdb.Value{"name": fmt.Sprint("to", w.next), "type": "router",
				"addresses": w.addresses(), "options": ovsdb.MapOf("router-port", name)})
			tx.AddToSet(w.Columns.LS.Table, s.UUID(), "ports", u)
		case w.r.IntN(2) == 0:
			what = "delete"
			for u := range tx.Referrers(lr.Column("ports"), there.UUID()) {
				tx.Delete(lr, u)
				break
			}
		default:
			what = "change"
			tx.SetColumn(lrp, there.UUID(), "networks", networks)
			tx.SetColumn(lrp, there.UUID(), "mac", mac)
		}
		return tx.Err()
	})
	return what + " router port " + name
}

// requestSwitchKey asks for the tunnel key of a switch.
func (w *World) requestSwitchKey(s *ovsdb.Row) string {
	w.hit("Logical_Switch.other_config:requested-tnl-key")
	return w.setConfig(s, "requested-tnl-key", w.key())
}

// requestPortKey asks for the tunnel key of a port.
func (w *World) requestPortKey(p *ovsdb.Row) string {
	w.hit("Logical_Switch_Port.options:requested-tnl-key")
	t, key := w.Columns.LSP.Table, w.key()
	if w.r.IntN(3) == 0 {
		w.nb(func(tx *ovsdb.Txn) error { tx.DelFromMap(t, p.UUID(), "options", "requested-tnl-key"); return tx.Err() })
		return "ask for no key for port " + p.Str(w.Columns.LSP.Name)
	}
	w.nb(func(tx *ovsdb.Txn) error {
		tx.PutInMap(t, p.UUID(), "options", "requested-tnl-key", key)
		return tx.Err()
	})
	return fmt.Sprintf("ask for key %s for port %s", key, p.Str(w.Columns.LSP.Name))
}

func (w *World) key() string {
	return []string{fmt.Sprint(1 + w.r.IntN(6)), fmt.Sprint(1 + w.r.IntN(6)), fmt.Sprint(1 + w.r.IntN(20)), "16777300", "nonsense"}[w.r.IntN(5)]
}

// dynamic is an element of addresses that asks for some.
func (w *World) dynamic() string {
	return []string{"dynamic", "dynamic", "dynamic " + w.ip4(), "dynamic " + w.ip6(), "dynamic " + w.ip4() + " " + w.ip6(),
		w.mac() + " dynamic", "dynamic nonsense"}[w.r.IntN(7)]
}

// learn lets a chassis learn addresses, mostly on a port that is there.
func (w *World) learn() string {
	w.hit("FDB:insert", "FDB.mac", "FDB.dp_key", "FDB.port_key")
	e := &proto.FdbEntry{Datapath: uint32(1 + w.r.IntN(3)), Mac: uint64(w.r.IntN(8)), Port: uint32(1 + w.r.IntN(5))}
	b, sn := &w.Columns.PortBinding, w.Store.Snapshot()
	if p := pickRow(w.r, slices.SortedFunc(sn.Rows(b.Table), byUUID)); p != nil && w.r.IntN(5) > 0 {
		if dp, ok := p.Ref(b.Datapath); ok {
			e.Datapath, e.Port = uint32(sn.Row(w.Columns.Datapath.Table, dp).Int(w.Columns.Datapath.TunnelKey)), uint32(p.Int(b.TunnelKey))
		}
	}
	r := &proto.Report{FdbPut: []*proto.FdbEntry{e}}
	for i := range uint64(4) { // rows go with their port: a few more, to have some to delete
		r.FdbPut = append(r.FdbPut, &proto.FdbEntry{Datapath: e.Datapath, Mac: e.Mac + 8*(i+1), Port: e.Port})
	}
	w.Registry.Report("hv0", r)
	w.step()
	return "learn addresses"
}
