package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// guardEnv makes a program that calls [Guarded] the guard of a directory.
const guardEnv = "GOVN_LAB_GUARD"

// guardLimit is how long a guard may take for each lab that was left.
const guardLimit = time.Minute

// Guarded does work with a directory for the run directories of labs, under a
// guard: a process that takes down the labs that are left there when this program has
// ended, however it did: after Ctrl-C, SIGKILL, a panic, the time limit of a test.
// The directory goes with them.
//
//	this program ----- pipe ----- guard, in a session of its own
//	   | builds                     | reads: the end comes with the end of the program
//	   +------> DIR/.../state.json <+ Down
//
// The directory is a new one, below that for temporary files, with a name that begins
// with prefix. The result is that of the work, or 1 where that is 0 and something
// could not be removed; messages go to standard error. The guard is this program again,
// started anew: Guarded must be what it does first, and does not return in the guard.
func Guarded(prefix string, work func(dir string) (status int)) (status int) {
	if dir := os.Getenv(guardEnv); dir != "" {
		_, err := io.Copy(io.Discard, os.Stdin)
		os.Exit(exitStatus(errors.Join(err, takeDown(dir))))
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return exitStatus(err)
	}
	guard := exec.Command("/proc/self/exe")
	guard.Env = append(os.Environ(), guardEnv+"="+dir)
	guard.Stderr = os.Stderr
	// What ends this program and all that belongs to it shall not end the guard.
	guard.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	pipe, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		return exitStatus(errors.Join(err, os.Remove(dir)))
	}
	defer func() { status = max(status, exitStatus(errors.Join(pipe.Close(), guard.Wait()))) }()
	return work(dir)
}

// exitStatus tells an error, and is the status to end with.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "guard of labs:", err)
	return 1
}

// takeDown takes down all labs below a directory, and removes it.
func takeDown(root string) error {
	var errs []error
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != stateFile {
			return err
		}
		dir := filepath.Dir(path)
		if err := downIn(dir); err != nil {
			errs = append(errs, fmt.Errorf("lab in %s: %w", dir, err))
		}
		return fs.SkipDir
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	return os.RemoveAll(root)
}

// downIn takes down the lab of a run directory.
func downIn(dir string) error {
	s, err := loadState(dir)
	if err != nil || s == nil {
		return err
	}
	l, err := New(&Config{Name: s.Name}, Options{Dir: dir})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), guardLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		// Its files are closed one after the other when a program ends: the pipe,
		// and some time later the lock of the lab.
		if err := l.Down(ctx); !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
		}
	}
}
