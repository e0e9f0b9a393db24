package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"govn/sim/lab"
)

// profile records where northd and the first controller spend their time, from
// now on for a while. The function it returns waits for that, and records where
// their memory is.
func profile(ctx context.Context, l *lab.Lab, dir, name string, d time.Duration) func() error {
	daemons := map[string]string{"northd": "central", "controller": "h0"}
	file := func(daemon, kind string) string {
		return filepath.Join(dir, fmt.Sprintf("%s-%s.%s", name, daemon, kind))
	}
	errs := make(chan error, 2*len(daemons)+1)
	var wg sync.WaitGroup
	errs <- os.MkdirAll(dir, 0o755)
	for daemon, node := range daemons {
		wg.Go(func() {
			_, err := l.Appctl(ctx, node, daemon, "profile/cpu", strconv.FormatFloat(d.Seconds(), 'f', 1, 64), file(daemon, "cpu"))
			errs <- err
		})
	}
	return func() error {
		wg.Wait()
		for daemon, node := range daemons {
			_, err := l.Appctl(ctx, node, daemon, "profile/heap", file(daemon, "heap"))
			errs <- err
		}
		close(errs)
		var all []error
		for err := range errs {
			all = append(all, err)
		}
		return errors.Join(all...)
	}
}
