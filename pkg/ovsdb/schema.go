package ovsdb

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// DatabaseSchema is a database's tables and their constraints (RFC 7047,
// section 3.2). It must not be changed after ParseSchema.
type DatabaseSchema struct {
	Name, Version, Cksum string
	Tables               map[string]*TableSchema
	json                 []byte
	// tables is in the order of names, unless laid out on base; a table's position
	// is its id.
	tables []*TableSchema
	// base is the program's schema of a database that was converted to this one.
	base *DatabaseSchema
}

// TableSchema is one table.
type TableSchema struct {
	DB   *DatabaseSchema
	Name string
	// Columns is in the order of names, in a schema that a database was converted
	// to with those that it had before in front; Column.Index is the position.
	Columns []*ColumnSchema
	// Indexes are the sets of columns whose values are unique among the rows.
	Indexes [][]*ColumnSchema
	// MaxRows is Unlimited unless the schema limits it.
	MaxRows int
	// IsRoot tells whether rows stay without anybody referring to them.
	IsRoot bool

	id int
	// base is the program's schema of the table, if this one is laid out on it.
	base    *TableSchema
	columns map[string]*ColumnSchema
	// refs are where this table's rows refer to rows; referrers are where rows
	// of any table refer to this table's rows.
	refs, referrers []*refField
	defaults        []Value
	unfit           []*ColumnSchema // whose defaults break their constraints
	uuidCol         *ColumnSchema
	verCol          *ColumnSchema
}

// ColumnSchema is one column.
type ColumnSchema struct {
	Table *TableSchema
	Name  string
	// Index is the position in Table.Columns; -1 for _uuid and -2 for _version.
	Index int
	Type  ColumnType
	// Ephemeral columns are not in the log.
	Ephemeral bool
	// Mutable columns may change after insertion.
	Mutable bool

	refs []*refField // at most two
}

// refField is a place that holds references: the keys or the values of a column.
type refField struct {
	column *ColumnSchema
	base   *BaseType
	values bool // of a map, its values rather than its keys
	slot   int  // position in Table.refs
}

// String is "table.column".
func (c *ColumnSchema) String() string { return c.Table.Name + "." + c.Name }

// Table returns the table of that name. It panics when there is none, which is
// a programmer's error; look into Tables for names from outside.
func (d *DatabaseSchema) Table(name string) *TableSchema {
	if t := d.Tables[name]; t != nil {
		return t
	}
	panic(fmt.Sprintf("ovsdb: database %q has no table %q", d.Name, name))
}

// Column returns the column of that name, also _uuid and _version. It panics
// when there is none.
func (t *TableSchema) Column(name string) *ColumnSchema {
	if c := t.lookup(name); c != nil {
		return c
	}
	panic(fmt.Sprintf("ovsdb: table %q has no column %q", t.Name, name))
}

// Find returns the column of that name, also _uuid and _version, or nil.
func (t *TableSchema) Find(name string) *ColumnSchema { return t.lookup(name) }

func (t *TableSchema) lookup(name string) *ColumnSchema {
	switch name {
	case "_uuid":
		return t.uuidCol
	case "_version":
		return t.verCol
	}
	return t.columns[name]
}

// JSON returns the schema as ParseSchema read it, without white space.
func (d *DatabaseSchema) JSON() []byte { return d.json }

// ParseSchema reads a <database-schema>.
func ParseSchema(b []byte) (*DatabaseSchema, error) {
	v, err := parseJSON(string(b), defaultJSONLimits)
	if err != nil {
		return nil, fmt.Errorf("ovsdb: schema: %w", err)
	}
	d, err := parseSchemaValue(&v, nil)
	if err != nil {
		return nil, fmt.Errorf("ovsdb: schema: %w", err)
	}
	return d, nil
}

// fields reads the members of an object and remembers the first mistake.
type fields struct {
	v    *jsonValue
	what string
	used uint64 // by position of the member; nobody asks for the 65th
	err  error
}

