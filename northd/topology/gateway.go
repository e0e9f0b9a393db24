package topology

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// HAKind says what an HA group comes from.
type HAKind uint8

const (
	HAGroupRow       HAKind = iota + 1 // a row of HA_Chassis_Group
	HAGatewayChassis                   // Logical_Router_Port:gateway_chassis
	HARouterChassis                    // Logical_Router:options:chassis, of a gateway router
)

// HAGroupID names an HA group by what it comes from: a row of HA_Chassis_Group,
// Logical_Router_Port or Logical_Router. The zero value names none.
type HAGroupID struct {
	Kind HAKind
	Row  ovsdb.UUID
}

// Key is the identity of the group on the chassis and in the southbound database.
func (g HAGroupID) Key() ovsdb.UUID { return Derived(g.Row, fmt.Sprintf("ha-group-%d", g.Kind)) }

// Compare orders them.
func (g HAGroupID) Compare(o HAGroupID) int {
	return cmp.Or(cmp.Compare(g.Kind, o.Kind), g.Row.Compare(o.Row))
}

// HAGroup is chassis that may host ports (ovn-nb(5), HA_Chassis_Group,
// Gateway_Chassis).
type HAGroup struct {
	Name    string
	Members []HAMember // by falling priority, each chassis once
}

// HAMember is one of them.
type HAMember struct {
	Chassis  string // by name
	Priority uint32
	Row      ovsdb.UUID // of the northbound database
}

// Gateway is what makes a router port one of a gateway, or dependent on one.
type Gateway struct {
	// Redirect is the chassisredirect port of a distributed gateway port, which
	// stands for it on the chassis that hosts it; "": the port is none.
	Redirect    string
	RedirectKey uint32
	// Bridged: the physical network brings packets to the chassis that hosts it,
	// not a tunnel (options:redirect-type).
	Bridged bool
	// Chassis is the one that a gateway router is on; "": it is distributed.
	Chassis string
	// Group are the chassis that may host the port.
	Group HAGroupID
	// Reside is the chassisredirect port of another port of the router, where
	// what the switch behind this one sends enters the router
	// (options:reside-on-redirect-chassis).
	Reside         string
	ResideDatapath uint32
	ResideKey      uint32
	// Localnet tells that the switch has a physical network, so that frames for
	// the port may come to any chassis. It is set where one of the above is.
	Localnet bool
}

// Errors of gateways.
var (
	// ErrNoChassis is the problem of a chassis that is named and not registered.
	ErrNoChassis = errors.New("there is no chassis of that name")
	// ErrNoMember and ErrMemberAway say what follows where chassis that may host a
	// port are not registered: all of them, or some.
	ErrNoMember   = errors.New("nor of another one that may host the port or router, so nothing passes it")
	ErrMemberAway = errors.New("so it cannot take over from the others")
	// ErrGatewayRouter is the problem of a distributed gateway port on a router
	// that is on one chassis as a whole.
	ErrGatewayRouter = errors.New("the router is on one chassis as a whole (options:chassis); a gateway chassis of a port has no effect")
	// ErrNoNetwork is the problem of a distributed gateway port that leads nowhere.
	ErrNoNetwork = errors.New("a distributed gateway port without an IP network")
	// ErrManyGateways is the problem of reside-on-redirect-chassis where it is not
	// clear on which.
	ErrManyGateways = errors.New("reside-on-redirect-chassis needs a router with exactly one distributed gateway port")
	// ErrRedirectType is the problem of an unknown redirect-type.
	ErrRedirectType = errors.New("redirect-type is overlay or bridged")
)

const (
	optionRedirectType = "redirect-type"
	optionReside       = "reside-on-redirect-chassis"
	optionNATAddresses = "nat-addresses"
	prefixRedirect     = "cr-"
)

// RedirectName is the name of the chassisredirect port of a router port.
func RedirectName(port string) string { return prefixRedirect + port }

// RedirectUUID is the identity of the chassisredirect port of a router port.
func RedirectUUID(port ovsdb.UUID) ovsdb.UUID { return Derived(port, "chassisredirect") }

// Derived is a UUID that follows from another one and a name (RFC 4122, version 5
// in form).
func Derived(u ovsdb.UUID, name string) ovsdb.UUID {
	var space [128]byte
	h := sha256.Sum256(append(append(append(space[:0], "govn\x00"...), u[:]...), name...))
	out := ovsdb.UUID(h[:16])
	out[6] = out[6]&0x0f | 0x50
	out[8] = out[8]&0x3f | 0x80
	return out
}

