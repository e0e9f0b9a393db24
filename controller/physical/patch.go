package physical

import (
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
)

// A patch port is on every chassis that has both of its ends. What is output to
// it enters the ingress pipeline of the datapath at the other end, on the same
// chassis.

const typeRouter = "logical-router" // proto.Datapath.type

// crossing places a patch port: here, where its peer is known and says the same.
func (h *Host) crossing(c *incr.Ctx, id PortID, port *proto.Port, p *Placement) {
	peer := PortID{port.PeerDatapath, port.PeerPort}
	if peer.Datapath == 0 || peer.Port == 0 {
		return
	}
	c.Read(cellPort(peer))
	if other := h.in.ports[peer]; other != nil && other.Type == port.Type && other.PeerDatapath == id.Datapath && other.PeerPort == id.Port {
		p.Where, p.Peer = Here, peer
	}
}

// natZones are the conntrack zones of a datapath, for registers; a switch has
// none.
type natZones struct{ dnat, snat int }

func (h *Host) natZones(c *incr.Ctx, datapath uint32) natZones {
	c.Read(cellDatapath(datapath))
	dp := h.neigh.datapaths[datapath]
	if dp == nil || dp.Type != typeRouter {
		return natZones{}
	}
	dnat, snat := zoneNames(dp)
	c.Read(cellZone(dnat))
	c.Read(cellZone(snat))
	return natZones{h.in.zones.Of(dnat), h.in.zones.Of(snat)}
}

// zoneNames are the names of a router's zones, those that ovn-controller(8) gives
// them.
func zoneNames(dp *proto.Datapath) (dnat, snat string) {
	u := dp.Uuid
	text := fmt.Sprintf("%x", u)
	if len(u) == 16 {
		text = fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	}
	return text + "_dnat", text + "_snat"
}

// datapath asks for the zones of a router.
func (h *Host) datapath(c *incr.Ctx, key uint32) error {
	c.Read(cellDatapath(key))
	if dp := h.neigh.datapaths[key]; dp != nil && dp.Type == typeRouter {
		dnat, snat := zoneNames(dp)
		incr.Emit(c, h.zoneNames, dnat, true)
		incr.Emit(c, h.zoneNames, snat, true)
	}
	return nil
}

// settleZones gives routers their zones, and tells whether a second pass is due.
func (h *Host) settleZones(ch *Change) (again bool) {
	changes := h.zoneNames.Drain()
	for _, d := range changes {
		if d.New == nil && h.in.zones.Of(d.Key) != 0 {
			h.in.zones.Release(d.Key)
			h.e.Touch(cellZone(d.Key))
			ch.Zones[d.Key], again = 0, true
		}
	}
	for _, d := range changes {
		if d.New != nil && h.in.zones.Of(d.Key) == 0 && h.in.zones.Ensure(d.Key) != 0 {
			h.e.Touch(cellZone(d.Key))
			ch.Zones[d.Key], again = h.in.zones.Of(d.Key), true
		}
	}
	return again
}

func cellDatapath(key uint32) incr.Cell { return incr.CellOf("datapath", uint64(key)) }

// datapathChanged notes that a datapath came, changed or (is false) left.
func (h *Host) datapathChanged(key uint32, had, is bool) {
	h.e.Touch(cellDatapath(key))
	h.root(had, is, func() { h.datapathUnit.Root(key) }, func() { h.datapathUnit.Unroot(key) })
}

// patchPort are the flows of a patch port. own and other are the zones of its
// datapath and of the one at the other end.
//
//	38  reg15 = port -> zones of the datapath, 39
//	39  reg14 = reg15 = port without flags.loopback: drop
//	65  reg15 = port -> as if the packet came in by the peer, 8
func (b *builder) patchPort(id PortID, p Placement, own, other natZones) {
	b.add(abi.TableLocalOutput, prioMatch, onOutport(id.Datapath, id.Port), append(loadZones(own), resubmit(abi.TableCheckLoopback))...)

	back := onOutport(id.Datapath, id.Port)
	back.Set(openflow.FieldReg(abi.RegInport), uint64(id.Port))
	back.SetMasked(openflow.FieldReg(abi.RegFlags), 0, 1<<abi.FlagAllowLoopback)
	b.add(abi.TableCheckLoopback, prioMatch, back)

	enter := append([]openflow.Action{openflow.CTClear{}}, loadZones(other)...)
	enter = append(enter,
		openflow.SetUint(openflow.FieldMetadata, uint64(p.Peer.Datapath)),
		setReg(abi.RegInport, p.Peer.Port), setReg(abi.RegFlags, 0), setReg(abi.RegOutport, 0))
	for n := range abi.LogicalRegs {
		enter = append(enter, setReg(abi.RegLogical0+n, 0))
	}
	b.add(abi.TableLogToPhy, prioMatch, onOutport(id.Datapath, id.Port), openflow.Clone{Actions: append(enter, resubmit(abi.TableIngress))})
}

// loadZones loads the zones of a datapath; a patch port has no zone of its own.
func loadZones(z natZones) []openflow.Action {
	return []openflow.Action{
		setReg(abi.RegDNATZone, uint32(z.dnat)), setReg(abi.RegSNATZone, uint32(z.snat)), setReg(abi.RegZone, 0),
	}
}