func newFields(v *jsonValue, what string) *fields {
	f := &fields{v: v, what: what}
	if v.kind != jsonObject {
		f.fail(errorf(ErrSyntax, "Parsing %s failed: Object expected.", what))
	}
	return f
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// get returns an optional member of one of the given kinds, or nil.
func (f *fields) get(name string, kinds ...jsonKind) *jsonValue {
	m, i := f.v.memberAt(name)
	if m == nil {
		return nil
	}
	f.used |= 1 << (i / 2)
	if len(kinds) > 0 && !slices.Contains(kinds, m.kind) {
		f.mismatch(name)
		return nil
	}
	return m
}

func (f *fields) mismatch(name string) {
	f.fail(syntaxError(f.v, fmt.Sprintf("Parsing %s failed: Type mismatch for member '%s'.", f.what, name)))
}

// need is get for a required member.
func (f *fields) need(name string, kinds ...jsonKind) *jsonValue {
	m := f.get(name, kinds...)
	if m == nil {
		f.fail(syntaxError(f.v, fmt.Sprintf("Parsing %s failed: Required '%s' member is missing.", f.what, name)))
	}
	return m
}

// done reports the first mistake, or a member that nobody asked for.
func (f *fields) done() error {
	if f.err != nil {
		return f.err
	}
	first, others := "", 0
	for i := 0; i < len(f.v.list); i += 2 {
		if name := f.v.list[i].text; f.used&(1<<(i/2)) == 0 {
			if others++; others == 1 {
				first = name
			}
		}
	}
	what := ""
	switch others--; others {
	case -1:
		return nil
	case 0:
		what = "is"
	case 1:
		what = "and 1 other member are"
	default:
		what = fmt.Sprintf("and %d other members are", others)
	}
	return syntaxError(f.v, fmt.Sprintf("Parsing %s failed: Member '%s' %s present but not allowed here.", f.what, first, what))
}

// parseSchemaValue reads a schema that may follow on base, which may be nil.
func parseSchemaValue(v *jsonValue, base *DatabaseSchema) (*DatabaseSchema, error) {
	f := newFields(v, "database schema")
	name, version, cksum := f.need("name", jsonString), f.get("version", jsonString), f.get("cksum", jsonString)
	tables := f.need("tables", jsonObject)
	f.get("$schema")
	if err := f.done(); err != nil {
		return nil, err
	}
	d := &DatabaseSchema{Name: strings.Clone(name.text), Tables: make(map[string]*TableSchema), json: v.append(nil), base: base}
	if version != nil {
		d.Version = strings.Clone(version.text)
	}
	if cksum != nil {
		d.Cksum = strings.Clone(cksum.text)
	}
	if !isID(d.Name) {
		return nil, syntaxError(name, "name must be a valid id")
	}
	anyRoot := false
	for i := 0; i < len(tables.list); i += 2 {
		name := strings.Clone(tables.list[i].text)
		t, err := parseTable(d, name, &tables.list[i+1])
		if err != nil {
			return nil, within(err, "table %q", name)
		}
		d.Tables[name] = t
		d.tables = append(d.tables, t)
		anyRoot = anyRoot || t.IsRoot
	}
	for _, t := range d.tables {
		// Without any root table, all are (RFC 7047, isRoot).
		t.IsRoot = t.IsRoot || !anyRoot
	}
	d.layOut(base)
	for _, t := range d.tables {
		for _, c := range t.Columns {
			if err := c.link(); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// link resolves references to tables.
func (c *ColumnSchema) link() error {
	for i, b := range []*BaseType{&c.Type.Key, &c.Type.Value} {
		if b.RefTable == "" {
			continue
		}
		if b.Target = c.Table.DB.Tables[b.RefTable]; b.Target == nil {
			part := [...]string{"key", "value"}[i]
			return errorf(ErrSyntax, "column %s %s refers to undefined table %s (column %q of table %q)", c.Name, part, b.RefTable, c.Name, c.Table.Name)
		}
		if b.Ref == RefWeak {
			c.Mutable = true // or it could not vanish; ovsdb-server(7), 3.2
		}
		f := &refField{column: c, base: b, values: i == 1, slot: len(c.Table.refs)}
		c.refs = append(c.refs, f)
		c.Table.refs = append(c.Table.refs, f)
		b.Target.referrers = append(b.Target.referrers, f)
	}
	return nil
}

// within adds to the details of an error where in a schema it is, unless they say
// so.
func within(err error, format string, args ...any) error {
	e := *asError(err)
	if where := fmt.Sprintf(format, args...); !strings.Contains(e.Details, where) {
		e.Details += " (" + where + ")"
	}
	return &e
}

func parseTable(d *DatabaseSchema, name string, v *jsonValue) (*TableSchema, error) {
	if !isID(name) || strings.HasPrefix(name, "_") {
		return nil, errorf(ErrSyntax, "names beginning with \"_\" are reserved and ids must be valid")
	}
	f := newFields(v, "table schema for table "+name)
	columns := f.need("columns", jsonObject)
	maxRows, isRoot, indexes := f.get("maxRows", jsonNumber), f.get("isRoot", jsonBool), f.get("indexes", jsonArray)
	f.get("mutable", jsonBool)
	if err := f.done(); err != nil {
		return nil, err
	}
	t := &TableSchema{DB: d, Name: name, MaxRows: Unlimited, columns: make(map[string]*ColumnSchema)}
	if maxRows != nil {
		n, ok := maxRows.integer()
		if !ok || n < 1 {
			return nil, syntaxError(maxRows, "maxRows must be at least 1")
		}
		t.MaxRows = int(n)
	}
	t.IsRoot = isRoot != nil && isRoot.text == "true"
	for i := 0; i < len(columns.list); i += 2 {
		name := strings.Clone(columns.list[i].text)
		c, err := parseColumn(t, name, &columns.list[i+1])
		if err != nil {
			return nil, within(err, "column %q of table %q", name, t.Name)
		}
		t.Columns = append(t.Columns, c)
		t.columns[name] = c
	}
	uuidType := ColumnType{Key: NewBaseType(TypeUUID), Min: 1, Max: 1}
	t.uuidCol = &ColumnSchema{Table: t, Name: "_uuid", Index: -1, Type: uuidType}
	t.verCol = &ColumnSchema{Table: t, Name: "_version", Index: -2, Type: uuidType, Ephemeral: true}
	if indexes != nil {
		for i := range indexes.list {
			var index []*ColumnSchema
			for _, n := range indexes.list[i].list {
				c := t.columns[n.text]
				if c == nil || c.Ephemeral {
					return nil, syntaxError(&indexes.list[i], "index of an unknown or ephemeral column")
				}
				index = append(index, c)
			}
			if len(index) == 0 {
				return nil, syntaxError(&indexes.list[i], "index must have at least one column")
			}
			t.Indexes = append(t.Indexes, index)
		}
	}
	return t, nil
}

func parseColumn(t *TableSchema, name string, v *jsonValue) (*ColumnSchema, error) {
	if !isID(name) || strings.HasPrefix(name, "_") {
		return nil, errorf(ErrSyntax, "names beginning with \"_\" are reserved and ids must be valid")
	}
	f := newFields(v, "schema for column "+name)
	mutable, ephemeral := f.get("mutable", jsonBool), f.get("ephemeral", jsonBool)
	typ := f.need("type", jsonString, jsonObject)
	if err := f.done(); err != nil {
		return nil, err
	}
	c := &ColumnSchema{Table: t, Name: name, Mutable: mutable == nil || mutable.text == "true", Ephemeral: ephemeral != nil && ephemeral.text == "true"}
	return c, c.Type.parse(typ)
}

func (t *ColumnType) parse(v *jsonValue) (err error) {
	t.Min, t.Max = 1, 1
	if v.kind == jsonString {
		t.Key, err = parseBaseType(v)
		return err
	}
	f := newFields(v, "ovsdb type")
	key, value := f.need("key", jsonString, jsonObject), f.get("value", jsonString, jsonObject)
	minimum, maximum := f.get("min", jsonNumber), f.get("max", jsonNumber, jsonString)
	if err := f.done(); err != nil {
		return err
	}
	if t.Key, err = parseBaseType(key); err != nil {
		return err
	}
	if value != nil {
		if t.Value, err = parseBaseType(value); err != nil {
			return err
		}
	}
	if minimum != nil {
		n, ok := minimum.integer()
		if !ok || n < 0 || n > 1 {
			return syntaxError(minimum, "min must be 0 or 1")
		}
		t.Min = int(n)
	}
	switch {
	case maximum == nil:
	case maximum.kind == jsonString && maximum.text == "unlimited":
		t.Max = Unlimited
	default:
		n, ok := maximum.integer()
		if !ok || n < 1 || n > math.MaxInt32 {
			return syntaxError(maximum, "max must be a positive integer or \"unlimited\"")
		}
		t.Max = int(n)
	}
	if t.Min > t.Max {
		return syntaxError(v, "min exceeds max")
	}
	return nil
}

func parseBaseType(v *jsonValue) (BaseType, error) {
	name := v
	var f *fields
	if v.kind == jsonObject {
		f = newFields(v, "ovsdb type")
		if name = f.need("type", jsonString); name == nil {
			return BaseType{}, f.err
		}
	}
	i := slices.Index(atomicTypeNames[:], name.text)
	if i <= 0 {
		return BaseType{}, syntaxError(name, fmt.Sprintf("%q is not an atomic-type", name.text))
	}
	b := NewBaseType(AtomicType(i))
	if f == nil {
		return b, nil
	}
	number := func(name string, set func(v *jsonValue) bool) {
		if m := f.get(name, jsonNumber); m != nil && !set(m) {
			f.fail(syntaxError(m, name+" is out of range"))
		}
	}
	integer := func(p *int64) func(*jsonValue) bool {
		return func(v *jsonValue) (ok bool) { *p, ok = v.integer(); return ok }
	}
	real := func(p *float64) func(*jsonValue) bool {
		return func(v *jsonValue) (ok bool) { *p, ok = v.real(); return ok }
	}
	length := func(p *int) func(*jsonValue) bool {
		return func(v *jsonValue) bool { n, ok := v.integer(); *p = int(n); return ok && n >= 0 }
	}
	switch b.Type {
	case TypeInteger:
		number("minInteger", integer(&b.MinInteger))
		number("maxInteger", integer(&b.MaxInteger))
	case TypeReal:
		number("minReal", real(&b.MinReal))
		number("maxReal", real(&b.MaxReal))
	case TypeString:
		number("minLength", length(&b.MinLength))
		number("maxLength", length(&b.MaxLength))
	case TypeUUID:
		table, kind := f.get("refTable", jsonString), f.get("refType", jsonString)
		if table != nil {
			b.RefTable, b.Ref = strings.Clone(table.text), RefStrong
		}
		if kind != nil {
			switch {
			case table == nil, kind.text != "weak" && kind.text != "strong":
				f.fail(syntaxError(v, "refType must be \"strong\" or \"weak\", with refTable"))
			case kind.text == "weak":
				b.Ref = RefWeak
			}
		}
	}
	if enum := f.get("enum"); enum != nil {
		all := ColumnType{Key: NewBaseType(b.Type), Min: 1, Max: Unlimited}
		set, err := all.parseValue(enum, nil)
		if err != nil {
			f.fail(err)
		} else {
			b.Enum = set.(Set)
		}
	}
	return b, f.done()
}
