package topology

import (
	"fmt"
	"net/netip"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// FwdGroup is what the pipeline knows of a forwarding group (ovn-nb(5),
// Forwarding_Group): a virtual address whose traffic is spread over ports.
type FwdGroup struct {
	UUID, Switch ovsdb.UUID
	Datapath     uint32 // tunnel key of the switch
	ID           uint32 // of the OpenFlow group
	Name         string
	VIP          netip.Addr // IPv4
	VMAC         MAC
	Liveness     bool // only to ports that can be reached
	Children     []string
}

// ReadFwdGroup reads a forwarding group of a switch without its children. One
// that has no id yet, or whose row is gone, is reported by ok = false.
func (r *Reader) ReadFwdGroup(c *incr.Ctx, m Member, datapath uint32) (g *FwdGroup, ok bool, err error) {
	t := &r.C.FwdGroup
	if !r.Has(c, t.Table, m.Elem) {
		return nil, false, nil
	}
	id, ok := r.Key(c, KindGroup, ovsdb.UUID{}, GroupOwner(m))
	if !ok {
		return nil, false, nil
	}
	g = &FwdGroup{UUID: m.Elem, Switch: m.Row, Datapath: datapath, ID: id, Name: r.Str(c, t.Name, m.Elem)}
	bad := func(column string, err error) error {
		return &FieldError{Table: t.Table.Name, Column: column, Object: g.Name, UUID: m.Elem, Err: err}
	}
	vip := r.Str(c, t.VIP, m.Elem)
	if g.VIP, err = netip.ParseAddr(vip); err != nil || !g.VIP.Is4() {
		return nil, false, bad("vip", fmt.Errorf("%q is no IPv4 address", vip))
	}
	if g.VMAC, err = ParseMAC(r.Str(c, t.VMAC, m.Elem)); err != nil {
		return nil, false, bad("vmac", err)
	}
	if row := r.row(c, t.Liveness, m.Elem); row != nil {
		g.Liveness = row.Bool(t.Liveness)
	}
	return g, true, nil
}

// Children are the names of the ports that a forwarding group is spread over.
func (r *Reader) Children(c *incr.Ctx, group ovsdb.UUID) []string {
	var names []string
	for a := range r.Set(c, r.C.FwdGroup.ChildPort, group).All() {
		names = append(names, a.(string))
	}
	return names
}
