package topology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Why a route or policy cannot be used.
var (
	// ErrNoPath is the problem of a next hop that is in no network of the router.
	ErrNoPath = errors.New("no port of the router reaches it")
	// ErrNoSource is the problem of an output port without an address that the
	// router could use as its own on the way to the next hop.
	ErrNoSource = errors.New("the output port has no address of this version of IP")
	// ErrFamily is the problem of a next hop of another version of IP than the
	// prefix.
	ErrFamily = errors.New("is not of the version of IP of the prefix")
	// ErrNoPort is the problem of a name that is not of a port of the router.
	ErrNoPort = errors.New("the router has no port of this name that could be used")
)

// OptionSymmetricReply is the key in options of a route by which replies are to go
// the way that their requests came (ovn-nb(5)).
const OptionSymmetricReply = "ecmp_symmetric_reply"

// nexthopDiscard is the next hop of a route that drops (ovn-nb(5)).
const nexthopDiscard = "discard"

// BFD states of a session (ovn-nb(5), BFD, status) in which its next hop is not
// used.
var bfdDown = map[string]bool{"down": true, "admin_down": true}

// Exit is how a router gets to a next hop.
type Exit struct {
	Port     ovsdb.UUID
	Name     string
	Key      uint32 // tunnel key of the port
	MAC      MAC    // of the port
	Source   netip.Addr
	Datapath uint32 // tunnel key of the router
	BFD      bool   // there are rows of BFD for the port
}

// Hop is what a static route does with the packets for its prefix.
type Hop struct {
	Route     ovsdb.UUID
	Discard   bool
	Next      netip.Addr // invalid: the packet's own destination
	Exit      Exit       // unless Discard
	Symmetric bool       // options:ecmp_symmetric_reply
	Fields    []string   // selection_fields: what the choice among alternatives depends on
}

// RouteGroup is the routes of a router to one prefix.
type RouteGroup struct {
	RouteKey
	TableID uint32 // 0: the main table
	ID      uint32 // of the alternatives, if there are several
	Discard bool   // packets are dropped: all routes say so
	// OneChassis tells that the router is a gateway router: all packets of a
	// connection pass one chassis, which can keep track of it.
	OneChassis bool
	Hops       []Hop // in the order of their numbers, from 1
}

// RouteText is what a static route says, before anything is looked up.
type RouteText struct {
	Prefix  netip.Prefix
	Discard bool
	Next    netip.Addr // invalid: none is given
	Port    string     // output_port; "": none is given
	Down    bool       // its BFD session is down
}

// ReadRoute reads a static route; ok is false if there is no such row. The error
// is a *FieldError.
func (r *Reader) ReadRoute(c *incr.Ctx, u ovsdb.UUID) (t RouteText, ok bool, err error) {
	col := &r.C.Route
	if !r.Has(c, col.Table, u) {
		return t, false, nil
	}
	text := r.Str(c, col.Prefix, u)
	bad := func(column *ovsdb.ColumnSchema, err error) error {
		return &FieldError{Table: col.Table.Name, Column: column.Name, Object: text, UUID: u, Err: err}
	}
	if t.Prefix, err = ParsePrefix(text); err != nil {
		return t, false, bad(col.Prefix, &AddressError{text, 0, err})
	}
	if v, there := r.Opt(c, col.OutputPort, u); there {
		t.Port = v.(string)
	}
	switch next := r.Str(c, col.Nexthop, u); next {
	case nexthopDiscard:
		t.Discard = true
	case "":
		if t.Port == "" {
			return t, false, bad(col.Nexthop, errors.New("a route needs a next hop or an output port"))
		}
	default:
		p, err := ParsePrefix(next)
		if err == nil && !p.IsSingleIP() {
			err = errors.New("is a network, not an address")
		}
		if err != nil {
			return t, false, bad(col.Nexthop, &AddressError{next, 0, err})
		}
		t.Next = p.Addr()
		if t.Next.Is4() != t.Prefix.Addr().Is4() {
			return t, false, bad(col.Nexthop, fmt.Errorf("%s %w", next, ErrFamily))
		}
		t.Down = r.bfdDown(c, col.BFD, u, t.Next)
	}
	return t, true, nil
}

