package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// maxProfile is the longest time that a profile may take.
const maxProfile = 10 * time.Minute

// profiles adds the commands that say where time and memory go. Their files are
// for "go tool pprof" and "go tool trace"; they are the daemon's own, readable
// by its user alone, and a file that is there is not overwritten.
func (d *Daemon) profiles() {
	d.Handle("profile/cpu", "SECONDS FILE", 2, 2, func(ctx context.Context, args []string) (string, error) {
		return record(ctx, args, pprof.StartCPUProfile, pprof.StopCPUProfile)
	})
	d.Handle("profile/trace", "SECONDS FILE", 2, 2, func(ctx context.Context, args []string) (string, error) {
		return record(ctx, args, trace.Start, trace.Stop)
	})
	d.Handle("profile/heap", "FILE", 1, 1, func(_ context.Context, args []string) (string, error) {
		runtime.GC() // the profile is as of the last collection
		return "", write(args[0], func(w io.Writer) error { return pprof.Lookup("heap").WriteTo(w, 0) })
	})
	d.Handle("profile/goroutines", "FILE", 1, 1, func(_ context.Context, args []string) (string, error) {
		return "", write(args[0], func(w io.Writer) error { return pprof.Lookup("goroutine").WriteTo(w, 2) })
	})
}

// record lets start write to a file for as long as the first argument says. The
// end of the daemon cuts it short.
func record(ctx context.Context, args []string, start func(io.Writer) error, stop func()) (string, error) {
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil || !(seconds > 0 && seconds <= maxProfile.Seconds()) {
		return "", fmt.Errorf("%q is no number of seconds from 0 to %v", args[0], maxProfile.Seconds())
	}
	return "", write(args[1], func(w io.Writer) error {
		if err := start(w); err != nil {
			return err
		}
		defer stop()
		t := time.NewTimer(time.Duration(seconds * float64(time.Second)))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return nil
	})
}

// write makes a file; it is removed again when fn fails.
func write(path string, fn func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(fn(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
