package compile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// Program is the queries of northd on one engine. It belongs to one goroutine.
type Program struct {
	Engine *incr.Engine
	Reader *topology.Reader

	Rows          *incr.Sink[RowKey, Row]
	Members       *incr.Sink[MemberKey, ovsdb.UUID]
	Units         *incr.Sink[UnitKey, *Unit]
	Items         *incr.Sink[state.Key, Item]
	Bindings      *incr.Sink[PortKey, Binding]
	Chassis       *incr.Sink[string, []byte]
	Up            *incr.Sink[ovsdb.UUID, bool]
	Stale         *incr.Sink[ovsdb.UUID, bool] // rows of FDB and MAC_Binding whose port is gone
	Links         *incr.Sink[LinkKey, Link]
	Status        *incr.Sink[ovsdb.UUID, string] // of BFD sessions
	Ages          *incr.Sink[uint32, uint32]     // by tunnel key of a switch: seconds after which learned addresses go
	NeighbourAges *incr.Sink[ovsdb.UUID, string] // by router: mac_binding_age_threshold
	HAGroups      *incr.Sink[ovsdb.UUID, HAGroup]
	Warnings      *incr.Sink[string, error] // *topology.FieldError of what is used, but not as it was asked for

	externals externals

	c       *topology.Columns
	ports   *topology.List
	fwds    *topology.List               // forwarding groups
	groups  *incr.Collection[group]      // OpenFlow groups in use
	unknown *incr.Collection[ovsdb.UUID] // by switch: enabled ports with unknown addresses

	datapathKey *incr.Query[ovsdb.UUID, uint32]
	port        *incr.Query[topology.Member, *topology.Port]
	switchBody  *incr.Query[shape, *translate.Body]

	zone     *incr.Unit[struct{}]
	datapath *incr.Unit[ovsdb.UUID]
	logic    *incr.Unit[ovsdb.UUID]
	member   *incr.Unit[topology.Member]
	binding  *incr.Unit[topology.Member]
	chassis  *incr.Unit[ovsdb.UUID]
	fdb      *incr.Unit[ovsdb.UUID]
	age      *incr.Unit[ovsdb.UUID]
	fwd      *incr.Unit[topology.Member]
	group    *incr.Unit[group]

	routers    routers
	sessions   sessions
	neighbours neighbours
	gateways   gateways
	routes     routes
	policies   policies
}

// New registers the queries on the engine. Nothing runs before Engine.Run.
func New(e *incr.Engine, c *topology.Columns, sn *ovsdb.Snapshot) *Program {
	pipeline.Parse()
	p := &Program{Engine: e, Reader: topology.NewReader(e, c, sn), c: c}

	p.Rows = incr.NewSink(e, "rows", hashRow, incr.Order(compareRows))
	p.Members = incr.NewSink(e, "members", hashUUID, incr.Order(compareMembers))
	p.Units = incr.NewSink(e, "units", hashUnit, incr.Order(compareUnits))
	p.Items = incr.NewSink(e, "items", hashItem, incr.Order(compareKeys))
	p.Bindings = incr.NewSink(e, "bindings", hashBinding, incr.Order(comparePorts))
	p.Chassis = incr.NewSink(e, "chassis", hashBytes, incr.Order(strings.Compare))
	p.Up = incr.NewSink(e, "up", hashBool, incr.Order(compareUUIDs))
	p.Stale = incr.NewSink(e, "stale", hashBool, incr.Order(compareUUIDs))
	p.Ages = incr.NewSink[uint32](e, "fdb-ages", hashKey)

	p.Links = incr.NewSink(e, "links", hashLink, incr.Order(compareLinks))

	p.ports = p.Reader.List(c.LS.Ports)
	p.fwds = p.Reader.List(c.LS.ForwardingGroups)
	p.groups = incr.NewRelation(e, "groups", incr.Order(compareGroups))
	p.unknown = incr.NewRelation(e, "unknown", incr.Order(compareUUIDs))

	p.newExternals(e)
	p.datapathKey = incr.NewQuery(e, "datapath-key", hashKey, p.readDatapathKey, incr.Order(compareUUIDs))
	p.port = incr.NewQuery(e, "port", topology.HashPort, p.readPort, incr.Order(compareMember))
	p.switchBody = incr.NewQuery(e, "switch-body", hashBody, p.compileSwitch, incr.Order(shape.compare))

	p.datapath = incr.NewUnit(e, "datapath", p.runDatapath, incr.Order(compareUUIDs))
	p.logic = incr.NewUnit(e, "switch", p.runSwitch, incr.Order(compareUUIDs))
	p.member = incr.NewUnit(e, "switch-port", p.runPort, incr.Order(compareMember))
	p.binding = incr.NewUnit(e, "binding", p.runBinding, incr.Order(compareMember))
	p.chassis = incr.NewUnit(e, "chassis", p.runChassis, incr.Order(compareUUIDs))
	p.fdb = incr.NewUnit(e, "fdb", p.runFDB, incr.Order(compareUUIDs))
	p.age = incr.NewUnit(e, "fdb-age", p.runAge, incr.Order(compareUUIDs))
	p.fwd = incr.NewUnit(e, "forwarding-group", p.runFwdGroup, incr.Order(compareMember))
	p.group = incr.NewUnit(e, "group", p.runGroup, incr.Order(compareGroups))
	p.zone = incr.NewUnit(e, "zone", p.runZone)
	p.Reader.Rows(c.LS.Table)
	p.Reader.Rows(c.Chassis.Table)
	p.Reader.Rows(c.FDB.Table)
	p.newGateways(e)
	p.newRouters(e)
	p.newSessions(e)
	p.newNeighbours(e)
	p.newRoutes(e)
	p.newPolicies(e)
	p.zone.Root(struct{}{})
	return p
}

