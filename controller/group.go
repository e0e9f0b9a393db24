package controller

import (
	"fmt"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/pkg/openflow"
	"govn/proto"
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
