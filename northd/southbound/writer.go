package southbound

import (
	"context"
	"fmt"

	"govn/northd/compile"
	"govn/northd/topology"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Changes are what the compiler drained for the southbound database.
type Changes struct {
	Rows    []incr.SinkChange[compile.RowKey, compile.Row]
	Members []incr.SinkChange[compile.MemberKey, ovsdb.UUID]
}

// Empty reports whether there is nothing to write.
func (c *Changes) Empty() bool { return len(c.Rows) == 0 && len(c.Members) == 0 }

// Writer writes the rows of the compiler.
type Writer struct {
	store *ovsdb.Store
	sb    *ovsdb.DatabaseSchema
	c     *topology.Columns
	reg   *Registry
}

// NewWriter makes a writer; ports that it inserts are bound as the registry
// says.
func NewWriter(store *ovsdb.Store, sb *ovsdb.DatabaseSchema, c *topology.Columns, reg *Registry) *Writer {
	return &Writer{store: store, sb: sb, c: c, reg: reg}
}

// owned are the tables whose rows are all the compiler's.
var owned = []string{"Datapath_Binding", "Port_Binding", "Multicast_Group", "BFD", "Static_MAC_Binding", "HA_Chassis_Group", "HA_Chassis"}

// Reset writes the first output of a compile: besides what Write does it
// removes rows that nothing emitted.
func (w *Writer) Reset(ctx context.Context, ch Changes) error {
	return w.write(ctx, ch, true)
}

// Write writes a difference.
func (w *Writer) Write(ctx context.Context, ch Changes) error {
	return w.write(ctx, ch, false)
}

func (w *Writer) write(ctx context.Context, ch Changes, all bool) error {
	_, err := w.store.Update(ctx, w.sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		if all {
			w.sweep(tx, ch)
		}
		w.forgetRouters(tx, w.datapathsGone(ch))
		for _, r := range ch.Rows {
			if r.New == nil {
				port := tx.Row(w.c.PortBinding.Table, r.Key.UUID)
				if row := tx.Row(w.c.SBBFD.Table, r.Key.UUID); row != nil && r.Key.Table == w.c.SBBFD.Table.Name {
					w.reg.endBFD(row)
				}
				tx.Delete(w.sb.Table(r.Key.Table), r.Key.UUID)
				if port != nil && r.Key.Table == w.c.PortBinding.Table.Name {
					w.reg.left(tx, port)
				}
			}
		}
		for _, r := range ch.Rows {
			if r.New != nil {
				old := tx.Row(w.sb.Table(r.Key.Table), r.Key.UUID)
				w.put(tx, r.Key, r.New)
				if r.Key.Table == w.c.PortBinding.Table.Name {
					w.reg.placed(tx, r.Key.UUID, old, all)
				}
			}
		}
		group := w.c.Group.Table
		for _, m := range ch.Members {
			row := tx.Row(group, m.Key.Group)
			switch {
			case row == nil:
			case m.New != nil && !row.Set(w.c.Group.Ports).Has(m.Key.Port):
				tx.AddToSet(group, m.Key.Group, "ports", m.Key.Port)
			case m.New == nil && row.Set(w.c.Group.Ports).Has(m.Key.Port):
				tx.DelFromSet(group, m.Key.Group, "ports", m.Key.Port)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing the southbound database: %w", err)
	}
	return nil
}

// datapathsGone are the datapaths that a difference deletes.
func (w *Writer) datapathsGone(ch Changes) map[ovsdb.UUID]bool {
	gone := make(map[ovsdb.UUID]bool)
	for _, r := range ch.Rows {
		if r.New == nil && r.Key.Table == w.c.Datapath.Table.Name {
			gone[r.Key.UUID] = true
		}
	}
	return gone
}

func (w *Writer) put(tx *ovsdb.Txn, k compile.RowKey, r *compile.Row) {
	t := w.sb.Table(k.Table)
	if t == w.c.SBBFD.Table {
		w.putBFD(tx, k, r)
		return
	}
	row := tx.Row(t, k.UUID)
	if row == nil {
		values := make(map[string]ovsdb.Value, len(r.Columns)+2)
		for _, c := range r.Columns {
			values[c.Name] = c.Value
		}
		if t == w.c.PortBinding.Table {
			values["up"] = ovsdb.NewSet(false)
		}
		tx.Insert(t, k.UUID, values)
		return
	}
	for _, c := range r.Columns {
		if !sameValue(row.Get(t.Column(c.Name)), c.Value) {
			tx.SetColumn(t, k.UUID, c.Name, c.Value)
		}
	}
}

func sameValue(a, b ovsdb.Value) bool {
	switch a := a.(type) {
	case ovsdb.Set:
		b, ok := b.(ovsdb.Set)
		return ok && a.Equal(b)
	case ovsdb.Map:
		b, ok := b.(ovsdb.Map)
		return ok && a.Equal(b)
	}
	return a == b
}

// sweep deletes the rows and members that the first output does not have.
func (w *Writer) sweep(tx *ovsdb.Txn, ch Changes) {
	keep := make(map[ovsdb.UUID]bool, len(ch.Rows))
	for _, r := range ch.Rows {
		if r.New != nil {
			keep[r.Key.UUID] = true
		}
	}
	for _, name := range owned {
		t := w.sb.Table(name)
		var gone []ovsdb.UUID
		for row := range tx.Rows(t) {
			if !keep[row.UUID()] {
				gone = append(gone, row.UUID())
			}
		}
		if t == w.c.Datapath.Table {
			left := make(map[ovsdb.UUID]bool, len(gone))
			for _, u := range gone {
				left[u] = true
			}
			w.forgetRouters(tx, left)
		}
		for _, u := range gone {
			tx.Delete(t, u)
		}
	}
	members := make(map[compile.MemberKey]bool, len(ch.Members))
	for _, m := range ch.Members {
		if m.New != nil {
			members[m.Key] = true
		}
	}
	g := &w.c.Group
	type gone struct{ group, port ovsdb.UUID }
	var leave []gone
	for row := range tx.Rows(g.Table) {
		for a := range row.Set(g.Ports).All() {
			if p := a.(ovsdb.UUID); !members[compile.MemberKey{Group: row.UUID(), Port: p}] {
				leave = append(leave, gone{row.UUID(), p})
			}
		}
	}
	for _, m := range leave {
		tx.DelFromSet(g.Table, m.group, "ports", m.port)
	}
}
