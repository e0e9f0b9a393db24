package physical

import (
	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
)

// Awaits says whether an additional location of a port is in use: with
// options:activation-strategy=rarp (ovn-nb(5)) nothing gets to or from the
// workload there until it sends a RARP packet, as hypervisors do for a workload
// that has arrived.
//
//	table 0   p1010 RARP from the interface -> controller, which lifts the block
//	          p1000 from the interface: drop
//	table 39  p1000 to the port: drop
type Awaits uint8

const (
	AwaitsNothing Awaits = iota // it is no such location
	AwaitsRARP                  // blocked
	AwaitsNoMore                // the workload said that it runs here
)

const (
	optionActivation = "activation-strategy"
	activationRARP   = "rarp"

	etherRARP = 0x8035

	prioBlock   = 1000
	prioUnblock = 1010
)

// SetActivated says that the workload behind an iface-id runs here. It counts as
// long as the port has an additional location here.
func (h *Host) SetActivated(iface string, on bool) {
	if h.in.activated[iface] == on {
		return
	}
	if on {
		h.in.activated[iface] = true
	} else {
		delete(h.in.activated, iface)
	}
	h.e.Touch(cellActivated(iface))
}

func cellActivated(iface string) incr.Cell { return incr.CellOf("activated", iface) }

// awaits finds out whether a port that is placed here is in use.
func (h *Host) awaits(c *incr.Ctx, port *proto.Port, p *Placement) {
	if port.Options[optionActivation] != activationRARP || port.Chassis == h.in.self || port.Chassis == "" {
		return
	}
	p.Awaits = AwaitsRARP
	if c.Read(cellActivated(port.Name)); h.in.activated[port.Name] {
		p.Awaits = AwaitsNoMore
	}
}

// blocked are the flows of a location that is not in use.
func (b *builder) blocked(id PortID, p Placement) {
	if p.Awaits != AwaitsRARP {
		return
	}
	rarp := onInput(p.OFPort)
	rarp.Set(openflow.FieldEthType, etherRARP)
	b.add(abi.TablePhyToLog, prioUnblock, rarp,
		openflow.SetUint(openflow.FieldMetadata, uint64(id.Datapath)), setReg(abi.RegInport, id.Port),
		openflow.ToController(0, abi.PuntActivate, 0, 0, 0, 0, 0, 0))
	b.add(abi.TablePhyToLog, prioBlock, onInput(p.OFPort))
	b.add(abi.TableCheckLoopback, prioBlock, onOutport(id.Datapath, id.Port))
}