func compareLinks(a, b LinkKey) int { return compareUUIDs(a.Port, b.Port) }

func compareUUIDs(a, b ovsdb.UUID) int { return bytes.Compare(a[:], b[:]) }

// shape is all that the logic of a switch by itself depends on.
type shape struct {
	unknown  bool // it has a port with unknown addresses
	passthru bool // frames with VLAN tags pass
}

func (s shape) compare(o shape) int {
	return cmp.Or(compareBools(s.unknown, o.unknown), compareBools(s.passthru, o.passthru))
}

// topology is a switch of that shape.
func (s shape) topology() *topology.Switch {
	return &topology.Switch{HasUnknown: s.unknown, Passthru: s.passthru}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func compareMember(a, b topology.Member) int {
	if c := bytes.Compare(a.Row[:], b.Row[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.Elem[:], b.Elem[:])
}

func hashKey(k uint32) incr.Hash {
	var h incr.Hash
	binary.BigEndian.PutUint32(h[:], k)
	return h
}

func hashBody(b *translate.Body) incr.Hash {
	if b == nil {
		return incr.Hash{}
	}
	return incr.Hash(b.Hash)
}

// runZone keeps alive what every switch, router, chassis and learned address has.
func (p *Program) runZone(c *incr.Ctx, _ struct{}) error {
	switches := p.Reader.Rows(p.c.LS.Table)
	incr.Each(c, switches, topology.AllRows, p.datapath)
	incr.Each(c, switches, topology.AllRows, p.logic)
	routers := p.Reader.Rows(p.c.LR.Table)
	incr.Each(c, routers, topology.AllRows, p.routers.datapath)
	incr.Each(c, routers, topology.AllRows, p.routers.logic)
	incr.Each(c, p.Reader.Rows(p.c.Chassis.Table), topology.AllRows, p.chassis)
	incr.Each(c, p.Reader.Rows(p.c.FDB.Table), topology.AllRows, p.fdb)
	incr.Each(c, switches, topology.AllRows, p.age)
	p.walkNeighbours(c)
	incr.Each(c, p.groups, topology.AllRows, p.group)
	p.eachBFD(c)
	incr.Each(c, p.gateways.used, topology.AllRows, p.gateways.emit)
	incr.Each(c, p.gateways.used, topology.AllRows, p.gateways.named)
	return nil
}

// readDatapathKey is the tunnel key of a switch or router, 0 as long as it has none.
func (p *Program) readDatapathKey(c *incr.Ctx, ls ovsdb.UUID) (uint32, error) {
	key, _ := p.Reader.Key(c, topology.KindDatapath, ovsdb.UUID{}, ls)
	return key, nil
}

func (p *Program) readPort(c *incr.Ctx, m topology.Member) (*topology.Port, error) {
	key, err := p.datapathKey.Get(c, m.Row)
	if err != nil || key == 0 {
		return nil, err
	}
	port, ok, err := p.Reader.ReadPort(c, m, key)
	if err != nil || !ok {
		return nil, err
	}
	if port.Type == topology.TypeRouter {
		err = p.connect(c, port)
	}
	return port, err
}

// configTransit is the key of Logical_Switch:other_config, and of
// Datapath_Binding:external_ids, that names the transit switch which a switch
// stands for in its zone (ovn-nb(5)).
const configTransit = "interconn-ts"

// runDatapath emits the rows and the item of a switch, and walks its ports.
func (p *Program) runDatapath(c *incr.Ctx, ls ovsdb.UUID) error {
	p.ports.Each(c, ls, p.member)
	p.ports.Each(c, ls, p.binding)
	p.fwds.Each(c, ls, p.fwd)
	key, err := p.datapathKey.Get(c, ls)
	if err != nil || key == 0 {
		return err
	}
	name := p.Reader.Str(c, p.c.LS.Name, ls)
	xid := ovsdb.MapOf("logical-switch", ls.String(), "name", name)
	if ts, ok := p.Reader.Option(c, p.c.LS.OtherConfig, ls, configTransit); ok {
		xid = xid.With(configTransit, ts)
	}
	incr.Emit(c, p.Rows, RowKey{"Datapath_Binding", ls}, Row{[]Column{
		{"tunnel_key", int64(key)},
		{"type", ovsdb.NewSet("logical-switch")},
		{"nb_uuid", ovsdb.NewSet(ls)},
		{"external_ids", xid},
	}})
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_DATAPATH, Key: state.DatapathKey(key)}, Item{
		Scope: Scope{Datapath: key},
		Value: marshal(&proto.Datapath{Uuid: ls[:], Name: name, Type: "logical-switch", FdbAgeThreshold: p.fdbAge(c, ls)}),
	})
	return nil
}

