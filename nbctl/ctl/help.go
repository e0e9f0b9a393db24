package ctl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// show prints what --help, --version, --commands or --options ask for.
// --commands and --options have the form of the stock programs, which programs
// that complete command lines read.
func (r *run) show() {
	switch r.o.show {
	case "version":
		fmt.Fprintf(r.stdout, "%s %s\n", r.p.Name, r.p.Version)
	case "options":
		kinds := r.p.optionKinds()
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			fmt.Fprintf(r.stdout, "--%s%s\n", name, choose(kinds[name] == ' ', "", "=ARG"))
		}
		for _, c := range slices.Sorted(maps.Keys(shorts)) {
			if name, ok := r.p.short(c); ok {
				fmt.Fprintf(r.stdout, "-%c%s\n", c, choose(kinds[name] == ' ', "", " ARG"))
			}
		}
	case "commands":
		for _, c := range r.p.All() {
			for o := range strings.SplitSeq(c.Options, ",") {
				if o != "" {
					fmt.Fprintf(r.stdout, "[%s] ", o)
				}
			}
			fmt.Fprintf(r.stdout, ",%s,%s\n", c.Name, marked(c.Args))
		}
	default:
		fmt.Fprintf(r.stdout, "%s: %s\nusage: %s [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...\n\nCommands:\n", r.p.Name, r.p.Summary, r.p.Name)
		for _, c := range r.p.All() {
			fmt.Fprintln(r.stdout, usage(&c))
		}
		fmt.Fprintf(r.stdout, "\nOptions:\n  --%s\n\n%s is the default of --db (now %s).\n", strings.Join(r.p.globalNames(), " --"), r.p.DBEnv, r.p.remotes())
	}
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// marked says of each argument whether it has to be there: "!NAME" once, "+NAME"
// once or more, "?NAME" at most once, "*NAME" any number of times.
func marked(args string) string {
	var out []string
	depth := 0
	for word := range strings.FieldsSeq(args) {
		depth += strings.Count(word, "[")
		many := strings.HasSuffix(word, "...")
		mark := "!"
		switch {
		case depth > 0 && many:
			mark = "*"
		case depth > 0:
			mark = "?"
		case many:
			mark = "+"
		}
		depth -= strings.Count(word, "]")
		out = append(out, mark+strings.Trim(strings.TrimSuffix(word, "..."), "[]"))
	}
	return strings.Join(out, " ")
}

// usage is a command with its options and arguments on one line.
func usage(c *Command) string {
	var b strings.Builder
	b.WriteString(" ")
	for o := range strings.SplitSeq(c.Options, ",") {
		switch {
		case o == "":
		case strings.HasSuffix(o, "="):
			fmt.Fprintf(&b, " [%sVALUE]", o)
		case strings.HasSuffix(o, "?"):
			fmt.Fprintf(&b, " [%s[=VALUE]]", strings.TrimSuffix(o, "?"))
		default:
			fmt.Fprintf(&b, " [%s]", o)
		}
	}
	fmt.Fprintf(&b, " %s %s", c.Name, c.Args)
	return strings.TrimRight(b.String(), " ")
}
