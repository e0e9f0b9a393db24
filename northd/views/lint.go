package views

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// ProblemOf is the problem that the error of a unit stands for. unit and key
// name it where the error does not name an object.
func ProblemOf(sn *ovsdb.Snapshot, c *topology.Columns, unit string, key any, err error) control.Problem {
	p := control.Problem{Effect: control.LeftOut, Reason: err.Error()}
	var field *topology.FieldError
	if errors.As(err, &field) {
		p.Object = control.Object{Table: field.Table, Name: field.Object, UUID: field.UUID.String()}
		p.Column, p.Reason = field.Column, field.Err.Error()
		var address *topology.AddressError
		if errors.As(field.Err, &address) {
			p.Value, p.Position, p.Reason = address.Text, &address.Pos, address.Err.Error()
		}
		return p
	}
	p.Object = control.Object{Table: unit, Name: fmt.Sprint(key)}
	var u ovsdb.UUID
	switch k := key.(type) {
	case topology.Member:
		u = k.Elem
	case incr.Pair[topology.Member, topology.Member]:
		u = k.Elem.Elem
	case ovsdb.UUID:
		u = k
	default:
		return p
	}
	p.Object = control.Object{Table: unit, UUID: u.String()}
	for _, t := range []*ovsdb.TableSchema{c.LSP.Table, c.LS.Table, c.LRP.Table, c.LR.Table, c.Chassis.Table, c.FDB.Table} {
		if row := sn.Row(t, u); row != nil {
			p.Table, p.Name = t.Name, nameOf(row)
			break
		}
	}
	return p
}

// Lint is everything that cannot be used as it is, by table, name and column.
func (s *Source) Lint() *control.Problems {
	out := &control.Problems{Revision: s.Snapshot.Revision(), Strict: s.Columns.Strict(s.Snapshot), Problems: slices.Clone(s.Problems)}
	if out.Problems == nil {
		out.Problems = []control.Problem{}
	}
	named := make(map[string]bool, len(out.Problems))
	for i := range out.Problems {
		s.rename(&out.Problems[i].Object)
		named[out.Problems[i].UUID] = true
	}
	noKey := func(table string, row *ovsdb.Row) {
		if u := row.UUID().String(); !named[u] {
			out.Problems = append(out.Problems, control.Problem{
				Object: control.Object{Table: table, Name: nameOf(row), UUID: u},
				Column: "tunnel_key", Reason: topology.ErrExhausted.Error(), Effect: control.LeftOut,
			})
		}
	}
	ls := &s.Columns.LS
	for row := range s.Snapshot.Rows(ls.Table) {
		if !s.hasKey(topology.KindDatapath, "", row.UUID()) {
			noKey(ls.Table.Name, row)
			continue // its ports have none either
		}
		for a := range row.Set(ls.Ports).All() {
			p := s.Snapshot.Row(s.Columns.LSP.Table, a.(ovsdb.UUID))
			if p != nil && !s.hasKey(topology.KindPort, row.UUID().String(), p.UUID()) {
				noKey(s.Columns.LSP.Table.Name, p)
			}
		}
		out.Problems = append(out.Problems, s.lintPorts(row)...)
		out.Problems = append(out.Problems, s.lintFeatures(row)...)
		out.Problems = append(out.Problems, s.lintPatches(row)...)
	}
	out.Problems = append(out.Problems, s.lintRouters(noKey)...)
	out.Problems = append(out.Problems, s.routers().lint()...)
	out.Problems = append(out.Problems, s.lintValues(out.Problems)...)
	slices.SortFunc(out.Problems, func(a, b control.Problem) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UUID, b.UUID),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

func (s *Source) hasKey(kind, scope string, owner ovsdb.UUID) bool {
	a := &s.Columns.Allocation
	row := s.Snapshot.Lookup(a.Table, 0, kind, scope, owner)
	return row != nil && !row.Bool(a.Retired)
}

// address is one address of a port and where it is written.
type address struct {
	text string // normal form
	port *ovsdb.Row
	col  string // column
	in   string // element of the column
	pos  int
	mac  bool
}

// lintPorts finds the addresses that several ports of a switch have.
func (s *Source) lintPorts(ls *ovsdb.Row) []control.Problem {
	var out []control.Problem
	var ports []*ovsdb.Row
	for a := range ls.Set(s.Columns.LS.Ports).All() {
		row := s.Snapshot.Row(s.Columns.LSP.Table, a.(ovsdb.UUID))
		if row == nil {
			continue
		}
		ports = append(ports, row)
	}
	slices.SortFunc(ports, func(a, b *ovsdb.Row) int {
		return strings.Compare(a.Str(s.Columns.LSP.Name), b.Str(s.Columns.LSP.Name))
	})
	first := make(map[string]*ovsdb.Row)
	for _, p := range ports {
		for _, a := range s.addresses(p) {
			kind := "IP address"
			if a.mac {
				kind = "Ethernet address"
			}
			switch other := first[a.text]; other {
			case nil:
				first[a.text] = p
			case p: // of its own
			default:
				pos := a.pos
				out = append(out, control.Problem{
					Object: control.Object{Table: s.Columns.LSP.Table.Name, Name: nameOf(p), UUID: p.UUID().String()},
					Column: a.col, Value: a.in, Position: &pos, Effect: control.Ambiguous,
					Reason: fmt.Sprintf("the %s %s is also that of port %q of switch %q", kind, a.text, nameOf(other), nameOf(ls)),
				})
			}
		}
	}
	return out
}

// addresses are those of a port that parse.
func (s *Source) addresses(p *ovsdb.Row) []address {
	var out []address
	type element struct{ col, text string }
	var elements []element
	for _, col := range []*ovsdb.ColumnSchema{s.Columns.LSP.Addresses, s.Columns.LSP.DynamicAddresses} {
		for e := range p.Set(col).All() {
			elements = append(elements, element{col.Name, e.(string)})
		}
	}
	for _, e := range elements {
		text := e.text
		a, err := topology.ParseAddresses(text)
		if err != nil {
			continue // left out, or of a form without addresses
		}
		mac, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		out = append(out, address{text: a.MAC.String(), port: p, col: e.col, in: text, pos: strings.Index(text, mac), mac: true})
		for _, ip := range slices.Concat(a.V4, a.V6) {
			at := 0
			for pos, word := range topology.Words(text) {
				if q, err := topology.ParsePrefix(word); err == nil && q == ip {
					at = pos
				}
			}
			out = append(out, address{text: ip.Addr().String(), port: p, col: e.col, in: text, pos: at})
		}
	}
	return out
}

// rename gives an object the name that it has now: a problem may be older than
// that.
func (s *Source) rename(o *control.Object) {
	u, err := ovsdb.ParseUUID(o.UUID)
	if err != nil {
		return
	}
	for _, db := range []*ovsdb.DatabaseSchema{s.Schemas.NB, s.Schemas.SB} {
		t := db.Tables[o.Table]
		if t == nil {
			continue
		}
		if row := s.Snapshot.Row(t, u); row != nil && nameOf(row) != "" {
			o.Name = nameOf(row)
			return
		}
	}
}
