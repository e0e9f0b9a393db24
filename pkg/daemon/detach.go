package daemon

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyEnv tells a child the descriptor on which the parent waits.
const readyEnv = "GOVN_READY_FD"

const readyWord = "ready"

// readyPipe returns the pipe to the parent, if this is the child of a detach.
func readyPipe() (pipe *os.File, child bool, err error) {
	v, child := os.LookupEnv(readyEnv)
	if !child {
		return nil, false, nil
	}
	// What this process starts is no child of a detach.
	if err := os.Unsetenv(readyEnv); err != nil {
		return nil, true, fmt.Errorf("%s: %w", readyEnv, err)
	}
	fd, err := strconv.Atoi(v)
	if err != nil || fd <= 2 {
		return nil, true, fmt.Errorf("%s: bad descriptor %q", readyEnv, v)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "ready"), true, nil
}

// detach starts the program again in a session of its own and waits until it is
// ready or has ended.
func detach() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), readyEnv+"=3")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	word, err := io.ReadAll(io.LimitReader(r, 64))
	if err == nil && string(word) == readyWord {
		return cmd.Process.Release()
	}
	// The pipe is closed: the child has ended, or is about to.
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return fmt.Errorf("detach: %w", err)
	}
	if !cmd.ProcessState.Exited() { // killed: it had no chance to say why
		return fmt.Errorf("detach: the background process was ended: %v", cmd.ProcessState)
	}
	return ErrDetached
}

// background gives up the standard streams and tells the parent.
func (d *Daemon) background() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for _, fd := range []int{0, 1, 2} {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	_, err = io.WriteString(d.readyPipe, readyWord)
	if cerr := d.readyPipe.Close(); err == nil {
		err = cerr
	}
	d.readyPipe = nil
	return err
}
