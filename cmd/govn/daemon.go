package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"govn/pkg/daemon"
)

// programOf names a daemon as files and logs do: govn-northd, govn-ic-server. Its
// command has its parents only when it runs; Annotations tell before.
func programOf(c *cobra.Command) string {
	if name, ok := c.Annotations["program"]; ok {
		return name
	}
	return "govn-" + c.Name()
}

// addDaemonFlags adds the flags that every daemon has.
func addDaemonFlags(c *cobra.Command) {
	p := programOf(c)
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("pidfile", "", "write the pid to `FILE`")
	fs.Lookup("pidfile").NoOptDefVal = filepath.Join(daemon.RunDir(), p+".pid")
	fs.Bool("detach", false, "go to the background when ready")
	fs.String("log-file", "", "log to `FILE` instead of standard error")
	fs.Lookup("log-file").NoOptDefVal = filepath.Join(daemon.LogDir(), p+".log")
	fs.String("log-level", "info", "least `LEVEL` that is logged: debug, info, warn or error")
	fs.String("metrics", "", "serve Prometheus metrics at `LISTEN`, HOST:PORT or unix:PATH")
	fs.String("unixctl", "", "`PATH` of the control socket, or none (default "+filepath.Join(daemon.RunDir(), p+".PID.ctl")+")")
}

// runDaemon runs fn as the daemon that c is.
func runDaemon(c *cobra.Command, fn func(context.Context, *daemon.Daemon, *settings) error) error {
	s, err := load(c)
	if err != nil {
		return err
	}
	return daemon.Run(daemon.Options{
		Program:  programOf(c),
		Version:  versionString(),
		Pidfile:  s.str("pidfile"),
		Detach:   s.boolean("detach"),
		LogFile:  s.str("log-file"),
		LogLevel: s.str("log-level"),
		Metrics:  s.str("metrics"),
		Unixctl:  s.str("unixctl"),
	}, func(ctx context.Context, d *daemon.Daemon) error { return fn(ctx, d, s) })
}
