package ovsdb

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes random operations, conditions and monitors for a schema. What
// it makes depends on the seed alone, never on answers. Rows have UUIDs of a
// small pool per table, so that references meet rows, and rows come back.
type generator struct {
	*rand.Rand
	d *DatabaseSchema
}

func newGenerator(d *DatabaseSchema, seed uint64) *generator {
	return &generator{rand.New(rand.NewPCG(seed, 7047)), d}
}

const poolSize = 5

func (g *generator) rowUUID(t *TableSchema) string {
	return fmt.Sprintf("%02x00000%x-0000-4000-8000-000000000001", t.id+16, g.IntN(poolSize))
}

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g *generator) table() *TableSchema { return pick(g, g.d.tables...) }

func (g *generator) atom(b *BaseType) string {
	switch b.Type {
	case TypeInteger:
		return pick(g, "0", "1", "2", "3", "-1", "9223372036854775807")
	case TypeReal:
		return pick(g, "0", "0.5", "1.5", "-2")
	case TypeBoolean:
		return pick(g, "true", "false")
	case TypeString:
		if b.Enum.Len() > 0 && !g.oneIn(8) {
			all := slices.Collect(b.Enum.All())
			return fmt.Sprintf("%q", all[g.IntN(len(all))])
		}
		return pick(g, `""`, `"a"`, `"b"`, `"c"`, `"d"`)
	}
	switch {
	case b.Target == nil || g.oneIn(40):
		return ref(no)
	case g.oneIn(12):
		return `["named-uuid","n` + fmt.Sprint(g.IntN(2)) + b.RefTable + `"]`
	}
	return ref(g.rowUUID(b.Target))
}

// value makes a value of the type, rarely one with too many or few elements.
// Duplicates are left out, since which of two errors comes first is no matter.
func (g *generator) value(t *ColumnType) string {
	if t.IsScalar() {
		return g.atom(&t.Key)
	}
	n := g.IntN(min(t.Max, 3)+1-t.Min) + t.Min
	if g.oneIn(25) {
		n = g.IntN(4)
	}
	var keys, elements []string
	for range n {
		k := g.atom(&t.Key)
		if slices.Contains(keys, k) || strings.Contains(k, "named") && n > 1 {
			continue
		}
		keys = append(keys, k)
		if t.IsMap() {
			k = "[" + k + "," + g.atom(&t.Value) + "]"
		}
		elements = append(elements, k)
	}
	switch {
	case t.IsMap():
		return `["map",[` + strings.Join(elements, ",") + `]]`
	case len(elements) == 1 && !g.oneIn(4):
		return elements[0]
	}
	return `["set",[` + strings.Join(elements, ",") + `]]`
}

func (g *generator) column(t *TableSchema) *ColumnSchema { return pick(g, t.Columns...) }

