package punt

import (
	"net/netip"

	"govn/pkg/abi"
)

// MaxNeighbours bounds the addresses of one router that are learned here and not
// known to northd yet.
const MaxNeighbours = 4096

// Neighbours handles PuntPutARP and PuntPutND: an address is at the Ethernet
// source of the packet, behind its ingress port.
//
//	packet: | dst (6) | src (6) | ...     metadata: router, reg14: port, reg0 or xxreg0: address
type Neighbours struct {
	// Learn takes what was seen. Known tells the Ethernet address that is known
	// (0: none), and Count how many a router holds.
	Learn func(at NextHop, mac uint64)
	Known func(at NextHop) uint64
	Count func(datapath uint32) int

	// Full counts addresses that were not learned because their router holds
	// MaxNeighbours.
	Full uint64
}

// HandleARP is the [Handler] of PuntPutARP.
func (n *Neighbours) HandleARP(p *Packet) bool { return n.put(p, p.hop4()) }

// HandleND is the [Handler] of PuntPutND.
func (n *Neighbours) HandleND(p *Packet) bool { return n.put(p, p.hop6()) }

func (n *Neighbours) put(p *Packet, ip netip.Addr) bool {
	if len(p.Data) < 12 || p.Inport < abi.MinPortKey || p.Inport > abi.MaxPortKey || !neighbourly(ip) {
		return false
	}
	mac := number(p.Data[6:12])
	if mac == 0 || mac>>40&1 == 1 { // nobody is at a group address
		return false
	}
	at := NextHop{uint32(p.Datapath), p.Inport, ip}
	known := n.Known(at)
	if known == 0 && n.Count(at.Datapath) >= MaxNeighbours {
		n.Full++
		return true
	}
	if known != mac {
		n.Learn(at, mac)
	}
	return true
}
