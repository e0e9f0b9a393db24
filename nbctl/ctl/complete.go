package ctl

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"
)

// completionTimeout is how long a shell waits for names from the database.
const completionTimeout = 2 * time.Second

// Complete returns what the last word of a command line may be: options, verbs,
// tables, columns, and names of objects from the database.
func (p *Program) Complete(ctx context.Context, args []string, word string) []string {
	words := args
	if i := lastIndex(words, "--"); i >= 0 {
		words = words[i+1:]
	}
	first := len(words) == len(args)
	var out []string
	i := slices.IndexFunc(words, func(s string) bool { return p.command(s) != nil })
	switch {
	case i < 0 && strings.HasPrefix(word, "-"):
		for name, kind := range p.optionKinds() {
			if _, global := p.global(name); first || !global {
				if kind == '=' {
					name += "="
				}
				out = append(out, "--"+name)
			}
		}
	case i < 0:
		for _, c := range p.All() {
			out = append(out, c.Name)
		}
	default:
		out = p.completeArgument(ctx, args, words[i:], word)
	}
	out = slices.DeleteFunc(out, func(s string) bool { return !strings.HasPrefix(s, word) })
	slices.Sort(out)
	return slices.Compact(out)
}

func lastIndex(s []string, x string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == x {
			return i
		}
	}
	return -1
}

// completeArgument completes an argument of the command words[0].
func (p *Program) completeArgument(ctx context.Context, args, words []string, word string) []string {
	r := &run{p: p, stdout: io.Discard, stderr: io.Discard, start: time.Now()}
	r.o = settings{style: Style{Format: "list", Data: "string"}}
	// What comes before may be incomplete or wrong; then the defaults do.
	_, _, _ = p.parseOptions(&r.o, args)
	if r.o.db == "" {
		r.o.db = p.remotes()
	}
	r.o.trace = false
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	closeConn, err := r.open(ctx)
	if err != nil {
		return nil
	}
	defer closeConn()
	c := &Context{Args: words, DB: r.db, program: p, command: p.command(words[0]), run: r}
	table, columns := p.argument(c)
	switch {
	case table == "" && columns == "":
		return r.db.TableNames()
	case columns != "":
		var out []string
		for _, column := range r.db.Schema.Tables[columns].Columns {
			out = append(out, column.Name)
		}
		return out
	case r.db.Schema.Tables[table] == nil:
		return nil
	}
	c.NeedNames(table)
	if r.db.Load(ctx, false) != nil {
		return nil
	}
	return c.Names(table)
}

// argument says what the next argument of a command is: a row of a table, a
// column of the table columns, or, both empty, a table.
func (p *Program) argument(c *Context) (table, columns string) {
	const nothing = "-"
	position := len(c.Args) - 1 // of the next argument, without the verb
	placeholders := strings.Fields(c.command.Args)
	if len(placeholders) > 0 && placeholders[0] == "TABLE" {
		if position == 0 {
			return "", ""
		}
		name, err := c.TableNamed(c.Args[1])
		if err != nil {
			return nothing, ""
		}
		records := len(placeholders) > 1 && strings.Trim(placeholders[1], "[].") == "RECORD"
		repeated := len(placeholders) > 1 && strings.HasSuffix(placeholders[1], "...")
		if records && (position == 1 || repeated) {
			return name, ""
		}
		return "", name
	}
	if len(placeholders) == 0 {
		return nothing, ""
	}
	last := placeholders[len(placeholders)-1]
	placeholder := last
	if position < len(placeholders) {
		placeholder = placeholders[position]
	} else if !strings.HasSuffix(last, "...") {
		return nothing, ""
	}
	prefix, _, _ := strings.Cut(c.command.Name, "-")
	word := strings.Trim(placeholder, "[].{}")
	for _, key := range []string{prefix + ":" + word, word} {
		if t := p.Objects[key]; t != "" {
			return t, ""
		}
	}
	return nothing, ""
}
