package topology

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Router is what the pipeline knows of a logical router.
type Router struct {
	UUID ovsdb.UUID
	Key  uint32 // tunnel key
	Name string
	RouterShape
}

// RouterShape is all that the logic of a router by itself depends on, apart from
// its ports, routes and other objects: routers of one shape share one body.
type RouterShape struct {
	AlwaysLearn bool   // options:always_learn_from_arp_request, true by default
	Chassis     string // options:chassis of a gateway router; "": distributed
	Gateways    bool   // it has distributed gateway ports
}

// RouterPort is what the pipeline knows of a port of a logical router.
type RouterPort struct {
	UUID, Router ovsdb.UUID
	Datapath     uint32 // tunnel key of the router
	Key          uint32 // tunnel key of the port
	Name         string
	Shape        RouterShape // of the router
	Enabled      bool
	Addresses             // MAC and networks, the link-local IPv6 address last
	Networks     []string // as written
	Peer         Peer
	BFD          bool              // there are rows of BFD for it
	GatewayMTU   uint32            // options:gateway_mtu in bytes; 0: none
	Options      map[string]string // all of options
	RAConfigs    map[string]string // ipv6_ra_configs
	IPv6Prefix   []string
	// GatewayChassis are rows of Gateway_Chassis, HAChassisGroup one of
	// HA_Chassis_Group, zero if there is none.
	GatewayChassis []ovsdb.UUID
	HAChassisGroup ovsdb.UUID
	Gateway        Gateway
}

// Peer is the port at the other side of a patch, in another datapath.
type Peer struct {
	Name          string     // "": there is none
	Port, Owner   ovsdb.UUID // the port and its switch or router
	Datapath, Key uint32     // tunnel keys; 0 as long as they are not given out
	Router        bool       // it is a port of a router
	// ProxyMAC is the Ethernet address of options:arp_proxy of a switch port,
	// which the router port takes for its own; zero: none.
	ProxyMAC MAC
}

// Attachment is what a router port brings to the switch that it is on: all that
// what routers know of the ports of their switches depends on.
type Attachment struct {
	Router   ovsdb.UUID
	Datapath uint32     // tunnel key of the router
	Port     ovsdb.UUID // the router port
	Key      uint32     // its tunnel key
	Name     string     // its name
	Addresses
	// Dynamic says that the router asks for its neighbours' addresses
	// (options:dynamic_neigh_routers) instead of knowing other routers' ones.
	Dynamic bool
}

// Errors of router ports.
var (
	// ErrTwoPeers is the problem of a switch port that names a router port which
	// another switch port names, too, and is connected to.
	ErrTwoPeers = errors.New("another port is connected to this router port")
	// ErrNameTaken is the problem of a router port with the name of a switch port.
	ErrNameTaken = errors.New("a switch port has this name; the southbound database has both in one table")
	// ErrTwoRouters is the problem of a port that is in several routers.
	ErrTwoRouters = errors.New("the port is in another router, too, and counts there")
	// ErrNoRelay is the problem of an option that has multicast forwarded.
	ErrNoRelay = errors.New("routers do not forward multicast yet; the option has no effect")
)

// Option keys.
const (
	optionRouterPort  = "router-port"
	optionGatewayMTU  = "gateway_mtu"
	optionChassis     = "chassis"
	optionAlwaysLearn = "always_learn_from_arp_request"
	optionDynamic     = "dynamic_neigh_routers"
)

// RouterEnabled reports whether a router exists for the compiler: one with
// enabled=false is as if it were not there (ovn-nb(5)).
func (r *Reader) RouterEnabled(c *incr.Ctx, lr ovsdb.UUID) bool {
	v, there := r.Opt(c, r.C.LR.Enabled, lr)
	return !there || v.(bool)
}

// ReadRouter reads a router without its ports.
func (r *Reader) ReadRouter(c *incr.Ctx, lr ovsdb.UUID, key uint32) *Router {
	t := &r.C.LR
	always, there := r.Option(c, t.Options, lr, optionAlwaysLearn)
	chassis, _ := r.Option(c, t.Options, lr, optionChassis)
	return &Router{UUID: lr, Key: key, Name: r.Str(c, t.Name, lr), RouterShape: RouterShape{
		AlwaysLearn: !there || always != "false", Chassis: chassis,
	}}
}

// DynamicNeighbours reports whether a router asks other routers for their
// addresses instead of knowing them.
func (r *Reader) DynamicNeighbours(c *incr.Ctx, lr ovsdb.UUID) bool {
	v, _ := r.Option(c, r.C.LR.Options, lr, optionDynamic)
	return v == "true"
}

