package physical

import (
	"cmp"
	"fmt"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/proto"
	"govn/proto/state"
)

// PortID names a logical port by its tunnel keys.
type PortID struct{ Datapath, Port uint32 }

func (p PortID) String() string { return fmt.Sprintf("%d/%d", p.Datapath, p.Port) }

func comparePortID(a, b PortID) int {
	return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Port, b.Port))
}

// GroupID names a multicast group by its tunnel keys.
type GroupID struct{ Datapath, Group uint32 }

func compareGroupID(a, b GroupID) int {
	return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Group, b.Group))
}

// MACID names a MAC address in a datapath.
type MACID struct {
	Datapath uint32
	MAC      uint64
}

func compareMACID(a, b MACID) int {
	return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.MAC, b.MAC))
}

// UnitID is the key of a UNIT item.
type UnitID [16]byte

// inputs are what the units read, each value by one cell.
type inputs struct {
	self    string
	option  int // N of tun_metadataN that holds the Geneve option
	ports   map[PortID]*proto.Port
	chassis map[string]*proto.Chassis
	units   map[UnitID]*proto.Unit
	bodies  map[state.Hash]*Body
	barred  map[state.Hash]bool       // bodies in quarantine
	ifaces  map[string]map[string]int // iface-id to interface name to ofport
	tunnels map[string]int            // CHASSIS@IP to ofport
	patches map[string]int            // localnet port to ofport of its patch port
	macs    map[string]uint64         // network to the address of this chassis' routers there
	fdb     map[MACID]uint32          // of northd
	learned map[MACID]uint32          // here, not confirmed yet
	zones   *Zones
	groups  map[GroupID]*members

	ofgroups map[uint32]map[uint32]*proto.Group // by id and datapath
	sessions map[BFDID]*proto.BfdSession
	yielding map[string]bool // HA groups

	activated map[string]bool // iface-ids; see [Host.SetActivated]

	haGroups map[string]*proto.HAGroup
	hosting  map[string]bool // HA groups whose ports this chassis hosts
}

func newInputs() inputs {
	return inputs{
		ports: map[PortID]*proto.Port{}, chassis: map[string]*proto.Chassis{}, units: map[UnitID]*proto.Unit{},
		bodies: map[state.Hash]*Body{}, barred: map[state.Hash]bool{}, ifaces: map[string]map[string]int{},
		tunnels: map[string]int{}, patches: map[string]int{}, macs: map[string]uint64{}, fdb: map[MACID]uint32{}, learned: map[MACID]uint32{},
		zones: NewZones(), groups: map[GroupID]*members{}, ofgroups: map[uint32]map[uint32]*proto.Group{},
		sessions: map[BFDID]*proto.BfdSession{}, yielding: map[string]bool{}, activated: map[string]bool{},
		haGroups: map[string]*proto.HAGroup{}, hosting: map[string]bool{},
	}
}

// Cells of the inputs.
var (
	cellSelf   = incr.CellOf("self")
	cellOption = incr.CellOf("option")
)

func cellPort(p PortID) incr.Cell {
	return incr.CellOf("port", uint64(p.Datapath), uint64(p.Port))
}
func cellChassis(name string) incr.Cell { return incr.CellOf("chassis", name) }
func cellUnit(u UnitID) incr.Cell       { return incr.CellOf("unit", [16]byte(u)) }
func cellBody(h state.Hash) incr.Cell   { return incr.CellOf("body", h) }
func cellIface(id string) incr.Cell     { return incr.CellOf("iface", id) }
func cellTunnel(id string) incr.Cell    { return incr.CellOf("tunnel", id) }
func cellPatch(port string) incr.Cell   { return incr.CellOf("patch", port) }
func cellZone(port string) incr.Cell    { return incr.CellOf("zone", port) }
func cellMAC(m MACID) incr.Cell         { return incr.CellOf("mac", uint64(m.Datapath), m.MAC) }
func cellGroup(g GroupID) incr.Cell     { return incr.CellOf("group", uint64(g.Datapath), uint64(g.Group)) }

// SetSelf tells the name of this chassis.
func (h *Host) SetSelf(name string) {
	if h.in.self != name {
		h.in.self = name
		h.haChanged = true
		h.e.Touch(cellSelf)
	}
}

// SetOption tells the N of tun_metadataN that the TLV map has for the Geneve
// option.
func (h *Host) SetOption(n int) {
	if h.in.option != n {
		h.in.option = n
		h.e.Touch(cellOption)
	}
}

