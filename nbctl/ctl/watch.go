package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// watchCommand follows changes: a line for each row that is inserted, changed
// or deleted.
var watchCommand = Command{
	Name: "watch", Max: Unlimited, Args: "[TABLE [RECORD]...]", Options: "--columns=,--initial",
	Needs: needWatched, Run: nothing, Follow: watch, Outputs: []string{"text", "json"},
}

// watchedColumns are the columns of a table that are followed.
func (c *Context) watchedColumns(table string) ([]*ovsdb.ColumnSchema, error) {
	columns, err := c.listed(table)
	return slices.DeleteFunc(columns, func(s *ovsdb.ColumnSchema) bool { return s == nil }), err
}

// watchedTables are the tables that are followed: all without an argument.
func (c *Context) watchedTables() ([]string, error) {
	if len(c.Args) == 1 {
		if _, ok := c.Option("--columns"); ok {
			return nil, errors.New("--columns needs a table")
		}
		return c.DB.TableNames(), nil
	}
	table, err := c.TableNamed(c.Args[1])
	return []string{table}, err
}

func needWatched(c *Context) error {
	tables, err := c.watchedTables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		columns, err := c.watchedColumns(table)
		if err != nil {
			return err
		}
		var names []string
		for _, column := range columns {
			names = append(names, column.Name)
		}
		c.DB.Need(table, names...)
		if len(tables) == 1 && len(c.Args) > 2 {
			c.NeedNames(table) // to find the records by name
		}
	}
	return nil
}

// state is what the rows of a table were when they were looked at last.
type state map[idl.UUID]map[string]idl.Datum

// watch prints changes until ctx ends, which is no error.
func watch(ctx context.Context, c *Context, w io.Writer) error {
	tables, err := c.watchedTables()
	if err != nil {
		return err
	}
	records := map[idl.UUID]bool{}
	c.DB.Begin()
	for _, name := range c.Args[min(2, len(c.Args)):] {
		row, err := c.Record(tables[0], name, true)
		if err != nil {
			return err
		}
		records[row.UUID] = true
	}
	last := map[string]state{}
	look := func(print bool) error {
		for _, table := range tables {
			columns, err := c.watchedColumns(table)
			if err != nil {
				return err
			}
			now := state{}
			for _, row := range c.DB.Rows(table) {
				if len(records) > 0 && !records[row.UUID] {
					continue
				}
				values := make(map[string]idl.Datum, len(columns))
				for _, column := range columns {
					values[column.Name] = row.Read(column)
				}
				now[row.UUID] = values
			}
			if print {
				if err := printChanges(w, c.Output() == "json", c.DB.Schema.Tables[table], columns, last[table], now); err != nil {
					return err
				}
			}
			last[table] = now
		}
		return nil
	}
	if err := look(c.Has("--initial")); err != nil {
		return err
	}
	for {
		if err := c.DB.Wait(ctx); err != nil {
			if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTimeout) {
				return nil
			}
			return err
		}
		if err := look(true); err != nil {
			return err
		}
	}
}

// change is what one line is about.
type change struct {
	Op    string         `json:"op"` // insert, modify or delete
	Table string         `json:"table"`
	UUID  string         `json:"uuid"`
	Name  string         `json:"name,omitempty"`
	Old   map[string]any `json:"old,omitempty"` // of the columns that changed, or all
	New   map[string]any `json:"new,omitempty"`
}

var changeSigns = map[string]string{"insert": "+", "modify": "~", "delete": "-"}

// difference says how a value changed: of sets and maps, what came and went.
func difference(column *ovsdb.ColumnSchema, x, y idl.Datum) string {
	t := &column.Type
	if t.Max == 1 && !t.IsMap() {
		return fmt.Sprintf("%s=%s (was %s)", column.Name, y.Format(t), x.Format(t))
	}
	var words []string
	if gone := x.Without(y); gone.Len() > 0 {
		words = append(words, column.Name+"-="+gone.Format(t))
	}
	if come := y.Without(x); come.Len() > 0 {
		words = append(words, column.Name+"+="+come.Format(t))
	}
	return strings.Join(words, " ")
}

// printChanges prints how a table differs from what it was.
func printChanges(w io.Writer, asJSON bool, table *ovsdb.TableSchema, columns []*ovsdb.ColumnSchema, was, is state) error {
	all := map[idl.UUID]bool{}
	for u := range was {
		all[u] = true
	}
	for u := range is {
		all[u] = true
	}
	for _, u := range slices.SortedFunc(maps.Keys(all), func(a, b idl.UUID) int { return a.Compare(b) }) {
		before, had := was[u]
		after, has := is[u]
		ch := change{Op: "modify", Table: table.Name, UUID: u.String(), Old: map[string]any{}, New: map[string]any{}}
		var words []string
		for _, column := range columns {
			x, y, t := before[column.Name], after[column.Name], &column.Type
			switch {
			case had && has && idl.CompareData(x, y) == 0:
				continue
			case had && has:
				words = append(words, difference(column, x, y))
				ch.Old[column.Name], ch.New[column.Name] = plainDatum(x, t), plainDatum(y, t)
			case has:
				if y.Len() > 0 {
					words = append(words, column.Name+"="+y.Format(t))
				}
				ch.New[column.Name] = plainDatum(y, t)
			default:
				ch.Old[column.Name] = plainDatum(x, t)
			}
		}
		switch {
		case had && has && len(words) == 0:
			continue
		case !had:
			ch.Op = "insert"
		case !has:
			ch.Op = "delete"
		}
		for _, d := range []idl.Datum{after["name"], before["name"]} {
			if d.Len() == 1 && ch.Name == "" {
				ch.Name = idl.BareAtom(d.Keys[0])
			}
		}
		if asJSON {
			if err := json.NewEncoder(w).Encode(&ch); err != nil {
				return err
			}
			continue
		}
		who := ch.UUID
		if ch.Name != "" {
			who += " (" + ch.Name + ")"
		}
		line := strings.Join(append([]string{changeSigns[ch.Op], ch.Table, who}, words...), " ")
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
