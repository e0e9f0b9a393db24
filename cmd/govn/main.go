package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"govn/pkg/daemon"
)

func main() { os.Exit(run(commandLine(os.Args), os.Stdout, os.Stderr)) }

// commandLine are the arguments of the root command. A link to the binary named
// ovn-nbctl, ovn-sbctl, ovn-ic-nbctl or ovn-ic-sbctl is that program, for scripts
// that call it so.
func commandLine(args []string) []string {
	switch name := filepath.Base(args[0]); name {
	case "ovn-nbctl", "ovn-sbctl", "ovn-ic-nbctl", "ovn-ic-sbctl":
		return append([]string{strings.TrimPrefix(name, "ovn-")}, args[1:]...)
	}
	return args[1:]
}

// run runs the command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteC()
	return report(stderr, c.CommandPath(), err)
}

// report prints the error of a command and returns the exit status.
func report(stderr io.Writer, command string, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, daemon.ErrDetached) {
		return 1 // the background process has said why
	}
	if status, ok := statusOf(err); ok {
		return status
	}
	// Bare, it is the status of a program that "lab exec" ran, which has spoken
	// for itself.
	if exit, ok := err.(*exec.ExitError); ok && exit.Exited() {
		return exit.ExitCode()
	}
	fmt.Fprintf(stderr, "%s: %v\n", command, err)
	return 1
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "govn",
		Short:         "A network virtualisation control plane that speaks the interfaces of OVN",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().String("config", "", "YAML file with the values of flags, keyed by their names")
	root.AddCommand(
		newNorthdCommand(),
		newNbctlCommand(),
		newSbctlCommand(),
		newControllerCommand(),
		newDBCommand(),
		newExplainCommand(),
		newFlowsCommand(),
		newICCommand(),
		newICNbctlCommand(),
		newICSbctlCommand(),
		newLabCommand(),
		newLintCommand(),
		newDecodeCommand(),
		newSchemaCommand(),
		newSimCommand(),
		newStatusCommand(),
		newVersionCommand(),
	)
	return root
}