// Item takes the new value of an item; nil: gone. An error names an item that
// cannot be used; it counts as gone.
func (h *Host) Item(kind proto.Kind, key string, value []byte) error {
	switch kind {
	case proto.Kind_KIND_PORT:
		return h.portItem(key, value)
	case proto.Kind_KIND_CHASSIS:
		m, err := decode(value, &proto.Chassis{})
		had := len(h.in.chassis[key].GetMacs()) > 0
		put(h.in.chassis, key, m)
		h.root(had, len(m.GetMacs()) > 0, func() { h.chassisUnit.Root(key) }, func() { h.chassisUnit.Unroot(key) })
		h.chassisChanged, h.haChanged = true, true
		h.e.Touch(cellChassis(key))
		return err
	case proto.Kind_KIND_UNIT:
		return h.unitItem(key, value)
	case proto.Kind_KIND_BODY:
		return h.bodyItem(key, value)
	case proto.Kind_KIND_FDB:
		return h.fdbItem(key, value)
	case proto.Kind_KIND_NEIGHBOUR:
		return h.neighbourItem(key, value)
	case proto.Kind_KIND_DATAPATH:
		return h.datapathItem(key, value)
	case proto.Kind_KIND_GROUP:
		return h.groupItem(key, value)
	case proto.Kind_KIND_BFD:
		return h.bfdItem(key, value)
	case proto.Kind_KIND_HA_GROUP:
		return h.haGroupItem(key, value)
	case proto.Kind_KIND_HA_USER:
		return h.haUserItem(key, value)
	}
	return nil
}

func (h *Host) portItem(key string, value []byte) error {
	dp, port, ok := state.ParsePortKey(key)
	if !ok || port < abi.MinPortKey || port > abi.MaxPortKey || dp < abi.MinDatapathKey || dp > abi.MaxDatapathKey {
		return fmt.Errorf("PORT item with key %x: out of range", key)
	}
	m, err := decode(value, &proto.Port{})
	id := PortID{dp, port}
	had := h.in.ports[id] != nil
	h.noteKind(id, h.in.ports[id], m)
	put(h.in.ports, id, m)
	h.haPort(id, m)
	h.announcer(id, m)
	h.redirected(id, m)
	h.e.Touch(cellPort(id))
	h.root(had, m != nil, func() { h.portUnit.Root(id) }, func() { h.portUnit.Unroot(id) })
	return err
}

func (h *Host) unitItem(key string, value []byte) error {
	if len(key) != len(UnitID{}) {
		return fmt.Errorf("UNIT item with a key of %d bytes", len(key))
	}
	id := UnitID([]byte(key))
	m, err := decode(value, &proto.Unit{})
	if m != nil && (len(m.Body) != 16 || m.Datapath > abi.MaxDatapathKey) {
		m, err = nil, fmt.Errorf("UNIT %x: body or datapath out of range", key)
	}
	had := h.in.units[id] != nil
	put(h.in.units, id, m)
	h.e.Touch(cellUnit(id))
	h.root(had, m != nil, func() { h.unitUnit.Root(id) }, func() { h.unitUnit.Unroot(id) })
	return err
}

func (h *Host) bodyItem(key string, value []byte) error {
	if len(key) != len(state.Hash{}) {
		return fmt.Errorf("BODY item with a key of %d bytes", len(key))
	}
	hash := state.Hash([]byte(key))
	h.e.Touch(cellBody(hash))
	if value == nil {
		delete(h.in.bodies, hash)
		delete(h.in.barred, hash)
		return nil
	}
	b, err := DecodeBody(hash, value)
	h.in.bodies[hash] = b // with an error too: Units tells which units it fails
	return err
}

func (h *Host) fdbItem(key string, value []byte) error {
	dp, mac, ok := state.ParseFdbKey(key)
	if !ok {
		return fmt.Errorf("FDB item with a key of %d bytes", len(key))
	}
	m, err := decode(value, &proto.Fdb{})
	id := MACID{dp, mac}
	if m == nil {
		delete(h.in.fdb, id)
	} else {
		h.in.fdb[id] = m.Port
		h.forget(id) // confirmed, or superseded by what northd knows since
	}
	h.macChanged(id)
	return err
}

// SetLearned tells that a MAC address was seen on a port of this host; 0: forget
// it. Northd's own entry takes its place when it comes.
func (h *Host) SetLearned(id MACID, port uint32) {
	h.forget(id)
	if port != 0 {
		h.in.learned[id] = port
		h.learnedIn[id.Datapath]++
	}
	h.macChanged(id)
}

