package controller

import (
	"govn/controller/physical"
	"govn/controller/punt"
	"govn/controller/vswitch"
	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// activate handles PuntActivate: the workload of a port that moves here runs. The
// block is lifted, that is written down at the interface, so that it holds over a
// restart, and the packet goes on, by which the networks learn where the workload
// is.
func (c *controller) activate(p *punt.Packet) bool {
	if p.Inport < abi.MinPortKey || p.Inport > abi.MaxPortKey {
		return false
	}
	id := physical.PortID{Datapath: uint32(p.Datapath), Port: p.Inport}
	at := c.placed[id]
	if at.Awaits == physical.AwaitsNothing {
		return true // it left, or moved here for good
	}
	if at.Awaits == physical.AwaitsRARP {
		c.log.Info("the workload of a port runs here now", "port", at.Name, "interface", at.Interface)
		c.host.SetActivated(at.Name, true)
		c.setKeys(at.Interface, func(k *vswitch.Keys) { k.Activated = at.Name })
	}
	c.sendPacket(p.Data, []openflow.Action{
		openflow.SetUint(openflow.FieldMetadata, uint64(id.Datapath)),
		openflow.SetUint(openflow.FieldReg(abi.RegInport), uint64(id.Port)),
		openflow.ToTable(abi.TableIngress),
	})
	return true
}

// activated takes in what an interface says about that; nil: it is gone.
func (c *controller) activated(name string, old, now *vswitch.Interface) {
	if old != nil && (now == nil || now.IfaceID() != old.IfaceID()) {
		c.host.SetActivated(old.IfaceID(), false)
		c.setKeys(name, func(k *vswitch.Keys) { k.Activated = "" })
	}
	if now != nil && now.IfaceID() != "" && now.Activated() == now.IfaceID() && (old == nil || old.IfaceID() != now.IfaceID()) {
		c.host.SetActivated(now.IfaceID(), true)
		c.setKeys(name, func(k *vswitch.Keys) { k.Activated = now.IfaceID() })
	}
}

// settled forgets what was said of a location that is none any more: the port is
// here for good, or elsewhere.
func (c *controller) settled(old, now physical.Placement) {
	if old.Awaits == physical.AwaitsNothing || now.Awaits != physical.AwaitsNothing {
		return
	}
	c.host.SetActivated(old.Name, false)
	if old.Interface != "" {
		c.setKeys(old.Interface, func(k *vswitch.Keys) { k.Activated = "" })
	}
}