// readGateway reads what makes the port one of a gateway.
func (r *Reader) readGateway(c *incr.Ctx, p *RouterPort) {
	g := &p.Gateway
	if chassis, _ := r.Option(c, r.C.LR.Options, p.Router, optionChassis); chassis != "" {
		g.Chassis, g.Group = chassis, HAGroupID{HARouterChassis, p.Router}
		return
	}
	switch {
	case !p.HAChassisGroup.IsZero():
		g.Group = HAGroupID{HAGroupRow, p.HAChassisGroup}
	case len(p.GatewayChassis) > 0:
		g.Group = HAGroupID{HAGatewayChassis, p.UUID}
	case p.Options[optionReside] == "true":
		r.readReside(c, p)
		return
	default:
		return
	}
	if key, ok := r.Key(c, KindPort, p.Router, RedirectUUID(p.UUID)); ok {
		g.Redirect, g.RedirectKey = RedirectName(p.Name), key
		g.Bridged = p.Options[optionRedirectType] == "bridged"
	} else {
		g.Group = HAGroupID{}
	}
}

// readReside finds the distributed gateway port that a port follows. Only ports
// that ask for it read what else the router and the switch have.
func (r *Reader) readReside(c *incr.Ctx, p *RouterPort) {
	at, n := r.gatewayPort(c, p.Router)
	if n != 1 {
		return
	}
	key, ok := r.Key(c, KindPort, p.Router, RedirectUUID(at))
	if !ok {
		return
	}
	g := &p.Gateway
	g.Reside, g.ResideDatapath, g.ResideKey = RedirectName(r.Str(c, r.C.LRP.Name, at)), p.Datapath, key
}

// SwitchOf is the switch that a router port is attached to.
func (r *Reader) SwitchOf(c *incr.Ctx, p *RouterPort) (ls ovsdb.UUID, ok bool) {
	lsp, ok := r.AttachedTo(c, p.Name)
	if !ok {
		return ls, false
	}
	return r.Holder(c, r.C.LS.Ports, lsp)
}

// gatewayPort is a distributed gateway port of a router, and how many it has.
func (r *Reader) gatewayPort(c *incr.Ctx, lr ovsdb.UUID) (port ovsdb.UUID, n int) {
	for a := range r.Set(c, r.C.LR.Ports, lr).All() {
		u := a.(ovsdb.UUID)
		if r.IsGatewayPort(c, u) {
			port, n = u, n+1
		}
	}
	return port, n
}

// IsGatewayPort reports whether a router port names chassis that may host it.
func (r *Reader) IsGatewayPort(c *incr.Ctx, lrp ovsdb.UUID) bool {
	if _, there := r.Opt(c, r.C.LRP.HAChassisGroup, lrp); there {
		return true
	}
	return r.Set(c, r.C.LRP.GatewayChassis, lrp).Len() > 0
}

// Global is the row of NB_Global; ok is false if there is none (any more).
func (r *Reader) Global(c *incr.Ctx) (u ovsdb.UUID, ok bool) {
	c.Read(cellGlobal)
	for row := range r.snap.Rows(r.C.NBGlobal.Table) {
		return row.UUID(), true
	}
	return ovsdb.UUID{}, false
}

var cellGlobal = incr.CellOf("the row of NB_Global")

// isGatewayPort is IsGatewayPort of a row; nil is none.
func (c *Columns) isGatewayPort(row *ovsdb.Row) bool {
	return row != nil && row.Table() == c.LRP.Table && (row.Set(c.LRP.HAChassisGroup).Len() > 0 || row.Set(c.LRP.GatewayChassis).Len() > 0)
}

// ReadHAGroup reads a group; nil: there is none any more.
func (r *Reader) ReadHAGroup(c *incr.Ctx, id HAGroupID) *HAGroup {
	g := &HAGroup{}
	switch id.Kind {
	case HAGroupRow:
		t := &r.C.HAGroup
		if !r.Has(c, t.Table, id.Row) {
			return nil
		}
		g.Name = r.Str(c, t.Name, id.Row)
		for a := range r.Set(c, t.HAChassis, id.Row).All() {
			u := a.(ovsdb.UUID)
			g.add(r.Str(c, r.C.HAChassis.ChassisName, u), r.Int(c, r.C.HAChassis.Priority, u), u)
		}
	case HAGatewayChassis:
		g.Name = r.Str(c, r.C.LRP.Name, id.Row)
		for a := range r.Set(c, r.C.LRP.GatewayChassis, id.Row).All() {
			u := a.(ovsdb.UUID)
			g.add(r.Str(c, r.C.GatewayChassis.ChassisName, u), r.Int(c, r.C.GatewayChassis.Priority, u), u)
		}
	case HARouterChassis:
		chassis, _ := r.Option(c, r.C.LR.Options, id.Row, optionChassis)
		g.Name = r.Str(c, r.C.LR.Name, id.Row)
		g.add(chassis, 0, id.Row)
	}
	slices.SortFunc(g.Members, func(a, b HAMember) int {
		return cmp.Or(-cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Chassis, b.Chassis))
	})
	return g
}

