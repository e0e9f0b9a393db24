package ctl

import (
	"fmt"
	"slices"
	"strings"
)

// show prints what --help, --version, --commands or --options ask for.
func (r *run) show() {
	switch r.o.show {
	case "version":
		fmt.Fprintf(r.stdout, "%s %s\n", r.p.Name, r.p.Version)
	case "options":
		for _, name := range sortedOptions() {
			fmt.Fprintf(r.stdout, "--%s\n", name)
		}
	default:
		if r.o.show == "help" {
			fmt.Fprintf(r.stdout, "%s: %s\nusage: %s [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...\n\nCommands:\n", r.p.Name, r.p.Summary, r.p.Name)
		}
		for _, c := range r.p.All() {
			fmt.Fprintln(r.stdout, usage(&c))
		}
		if r.o.show == "help" {
			fmt.Fprintf(r.stdout, "\nOptions:\n  --%s\n\n%s is the default of --db (now %s).\n", strings.Join(sortedOptions(), " --"), r.p.DBEnv, r.p.remotes())
		}
	}
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

func sortedOptions() []string {
	var out []string
	for name := range globals {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
