package controller

import (
	"fmt"
	"strings"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/control"
	"govn/proto/state"
)

// setGroups takes in the OpenFlow groups that changed. It reports whether
// something came out of quarantine by that.
func (c *controller) setGroups(changed map[uint32]*physical.OFGroup) (again bool) {
	for id, g := range changed {
		if g == nil {
			again = c.groups.Set(id, nil) || again
		} else {
			again = c.groups.Set(id, &g.Desc) || again
		}
	}
	if again {
		c.retryBarred() // bodies that failed for want of the group
	}
	return again
}

// messages are what takes Open vSwitch to what is wanted: groups, flows,
// deletions of groups.
func (c *controller) messages() ([]openflow.Message, error) {
	prune := !c.cautious()
	before, after := c.groups.Diff(prune)
	c.leading = len(before)
	changes, err := c.table.Diff(prune)
	if err != nil {
		return nil, err
	}
	return append(append(before, changes...), after...), nil
}

// barGroup leaves a group out that Open vSwitch refuses. Flows that use it are
// refused next, unless Open vSwitch has an older group of that id.
func (c *controller) barGroup(bad *flows.BadGroup) {
	c.m.refused.Inc()
	c.groups.Bar(bad.Group.ID, bad.Err)
	var names []string
	if g := c.host.OFGroup(bad.Group.ID); g != nil {
		names = objectNames(&proto.Unit{Objects: g.Objects})
	}
	c.log.Error("group is refused; it is left out", "group", bad.Group.String(), "err", bad.Err, "objects", names)
}

// failedGroups are the groups that are left out.
func (c *controller) failedGroups() []*proto.Failure {
	var out []*proto.Failure
	for id, err := range c.groups.Barred() {
		f := &proto.Failure{Kind: uint32(proto.Kind_KIND_GROUP), Error: fmt.Sprintf("group %d: %v", id, err)}
		if g := c.host.OFGroup(id); g != nil {
			f.Key = []byte(state.GroupKey(g.Datapath, id))
		}
		out = append(out, f)
	}
	return out
}

// groupsOf are the groups that a flow uses, as they are wanted here.
func (c *controller) groupsOf(f *openflow.Flow) []control.OFGroup {
	list, err := openflow.DecodeActions(f.Actions)
	if err != nil {
		return nil
	}
	var out []control.OFGroup
	for _, id := range openflow.GroupsUsed(list) {
		g := c.host.OFGroup(id)
		if g == nil {
			continue
		}
		text := control.OFGroup{ID: id, Kind: g.Desc.Kind(), Shared: id >= abi.MinSelectGroup}
		for i := range g.Desc.Buckets {
			text.Buckets = append(text.Buckets, control.OFBucket{Text: g.Desc.Buckets[i].Format(g.Desc.GroupType)})
		}
		out = append(out, text)
	}
	return out
}

// countGroups fills in what Open vSwitch counts for the groups of an answer.
func (a *answer) countGroups(stats []openflow.GroupStats) {
	by := make(map[uint32]*openflow.GroupStats, len(stats))
	for i := range stats {
		by[stats[i].ID] = &stats[i]
	}
	for i := range a.Origins.Origins {
		for j := range a.Origins.Origins[i].Groups {
			g := &a.Origins.Origins[i].Groups[j]
			s := by[g.ID]
			if s == nil {
				continue
			}
			g.Duration, g.Counters = s.Duration, &control.Total{Packets: s.Packets, Bytes: s.Bytes}
			for k := range min(len(g.Buckets), len(s.Buckets)) {
				g.Buckets[k].Counters = &control.Total{Packets: s.Buckets[k].Packets, Bytes: s.Buckets[k].Bytes}
			}
		}
	}
}

// printGroups prints the groups that are wanted, each with what it is of.
func (c *controller) printGroups(b *strings.Builder, _ []string) {
	for d := range c.groups.Wanted() {
		fmt.Fprintf(b, "%s #", d)
		if g := c.host.OFGroup(d.ID); g != nil {
			fmt.Fprintf(b, " %s", strings.Join(objectNames(&proto.Unit{Objects: g.Objects}), ", "))
		}
		b.WriteByte('\n')
	}
}
