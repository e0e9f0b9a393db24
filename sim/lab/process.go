package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CommandError is a program of the lab that failed.
type CommandError struct {
	Argv   []string
	Stderr string // its last lines
	Err    error
}

func (e *CommandError) Error() string {
	msg := fmt.Sprintf("%q: %v", strings.Join(e.Argv, " "), e.Err)
	if e.Stderr != "" {
		msg += ": " + e.Stderr
	}
	return msg
}

// Unwrap returns why the program did not run or was ended. That it ran and
// failed is not passed on as an [*exec.ExitError]: that one is for programs
// that a user runs on a node, whose status is theirs.
func (e *CommandError) Unwrap() error {
	if _, ok := e.Err.(*exec.ExitError); ok {
		return nil
	}
	return e.Err
}

const maxMessage = 2000 // bytes of a command line or of standard error in a message

// command prepares a program in a namespace ("": the one we are in). It does not
// outlive us: what is half built then shall not go on growing. Daemons that have
// detached do.
func command(ctx context.Context, ns string, argv ...string) *exec.Cmd {
	if ns != "" {
		argv = append([]string{"ip", "netns", "exec", ns}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

// run runs a program to its end and returns its standard output.
func run(ctx context.Context, ns string, argv ...string) (string, error) {
	return finish(command(ctx, ns, argv...), argv)
}

func finish(cmd *exec.Cmd, argv []string) (string, error) {
	var out, errOut bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), &CommandError{Argv: shorten(argv), Stderr: tail(errOut.String()), Err: err}
	}
	return out.String(), nil
}

func shorten(argv []string) []string {
	size := 0
	for i, a := range argv {
		if size += len(a) + 1; size > maxMessage {
			return append(slices.Clone(argv[:i]), "...")
		}
	}
	return argv
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxMessage {
		s = "..." + s[len(s)-maxMessage:]
	}
	return s
}

// runDaemon starts a program that detaches by itself. Its output goes to a
// file and not to a pipe, since the detached process may keep it open.
func runDaemon(ctx context.Context, ns, outFile string, env []string, argv ...string) error {
	f, err := os.OpenFile(outFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("output of %s: %w", argv[0], err)
	}
	defer f.Close()
	start, err := f.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("output of %s: %w", argv[0], err)
	}
	cmd := command(ctx, ns, argv...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(outFile)
		return &CommandError{Argv: shorten(argv), Stderr: tail(string(said[min(int(start), len(said)):])), Err: err}
	}
	return nil
}

// readPid reads a pidfile. The process may be gone.
func readPid(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("pidfile: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("pidfile %s: %q is not a process id", path, data)
	}
	return pid, nil
}

// hasPidfile tells whether a process was started with this pidfile, or with one
// below this directory if it ends in a slash. A pid may have been given to some
// other process since the pidfile was written.
func hasPidfile(pid int, path string) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return false
	}
	want := "--pidfile=" + path
	for arg := range strings.SplitSeq(string(data), "\x00") {
		if arg == want || strings.HasSuffix(want, "/") && strings.HasPrefix(arg, want) {
			return true
		}
	}
	return false
}

// running is the pid behind a pidfile, or 0 if that process is gone.
func running(pidfile string) int {
	pid, err := readPid(pidfile)
	if err != nil || !hasPidfile(pid, pidfile) {
		return 0
	}
	return pid
}

// daemonsIn lists the processes with a pidfile below dir.
func daemonsIn(dir string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && hasPidfile(pid, filepath.Clean(dir)+"/") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// end ends processes and waits until they are gone: SIGTERM, and SIGKILL for
// those that are there after the grace period.
func end(pids []int, grace time.Duration) error {
	var open []int // pidfds
	defer func() {
		for _, fd := range open {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return fmt.Errorf("process %d: %w", pid, err)
		}
		open = append(open, fd)
		if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	left, err := waitGone(open, grace)
	if err != nil || len(left) == 0 {
		return err
	}
	for _, fd := range left {
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill: %w", err)
		}
	}
	left, err = waitGone(left, 10*time.Second)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d of the processes %v survive SIGKILL", len(left), pids)
	}
	return err
}

// waitGone waits until the processes behind the pidfds have ended and returns
// those that have not.
func waitGone(fds []int, d time.Duration) ([]int, error) {
	left := slices.Clone(fds)
	deadline := time.Now().Add(d)
	for len(left) > 0 {
		ms := int(time.Until(deadline).Milliseconds())
		if ms <= 0 {
			return left, nil
		}
		poll := make([]unix.PollFd, len(left))
		for i, fd := range left {
			poll[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		}
		if _, err := unix.Poll(poll, ms); err != nil && !errors.Is(err, unix.EINTR) {
			return left, fmt.Errorf("wait for processes: %w", err)
		}
		next := left[:0]
		for i, fd := range left {
			if poll[i].Revents == 0 {
				next = append(next, fd)
			}
		}
		left = next
	}
	return nil, nil
}

// Signal sends a signal to a daemon of a node ("northd", "controller",
// "vswitchd", "ovsdb"; "nb" and "sb" of a stock central). With SIGKILL it
// returns when the process is gone.
func (l *Lab) Signal(node, daemon string, sig unix.Signal) error {
	pidfile := filepath.Join(l.dir, node, daemon+".pid")
	pid := running(pidfile)
	if pid == 0 {
		return fmt.Errorf("%s of %q: %w", daemon, node, ErrNotRunning)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("%s of %q: %w", daemon, node, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return fmt.Errorf("%s of %q: %w", daemon, node, err)
	}
	if sig == unix.SIGKILL || sig == unix.SIGTERM {
		left, err := waitGone([]int{fd}, 10*time.Second)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%s of %q (process %d) is still there", daemon, node, pid)
		}
	}
	return nil
}

// Pid is the process id of a daemon, or 0 if it does not run.
func (l *Lab) Pid(node, daemon string) int {
	return running(filepath.Join(l.dir, node, daemon+".pid"))
}
