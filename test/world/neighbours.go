package world

import (
	"fmt"
	"net/netip"

	"govn/pkg/ovsdb"
	"govn/proto"
)

// neighbours changes what is behind router ports: addresses that chassis learned,
// on ports that are there or not, fixed ones, good and bad, how long they are
// kept, and what routers tell hosts.
func (w *World) neighbours() string {
	lr, lrp, fixed := &w.Columns.LR, &w.Columns.LRP, &w.Columns.StaticMAC
	r, p := pickRow(w.r, w.rows(lr.Table)), pickRow(w.r, w.rows(lrp.Table))
	switch w.r.IntN(8) {
	case 0:
		if r == nil {
			break
		}
		v := []string{"60", "0", "10.0.0.0/24:5;fd00::/8:0;7", "soon", ""}[w.r.IntN(5)]
		w.hit("Logical_Router.options")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.PutInMap(lr.Table, r.UUID(), "options", "mac_binding_age_threshold", v)
			return tx.Err()
		})
		return fmt.Sprintf("neighbours of router %s age by %q", r.Str(lr.Name), v)
	case 1, 2:
		if p == nil {
			break
		}
		v := []ovsdb.Map{ovsdb.MapOf(), ovsdb.MapOf("address_mode", "slaac"), ovsdb.MapOf("address_mode", "bogus"),
			ovsdb.MapOf("address_mode", "dhcpv6_stateless", "send_periodic", "true", "mtu", "1400", "rdnss", w.ip6(), "route_info", "HIGH-fd09::/48"),
			ovsdb.MapOf("address_mode", "slaac", "send_periodic", "true", "max_interval", "9", "rdnss", w.ip4(), "dnssl", "a..b")}[w.r.IntN(5)]
		w.hit("Logical_Router_Port.ipv6_ra_configs")
		w.nb(func(tx *ovsdb.Txn) error { tx.SetColumn(lrp.Table, p.UUID(), "ipv6_ra_configs", v); return tx.Err() })
		return "what router port " + p.Str(lrp.Name) + " tells hosts"
	case 3:
		if p == nil {
			break
		}
		port, ip := []string{p.Str(lrp.Name), p.Str(lrp.Name), "nowhere"}[w.r.IntN(3)], []string{w.ip4(), w.ip6(), "nonsense"}[w.r.IntN(3)]
		for _, row := range w.rows(fixed.Table) {
			if row.Str(fixed.LogicalPort) == port && row.Str(fixed.IP) == ip {
				w.hit("Static_MAC_Binding:delete")
				w.Deletions++
				w.nb(func(tx *ovsdb.Txn) error { tx.Delete(fixed.Table, row.UUID()); return tx.Err() })
				return "delete a fixed neighbour"
			}
		}
		u, mac, override := w.uuid(), []string{w.mac(), w.mac(), "nonsense"}[w.r.IntN(3)], w.r.IntN(2) == 0
		w.hit("Static_MAC_Binding:insert")
		w.nb(func(tx *ovsdb.Txn) error {
			tx.Insert(fixed.Table, u, map[string]ovsdb.Value{"logical_port": port, "ip": ip, "mac": mac, "override_dynamic_mac": override})
			return tx.Err()
		})
		return fmt.Sprintf("%s behind %s is at %s", ip, port, mac)
	case 4:
		if m := pickRow(w.r, w.rows(fixed.Table)); m != nil {
			w.hit("Static_MAC_Binding:delete")
			w.Deletions++
			w.nb(func(tx *ovsdb.Txn) error { tx.Delete(fixed.Table, m.UUID()); return tx.Err() })
			return "delete a fixed neighbour"
		}
	case 5, 6:
		for range 8 { // most are not kept: of ports that are not there, or cannot be used
			if len(w.rows(w.Columns.MACBinding.Table)) > 0 || w.Acked == nil {
				break
			}
			w.hear()
		}
		if m := pickRow(w.r, w.rows(w.Columns.MACBinding.Table)); m != nil {
			w.hit("MAC_Binding:delete")
			w.Deletions++
			w.sb(func(tx *ovsdb.Txn) error { tx.Delete(w.Columns.MACBinding.Table, m.UUID()); return tx.Err() })
			return "delete a learned neighbour"
		}
	}
	return w.hear()
}

// hear lets a chassis learn neighbours.
func (w *World) hear() string {
	b := &w.Columns.PortBinding
	name, rep := fmt.Sprint("hv", w.r.IntN(3)), &proto.Report{}
	for range 1 + w.r.IntN(3) {
		n := &proto.Neighbour{Datapath: uint32(1 + w.r.IntN(12)), Port: uint32(1 + w.r.IntN(6)), Mac: 0x505400000000 + uint64(w.r.IntN(24))}
		p := pickRow(w.r, w.rows(b.Table))
		if lrp := pickRow(w.r, w.rows(w.Columns.LRP.Table)); lrp != nil && w.r.IntN(4) > 0 { // a port that can have neighbours
			p = w.Store.Snapshot().Lookup(b.Table, 1, lrp.Str(w.Columns.LRP.Name))
		}
		if p != nil && w.r.IntN(8) > 0 {
			of, _ := p.Ref(b.Datapath)
			if dp := w.Store.Snapshot().Row(w.Columns.Datapath.Table, of); dp != nil {
				n.Datapath, n.Port = uint32(dp.Int(w.Columns.Datapath.TunnelKey)), uint32(p.Int(b.TunnelKey))
			}
		}
		n.Ip = netip.MustParseAddr([]string{w.ip4(), w.ip6()}[w.r.IntN(2)]).AsSlice()
		rep.NeighboursPut = append(rep.NeighboursPut, n)
	}
	w.hit("MAC_Binding:insert")
	w.Registry.Report(name, rep)
	w.step()
	return "neighbours that " + name + " learned"
}