// add adds a member; of one that is named twice the higher priority counts.
func (g *HAGroup) add(chassis string, priority int64, row ovsdb.UUID) {
	if chassis == "" {
		return
	}
	m := HAMember{Chassis: chassis, Priority: uint32(max(priority, 0)), Row: row}
	i := slices.IndexFunc(g.Members, func(o HAMember) bool { return o.Chassis == chassis })
	switch {
	case i < 0:
		g.Members = append(g.Members, m)
	case g.Members[i].Priority < m.Priority:
		g.Members[i] = m
	}
}

// Names are the members by name.
func (g *HAGroup) Names() []string {
	names := make([]string, len(g.Members))
	for i := range g.Members {
		names[i] = g.Members[i].Chassis
	}
	return names
}

// HashHAGroup is the hash of a group, zero for none.
func HashHAGroup(g *HAGroup) incr.Hash {
	if g == nil {
		return incr.Hash{}
	}
	b := appendText(nil, g.Name)
	for _, m := range g.Members {
		b = binary.BigEndian.AppendUint32(appendText(b, m.Chassis), m.Priority)
		b = append(b, m.Row[:]...)
	}
	return hashOf(b)
}

// GatewayProblem is what a router port asks of a gateway and cannot have; nil:
// nothing.
func (r *Reader) GatewayProblem(c *incr.Ctx, p *RouterPort) error {
	fail := func(column string, err error) error {
		return &FieldError{Table: r.C.LRP.Table.Name, Column: column, Object: p.Name, UUID: p.UUID, Err: err}
	}
	column := "gateway_chassis"
	if !p.HAChassisGroup.IsZero() {
		column = "ha_chassis_group"
	}
	gateway := len(p.GatewayChassis) > 0 || !p.HAChassisGroup.IsZero()
	kind, given := p.Options[optionRedirectType]
	switch {
	case gateway && p.Gateway.Chassis != "":
		return fail(column, ErrGatewayRouter)
	case gateway && len(p.Networks) == 0:
		return fail("networks", ErrNoNetwork)
	case given && kind != "overlay" && kind != "bridged":
		return fail("options:"+optionRedirectType, fmt.Errorf("%q: %w", kind, ErrRedirectType))
	case !gateway && p.Options[optionReside] == "true" && p.Gateway.Chassis == "":
		if _, n := r.gatewayPort(c, p.Router); n != 1 {
			return fail("options:"+optionReside, fmt.Errorf("%w, it has %d", ErrManyGateways, n))
		}
	}
	return nil
}

// NATAddresses are the values of Port_Binding:nat_addresses of a switch port of
// type router: what the chassis that hosts the router port announces to the
// switch (ovn-sb(5)); localnet tells that the switch has a physical network. The
// error is about options:nat-addresses.
func (r *Reader) NATAddresses(c *incr.Ctx, p *Port, localnet func() bool) (addresses []Announced, err error) {
	peer := p.Peer
	if peer == nil {
		return nil, nil
	}
	g := &peer.Gateway
	asked, _ := r.Option(c, r.C.LSP.Options, p.UUID, optionNATAddresses)
	if asked != "" && asked != "router" && g.Chassis != "" {
		a, err := ParseAddresses(asked)
		if err != nil || len(a.V4) == 0 {
			return nil, p.FieldError("options:"+optionNATAddresses, orElse(err, errNoIPv4))
		}
		addresses = append(addresses, Announced{Addresses: asked})
	}
	own := peer.MAC.String() + joined(peer.V4)
	switch {
	case g.Redirect != "":
		addresses = append(addresses, Announced{own, g.Redirect, peer.Datapath, g.RedirectKey})
	case g.Reside != "":
		addresses = append(addresses, Announced{own, g.Reside, g.ResideDatapath, g.ResideKey})
	case g.Chassis != "" && localnet():
		addresses = append(addresses, Announced{Addresses: own})
	}
	return addresses, nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

var errNoIPv4 = errors.New("no IPv4 address")

// Announced is an element of Port_Binding:nat_addresses: addresses that are
// announced where a port is resident, or (no port) where the row's own is.
type Announced struct {
	Addresses     string // "MAC IP..."
	Resident      string
	Datapath, Key uint32 // of the port Resident
}

// String is the element.
func (a Announced) String() string {
	if a.Resident == "" {
		return a.Addresses
	}
	return fmt.Sprintf("%s is_chassis_resident(%q)", a.Addresses, a.Resident)
}

func joined(networks []netip.Prefix) string {
	var b strings.Builder
	for _, n := range networks {
		b.WriteString(" " + n.Addr().String())
	}
	return b.String()
}

func (g *Gateway) appendHash(b []byte) []byte {
	b = appendText(appendText(appendText(b, g.Redirect), g.Chassis), g.Reside)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, g.RedirectKey), g.ResideKey)
	b = binary.BigEndian.AppendUint32(b, g.ResideDatapath)
	b = append(append(b, byte(g.Group.Kind)), g.Group.Row[:]...)
	return append(b, boolByte(g.Bridged), boolByte(g.Localnet))
}
