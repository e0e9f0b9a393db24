package northd

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
)

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
	d.o.Handle("lint", "", 0, 0, func(context.Context, []string) (string, error) {
		problems := zone.Problems()
		if len(problems) == 0 {
			return "every object is used\n", nil
		}
		return strings.Join(problems, "\n") + "\n", nil
	})
}
