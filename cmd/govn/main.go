package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"govn/pkg/daemon"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	// A command that "lab exec" ran has spoken for itself.
	var exit *exec.ExitError
	switch {
	case errors.Is(err, daemon.ErrDetached): // the child has printed why
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	default:
		fmt.Fprintf(stderr, "%s: %v\n", c.CommandPath(), err)
	}
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
		newControllerCommand(),
		newLabCommand(),
		newSchemaCommand(),
		newVersionCommand(),
	)
	return root
}
