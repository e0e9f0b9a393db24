package ovsdb

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Row is one immutable row.
type Row struct {
	table *TableSchema
	uuid  UUID
	// rev is the revision of the last change.
	rev    uint64
	values []Value
	virt   bool
}

// UUID is the row's identity.
func (r *Row) UUID() UUID { return r.uuid }

// Table is the table that the row is in.
func (r *Row) Table() *TableSchema { return r.table.public() }

// Revision is that of the last change of the row; of a virtual row a hash.
func (r *Row) Revision() uint64 { return r.rev }

// Version is the _version column: it differs whenever the row differs, and is
// the same after a restart.
func (r *Row) Version() UUID {
	var b [25]byte
	b[0] = 'v'
	binary.BigEndian.PutUint64(b[1:], r.rev)
	copy(b[9:], r.uuid[:])
	return UUID(hashOf(b[:])).asV4()
}

// Get returns the value of a column, also of _uuid and _version.
func (r *Row) Get(c *ColumnSchema) Value {
	if c.Table != r.table && c.Table.public() != r.table.public() {
		panic(fmt.Sprintf("ovsdb: column %s of a row of table %q", c, r.table.Name))
	}
	switch c.Index {
	case -1:
		return r.uuid
	case -2:
		return r.Version()
	}
	if c.Index >= len(r.values) { // the row is older than the column
		return c.Table.defaults[c.Index]
	}
	return r.values[c.Index]
}

// Opt returns the one element of a column of at most one; false if it is empty.
func (r *Row) Opt(c *ColumnSchema) (Atom, bool) {
	switch v := r.Get(c).(type) {
	case Set:
		return v.First()
	case Map:
		return nil, false
	default:
		return v, true
	}
}

// Str returns the string in the column, or "".
func (r *Row) Str(c *ColumnSchema) string {
	a, _ := r.Opt(c)
	s, _ := a.(string)
	return s
}

// Int returns the integer in the column, or 0.
func (r *Row) Int(c *ColumnSchema) int64 {
	a, _ := r.Opt(c)
	n, _ := a.(int64)
	return n
}

// Bool returns the boolean in the column, or false.
func (r *Row) Bool(c *ColumnSchema) bool {
	a, _ := r.Opt(c)
	b, _ := a.(bool)
	return b
}

// Ref returns the UUID in a column of at most one; false if it is empty.
func (r *Row) Ref(c *ColumnSchema) (UUID, bool) {
	a, _ := r.Opt(c)
	u, ok := a.(UUID)
	return u, ok
}

// Set returns the column as a set; a scalar is a set of one.
func (r *Row) Set(c *ColumnSchema) Set {
	switch v := r.Get(c).(type) {
	case Set:
		return v
	case Map:
		return Set{}
	default:
		return NewSet(v)
	}
}

// Map returns the column as a map; empty if it is none.
func (r *Row) Map(c *ColumnSchema) Map {
	m, _ := r.Get(c).(Map)
	return m
}

// String is for debugging.
func (r *Row) String() string {
	b := append(r.uuid.append(append([]byte(r.table.Name), ' ')), ' ')
	return string(r.appendColumns(b, r.table.Columns, true))
}

// Equal tells whether two rows of one table have the same identity and values.
func (r *Row) Equal(s *Row) bool {
	return r == s || r.table == s.table && r.uuid == s.uuid && slices.EqualFunc(r.values, s.values, ValuesEqual)
}

// appendColumns appends the given columns as a JSON <row>; on request without
// those that have the default value.
func (r *Row) appendColumns(b []byte, columns []*ColumnSchema, omitDefaults bool) []byte {
	b = append(b, '{')
	first := true
	for _, c := range columns {
		v := r.Get(c)
		if omitDefaults && c.Index >= 0 && ValuesEqual(v, c.Table.defaults[c.Index]) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, c.Name), ':')
		b = appendValue(b, v)
	}
	return append(b, '}')
}

// NewVirtualRow makes a row of a virtual table. Columns that are not given have
// their default. It panics on a value that does not fit its column, which is a
// programmer's error.
func NewVirtualRow(t *TableSchema, uuid UUID, values map[string]Value) *Row {
	r := &Row{table: t, uuid: uuid, values: slices.Clone(t.defaults), virt: true}
	for name, v := range values {
		c := t.Column(name)
		v, err := c.Type.coerce(v)
		if err != nil {
			panic(fmt.Sprintf("ovsdb: column %s: %v", c, err))
		}
		r.values[c.Index] = v
	}
	h := uuidPriority(uuid)
	for _, v := range r.values {
		vh := hashValue(v)
		h = mix64(h ^ binary.BigEndian.Uint64(vh[:8]))
	}
	r.rev = h
	return r
}

// coerce turns what is convenient in Go into a value of the type, and checks
// it: int for int64, an atom for a set of one, a set of one for an atom,
// []string and map[string]string.
func (t *ColumnType) coerce(v Value) (Value, error) {
	switch x := v.(type) {
	case int:
		v = int64(x)
	case []string:
		atoms := make([]Atom, len(x))
		for i, s := range x {
			atoms[i] = s
		}
		v = NewSet(atoms...)
	case []UUID:
		atoms := make([]Atom, len(x))
		for i, u := range x {
			atoms[i] = u
		}
		v = NewSet(atoms...)
	case map[string]string:
		v = StringMap(x)
	case nil:
		v = t.Default()
	}
	switch x := v.(type) {
	case Set:
		if t.IsScalar() && x.Len() == 1 {
			v, _ = x.First()
		}
	case int64, float64, bool, string, UUID:
		if t.IsSet() {
			v = NewSet(x)
		}
	}
	return v, t.check(v)
}
