package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/northd/views"
	"govn/proto/control"
)

// newFlowsCommand is "govn flows".
func newFlowsCommand() *cobra.Command {
	f := &viewFlags{}
	var object string
	var chassis, drops bool
	c := &cobra.Command{
		Use:   "flows --object KIND:NAME",
		Short: "List the flows that an object became",
		Long: `List the flows that an object became: each logical flow with its stage, priority,
match and actions, the objects behind it, the chassis that have it, and the
OpenFlow flows as ovs-ofctl prints them.

An object is KIND:NAME, where KIND is port, switch, router, acl, nat, lb and so
on, or TABLE:NAME, or TABLE:UUID, where the first digits of the UUID are enough.

northd answers what a chassis is to have. With --chassis, or where only a
controller runs, the controller of this host answers what its Open vSwitch has,
with counters and durations, and with the flows that the chassis makes itself for
a port; it asks Open vSwitch for them on its own connection. --drops leaves those
that have dropped or refused packets, the most first.
` + socketHelp,
		Example: `  govn flows --object port:vm1
  govn flows --object switch:sw0 -f json | jq -r '.origins[].flows[].match'
  govn flows --object Logical_Switch_Port:2f1e8a60
  govn flows --chassis --object port:vm1       # on the hypervisor, with counters
  govn flows --drops                           # on the hypervisor: what drops packets now
  govn flows --chassis                         # all that is installed, with reasons`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.prepare(); err != nil {
				return err
			}
			chassis = chassis || drops
			if object == "" && !chassis {
				return errors.New("say of what: --object KIND:NAME, such as port:vm1 (only a chassis lists all)")
			}
			var args []string
			if object != "" {
				if _, err := control.ParseSelector(object); err != nil {
					return err
				}
				args = append(args, object)
			}
			ctx, cancel := asking(c)
			defer cancel()
			programs := []string{programNorthd, programController}
			if chassis {
				programs = programs[1:]
			}
			list, err := f.peers(ctx, programs...)
			if err != nil {
				return err
			}
			defer closeAll(list)
			got := &control.Origins{}
			if err := list[0].ask(ctx, got, "flows", args...); err != nil {
				return err
			}
			if list[0].program == programController {
				if err := f.name(ctx, got); err != nil {
					return err
				}
			}
			if drops {
				onlyDrops(got)
				if len(got.Origins) == 0 && f.format == control.Text {
					_, err := fmt.Fprintln(c.OutOrStdout(), "no flow has dropped a packet")
					return err
				}
			}
			return control.Write(c.OutOrStdout(), f.format, got)
		},
	}
	f.add(c)
	c.Flags().StringVar(&object, "object", "", "`OBJECT` whose flows are listed, such as port:vm1")
	_ = c.RegisterFlagCompletionFunc("object", func(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		programs := []string{programNorthd, programController}
		if chassis || drops {
			programs = programs[1:]
		}
		return f.complete(c, programs, word)
	})
	c.Flags().BoolVar(&chassis, "chassis", false, "ask the controller of this host, with counters")
	c.Flags().BoolVar(&drops, "drops", false, "only flows that have dropped or refused packets; implies --chassis")
	return c
}

// completionTime is how long a shell waits for names.
const completionTime = 2 * time.Second

