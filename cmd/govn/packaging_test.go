package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The systemd units start commands and give flags that there are, and each daemon
// has a unit of its name.
func TestUnits(t *testing.T) {
	units, err := filepath.Glob("../../packaging/systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatal(units, err)
	}
	started := map[string]bool{}
	for _, file := range units {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(text), "\nExecStart=/usr/local/bin/govn ")
		if !ok {
			t.Errorf("%s starts something else", file)
			continue
		}
		line, _, _ := strings.Cut(rest, "\n")
		c, args, err := newRootCommand().Find(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if err := c.ParseFlags(args); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".service")
		if programOf(c) != name || !strings.Contains(string(text), "\nEnvironmentFile=-/etc/default/"+name+"\n") {
			t.Errorf("%s is of %s, or has another's environment", file, programOf(c))
		}
		started[programOf(c)] = true
	}
	var daemons func(c *cobra.Command)
	daemons = func(c *cobra.Command) {
		if c.Flags().Lookup("pidfile") != nil && c.Name() != "serve" && !started[programOf(c)] {
			t.Errorf("%s has no unit", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			daemons(sub)
		}
	}
	daemons(newRootCommand())
}
