package compile

import (
	"fmt"
	"net/netip"

	"govn/northd/topology"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// sessions are the queries about BFD.
//
//	BFD row --> watched ports --> flows of the port (handle_bfd_msg, routes with TTL 255)
//	   |
//	   +------> southbound row, item for the chassis that hosts the port
//	   |             | status, of the chassis' reports
//	   |             v
//	   +------> BFD:status <--read-- routes --> sessions in use: others are admin_down
type sessions struct {
	watched *incr.Collection[ovsdb.UUID] // by name of a router port: its rows
	used    *incr.Collection[ovsdb.UUID] // by row: what depends on it

	watch  *incr.Unit[ovsdb.UUID]
	run    *incr.Unit[ovsdb.UUID]
	check  *incr.Unit[ovsdb.UUID]
	status *incr.Unit[ovsdb.UUID]
}

func (p *Program) newSessions(e *incr.Engine) {
	s := &p.sessions
	p.Status = incr.NewSink(e, "bfd-status", hashText, incr.Order(compareUUIDs))
	s.watched = incr.NewRelation(e, "bfd-watched", incr.Order(compareUUIDs))
	s.used = incr.NewRelation(e, "bfd-used", incr.Order(compareUUIDs))
	s.watch = incr.NewUnit(e, "bfd-watch", p.watchBFD, incr.Order(compareUUIDs))
	s.run = incr.NewUnit(e, "bfd", p.runBFD, incr.Order(compareUUIDs))
	s.check = incr.NewUnit(e, "bfd-check", p.checkBFD, incr.Order(compareUUIDs))
	s.status = incr.NewUnit(e, "bfd-status", p.runBFDStatus, incr.Order(compareUUIDs))
	p.Reader.Rows(p.c.BFD.Table)
}

func hashText(s string) incr.Hash { return sum([]byte(s)) }

func bfdPort(name string) incr.Hash { return incr.CellOf("bfd port", name) }

// eachBFD keeps alive what the rows of BFD have.
func (p *Program) eachBFD(c *incr.Ctx) {
	rows := p.Reader.Rows(p.c.BFD.Table)
	incr.Each(c, rows, topology.AllRows, p.sessions.watch)
	incr.Each(c, rows, topology.AllRows, p.sessions.run)
	incr.Each(c, rows, topology.AllRows, p.sessions.check)
	incr.Each(c, rows, topology.AllRows, p.sessions.status)
}

// watchBFD says that a router port has a session.
func (p *Program) watchBFD(c *incr.Ctx, u ovsdb.UUID) error {
	if name := p.Reader.Str(c, p.c.BFD.LogicalPort, u); name != "" {
		incr.Insert(c, p.sessions.watched, bfdPort(name), u)
	}
	return nil
}

// hasBFD reports whether a router port of the name has a session.
func (p *Program) hasBFD(c *incr.Ctx, name string) bool {
	return incr.Any(c, p.sessions.watched, bfdPort(name))
}

// States of a session, as the status columns have them.
const (
	bfdDown      = "down"
	bfdAdminDown = "admin_down"
)

// useBFD says that a route or policy depends on the sessions of a column, as far
// as they watch its next hop: they run as long as something does.
func (p *Program) useBFD(c *incr.Ctx, col *ovsdb.ColumnSchema, user ovsdb.UUID, next netip.Addr) {
	for a := range p.Reader.Set(c, col, user).All() {
		session := a.(ovsdb.UUID)
		if peer, err := netip.ParseAddr(p.Reader.Str(c, p.c.BFD.DstIP, session)); err == nil && peer == next {
			incr.Insert(c, p.sessions.used, incr.Hash(session), user)
		}
	}
}

// useRouteBFD says it of a static route.
func (p *Program) useRouteBFD(c *incr.Ctx, route ovsdb.UUID) {
	if p.Reader.Set(c, p.c.Route.BFD, route).Len() == 0 {
		return
	}
	if t, ok, err := p.Reader.ReadRoute(c, route); err == nil && ok && t.Next.IsValid() {
		p.useBFD(c, p.c.Route.BFD, route, t.Next)
	}
}

// runBFDStatus emits what the chassis says about a session.
func (p *Program) runBFDStatus(c *incr.Ctx, u ovsdb.UUID) error {
	if status := p.Reader.Str(c, p.c.SBBFD.Status, u); status != "" {
		incr.Emit(c, p.Status, u, status)
	}
	return nil
}

// runBFD emits a session: its southbound row, and the item for the chassis that
// hosts its port. One that cannot run has a row, too: it is down.
func (p *Program) runBFD(c *incr.Ctx, u ovsdb.UUID) error {
	s, ok, err := p.Reader.ReadBFD(c, u)
	if !ok {
		return err
	}
	inUse := incr.Any(c, p.sessions.used, incr.Hash(u))
	initial := bfdAdminDown
	if inUse {
		initial = bfdDown
	}
	at := seat{}
	if err == nil {
		at, err = p.seatOf(c, s)
	}
	if err == nil && at.port != nil {
		incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_BFD, Key: state.BFDKey(at.port.Datapath, at.port.Key, s.Peer)}, Item{
			Scope: Scope{Datapath: at.port.Datapath},
			Value: marshal(&proto.BfdSession{Discriminator: s.Discr, SourcePort: s.SourcePort, Source: at.source.AsSlice(), Mac: at.port.MAC.Uint64(),
				MinTx: s.MinTx, MinRx: s.MinRx, DetectMult: s.Mult, AdminDown: !inUse, Host: at.host}),
		})
	}
	incr.Emit(c, p.Rows, RowKey{"BFD", u}, Row{[]Column{
		{"logical_port", s.Port},
		{"dst_ip", p.Reader.Str(c, p.c.BFD.DstIP, u)},
		{"disc", int64(s.Discr)},
		{"src_port", int64(s.SourcePort)},
		{"min_tx", int64(s.MinTx)},
		{"min_rx", int64(s.MinRx)},
		{"detect_mult", int64(s.Mult)},
		{"options", p.Reader.Map(c, p.c.BFD.Options, u)},
		{"external_ids", p.Reader.Map(c, p.c.BFD.XID, u)},
		{"chassis_name", at.chassis},
		{"status", initial},
	}})
	return nil
}

