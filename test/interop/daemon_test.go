package interop

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/sim/lab/unixctl"
)

// asProgram makes the test binary run a program of govn: a daemon starts its own
// binary again.
const asProgram = "INTEROP_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(asProgram); name != "" {
		os.Exit(programs()[name].Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	// Parallel tests wait: for probes, backoff, and leases of real programs.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// process runs a command line, of the stock program or of govn's, and returns
// what it prints and its status.
func process(t *testing.T, kind, program string, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ovn-"+program+"ctl", args...)
	if kind == "govn" {
		cmd = exec.CommandContext(ctx, "/proc/self/exe", args...)
		env = append(env, asProgram+"="+program)
	}
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	message := warningPattern.ReplaceAllString(caretPattern.ReplaceAllString(normal(logPattern.ReplaceAllString(stderr.String(), "")), ""), "")
	return normal(stdout.String()) + message
}

// handed are command lines that a client hands to the daemon, and some that it
// does not.
var handed = [][]string{
	{"ls-add", "sw0"},
	{"ls-add", "sw0"},
	{"--may-exist", "ls-add", "sw0", "--", "lsp-add", "sw0", "p0"},
	{"--", "--may-exist", "ls-add", "sw0", "--", "ls-list"},
	{"show"},
	{"nonsense"},
	{"--nonsense"},
	{"ls-add", "a", "b"},
	{"--dry-run", "ls-add", "dry"},
	{"ls-list"},
	{"--oneline", "ls-list", "--", "lsp-list", "sw0"},
	{"-f", "table", "--columns=name", "list", "Logical_Switch"},
	{"--format=csv", "--no-headings", "--data=bare", "--columns=name,ports", "list", "Logical_Switch"},
	{"-f", "json", "--pretty", "--columns=name", "list", "Logical_Switch"},
	{"--bare", "--columns=name", "list", "Logical_Switch"},
	{"--wait=xx", "ls-list"},
	{"--no-wait", "--no-leader-only", "--no-shuffle-remotes", "ls-list"},
	{"--timeout=5", "get", "Logical_Switch", "sw0", "name"},
	{"get", "Logical_Switch", "nope", "name"},
	{"set", "Logical_Switch", "sw0", "other_config:a=b c"},
	{"get", "Logical_Switch", "sw0", "other_config"},
	{"--db=unix:/nonexistent", "ls-list"},
	{"ls-del", "sw0"},
}

// A daemon of either kind serves clients of either kind, and it makes no
// difference to what they print.
func TestDaemon(t *testing.T) {
	want := ""
	for _, server := range []string{"stock", "govn"} {
		for _, client := range []string{"stock", "govn"} {
			dir := t.TempDir()
			remote := stockServer(t)
			env := []string{"OVN_NB_DB=" + remote["nb"], "OVN_RUNDIR=" + dir, "OVN_LOGDIR=" + dir}
			out := process(t, server, "nb", env, "--detach", "--pidfile", "--log-file="+filepath.Join(dir, "log"))
			sock := strings.TrimSpace(out)
			if ok, err := filepath.Match(filepath.Join(dir, "ovn-nbctl.*.ctl"), sock); !ok || err != nil {
				t.Fatalf("%s: --detach prints %q", server, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "ovn-nbctl.pid")); err != nil {
				t.Error(err)
			}
			daemon, err := unixctl.Dial(t.Context(), sock)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, args := range handed {
				// The client cannot reach the database: the daemon does.
				clientEnv := []string{"OVN_NB_DB=unix:/nonexistent", "OVN_NB_DAEMON=" + sock}
				got.WriteString(strings.Join(args, " ") + "\n" + process(t, client, "nb", clientEnv, args...))
			}
			got.WriteString(process(t, client, "nb", []string{"OVN_NB_DB=unix:/nonexistent"}, "-u", sock, "ls-list"))
			got.WriteString(process(t, client, "nb", []string{"OVN_NB_DAEMON=/nonexistent"}, "ls-list"))
			if want == "" {
				want = got.String()
			} else if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("daemon of %s, client of %s (-both stock +got):\n%s", server, client, diff)
			}
			if _, err := daemon.Call(t.Context(), "exit"); err != nil {
				t.Error(err)
			}
			daemon.Close()
		}
	}
	for _, phrase := range []string{"switch <uuid> (sw0)", "unknown command", "could not connect to ovn-nbctl daemon"} {
		if !strings.Contains(want, phrase) {
			t.Errorf("nothing says %q:\n%s", phrase, want)
		}
	}
}

// The southbound program has a daemon too.
func TestDaemonSouthbound(t *testing.T) {
	for _, server := range []string{"stock", "govn"} {
		dir := t.TempDir()
		sock := filepath.Join(dir, "my.ctl")
		remote := stockServer(t)
		process(t, server, "sb", []string{"OVN_SB_DB=" + remote["sb"], "OVN_RUNDIR=" + dir}, "--detach", "-u", sock)
		for _, client := range []string{"stock", "govn"} {
			env := []string{"OVN_SB_DB=unix:/nonexistent", "OVN_SB_DAEMON=" + sock}
			if got := process(t, client, "sb", env, "--may-exist", "chassis-add", "hv1", "geneve", "10.0.0.1", "--", "get", "Chassis", "hv1", "name"); got != "hv1\n" {
				t.Errorf("daemon of %s, client of %s: %q", server, client, got)
			}
		}
		daemon, err := unixctl.Dial(t.Context(), sock)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.Call(t.Context(), "exit"); err != nil {
			t.Error(err)
		}
		daemon.Close()
	}
}
