package northd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"govn/northd/views"
	dbcontrol "govn/pkg/ovsdb/control"
	"govn/proto/control"
)

// maxQueries is how many cookies one explain takes.
const maxQueries = 4096

// commands registers what northd answers on its control socket.
func (d *daemon) commands(zone *Zone) {
	if d.o.Handle == nil {
		return
	}
	d.o.Handle("fabric/status", "", 0, 0, func(context.Context, []string) (string, error) {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "CHASSIS\tCONNECTED\tRECEIVED\tAPPLIED\tBACKLOG\tFAILED")
		for _, s := range d.fabric.Status() {
			fmt.Fprintf(w, "%s\t%t\t%d\t%d\t%d\t%d\n", s.Name, s.Connected, s.Received, s.Applied, s.Backlog, len(s.Failed))
			for _, f := range s.Failed {
				fmt.Fprintf(w, "\tunit %x, flow %d: %s\n", f.Unit, f.Flow, f.Error)
			}
		}
		err := w.Flush()
		return b.String(), err
	})
	source := func() *views.Source {
		s := zone.View()
		s.Store = storeOf(d.o.Store)
		s.Term, s.Now, s.Chassis, s.Holders = term, time.Now(), d.fabric.Status(), d.fabric.Holders
		return s
	}
	Commands(d.o.Handle, source, d.fabric.Tunnels)
	dbcontrol.Commands(d.o.Handle, d.store, d.served...)
	if d.o.Memory != nil {
		d.o.Memory(dbcontrol.Memory(d.store))
	}
}

// storeOf is a store and what it takes on disk.
func storeOf(name string) control.Store {
	s := control.Store{Name: name}
	if path, ok := strings.CutPrefix(name, "bbolt:"); ok {
		if fi, err := os.Stat(path); err == nil {
			s.Bytes = fi.Size()
		}
	}
	return s
}

// Handler registers a command of a control socket.
type Handler = func(name, usage string, min, max int, fn func(ctx context.Context, args []string) (string, error))

// Commands registers the commands that package views answers: status, lint,
// flows, explain and complete. source is asked anew for each, and tunnels, which takes a
// look at every datapath, only for status.
func Commands(handle Handler, source func() *views.Source, tunnels func() map[string][]string) {
	answer := func(name, usage string, min, max int, fn func(args []string) (control.Answer, error)) {
		handle(name, strings.TrimSpace("[--format=text|json] "+usage), min, max+1, func(_ context.Context, args []string) (string, error) {
			format, rest, err := control.TakeFormat(args)
			if err != nil {
				return "", err
			}
			if len(rest) < min || len(rest) > max {
				return "", fmt.Errorf("usage: %s [--format=text|json] %s", name, usage)
			}
			a, err := fn(rest)
			if err != nil {
				return "", err
			}
			return control.String(format, a)
		})
	}
	answer("status", "", 0, 0, func([]string) (control.Answer, error) {
		s := source()
		if tunnels != nil {
			s.Tunnels = tunnels()
		}
		return s.Status(), nil
	})
	answer("lint", "", 0, 0, func([]string) (control.Answer, error) { return source().Lint(), nil })
	answer("flows", "OBJECT", 1, 1, func(args []string) (control.Answer, error) {
		sel, err := control.ParseSelector(args[0])
		if err != nil {
			return nil, err
		}
		return source().Flows(sel)
	})
	answer("complete", "[WORD]", 0, 1, func(args []string) (control.Answer, error) {
		return source().Complete(strings.Join(args, "")), nil
	})
	answer("explain", "COOKIE|FLOW...", 1, maxQueries, func(args []string) (control.Answer, error) {
		queries, err := control.ParseQueries(args)
		if err != nil {
			return nil, err
		}
		return source().Explain(queries)
	})
}
