package ctl

import (
	"errors"
	"fmt"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// generic are the database commands, which work on every table.
var generic = []Command{
	{Name: "init", Run: nothing},
	{Name: "comment", Max: Unlimited, Args: "[ARG]...", Run: nothing},
	{Name: "get", Min: 2, Max: Unlimited, Args: "TABLE RECORD [COLUMN[:KEY]]...", Options: "--if-exists,--id=", Needs: needColumns(3), Run: runGet},
	{Name: "list", Min: 1, Max: Unlimited, Args: "TABLE [RECORD]...", Options: "--if-exists,--columns=", Needs: needListed, Run: runList},
	{Name: "find", Min: 1, Max: Unlimited, Args: "TABLE [COLUMN[:KEY]=VALUE]...", Options: "--columns=", Needs: needFound, Run: runFind},
	{Name: "set", Min: 3, Max: Unlimited, Args: "TABLE RECORD COLUMN[:KEY]=VALUE...", Options: "--if-exists", Needs: needColumns(3), Run: runSet},
	{Name: "add", Min: 4, Max: Unlimited, Args: "TABLE RECORD COLUMN [KEY=]VALUE...", Options: "--if-exists", Needs: needColumn, Run: runAdd},
	{Name: "remove", Min: 4, Max: Unlimited, Args: "TABLE RECORD COLUMN KEY|VALUE|KEY=VALUE...", Options: "--if-exists", Needs: needColumn, Run: runRemove},
	{Name: "clear", Min: 3, Max: Unlimited, Args: "TABLE RECORD COLUMN...", Options: "--if-exists", Needs: needColumns(3), Run: runClear},
	{Name: "create", Min: 2, Max: Unlimited, Args: "TABLE COLUMN[:KEY]=VALUE...", Options: "--id=", Needs: needTable, Run: runCreate, Post: postCreate},
	{Name: "destroy", Min: 1, Max: Unlimited, Args: "TABLE [RECORD]...", Options: "--if-exists,--all", Needs: needTable, Run: runDestroy},
	{Name: "wait-until", Min: 2, Max: Unlimited, Args: "TABLE RECORD [COLUMN[:KEY]=VALUE]...", Needs: needColumns(3), Run: runWaitUntil, Waits: true},
	watchCommand,
}

func nothing(*Context) error { return nil }

func needTable(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err == nil {
		c.needRows(table)
	}
	return err
}

// needRows asks for the rows that the arguments after the table name, for all
// if there are none or it is unknown which.
func (c *Context) needRows(table string, columns ...string) {
	switch c.command.Name {
	case "create": // none
		c.NeedRecord(table, "@", columns...)
	case "find":
		c.DB.Need(table, columns...)
	case "list", "destroy":
		if len(c.Args) == 2 {
			c.DB.Need(table, columns...)
		}
		for _, name := range c.Args[2:] {
			c.NeedRecord(table, name, columns...)
		}
	default:
		c.NeedRecord(table, c.Args[2], columns...)
	}
}

// needColumns asks for the columns that the arguments from i on begin with.
func needColumns(i int) func(*Context) error {
	return func(c *Context) error {
		table, err := c.TableNamed(c.Args[1])
		if err != nil {
			return err
		}
		var columns []string
		for _, arg := range c.Args[min(i, len(c.Args)):] {
			if c.command.Name == "get" && isUUIDColumn(arg) {
				continue
			}
			column, _, err := c.columnOf(table, arg)
			if err != nil {
				return err
			}
			columns = append(columns, column.Name)
		}
		c.needRows(table, columns...)
		return nil
	}
}

func needColumn(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	column, err := c.ColumnNamed(table, c.Args[3])
	if err == nil {
		c.needRows(table, column.Name)
	}
	return err
}

func needListed(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	columns, err := c.listed(table)
	var names []string
	for _, column := range columns {
		if column != nil {
			names = append(names, column.Name)
		}
	}
	c.needRows(table, names...)
	return err
}

func needFound(c *Context) error {
	if err := needListed(c); err != nil {
		return err
	}
	return needColumns(2)(c)
}

// listed are the columns that list and find print; nil is _uuid.
func (c *Context) listed(table string) ([]*ovsdb.ColumnSchema, error) {
	names, ok := c.Option("--columns")
	if !ok {
		return append([]*ovsdb.ColumnSchema{nil}, c.DB.Schema.Tables[table].Columns...), nil
	}
	var out []*ovsdb.ColumnSchema
	for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' }) {
		if isUUIDColumn(name) {
			out = append(out, nil)
			continue
		}
		column, err := c.ColumnNamed(table, name)
		if err != nil {
			return nil, err
		}
		out = append(out, column)
	}
	if len(out) == 0 {
		return nil, errors.New("must specify at least one column name")
	}
	return out, nil
}

