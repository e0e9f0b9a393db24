package lab

import (
	"net/netip"
	"slices"
)

// Zone is a part of a lab with a control plane of its own.
type Zone struct {
	Name     string // NB_Global:name, and the node of its control plane
	Control  Control
	Agent    Control    // what joins it to the interconnection: govn ic agent, or ovn-ic
	MgmtIP   netip.Addr // management address of the control plane
	Topology Topology
	Transit  []Transit
	Learns   []netip.Prefix // routes that Up waits for
}

// Transit is what a zone has on a transit switch.
type Transit struct {
	Switch string   // name of the transit switch
	Nbctl  []string // ovn-nbctl commands, one per entry, run when the zone has the switch
}

// Join says how agents of govn reach the interconnection.
type Join string

const (
	JoinFabric Join = "fabric" // the service for zones of govn
	JoinOVSDB  Join = "ovsdb"  // the two databases, as those of OVN
)

// Interconnection is what zones find each other by.
type Interconnection struct {
	Server Control    // govn ic server, or two ovsdb-servers
	Join   Join       // of agents of govn; where the server is stock, there are but databases
	MgmtIP netip.Addr // management address
	Nbctl  []string   // ovn-ic-nbctl commands, one per entry, run in order
}

// byFabric tells whether agents of govn join by the service for zones of govn.
func (ic *Interconnection) byFabric() bool { return ic.Server == ControlGovn && ic.Join == JoinFabric }

// AllZones are the zones of the lab; of one without zones, itself.
func (c *Config) AllZones() []Zone {
	if len(c.Zones) > 0 {
		return c.Zones
	}
	return []Zone{{Control: c.Control, MgmtIP: central(c), Topology: c.Topology}}
}

// zone finds a zone by name; nil: there is none.
func (c *Config) zone(name string) *Zone {
	list := c.AllZones()
	if i := slices.IndexFunc(list, func(z Zone) bool { return z.Name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}

// ZoneOf is the name of the zone of a node: a chassis, a workload or the control
// plane of a zone. ok is false where the node is of none.
func (c *Config) ZoneOf(node string) (zone string, ok bool) {
	if w := c.workload(node); w != nil {
		node = w.Chassis
	}
	if ch := c.chassis(node); ch != nil {
		return ch.Zone, true
	}
	for _, z := range c.AllZones() {
		if z.Node() == node {
			return z.Name, true
		}
	}
	return "", false
}

// topologyOf is the topology that has the port of a workload.
func (c *Config) topologyOf(w *Workload) *Topology {
	name, _ := c.ZoneOf(w.Chassis)
	if z := c.zone(name); z != nil {
		return &z.Topology
	}
	return &c.Topology
}

// ChassisOf are the chassis of a zone.
func (c *Config) ChassisOf(zone string) []*Chassis {
	var list []*Chassis
	for i := range c.Chassis {
		if c.Chassis[i].Zone == zone {
			list = append(list, &c.Chassis[i])
		}
	}
	return list
}

// WorkloadsOf are the workloads on chassis of a zone.
func (c *Config) WorkloadsOf(zone string) []*Workload {
	var list []*Workload
	for i := range c.Workloads {
		if name, ok := c.ZoneOf(c.Workloads[i].Chassis); ok && name == zone {
			list = append(list, &c.Workloads[i])
		}
	}
	return list
}

// Node is the node of the control plane.
func (z *Zone) Node() string {
	if z.Name == "" {
		return centralNode
	}
	return z.Name
}

// interconn tells whether a chassis is a gateway between zones.
func (ch *Chassis) interconn() bool { return ch.ExternalIDs["ovn-is-interconn"] == "true" }

// Linked tells whether two chassis have tunnels to each other: those of a zone,
// and gateways between zones.
func Linked(a, b *Chassis) bool { return a.Zone == b.Zone || a.interconn() && b.interconn() }
