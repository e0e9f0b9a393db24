package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"govn/proto/control"
)

// statusProblems is the exit status of a command that could ask, and was told of
// problems.
const statusProblems exitStatus = 2

// formatFlags are -o, as govn nbctl has it, and -f, which says the same.
type formatFlags struct {
	format string // of package control, after prepare
	output string
}

func (f *formatFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "table", "`FORMAT` of the answer: table, json or yaml")
	fs.StringVarP(&f.format, "format", "f", "", "the same; text is table")
	for _, flag := range []string{"output", "format"} {
		// It fails only for a flag that is not there.
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions([]string{"table", control.JSON, control.YAML}, cobra.ShellCompDirectiveNoFileComp))
	}
}

// prepare reads the flags.
func (f *formatFlags) prepare() error {
	asked := f.output
	if f.format != "" {
		asked = f.format
	}
	switch asked {
	case "table", control.Text:
		f.format = control.Text
	case control.JSON, control.YAML:
		f.format = asked
	default:
		return fmt.Errorf("%w %q: want table, %s or %s", control.ErrFormat, asked, control.JSON, control.YAML)
	}
	return nil
}
