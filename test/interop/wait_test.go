package interop

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// servers are the two kinds of servers that commands run against.
func servers(t *testing.T, f func(t *testing.T, remote map[string]string)) {
	t.Run("ovsdb-server", func(t *testing.T) { f(t, stockServer(t)) })
	t.Run("govn", func(t *testing.T) { f(t, govnServer(t)) })
}

// must runs a command line of govn nbctl and returns what it prints.
func must(t *testing.T, remote map[string]string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stdout, stderr, status := ours(remote)(ctx, "nb", args)
	if status != 0 {
		t.Errorf("%s: status %d\n%s", strings.Join(args, " "), status, stderr)
	}
	return stdout
}

// wait-until sees what others do, and goes on.
func TestWaitUntil(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		var wg sync.WaitGroup
		wg.Go(func() {
			must(t, remote, "wait-until", "Logical_Switch", "sw0", "other_config:go=yes", "--", "lsp-add", "sw0", "after")
		})
		must(t, remote, "ls-add", "sw0")
		must(t, remote, "set", "Logical_Switch", "sw0", "other_config:go=no")
		must(t, remote, "set", "Logical_Switch", "sw0", "other_config:go=yes")
		wg.Wait()
		if got := must(t, remote, "lsp-list", "sw0"); !strings.Contains(got, "(after)") {
			t.Errorf("lsp-list prints %q", got)
		}
	})
}

// --wait counts nb_cfg up in the same transaction and waits for the answer; a
// transaction that changes nothing does not, unless it says sync.
func TestWaitForNorthd(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		must(t, remote, "init")
		for i, tt := range []struct {
			wait    string
			columns []string
		}{
			{"sb", []string{"sb_cfg=1"}},
			{"hv", []string{"sb_cfg=2", "hv_cfg=2"}},
		} {
			var wg sync.WaitGroup
			wg.Go(func() { // in place of northd
				must(t, remote, "wait-until", "NB_Global", ".", fmt.Sprintf("nb_cfg=%d", i+1))
				for _, set := range tt.columns {
					must(t, remote, "set", "NB_Global", ".", set)
				}
			})
			must(t, remote, "--wait="+tt.wait, "--print-wait-time", "ls-add", "sw"+tt.wait)
			wg.Wait()
		}
		must(t, remote, "--wait=hv", "ls-list")
		if got := must(t, remote, "get", "NB_Global", ".", "nb_cfg"); got != "2\n" {
			t.Errorf("nb_cfg is %s, want 2: a command that only looks must not count", got)
		}
		stdout, stderr, status := ours(remote)(t.Context(), "nb", []string{"-t", "1", "--wait=sb", "sync"})
		if stdout != "" || status != 142 || stderr != "govn nbctl: terminating with signal 14 (Alarm clock)\n" {
			t.Errorf("sync without northd: status %d, %q", status, stderr)
		}
		if got := must(t, remote, "get", "NB_Global", ".", "nb_cfg"); got != "3\n" {
			t.Errorf("nb_cfg is %s, want 3", got)
		}
	})
}

// Commands that run at the same time lose nothing: sets are changed by mutation,
// and who relied on something that changed begins again.
func TestConcurrentCommands(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		must(t, remote, "ls-add", "sw0", "--", "create", "Address_Set", "name=as")
		var wg sync.WaitGroup
		const workers, rounds = 6, 5
		for w := range workers {
			wg.Go(func() {
				for i := range rounds {
					name := fmt.Sprintf("w%d-%d", w, i)
					must(t, remote, "lsp-add", "sw0", name)
					must(t, remote, "add", "Address_Set", "as", "addresses", name)
				}
			})
		}
		wg.Wait()
		if got := strings.Count(must(t, remote, "lsp-list", "sw0"), "\n"); got != workers*rounds {
			t.Errorf("%d ports, want %d", got, workers*rounds)
		}
		if got := strings.Count(must(t, remote, "get", "Address_Set", "as", "addresses"), "-"); got != workers*rounds {
			t.Errorf("%d addresses, want %d", got, workers*rounds)
		}
	})
}

// What is asked for by name does not come with the rest of the table: the reply
// stays small.
func TestNamedRowsOnly(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		args := []string{"ls-add", "sw0"}
		for i := range 300 {
			args = append(args, "--", "lsp-add", "sw0", fmt.Sprintf("port%d", i))
		}
		must(t, remote, args...)
		for _, args := range [][]string{
			{"lsp-get-up", "port7"},
			{"lsp-add", "sw0", "new"},
			{"get", "Logical_Switch_Port", "port7", "addresses"},
			{"set", "Logical_Switch_Port", "port7", "external_ids:a=b"},
			{"list", "Logical_Switch_Port", "port7"},
		} {
			_, trace, status := ours(remote)(t.Context(), "nb", append([]string{"-v"}, args...))
			if status != 0 || strings.Contains(trace, "port8") {
				t.Errorf("%v: status %d, and other ports in the messages: %t", args, status, strings.Contains(trace, "port8"))
			}
		}
	})
}

// Interrupting a command ends it.
func TestCancel(t *testing.T) {
	remote := stockServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		_, _, status := ours(remote)(ctx, "nb", []string{"wait-until", "Logical_Switch", "never"})
		done <- status
	}()
	cancel()
	select {
	case status := <-done:
		if status != 1 {
			t.Errorf("status %d, want 1", status)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the command goes on")
	}
}

// BenchmarkStartup compares whole runs of both programs, started as processes:
// go test -bench Startup needs govn in the PATH.
func BenchmarkStartup(b *testing.B) {
	remote := stockServer(b)
	for _, command := range [][]string{{"ovn-nbctl"}, {"govn", "nbctl"}} {
		if _, err := exec.LookPath(command[0]); err != nil {
			b.Logf("%s is not in the PATH", command[0])
			continue
		}
		b.Run(command[0], func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(command[0], append(command[1:], "--db="+remote["nb"], "show")...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				if err := cmd.Run(); err != nil {
					b.Fatalf("%v\n%s", err, stderr.String())
				}
			}
		})
	}
}
