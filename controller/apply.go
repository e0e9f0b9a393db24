package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/pkg/openflow"
)

// round evaluates what changed and brings Open vSwitch to it:
//
//	units --> ports, tunnels, zones (wish) --> one bundle, barrier --> removals (wish) --> ack
//	  ^                                              |
//	  +--------- quarantine of what is refused <-----+
func (c *controller) round(ctx context.Context) {
	c.rounds++
	c.again, c.againAt = false, time.Time{}
	c.decide()
	c.evaluate()
	if c.cfg == nil {
		return
	}
	c.useCache()
	if c.source != sourceNone {
		c.decide()
		c.evaluate()
	}
	c.wish(false)
	done := c.install(ctx)
	if done {
		c.gatewaysInstalled()
		c.announce()
		c.wish(true)
	}
	c.acknowledge(done)
	c.observe()
}

// evaluate runs the units and takes in what they say.
func (c *controller) evaluate() {
	ch := c.host.Round()
	for id, p := range ch.Placed {
		c.resided(id.Datapath, c.placed[id], p)
		c.settled(c.placed[id], p)
		if p.Where == physical.Nowhere && p.Name == "" {
			delete(c.placed, id)
		} else {
			c.placed[id] = p
		}
		if p.Where != physical.Here {
			c.forgetLearned(id)
			c.virtualMoved(id)
		}
	}
	for name, zone := range ch.Zones {
		if zone == 0 {
			c.zones = c.zones.Without(name)
		} else {
			c.zones = c.zones.With(name, zone)
		}
	}
	maps.Copy(c.serving, ch.Serving)
	c.chassisChanged = c.chassisChanged || ch.Chassis
	c.followBFD(ch.Sessions)
	for id, r := range ch.Bodies {
		c.table.Set(flows.Source(id), unitFlows(r))
	}
	again := c.setGroups(ch.Groups)
	for o, f := range ch.Flows {
		c.owners[flows.Source(o.Source())] = o
		if f == nil {
			delete(c.owners, flows.Source(o.Source()))
			delete(c.barred, o)
		}
		if at, ok := c.barred[o]; ok && (f == nil || at.note != noteOf(f)) {
			delete(c.barred, o) // another content: try again
		}
		if _, ok := c.barred[o]; ok {
			f = nil
		}
		c.table.Set(flows.Source(o.Source()), ownerFlows(f))
	}
	for _, e := range ch.Errors {
		if e.Err != nil {
			c.log.Warn("unit fails", "unit", e.Unit, "key", fmt.Sprint(e.Key), "err", e.Err)
		}
	}
	c.m.executed.Add(float64(ch.Executed))
	if again {
		c.evaluate() // what is out of quarantine
	}
}

// forgetLearned drops the MAC addresses learned on a port that left.
func (c *controller) forgetLearned(id physical.PortID) {
	if c.host.LearnedIn(id.Datapath) == 0 {
		return
	}
	var gone []physical.MACID
	for mac, port := range c.host.Learned() {
		if mac.Datapath == id.Datapath && port == id.Port {
			gone = append(gone, mac)
		}
	}
	for _, mac := range gone {
		c.host.SetLearned(mac, 0)
	}
}

// unitFlows are the flows of a unit whose guards hold.
func unitFlows(r *physical.Resolved) []flows.Indexed {
	if r == nil {
		return nil
	}
	var out []flows.Indexed
	for i := range r.Body.Flows {
		if r.Active[i] == 1 {
			out = append(out, flows.Indexed{Index: uint32(i), Flow: r.Flow(i)})
		}
	}
	return out
}

func ownerFlows(f *physical.Flows) []flows.Indexed {
	if f == nil {
		return nil
	}
	out := make([]flows.Indexed, len(f.List))
	for i := range f.List {
		out[i] = flows.Indexed{Index: uint32(i), Flow: f.List[i]}
	}
	return out
}

// useCache takes the state of the disk when northd is not there: at once where
// Open vSwitch has no flows (the host was started), else after a while and only
// to add what is missing.
func (c *controller) useCache() {
	if c.source != sourceNone || c.session == nil || c.cache == nil || c.caution.IsZero() || time.Now().Before(c.caution) {
		return
	}
	c.caution = time.Time{}
	c.loadCache()
	if c.state.Revision() == nil {
		return
	}
	c.source = sourceCache
	c.log.Info("using the state of the cache until northd is there", "revision", c.state.Revision().Number)
}

// loadCache reads the cache once, so that Hello can tell what is held.
func (c *controller) loadCache() {
	if c.loaded || c.cache == nil {
		return
	}
	c.loaded = true
	st, delta, err := c.cache.load()
	if err != nil {
		c.log.Warn("cache of northd's state", "err", err)
		return
	}
	if st == nil || c.state.Revision() != nil {
		return
	}
	c.state = st
	c.applyDelta(delta)
}

// install applies the difference in one bundle; what Open vSwitch refuses goes
// into quarantine, and the rest is tried again. True: all that can be is in.
func (c *controller) install(ctx context.Context) bool {
	if c.session == nil || c.source == sourceNone {
		return false
	}
	for try := 0; try < maxRetries; try++ {
		messages, err := c.messages()
		if err == nil && len(messages) == 0 {
			return true
		}
		if err == nil {
			began := time.Now()
			err = c.session.Bundle(ctx, messages)
			c.m.bundles.Observe(time.Since(began).Seconds())
			if err == nil {
				c.table.Committed()
				c.groups.Committed()
				c.log.Debug("flows installed", "messages", len(messages), "took", time.Since(began), "revision", c.state.Revision().GetNumber())
				return true
			}
		}
		if group := c.blameGroup(err); group != nil {
			c.barGroup(group)
			continue
		}
		bad := c.blame(err)
		if bad == nil {
			if ctx.Err() == nil {
				c.log.Warn("flows not installed", "messages", len(messages), "err", err)
			}
			c.again = true
			return false
		}
		c.quarantine(bad)
		c.evaluate()
	}
	c.log.Error("too many flows are refused; the rest waits", "tried", maxRetries)
	c.again = true
	return false
}

// blame finds the flow that an error is about; nil: it is not about a flow.
func (c *controller) blame(err error) *flows.BadFlow {
	var bad *flows.BadFlow
	if errors.As(err, &bad) {
		return bad
	}
	var refused *openflow.BundleError
	if errors.As(err, &refused) {
		return c.table.Blame(refused.Index-c.leading, refused.Err)
	}
	return nil
}

// blameGroup finds the group that an error is about; nil: it is not about one.
func (c *controller) blameGroup(err error) *flows.BadGroup {
	var refused *openflow.BundleError
	if errors.As(err, &refused) && refused.Index < c.leading {
		return c.groups.Blame(refused.Index, refused.Err)
	}
	return nil
}

// residents are the ports of this chassis, for connection-status.
func (c *controller) residents() []string {
	var out []string
	for _, port := range c.host.Resident() {
		out = append(out, port)
	}
	slices.Sort(out)
	return out
}
