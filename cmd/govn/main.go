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
		Version:       versionString(),
	}
	root.SetVersionTemplate(versionText())
	root.PersistentFlags().String("config", "", "YAML file with the values of flags, keyed by their names")
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"daemons", "Daemons:", []*cobra.Command{newNorthdCommand(), newControllerCommand(), newICCommand()}},
		{"databases", "Databases:", []*cobra.Command{newNbctlCommand(), newSbctlCommand(), newICNbctlCommand(), newICSbctlCommand(), newDBCommand(), newSchemaCommand()}},
		{"looking", "Looking at what runs:", []*cobra.Command{newStatusCommand(), newLintCommand(), newFlowsCommand(), newExplainCommand(), newDecodeCommand()}},
		{"trying", "Networks to try things on:", []*cobra.Command{newSimCommand(), newLabCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newVersionCommand())
	return group(root)
}
