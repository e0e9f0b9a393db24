package physical

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// Host computes the flows of one chassis. It is not safe for concurrent use.
type Host struct {
	e  *incr.Engine
	in inputs

	resident *incr.Query[PortID, bool]
	bridged  *incr.Query[uint32, uint32]
	place    *incr.Query[PortID, Placement]

	fixedUnit    *incr.Unit[struct{}]
	portUnit     *incr.Unit[PortID]
	chassisUnit  *incr.Unit[string]
	tunnelUnit   *incr.Unit[string]
	groupUnit    *incr.Unit[GroupID]
	unitUnit     *incr.Unit[UnitID]
	datapathUnit *incr.Unit[uint32]
	macUnit      *incr.Unit[MACID]
	bfdUnit      *incr.Unit[BFDID]

	ofgroupUnit *incr.Unit[uint32]

	placements *incr.Sink[PortID, Placement]
	flows      *incr.Sink[Owner, Flows]
	bodies     *incr.Sink[UnitID, Resolved]
	zoneNames  *incr.Sink[string, bool] // zones of routers
	sessions   *incr.Sink[BFDID, *proto.BfdSession]
	ofgroups   *incr.Sink[uint32, OFGroup]

	emitted map[Owner]*Flows

	emittedGroups map[uint32]*OFGroup

	macRoots  map[MACID]bool
	learnedIn map[uint32]int // by datapath
	placed    map[PortID]Placement
	residents map[string]int             // names of ports placed here, counted
	serving   map[string]service         // by interface name
	localnets map[uint32]map[uint32]bool // localnet ports by datapath
	gateways  map[PortID]bool            // l2gateway ports
	multis    map[uint32]int             // ports with additional chassis, by datapath

	routers map[uint32]map[uint32]routerPort // switch ports that lead to distributed routers, by datapath

	haPorts map[PortID]bool            // that name an HA group
	haUsers map[uint32]map[string]bool // chassis by datapath whose HA groups they use

	announcers map[PortID]*proto.Port

	neigh neighbours

	chassisChanged, haChanged bool
}

// Where a port is, seen from this chassis.
type Where uint8

const (
	Nowhere Where = iota // no chassis that can be reached
	Here                 // on an interface of this host
	Remote               // behind a tunnel
	Bridged              // behind the localnet port of its switch
)

// Placement is where a port is and how it is reached.
type Placement struct {
	Where     Where
	Name      string
	Interface string // name of the interface; Here
	OFPort    int    // of the interface (Here) or of the tunnel (Remote)
	Tag       uint32 // VLAN on the interface
	Kind      PortKind
	Any       bool   // frames of every VLAN come in: an untagged localnet port with vlan-passthru
	Via       uint32 // key of the localnet port that the switch leaves by; Bridged, and where Also is not empty
	EthType   uint16 // of the VLAN tag; 0: 802.1Q
	Chassis   string // that the port is on; Remote
	Also      []Hop  // further chassis that the port is on; Here, Remote
	Backups   string // OpenFlow ports of the tunnels to take where that of OFPort fails, as text; Remote
	Groups    string // keys of its multicast groups, in order, as text
	Learn     bool
	Peer      PortID // of a patch port; Here
	Awaits    Awaits // whether the port is blocked until its workload says that it runs here
}

func (p Placement) hash() incr.Hash {
	h := incr.CellOf(uint64(p.Where), p.Name, p.Interface, uint64(p.OFPort), uint64(p.Tag), p.Chassis, p.Groups, uint64(p.Kind), flag(p.Any), uint64(p.Via), flag(p.Learn), uint64(p.EthType), p.Backups,
		uint64(p.Peer.Datapath), uint64(p.Peer.Port), uint64(p.Awaits))
	for _, hop := range p.Also {
		h = incr.CellOf(h, hop.Chassis, uint64(hop.OFPort))
	}
	return h
}

