package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"govn/pkg/eventually"
)

// asDaemon makes the test binary a daemon that runs in the directory.
const asDaemon = "DAEMON_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asDaemon); dir != "" {
		os.Exit(daemonMain(dir, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

func daemonMain(dir string, args []string) int {
	o := Options{
		Program: "govn-test",
		Version: "1.2.3",
		Pidfile: filepath.Join(dir, "test.pid"),
		Unixctl: filepath.Join(dir, "test.ctl"),
		LogFile: filepath.Join(dir, "test.log"),
		Detach:  true,
	}
	err := Run(o, func(ctx context.Context, d *Daemon) error {
		if len(args) > 0 && args[0] == "fail" {
			return errors.New("no such database")
		}
		if len(args) > 0 && args[0] == "die" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if err := os.WriteFile(filepath.Join(dir, "socket"), nil, 0o600); err != nil {
			return err
		}
		d.Ready()
		<-ctx.Done()
		return nil
	})
	if err != nil {
		if !errors.Is(err, ErrDetached) {
			fmt.Fprintf(os.Stderr, "test daemon: %v\n", err)
		}
		return 1
	}
	return 0
}

// run starts the test binary as a daemon in dir; it returns when the parent has
// exited and nobody holds its standard error any more.
func run(t *testing.T, dir string, args ...string) (stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asDaemon+"="+dir)
	var b bytes.Buffer
	cmd.Stderr = &b
	err = cmd.Run()
	return b.String(), err
}

func readPid(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "test.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until the path does not exist.
func gone(t *testing.T, path string) {
	t.Helper()
	eventually.That(t, "removal of "+path, func() bool {
		_, err := os.Stat(path)
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestDetach(t *testing.T) {
	dir := t.TempDir()
	if out, err := run(t, dir); err != nil || out != "" {
		t.Fatalf("detach: %v, %q", err, out)
	}
	for _, f := range []string{"test.pid", "test.ctl", "socket"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Errorf("when the parent exits: %v", err)
		}
	}
	pid := readPid(t, dir)

	out, err := run(t, dir)
	if err == nil || !strings.Contains(out, fmt.Sprintf("already running as pid %d", pid)) {
		t.Errorf("second daemon on one pidfile: %v, %q", err, out)
	}
	if readPid(t, dir) != pid {
		t.Error("the second daemon changed the pidfile")
	}

	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	gone(t, filepath.Join(dir, "test.pid"))
	if _, err := os.Stat(filepath.Join(dir, "test.ctl")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("control socket after the end: %v", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "test.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range []string{"msg=started", "msg=ready", "msg=stopped"} {
		if !strings.Contains(string(log), msg) {
			t.Errorf("log has no %q:\n%s", msg, log)
		}
	}
}

// A daemon that fails before it is ready says why, once, and the parent fails.
func TestDetachFailure(t *testing.T) {
	for _, tt := range []struct{ how, want string }{
		{"fail", "test daemon: no such database\n"},
		{"die", "test daemon: detach: the background process was ended: signal: killed\n"},
	} {
		out, err := run(t, t.TempDir(), tt.how)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: %v, want exit status 1", tt.how, err)
		}
		if out != tt.want {
			t.Errorf("%s: printed %q, want %q", tt.how, out, tt.want)
		}
	}
}

// A pidfile left behind by kill -9 is taken over.
func TestStaleFiles(t *testing.T) {
	dir := t.TempDir()
	if out, err := run(t, dir); err != nil {
		t.Fatal(err, out)
	}
	old := readPid(t, dir)
	syscall.Kill(old, syscall.SIGKILL)
	eventually.That(t, "end of the first daemon", func() bool { return !locked(dir) })
	if out, err := run(t, dir); err != nil {
		t.Fatal(err, out)
	}
	if pid := readPid(t, dir); pid == old {
		t.Error("the pidfile still names the dead daemon")
	} else {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	gone(t, filepath.Join(dir, "test.pid"))
}

func locked(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "test.pid"))
	if err != nil {
		return false
	}
	defer f.Close()
	return (&pidfile{f: f}).owner() != ""
}

// inProcess runs a daemon in this process until the test ends.
func inProcess(t *testing.T, o Options) *Daemon {
	t.Helper()
	o.Program, o.Version = "govn-test", "1.2.3"
	if o.Unixctl == "" {
		o.Unixctl = filepath.Join(t.TempDir(), "ctl")
	}
	up, done := make(chan *Daemon), make(chan error, 1)
	go func() {
		done <- Run(o, func(ctx context.Context, d *Daemon) error {
			d.Ready()
			up <- d
			<-ctx.Done()
			return nil
		})
	}()
	select {
	case d := <-up:
		t.Cleanup(func() {
			d.exit()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return d
	case err := <-done:
		t.Fatal(err)
		return nil
	}
}

func TestMetrics(t *testing.T) {
	d := inProcess(t, Options{Metrics: "127.0.0.1:0", LogFile: filepath.Join(t.TempDir(), "log")})
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "govn_test_total", Help: "Things tested."})
	d.Registry.MustRegister(c)
	c.Add(3)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("http://" + d.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"govn_test_total 3\n", `govn_build_info{program="govn-test",version="1.2.3"} 1`, "go_goroutines"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{LogLevel: "loud"},
		{LogFile: filepath.Join(file, "log")},
		{Pidfile: filepath.Join(file, "pid")},
		{Unixctl: file}, // is there and no socket
		{Metrics: "nowhere", Unixctl: "none"},
	} {
		err := Run(o, func(context.Context, *Daemon) error { t.Errorf("%+v: ran", o); return nil })
		if err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
