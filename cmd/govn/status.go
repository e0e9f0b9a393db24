package main

import (
	"github.com/spf13/cobra"

	"govn/proto/control"
)

// newStatusCommand is "govn status".
func newStatusCommand() *cobra.Command {
	f := &viewFlags{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the zone at a glance",
		Long: `Show the zone at a glance: the databases and the revision that is compiled,
every chassis with its encapsulations, since when it is connected or away, how
far it is, what it had to leave out, its tunnels, and the use of tunnel keys.

RECEIVED and APPLIED are revisions; LAG is how many revisions the flows of a
chassis are behind, 0 where none of them concerns it.

On a hypervisor where only a controller runs, that chassis is shown: its
connections, how far it is, flows, ports, tunnels, and what it left out.
` + socketHelp,
		Example: `  govn status
  govn status -f json | jq '.chassis[] | select(.lag > 0) | .name'
  govn status -t /var/run/ovn/govn-northd.4711.ctl`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.prepare(); err != nil {
				return err
			}
			ctx, cancel := asking(c)
			defer cancel()
			list, err := f.peers(ctx, programNorthd, programController)
			if err != nil {
				return err
			}
			defer closeAll(list)
			var st control.Answer = &control.Status{}
			if list[0].program == programController {
				st = &control.Host{}
			}
			if err := list[0].ask(ctx, st, "status"); err != nil {
				return err
			}
			return control.Write(c.OutOrStdout(), f.format, st)
		},
	}
	f.add(c)
	return c
}
