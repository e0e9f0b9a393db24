package ctl

import (
	"fmt"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// Named returns the row of a table that s names by its UUID or, in column
// name, by its name. what is the object's noun for messages. A name that
// several rows have is an error if several is not "".
func (c *Context) Named(table, s, what, several string, must bool) (*idl.Row, error) {
	kind := "name"
	u, err := ovsdb.ParseUUID(s)
	if err == nil {
		kind = "UUID"
		if row := c.DB.Row(table, u); row != nil {
			return row, nil
		}
	}
	var found *idl.Row
	for _, row := range c.DB.Rows(table) {
		if row.Str("name") != s {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("Multiple %s named '%s'.  Use a UUID.", several, s)
		}
		found = row
		if several == "" {
			break
		}
	}
	if found == nil && must {
		return nil, fmt.Errorf("%s: %s %s not found", s, what, kind)
	}
	return found, nil
}

// PrintNamed prints rows as "UUID (NAME)", in the order of their names.
func (c *Context) PrintNamed(rows []*idl.Row) {
	for _, row := range idl.Sort(rows, "name") {
		c.Printf("%s (%s)\n", row.UUID, row.Str("name"))
	}
}

// IfExists tells whether what is missing is to be passed over.
func (c *Context) IfExists() bool { return c.Has("--if-exists") }

// Referrer returns the row of a table whose column refers to a row, or nil.
func (c *Context) Referrer(table, column string, to *idl.Row) *idl.Row {
	for _, row := range c.DB.Rows(table) {
		if row.RefersTo(column, to) {
			return row
		}
	}
	return nil
}
