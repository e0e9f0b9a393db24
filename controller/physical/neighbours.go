package physical

import (
	"cmp"
	"fmt"
	"net/netip"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// A neighbour is an address behind a router port whose Ethernet address is
// known. There are three sources; one of them holds:
//
//	fixed, override > seen here, northd does not know yet > learned, of northd > fixed
//
// Its flows:
//
//	66 reg15 = port, reg0 or xxreg0 = address -> eth_dst
//	67 reg14 = port, reg0 or xxreg0 = address, eth_src -> known, with this MAC
//	67 reg14 = port, reg0 or xxreg0 = address -> known

// NeighbourID is an address behind a router port.
type NeighbourID struct {
	Datapath, Port uint32
	IP             netip.Addr
}

func (n NeighbourID) String() string { return fmt.Sprintf("%d/%d %s", n.Datapath, n.Port, n.IP) }

func compareNeighbour(a, b NeighbourID) int {
	return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Port, b.Port), a.IP.Compare(b.IP))
}

func ownerOfNeighbour(n NeighbourID) Owner {
	return Owner{Kind: KindNeighbour, Datapath: n.Datapath, Key: uint64(n.Port), Name: n.IP.String()}
}

func cellNeighbour(n NeighbourID) incr.Cell {
	ip := n.IP.As16()
	return incr.CellOf("neighbour", uint64(n.Datapath), uint64(n.Port), ip, flag(n.IP.Is4()))
}

// neighbours are the inputs of that part.
type neighbours struct {
	fixed   map[NeighbourID]*proto.NeighbourValue
	learned map[NeighbourID]uint64 // of northd
	heard   map[NeighbourID]uint64 // here, not confirmed yet
	heardIn map[uint32]int         // by datapath
	roots   map[NeighbourID]bool
	unit    *incr.Unit[NeighbourID]

	datapaths map[uint32]*proto.Datapath

	redirects map[PortID]PortID // chassisredirect port to the one that it stands for
	redirect  map[PortID]uint32 // the other way
}

func (h *Host) initNeighbours() {
	h.neigh = neighbours{
		fixed: map[NeighbourID]*proto.NeighbourValue{}, learned: map[NeighbourID]uint64{}, heard: map[NeighbourID]uint64{},
		heardIn: map[uint32]int{}, roots: map[NeighbourID]bool{}, datapaths: map[uint32]*proto.Datapath{},
		redirects: map[PortID]PortID{}, redirect: map[PortID]uint32{},
		unit: incr.NewUnit(h.e, "neighbour", h.neighbour, incr.Order(compareNeighbour)),
	}
}

// datapathItem takes what a datapath says about itself. What was heard in one
// that left is forgotten.
func (h *Host) datapathItem(key string, value []byte) error {
	dp, ok := state.ParseDatapathKey(key)
	if !ok {
		return fmt.Errorf("DATAPATH item with a key of %d bytes", len(key))
	}
	m, err := decode(value, &proto.Datapath{})
	h.datapathChanged(dp, h.neigh.datapaths[dp] != nil, m != nil)
	put(h.neigh.datapaths, dp, m)
	if m == nil {
		h.unhearIn(dp, func(NeighbourID) bool { return true })
	}
	return err
}