func (h *Host) forget(id MACID) {
	if h.in.learned[id] == 0 {
		return
	}
	delete(h.in.learned, id)
	if h.learnedIn[id.Datapath]--; h.learnedIn[id.Datapath] == 0 {
		delete(h.learnedIn, id.Datapath)
	}
}

// LearnedIn is the number of MAC addresses of a datapath that were learned here
// and northd has not confirmed.
func (h *Host) LearnedIn(datapath uint32) int { return h.learnedIn[datapath] }

// Learned are the MAC addresses learned here that northd has not confirmed.
func (h *Host) Learned() map[MACID]uint32 { return h.in.learned }

// MACPort is the port that a MAC address is behind; 0: not known.
func (h *Host) MACPort(id MACID) uint32 {
	if port := h.in.learned[id]; port != 0 {
		return port
	}
	return h.in.fdb[id]
}

func (h *Host) macChanged(id MACID) {
	_, known := h.in.fdb[id]
	_, learned := h.in.learned[id]
	had := h.macRoots[id]
	want := known || learned
	h.root(had, want, func() { h.macUnit.Root(id) }, func() { h.macUnit.Unroot(id) })
	if want {
		h.macRoots[id] = true
	} else {
		delete(h.macRoots, id)
	}
	h.e.Touch(cellMAC(id))
}

// SetInterface tells the iface-id and OpenFlow port of an interface; an ofport
// of 0 means that it is not there. Before an iface-id changes, the old one is
// set to 0.
func (h *Host) SetInterface(ifaceID, name string, ofport int) {
	m := h.in.ifaces[ifaceID]
	if m[name] == ofport {
		return
	}
	if m == nil {
		m = map[string]int{}
		h.in.ifaces[ifaceID] = m
	}
	if ofport == 0 {
		delete(m, name)
		if len(m) == 0 {
			delete(h.in.ifaces, ifaceID)
		}
	} else {
		m[name] = ofport
	}
	h.e.Touch(cellIface(ifaceID))
}

// interfaceOf is the interface that serves an iface-id: of several, the one
// with the lowest name.
func (in *inputs) interfaceOf(ifaceID string) (name string, ofport int) {
	for n, p := range in.ifaces[ifaceID] {
		if ofport == 0 || n < name {
			name, ofport = n, p
		}
	}
	return name, ofport
}

// SetTunnel tells the OpenFlow port of the tunnel with that
// external_ids:ovn-chassis-id; 0: there is none.
func (h *Host) SetTunnel(id string, ofport int) {
	if h.in.tunnels[id] == ofport {
		return
	}
	had := h.in.tunnels[id] != 0
	if ofport == 0 {
		delete(h.in.tunnels, id)
	} else {
		h.in.tunnels[id] = ofport
	}
	h.root(had, ofport != 0, func() { h.tunnelUnit.Root(id) }, func() { h.tunnelUnit.Unroot(id) })
	h.e.Touch(cellTunnel(id))
}

// TunnelPort is the OpenFlow port of a tunnel as SetTunnel told it.
func (h *Host) TunnelPort(id string) int { return h.in.tunnels[id] }

// SetPatch tells the OpenFlow port of the patch port of a localnet port; 0:
// there is none.
func (h *Host) SetPatch(port string, ofport int) {
	if h.in.patches[port] == ofport {
		return
	}
	if ofport == 0 {
		delete(h.in.patches, port)
	} else {
		h.in.patches[port] = ofport
	}
	h.e.Touch(cellPatch(port))
}

// SetQuarantined bars a body, or allows it again.
func (h *Host) SetQuarantined(body state.Hash, barred bool) {
	if h.in.barred[body] == barred {
		return
	}
	if barred {
		h.in.barred[body] = true
	} else {
		delete(h.in.barred, body)
	}
	h.e.Touch(cellBody(body))
}

func (h *Host) root(had, want bool, root, unroot func()) {
	switch {
	case want && !had:
		root()
	case had && !want:
		unroot()
	}
}

// decode unmarshals a value; nil stays nil.
func decode[M interface {
	pb.Message
	comparable
}](value []byte, m M) (M, error) {
	var none M
	if value == nil {
		return none, nil
	}
	if err := pb.Unmarshal(value, m); err != nil {
		return none, fmt.Errorf("%s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return m, nil
}

func put[K comparable, V comparable](m map[K]V, k K, v V) {
	var none V
	if v == none {
		delete(m, k)
	} else {
		m[k] = v
	}
}