// ReadRouterPort reads a port of a router. A port whose key is not allocated yet,
// or whose row is gone, is reported by ok = false. A column that cannot be used is
// a *FieldError: such a port is left out as a whole.
func (r *Reader) ReadRouterPort(c *incr.Ctx, m Member, datapath uint32) (p *RouterPort, ok bool, err error) {
	t, u := &r.C.LRP, m.Elem
	if !r.Has(c, t.Table, u) {
		return nil, false, nil
	}
	p = &RouterPort{UUID: u, Router: m.Row, Datapath: datapath, Enabled: true, Name: r.Str(c, t.Name, u)}
	fail := func(column string, err error) (*RouterPort, bool, error) {
		return nil, false, &FieldError{Table: t.Table.Name, Column: column, Object: p.Name, UUID: u, Err: err}
	}
	if p.Key, ok = r.Key(c, KindPort, m.Row, u); !ok {
		if _, waits := r.Key(c, KindWaiting, m.Row, u); waits {
			return fail("tunnel_key", ErrExhausted)
		}
		return nil, false, nil
	}
	if holder, _ := r.Holder(c, r.C.LR.Ports, u); holder != m.Row {
		return fail("", ErrTwoRouters)
	}
	if _, taken := r.Named(c, r.C.LSP.Name, p.Name); taken {
		return fail("name", ErrNameTaken)
	}
	if v, there := r.Opt(c, t.Enabled, u); there {
		p.Enabled = v.(bool)
	}
	if p.MAC, err = ParseMAC(r.Str(c, t.MAC, u)); err != nil {
		return fail("mac", err)
	}
	for a := range r.Set(c, t.Networks, u).All() {
		text := a.(string)
		network, err := ParsePrefix(text)
		if err != nil {
			return fail("networks", &AddressError{text, 0, err})
		}
		p.Networks = append(p.Networks, text)
		if network.Addr().Is4() {
			p.V4 = append(p.V4, network)
		} else {
			p.V6 = append(p.V6, network)
		}
	}
	if ll := netip.PrefixFrom(p.MAC.LinkLocal(), 64); !slices.Contains(p.V6, ll) {
		p.V6 = append(p.V6, ll)
	}
	p.Options, p.RAConfigs = textMap(r.Map(c, t.Options, u)), textMap(r.Map(c, t.RAConfigs, u))
	if mtu, err := strconv.ParseUint(p.Options[optionGatewayMTU], 10, 32); err == nil {
		p.GatewayMTU = uint32(mtu)
	}
	for a := range r.Set(c, t.IPv6Prefix, u).All() {
		p.IPv6Prefix = append(p.IPv6Prefix, a.(string))
	}
	for a := range r.Set(c, t.GatewayChassis, u).All() {
		p.GatewayChassis = append(p.GatewayChassis, a.(ovsdb.UUID))
	}
	if g, there := r.Opt(c, t.HAChassisGroup, u); there {
		p.HAChassisGroup = g.(ovsdb.UUID)
	}
	if !r.keyed {
		p.Peer = r.peerOfRouterPort(c, p)
	}
	r.readGateway(c, p)
	return p, true, nil
}

// peerOfRouterPort is the switch port that names a router port, else the router
// port in its peer column that names it, too.
func (r *Reader) peerOfRouterPort(c *incr.Ctx, p *RouterPort) Peer {
	if lsp, ok := r.AttachedTo(c, p.Name); ok {
		if ls, ok := r.Holder(c, r.C.LS.Ports, lsp); ok {
			p := r.peer(c, r.Str(c, r.C.LSP.Name, lsp), ls, lsp, false)
			if text, there := r.Option(c, r.C.LSP.Options, lsp, optionProxy); there {
				proxy, _ := ParseProxy(text)
				p.ProxyMAC = proxy.MAC
			}
			return p
		}
	}
	name, there := r.Opt(c, r.C.LRP.Peer, p.UUID)
	if !there {
		return Peer{}
	}
	other, ok := r.Named(c, r.C.LRP.Name, name.(string))
	if !ok {
		return Peer{}
	}
	lr, ok := r.Holder(c, r.C.LR.Ports, other)
	back, there := r.Opt(c, r.C.LRP.Peer, other)
	if !ok || !there || back.(string) != p.Name || lr == p.Router || !r.RouterEnabled(c, lr) {
		return Peer{}
	}
	return r.peer(c, name.(string), lr, other, true)
}

func (r *Reader) peer(c *incr.Ctx, name string, owner, port ovsdb.UUID, router bool) Peer {
	p := Peer{Name: name, Port: port, Owner: owner, Router: router}
	p.Datapath, _ = r.Key(c, KindDatapath, ovsdb.UUID{}, owner)
	p.Key, _ = r.Key(c, KindPort, owner, port)
	return p
}

