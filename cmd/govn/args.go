package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// errUsage is wrapped by the error of a command line with too many or too few
// arguments.
var errUsage = errors.New("usage")

// arguments wants at least and at most so many arguments; most < 0 is any number.
// The error says how the command is used.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		usage := strings.TrimSuffix(c.UseLine(), " [flags]")
		switch {
		case most >= 0 && len(args) > most:
			return fmt.Errorf("unexpected argument %q (%w: %s)", args[most], errUsage, usage)
		case len(args) < least:
			return fmt.Errorf("an argument is missing (%w: %s)", errUsage, usage)
		}
		return nil
	}
}

// group makes c a command that only has commands: it prints its help.
func group(c *cobra.Command) *cobra.Command {
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := fmt.Sprintf("%q lists the commands", c.CommandPath()+" --help")
		if c.SuggestionsMinimumDistance == 0 {
			c.SuggestionsMinimumDistance = 2
		}
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			hint = `is "` + strings.Join(like, `" or "`) + `" meant?`
		}
		return fmt.Errorf("unknown command %q: %s", args[0], hint)
	}
	return c
}