// unhearIn forgets what was heard in a datapath.
func (h *Host) unhearIn(dp uint32, which func(NeighbourID) bool) {
	if h.neigh.heardIn[dp] == 0 {
		return
	}
	var gone []NeighbourID
	for id := range h.neigh.heard {
		if id.Datapath == dp && which(id) {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		h.SetHeard(id, 0)
	}
}

// redirected notes which port a chassisredirect port stands for, and forgets what
// was heard on a port that left.
func (h *Host) redirected(id PortID, port *proto.Port) {
	if port == nil {
		h.unhearIn(id.Datapath, func(n NeighbourID) bool { return n.Port == id.Port })
	}
	if old, ok := h.neigh.redirects[id]; ok {
		delete(h.neigh.redirects, id)
		delete(h.neigh.redirect, old)
	}
	if port.GetDistributed() != 0 {
		of := PortID{id.Datapath, port.Distributed}
		h.neigh.redirects[id], h.neigh.redirect[of] = of, id.Port
	}
}

// Redirect is the port that what is for a router port leaves by: the
// chassisredirect port that stands for it, if there is one.
func (h *Host) Redirect(id PortID) uint32 {
	if port := h.neigh.redirect[id]; port != 0 {
		return port
	}
	return id.Port
}

// Datapaths are the datapaths that were received.
func (h *Host) Datapaths() map[uint32]*proto.Datapath { return h.neigh.datapaths }

// neighbourItem takes a neighbour of northd.
func (h *Host) neighbourItem(key string, value []byte) error {
	id, fixed, ok := ParseNeighbour(key)
	if !ok || id.Port < abi.MinPortKey || id.Port > abi.MaxPortKey {
		return fmt.Errorf("NEIGHBOUR item with key %x: out of range", key)
	}
	m, err := decode(value, &proto.NeighbourValue{})
	switch {
	case fixed:
		put(h.neigh.fixed, id, m)
	case m == nil:
		delete(h.neigh.learned, id)
		h.unhear(id)
	default:
		h.neigh.learned[id] = m.Mac
		h.unhear(id) // confirmed, or superseded by what northd knows since
	}
	h.neighbourChanged(id)
	return err
}

// ParseNeighbour reads the key of a NEIGHBOUR item.
func ParseNeighbour(key string) (id NeighbourID, fixed, ok bool) {
	id.Datapath, id.Port, id.IP, fixed, ok = state.ParseNeighbourKey(key)
	return id, fixed, ok
}

// SetHeard tells that an address was seen at an Ethernet address; 0: forget it.
// Northd's own entry takes its place when it comes.
func (h *Host) SetHeard(id NeighbourID, mac uint64) {
	h.unhear(id)
	if mac != 0 {
		h.neigh.heard[id] = mac
		h.neigh.heardIn[id.Datapath]++
	}
	h.neighbourChanged(id)
}

func (h *Host) unhear(id NeighbourID) {
	if h.neigh.heard[id] == 0 {
		return
	}
	delete(h.neigh.heard, id)
	if h.neigh.heardIn[id.Datapath]--; h.neigh.heardIn[id.Datapath] == 0 {
		delete(h.neigh.heardIn, id.Datapath)
	}
}

// HeardIn is the number of neighbours of a datapath that were seen here and
// northd has not confirmed.
func (h *Host) HeardIn(datapath uint32) int { return h.neigh.heardIn[datapath] }

// Heard are the neighbours seen here that northd has not confirmed.
func (h *Host) Heard() map[NeighbourID]uint64 { return h.neigh.heard }

// Neighbour is the Ethernet address of a neighbour; 0: not known. Dynamic tells
// that it was learned, and may change or go.
func (h *Host) Neighbour(id NeighbourID) (mac uint64, dynamic bool) {
	fixed := h.neigh.fixed[id]
	switch {
	case fixed != nil && fixed.Override:
		return fixed.Mac, false
	case h.neigh.heard[id] != 0:
		return h.neigh.heard[id], true
	case h.neigh.learned[id] != 0:
		return h.neigh.learned[id], true
	}
	return fixed.GetMac(), false
}

// Neighbours yields all neighbours that were received or seen.
func (h *Host) Neighbours(yield func(NeighbourID) bool) {
	for id := range h.neigh.roots {
		if !yield(id) {
			return
		}
	}
}

func (h *Host) neighbourChanged(id NeighbourID) {
	mac, _ := h.Neighbour(id)
	had, want := h.neigh.roots[id], mac != 0
	h.root(had, want, func() { h.neigh.unit.Root(id) }, func() { h.neigh.unit.Unroot(id) })
	if want {
		h.neigh.roots[id] = true
	} else {
		delete(h.neigh.roots, id)
	}
	h.e.Touch(cellNeighbour(id))
}

// neighbour emits the flows of a neighbour.
func (h *Host) neighbour(c *incr.Ctx, id NeighbourID) error {
	c.Read(cellNeighbour(id))
	mac, _ := h.Neighbour(id)
	if mac == 0 {
		return nil
	}
	b := newBuilder(ownerOfNeighbour(id), "neighbour "+id.String())
	b.neighbour(id, mac, h.neigh.fixed[id].GetOverride())
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("neighbour %s: %w", id, err)
	}
	incr.Emit(c, h.flows, ownerOfNeighbour(id), f)
	return nil
}

// Types of frames that addresses are looked up for.
const (
	ethIPv4 = 0x0800
	ethARP  = 0x0806
	ethIPv6 = 0x86dd
)

// neighbour are the flows of get_arp, get_nd and lookup_arp, lookup_nd. The type
// of the frame keeps an IPv4 address apart from the start of an IPv6 address.
func (b *builder) neighbour(id NeighbourID, mac uint64, settled bool) {
	address := func(m *openflow.Match, ethType4 uint64) {
		if id.IP.Is4() {
			ip := id.IP.As4()
			m.Set(openflow.FieldEthType, ethType4)
			m.SetBytes(openflow.FieldReg(abi.RegLogical0), ip[:], nil)
			return
		}
		ip := id.IP.As16()
		m.Set(openflow.FieldEthType, ethIPv6)
		m.SetBytes(fieldXXReg0, ip[:], nil)
	}
	get := onOutport(id.Datapath, id.Port)
	address(get, ethIPv4)
	b.add(abi.TableMACBinding, prioMatch, get, openflow.SetUint(openflow.FieldEthDst, mac))

	known := onInport(id.Datapath, id.Port)
	address(known, ethARP)
	actions := []openflow.Action{setFlag(abi.FlagLookupIP)}
	if settled { // whoever says that it is elsewhere is not listened to
		actions = append(actions, setFlag(abi.FlagLookupMAC))
	}
	b.add(abi.TableMACLookup, prioMatch-50, known, actions...)

	same := onInport(id.Datapath, id.Port)
	address(same, ethARP)
	same.Set(openflow.FieldEthSrc, mac)
	b.add(abi.TableMACLookup, prioMatch, same, setFlag(abi.FlagLookupIP), setFlag(abi.FlagLookupMAC))
}

var fieldXXReg0 = openflow.FieldByName("xxreg0")
