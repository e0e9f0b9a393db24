package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"govn/pkg/daemon"
)

// A daemon runs command lines that others hand it: ovn-nbctl(8), Daemon Mode.
//
//	$OVN_NB_DAEMON or -u PATH
//	client  --- "run" [OPTION]... "--" COMMAND [ARG]... --->  govn nbctl --detach
//	        <-- what it prints, or why it failed -----------
//
// Either end may be the stock program. govn's daemon connects for every command
// line: it has no copy of the database that could be old.

// remoteOptions are the options of a command line that a client hands to the
// daemon; the others concern the client, or the daemon when it was started.
var remoteOptions = []string{
	"no-wait", "wait", "print-wait-time", "dry-run", "oneline", "timeout",
	"format", "data", "no-headings", "pretty", "bare", "max-column-width",
}

// program is the name of the stock program, of which the names of files are
// made that scripts know.
func (p *Program) program() string { return "ovn-" + strings.TrimPrefix(p.Name, "govn ") }

// socket is the control socket of the daemon to hand the command line to, ""
// for none.
func (r *run) socket() string {
	path := r.o.unixctl
	if path == "" && r.p.DaemonEnv != "" {
		path = r.p.getenv(r.p.DaemonEnv)
	}
	switch {
	case r.o.detach:
		return ""
	case path != "" && r.o.dbGiven:
		fmt.Fprintf(r.stderr, "%s: warning: not using the daemon %s because of --db\n", r.p.Name, path)
		return ""
	}
	return path
}

// delegate hands the command line to a daemon. rest is what follows the options.
func (r *run) delegate(ctx context.Context, path string, local []localOption, rest []string) error {
	var args []string
	for _, o := range slices.Concat(r.o.remote, local) {
		arg := "--" + strings.TrimPrefix(o.name, "--")
		if o.given {
			arg += "=" + o.value
		}
		args = append(args, arg)
	}
	args = append(append(args, "--"), rest...)
	if r.o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.o.timeout, errTimeout)
		defer cancel()
	}
	out, err := callDaemon(ctx, path, args)
	var refused refusal
	var e syscall.Errno
	switch {
	case errors.As(err, &refused):
		return refused
	case err == nil:
		_, err = io.WriteString(r.stdout, out)
		return err
	case errors.As(err, &e):
		return timedOut(ctx, fmt.Errorf("%s: could not connect to %s daemon (%s); unset %s to avoid using daemon",
			path, r.p.program(), sentence(e.Error()), r.p.DaemonEnv))
	}
	return timedOut(ctx, fmt.Errorf("%s: transaction error (%w)", path, err))
}

// sentence begins with a capital, as messages of the C library do.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// refusal is what a daemon answers to a command line that fails.
type refusal string

func (s refusal) Error() string { return strings.TrimRight(string(s), "\n") }

// callDaemon runs the command "run" of a control socket.
func callDaemon(ctx context.Context, path string, args []string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request, err := json.Marshal(map[string]any{"method": "run", "params": args, "id": 0})
	if err != nil {
		return "", err
	}
	if _, err := conn.Write(request); err != nil {
		return "", err
	}
	var reply struct{ Result, Error *string }
	if err := json.NewDecoder(conn).Decode(&reply); err != nil {
		return "", fmt.Errorf("no reply: %v", err) // %v: it was connected
	}
	if reply.Error != nil {
		return "", refusal(*reply.Error)
	}
	if reply.Result == nil {
		return "", errors.New("the reply has no result")
	}
	return *reply.Result, nil
}

// serve is the daemon. Its control socket is printed for $OVN_NB_DAEMON.
func (r *run) serve() error {
	o := daemon.Options{Program: r.p.program(), Version: r.p.Version, Detach: true, Unixctl: r.o.unixctl, LogFile: r.o.logFile, LogLevel: "info"}
	if r.o.logFile == "" {
		o.LogLevel = "warn" // to the terminal, as long as there is one
	}
	if r.o.user != "" {
		return errors.New("option '--user' is not supported: start the daemon as that user")
	}
	if o.LogFile == defaultFile {
		o.LogFile = filepath.Join(daemon.LogDir(), o.Program+".log")
	}
	if o.Pidfile = r.o.pidfile; o.Pidfile == defaultFile {
		o.Pidfile = filepath.Join(daemon.RunDir(), o.Program+".pid")
	} else if o.Pidfile != "" && !filepath.IsAbs(o.Pidfile) {
		o.Pidfile = filepath.Join(daemon.RunDir(), o.Pidfile)
	}
	return daemon.Run(o, func(ctx context.Context, d *daemon.Daemon) error {
		d.Handle("run", "[OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...", 0, math.MaxInt, func(ctx context.Context, args []string) (string, error) {
			d.Logger.Info("run", "args", strings.Join(args, " "))
			out, warnings, err := r.p.runFor(ctx, r.o, args)
			if warnings != "" {
				d.Logger.Warn("run", "warnings", strings.TrimSuffix(warnings, "\n"))
			}
			return out, err
		})
		fmt.Fprintln(r.stdout, d.ControlPath())
		d.Ready()
		<-ctx.Done()
		return nil
	})
}

// runFor runs a command line for a client. base are the options of the daemon.
func (p *Program) runFor(ctx context.Context, base settings, args []string) (out, warnings string, err error) {
	var stdout, stderr bytes.Buffer
	r := &run{p: p, stdout: &stdout, stderr: &stderr, start: time.Now(), o: base}
	r.o.detach, r.o.unixctl, r.o.forClient = false, "", true
	local, rest, err := p.parseOptions(&r.o, args)
	if err != nil {
		return "", "", err
	}
	if r.commands, err = p.parseCommands(local, rest); err != nil {
		return "", "", err
	}
	err = r.connectAndExecute(ctx)
	return stdout.String(), stderr.String(), err
}
