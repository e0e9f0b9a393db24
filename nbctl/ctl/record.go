package ctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// Identity is a way to name a row other than by its UUID.
type Identity struct {
	// Column holds the name; "" means that "." names the only row.
	Column string
	// Key is the key in Column that holds the name, if Column is a map.
	Key string
	// Via is a column of the table with Column that refers to the row that is
	// meant; "" when it is the row with the name itself.
	Via string
	// Table is the table of Column; "" when it is the table of the row.
	Table string
}

// partialMatch says how well s names name: letters in either case, "-" for "_",
// and abbreviations. 0: not at all.
func partialMatch(name, s string) int {
	if name == s {
		return 1 << 30
	}
	if len(s) > len(name) || s == "" {
		return 0
	}
	for i := range len(s) {
		if fold(name[i]) != fold(s[i]) {
			return 0
		}
	}
	if len(s) == len(name) {
		return 1<<30 - 1
	}
	return len(s)
}

func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case c == '-':
		return '_'
	}
	return c
}

// bestMatches returns the names that s names best.
func bestMatches(names []string, s string) (out []string) {
	best := 1
	for _, name := range names {
		score := partialMatch(name, s)
		if score > best {
			best, out = score, nil
		}
		if score == best {
			out = append(out, name)
		}
	}
	return out
}

// TableNamed returns the name of the table that s names or abbreviates.
func (c *Context) TableNamed(s string) (string, error) {
	found := bestMatches(c.DB.TableNames(), s)
	switch len(found) {
	case 0:
		return "", fmt.Errorf("unknown table \"%s\"", s)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("\"%s\" matches multiple table names: %s", s, quotedList(found))
}

func quotedList(names []string) string { return strings.Join(names, ", ") }

// ColumnNamed returns the column that s names or abbreviates.
func (c *Context) ColumnNamed(table, s string) (*ovsdb.ColumnSchema, error) {
	schema := c.DB.Schema.Tables[table]
	names := make([]string, len(schema.Columns))
	for i, column := range schema.Columns {
		names[i] = column.Name
	}
	found := bestMatches(names, s)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s does not contain a column whose name matches \"%s\"", table, s)
	case 1:
		return schema.Column(found[0]), nil
	}
	return nil, fmt.Errorf("%s contains more than one column whose name matches \"%s\": %s", table, s, quotedList(found))
}

// isUUIDColumn tells whether s is the column that every table has and no schema
// mentions.
func isUUIDColumn(s string) bool { return partialMatch("_uuid", s) >= 1<<30-1 }

// NeedRecord asks for what Record reads to find the row that s names, and for
// columns of it. Where s tells enough, no other rows are asked for.
func (c *Context) NeedRecord(table, s string, columns ...string) {
	ids := c.program.Identities[table]
	var values []idl.Match
	whole := IsPartialUUID(s) && len(s) < uuidLength
	if u, err := ovsdb.ParseUUID(s); err == nil {
		values = append(values, idl.Match{Column: "_uuid", Value: idl.Ref(u)})
	}
	for _, id := range ids {
		name := idl.String(s)
		if id.Key != "" {
			name = idl.StringMap(map[string]string{id.Key: s})
		}
		values = append(values, idl.Match{Column: id.Column, Value: name})
		if schema := c.DB.Schema.Tables[table]; id.Column == "" || id.Table != "" || id.Via != "" || schema == nil || !isText(schema, id.Column) {
			whole = true
		} else {
			columns = append(columns, id.Column)
		}
	}
	if whole || len(values) == 0 && !strings.HasPrefix(s, "@") {
		c.DB.Need(table, columns...)
		c.NeedNames(table)
		return
	}
	if len(values) == 0 {
		values = []idl.Match{{Column: "_uuid", Value: idl.Ref(idl.UUID{})}} // none
	}
	c.DB.NeedWhere(table, values, columns...)
}

// isText tells whether a column holds strings and can hold a name.
func isText(t *ovsdb.TableSchema, name string) bool {
	return !slices.ContainsFunc(t.Columns, func(c *ovsdb.ColumnSchema) bool {
		return c.Name == name && c.Type.Key.Type != ovsdb.TypeString
	})
}

