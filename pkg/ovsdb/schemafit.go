package ovsdb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A database has the schema that its program was compiled for, and the one that
// its rows have, which a conversion changes. Where the second has all that the
// first has, it fits: it is laid out on the first, so that a column has one
// position in both, and the program's *TableSchema and *ColumnSchema go on
// reading and writing rows:
//
//	program  Port: 0 addresses  1 name  2 tag
//	rows     Port: 0 addresses  1 name  2 tag  3 added later

// ErrSchema is wrapped by errors that say why a database cannot have a schema,
// with table and column.
var ErrSchema = errors.New("ovsdb: the schema does not suit this program")

// misfit tells what d has and next has not, nil if next has it all: tables,
// indexes, and columns with at least the same values.
func (d *DatabaseSchema) misfit(next *DatabaseSchema) error {
	if d.Name != next.Name {
		return fmt.Errorf("%w: it is that of %q, not of %q", ErrSchema, next.Name, d.Name)
	}
	for _, t := range d.tables {
		u := next.Tables[t.Name]
		switch {
		case u == nil:
			return fmt.Errorf("%w: table %q is missing", ErrSchema, t.Name)
		case u.MaxRows < t.MaxRows:
			return fmt.Errorf("%w: table %q: maxRows is %d", ErrSchema, t.Name, u.MaxRows)
		case t.IsRoot && !u.IsRoot:
			return fmt.Errorf("%w: table %q is not isRoot", ErrSchema, t.Name)
		}
		for _, c := range t.Columns {
			e := u.columns[c.Name]
			if e == nil {
				return fmt.Errorf("%w: table %q: column %q is missing", ErrSchema, t.Name, c.Name)
			}
			if c.Mutable && !e.Mutable && e.Type.Key.Ref != RefWeak && e.Type.Value.Ref != RefWeak {
				return fmt.Errorf("%w: table %q: column %q is not mutable", ErrSchema, t.Name, c.Name)
			}
			if err := e.Type.accepts(&c.Type); err != nil {
				return fmt.Errorf("%w: table %q: column %q: %w", ErrSchema, t.Name, c.Name, err)
			}
		}
		for _, index := range t.Indexes {
			if u.findIndex(index) < 0 {
				return fmt.Errorf("%w: table %q: the index on %s is missing", ErrSchema, t.Name, columnNames(index))
			}
		}
	}
	return nil
}

func columnNames(columns []*ColumnSchema) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = strconv.Quote(c.Name)
	}
	return strings.Join(names, ", ")
}

// findIndex returns the position of an index with the same columns, or -1.
func (t *TableSchema) findIndex(columns []*ColumnSchema) int {
	return slices.IndexFunc(t.Indexes, func(o []*ColumnSchema) bool {
		return slices.EqualFunc(o, columns, func(a, b *ColumnSchema) bool { return a.Name == b.Name })
	})
}

// accepts tells whether every value of type from is one of type t, in the same
// representation; if not, why.
func (t *ColumnType) accepts(from *ColumnType) error {
	switch {
	case t.IsScalar() != from.IsScalar(), t.Key.Type != from.Key.Type, t.Value.Type != from.Value.Type:
		return fmt.Errorf("the type is %s, not %s", t.describe(), from.describe())
	case t.Min > from.Min:
		return fmt.Errorf("it must not be empty")
	case t.Max < from.Max:
		return fmt.Errorf("it has at most %d elements", t.Max)
	}
	if err := t.Key.accepts(&from.Key); err != nil {
		return err
	}
	if t.IsMap() {
		return t.Value.accepts(&from.Value)
	}
	return nil
}

