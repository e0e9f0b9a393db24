package controller

import (
	"cmp"
	"slices"
	"time"

	"govn/controller/vswitch"
)

// tunnelOf is the tunnel that an interface is, by its ovn-chassis-id; "": none.
func tunnelOf(i *vswitch.Interface) string {
	if i == nil {
		return ""
	}
	return i.PortIDs[vswitch.KeyChassisID]
}

// carry follows which interfaces there are for a tunnel: two while one takes the
// place of another, in whatever order Open vSwitch makes and removes them. The one
// that came last and can be used carries it.
func (c *controller) carry(name string, old, now *vswitch.Interface) {
	was, is := tunnelOf(old), tunnelOf(now)
	if was != is && was != "" {
		if left := slices.DeleteFunc(c.carriers[was], func(n string) bool { return n == name }); len(left) > 0 {
			c.carriers[was] = left
		} else {
			delete(c.carriers, was)
		}
		port := c.carrierPort(was)
		c.host.SetTunnel(was, port)
		if _, wanted := c.tunnels.Get(was); wanted && port == 0 {
			// It was given up and wished for again before it had gone, or somebody
			// else removed it: no revision is installed until it is back.
			c.await(was)
		}
	}
	if is == "" {
		return
	}
	if was != is {
		c.carriers[is] = append(c.carriers[is], name)
	}
	c.host.SetTunnel(is, c.carrierPort(is))
	if now.OFPort != 0 {
		delete(c.waiting, is)
	}
	if now.OFPort < 0 && (old == nil || old.OFPort >= 0) {
		c.log.Warn("Open vSwitch cannot make a tunnel", "tunnel", name, "to", is, "err", now.Error)
	}
}

// carrierPort is the OpenFlow port of a tunnel; 0: there is none.
func (c *controller) carrierPort(id string) int {
	for _, name := range slices.Backward(c.carriers[id]) {
		if i := c.ifaces[name]; i.Usable() {
			return i.OFPort
		}
	}
	return 0
}

// await has acknowledgements wait for the port of a tunnel or patch.
func (c *controller) await(id string) {
	c.waiting[id] = time.Now().Add(cmp.Or(c.o.TunnelPatience, 5*time.Second))
}