// bfdDown reports whether the BFD session that a row refers to is one with the
// next hop, and down.
func (r *Reader) bfdDown(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID, next netip.Addr) bool {
	for a := range r.Set(c, col, u).All() {
		session := a.(ovsdb.UUID)
		dst, err := netip.ParseAddr(r.Str(c, r.C.BFD.DstIP, session))
		if err != nil || dst != next {
			continue
		}
		status, _ := r.Opt(c, r.C.BFD.Status, session)
		text, _ := status.(string)
		return text == "" || bfdDown[text]
	}
	return false
}

// RouteOptions are the parts of a route that matter where there are several to
// its prefix.
func (r *Reader) RouteOptions(c *incr.Ctx, u ovsdb.UUID) (symmetric bool, fields []string) {
	v, _ := r.Option(c, r.C.Route.Options, u, OptionSymmetricReply)
	for a := range r.Set(c, r.C.Route.SelectionFields, u).All() {
		fields = append(fields, a.(string))
	}
	return v == "true", fields
}

// PortRouteTable is the route table that a router port names, "" if it does not.
func (r *Reader) PortRouteTable(c *incr.Ctx, lrp ovsdb.UUID) string {
	name, _ := r.Option(c, r.C.LRP.Options, lrp, optionRouteTable)
	return name
}

// RouteName is how a route is called: it has no name of its own.
func (r *Reader) RouteName(c *incr.Ctx, u ovsdb.UUID) string { return r.Str(c, r.C.Route.Prefix, u) }

// Exit is how the router sends to an address that is in the network of the port.
func (p *RouterPort) Exit(source netip.Addr) Exit {
	return Exit{Port: p.UUID, Name: p.Name, Key: p.Key, MAC: p.MAC, Source: source, Datapath: p.Datapath, BFD: p.BFD}
}

// SourceFor is the address that the port has in the network of a next hop, and
// whether it has one.
func (p *RouterPort) SourceFor(next netip.Addr) (netip.Addr, bool) {
	list := p.V6
	if next.Is4() {
		list = p.V4
	}
	for _, n := range list {
		if n.Contains(next) {
			return n.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// FirstSource is the first address of the port of a version of IP.
func (p *RouterPort) FirstSource(v4 bool) (netip.Addr, bool) {
	list := p.V6
	if v4 {
		list = p.V4
	}
	if len(list) == 0 {
		return netip.Addr{}, false
	}
	return list[0].Addr(), true
}

// AppendHash appends all that the exit says.
func (e *Exit) AppendHash(b []byte) []byte {
	b = append(append(b, e.Port[:]...), boolByte(e.BFD))
	b = binary.BigEndian.AppendUint32(b, e.Key)
	b = binary.BigEndian.AppendUint32(b, e.Datapath)
	b = append(b, e.MAC[:]...)
	b = appendText(b, e.Source.String())
	return appendText(b, e.Name)
}

// HashExit is the hash of an exit; zero for none.
func HashExit(e *Exit) incr.Hash {
	if e == nil {
		return incr.Hash{}
	}
	return hashOf(e.AppendHash(make([]byte, 0, 128)))
}

// HashHop is the hash of a hop; zero for none.
func HashHop(h *Hop) incr.Hash {
	if h == nil {
		return incr.Hash{}
	}
	b := append(make([]byte, 0, 192), h.Route[:]...)
	b = append(b, boolByte(h.Discard), boolByte(h.Symmetric))
	b = appendText(b, h.Next.String())
	b = appendTexts(b, h.Fields)
	return hashOf(h.Exit.AppendHash(b))
}

// MulticastMAC is the Ethernet address of an IPv6 multicast group (RFC 2464,
// section 7).
func MulticastMAC(group netip.Addr) MAC {
	a := group.As16()
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}
