package views

import (
	"fmt"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// lintFeatures finds what a switch asks for and cannot have: nested ports that
// no VLAN leads to, and forwarding groups with ports that are not there.
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
	for a := range ls.Set(c.LS.ForwardingGroups).All() {
		if g := s.Snapshot.Row(c.FwdGroup.Table, a.(ovsdb.UUID)); g != nil {
			out = append(out, s.lintChildren(ls, g)...)
		}
	}
	return out
}

// lintChildren finds the ports that a forwarding group names and its switch does
// not have: it does without them.
func (s *Source) lintChildren(ls, group *ovsdb.Row) []control.Problem {
	var out []control.Problem
	c := s.Columns
	for a := range group.Set(c.FwdGroup.ChildPort).All() {
		name := a.(string)
		port := s.Snapshot.Lookup(c.LSP.Table, 0, name)
		if port != nil && ls.Set(c.LS.Ports).Has(port.UUID()) {
			continue
		}
		out = append(out, control.Problem{
			Object: control.Object{Table: c.FwdGroup.Table.Name, Name: nameOf(group), UUID: group.UUID().String()},
			Column: c.FwdGroup.ChildPort.Name, Value: name, Effect: control.Ambiguous,
			Reason: fmt.Sprintf("switch %q has no port of this name; nothing is sent to it", nameOf(ls)),
		})
	}
	return out
}
