package ovsdb

import (
	"encoding/binary"
	"slices"
)

// tableWriter collects the rows of one table and the columns that they use.
type tableWriter struct {
	table   *TableSchema
	columns []string
	number  []int // by Column.Index: position in columns plus one
	rows    []byte
	n       int
}

func newTableWriter(t *TableSchema) *tableWriter {
	w := new(tableWriter)
	w.begin(t)
	return w
}

// begin begins with a table; the memory of the one before is used again.
func (w *tableWriter) begin(t *TableSchema) {
	number := slices.Grow(w.number[:0], len(t.Columns))[:len(t.Columns)]
	clear(number)
	*w = tableWriter{table: t, columns: w.columns[:0], number: number, rows: w.rows[:0]}
}

func (w *tableWriter) column(c *ColumnSchema) uint64 {
	if w.number[c.Index] == 0 {
		w.columns = append(w.columns, c.Name)
		w.number[c.Index] = len(w.columns)
	}
	return uint64(w.number[c.Index] - 1)
}

// put appends the columns in which new differs from old, or from the defaults
// where old is nil.
func (w *tableWriter) put(old, new *Row) {
	base := w.table.defaults
	if old != nil {
		base = old.values
	}
	differs := func(c *ColumnSchema) bool {
		return !c.Ephemeral && !ValuesEqual(base[c.Index], new.values[c.Index])
	}
	n := 0
	for _, c := range w.table.Columns {
		if differs(c) {
			n++
		}
	}
	w.rows = binary.AppendUvarint(w.rows, uint64(n))
	for _, c := range w.table.Columns {
		if !differs(c) {
			continue
		}
		w.rows = binary.AppendUvarint(w.rows, w.column(c))
		if old == nil {
			w.rows = appendLogValue(w.rows, new.values[c.Index])
		} else {
			w.rows = appendLogDifference(w.rows, old.values[c.Index], new.values[c.Index])
		}
	}
}

func (w *tableWriter) append(b []byte) []byte {
	b = binary.AppendUvarint(appendText(b, w.table.Name), uint64(len(w.columns)))
	for _, name := range w.columns {
		b = appendText(b, name)
	}
	return append(binary.AppendUvarint(b, uint64(w.n)), w.rows...)
}

func header(kind byte, revision uint64) []byte {
	return appendHeader(make([]byte, 0, 512), kind, revision)
}

func appendHeader(b []byte, kind byte, revision uint64) []byte {
	return binary.AppendUvarint(append(b, kind, logVersion), revision)
}

// entryWriter encodes commits, one after the other, in memory of its own.
type entryWriter struct {
	b     []byte
	table tableWriter
}

// entryKept is the size up to which an entryWriter keeps its memory, in bytes.
const entryKept = 64 << 10

// entry encodes a commit. A volatile database logs that there was a revision, and
// nothing of it.
func (e *entryWriter) entry(c *Commit, volatile bool) []byte {
	b := appendText(appendHeader(e.b[:0], kindEntry, c.Revision), c.DB.Name)
	if volatile {
		return e.sealed(binary.AppendUvarint(b, 0))
	}
	return e.sealed(e.changes(b, c.Changes))
}

// schemaEntry encodes changes with the schema that the database takes on.
func (e *entryWriter) schemaEntry(revision uint64, d *DatabaseSchema, changes []Change) []byte {
	b := appendText(appendHeader(e.b[:0], kindSchema, revision), d.Name)
	return e.sealed(e.changes(appendText(b, string(d.json)), changes))
}

// sealed returns the entry with its checksum, which is the caller's.
func (e *entryWriter) sealed(b []byte) []byte {
	b = seal(b)
	if cap(b)+cap(e.table.rows) > entryKept {
		*e = entryWriter{}
		return b
	}
	e.b = b
	return slices.Clone(b)
}

// changes appends the tables with changed rows, which are in the order of tables.
func (e *entryWriter) changes(b []byte, changes []Change) []byte {
	tables := 0
	for i := range changes {
		if i == 0 || changes[i-1].Table != changes[i].Table {
			tables++
		}
	}
	b = binary.AppendUvarint(b, uint64(tables))
	w := &e.table
	for i := range changes {
		ch := &changes[i]
		if i == 0 || changes[i-1].Table != ch.Table {
			if i > 0 {
				b = w.append(b)
			}
			w.begin(ch.Table)
		}
		w.n++
		w.rows = append(w.rows, ch.UUID[:]...)
		switch {
		case ch.New == nil:
			w.rows = append(w.rows, opDelete)
		case ch.Old == nil:
			w.rows = append(w.rows, opInsert)
			w.put(nil, ch.New)
		default:
			w.rows = append(w.rows, opModify)
			w.put(ch.Old, ch.New)
		}
	}
	if tables > 0 {
		b = w.append(b)
	}
	return b
}
