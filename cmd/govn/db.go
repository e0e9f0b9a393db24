package main

import "github.com/spf13/cobra"

func newDBCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: "Work with database files",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDBServeCommand())
	return c
}
