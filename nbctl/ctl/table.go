package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// Style says how tables are printed.
type Style struct {
	Format     string // table, list, html, csv or json
	Data       string // string, bare or json
	NoHeadings bool
	Pretty     bool // of JSON
	MaxWidth   int  // of a cell in format table, in characters; 0: any
}

// Formats and Data are what Style accepts.
var (
	Formats = []string{"table", "list", "html", "csv", "json"}
	Data    = []string{"string", "bare", "json"}
)

// Table is a result with rows and columns.
type Table struct {
	Headings []string
	Rows     [][]Cell
}

// Cell is a value, or text where Type is nil.
type Cell struct {
	Text  string
	Datum idl.Datum
	Type  *ovsdb.ColumnType
}

func (c Cell) text(s Style) string {
	if c.Type == nil {
		return c.Text
	}
	switch s.Data {
	case "bare":
		return c.Datum.Bare()
	case "json":
		return string(c.Datum.AppendJSON(nil, c.Type))
	}
	return c.Datum.Format(c.Type)
}

func (c Cell) json() []byte {
	if c.Type == nil {
		return idl.AppendString(nil, c.Text)
	}
	return c.Datum.AppendJSON(nil, c.Type)
}

// Render prints the table. first says that no other was printed before it.
func (t *Table) Render(s Style, first bool) string {
	var b strings.Builder
	if !first && s.Format != "json" && s.Format != "html" {
		b.WriteByte('\n')
	}
	switch s.Format {
	case "table":
		t.table(&b, s)
	case "html":
		t.html(&b, s)
	case "csv":
		t.csv(&b, s)
	case "json":
		t.json(&b, s)
	default:
		t.list(&b, s)
	}
	return b.String()
}

func (t *Table) list(b *strings.Builder, s Style) {
	for y, row := range t.Rows {
		if y > 0 {
			b.WriteByte('\n')
		}
		for x, c := range row {
			if !s.NoHeadings {
				fmt.Fprintf(b, "%-20s: ", t.Headings[x])
			}
			b.WriteString(c.text(s))
			b.WriteByte('\n')
		}
	}
}

// texts returns the cells as text, with the headings first.
func (t *Table) texts(s Style) [][]string {
	var out [][]string
	if !s.NoHeadings {
		out = append(out, t.Headings)
	}
	for _, row := range t.Rows {
		line := make([]string, len(row))
		for x, c := range row {
			line[x] = c.text(s)
		}
		out = append(out, line)
	}
	return out
}

func (t *Table) table(b *strings.Builder, s Style) {
	lines := t.texts(s)
	widths := make([]int, len(t.Headings))
	if !s.NoHeadings {
		for x, heading := range t.Headings {
			widths[x] = utf8.RuneCountInString(heading)
		}
	}
	for y, line := range lines {
		for x, cell := range line {
			if y > 0 || s.NoHeadings {
				if s.MaxWidth > 0 { // a heading is never cut
					cell = cut(cell, max(s.MaxWidth, widths[x]))
				}
				line[x] = cell
			}
			widths[x] = max(widths[x], utf8.RuneCountInString(cell))
		}
	}
	for y, line := range lines {
		for x, cell := range line {
			if x > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(cell)
			if x < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[x]-utf8.RuneCountInString(cell)))
			}
		}
		b.WriteByte('\n')
		if y == 0 && !s.NoHeadings {
			for x, w := range widths {
				if x > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(strings.Repeat("-", w))
			}
			b.WriteByte('\n')
		}
	}
}

// cut returns the first n characters of a text.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func (t *Table) html(b *strings.Builder, s Style) {
	b.WriteString("<table border=1>\n")
	for y, line := range t.texts(s) {
		element := "td"
		if y == 0 && !s.NoHeadings {
			element = "th"
		}
		b.WriteString("  <tr>\n")
		for _, cell := range line {
			fmt.Fprintf(b, "    <%s>%s</%s>\n", element, htmlEscapes.Replace(cell), element)
		}
		b.WriteString("  </tr>\n")
	}
	b.WriteString("</table>\n")
}

func (t *Table) csv(b *strings.Builder, s Style) {
	for _, line := range t.texts(s) {
		for x, cell := range line {
			if x > 0 {
				b.WriteByte(',')
			}
			if strings.ContainsAny(cell, "\n\",") {
				cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
}

// closings are the lines that the OVS library does not begin anew.
var closings = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\n *([]}])`) })

func (t *Table) json(b *strings.Builder, s Style) {
	out := []byte(`{"data":[`)
	for y, row := range t.Rows {
		if y > 0 {
			out = append(out, ',')
		}
		out = append(out, '[')
		for x, c := range row {
			if x > 0 {
				out = append(out, ',')
			}
			out = append(out, c.json()...)
		}
		out = append(out, ']')
	}
	out = append(out, `],"headings":[`...)
	for x, h := range t.Headings {
		if x > 0 {
			out = append(out, ',')
		}
		out = idl.AppendString(out, h)
	}
	out = append(out, "]}"...)
	if s.Pretty {
		var indented bytes.Buffer
		if json.Indent(&indented, out, "", "  ") == nil {
			out = closings().ReplaceAll(indented.Bytes(), []byte("$1"))
		}
	}
	b.Write(out)
	b.WriteByte('\n')
}