// NeedNames asks for all rows of a table with what names them.
func (c *Context) NeedNames(table string) {
	c.DB.Need(table)
	for _, id := range c.program.Identities[table] {
		where := cmp.Or(id.Table, table)
		for _, column := range []string{id.Column, id.Via} {
			if column != "" {
				c.DB.Need(where, column)
			}
		}
	}
}

// NeedNamed asks for what Named reads to find a row, and for columns of it.
func (c *Context) NeedNamed(table, s string, columns ...string) {
	values := []idl.Match{{Column: "name", Value: idl.String(s)}}
	if u, err := ovsdb.ParseUUID(s); err == nil {
		values = append(values, idl.Match{Column: "_uuid", Value: idl.Ref(u)})
	}
	c.DB.NeedWhere(table, values, append(columns, "name")...)
}

// Record returns the row that s names: by UUID, by @name, by one of the
// table's identities, by the beginning of its UUID. When there is none, it
// returns nil, or an error if must.
func (c *Context) Record(table, s string, must bool) (*idl.Row, error) {
	row, err := c.record(table, s)
	if err == nil && row == nil && must {
		err = fmt.Errorf("no row \"%s\" in table %s", s, table)
	}
	return row, err
}

func (c *Context) record(table, s string) (*idl.Row, error) {
	if u, err := ovsdb.ParseUUID(s); err == nil {
		if row := c.DB.Row(table, u); row != nil {
			return row, nil
		}
	}
	if strings.HasPrefix(s, "@") && c.symbols != nil {
		if sym := c.symbols.byName[s]; sym != nil {
			if row := c.DB.Row(table, sym.uuid); row != nil {
				return row, nil
			}
		}
	}
	for _, id := range c.program.Identities[table] {
		row, err := c.identify(table, id, s)
		if row != nil || err != nil {
			return row, err
		}
	}
	return c.byPrefix(table, s)
}

// identify looks a row up by one identity.
func (c *Context) identify(table string, id Identity, s string) (*idl.Row, error) {
	if id.Column == "" {
		if rows := c.DB.Rows(table); s == "." && len(rows) == 1 {
			return rows[0], nil
		}
		return nil, nil
	}
	where := cmp.Or(id.Table, table)
	var found *idl.Row
	for _, row := range c.DB.Rows(where) {
		if !named(row, id, s) {
			continue
		}
		if id.Via != "" {
			if row = row.Ref(id.Via); row == nil {
				continue
			}
		}
		if found != nil && found != row {
			return nil, fmt.Errorf("multiple rows in %s match \"%s\"", table, s)
		}
		found = row
	}
	return found, nil
}

func named(row *idl.Row, id Identity, s string) bool {
	if id.Key != "" {
		v, ok := row.Key(id.Column, id.Key)
		return ok && v == s
	}
	d := row.Get(id.Column)
	switch {
	case d.Len() != 1:
		return false
	case d.Values != nil:
		return false
	}
	return idl.BareAtom(d.Keys[0]) == s
}

// shortestPrefix is how much of a UUID has to be given at least.
const (
	shortestPrefix = 4
	uuidLength     = 36
)

// IsPartialUUID tells whether s is the beginning of a UUID.
func IsPartialUUID(s string) bool {
	if len(s) < shortestPrefix || len(s) > uuidLength {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !hexDigit(s[i]) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (c *Context) byPrefix(table, s string) (*idl.Row, error) {
	if !IsPartialUUID(s) {
		return nil, nil
	}
	var found *idl.Row
	for _, row := range c.DB.Rows(table) {
		if !strings.HasPrefix(row.UUID.String(), s) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s contains 2 or more rows whose UUIDs begin with %s: at least %s and %s", table, s, found.UUID, row.UUID)
		}
		found = row
	}
	return found, nil
}

// Names returns how the rows of a table can be named, for completion.
func (c *Context) Names(table string) []string {
	var out []string
	for _, row := range c.DB.Rows(table) {
		name := row.UUID.String()
		for _, id := range c.program.Identities[table] {
			if id.Column == "" {
				name = "."
				break
			}
			if id.Key == "" && id.Table == "" {
				if d := row.Get(id.Column); d.Len() == 1 && idl.BareAtom(d.Keys[0]) != "" {
					name = idl.BareAtom(d.Keys[0])
				}
				break
			}
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
