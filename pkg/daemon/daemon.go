package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Options say how a daemon runs.
type Options struct {
	Program  string // required: name of the pidfile and of the control socket, such as govn-northd
	Version  string // optional: what the command version answers after the name
	Pidfile  string // optional: no pidfile without it
	Detach   bool   // optional: go to the background when ready
	LogFile  string // optional: standard error without it; when detached, nothing after ready
	LogLevel string // optional: debug, info, warn or error; info without it
	Metrics  string // optional: HOST:PORT or unix:PATH of the Prometheus endpoint /metrics
	Unixctl  string // optional: path of the control socket; "none" for none
	RunDir   string // optional: RunDir() without it
}

// ErrDetached is returned by Run in the parent when the child ended before it
// was ready. The child has printed why.
var ErrDetached = errors.New("the background process ended before it was ready")

// RunDir returns the directory of sockets and pidfiles: OVN_RUNDIR, or
// /var/run/ovn.
func RunDir() string { return envOr("OVN_RUNDIR", "/var/run/ovn") }

// LogDir returns the directory of log files: OVN_LOGDIR, or /var/log/ovn.
func LogDir() string { return envOr("OVN_LOGDIR", "/var/log/ovn") }

func envOr(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

// Daemon is a running daemon.
type Daemon struct {
	Logger   *slog.Logger
	Registry *prometheus.Registry // served at Options.Metrics
	RunDir   string

	started     chan struct{} // closed by Ready
	opts        Options
	log         *log
	ctl         *ctl
	exit        context.CancelFunc
	restart     atomic.Bool
	ready       sync.Once
	readyPipe   *os.File // nil unless detached and not yet ready
	memory      memory
	metricsAddr string
}

// Run runs fn as a daemon and returns its error. The context ends at SIGTERM,
// SIGINT and the command exit; fn then returns nil. A second signal kills.
//
// With Detach, Run starts the program again in the background and returns when
// that one has called Ready: nil, or ErrDetached when it ended before.
func Run(o Options, fn func(context.Context, *Daemon) error) (err error) {
	if o.RunDir == "" {
		o.RunDir = RunDir()
	}
	pipe, child, err := readyPipe()
	if err != nil {
		return err
	}
	if o.Detach && !child {
		return detach()
	}

	collect(gcStarting)
	lg, err := openLog(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lg.Close()) }()

	d := &Daemon{Logger: lg.logger, Registry: newRegistry(o), RunDir: o.RunDir, opts: o, log: lg, readyPipe: pipe, started: make(chan struct{})}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// From the first signal on, the default action holds again.
	context.AfterFunc(ctx, stop)
	ctx, d.exit = context.WithCancel(ctx)
	defer d.exit()

	if o.Pidfile != "" {
		pf, err := lockPidfile(o.Pidfile)
		if err != nil {
			return err
		}
		defer pf.remove()
	}
	if o.Unixctl != "none" {
		if d.ctl, err = listenCtl(o.ctlPath(), d.Logger); err != nil {
			return err
		}
		d.builtins()
		d.ctl.start(ctx)
		defer d.ctl.close()
	}
	if o.Metrics != "" {
		m, err := serveMetrics(o.Metrics, d.Registry, d.Logger)
		if err != nil {
			return err
		}
		d.metricsAddr = m.addr()
		defer m.close()
	}
	var keeping sync.WaitGroup
	keeping.Go(func() {
		select {
		case <-ctx.Done():
		case <-d.started:
			newKeeper().run(ctx)
		}
	})
	defer keeping.Wait()
	defer d.exit()
	d.Logger.Info("started", "program", o.Program, "version", o.Version, "pid", os.Getpid())
	if err := fn(ctx, d); err != nil {
		d.Logger.Error("failed", "err", err)
		return err
	}
	d.Logger.Info("stopped")
	return nil
}

func (o Options) ctlPath() string {
	if o.Unixctl != "" {
		return o.Unixctl
	}
	return filepath.Join(o.RunDir, fmt.Sprintf("%s.%d.ctl", o.Program, os.Getpid()))
}

func newRegistry(o Options) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "govn_build_info",
			Help:        "Always 1; the labels name the program and its version.",
			ConstLabels: prometheus.Labels{"program": o.Program, "version": o.Version},
		}, func() float64 { return 1 }),
	)
	return r
}

// Ready says that the daemon's sockets are there. The parent of a detached
// daemon exits then. Calls after the first do nothing.
func (d *Daemon) Ready() {
	d.ready.Do(func() {
		d.Logger.Info("ready")
		if d.readyPipe != nil {
			if err := d.background(); err != nil {
				d.Logger.Error("cannot leave the terminal", "err", err)
			}
		}
		collect(gcRunning)
		debug.FreeOSMemory()
		close(d.started)
	})
}

// Restarting reports whether the daemon ends because of "exit --restart": what
// it has set up shall stay for its successor.
func (d *Daemon) Restarting() bool { return d.restart.Load() }

// ControlPath is the path of the control socket.
func (d *Daemon) ControlPath() string { return d.opts.ctlPath() }

// MetricsAddr returns the address of the metrics endpoint, or "".
func (d *Daemon) MetricsAddr() string { return d.metricsAddr }

// Handle adds a command to the control socket. usage describes its arguments,
// of which there must be at least min and at most max. fn is called with a
// context that ends with the daemon, from several goroutines at a time.
func (d *Daemon) Handle(name, usage string, min, max int, fn func(ctx context.Context, args []string) (string, error)) {
	if d.ctl != nil {
		d.ctl.handle(command{name: name, usage: usage, min: min, max: max, fn: fn})
	}
}
