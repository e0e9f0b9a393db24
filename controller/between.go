package controller

import (
	"fmt"
	"strings"

	"govn/controller/vswitch"
	"govn/proto"
)

// keyTunnels is the key of Chassis:other_config by which a gateway between zones
// tells of its tunnels to those of other zones: "NAME=STATE" with spaces between.
const keyTunnels = "govn-ic-tunnels"

// stateSilent is the state of a tunnel on which nothing of BFD was ever heard: the
// other end runs none, as gateways of OVN do, or is not there.
const stateSilent = "silent"

// betweenBFD is how BFD runs on tunnels between zones: slowly, since all that
// follows from it is what people see. Packets are sent there whatever it says, for
// the other end may not know of it.
var betweenBFD = vswitch.BFD{Enable: true, MinRx: 1000, MinTx: 1000, Mult: 3}

// isBetween tells whether an interface is a tunnel to another zone.
func (c *controller) isBetween(i *vswitch.Interface) bool {
	if i == nil {
		return false
	}
	name, _, _ := strings.Cut(i.PortIDs[vswitch.KeyChassisID], "@")
	return c.host.Chassis()[name].GetRemote()
}

// tunnelStates are the states of the tunnels to other zones, as other_config has
// them; of several to one gateway the best counts.
func (c *controller) tunnelStates() string {
	if c.cfg == nil || !c.cfg.Interconn {
		return ""
	}
	rank := map[string]int{"": -1, stateSilent: 0, "admin_down": 1, "down": 2, "init": 3, "up": 4}
	best := map[string]string{}
	for _, i := range c.ifaces {
		if len(i.BFDStatus) == 0 || !c.isBetween(i) {
			continue
		}
		name, _, _ := strings.Cut(i.PortIDs[vswitch.KeyChassisID], "@")
		state := i.BFDStatus["state"]
		if flaps := i.BFDStatus["flap_count"]; state == "down" && (flaps == "" || flaps == "0") {
			state = stateSilent
		}
		if _, known := rank[state]; known && rank[state] > rank[best[name]] && !strings.ContainsAny(name, " =") {
			best[name] = state
		}
	}
	var list []string
	for _, name := range sortedKeys(best) {
		list = append(list, fmt.Sprintf("%s=%s", name, best[name]))
	}
	return strings.Join(list, " ")
}

// tellTunnels reports the states where they are not as they were told.
func (c *controller) tellTunnels() {
	if !c.betweenChanged || !c.greeted {
		return
	}
	c.betweenChanged = false
	if now := c.tunnelStates(); now != c.betweenTold {
		c.log.Info("tunnels to other zones", "states", now)
		c.st.sendReport(&proto.Report{Config: c.identity()})
	}
}