// checkBFD fails where a session cannot run, and warns where it does not as it is
// asked to.
func (p *Program) checkBFD(c *incr.Ctx, u ovsdb.UUID) error {
	s, ok, err := p.Reader.ReadBFD(c, u)
	if !ok {
		return err
	}
	for _, e := range p.Reader.BFDLimits(c, u) {
		p.warn(c, e)
	}
	if err == nil {
		_, err = p.seatOf(c, s)
	}
	return err
}

// seat is where a session runs.
type seat struct {
	port    *topology.RouterPort // nil: nowhere, and the port's own unit says why
	source  netip.Addr
	host    uint32 // key of the port whose residence decides
	chassis string // "": none has it
}

func (p *Program) seatOf(c *incr.Ctx, s *topology.BFDSession) (at seat, err error) {
	problem := func(column string, err error) error {
		return &topology.FieldError{Table: p.c.BFD.Table.Name, Column: column, Object: s.Port, UUID: s.UUID, Err: err}
	}
	var lr ovsdb.UUID
	lrp, ok := p.Reader.Named(c, p.c.LRP.Name, s.Port)
	if ok {
		lr, ok = p.Reader.Holder(c, p.c.LR.Ports, lrp)
	}
	if !ok {
		return seat{}, problem("logical_port", fmt.Errorf("%q: %w", s.Port, topology.ErrNoRouterPort))
	}
	port, err := p.routers.port.Get(c, topology.Member{Row: lr, Elem: lrp})
	if err != nil || port == nil {
		return seat{}, nil
	}
	if at.source, ok = sourceOf(port, s.Peer); !ok {
		return seat{}, problem("dst_ip", fmt.Errorf("%v %w %q", s.Peer, topology.ErrNotNear, port.Name))
	}
	if at.host, at.chassis, ok = p.hostOfPort(c, port); !ok {
		return seat{}, problem("logical_port", fmt.Errorf("%q: %w", s.Port, topology.ErrNoHost))
	}
	at.port = port
	return at, nil
}

// sourceOf is the address of a router port in the network of a peer.
func sourceOf(port *topology.RouterPort, peer netip.Addr) (netip.Addr, bool) {
	list := port.V6
	if peer.Is4() {
		list = port.V4
	}
	for _, n := range list {
		if n.Contains(peer) {
			return n.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// hostOfPort is the port whose residence says where a router port is hosted, and
// the chassis that it is bound to, if any. Only a port of a gateway router and a
// distributed gateway port have one.
func (p *Program) hostOfPort(c *incr.Ctx, port *topology.RouterPort) (host uint32, chassis string, ok bool) {
	g := &port.Gateway
	host, row := port.Key, port.UUID
	switch {
	case g.Chassis != "":
	case g.Redirect != "":
		host, row = g.RedirectKey, topology.RedirectUUID(port.UUID)
	default:
		return 0, "", false
	}
	if a, bound := p.Reader.Opt(c, p.c.PortBinding.Chassis, row); bound {
		chassis = p.Reader.Str(c, p.c.Chassis.Name, a.(ovsdb.UUID))
	}
	return host, chassis, true
}
