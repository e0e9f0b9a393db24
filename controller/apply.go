package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"govn/controller/flows"
	"govn/controller/physical"
	"govn/controller/vswitch"
	"govn/pkg/openflow"
)

// round evaluates what changed and brings Open vSwitch to it:
//
//	units --> ports, tunnels, zones (wish) --> one bundle, barrier --> removals (wish) --> ack
//	  ^                                              |
//	  +--------- quarantine of what is refused <-----+
func (c *controller) round(ctx context.Context) {
	c.rounds++
	c.evaluate()
	if c.cfg == nil {
		return
	}
	c.useCache()
	if c.source != sourceNone {
		c.evaluate()
	}
	c.wish(false)
	done := c.install(ctx)
	if done {
		c.wish(true)
	}
	c.acknowledge(done)
	c.observe()
}

// evaluate runs the units and takes in what they say.
func (c *controller) evaluate() {
	ch := c.host.Round()
	for id, p := range ch.Placed {
		if p.Where == physical.Nowhere && p.Name == "" {
			delete(c.placed, id)
		} else {
			c.placed[id] = p
		}
		if p.Where != physical.Here {
			c.forgetLearned(id)
		}
	}
	for id, r := range ch.Bodies {
		c.table.Set(flows.Source(id), unitFlows(r))
	}
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

// wish tells the OVSDB side what is wanted. While flows may still output to
// tunnels that are to go, they stay.
func (c *controller) wish(flowsAreIn bool) {
	w := &vswitch.Wish{Bridge: c.cfg.Bridge, DatapathType: c.cfg.DatapathType, Since: map[string]int64{}}
	if c.source == sourceNorthd || (c.source == sourceCache && c.session != nil && !c.cautious()) {
		c.wishTunnels(flowsAreIn)
		w.Tunnels = make(map[vswitch.Tunnel]bool, len(c.tunnels))
		for t := range c.tunnels {
			w.Tunnels[t] = true
		}
		w.Patches = c.patches()
		if c.restored {
			w.Zones = c.host.Zones().All()
		}
		if flowsAreIn {
			c.installed = map[string]bool{}
			for name := range c.host.Resident() {
				c.installed[name] = true
			}
		}
		w.Installed = c.installed
		w.NbCfg = c.nbCfg
	}
	c.wishSince(w)
	if !sameWish(w, c.lastWish) {
		c.lastWish = w
		c.vs.Want(w)
	}
}

// sinceDelay is how long an interface's first sight may wait to be written down
// with ovn-installed, in one write. An interface that serves no port here (its
// port is bound elsewhere) has it written then, so that a restart does not turn
// an old claim into the latest one.
const sinceDelay = 500 * time.Millisecond

// wishSince has the times written that are due, and sets when the next one is.
func (c *controller) wishSince(w *vswitch.Wish) {
	now := time.Now()
	c.sinceAt = time.Time{}
	for name, since := range c.since {
		due := time.UnixMilli(since).Add(sinceDelay)
		switch i := c.ifaces[name]; {
		case i.Since() == since || c.installed[name] || !now.Before(due):
			w.Since[name] = since
		case c.sinceAt.IsZero() || due.Before(c.sinceAt):
			c.sinceAt = due
		}
	}
}

// cautious tells whether what Open vSwitch has is to be kept, because it may be
// newer than the state.
func (c *controller) cautious() bool {
	return c.source != sourceNorthd && c.inherited > 0
}

// wishTunnels brings the set of tunnels up to date; those that are to go leave
// it when the flows are in.
func (c *controller) wishTunnels(flowsAreIn bool) {
	want := map[vswitch.Tunnel]bool{}
	for name, ch := range c.host.Chassis() {
		if name == c.cfg.SystemID {
			continue
		}
		for _, e := range ch.Encaps {
			if e.Type == "geneve" && e.Ip != "" {
				want[vswitch.Tunnel{Chassis: name, IP: e.Ip, Csum: c.cfg.EncapCsum && e.Options["csum"] != "false"}] = true
			}
		}
	}
	for t := range want {
		if c.tunnels[t] {
			continue
		}
		for old := range c.tunnels { // the same tunnel with other options takes its place
			if old.ID() == t.ID() {
				delete(c.tunnels, old)
			}
		}
		c.tunnels[t] = true
		if !c.haveTunnel(t.ID()) {
			c.waiting[t.ID()] = time.Now().Add(tunnelPatience)
		}
	}
	for t := range c.tunnels {
		if !want[t] && flowsAreIn {
			delete(c.tunnels, t)
			delete(c.waiting, t.ID())
		}
	}
}

func (c *controller) haveTunnel(id string) bool {
	for _, i := range c.ifaces {
		if i.PortIDs[vswitch.KeyChassisID] == id && i.OFPort != 0 {
			return true
		}
	}
	return false
}

// patches are the patch ports of the localnet ports whose network is mapped to
// a bridge here.
func (c *controller) patches() map[vswitch.Patch]bool {
	out := map[vswitch.Patch]bool{}
	for _, p := range c.host.Localnets() {
		if bridge := c.cfg.BridgeMappings[physical.Network(p)]; bridge != "" {
			out[vswitch.Patch{Port: p.Name, Bridge: bridge}] = true
		}
	}
	return out
}

// install applies the difference in one bundle; what Open vSwitch refuses goes
// into quarantine, and the rest is tried again. True: all that can be is in.
func (c *controller) install(ctx context.Context) bool {
	if c.session == nil || c.source == sourceNone {
		return false
	}
	for try := 0; try < maxRetries; try++ {
		messages, err := c.table.Diff(!c.cautious())
		if err == nil && len(messages) == 0 {
			return true
		}
		if err == nil {
			began := time.Now()
			err = c.session.Bundle(ctx, messages)
			c.m.bundles.Observe(time.Since(began).Seconds())
			if err == nil {
				c.table.Committed()
				c.log.Debug("flows installed", "messages", len(messages), "took", time.Since(began), "revision", c.state.Revision().GetNumber())
				return true
			}
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
		return c.table.Blame(refused.Index, refused.Err)
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
