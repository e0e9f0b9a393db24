package world

import (
	"fmt"

	"govn/pkg/ovsdb"
)

// sessions changes BFD sessions: of ports that are there or not, with neighbours
// that can be or not, used by routes or not; and what chassis say of them.
func (w *World) sessions() string {
	t, sb := &w.Columns.BFD, &w.Columns.SBBFD
	s, route := pickRow(w.r, w.rows(t.Table)), pickRow(w.r, w.rows(w.Columns.Route.Table))
	kind := w.r.IntN(8)
	if s == nil {
		kind = 0
	}
	switch kind {
	case 1:
		column := []string{"min_tx", "min_rx", "detect_mult"}[w.r.IntN(3)]
		v := ovsdb.NewSet([]ovsdb.Atom{int64(1), int64(300), int64(1) << 40}[w.r.IntN(3)])
		w.hit("BFD")
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(t.Table, s.UUID(), column, v); return tx.Err() })
		return fmt.Sprintf("set %s of a BFD session to %v", column, v)
	case 2:
		w.hit("BFD")
		w.Deletions++
		w.nb(func(tx *ovsdb.Txn) error { tx.Delete(t.Table, s.UUID()); return tx.Err() })
		return "delete a BFD session"
	case 3, 4:
		if route == nil {
			break
		}
		next := s.Str(t.DstIP)
		w.nb(func(tx *ovsdb.Txn) error {
			tx.SetColumn(w.Columns.Route.Table, route.UUID(), "bfd", ovsdb.NewSet(s.UUID()))
			tx.SetColumn(w.Columns.Route.Table, route.UUID(), "nexthop", next)
			return tx.Err()
		})
		return "a route by the BFD session to " + next
	case 5, 6:
		row := w.Store.Snapshot().Row(sb.Table, s.UUID())
		if row == nil || row.Str(sb.ChassisName) == "" || row.Str(sb.Status) == "admin_down" {
			break
		}
		state := []string{"down", "init", "up"}[w.r.IntN(3)]
		w.sb(func(tx *ovsdb.Txn) error { tx.SetColumn(sb.Table, s.UUID(), "status", state); return tx.Err() })
		return "a BFD session is " + state
	}
	port := fmt.Sprint("rp", w.next+1+w.r.IntN(5))
	if p := pickRow(w.r, w.rows(w.Columns.LRP.Table)); p != nil && w.r.IntN(5) > 0 {
		port = p.Str(w.Columns.LRP.Name)
	}
	peer := []string{w.ip4(), w.ip4(), w.ip6(), "10.0.1.7", "neighbour"}[w.r.IntN(5)]
	for _, row := range w.rows(t.Table) {
		if row.Str(t.LogicalPort) == port && row.Str(t.DstIP) == peer {
			return ""
		}
	}
	w.hit("BFD:insert")
	u := w.uuid()
	w.nb(func(tx *ovsdb.Txn) error {
		tx.Insert(t.Table, u, map[string]ovsdb.Value{"logical_port": port, "dst_ip": peer})
		return tx.Err()
	})
	return fmt.Sprintf("watch %s from router port %s", peer, port)
}