// groupRow emits a multicast group of a switch.
func (p *Program) groupRow(c *incr.Ctx, ls ovsdb.UUID, g Group) {
	incr.Emit(c, p.Rows, RowKey{"Multicast_Group", g.UUID(ls)}, Row{[]Column{
		{"datapath", ls}, {"name", g.Name}, {"tunnel_key", int64(g.Key)},
	}})
}

// Group is a multicast group that every switch may have.
type Group struct {
	Name string
	Key  uint32
}

// The groups of a switch.
var (
	GroupFlood   = Group{"_MC_flood", abi.GroupFlood}
	GroupUnknown = Group{"_MC_unknown", abi.GroupUnknown}
	GroupFloodL2 = Group{"_MC_flood_l2", abi.GroupFloodL2}
)

// UUID is the identity of the group's row: the same for the same switch.
func (g Group) UUID(ls ovsdb.UUID) ovsdb.UUID {
	return derived(ls, g.Name)
}

// derived is a UUID that follows from another one and a name (RFC 4122,
// version 5 in form).
func derived(u ovsdb.UUID, name string) ovsdb.UUID {
	return topology.Derived(u, name)
}

// runSwitch emits what a switch does without looking at its ports.
func (p *Program) runSwitch(c *incr.Ctx, ls ovsdb.UUID) error {
	key, err := p.datapathKey.Get(c, ls)
	if err != nil || key == 0 {
		return err
	}
	s := shape{unknown: incr.Any(c, p.unknown, incr.Hash(ls)), passthru: p.Reader.Passthru(c, ls)}
	p.groupRow(c, ls, GroupFlood)
	p.groupRow(c, ls, GroupFloodL2)
	if s.unknown {
		p.groupRow(c, ls, GroupUnknown)
	}
	body, err := p.switchBody.Get(c, s)
	if err != nil {
		return err
	}
	name := p.Reader.Str(c, p.c.LS.Name, ls)
	p.emitUnit(c, UnitKey{Switch: ls, Object: ls, Part: PartDefault}, body, Scope{Datapath: key}, 0,
		func() ([]pipeline.Flow, error) { return pipeline.OfSwitch(s.topology()) },
		object("Logical_Switch", ls, name))
	return nil
}

// compileSwitch is the body of all switches that look the same.
func (p *Program) compileSwitch(_ *incr.Ctx, s shape) (*translate.Body, error) {
	flows, err := pipeline.OfSwitch(s.topology())
	if err != nil {
		return nil, err
	}
	return translate.Compile(flows, nil, nil)
}