func (b *BaseType) accepts(from *BaseType) error {
	switch {
	case b.RefTable != from.RefTable || b.Ref != from.Ref:
		return fmt.Errorf("it refers to %s, not to %s", b.describeRef(), from.describeRef())
	case b.MinInteger > from.MinInteger || b.MaxInteger < from.MaxInteger:
		return fmt.Errorf("integers are limited to %d to %d", b.MinInteger, b.MaxInteger)
	case b.MinReal > from.MinReal || b.MaxReal < from.MaxReal:
		return fmt.Errorf("reals are limited to %g to %g", b.MinReal, b.MaxReal)
	case b.MinLength > from.MinLength || b.MaxLength < from.MaxLength:
		return fmt.Errorf("strings are limited to %d to %d characters", b.MinLength, b.MaxLength)
	case b.Enum.Len() == 0:
		return nil
	case from.Enum.Len() == 0:
		return fmt.Errorf("its values are limited to an enum")
	}
	for a := range from.Enum.All() {
		if !b.Enum.Has(a) {
			return fmt.Errorf("the enum has no %s", atomText(a))
		}
	}
	return nil
}

func (b *BaseType) describeRef() string {
	switch b.Ref {
	case RefStrong:
		return "rows of " + strconv.Quote(b.RefTable)
	case RefWeak:
		return "rows of " + strconv.Quote(b.RefTable) + " weakly"
	}
	return "nothing"
}

// layOut gives tables, columns and indexes their positions: those of base, if d
// fits, and then the others, by name.
func (d *DatabaseSchema) layOut(base *DatabaseSchema) {
	if base != nil && base.misfit(d) != nil {
		base = nil
	}
	slices.SortFunc(d.tables, func(a, b *TableSchema) int {
		return cmp.Or(cmp.Compare(base.position(a.Name), base.position(b.Name)), strings.Compare(a.Name, b.Name))
	})
	for i, t := range d.tables {
		t.id = i
		if base != nil {
			t.base = base.Tables[t.Name]
		}
		t.layOut()
	}
}

// position of a table; unknown ones come last.
func (d *DatabaseSchema) position(table string) int {
	if d == nil || d.Tables[table] == nil {
		return Unlimited
	}
	return d.Tables[table].id
}

func (t *TableSchema) layOut() {
	position := func(name string) int {
		if t.base == nil || t.base.columns[name] == nil {
			return Unlimited
		}
		return t.base.columns[name].Index
	}
	slices.SortFunc(t.Columns, func(a, b *ColumnSchema) int {
		return cmp.Or(cmp.Compare(position(a.Name), position(b.Name)), strings.Compare(a.Name, b.Name))
	})
	t.defaults = make([]Value, len(t.Columns))
	for i, c := range t.Columns {
		c.Index, t.defaults[i] = i, c.Type.Default()
		if c.Type.check(t.defaults[i]) != nil {
			t.unfit = append(t.unfit, c)
		}
	}
	if t.base == nil {
		return
	}
	indexes := make([][]*ColumnSchema, 0, len(t.Indexes))
	for _, index := range t.base.Indexes {
		indexes = append(indexes, t.Indexes[t.findIndex(index)])
	}
	for _, index := range t.Indexes {
		if t.base.findIndex(index) < 0 {
			indexes = append(indexes, index)
		}
	}
	t.Indexes = indexes
}

// public is the table as the program knows it: that of its own schema where
// there is one.
func (t *TableSchema) public() *TableSchema {
	if t.base != nil {
		return t.base
	}
	return t
}

// public is the column as the program knows it.
func (c *ColumnSchema) public() *ColumnSchema {
	if c.Table.base != nil && c.Index >= 0 && c.Index < len(c.Table.base.Columns) {
		return c.Table.base.Columns[c.Index]
	}
	return c
}

// identity is the program's schema, by which a store knows the database.
func (d *DatabaseSchema) identity() *DatabaseSchema {
	if d.base != nil {
		return d.base
	}
	return d
}

// version reads "x.y.z" of a schema.
func (d *DatabaseSchema) version() (v [3]int, ok bool) {
	parts := strings.Split(d.Version, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

// older tells whether a schema is of an earlier version than another. What has
// no version is older than what has one.
func (d *DatabaseSchema) older(than *DatabaseSchema) bool {
	a, okA := d.version()
	b, okB := than.version()
	if !okA || !okB {
		return !okA && okB
	}
	return slices.Compare(a[:], b[:]) < 0
}