func (g *generator) row(t *TableSchema, immutable bool) string {
	var members []string
	for _, c := range t.Columns {
		if (c.Mutable || immutable) && g.oneIn(2) {
			members = append(members, fmt.Sprintf("%q:%s", c.Name, g.value(&c.Type)))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// clause makes a condition on one of the columns.
func (g *generator) clause(columns []*ColumnSchema) string {
	if g.oneIn(12) {
		return pick(g, "true", "false")
	}
	c := pick(g, columns...)
	fns := []string{"==", "!=", "includes", "excludes"}
	if (c.Type.IsScalar() || c.Type.IsOptional()) && (c.Type.Key.Type == TypeInteger || c.Type.Key.Type == TypeReal) {
		fns = append(fns, "<", "<=", ">", ">=")
	}
	return fmt.Sprintf("[%q,%q,%s]", c.Name, pick(g, fns...), g.value(&c.Type))
}

func (g *generator) where(t *TableSchema) string {
	switch g.IntN(6) {
	case 0:
		return "[]"
	case 1:
		return "[" + g.clause(t.Columns) + "]"
	case 2:
		return "[" + g.clause(t.Columns) + "," + g.clause(t.Columns) + "]"
	}
	return `[["_uuid","==",` + ref(g.rowUUID(t)) + `]]`
}

func (g *generator) mutations(t *TableSchema) string {
	var all []string
	for range 1 + g.IntN(2) {
		c := g.column(t)
		op := pick(g, "insert", "delete")
		typ := c.Type
		switch {
		case !c.Mutable && !g.oneIn(20):
			continue
		case typ.Key.Type == TypeInteger && !typ.IsMap():
			op = pick(g, "+=", "-=", "/=", "%=") // TestArithmeticLikeStock says why not *=
			typ = ColumnType{Key: typ.Key, Min: 1, Max: 1}
		case typ.Key.Type == TypeReal && !typ.IsMap():
			op = pick(g, "+=", "-=", "*=", "/=")
			typ = ColumnType{Key: typ.Key, Min: 1, Max: 1}
		case typ.IsScalar() && !g.oneIn(20):
			continue
		case typ.IsMap() && op == "delete" && g.oneIn(2):
			typ.Value = BaseType{}
		}
		all = append(all, fmt.Sprintf("[%q,%q,%s]", c.Name, op, g.value(&typ)))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func (g *generator) operation() string {
	t := g.table()
	switch n := g.IntN(40); {
	case n < 14:
		name := ""
		if g.oneIn(4) {
			name = fmt.Sprintf(`,"uuid-name":"n%d%s"`, g.IntN(2), t.Name)
		}
		return fmt.Sprintf(`{"op":"insert","table":%q,"uuid":%q%s,"row":%s}`, t.Name, g.rowUUID(t), name, g.row(t, true))
	case n < 21:
		return fmt.Sprintf(`{"op":"update","table":%q,"where":%s,"row":%s}`, t.Name, g.where(t), g.row(t, g.oneIn(30)))
	case n < 28:
		return fmt.Sprintf(`{"op":"mutate","table":%q,"where":%s,"mutations":%s}`, t.Name, g.where(t), g.mutations(t))
	case n < 33:
		return fmt.Sprintf(`{"op":"delete","table":%q,"where":%s}`, t.Name, g.where(t))
	case n < 37:
		c := g.column(t)
		return fmt.Sprintf(`{"op":"select","table":%q,"where":%s,"columns":["_uuid",%q]}`, t.Name, g.where(t), c.Name)
	case n < 38:
		c := g.column(t)
		return fmt.Sprintf(`{"op":"wait","table":%q,"where":%s,"columns":[%q],"until":%q,"rows":[{%q:%s}],"timeout":0}`, t.Name, g.where(t), c.Name, pick(g, "!=", "!=", "=="), c.Name, g.value(&c.Type))
	case n < 39:
		return `{"op":"comment","comment":"c"}`
	}
	return pick(g, `{"op":"abort"}`, `{"op":"commit","durable":false}`, `{"op":"assert","lock":"nobody"}`)
}

// transaction is a list of operations, without brackets.
func (g *generator) transaction() string {
	ops := make([]string, 1+g.IntN(4))
	for i := range ops {
		ops[i] = g.operation()
	}
	return strings.Join(ops, ",")
}

// monitorTable is the request for one table: some columns, and a condition on
// those columns.
func (g *generator) monitorTable(t *TableSchema, conditions bool) (request string, columns []*ColumnSchema) {
	for _, c := range t.Columns {
		if g.oneIn(2) {
			columns = append(columns, c)
		}
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = fmt.Sprintf("%q", c.Name)
	}
	request = `{"columns":[` + strings.Join(names, ",") + `]`
	if g.oneIn(4) {
		request += fmt.Sprintf(`,"select":{%q:false}`, pick(g, "initial", "insert", "delete", "modify"))
	}
	if conditions && len(columns) > 0 {
		request += `,"where":` + g.anyOf(columns)
	}
	return request + "}", columns
}

func (g *generator) anyOf(columns []*ColumnSchema) string {
	var clauses []string
	for range g.IntN(3) {
		c := g.clause(columns)
		// ovsdb-server applies the conditions before a wrong one, and then fails.
		if v, err := parseJSON(c, defaultJSONLimits); err == nil {
			if _, err = parseClause(columns[0].Table, &v, nil); err == nil {
				clauses = append(clauses, c)
			}
		}
	}
	return "[" + strings.Join(clauses, ",") + "]"
}
