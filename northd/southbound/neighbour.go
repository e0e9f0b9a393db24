package southbound

import (
	"fmt"
	"net/netip"
	"time"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// MaxNeighbours bounds the learned addresses of one router: what is learned
// beyond it stays with the chassis that learned it.
const MaxNeighbours = 65536

// learned is what a chassis says of addresses in one report.
type learned struct {
	fdbPut, fdbGone, fdbSeen []*proto.FdbEntry
	put, gone, seen          []*proto.Neighbour
}

func (l *learned) empty() bool {
	return len(l.fdbPut)+len(l.fdbGone)+len(l.fdbSeen)+len(l.put)+len(l.gone)+len(l.seen) == 0
}

// learn stores what was learned, in whatever row the database has for it: a
// client may have made it. A later report of an address wins. All of a report is
// one transaction.
func (r *Registry) learn(l learned) error {
	if l.empty() {
		return nil
	}
	_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		now := r.now()
		r.putFDB(tx, &l, now)
		r.putNeighbours(tx, &l, now)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("storing learned addresses: %w", err)
	}
	return nil
}

// putNeighbours writes rows of MAC_Binding.
func (r *Registry) putNeighbours(tx *ovsdb.Txn, l *learned, now time.Time) {
	m := &r.c.MACBinding
	for _, n := range l.put {
		port, row, ip, ok := r.bindingOf(tx, n)
		switch {
		case !ok || n.Mac == 0 || n.Mac>>48 != 0:
		case row == nil:
			datapath, _ := port.Ref(r.c.PortBinding.Datapath)
			if !r.roomFor(tx, datapath, now) {
				continue
			}
			tx.Insert(m.Table, r.bindingUUID(tx, n, ip), map[string]ovsdb.Value{
				"logical_port": port.Str(r.c.PortBinding.LogicalPort), "ip": ip.String(), "mac": macOf(n.Mac).String(),
				"datapath": datapath, "timestamp": now.UnixMilli()})
		default:
			if row.Str(m.MAC) != macOf(n.Mac).String() {
				tx.SetColumn(m.Table, row.UUID(), "mac", macOf(n.Mac).String())
			}
			tx.SetColumn(m.Table, row.UUID(), "timestamp", now.UnixMilli())
		}
	}
	for _, n := range l.gone {
		if _, row, _, ok := r.bindingOf(tx, n); ok && row != nil && row.Str(m.MAC) == macOf(n.Mac).String() {
			tx.Delete(m.Table, row.UUID())
		}
	}
	for _, n := range l.seen {
		if _, row, _, ok := r.bindingOf(tx, n); ok && row != nil && fresher(row.Int(m.Timestamp), now) {
			tx.SetColumn(m.Table, row.UUID(), "timestamp", now.UnixMilli())
		}
	}
}

// fresher tells whether a timestamp is worth writing: several chassis say that
// they use the same address.
func fresher(was int64, now time.Time) bool { return now.UnixMilli()-was >= 200 }

// bindingOf finds the port that a neighbour is behind and the row that it has,
// nil if there is none.
func (r *Registry) bindingOf(tx *ovsdb.Txn, n *proto.Neighbour) (port, row *ovsdb.Row, ip netip.Addr, ok bool) {
	ip, ok = netip.AddrFromSlice(n.Ip)
	if !ok || n.Port < abi.MinPortKey || n.Port > abi.MaxPortKey {
		return nil, nil, ip, false
	}
	datapath := tx.Lookup(r.c.Datapath.Table, index(r.c.Datapath.Table, "tunnel_key"), int64(n.Datapath))
	if datapath == nil {
		return nil, nil, ip, false
	}
	b, m := &r.c.PortBinding, &r.c.MACBinding
	port = tx.Lookup(b.Table, index2(b.Table, b.Datapath, b.TunnelKey), datapath.UUID(), int64(n.Port))
	if port == nil {
		return nil, nil, ip, false
	}
	return port, tx.Lookup(m.Table, index2(m.Table, m.LogicalPort, m.IP), port.Str(b.LogicalPort), ip.String()), ip, true
}

// index2 is the number of the unique index on two columns.
func index2(t *ovsdb.TableSchema, a, b *ovsdb.ColumnSchema) int {
	for i, cols := range t.Indexes {
		if len(cols) == 2 && cols[0] == a && cols[1] == b {
			return i
		}
	}
	panic("southbound: " + t.Name + " has no index on " + a.Name + " and " + b.Name)
}

// bindingUUID is the identity of a new row: the same for the same address, unless
// a client made that row mean something else.
func (r *Registry) bindingUUID(tx *ovsdb.Txn, n *proto.Neighbour, ip netip.Addr) ovsdb.UUID {
	u := named("mac-binding", fmt.Sprintf("%d %d %s", n.Datapath, n.Port, ip))
	if tx.Row(r.c.MACBinding.Table, u) != nil {
		return ovsdb.UUID{} // a random one
	}
	return u
}

// crowd counts the rows of routers. It counts what is inserted; rows that went
// it notices when a router seems full, once a second at most.
type crowd struct {
	rows    map[ovsdb.UUID]int // by Datapath_Binding; nil: not counted yet
	counted time.Time
}

// roomFor tells whether a router may have one more row, and counts it.
func (r *Registry) roomFor(tx *ovsdb.Txn, datapath ovsdb.UUID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.crowd
	if c.rows == nil || c.rows[datapath] >= MaxNeighbours && now.Sub(c.counted) >= time.Second {
		c.rows, c.counted = map[ovsdb.UUID]int{}, now
		for row := range tx.Rows(r.c.MACBinding.Table) {
			if of, ok := row.Ref(r.c.MACBinding.Datapath); ok {
				c.rows[of]++
			}
		}
		if c.rows[datapath] >= MaxNeighbours {
			r.log.Warn("router has as many neighbours as it may have; no more are learned", "datapath", datapath.String(), "limit", MaxNeighbours)
		}
	}
	if c.rows[datapath] >= MaxNeighbours {
		return false
	}
	c.rows[datapath]++
	return true
}

// forgetRouters deletes what was learned in datapaths that go: the rows refer to
// them.
func (w *Writer) forgetRouters(tx *ovsdb.Txn, gone map[ovsdb.UUID]bool) {
	if len(gone) == 0 {
		return
	}
	m := &w.c.MACBinding
	var rows []ovsdb.UUID
	for row := range tx.Rows(m.Table) {
		if of, ok := row.Ref(m.Datapath); ok && gone[of] {
			rows = append(rows, row.UUID())
		}
	}
	for _, u := range rows {
		tx.Delete(m.Table, u)
	}
}