// emitUnit emits a unit. resident, if not 0, is the port that has to be on a
// chassis for the unit to hold there; the scope says who is sent it.
func (p *Program) emitUnit(c *incr.Ctx, k UnitKey, b *translate.Body, s Scope, resident uint32, logic func() ([]pipeline.Flow, error), objects ...*proto.Object) {
	incr.Emit(c, p.Units, k, &Unit{
		Body: b, Scope: s, Logic: logic,
		Value: marshal(&proto.Unit{Body: b.Hash[:], Datapath: s.Datapath, Port: resident, Objects: objects}),
	})
	p.useGroups(c, b, s.Datapath, objects...)
}

// runBinding emits where a port is bound, and whether it is up.
func (p *Program) runBinding(c *incr.Ctx, m topology.Member) error {
	port, err := p.port.Get(c, m)
	if err != nil || port == nil {
		return nil // the port's own unit says why
	}
	b := Binding{Port: port.UUID}
	if port.Patch() {
		incr.Emit(c, p.Up, m.Elem, true) // what it leads to is everywhere
		return nil
	}
	if row := p.Reader.Row(c, p.c.PortBinding.Table, m.Elem); row != nil {
		if a, ok := row.Opt(p.c.PortBinding.Chassis); ok && port.Bound() {
			b.Chassis = p.Reader.Str(c, p.c.Chassis.Name, a.(ovsdb.UUID))
		}
		for a := range row.Set(p.c.PortBinding.AdditionalChassis).All() {
			if name := p.Reader.Str(c, p.c.Chassis.Name, a.(ovsdb.UUID)); name != "" && port.Bound() {
				b.Additional = append(b.Additional, name)
			}
		}
		slices.Sort(b.Additional)
		for _, column := range []*ovsdb.ColumnSchema{p.c.PortBinding.Encap, p.c.PortBinding.AdditionalEncap} {
			for a := range row.Set(column).All() {
				if e := a.(ovsdb.UUID); port.Bound() {
					b.Encaps = append(b.Encaps, p.Reader.Str(c, p.c.Encap.ChassisName, e)+"@"+p.Reader.Str(c, p.c.Encap.IP, e))
				}
			}
		}
		slices.Sort(b.Encaps)
		if a, ok := row.Opt(p.c.PortBinding.Up); ok {
			b.Up = a.(bool) && b.Chassis != ""
		}
	}
	if port.Type == topology.TypeRemote { // its zone sees to it
		b.Up = b.Chassis != ""
	}
	incr.Emit(c, p.Bindings, PortKey{port.Datapath, port.Key}, b)
	incr.Emit(c, p.Up, m.Elem, b.Up)
	return nil
}

// ConfigRemote is the key of Chassis:other_config that tells that a chassis is of
// another zone, and was written here by the interconnection (ovn-sb(5)).
const ConfigRemote = "is-remote"

// runChassis emits how a chassis is reached.
func (p *Program) runChassis(c *incr.Ctx, u ovsdb.UUID) error {
	h := &p.c.Chassis
	if !p.Reader.Has(c, h.Table, u) {
		return nil
	}
	item := &proto.Chassis{Hostname: p.Reader.Str(c, h.Hostname, u)}
	for a := range p.Reader.Set(c, h.Encaps, u).All() {
		e := a.(ovsdb.UUID)
		ip := p.Reader.Str(c, p.c.Encap.IP, e)
		if _, err := netip.ParseAddr(ip); err != nil {
			return &topology.FieldError{Table: "Encap", Column: "ip", Object: p.Reader.Str(c, h.Name, u), UUID: e, Err: err}
		}
		options := make(map[string]string)
		for k, v := range p.Reader.Map(c, p.c.Encap.Options, e).All() {
			options[k.(string)] = v.(string)
		}
		item.Encaps = append(item.Encaps, &proto.Encap{Type: p.Reader.Str(c, p.c.Encap.Type, e), Ip: ip, Options: options})
	}
	item.Macs = p.chassisMACs(c, u)
	remote, _ := p.Reader.Option(c, h.OtherConfig, u, ConfigRemote)
	item.Remote = remote == "true"
	slices.SortFunc(item.Encaps, func(a, b *proto.Encap) int { return strings.Compare(a.Type+a.Ip, b.Type+b.Ip) })
	incr.Emit(c, p.Chassis, p.Reader.Str(c, h.Name, u), marshal(item))
	return nil
}

var deterministic = gproto.MarshalOptions{Deterministic: true}

// marshal encodes a message of proto; these always encode.
func marshal(m gproto.Message) []byte {
	b, err := deterministic.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("compile: marshalling %T: %v", m, err))
	}
	return b
}
