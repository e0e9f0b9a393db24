package controller

import (
	"time"

	"govn/controller/physical"
	"govn/proto"
)

// Virtual ports: an address that one of several workloads has, as the one says
// by ARP or neighbour advertisements. The chassis of that one claims the port.
//
//	ARP from a parent --punt--> claim --> northd --> PORT: chassis, parent
//	                              ^                    |
//	                              +--- is it another's now? forgotten

// claimAgain is after which time a claim that northd did not follow is made anew
// by another announcement.
const claimAgain = time.Second

// bindVirtual claims a virtual port for one of the ports here.
func (c *controller) bindVirtual(datapath, port, parent uint32) {
	id, from := physical.PortID{Datapath: datapath, Port: port}, physical.PortID{Datapath: datapath, Port: parent}
	vip, by := c.host.Port(id), c.placed[from]
	if vip == nil || !physical.IsVirtual(vip) || by.Where != physical.Here {
		return // one of them left meanwhile
	}
	if c.cfg != nil && vip.Chassis == c.cfg.SystemID && vip.Parent == by.Name {
		return
	}
	now := time.Now()
	if had := c.claimed[id]; had != nil && had.Parent == parent && now.Sub(time.UnixMilli(had.Since)) < claimAgain {
		return
	}
	c.log.Info("a port has the address of a virtual port", "port", vip.Name, "parent", by.Name)
	c.hosts(id, &proto.Claim{Datapath: datapath, Port: port, Since: now.UnixMilli(), Parent: parent})
}

// virtualMoved drops the claim of a virtual port that is placed anew: on another
// chassis, or behind another parent than the claim says.
func (c *controller) virtualMoved(id physical.PortID) {
	claim := c.claimed[id]
	if claim == nil || claim.Parent == 0 {
		return
	}
	vip := c.host.Port(id)
	if vip == nil || !physical.IsVirtual(vip) || vip.Chassis != "" && vip.Chassis != c.cfg.SystemID {
		c.hosts(id, nil)
	}
}
