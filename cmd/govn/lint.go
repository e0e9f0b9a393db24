package main

import (
	"github.com/spf13/cobra"

	"govn/proto/control"
)

// newLintCommand is "govn lint", and with another parent "govn nbctl lint".
func newLintCommand() *cobra.Command {
	f := &viewFlags{}
	c := &cobra.Command{
		Use:   "lint",
		Short: "List the objects that cannot be used as they are",
		Long: `List the objects that cannot be used as they are: with table, name, UUID, column,
the position in its value, and the reason. The exit status is 0 if there are none,
1 if northd could not be asked, 2 if there are some.

"left out" means that the compile does without the object: an address that does
not parse, a type that is not known, no free key. "ambiguous" means that it is
used, and that what happens may not be what was meant: two ports of a switch with
the same address, a name that leads nowhere. "ignored" is a value that means
nothing: a key of options that ovn-nb(5) does not document, a value that is not of
the key's type or out of its range. "not compiled" is configured, and this version
does without.

Such objects are accepted by default, because tools store what they like. With
options:govn-strict=true in NB_Global a transaction is refused that writes what
would be in this list.
` + socketHelp,
		Example: `  govn lint
  govn nbctl lint
  ovn-nbctl set NB_Global . options:govn-strict=true
  govn lint -f json | jq -r '.problems[] | [.table, .name, .reason] | @tsv'`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			found := &control.Problems{}
			if err := f.one(c, []string{programNorthd}, found, "lint"); err != nil {
				return err
			}
			if len(found.Problems) > 0 {
				return statusProblems
			}
			return nil
		},
	}
	f.add(c)
	return c
}
