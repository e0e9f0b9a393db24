package ovsdb

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteText prints a table with some columns (all, if there are none), as
// "ovsdb-client dump" does, which counts bytes where it aligns columns.
func (c *Contents) WriteText(w io.Writer, t *TableSchema, columns ...*ColumnSchema) error {
	if len(columns) == 0 {
		columns = append([]*ColumnSchema{t.uuidCol}, t.Columns...)
	}
	lines := [][]string{make([]string, len(columns)), make([]string, len(columns))}
	widths := make([]int, len(columns))
	for i, column := range columns {
		lines[0][i] = column.Name
		widths[i] = len(column.Name)
	}
	for r := range c.Rows(t) {
		line := make([]string, len(columns))
		for i, column := range columns {
			line[i] = column.Type.text(r.Get(column))
			widths[i] = max(widths[i], len(line[i]))
		}
		lines = append(lines, line)
	}
	for i, n := range widths {
		lines[1][i] = strings.Repeat("-", n)
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s table\n", t.Name)
	for _, line := range lines {
		for i, cell := range line {
			out.WriteString(cell)
			if i < len(line)-1 {
				out.WriteString(strings.Repeat(" ", widths[i]-len(cell)+1))
			}
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}