// columnOf reads the COLUMN that an argument begins with.
func (c *Context) columnOf(table, arg string) (column *ovsdb.ColumnSchema, rest string, err error) {
	name, rest, err := idl.Token(arg)
	if err != nil {
		return nil, "", err
	}
	if name == "" {
		return nil, "", fmt.Errorf("%s: missing column name", arg)
	}
	column, err = c.ColumnNamed(table, name)
	return column, rest, err
}

// reference is an argument COLUMN[:KEY][OPERATOR VALUE].
type reference struct {
	column   *ovsdb.ColumnSchema
	key      string
	hasKey   bool
	operator string
	value    string
}

// reference reads an argument. Without operators it must end after the key.
func (c *Context) reference(table, arg string, operators []string) (ref reference, err error) {
	var rest string
	if ref.column, rest, err = c.columnOf(table, arg); err != nil {
		return ref, err
	}
	if strings.HasPrefix(rest, ":") {
		ref.hasKey = true
		if ref.key, rest, err = idl.Token(rest[1:]); err != nil {
			return ref, err
		}
		if ref.key == "" {
			return ref, fmt.Errorf("%s: missing key", arg)
		}
	}
	if operators == nil {
		if rest != "" {
			return ref, fmt.Errorf("%s: trailing garbage \"%s\" in argument", arg, rest)
		}
		return ref, nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) && len(rest) > len(op) && len(op) > len(ref.operator) {
			ref.operator = op
		}
	}
	if ref.operator == "" {
		if len(operators) == 1 {
			return ref, fmt.Errorf("%s: argument does not end in \"=\" followed by a value.", arg)
		}
		return ref, fmt.Errorf("%s: argument does not end in \"%s\", or \"%s\" followed by a value.", arg,
			strings.Join(operators[:len(operators)-1], `", "`), operators[len(operators)-1])
	}
	ref.value = rest[len(ref.operator):]
	return ref, nil
}

// target returns the table and the row of the first two arguments; row is nil
// where --if-exists allows that.
func (c *Context) target() (table string, row *idl.Row, err error) {
	if table, err = c.TableNamed(c.Args[1]); err != nil {
		return "", nil, err
	}
	row, err = c.Record(table, c.Args[2], !c.Has("--if-exists"))
	return table, row, err
}

func runGet(c *Context) error {
	id, hasID := c.Option("--id")
	if hasID && c.Has("--if-exists") {
		return errors.New("--if-exists and --id may not be specified together")
	}
	table, row, err := c.target()
	if err != nil || row == nil {
		return err
	}
	if hasID {
		if sym := c.symbols.byName[id]; sym != nil && sym.any {
			return fmt.Errorf("row id \"%s\" specified on \"get\" command was used before it was defined", id)
		}
		sym, err := c.symbols.create(id)
		if err != nil {
			return err
		}
		sym.uuid, sym.strong = row.UUID, true
	} else if len(c.Args) == 3 {
		c.Warnf("\"get\" command without row arguments or \"--id\" is possibly erroneous")
	}
	for _, arg := range c.Args[3:] {
		if isUUIDColumn(arg) {
			c.Printf("%s\n", row.UUID)
			continue
		}
		ref, err := c.reference(table, arg, nil)
		if err != nil {
			return err
		}
		row.VerifyColumn(ref.column)
		value := row.Read(ref.column)
		if !ref.hasKey {
			c.Printf("%s\n", value.Format(&ref.column.Type))
			continue
		}
		if !ref.column.Type.IsMap() {
			return fmt.Errorf("cannot specify key to get for non-map column %s", ref.column.Name)
		}
		key, err := idl.ParseAtom(&ref.column.Type.Key, ref.key, c.symbols)
		if err != nil {
			return err
		}
		v, ok := value.Value(key)
		switch {
		case ok:
			c.Printf("%s\n", idl.FormatAtom(v))
		case c.Has("--if-exists"):
			c.Printf("\n")
		default:
			return fmt.Errorf("no key \"%s\" in %s record \"%s\" column %s", ref.key, table, c.Args[2], ref.column.Name)
		}
	}
	return nil
}

