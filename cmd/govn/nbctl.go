package main

import (
	"errors"

	"github.com/spf13/cobra"

	"govn/nbctl"
	"govn/nbctl/ctl"
	"govn/nbctl/icctl"
	"govn/nbctl/sbctl"
)

// exitStatus ends govn with a status; the command has said why.
type exitStatus int

func (exitStatus) Error() string { return "the command failed" }

// newNbctlCommand is ovn-nbctl's command line, which cobra must not parse: "--"
// separates commands, and options belong to commands.
func newNbctlCommand() *cobra.Command {
	p := nbctl.Program()
	p.Apart = lintOnly
	c := newCtlCommand(p, "nbctl [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...", "Look at and change the northbound database, in the syntax of ovn-nbctl")
	return withLint(c, newLintCommand)
}

var lintOnly = []string{"lint"}

// withLint adds "lint", which is no verb: it is not asked of the database alone.
func withLint(c *cobra.Command, newLint func() *cobra.Command) *cobra.Command {
	verbs := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 || args[0] != "lint" {
			return verbs(c, args)
		}
		lint := newLint()
		lint.SilenceErrors, lint.SilenceUsage = true, true
		lint.SetArgs(args[1:])
		lint.SetOut(c.OutOrStdout())
		lint.SetErr(c.ErrOrStderr())
		return lint.ExecuteContext(c.Context())
	}
	return c
}

func newSbctlCommand() *cobra.Command {
	return newCtlCommand(sbctl.Program(), "sbctl [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...", "Look at and change the southbound database, in the syntax of ovn-sbctl")
}

func newICNbctlCommand() *cobra.Command {
	p := icctl.Northbound()
	p.Apart = lintOnly
	c := newCtlCommand(p, "ic-nbctl [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...", "Look at and change the transit switches, in the syntax of ovn-ic-nbctl")
	return withLint(c, newICLintCommand)
}

func newICSbctlCommand() *cobra.Command {
	p := icctl.Southbound()
	p.Apart = lintOnly
	c := newCtlCommand(p, "ic-sbctl [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...", "Look at and change what zones tell each other, in the syntax of ovn-ic-sbctl")
	return withLint(c, newICLintCommand)
}

func newCtlCommand(p *ctl.Program, use, short string) *cobra.Command {
	p.Version = version
	return &cobra.Command{
		Use:                use,
		Short:              short,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if status := p.Run(c.Context(), args, c.OutOrStdout(), c.ErrOrStderr()); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return p.Complete(c.Context(), args, toComplete), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// statusOf returns the status that an error stands for.
func statusOf(err error) (int, bool) {
	var s exitStatus
	if errors.As(err, &s) {
		return int(s), true
	}
	return 0, false
}
