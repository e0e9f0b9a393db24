package topology

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"govn/pkg/northbound"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// Value is what cannot be used of the values of a row.
type Value struct {
	Column, Key string
	Text        string // the element of the column, or the value of the key
	Pos         *int   // in Text, where it does not parse
	Reason      string
	Effect      string // of control.Problem
}

// Place is COLUMN or COLUMN:KEY.
func (v *Value) Place() string {
	if v.Key == "" {
		return v.Column
	}
	return v.Column + ":" + v.Key
}

// northRow shows a row of the store to package northbound.
type northRow struct{ row *ovsdb.Row }

func (r northRow) column(name string) *ovsdb.ColumnSchema {
	c := columnNamed(r.row.Table(), name)
	if c == nil || c.Type.Key.Type != ovsdb.TypeString {
		return nil
	}
	return c
}

// columnNamed is a column of a table, nil if it has none of that name.
func columnNamed(t *ovsdb.TableSchema, name string) *ovsdb.ColumnSchema {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Strings implements northbound.Row.
func (r northRow) Strings(name string) []string {
	c := r.column(name)
	if c == nil || c.Type.IsMap() {
		return nil
	}
	switch v := r.row.Get(c).(type) {
	case string:
		return []string{v}
	case ovsdb.Set:
		out := make([]string, 0, v.Len())
		for a := range v.All() {
			if s, ok := a.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// Pairs implements northbound.Row.
func (r northRow) Pairs(name string) [][2]string {
	c := r.column(name)
	if c == nil || !c.Type.IsMap() || c.Type.Value.Type != ovsdb.TypeString {
		return nil
	}
	var out [][2]string
	for k, v := range r.row.Map(c).All() {
		out = append(out, [2]string{k.(string), v.(string)})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// Values finds what of a northbound row does not mean what ovn-nb(5) says that
// it has to: values of a wrong type or out of range, keys that nobody documents,
// names that lead nowhere, and what this version does not compile.
func Values(sn *ovsdb.Snapshot, row *ovsdb.Row) []Value {
	table, view := row.Table().Name, northRow{row}
	var out []Value
	if why, not := notCompiled[table]; not {
		out = append(out, Value{Reason: "configured but not compiled by this version: " + why, Effect: control.NotCompiled})
	}
	for _, f := range northbound.Check(table, view) {
		v := Value{Column: f.Column, Key: f.Key, Text: f.Text, Reason: f.Msg, Effect: control.Ignored}
		if !f.Unknown {
			v.Pos = &f.Pos
		}
		out = append(out, v)
	}
	for _, r := range northbound.References(table, view) {
		if leads(sn, row.Table().DB, &r) {
			continue
		}
		out = append(out, Value{Column: r.Column, Key: r.Key, Text: r.Text, Pos: &r.Pos, Effect: control.Ambiguous,
			Reason: fmt.Sprintf("there is no %s %q", strings.Join(r.Tables, " or "), r.Name)})
	}
	for _, column := range notCompiledColumns[table] {
		for _, p := range view.Pairs(column) {
			if why, not := notCompiledKeys[[3]string{table, column, p[0]}]; not && p[1] != "false" && p[1] != "" {
				out = append(out, Value{Column: column, Key: p[0], Text: p[1], Effect: control.NotCompiled,
					Reason: "configured but not compiled by this version: " + why})
			}
		}
	}
	return out
}

// leads tells whether a name is that of a row.
func leads(sn *ovsdb.Snapshot, db *ovsdb.DatabaseSchema, r *northbound.Reference) bool {
	for _, name := range r.Tables {
		t := db.Tables[name]
		if t == nil {
			return true // the schema is older than the table
		}
		if len(t.Indexes) > 0 && len(t.Indexes[0]) == 1 && t.Indexes[0][0].Name == "name" {
			if sn.Lookup(t, 0, r.Name) != nil {
				return true
			}
			continue
		}
		column := columnNamed(t, "name")
		for row := range sn.Rows(t) {
			if column != nil && row.Str(column) == r.Name {
				return true
			}
		}
	}
	return false
}

// checkValues says what of the values that a client wrote cannot be used. What
// was there before is not its fault.
func checkValues(after *ovsdb.Snapshot, ch *ovsdb.Change) error {
	if ch.New == nil {
		return nil
	}
	for _, v := range Values(after, ch.New) {
		if !wrote(ch, &v) {
			continue
		}
		text := v.Reason
		if v.Pos != nil {
			text = fmt.Sprintf("%q, at position %d: %s", v.Text, *v.Pos, v.Reason)
		} else if v.Text != "" {
			text = fmt.Sprintf("%q: %s", v.Text, v.Reason)
		}
		if v.Column != "" {
			text = v.Place() + ": " + text
		}
		return fmt.Errorf("%s %q, %s", ch.Table.Name, nameOfRow(ch.New), text)
	}
	return nil
}

// wrote tells whether a change brought a value.
func wrote(ch *ovsdb.Change, v *Value) bool {
	if ch.Old == nil {
		return true
	}
	if v.Column == "" {
		return false // the row as a whole was there
	}
	c := columnNamed(ch.Table, v.Column)
	if c == nil {
		return false
	}
	if c.Type.IsMap() && v.Key != "" {
		was, had := ch.Old.Map(c).Get(v.Key)
		is, has := ch.New.Map(c).Get(v.Key)
		return had != has || was != is
	}
	return !slices.Equal(northRow{ch.Old}.Strings(v.Column), northRow{ch.New}.Strings(v.Column)) || c.Type.IsMap() && !ch.Old.Map(c).Equal(ch.New.Map(c))
}

// nameOfRow is the name of a row, or else its UUID.
func nameOfRow(row *ovsdb.Row) string {
	if names := (northRow{row}).Strings("name"); len(names) > 0 && names[0] != "" {
		return names[0]
	}
	return row.UUID().String()
}

// NotCompiled are the tables that this version stores and does not compile.
func NotCompiled() []string { return slices.Sorted(maps.Keys(notCompiled)) }
