package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"govn/nbctl/diagram"
	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// tableOutputs are the formats of -o for commands that print tables.
var tableOutputs = []string{"table", "json", "yaml", "csv"}

// Output is the format that -o asks for, "" without.
func (c *Context) Output() string { return c.run.o.output }

// PrintShown prints what show found in the format of -o: drawn, or the value.
func (c *Context) PrintShown(v any, g *diagram.Graph) error {
	if text, ok := g.Render(c.Output()); ok {
		c.Printf("%s", text)
		return nil
	}
	return c.PrintValue(c.Output(), v)
}

// PrintValue prints a value as JSON or YAML.
func (c *Context) PrintValue(format string, v any) error {
	b, err := marshal(format, v)
	c.Out.Write(b)
	return err
}

func marshal(format string, v any) ([]byte, error) {
	var b bytes.Buffer
	if format == "yaml" {
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		if err := e.Encode(v); err != nil {
			return nil, err
		}
		return b.Bytes(), e.Close()
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// trailingOutput takes -o FORMAT from behind the verbs that know formats: show
// -o svg reads better than -o svg show. Other verbs may have arguments that look
// so.
func (r *run) trailingOutput(args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	c := r.p.command(args[0])
	if c == nil || !c.formats() {
		return args, nil
	}
	var out []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		value, long := strings.CutPrefix(a, "--output=")
		switch {
		case a == "--":
			return append(out, args[i:]...), nil
		case long:
			r.o.output = value
		case a == "-o" || a == "--output":
			if i++; i == len(args) {
				return nil, fmt.Errorf("option '%s' requires an argument", a)
			}
			r.o.output = args[i]
		default:
			out = append(out, a)
		}
	}
	return out, nil
}

// formats tells whether a command knows -o.
func (c *Command) formats() bool {
	return len(c.Outputs) > 0 || c.Name == "list" || c.Name == "find"
}

// checkOutput refuses a format that one of the commands does not know.
func (r *run) checkOutput() error {
	if r.o.output == "" {
		return nil
	}
	known := false
	for _, c := range r.commands {
		have := c.command.Outputs
		if len(have) == 0 && c.command.formats() {
			have = tableOutputs
		}
		if c.command.formats() && !slices.Contains(have, r.o.output) {
			return fmt.Errorf("'%s' command has no output format \"%s\" (%s)", c.command.Name, r.o.output, strings.Join(have, ", "))
		}
		known = known || c.command.formats()
	}
	if !known {
		return fmt.Errorf("'%s' command has no option '-o'", r.commands[0].command.Name)
	}
	return nil
}

// renderAs prints a table in a format of -o.
func (t *Table) renderAs(format string, s Style, first bool) (string, error) {
	switch format {
	case "table", "csv":
		s.Format = format
		return t.Render(s, first), nil
	}
	rows := []yaml.Node{}
	for _, row := range t.Rows {
		n := yaml.Node{Kind: yaml.MappingNode}
		for i, cell := range row {
			var v yaml.Node
			if err := v.Encode(cell.plain()); err != nil {
				return "", err
			}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: t.Headings[i]}, &v)
		}
		rows = append(rows, n)
	}
	if format == "yaml" {
		b, err := marshal(format, rows)
		return string(b), err
	}
	// JSON objects in the order of the columns.
	var b bytes.Buffer
	b.WriteString("[")
	for y, row := range t.Rows {
		b.WriteString(choose(y > 0, ",\n  {", "\n  {"))
		for i, cell := range row {
			value, err := json.Marshal(cell.plain())
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%s%q: %s", choose(i > 0, ", ", ""), t.Headings[i], value)
		}
		b.WriteString("}")
	}
	b.WriteString(choose(len(t.Rows) > 0, "\n]\n", "]\n"))
	return b.String(), nil
}

// plain is a cell as values that every format has: a column of one value is that
// value, an optional one that is empty is null, sets are lists, maps are maps.
func (c Cell) plain() any {
	if c.Type == nil {
		return c.Text
	}
	return plainDatum(c.Datum, c.Type)
}

func plainDatum(d idl.Datum, t *ovsdb.ColumnType) any {
	switch {
	case t.IsMap():
		out := map[string]any{}
		for i, k := range d.Keys {
			out[idl.BareAtom(k)] = plainAtom(d.Values[i])
		}
		return out
	case t.Max == 1 && d.Len() == 0:
		return nil
	case t.Max == 1:
		return plainAtom(d.Keys[0])
	}
	out := make([]any, 0, d.Len())
	for _, k := range d.Keys {
		out = append(out, plainAtom(k))
	}
	return out
}

func plainAtom(a idl.Atom) any {
	if u, ok := a.(idl.UUID); ok {
		return u.String()
	}
	return a
}
