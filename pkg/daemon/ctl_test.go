package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// appctl runs the stock ovs-appctl against the daemon.
func appctl(t *testing.T, d *Daemon, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("ovs-appctl", append([]string{"-t", d.opts.Unixctl, "-T", "10"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", errors.New(errs.String())
	}
	return out.String(), nil
}

func TestAppctl(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	d := inProcess(t, Options{LogFile: path})
	d.Handle("echo", "WORD...", 1, 2, func(_ context.Context, args []string) (string, error) {
		if args[0] == "bad" {
			return "", errors.New("bad word")
		}
		return strings.Join(args, "+"), nil
	})
	d.AddMemory(func(add func(string, uint64)) { add("rows", 7) })

	for _, tt := range []struct {
		args string
		want string // part of the output
		err  string // part of the error
	}{
		{args: "version", want: "govn-test 1.2.3\n"},
		{args: "list-commands", want: "  echo                    WORD...\n"},
		{args: "list-commands", want: "  vlog/set "},
		{args: "echo a b", want: "a+b\n"},
		{args: "echo", err: `"echo" command requires at least 1 arguments`},
		{args: "echo a b c", err: `"echo" command takes at most 2 arguments`},
		{args: "echo bad", err: "bad word"},
		{args: "nonesuch", err: `"nonesuch" is not a valid command`},
		{args: "vlog/list", want: "govn-test            INFO"},
		{args: "vlog/set dbg"},
		{args: "vlog/list", want: "DBG"},
		{args: "vlog/set ANY:file:warn"},
		{args: "vlog/list", want: "WARN"},
		{args: "vlog/set loud", err: `unknown log level "loud"`},
		{args: "vlog/list", want: "WARN"},
		{args: "vlog/set info"},
		{args: "coverage/show", want: "go_memstats_mallocs_total"},
		{args: "memory/show", want: "rows:7"},
		{args: "exit --now", err: `unknown option "--now"`},
	} {
		out, err := appctl(t, d, strings.Fields(tt.args)...)
		switch {
		case tt.err == "" && err != nil:
			t.Errorf("%s: %v", tt.args, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: error %v, want %q", tt.args, err, tt.err)
		case !strings.Contains(out, tt.want):
			t.Errorf("%s: %q, want %q", tt.args, out, tt.want)
		}
	}
}

func TestReopenAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	d := inProcess(t, Options{LogFile: path})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	do := func(cmd string) {
		t.Helper()
		if _, err := appctl(t, d, cmd); err != nil {
			t.Fatal(err)
		}
	}
	do("vlog/reopen")
	d.Logger.Info("after")
	do("vlog/close")
	d.Logger.Info("closed")
	do("vlog/reopen")
	d.Logger.Info("again")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); !strings.Contains(s, "msg=after") || strings.Contains(s, "msg=closed") || !strings.Contains(s, "msg=again") {
		t.Errorf("log after reopen, close, reopen:\n%s", s)
	}
}

// exit is answered before the daemon ends.
func TestExit(t *testing.T) {
	for _, args := range [][]string{{"exit"}, {"exit", "--restart"}} {
		path := filepath.Join(t.TempDir(), "ctl")
		up, done := make(chan *Daemon, 1), make(chan error, 1)
		go func() {
			done <- Run(Options{Program: "govn-test", Unixctl: path, LogLevel: "off"}, func(ctx context.Context, d *Daemon) error {
				up <- d
				<-ctx.Done()
				return nil
			})
		}()
		d := <-up
		if out, err := appctl(t, d, args...); err != nil {
			t.Errorf("%v: %v %q", args, err, out)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if d.Restarting() != (len(args) == 2) {
			t.Errorf("%v: Restarting() = %v", args, d.Restarting())
		}
	}
}

// Garbage ends the connection it came on, is logged, and hurts nobody else.
func TestGarbage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	d := inProcess(t, Options{LogFile: path})
	for _, s := range []string{
		"{}", "[]", "null\n", "1\n", "\x00\xff", "}", "{]",
		`{"id":null,"method":"version","params":[]}`,
		`{"id":0,"params":[]}`,
		`{"id":0,"method":7,"params":[]}`,
		`{"id":0,"method":"version","params":{}}`,
		`{"id":0,"method":"version","params":[1]}`,
		strings.Repeat("[", 100_000),
		`{"id":0,"method":"` + strings.Repeat("x", maxRequest),
	} {
		c, err := net.Dial("unix", d.opts.Unixctl)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		// The write fails when the daemon has had enough.
		_, _ = io.WriteString(c, s)
		got, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) || len(got) > 0 {
			t.Errorf("%.40q: answered %q, %v", s, got, err)
		}
		c.Close()
		if out, err := appctl(t, d, "version"); err != nil {
			t.Fatalf("after %.40q: %v %q", s, err, out)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "control connection closed"); n != 14 {
		t.Errorf("%d lines in the log for 14 bad connections:\n%s", n, b)
	}
}

// Several requests on one connection are answered in order.
func TestPipelined(t *testing.T) {
	d := inProcess(t, Options{LogLevel: "off"})
	c, err := net.Dial("unix", d.opts.Unixctl)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := `{"id":1,"method":"version","params":[]}{"id":"two","method":"version"}`
	want := `{"result":"govn-test 1.2.3\n","error":null,"id":1}{"result":"govn-test 1.2.3\n","error":null,"id":"two"}`
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, req); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// Nothing on the control socket makes the daemon panic.
func FuzzCtl(f *testing.F) {
	f.Add([]byte(`{"id":0,"method":"version","params":[]}`))
	f.Add([]byte(`{"id":0,"method":"vlog/set","params":["any:file:dbg"]}`))
	f.Add([]byte(`{"id":{},"method":"","params":null}{}`))
	c := &ctl{commands: map[string]command{
		"version":  {name: "version", fn: func(context.Context, []string) (string, error) { return "v", nil }},
		"vlog/set": {name: "vlog/set", max: 3, fn: func(_ context.Context, a []string) (string, error) { return "", (&log{}).set("p", a) }},
	}}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); _, _ = io.Copy(io.Discard, theirs) }()
		go func() { _, _ = theirs.Write(b); theirs.Close() }()
		if err := c.serve(t.Context(), ours); err == nil && len(b) > 0 && b[0] == '}' {
			t.Error("garbage was taken for a request")
		}
		ours.Close()
		<-done
	})
}
