package views

import (
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// lintFeatures finds what a switch asks for and cannot have: nested ports that
// no VLAN leads to, and forwarding groups.
func (s *Source) lintFeatures(ls *ovsdb.Row) []control.Problem {
	var out []control.Problem
	c := s.Columns
	for a := range ls.Set(c.LS.Ports).All() {
		p := s.Snapshot.Row(c.LSP.Table, a.(ovsdb.UUID))
		if p == nil || p.Str(c.LSP.Type) != topology.TypeVIF || p.Set(c.LSP.ParentName).Len() == 0 || p.Set(c.LSP.Tag).Len() > 0 {
			continue
		}
		reason := "a nested port needs a VLAN; tag_request 0 asks for any"
		if p.Set(c.LSP.TagRequest).Len() > 0 {
			reason = topology.ErrNoTag.Error()
		}
		out = append(out, control.Problem{
			Object: control.Object{Table: c.LSP.Table.Name, Name: nameOf(p), UUID: p.UUID().String()},
			Column: "tag", Reason: reason, Effect: control.LeftOut,
		})
	}
	groups := c.LS.Table.DB.Table("Forwarding_Group")
	for a := range ls.Set(c.LS.ForwardingGroups).All() {
		if g := s.Snapshot.Row(groups, a.(ovsdb.UUID)); g != nil {
			out = append(out, control.Problem{
				Object: control.Object{Table: groups.Name, Name: nameOf(g), UUID: g.UUID().String()},
				Reason: "forwarding groups are not there yet", Effect: control.LeftOut,
			})
		}
	}
	return out
}
