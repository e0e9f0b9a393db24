package ovsdb

// RowsTold is what one message of the server told about the rows of monitors, in
// the order of the message.
type RowsTold struct {
	First bool // the rows that a monitor begins with, which replace all that were
	Rows  []RowTold
}

// RowTold is what became of a row.
type RowTold struct {
	Table string
	UUID  UUID
	Kind  RowKind
	// Columns are those that are told: of a new row all but some that have their
	// default, of a row that changed those which did.
	Columns []ColumnTold
}

// RowKind is what became of a row.
type RowKind uint8

// What became of a row.
const (
	RowNew RowKind = iota
	RowChanged
	RowGone
)

// ColumnTold is a column and its value.
type ColumnTold struct {
	*ColumnSchema
	Value Value
	// Difference tells that the value is what turns the old one into the new one:
	// elements that come or go, pairs that come, go, or change (ovsdb-server(7),
	// update2). Columns with at most one element have their new value.
	Difference bool
}

// tell passes on what a message told, and begins anew.
func (c *checker) tell(first bool) {
	t := c.told
	c.told = nil
	c.o.Rows(RowsTold{first, t})
}

// note keeps what becomes of the row, where somebody wants to know.
func (w *rowUpdate) note(kind RowKind) {
	if w.c != nil && w.c.o.Rows != nil {
		w.c.told = append(w.c.told, RowTold{Table: w.t.Name, UUID: w.uuid, Kind: kind})
		w.now = &w.c.told[len(w.c.told)-1]
	}
}

// noteColumn keeps a column of the row that note was called for.
func (w *rowUpdate) noteColumn(c *ColumnSchema, v Value, difference bool) {
	if w.now != nil {
		w.now.Columns = append(w.now.Columns, ColumnTold{c, v, difference && (c.Type.Max > 1)})
	}
}
