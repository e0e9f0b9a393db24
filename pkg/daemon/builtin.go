package daemon

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// builtins adds the commands that every daemon has.
func (d *Daemon) builtins() {
	d.Handle("version", "", 0, 0, func(context.Context, []string) (string, error) {
		return d.opts.Program + " " + d.opts.Version, nil
	})
	d.Handle("list-commands", "", 0, 0, func(context.Context, []string) (string, error) {
		return d.ctl.list(), nil
	})
	d.Handle("exit", "[--restart]", 0, 1, func(_ context.Context, args []string) (string, error) {
		if len(args) > 0 {
			if args[0] != "--restart" {
				return "", fmt.Errorf("unknown option %q", args[0])
			}
			d.restart.Store(true)
		}
		d.exit()
		return "", nil
	})
	d.Handle("vlog/list", "", 0, 0, func(context.Context, []string) (string, error) {
		return d.log.list(d.opts.Program), nil
	})
	d.Handle("vlog/set", "{spec | PROGRAM[:DESTINATION[:LEVEL]]}", 1, 16, func(_ context.Context, args []string) (string, error) {
		return "", d.log.set(d.opts.Program, args)
	})
	d.Handle("vlog/reopen", "", 0, 0, func(context.Context, []string) (string, error) {
		if d.log.path == "" {
			return "", fmt.Errorf("not logging to a file")
		}
		return "", d.log.Reopen()
	})
	d.Handle("vlog/close", "", 0, 0, func(context.Context, []string) (string, error) {
		if d.log.path == "" {
			return "", fmt.Errorf("not logging to a file")
		}
		return "", d.log.Close()
	})
	d.Handle("coverage/show", "", 0, 0, func(context.Context, []string) (string, error) {
		return counters(d.Registry)
	})
	d.Handle("memory/show", "", 0, 0, func(context.Context, []string) (string, error) {
		return d.memory.show(), nil
	})
	d.profiles()
}

// counters lists the counters that are not zero, one a line.
func counters(reg prometheus.Gatherer) (string, error) {
	families, err := reg.Gather()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range families {
		if f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v != 0 {
				fmt.Fprintf(&b, "%-48s %15.15g\n", f.GetName()+labels(m), v)
			}
		}
	}
	return b.String(), nil
}

func labels(m *dto.Metric) string {
	if len(m.GetLabel()) == 0 {
		return ""
	}
	var l []string
	for _, p := range m.GetLabel() {
		l = append(l, fmt.Sprintf("%s=%q", p.GetName(), p.GetValue()))
	}
	return "{" + strings.Join(l, ",") + "}"
}

// memory collects what memory/show prints.
type memory struct {
	mu    sync.Mutex
	usage []func(add func(name string, n uint64))
}

// AddMemory adds figures to memory/show. usage calls add for each, such as
// ("rows", 1200), whenever the command runs.
func (d *Daemon) AddMemory(usage func(add func(name string, n uint64))) {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	d.memory.usage = append(d.memory.usage, usage)
}

func (m *memory) show() string {
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	out := []string{
		fmt.Sprintf("heap-bytes:%d", ms.HeapAlloc),
		fmt.Sprintf("heap-objects:%d", ms.HeapObjects),
		fmt.Sprintf("sys-bytes:%d", ms.Sys),
		fmt.Sprintf("goroutines:%d", runtime.NumGoroutine()),
	}
	m.mu.Lock()
	usage := slices.Clone(m.usage)
	m.mu.Unlock()
	for _, fn := range usage {
		fn(func(name string, n uint64) { out = append(out, fmt.Sprintf("%s:%d", name, n)) })
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
