package topology

import (
	"hash/maphash"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Named is the row of a table that has a unique name, false if none has. The
// table is one of those whose first index is the column name:
// Logical_Switch_Port and Logical_Router_Port.
func (r *Reader) Named(c *incr.Ctx, name *ovsdb.ColumnSchema, value string) (ovsdb.UUID, bool) {
	if name != r.fault.DropRead {
		c.Read(r.nameCell(name, value))
	}
	if row := r.snap.Lookup(name.Table, 0, value); row != nil {
		return row.UUID(), true
	}
	return ovsdb.UUID{}, false
}

func (r *Reader) nameCell(name *ovsdb.ColumnSchema, value string) incr.Cell {
	return mix(ovsdb.UUID{}, maphash.String(r.seed, value), tableNumber(name.Table)+1)
}

// touchName tells the queries that asked for a name which row has it.
func (r *Reader) touchName(ch *ovsdb.Change) {
	var name *ovsdb.ColumnSchema
	switch ch.Table {
	case r.C.LSP.Table:
		name = r.C.LSP.Name
	case r.C.LRP.Table:
		name = r.C.LRP.Name
	default:
		return
	}
	if ch.Old != nil && ch.New != nil && ch.Old.Str(name) == ch.New.Str(name) {
		return
	}
	for _, row := range []*ovsdb.Row{ch.Old, ch.New} {
		if row != nil {
			r.engine.Touch(r.nameCell(name, row.Str(name)))
		}
	}
}

// Has reports whether a row has an element in the column.
func (l *List) Has(c *incr.Ctx, m Member) bool {
	return incr.Has(c, l.coll, incr.Hash(m.Row), m)
}