// addRow puts a row into the table that is printed.
func (c *Context) addRow(row *idl.Row, columns []*ovsdb.ColumnSchema) {
	cells := make([]Cell, len(columns))
	for i, column := range columns {
		if column == nil {
			cells[i] = Cell{Datum: idl.Ref(row.UUID), Type: &uuidType}
			continue
		}
		cells[i] = Cell{Datum: row.Read(column), Type: &column.Type}
	}
	c.Table.Rows = append(c.Table.Rows, cells)
}

var uuidType = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeUUID), Min: 1, Max: 1}

// newTable begins a table of columns of a table.
func newTable(columns []*ovsdb.ColumnSchema) *Table {
	t := &Table{}
	for _, column := range columns {
		name := "_uuid"
		if column != nil {
			name = column.Name
		}
		t.Headings = append(t.Headings, name)
	}
	return t
}

func runList(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	columns, err := c.listed(table)
	if err != nil {
		return err
	}
	c.Table = newTable(columns)
	if len(c.Args) == 2 {
		for _, row := range c.DB.Rows(table) {
			c.addRow(row, columns)
		}
		return nil
	}
	for _, name := range c.Args[2:] {
		row, err := c.Record(table, name, !c.Has("--if-exists"))
		if err != nil {
			return err
		}
		if row != nil {
			c.addRow(row, columns)
		}
	}
	return nil
}

func runFind(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	columns, err := c.listed(table)
	if err != nil {
		return err
	}
	c.Table = newTable(columns)
	for _, row := range c.DB.Rows(table) {
		ok, err := c.satisfies(table, row, c.Args[2:])
		if err != nil {
			return err
		}
		if ok {
			c.addRow(row, columns)
		}
	}
	return nil
}

// checkMutable refuses columns that an update may not change.
func checkMutable(row *idl.Row, column *ovsdb.ColumnSchema) error {
	if !column.Mutable && !row.Inserted() {
		return fmt.Errorf("cannot modify read-only column %s in table %s", column.Name, column.Table.Name)
	}
	return nil
}

// SetColumn carries out COLUMN[:KEY]=VALUE on a row.
func (c *Context) SetColumn(row *idl.Row, arg string) error {
	ref, err := c.reference(row.Table.Schema.Name, arg, []string{"="})
	if err != nil {
		return err
	}
	if err := checkMutable(row, ref.column); err != nil {
		return err
	}
	t := &ref.column.Type
	if !ref.hasKey {
		d, err := idl.ParseDatum(t, ref.value, c.symbols)
		if err == nil {
			row.Write(ref.column, d)
		}
		return err
	}
	if !t.IsMap() {
		return fmt.Errorf("cannot specify key to set for non-map column %s", ref.column.Name)
	}
	key, err := idl.ParseAtom(&t.Key, ref.key, c.symbols)
	if err != nil {
		return err
	}
	value, err := idl.ParseAtom(&t.Value, ref.value, c.symbols)
	if err != nil {
		return err
	}
	row.Add(ref.column.Name, idl.Datum{Keys: []idl.Atom{key}, Values: []idl.Atom{value}})
	return nil
}

func runSet(c *Context) error {
	_, row, err := c.target()
	if err != nil || row == nil {
		return err
	}
	for _, arg := range c.Args[3:] {
		if err := c.SetColumn(row, arg); err != nil {
			return err
		}
	}
	return nil
}

// elements is a column's type without limits on the number of elements.
func elements(t ovsdb.ColumnType) ovsdb.ColumnType {
	t.Min, t.Max = 0, ovsdb.Unlimited
	return t
}

func kind(t *ovsdb.ColumnType) string {
	if t.IsMap() {
		return "pairs"
	}
	return "values"
}

// targetColumn is target with the column of the third argument.
func (c *Context) targetColumn() (row *idl.Row, column *ovsdb.ColumnSchema, err error) {
	table, row, err := c.target()
	if err != nil || row == nil {
		return nil, nil, err
	}
	if column, err = c.ColumnNamed(table, c.Args[3]); err != nil {
		return nil, nil, err
	}
	return row, column, checkMutable(row, column)
}

