package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is a part of a run of icscale where this program is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "icscale" && os.Args[2] == icPartName {
		main()
		return
	}
	os.Exit(m.Run())
}

// Three zones learn each other's routes, by either way; the table says so.
func TestICScale(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table")
	if err := measureICScale(t.Context(), []string{"-zones", "2,3", "-routes", "2", "-n", "2", "-out", file, "-timeout", "1m"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	columns := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		switch {
		case strings.HasPrefix(line, "| system "):
			columns = len(cells)
		case strings.HasPrefix(line, "| govn"):
			if len(cells) != columns || strings.TrimSpace(cells[9]) == "0" {
				t.Errorf("%d cells under %d columns: %s", len(cells), columns, line)
			}
			rows = append(rows, strings.Join([]string{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}, " "))
		}
	}
	// Each zone learns two static routes and a network of each other one.
	if got, want := strings.Join(rows, ", "), "govn-fabric 2 6, govn-ovsdb 2 6, govn-fabric 3 18, govn-ovsdb 3 18"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A row of the table has what was measured, in the order of the columns.
func TestICScaleRow(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	r := icScaleResult{zones: 10, learned: 90, converged: ms(1500), centreCPU: ms(200), agentsCPU: ms(300), centreKiB: 50 << 10, agentsKiB: 405 << 10,
		one: []time.Duration{ms(2), ms(3), ms(9)}, centrePerRoute: ms(1), agentsPerRoute: ms(4)}
	if got, want := r.row("x"), "| x | 10 | 90 | 1.5 | 0.2 | 0.3 | 50 | 40.5 | 3.0 | 9.0 | 1.0 | 4.0 |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What cannot be measured is refused before anything runs.
func TestICScaleArguments(t *testing.T) {
	for args, want := range map[string]string{
		"-zones 1":              `-zones "1": "1" is not a number from 2 to 250`,
		"-zones 2,x":            `-zones "2,x"`,
		"-routes 251":           "-routes 251: 1 to 250",
		"-systems stock,nobody": `"nobody" is none of `,
		"part":                  `want "centre DIR"`,
		"part centre":           `want "centre DIR"`,
		"part agents dir x":     `want "centre DIR"`,
	} {
		if err := measureICScale(t.Context(), strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
