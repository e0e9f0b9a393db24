package topology

import (
	"hash/maphash"
	"slices"
	"sync"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// What leads from one row to another without a reference: a name, the row that
// refers to this one, an option that names it. Each answer is one cell, touched
// where the answer may have changed.

// lookups are the columns by which queries find rows.
type lookups struct {
	names map[*ovsdb.ColumnSchema]int  // number of the unique index that a column is
	held  map[*ovsdb.ColumnSchema]bool // sets of references that are asked backwards

	once    sync.Once
	built   bool
	routers map[string][]ovsdb.UUID // switch ports of type router by options:router-port
}

func newLookups(c *Columns) *lookups {
	l := &lookups{names: make(map[*ovsdb.ColumnSchema]int), held: map[*ovsdb.ColumnSchema]bool{c.LS.Ports: true, c.LR.Ports: true}}
	for _, col := range []*ovsdb.ColumnSchema{c.LSP.Name, c.LRP.Name, c.HAGroup.Name, c.Chassis.Name} {
		for i, cols := range col.Table.Indexes {
			if len(cols) == 1 && cols[0] == col {
				l.names[col] = i
			}
		}
	}
	return l
}

// Seeds that keep the kinds of cells apart.
const (
	cellName   = 3
	cellHolder = 4
	cellRouter = 5
)

func (r *Reader) nameCell(kind uint64, col *ovsdb.ColumnSchema, name string) incr.Cell {
	return mix(ovsdb.UUID{}, maphash.String(r.seed, name), tableNumber(col.Table)+uint64(col.Index)<<8+kind)
}

func holderCell(col *ovsdb.ColumnSchema, elem ovsdb.UUID) incr.Cell {
	return mix(elem, cellHolder, tableNumber(col.Table)+uint64(col.Index)<<8)
}

// Named is the row whose unique name column has the value. The column is the
// name of a switch port, a router port, an HA chassis group or a chassis.
func (r *Reader) Named(c *incr.Ctx, col *ovsdb.ColumnSchema, name string) (ovsdb.UUID, bool) {
	if col != r.fault.DropRead {
		c.Read(r.nameCell(cellName, col, name))
	}
	if row := r.snap.Lookup(col.Table, r.lookups.names[col], name); row != nil {
		return row.UUID(), true
	}
	return ovsdb.UUID{}, false
}

// Holder is the row whose set column has the element: of several, the one with
// the lowest UUID. The column is Logical_Switch:ports or Logical_Router:ports.
func (r *Reader) Holder(c *incr.Ctx, col *ovsdb.ColumnSchema, elem ovsdb.UUID) (ovsdb.UUID, bool) {
	c.Read(holderCell(col, elem))
	var low ovsdb.UUID
	for u := range r.snap.Referrers(col, elem) {
		if low.IsZero() || u.Compare(low) < 0 {
			low = u
		}
	}
	return low, !low.IsZero()
}

// AttachedTo is the switch port of type router that names the router port in
// options:router-port: of several, the one with the lowest UUID.
func (r *Reader) AttachedTo(c *incr.Ctx, routerPort string) (ovsdb.UUID, bool) {
	c.Read(r.nameCell(cellRouter, r.C.LSP.Options, routerPort))
	r.lookups.once.Do(func() {
		r.lookups.routers = make(map[string][]ovsdb.UUID)
		for row := range r.snap.Rows(r.C.LSP.Table) {
			if name := r.routerPortOf(row); name != "" {
				r.lookups.routers[name] = append(r.lookups.routers[name], row.UUID())
			}
		}
		r.lookups.built = true
	})
	list := r.lookups.routers[routerPort]
	if len(list) == 0 {
		return ovsdb.UUID{}, false
	}
	return slices.MinFunc(list, ovsdb.UUID.Compare), true
}

// routerPortOf is the router port that a switch port leads to, "" if it is not
// of type router.
func (r *Reader) routerPortOf(row *ovsdb.Row) string {
	if row == nil || row.Str(r.C.LSP.Type) != TypeRouter {
		return ""
	}
	return stringAt(row, r.C.LSP.Options, optionRouterPort)
}

// touchLookups touches what a change of a row may answer differently.
func (r *Reader) touchLookups(ch *ovsdb.Change) {
	if ch.Table != r.C.LSP.Table {
		return
	}
	old, new := r.routerPortOf(ch.Old), r.routerPortOf(ch.New)
	if old == new {
		return
	}
	m := r.lookups.routers
	if old != "" {
		r.engine.Touch(r.nameCell(cellRouter, r.C.LSP.Options, old))
	}
	if new != "" {
		r.engine.Touch(r.nameCell(cellRouter, r.C.LSP.Options, new))
	}
	if !r.lookups.built {
		return
	}
	if old != "" {
		if m[old] = slices.DeleteFunc(m[old], func(u ovsdb.UUID) bool { return u == ch.UUID }); len(m[old]) == 0 {
			delete(m, old)
		}
	}
	if new != "" {
		m[new] = append(m[new], ch.UUID)
	}
}

// touchName touches the cells of a name that changed.
func (r *Reader) touchName(col *ovsdb.ColumnSchema, old, new ovsdb.Value) {
	if _, named := r.lookups.names[col]; !named {
		return
	}
	for _, v := range [2]ovsdb.Value{old, new} {
		if name, ok := v.(string); ok {
			r.engine.Touch(r.nameCell(cellName, col, name))
		}
	}
}
