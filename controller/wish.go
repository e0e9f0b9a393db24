package controller

import (
	"maps"
	"time"

	"govn/controller/physical"
	"govn/controller/vswitch"
)

// wish tells the OVSDB side what is wanted. Before the flows are in, those are
// the ports that they output to; tunnels that are to go stay until no flow
// uses them. What only tells of the flows comes after them, in one transaction:
// each one makes ovs-vswitchd go over its whole configuration.
func (c *controller) wish(flowsAreIn bool) {
	w := c.wanted
	w.Bridge, w.DatapathType = c.cfg.Bridge, c.cfg.DatapathType
	known := c.restored && (c.source == sourceNorthd || (c.source == sourceCache && c.session != nil && !c.cautious()))
	w.Ports, w.Settled = known, known && (w.Settled || flowsAreIn)
	if known {
		c.wishTunnels(flowsAreIn)
		w.Tunnels = c.tunnels
		w.Patches = c.patches()
		if flowsAreIn {
			w.Zones, w.NbCfg = c.zones, c.nbCfg
			for name, serves := range c.serving {
				c.setKeys(name, func(k *vswitch.Keys) { k.Installed = serves })
			}
			clear(c.serving)
		}
	}
	c.wishSince()
	w.Interfaces = c.keys
	if w != c.wanted {
		c.wanted = w
		c.vs.Want(&w)
	}
}

// setKeys changes the keys of one interface.
func (c *controller) setKeys(name string, change func(*vswitch.Keys)) {
	had, _ := c.keys.Get(name)
	keys := had
	change(&keys)
	switch keys {
	case had:
	case vswitch.Keys{}:
		c.keys = c.keys.Without(name)
	default:
		c.keys = c.keys.With(name, keys)
	}
}

// sinceDelay is how long an interface's first sight may wait to be written down
// with ovn-installed, in one write. An interface that serves no port here (its
// port is bound elsewhere) has it written then, so that a restart does not turn
// an old claim into the latest one.
const sinceDelay = 500 * time.Millisecond

// wishSince has the times written that are due, and sets when the next one is.
func (c *controller) wishSince() {
	now := time.Now()
	c.sinceAt = time.Time{}
	for name := range c.unwritten {
		since := c.since[name]
		due := time.UnixMilli(since).Add(sinceDelay)
		switch keys, _ := c.keys.Get(name); {
		case keys.Installed || !now.Before(due):
			c.setKeys(name, func(k *vswitch.Keys) { k.Since = since })
			delete(c.unwritten, name)
		case c.sinceAt.IsZero() || due.Before(c.sinceAt):
			c.sinceAt = due
		}
	}
}

// forgetSince ends the wish for a time: the database has it, or the interface
// is gone.
func (c *controller) forgetSince(name string) {
	delete(c.unwritten, name)
	c.setKeys(name, func(k *vswitch.Keys) { k.Since = 0 })
}

// cautious tells whether what Open vSwitch has is to be kept, because it may be
// newer than the state.
func (c *controller) cautious() bool {
	return c.source != sourceNorthd && c.inherited > 0
}

// wishTunnels brings the set of tunnels up to date; those that are to go leave
// it when the flows are in.
func (c *controller) wishTunnels(flowsAreIn bool) {
	if c.chassisChanged {
		c.chassisChanged, c.betweenChanged = false, true
		clear(c.leaving)
		for id := range c.tunnels.All() {
			c.leaving[id] = true
		}
		for name, ch := range c.host.Chassis() {
			if name == c.cfg.SystemID || ch.Remote && !c.cfg.Interconn {
				continue
			}
			bfd := c.bfdOf(name)
			if ch.Remote {
				bfd = betweenBFD
			}
			for _, e := range ch.Encaps {
				if e.Type == "geneve" && e.Ip != "" {
					c.wishTunnel(vswitch.Tunnel{Chassis: name, IP: e.Ip, Csum: c.cfg.EncapCsum && e.Options["csum"] != "false", BFD: bfd})
				}
			}
		}
	}
	if flowsAreIn {
		for id := range c.leaving {
			c.tunnels = c.tunnels.Without(id)
			delete(c.waiting, id)
		}
		clear(c.leaving)
	}
}

// wishTunnel adds a tunnel, or gives one that is there other options.
func (c *controller) wishTunnel(t vswitch.Tunnel) {
	id := t.ID()
	delete(c.leaving, id)
	if had, ok := c.tunnels.Get(id); ok && had == t {
		return
	}
	c.tunnels = c.tunnels.With(id, t)
	if !c.haveTunnel(id) {
		c.await(id)
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

// patches are the patch ports of the localnet and l2gateway ports whose network
// is mapped to a bridge here.
func (c *controller) patches() vswitch.Patches {
	want := map[string]vswitch.Patch{}
	for _, p := range c.host.Provided() {
		if bridge := c.cfg.BridgeMappings[physical.Network(p)]; bridge != "" {
			want[p.Name] = vswitch.Patch{Bridge: bridge, Gateway: physical.IsL2Gateway(p)}
		}
	}
	if maps.Equal(want, maps.Collect(c.wanted.Patches.All())) {
		return c.wanted.Patches
	}
	for port := range c.wanted.Patches.All() {
		if _, ok := want[port]; !ok {
			delete(c.waiting, patchWait(port))
		}
	}
	var all vswitch.Patches
	for port, patch := range want {
		all = all.With(port, patch)
		if _, had := c.wanted.Patches.Get(port); !had && !c.havePatch(port) {
			c.await(patchWait(port))
		}
	}
	return all
}

// patchWait is what is waited for until the patch port of a logical port is
// there.
func patchWait(port string) string { return "patch of " + port }

func (c *controller) havePatch(port string) bool {
	for _, i := range c.ifaces {
		if patchOf(i) == port && i.OFPort != 0 {
			return true
		}
	}
	return false
}
