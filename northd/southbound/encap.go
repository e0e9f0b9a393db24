package southbound

import (
	"govn/pkg/ovsdb"
)

// typeGeneve is the type of all encapsulations that interfaces may ask for.
const typeGeneve = "geneve"

// encapUUID is the identity of an encapsulation's row.
func encapUUID(chassis, kind, ip string) ovsdb.UUID {
	return named("encap", chassis+"\x00"+kind+"\x00"+ip)
}

// encapsOf writes by which encapsulations a port is reached on the chassis that it
// is bound to: Port_Binding:encap and additional_encap. They are empty but for
// interfaces that ask for one of several (external_ids:encap-ip). Of a chassis
// that did not say anything since the start, what there is stays.
func (r *Registry) encapsOf(tx *ovsdb.Txn, w wanted, row *ovsdb.Row, main, more ovsdb.Set) {
	b := &r.c.PortBinding
	if !w.bound {
		return
	}
	r.mu.Lock()
	want := [2]ovsdb.Set{ovsdb.NewSet(), ovsdb.NewSet()}
	columns := [2]*ovsdb.ColumnSchema{b.Encap, b.AdditionalEncap}
	for i, set := range [2]ovsdb.Set{main, more} {
		for u := range set.All() {
			ch := tx.Row(r.c.Chassis.Table, u.(ovsdb.UUID))
			if ch == nil {
				continue
			}
			name := ch.Str(r.c.Chassis.Name)
			if ip := r.encaps[w.iface][name]; ip != "" {
				if e := encapUUID(name, typeGeneve, ip); tx.Row(r.c.Encap.Table, e) != nil {
					want[i] = want[i].With(e)
				}
			} else if r.chassis[name] == nil {
				for e := range row.Set(columns[i]).All() {
					if had := tx.Row(r.c.Encap.Table, e.(ovsdb.UUID)); had != nil && had.Str(r.c.Encap.ChassisName) == name {
						want[i] = want[i].With(e)
					}
				}
			}
		}
	}
	r.mu.Unlock()
	for i, column := range columns {
		if !row.Set(column).Equal(want[i]) {
			tx.SetColumn(b.Table, row.UUID(), column.Name, want[i])
		}
	}
}

// forgetEncap drops what an interface asked for. The caller holds mu.
func (r *Registry) forgetEncap(chassis, iface string) {
	if delete(r.encaps[iface], chassis); len(r.encaps[iface]) == 0 {
		delete(r.encaps, iface)
	}
}
