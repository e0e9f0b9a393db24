package ctl

import (
	"fmt"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/logical"
	"govn/pkg/northbound"
	"govn/pkg/ovsdb"
)

// Refused is an error about an argument, with the place of what is wrong in it.
// Its first line is the message of the stock program.
type Refused struct {
	Err   error
	Fault *logical.Error
}

func (e *Refused) Error() string { return e.Err.Error() + "\n" + indented(e.Fault) }

func (e *Refused) Unwrap() error { return e.Err }

// Refuse is err with the place of what is wrong with an argument, if it is not
// of a type.
func Refuse(err error, argument string, t northbound.Type) error {
	if f := t.Check(argument); f != nil {
		return &Refused{err, f}
	}
	return err
}

// indented draws a fault: the text, and a caret below the place.
func indented(f *logical.Error) string {
	return "  " + strings.ReplaceAll(f.Caret(), "\n", "\n  ")
}

// check warns about values that the transaction writes and that nobody can use.
// They are sent nevertheless: what the stock programs accept is accepted. A
// server in strict mode refuses them.
func (r *run) check(txn *idl.Txn) {
	if r.p.Check == nil {
		return
	}
	for _, row := range txn.Changed() {
		table := row.Table.Schema.Name
		for _, f := range r.p.Check(table, written{row}) {
			if f.Unknown {
				continue // whoever writes it knows it; lint lists it
			}
			if c := column(row, f.Column); c == nil {
				continue
			} else if _, ok := row.Written(c); !ok {
				continue
			}
			r.warnf("%s %s: this cannot be used\n%s", table, f.Place(), indented(&f.Error))
		}
	}
}

// column is a column of the table of a row, nil if the server has none of that
// name.
func column(row *idl.Row, name string) *ovsdb.ColumnSchema {
	for _, c := range row.Table.Schema.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// written shows what a transaction writes into a row.
type written struct{ row *idl.Row }

func (w written) datum(name string) idl.Datum {
	c := column(w.row, name)
	if c == nil || c.Type.Key.Type != ovsdb.TypeString {
		return idl.Datum{}
	}
	d, ok := w.row.Written(c)
	if !ok && name == "options" {
		// What they say of other columns matters, not whether they are right.
		d, _ = w.row.Known(c)
	}
	return d
}

// Strings implements northbound.Row.
func (w written) Strings(column string) []string {
	var out []string
	for _, k := range w.datum(column).Keys {
		if s, ok := k.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Pairs implements northbound.Row.
func (w written) Pairs(column string) [][2]string {
	d := w.datum(column)
	var out [][2]string
	for i, k := range d.Keys {
		if i < len(d.Values) {
			out = append(out, [2]string{fmt.Sprint(k), fmt.Sprint(d.Values[i])})
		}
	}
	return out
}
