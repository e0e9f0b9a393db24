package views

import (
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/proto/control"
)

// lintValues finds the values of northbound rows that do not mean what ovn-nb(5)
// says, and what this version does not compile. What is known of a column
// already is not said again.
func (s *Source) lintValues(known []control.Problem) []control.Problem {
	said := make(map[string][]*control.Problem) // by UUID
	for i := range known {
		said[known[i].UUID] = append(said[known[i].UUID], &known[i])
	}
	var out []control.Problem
	for _, t := range s.Schemas.NB.Tables {
		for row := range s.Snapshot.Rows(t) {
			for _, v := range topology.Values(s.Snapshot, row) {
				u := row.UUID().String()
				if slices.ContainsFunc(said[u], func(p *control.Problem) bool { return says(p, &v) }) {
					continue
				}
				out = append(out, control.Problem{
					Object: control.Object{Table: t.Name, Name: nameOf(row), UUID: u},
					Column: v.Place(), Value: v.Text, Position: v.Pos, Reason: v.Reason, Effect: v.Effect,
				})
			}
		}
	}
	return out
}

// says tells whether a problem is about a value.
func says(p *control.Problem, v *topology.Value) bool {
	switch {
	case v.Column == "":
		return false
	case v.Key == "":
		return p.Column == v.Column
	}
	return p.Column == v.Place() || p.Column == v.Column && (strings.Contains(p.Reason, v.Key) || v.Effect == control.Ambiguous)
}
