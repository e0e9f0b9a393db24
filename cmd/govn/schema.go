package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"govn/schema"
)

func newSchemaCommand() *cobra.Command {
	names := slices.Sorted(maps.Keys(schema.All()))
	return &cobra.Command{
		Use:       "schema " + strings.Join(names, "|"),
		Short:     "Print the schema of a database as JSON",
		Example:   "  govn schema northbound > ovn-nb.ovsschema",
		ValidArgs: names,
		Args:      arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			d, ok := schema.All()[args[0]]
			if !ok {
				return fmt.Errorf("unknown database %q: want one of %s", args[0], strings.Join(names, ", "))
			}
			var b bytes.Buffer
			if err := json.Indent(&b, d.JSON(), "", "  "); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), b.String())
			return err
		},
	}
}