// RouterPortNamed is the router port that a switch port of type router names and
// is connected to; ok is false if there is no such port.
func (r *Reader) RouterPortNamed(c *incr.Ctx, lsp ovsdb.UUID, name string) (m Member, ok bool, err error) {
	lrp, ok := r.Named(c, r.C.LRP.Name, name)
	if !ok {
		return Member{}, false, nil
	}
	lr, ok := r.Holder(c, r.C.LR.Ports, lrp)
	if !ok || !r.RouterEnabled(c, lr) {
		return Member{}, false, nil
	}
	if first, _ := r.AttachedTo(c, name); first != lsp {
		return Member{}, false, fmt.Errorf("%s %q: %w", optionRouterPort, name, ErrTwoPeers)
	}
	return Member{lr, lrp}, true, nil
}

// Attachment is what the port brings to its switch.
func (p *RouterPort) Attachment(dynamic bool) *Attachment {
	return &Attachment{Router: p.Router, Datapath: p.Datapath, Port: p.UUID, Key: p.Key, Name: p.Name, Addresses: p.Addresses, Dynamic: dynamic}
}

// Reaches reports whether one of the networks of the router port has the address.
func (a *Attachment) Reaches(ip netip.Addr) bool { return a.Addresses.Reaches(ip) }

// Reaches reports whether one of the networks has the address.
func (a *Addresses) Reaches(ip netip.Addr) bool {
	list := a.V6
	if ip.Is4() {
		list = a.V4
	}
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// AppendHash appends all that the port says in a form that differs for ports
// that differ.
func (p *RouterPort) AppendHash(b []byte) []byte {
	b = append(b, p.UUID[:]...)
	b = append(b, p.Router[:]...)
	b = append(b, p.HAChassisGroup[:]...)
	b = binary.BigEndian.AppendUint32(b, p.Datapath)
	b = binary.BigEndian.AppendUint32(b, p.Key)
	b = appendText(b, p.Name)
	b = append(b, boolByte(p.Enabled), boolByte(p.BFD))
	b = p.Addresses.appendHash(b)
	b = appendTexts(b, p.Networks)
	b = appendTexts(b, p.IPv6Prefix)
	b = appendMap(b, p.Options)
	b = appendMap(b, p.RAConfigs)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.GatewayChassis)))
	for _, u := range p.GatewayChassis {
		b = append(b, u[:]...)
	}
	b = fmt.Appendf(b, "%#v", p.Shape)
	return p.Gateway.appendHash(p.Peer.appendHash(b))
}

func (p *Peer) appendHash(b []byte) []byte {
	b = appendText(b, p.Name)
	b = append(b, p.Port[:]...)
	b = append(b, p.Owner[:]...)
	b = binary.BigEndian.AppendUint32(b, p.Datapath)
	b = binary.BigEndian.AppendUint32(b, p.Key)
	b = append(b, p.ProxyMAC[:]...)
	return append(b, boolByte(p.Router))
}

func (a *Addresses) appendHash(b []byte) []byte {
	b = append(b, a.MAC[:]...)
	for _, list := range [2][]netip.Prefix{a.V4, a.V6} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
		for _, p := range list {
			b = appendText(b, p.String())
		}
	}
	return b
}

// HashRouterPort is the hash of a router port by which the compiler tells
// whether it changed. The hash of no port is zero.
func HashRouterPort(p *RouterPort) incr.Hash {
	if p == nil {
		return incr.Hash{}
	}
	return hashOf(p.AppendHash(make([]byte, 0, 512)))
}

// HashAttachment is the hash of an attachment, zero for none.
func HashAttachment(a *Attachment) incr.Hash {
	if a == nil {
		return incr.Hash{}
	}
	b := append(make([]byte, 0, 256), a.Router[:]...)
	b = append(b, a.Port[:]...)
	b = binary.BigEndian.AppendUint32(b, a.Datapath)
	b = binary.BigEndian.AppendUint32(b, a.Key)
	b = appendText(b, a.Name)
	return hashOf(append(a.Addresses.appendHash(b), boolByte(a.Dynamic)))
}

// HashRouter is the hash of a router, zero for none.
func HashRouter(r *Router) incr.Hash {
	if r == nil {
		return incr.Hash{}
	}
	b := append(make([]byte, 0, 128), r.UUID[:]...)
	b = binary.BigEndian.AppendUint32(b, r.Key)
	b = appendText(b, r.Name)
	return hashOf(fmt.Appendf(b, "%#v", r.RouterShape))
}

func hashOf(b []byte) incr.Hash {
	sum := sha256.Sum256(b)
	return incr.Hash(sum[:16])
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendMap(b []byte, m map[string]string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendText(appendText(b, k), m[k])
	}
	return b
}

func textMap(m ovsdb.Map) map[string]string {
	if m.Len() == 0 {
		return nil
	}
	out := make(map[string]string, m.Len())
	for k, v := range m.All() {
		out[k.(string)] = v.(string)
	}
	return out
}
