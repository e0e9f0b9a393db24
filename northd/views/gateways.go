package views

import (
	"cmp"
	"slices"

	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// Types of ports that a chassis hosts without an interface (ovn-sb(5),
// Port_Binding, type).
var hostedTypes = map[string]bool{"chassisredirect": true, "l3gateway": true, "l2gateway": true, "external": true}

// gateways are the ports that one chassis of several hosts, by name.
func (s *Source) gateways() []control.Gateway {
	out := []control.Gateway{}
	b := &s.Columns.PortBinding
	group := b.Table.Column("ha_chassis_group")
	for row := range s.Snapshot.Rows(b.Table) {
		kind := row.Str(b.Type)
		if !hostedTypes[kind] {
			continue
		}
		g := control.Gateway{Port: row.Str(b.LogicalPort), Type: kind, Members: []control.Member{}}
		if on, ok := row.Ref(b.Chassis); ok {
			g.Active = s.chassisName(on)
		}
		if u, ok := row.Ref(group); ok {
			g.Members = s.members(u)
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b control.Gateway) int { return cmp.Compare(a.Port, b.Port) })
	return out
}

// members are the chassis of a southbound HA group, the preferred one first.
func (s *Source) members(group ovsdb.UUID) []control.Member {
	out := []control.Member{}
	hg, h := &s.Columns.SBHAGroup, &s.Columns.SBHAChassis
	row := s.Snapshot.Row(hg.Table, group)
	if row == nil {
		return out
	}
	for a := range row.Set(hg.HAChassis).All() {
		r := s.Snapshot.Row(h.Table, a.(ovsdb.UUID))
		if r == nil {
			continue
		}
		m := control.Member{Priority: r.Int(h.Priority)}
		if name, ok := r.Map(h.XID).Get("chassis-name"); ok {
			m.Chassis = name.(string)
		}
		if on, ok := r.Ref(h.Chassis); ok {
			m.Chassis, m.Registered = s.chassisName(on), true
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b control.Member) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Chassis, b.Chassis))
	})
	return out
}

// chassisName is the name of a chassis by its row, "" if it is gone.
func (s *Source) chassisName(u ovsdb.UUID) string {
	if c := s.Snapshot.Row(s.Columns.Chassis.Table, u); c != nil {
		return c.Str(s.Columns.Chassis.Name)
	}
	return ""
}

// portName names a port by its tunnel keys, "" if there is none.
func (s *Source) portName(datapath, port uint32) string {
	// Both tables have the index of their tunnel keys first.
	d := s.Snapshot.Lookup(s.Columns.Datapath.Table, 0, int64(datapath))
	if d == nil {
		return ""
	}
	b := &s.Columns.PortBinding
	if row := s.Snapshot.Lookup(b.Table, 0, d.UUID(), int64(port)); row != nil {
		return row.Str(b.LogicalPort)
	}
	return ""
}