func runAdd(c *Context) error {
	row, column, err := c.targetColumn()
	if err != nil || row == nil {
		return err
	}
	t := elements(column.Type)
	var added idl.Datum
	for _, arg := range c.Args[4:] {
		d, err := idl.ParseDatum(&t, arg, c.symbols)
		if err != nil {
			return err
		}
		added = d.Union(added)
	}
	old := row.Read(column)
	if n := old.Union(added).Len(); n > column.Type.Max {
		return fmt.Errorf("\"add\" operation would put %d %s in column %s of table %s but the maximum number is %d",
			n, kind(&column.Type), column.Name, column.Table.Name, column.Type.Max)
	}
	row.VerifyColumn(column)
	if column.Type.IsMap() {
		row.Add(column.Name, added)
	} else {
		row.Add(column.Name, added.Without(old))
	}
	return nil
}

func runRemove(c *Context) error {
	row, column, err := c.targetColumn()
	if err != nil || row == nil {
		return err
	}
	t := elements(column.Type)
	old := row.Read(column)
	left := old
	for _, arg := range c.Args[4:] {
		d, err := idl.ParseDatum(&t, arg, c.symbols)
		if err != nil && t.IsMap() {
			keys := t
			keys.Value = ovsdb.BaseType{}
			d, err = idl.ParseDatum(&keys, arg, c.symbols)
		}
		if err != nil {
			return err
		}
		left = left.Without(d)
	}
	if n := left.Len(); n < column.Type.Min {
		return fmt.Errorf("\"remove\" operation would put %d %s in column %s of table %s but the minimum number is %d",
			n, kind(&column.Type), column.Name, column.Table.Name, column.Type.Min)
	}
	row.VerifyColumn(column)
	row.Remove(column.Name, old.Without(idl.Datum{Keys: left.Keys}))
	return nil
}

func runClear(c *Context) error {
	table, row, err := c.target()
	if err != nil || row == nil {
		return err
	}
	for _, name := range c.Args[3:] {
		column, err := c.ColumnNamed(table, name)
		if err != nil {
			return err
		}
		if err := checkMutable(row, column); err != nil {
			return err
		}
		if column.Type.Min > 0 {
			return fmt.Errorf("\"clear\" operation cannot be applied to column %s of table %s, which is not allowed to be empty", column.Name, table)
		}
		row.Write(column, idl.Datum{})
	}
	return nil
}

func runCreate(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	root := c.DB.Schema.Tables[table].IsRoot
	id, hasID := c.Option("--id")
	u := ovsdb.NewUUID()
	fixed := false
	switch {
	case !hasID:
		if !root {
			c.Warnf("applying \"create\" command to table %s without --id option will have no effect", table)
		}
	default:
		if given, err := ovsdb.ParseUUID(id); err == nil {
			u, fixed = given, true
			break
		}
		sym, err := c.symbols.create(id)
		if err != nil {
			return err
		}
		sym.strong = sym.strong || root
		u = sym.uuid
	}
	row := c.Txn.InsertAs(table, u, fixed)
	for _, arg := range c.Args[2:] {
		if err := c.SetColumn(row, arg); err != nil {
			return err
		}
	}
	c.created = u
	c.Printf("%s\n", u)
	return nil
}

// postCreate prints the UUID that the server gave to the row.
func postCreate(c *Context) error {
	if u, ok := c.result.UUIDs[c.created]; ok {
		c.Out.Reset()
		c.Printf("%s\n", u)
	}
	return nil
}

func runDestroy(c *Context) error {
	all, lenient := c.Has("--all"), c.Has("--if-exists")
	switch {
	case all && lenient:
		return errors.New("--all and --if-exists should not be specified together")
	case all && len(c.Args) > 2:
		return errors.New("--all and records argument should not be specified together")
	case !all && len(c.Args) == 2:
		c.Warnf("either --all or records argument should be specified")
	}
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	if all {
		for _, row := range c.DB.Rows(table) {
			row.Delete()
		}
		return nil
	}
	for _, name := range c.Args[2:] {
		row, err := c.Record(table, name, !lenient)
		if err != nil {
			return err
		}
		if row != nil {
			row.Delete()
		}
	}
	return nil
}

func runWaitUntil(c *Context) error {
	table, err := c.TableNamed(c.Args[1])
	if err != nil {
		return err
	}
	row, err := c.Record(table, c.Args[2], false)
	if err != nil {
		return err
	}
	if row == nil {
		return errAgain
	}
	ok, err := c.satisfies(table, row, c.Args[3:])
	if err == nil && !ok {
		err = errAgain
	}
	return err
}
