package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrRunning is returned when another process holds the pidfile.
var ErrRunning = errors.New("already running")

type pidfile struct {
	path string
	f    *os.File
}

// lockPidfile writes the pid of this process into the file and holds a POSIX
// lock on it, as the programs of Open vSwitch do.
func lockPidfile(path string) (*pidfile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("pidfile: %w", err)
		}
		pf := &pidfile{path: path, f: f}
		ok, err := pf.lock()
		if err != nil {
			f.Close()
			return nil, err
		}
		if ok {
			return pf, nil
		}
		f.Close() // its last owner removed it between open and lock: again
	}
}

// lock reports whether the locked file is the one that the path names.
func (pf *pidfile) lock() (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(pf.f.Fd(), unix.F_SETLK, &lk); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return false, fmt.Errorf("pidfile %q: %w%s", pf.path, ErrRunning, pf.owner())
		}
		return false, fmt.Errorf("pidfile %q: lock: %w", pf.path, err)
	}
	held, err := pf.f.Stat()
	if err != nil {
		return false, fmt.Errorf("pidfile: %w", err)
	}
	named, err := os.Stat(pf.path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(held, named) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pidfile: %w", err)
	}
	if err := pf.f.Truncate(0); err != nil {
		return false, fmt.Errorf("pidfile: %w", err)
	}
	if _, err := pf.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return false, fmt.Errorf("pidfile: %w", err)
	}
	return true, nil
}

// owner names the process that holds the lock, if it can be told.
func (pf *pidfile) owner() string {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(pf.f.Fd(), unix.F_GETLK, &lk); err != nil || lk.Type == unix.F_UNLCK {
		return ""
	}
	return fmt.Sprintf(" as pid %d", lk.Pid)
}

func (pf *pidfile) remove() {
	os.Remove(pf.path) // before the lock goes, so that no successor's file is removed
	pf.f.Close()
}