// complete asks a daemon how a word may go on so that it selects an object.
// After KIND: a name comes, and no blank.
func (f *viewFlags) complete(c *cobra.Command, programs []string, word string) ([]string, cobra.ShellCompDirective) {
	ctx, stop := interruptible(c)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	list, err := f.peers(ctx, programs...)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer closeAll(list)
	var got control.Candidates
	if err := list[0].ask(ctx, &got, "complete", word); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if !strings.Contains(word, ":") {
		return got, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return got, cobra.ShellCompDirectiveNoFileComp
}

// onlyDrops keeps the flows that have dropped or refused packets, those with
// most of them first.
func onlyDrops(got *control.Origins) {
	kept := []control.Origin{}
	for _, o := range got.Origins {
		flows := o.Flows[:0]
		for _, f := range o.Flows {
			if f.Counters != nil && f.Counters.Packets > 0 && (f.Actions == "drop" || views.Refuses(&f)) {
				flows = append(flows, f)
			}
		}
		if o.Flows = flows; len(flows) > 0 {
			kept = append(kept, o)
		}
	}
	packets := func(o control.Origin) (n uint64) {
		for _, f := range o.Flows {
			n += f.Counters.Packets
		}
		return n
	}
	slices.SortStableFunc(kept, func(a, b control.Origin) int { return cmp.Compare(packets(b), packets(a)) })
	got.Origins = kept
}

// name completes the answer of a chassis: the names of stages, and, if northd
// runs on this host too, the logical flows.
func (f *viewFlags) name(ctx context.Context, got *control.Origins) error {
	nameStages(got)
	northd, _ := find(ctx, runDir(), programNorthd) // none that may be asked is none
	if northd == nil {
		return nil
	}
	defer northd.client.Close()
	return northd.complete(ctx, got)
}

// nameStages says what the numbers of a chassis' answer mean.
func nameStages(got *control.Origins) {
	for i := range got.Origins {
		o := &got.Origins[i]
		if o.Stage == nil {
			continue
		}
		o.Stage = views.Stage(o.Stage.ID)
		if o.Purpose == "" && len(o.Flows) > 0 {
			o.Purpose = views.Lookup(&o.Flows[0])
		}
	}
}

// complete asks northd for the logical flows of a chassis' answer.
func (p *peer) complete(ctx context.Context, got *control.Origins) error {
	queries := make(map[control.Query]bool)
	for _, o := range got.Origins {
		if o.Maker != control.Northd {
			continue
		}
		for i := range o.Flows {
			if q, ok := queryOf(&o, &o.Flows[i]); ok {
				queries[q] = true
			}
		}
	}
	central, err := p.explain(ctx, queries)
	if err != nil {
		return err
	}
	adopt(got, central)
	return nil
}

// queryOf asks about a flow in its datapath.
func queryOf(o *control.Origin, f *control.Flow) (control.Query, bool) {
	q, err := control.ParseQuery(f.Cookie)
	if err != nil {
		return control.Query{}, false
	}
	if o.Datapath != nil {
		q.Datapath = o.Datapath.Key
	}
	return q, true
}

// reason identifies an origin in the answers of several daemons: what it is of,
// and one of its flows.
type reason struct {
	object string
	flow   flowID
}

// flowID identifies a flow in the answers of several daemons.
type flowID struct {
	cookie, match string
	table         uint8
}

func idOf(f *control.Flow) flowID { return flowID{f.Cookie, f.Match, f.Table} }

// reasons are the identities of an origin, one for each flow.
func reasons(o *control.Origin) []reason {
	object := ""
	for _, x := range o.Objects {
		object += x.UUID + " "
	}
	out := make([]reason, len(o.Flows))
	for i := range o.Flows {
		out[i] = reason{object, idOf(&o.Flows[i])}
	}
	return out
}

// adopt takes logical flows, purposes and scopes of northd's answer into that
// of a chassis. It returns the origins of northd's that the chassis lacks.
func adopt(chassis, central *control.Origins) (rest []control.Origin) {
	known := make(map[reason][]int) // several chassis may have one
	for i := range chassis.Origins {
		for _, r := range reasons(&chassis.Origins[i]) {
			known[r] = append(known[r], i)
		}
	}
	for _, o := range central.Origins {
		found := false
		for _, r := range reasons(&o) {
			for _, i := range known[r] {
				to := &chassis.Origins[i]
				to.Logical, to.Purpose, to.Stage, to.Datapath = o.Logical, o.Purpose, o.Stage, o.Datapath
				if to.Scope == "" {
					to.Scope = o.Scope
				}
				found = true
			}
		}
		if !found {
			rest = append(rest, o)
		}
	}
	return rest
}
