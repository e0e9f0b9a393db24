package controller

import (
	"net/netip"
	"time"

	"govn/controller/physical"
	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// neighbourAt is the Ethernet address of a next hop, 0 if it is not known.
func (c *controller) neighbourAt(at punt.NextHop) uint64 {
	mac, _ := c.host.Neighbour(physical.NeighbourID(at))
	return mac
}

// distributed is the port that addresses are known on: a chassisredirect port
// stands for another one.
func (c *controller) distributed(datapath, port uint32) uint32 {
	if p := c.host.Port(physical.PortID{Datapath: datapath, Port: port}); p.GetDistributed() != 0 {
		return p.Distributed
	}
	return port
}

// learnNeighbour takes in an address that was seen: for the flows of this round,
// for what waits for it, and for northd.
func (c *controller) learnNeighbour(at punt.NextHop, mac uint64) {
	if c.host.Port(physical.PortID{Datapath: at.Datapath, Port: at.Port}) == nil {
		return // it left meanwhile
	}
	c.host.SetHeard(physical.NeighbourID(at), mac)
	c.heardAt[physical.NeighbourID(at)] = time.Now()
	known := c.neighbourAt(at)
	if known == mac {
		c.spoke(physical.NeighbourID(at), time.Now())
	}
	c.hold.Resolve(at, known)
	c.watchLearned(time.Now())
	if c.greeted {
		c.st.sendReport(&proto.Report{NeighboursPut: []*proto.Neighbour{neighbourMessage(physical.NeighbourID(at), mac)}})
	}
}

// confirmTime is how long northd may take to confirm what was learned here while
// it is connected. It does not where the router has all the neighbours that it
// may have, or where a client has deleted the row already.
const confirmTime = 30 * time.Second

// forgetUnconfirmed drops what northd does not confirm. Packets to it ask again.
func (c *controller) forgetUnconfirmed(now time.Time) {
	for id, at := range c.heardAt {
		_, waits := c.host.Heard()[id]
		switch {
		case !waits:
			delete(c.heardAt, id)
		case !c.greeted:
			c.heardAt[id] = now
		case now.Sub(at) >= confirmTime:
			delete(c.heardAt, id)
			c.host.SetHeard(id, 0)
		}
	}
}

func neighbourMessage(id physical.NeighbourID, mac uint64) *proto.Neighbour {
	return &proto.Neighbour{Datapath: id.Datapath, Port: id.Port, Ip: id.IP.AsSlice(), Mac: mac}
}

// heardNeighbours are the addresses that were seen here and that northd has not
// confirmed.
func (c *controller) heardNeighbours() []*proto.Neighbour {
	var out []*proto.Neighbour
	for id, mac := range c.host.Heard() {
		out = append(out, neighbourMessage(id, mac))
	}
	return out
}

// toldOf takes in what changed of routers: what waits for the neighbours that
// northd told about is sent, advertisements and looks at counters are planned.
func (c *controller) toldOf(delta []state.Change) {
	watch := false
	for _, ch := range delta {
		switch ch.Kind {
		case proto.Kind_KIND_NEIGHBOUR:
			watch = true
			if id, _, ok := physical.ParseNeighbour(ch.Key); ok {
				c.hold.Resolve(punt.NextHop(id), c.neighbourAt(punt.NextHop(id)))
			}
		case proto.Kind_KIND_DATAPATH:
			watch = true
		case proto.Kind_KIND_PORT:
			if dp, port, ok := state.ParsePortKey(ch.Key); ok {
				c.advertises(physical.PortID{Datapath: dp, Port: port}, time.Now())
			}
		}
	}
	if watch {
		c.watchLearned(time.Now())
	}
}

// resided keeps count of the ports on interfaces of this host.
func (c *controller) resided(datapath uint32, old, now physical.Placement) {
	was, is := old.Where == physical.Here && old.OFPort > 0, now.Where == physical.Here && now.OFPort > 0
	switch {
	case is && !was:
		c.residentsIn[datapath]++
	case was && !is:
		if c.residentsIn[datapath]--; c.residentsIn[datapath] == 0 {
			delete(c.residentsIn, datapath)
		}
	}
}

// probe asks for a neighbour whose address is known: the one at mac whether it is
// still there or, with a mac of 0, everybody, as the router's flows ask for one
// that is not known.
func (c *controller) probe(id physical.NeighbourID, mac uint64) {
	p := c.host.Port(physical.PortID{Datapath: id.Datapath, Port: id.Port})
	if p == nil || p.Mac == 0 {
		return
	}
	frame := punt.NeighbourSolicitation(p.Mac, mac, id.IP)
	if id.IP.Is4() {
		from := senderOf(p.Networks, id.IP)
		if !from.IsValid() {
			return
		}
		frame = punt.ARPRequest(p.Mac, mac, from, id.IP)
	}
	if frame == nil {
		return
	}
	c.probes++
	c.sendPacket(frame, []openflow.Action{
		openflow.SetUint(openflow.FieldMetadata, uint64(id.Datapath)),
		openflow.SetUint(openflow.FieldReg(abi.RegOutport), uint64(c.host.Redirect(physical.PortID{Datapath: id.Datapath, Port: id.Port}))),
		openflow.ToTable(abi.TableRemoteOutput),
	})
}

// senderOf is the address of a router port to ask for a neighbour from: the one
// in its network, else any of IPv4.
func senderOf(networks []string, target netip.Addr) netip.Addr {
	var from netip.Addr
	for _, text := range networks {
		p, err := netip.ParsePrefix(text)
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if p.Contains(target) {
			return p.Addr()
		}
		if !from.IsValid() {
			from = p.Addr()
		}
	}
	return from
}
