package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"govn/pkg/daemon"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"govn": main, "wait-gone": waitGone})
}

// waitGone is a command of the stories: it waits until a file is not there.
func waitGone() {
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	for {
		if _, err := os.Stat(os.Args[1]); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-deadline:
			fmt.Fprintf(os.Stderr, "%s is still there\n", os.Args[1])
			os.Exit(1)
		case <-tick.C:
		}
	}
}

// The command lines, as stories. A daemon that a story that failed has left
// behind is ended.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Defer(func() {
				pidfiles, _ := filepath.Glob(filepath.Join(e.WorkDir, "run", "*.pid"))
				for _, file := range pidfiles {
					if b, err := os.ReadFile(file); err == nil {
						if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
							_ = syscall.Kill(pid, syscall.SIGKILL)
						}
					}
				}
			})
			return nil
		},
	})
}

// A value comes from the command line, else the environment, else the file,
// else the flag's default.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "govn.yaml")
	yaml := "nb-listen: [ptcp:1, 'punix:/a']\nsb-listen: ptcp:2,punix:/b\nstore: memory\nlog-level: warn\novs: unix:/o\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOVN_CONFIG", file)
	t.Setenv("GOVN_LOG_LEVEL", "error")
	t.Setenv("GOVN_FABRIC_LISTEN", "tcp:127.0.0.1:1,unix:/c")
	t.Setenv("GOVN_STORE", "bbolt:/env")

	var s *settings
	root := newRootCommand()
	northd, _, err := root.Find([]string{"northd"})
	if err != nil {
		t.Fatal(err)
	}
	northd.RunE = func(c *cobra.Command, _ []string) error { s, err = load(c); return err }
	root.SetArgs([]string{"northd", "--store", "bbolt:/flag", "--pidfile"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ key, want string }{
		{"store", "bbolt:/flag"},
		{"log-level", "error"},
		{"data-dir", "/var/lib/govn"},
		{"pidfile", northd.Flags().Lookup("pidfile").NoOptDefVal},
	} {
		if got := s.str(tt.key); got != tt.want {
			t.Errorf("%s = %q, want %q", tt.key, got, tt.want)
		}
	}
	for _, tt := range []struct {
		key  string
		want []string
	}{
		{"nb-listen", []string{"ptcp:1", "punix:/a"}},
		{"sb-listen", []string{"ptcp:2", "punix:/b"}},
		{"fabric-listen", []string{"tcp:127.0.0.1:1", "unix:/c"}},
	} {
		if got, err := s.list(tt.key); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s = %q, %v; want %q", tt.key, got, err, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	exit := exec.Command("false").Run()
	for _, tt := range []struct {
		err    error
		status int
		out    string
	}{
		{nil, 0, ""},
		{errors.New("no such lab"), 1, "govn x: no such lab\n"},
		{daemon.ErrDetached, 1, ""},
		{exec.Command("sh", "-c", "exit 7").Run(), 7, ""},
		{fmt.Errorf("ovs-vsctl: %w", exit), 1, "govn x: ovs-vsctl: exit status 1\n"},
	} {
		var b strings.Builder
		if status := report(&b, "govn x", tt.err); status != tt.status || b.String() != tt.out {
			t.Errorf("report(%v) = %d, %q; want %d, %q", tt.err, status, b.String(), tt.status, tt.out)
		}
	}
}

// A link to the binary may stand in for the programs of OVN.
func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"/usr/bin/govn nbctl show", "nbctl show"},
		{"/usr/local/bin/ovn-nbctl --db=x show", "nbctl --db=x show"},
		{"ovn-sbctl show", "sbctl show"},
		{"ovn-ic-nbctl ts-list", "ic-nbctl ts-list"},
		{"ovn-ic-sbctl show", "ic-sbctl show"},
		{"govn", ""},
	} {
		if got := strings.Join(commandLine(strings.Fields(tt.args)), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.args, got, tt.want)
		}
	}
}
