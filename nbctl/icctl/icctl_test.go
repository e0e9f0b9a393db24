package icctl

import (
	"testing"

	"govn/nbctl/ctl"
	"govn/pkg/interconnect"
	"govn/schema"
)

// What is checked, and what names rows, is in the schemas.
func TestNamesAreInTheSchema(t *testing.T) {
	databases := map[string]*schema.Database{}
	for _, d := range []*schema.Database{schema.ICNorthbound(), schema.ICSouthbound()} {
		databases[d.Name] = d
	}
	for _, c := range interconnect.Columns() {
		if table := databases[c.Database].Table(c.Table); table == nil || table.Column(c.Name) == nil || table.Column(c.Name).Key.Type != "string" {
			t.Errorf("%s has no strings in %s.%s", c.Database, c.Table, c.Name)
		}
	}
	for _, k := range interconnect.Keys() {
		if c := schema.ICNorthbound().Table(k.Table).Column(k.Column); c == nil || c.Value == nil {
			t.Errorf("%s.%s is no map", k.Table, k.Column)
		}
		if _, ok := interconnect.Find(k.Table, k.Column, k.Name); !ok {
			t.Errorf("%s.%s:%s is not found", k.Table, k.Column, k.Name)
		}
	}
	for _, p := range []*ctl.Program{Northbound(), Southbound()} {
		d := databases[p.Database]
		if d == nil || d.Table(p.Singleton) == nil || d.Table(p.Singleton).MaxRows != 1 {
			t.Errorf("%s: %s is no table of one row in %s", p.Name, p.Singleton, p.Database)
		}
		for table, ids := range p.Identities {
			for _, id := range ids {
				if d.Table(table) == nil || id.Column != "" && d.Table(table).Column(id.Column) == nil {
					t.Errorf("%s: no column %s.%s", p.Name, table, id.Column)
				}
			}
		}
		for _, table := range p.Objects {
			if d.Table(table) == nil {
				t.Errorf("%s: no table %s", p.Name, table)
			}
		}
	}
}