// zoned tells whether the port needs a conntrack zone here.
func (p *Placement) zoned() bool {
	return p.Where == Here && p.Kind != KindExternal && p.Kind != KindRedirect && p.Kind != KindPatch && p.Kind != KindL3Gateway
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// New returns a host without inputs.
func New(log *slog.Logger) *Host {
	h := &Host{
		e: incr.New(incr.Options{Workers: 1, Logger: log}), in: newInputs(),
		emitted: map[Owner]*Flows{}, emittedGroups: map[uint32]*OFGroup{}, macRoots: map[MACID]bool{}, learnedIn: map[uint32]int{}, placed: map[PortID]Placement{}, residents: map[string]int{}, serving: map[string]service{}, localnets: map[uint32]map[uint32]bool{}, gateways: map[PortID]bool{}, multis: map[uint32]int{}, routers: map[uint32]map[uint32]routerPort{},
		haPorts: map[PortID]bool{}, haUsers: map[uint32]map[string]bool{}, announcers: map[PortID]*proto.Port{},
	}
	h.placements = incr.NewSink(h.e, "placements", Placement.hash, incr.Order(comparePortID))
	h.flows = incr.NewSink(h.e, "flows", Flows.hash, incr.Order(CompareOwner))
	h.bodies = incr.NewSink(h.e, "bodies", Resolved.hash, incr.Order(compareUnitID))
	h.ofgroups = incr.NewSink(h.e, "ofgroups", OFGroup.hash, incr.Order(cmp.Compare[uint32]))
	h.sessions = incr.NewSink(h.e, "sessions", hashSession, incr.Order(compareBFDID))
	h.place = incr.NewQuery(h.e, "placement", Placement.hash, h.placement, incr.Order(comparePortID))
	h.resident = incr.NewQuery(h.e, "resident", func(b bool) incr.Hash { return incr.CellOf(flag(b)) },
		func(c *incr.Ctx, id PortID) (bool, error) {
			p, err := h.place.Get(c, id)
			return p.Where == Here, err
		}, incr.Order(comparePortID))
	h.bridged = incr.NewQuery(h.e, "bridged", incr.HashInt[uint32], h.bridge, incr.Order(cmp.Compare[uint32]))
	h.zoneNames = incr.NewSink(h.e, "zones", incr.HashBool, incr.Order(cmp.Compare[string]))
	h.datapathUnit = incr.NewUnit(h.e, "datapath", h.datapath, incr.Order(cmp.Compare[uint32]))
	h.chassisUnit = incr.NewUnit(h.e, "chassis", h.chassisMACs, incr.Order(cmp.Compare[string]))
	h.fixedUnit = incr.NewUnit(h.e, "fixed", h.fixed)
	h.portUnit = incr.NewUnit(h.e, "port", h.port, incr.Order(comparePortID))
	h.tunnelUnit = incr.NewUnit(h.e, "tunnel", h.tunnel, incr.Order(cmp.Compare[string]))
	h.groupUnit = incr.NewUnit(h.e, "group", h.group, incr.Order(compareGroupID))
	h.unitUnit = incr.NewUnit(h.e, "unit", h.unit, incr.Order(compareUnitID))
	h.macUnit = incr.NewUnit(h.e, "mac", h.mac, incr.Order(compareMACID))
	h.ofgroupUnit = incr.NewUnit(h.e, "ofgroup", h.ofgroup, incr.Order(cmp.Compare[uint32]))
	h.bfdUnit = incr.NewUnit(h.e, "bfd", h.bfd, incr.Order(compareBFDID))
	h.initNeighbours()
	h.fixedUnit.Root(struct{}{})
	return h
}

func compareUnitID(a, b UnitID) int { return slices.Compare(a[:], b[:]) }

// Change is what a round changed.
type Change struct {
	// Flows by owner; nil: none any more.
	Flows map[Owner]*Flows
	// Bodies by unit; nil: not on this chassis any more.
	Bodies map[UnitID]*Resolved
	// Groups are OpenFlow groups by id; nil: not on this chassis any more.
	Groups map[uint32]*OFGroup
	// Zones are the conntrack zones that were given, by port name; 0: freed.
	Zones map[string]int
	// Serving are the interfaces that serve a port now, or (false) no more.
	Serving map[string]bool
	// Chassis tells that the other chassis changed.
	Chassis bool
	// Placed are the ports whose placement changed.
	Placed map[PortID]Placement
	// Sessions are the BFD sessions that run here and changed; nil: no more.
	Sessions map[BFDID]*proto.BfdSession
	// Executed is the number of functions that ran.
	Executed int
	// Errors of units that fail, or (nil Err) work again.
	Errors []incr.UnitError
}

// Round evaluates what changed.
func (h *Host) Round() Change {
	ch := Change{Flows: map[Owner]*Flows{}, Bodies: map[UnitID]*Resolved{}, Groups: map[uint32]*OFGroup{}, Placed: map[PortID]Placement{}, Zones: map[string]int{}, Serving: map[string]bool{}, Sessions: map[BFDID]*proto.BfdSession{}}
	ch.Chassis, h.chassisChanged = h.chassisChanged, false
	ch.Executed = h.e.Run().Total
	if h.settle(&ch) {
		ch.Executed += h.e.Run().Total
	}
	for _, d := range h.flows.Drain() {
		ch.Flows[d.Key] = d.New
		put(h.emitted, d.Key, d.New)
	}
	for _, d := range h.bodies.Drain() {
		ch.Bodies[d.Key] = d.New
	}
	for _, d := range h.ofgroups.Drain() {
		ch.Groups[d.Key] = d.New
		put(h.emittedGroups, d.Key, d.New)
		h.haChanged = true // which tunnels are watched
	}
	if len(h.emittedGroups) > 0 && len(ch.Placed) > 0 {
		h.haChanged = true
	}
	for _, d := range h.sessions.Drain() {
		ch.Sessions[d.Key] = nil
		if d.New != nil {
			ch.Sessions[d.Key] = *d.New
		}
	}
	ch.Errors = h.e.DrainErrors()
	return ch
}

// settle brings what follows from all placements up to date: zones and members
// of groups. It tells whether a second pass is due.
func (h *Host) settle(ch *Change) (again bool) {
	again = h.settleZones(ch)
	changed := h.placements.Drain()
	groups := map[GroupID]bool{}
	var gone, came []string
	for _, d := range changed {
		old, now := h.placed[d.Key], Placement{}
		if d.New != nil {
			now = *d.New
			h.placed[d.Key] = now
		} else {
			delete(h.placed, d.Key)
		}
		ch.Placed[d.Key] = now
		if old.zoned() {
			if h.residents[old.Name]--; h.residents[old.Name] == 0 {
				delete(h.residents, old.Name)
				gone = append(gone, old.Name)
			}
		}
		if now.zoned() {
			h.residents[now.Name]++
			came = append(came, now.Name)
		}
		h.serve(ch, old, -1)
		h.serve(ch, now, 1)
		for _, g := range h.regroup(d.Key, old, now) {
			groups[g] = true
		}
	}
	for _, name := range gone {
		if h.residents[name] == 0 && h.in.zones.Of(name) != 0 {
			h.in.zones.Release(name)
			h.e.Touch(cellZone(name))
			ch.Zones[name], again = 0, true
		}
	}
	slices.Sort(came)
	for _, name := range came {
		if h.in.zones.Of(name) == 0 && h.in.zones.Ensure(name) != 0 {
			h.e.Touch(cellZone(name))
			ch.Zones[name], again = h.in.zones.Of(name), true
		}
	}
	for g := range groups {
		h.e.Touch(cellGroup(g))
		again = true
	}
	return again
}

// placement finds a port.
func (h *Host) placement(c *incr.Ctx, id PortID) (Placement, error) {
	c.Read(cellPort(id))
	port := h.in.ports[id]
	if port == nil {
		return Placement{}, nil
	}
	p := Placement{Name: port.Name, Groups: groupsText(port.Groups), Learn: port.Learn}
	local := false
	if len(port.HaGroup) > 0 {
		p.Kind = kindOf(port)
		local = h.shared(c, id, port, &p)
	} else {
		local = h.local(c, id, port, &p)
	}
	if local && len(port.AdditionalChassis) == 0 {
		return p, nil
	}
	via, err := h.bridged.Get(c, id.Datapath)
	if err != nil {
		return p, err
	}
	if p.Kind == KindLocalport {
		return p, nil
	}
	hops := h.hops(c, port)
	switch {
	case local:
		p.Also, p.Via = hops, via
	case via != 0 && len(port.AdditionalChassis) == 0:
		p.Where, p.Via = Bridged, via
		if h.overlaid(c, id.Datapath) {
			p.Also = hops
		}
	case len(port.HaGroup) > 0:
		if bridged, err := h.bridgedGateway(c, id, port, &p); bridged || err != nil {
			return p, err
		}
		h.behind(c, port, &p)
	case len(hops) > 0:
		p.Where, p.OFPort, p.Chassis, p.Also, p.Via = Remote, hops[0].OFPort, hops[0].Chassis, hops[1:], via
	}
	return p, nil
}

// reach is the tunnel to a chassis: the one to the address that the port asks
// for, else the first; 0: there is none.
func (h *Host) reach(c *incr.Ctx, name, encapIP string) int {
	c.Read(cellChassis(name))
	for _, ip := range GeneveIPs(h.in.chassis[name]) {
		if encapIP != "" && encapIP != ip {
			continue
		}
		id := name + "@" + ip
		c.Read(cellTunnel(id))
		if ofport := h.in.tunnels[id]; ofport > 0 {
			return ofport
		}
	}
	if encapIP != "" {
		return h.reach(c, name, "")
	}
	return 0
}

// option is the field that the Geneve option is mapped to.
func (h *Host) option(c *incr.Ctx) *openflow.Field {
	c.Read(cellOption)
	return openflow.FieldTunMetadata(h.in.option)
}

// GeneveIPs are the addresses of a chassis' Geneve encapsulations, in order.
func GeneveIPs(ch *proto.Chassis) []string {
	var ips []string
	for _, e := range ch.GetEncaps() {
		if e.Type == "geneve" && e.Ip != "" {
			ips = append(ips, e.Ip)
		}
	}
	slices.Sort(ips)
	return slices.Compact(ips)
}

// Zones is the allocation of conntrack zones.
func (h *Host) Zones() *Zones { return h.in.zones }

// service is what an interface serves.
type service struct {
	port  string // name of the logical port; it is the interface's iface-id
	ports int    // of that name, in different datapaths
}

// serve keeps track of which interfaces serve ports.
func (h *Host) serve(ch *Change, p Placement, by int) {
	if p.Where != Here || p.Interface == "" || p.Tag != 0 || p.Kind == KindVirtual {
		return
	}
	s := h.serving[p.Interface]
	s.ports += by
	ch.Serving[p.Interface] = s.ports > 0
	if s.ports == 0 {
		delete(h.serving, p.Interface)
		return
	}
	s.port = p.Name
	h.serving[p.Interface] = s
}

// Resident are the interfaces that serve a port of this chassis: interface name
// to logical port.
func (h *Host) Resident() map[string]string {
	out := make(map[string]string, len(h.serving))
	for name, s := range h.serving {
		out[name] = s.port
	}
	return out
}

// Flows are those of an owner; nil: it has none.
func (h *Host) Flows(o Owner) *Flows { return h.emitted[o] }

// Placed is where a port is.
func (h *Host) Placed(id PortID) Placement { return h.placed[id] }

// Body is a body that was received.
func (h *Host) Body(hash state.Hash) *Body { return h.in.bodies[hash] }

// Unit is a unit that was received.
func (h *Host) Unit(id UnitID) *proto.Unit { return h.in.units[id] }

// Units are the units that were received.
func (h *Host) Units() map[UnitID]*proto.Unit { return h.in.units }

// Port is a port that was received.
func (h *Host) Port(id PortID) *proto.Port { return h.in.ports[id] }

// Chassis are the other chassis that were received.
func (h *Host) Chassis() map[string]*proto.Chassis { return h.in.chassis }

// Errors are the units that fail now.
func (h *Host) Errors() []incr.UnitError { return h.e.Errors() }

// Stats is the size of the engine.
func (h *Host) Stats() incr.Stats { return h.e.Stats() }

// port emits what a port contributes.
func (h *Host) port(c *incr.Ctx, id PortID) error {
	p, err := h.place.Get(c, id)
	if err != nil {
		return err
	}
	incr.Emit(c, h.placements, id, p)
	if p.Kind == KindExternal {
		return nil // nothing is sent to it but by the physical network
	}
	b := newBuilder(ownerOfPort(id), p.Name)
	switch p.Where {
	case Remote:
		if p.Backups != "" {
			b.sharedPort(id, p, h.option(c))
			break
		}
		b.remotePort(id, p, h.option(c))
	case Bridged:
		if p.Kind == KindRedirect {
			b.toNetwork(id, p)
			break
		}
		b.bridgedPort(id, p, h.option(c))
	case Here:
		if p.Kind == KindPatch || p.Kind == KindL3Gateway {
			b.patchPort(id, p, h.natZones(c, id.Datapath), h.natZones(c, p.Peer.Datapath))
			break
		}
		if p.Kind == KindRedirect {
			c.Read(cellPort(id))
			b.redirect(id, h.in.ports[id].Distributed)
			h.relieved(c, b, id)
			break
		}
		c.Read(cellZone(p.Name))
		zone := h.in.zones.Of(p.Name)
		if zone == 0 {
			return nil // it gets one between the passes; with none left, the port stays down
		}
		b.localPort(id, p, zone)
		b.blocked(id, p)
		if err := h.routerMACs(c, b, id, p, zone); err != nil {
			return err
		}
		if len(p.Also) > 0 {
			b.copies(id, p, h.option(c))
		}
	default:
		return nil
	}
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("port %q: %w", p.Name, err)
	}
	incr.Emit(c, h.flows, ownerOfPort(id), f)
	return nil
}

