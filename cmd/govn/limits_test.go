package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"govn/pkg/ovsdb"
)

// TestLimits: limits come from flags, the environment and the file, and every one
// has its flag.
func TestLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "govn.yaml")
	if err := os.WriteFile(file, []byte("ovsdb-max-message: 32M\novsdb-max-monitors: 5\novsdb-message-timeout: 30s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOVN_OVSDB_MAX_BUFFERS", "2G")
	t.Setenv("GOVN_OVSDB_MAX_ROWS", "none")
	read := func(args ...string) (ovsdb.Limits, error) {
		t.Helper()
		root := newRootCommand()
		northd, _, err := root.Find([]string{"northd"})
		if err != nil {
			t.Fatal(err)
		}
		var l ovsdb.Limits
		var got error
		northd.RunE = func(c *cobra.Command, _ []string) error {
			s, err := load(c)
			if err != nil {
				return err
			}
			l, got = s.limits()
			return nil
		}
		root.SetArgs(append([]string{"northd"}, args...))
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		return l, got
	}
	l, err := read("--config", file, "--ovsdb-max-monitors", "7", "--ovsdb-max-depth", "20", "--ovsdb-max-backlog", "16K",
		"--ovsdb-max-outstanding", "3", "--ovsdb-max-locks", "4", "--ovsdb-max-operations", "9", "--ovsdb-max-work", "8", "--ovsdb-max-connections", "2", "--ovsdb-handshake-timeout", "3s")
	want := ovsdb.Limits{
		MaxMessage: 32 << 20, MaxDepth: 20, MaxBacklog: 16 << 10, MaxBuffers: 2 << 30, MaxOutstanding: 3, MaxMonitors: 7, MaxLocks: 4,
		MaxOperations: 9, MaxRows: -1, MaxWork: 8, MaxConnections: 2, HandshakeTimeout: 3 * time.Second, MessageTimeout: 30 * time.Second,
	}
	if err != nil || l != want {
		t.Errorf("%+v, %v", l, err)
	}
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s has no flag", v.Type().Field(i).Name)
		}
	}
	for _, bad := range [][]string{{"--ovsdb-max-depth", "0"}, {"--ovsdb-max-depth", "5K"}, {"--ovsdb-max-message", "x"}, {"--ovsdb-message-timeout", "5"}, {"--ovsdb-max-buffers", "-1"}} {
		if _, err := read(bad...); !errors.Is(err, errLimit) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