// tunnel emits what a tunnel contributes.
func (h *Host) tunnel(c *incr.Ctx, id string) error {
	c.Read(cellTunnel(id))
	ofport := h.in.tunnels[id]
	if ofport == 0 {
		return nil
	}
	b := newBuilder(ownerOfTunnel(id), id)
	b.fromTunnel(ofport, h.option(c))
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("tunnel %q: %w", id, err)
	}
	incr.Emit(c, h.flows, ownerOfTunnel(id), f)
	return nil
}

// group emits the flows of a multicast group.
func (h *Host) group(c *incr.Ctx, g GroupID) error {
	c.Read(cellGroup(g))
	m := h.in.groups[g]
	if m == nil {
		return nil
	}
	b := newBuilder(ownerOfGroup(g), fmt.Sprintf("group %d/%d", g.Datapath, g.Group))
	var local, own []member
	for _, key := range slices.Sorted(maps.Keys(m.local)) {
		lm := m.local[key]
		c.Read(cellZone(lm.name))
		one := member{port: key, zone: h.in.zones.Of(lm.name)}
		if lm.sender {
			own = append(own, one)
		} else {
			local = append(local, one)
		}
	}
	var remote []int
	for _, chassis := range slices.Sorted(maps.Keys(m.remote)) {
		if ofport := h.reach(c, chassis, ""); ofport > 0 {
			remote = append(remote, ofport)
		}
	}
	zones := make([]zoneMember, 0, len(m.zones))
	for _, key := range slices.Sorted(maps.Keys(m.zones)) {
		zones = append(zones, zoneMember{key, m.zones[key]})
	}
	b.group(g, local, own, remote, zones, h.option(c))
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("group %d of datapath %d: %w", g.Group, g.Datapath, err)
	}
	incr.Emit(c, h.flows, ownerOfGroup(g), f)
	return nil
}

// mac emits the flows of a MAC address that was learned.
func (h *Host) mac(c *incr.Ctx, id MACID) error {
	c.Read(cellMAC(id))
	port := h.in.learned[id]
	if port == 0 {
		port = h.in.fdb[id]
	}
	if port == 0 {
		return nil
	}
	b := newBuilder(ownerOfMAC(id), fmt.Sprintf("fdb %d/%012x", id.Datapath, id.MAC))
	b.learned(id, port)
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("MAC %012x of datapath %d: %w", id.MAC, id.Datapath, err)
	}
	incr.Emit(c, h.flows, ownerOfMAC(id), f)
	return nil
}

// fixed emits the flows that every chassis has.
func (h *Host) fixed(c *incr.Ctx, _ struct{}) error {
	b := newBuilder(Owner{Kind: KindFixed}, "fixed")
	b.fixed()
	f, err := b.done()
	if err != nil {
		return fmt.Errorf("fixed flows: %w", err)
	}
	incr.Emit(c, h.flows, Owner{Kind: KindFixed}, f)
	return nil
}
