package compile

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/aging"
	"govn/pkg/incr"
	"govn/pkg/logical"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// neighbours are the units about addresses behind router ports.
type neighbours struct {
	learned *incr.Unit[ovsdb.UUID]      // rows of MAC_Binding
	fixed   *incr.Unit[ovsdb.UUID]      // rows of Static_MAC_Binding
	age     *incr.Unit[ovsdb.UUID]      // routers
	configs *incr.Unit[topology.Member] // router ports: what of ipv6_ra_configs cannot be used
}

func (p *Program) newNeighbours(e *incr.Engine) {
	n := &p.neighbours
	n.learned = incr.NewUnit(e, "mac-binding", p.runNeighbour, incr.Order(compareUUIDs))
	n.fixed = incr.NewUnit(e, "static-mac-binding", p.runFixedNeighbour, incr.Order(compareUUIDs))
	n.age = incr.NewUnit(e, "mac-binding-age", p.runNeighbourAge, incr.Order(compareUUIDs))
	n.configs = incr.NewUnit(e, "ra-configs", p.runAdvertisement, incr.Order(compareMember))
	p.NeighbourAges = incr.NewSink(e, "mac-binding-ages", func(s string) incr.Hash { return incr.CellOf(s) }, incr.Order(compareUUIDs))
	p.Reader.Rows(p.c.MACBinding.Table)
	p.Reader.Rows(p.c.StaticMAC.Table)
}

// walkNeighbours keeps the units alive.
func (p *Program) walkNeighbours(c *incr.Ctx) {
	incr.Each(c, p.Reader.Rows(p.c.MACBinding.Table), topology.AllRows, p.neighbours.learned)
	incr.Each(c, p.Reader.Rows(p.c.StaticMAC.Table), topology.AllRows, p.neighbours.fixed)
	incr.Each(c, p.Reader.Rows(p.c.LR.Table), topology.AllRows, p.neighbours.age)
}

// ErrNoRouterPort is the problem of a neighbour of a port that no router has.
var ErrNoRouterPort = errors.New("no router has a port of this name")

// routerPortKeys are the tunnel keys of a router port by its name, and its
// router.
func (p *Program) routerPortKeys(c *incr.Ctx, name string) (lr ovsdb.UUID, datapath, port uint32, ok bool) {
	u, ok := p.Reader.Named(c, p.c.LRP.Name, name)
	if !ok {
		return lr, 0, 0, false
	}
	if lr, ok = p.Reader.Holder(c, p.c.LR.Ports, u); !ok || !p.Reader.RouterEnabled(c, lr) {
		return lr, 0, 0, false
	}
	datapath, ok = p.Reader.Key(c, topology.KindDatapath, ovsdb.UUID{}, lr)
	if !ok {
		return lr, 0, 0, false
	}
	port, ok = p.Reader.Key(c, topology.KindPort, lr, u)
	return lr, datapath, port, ok
}

// runNeighbour emits a learned neighbour, or says that its port is gone.
func (p *Program) runNeighbour(c *incr.Ctx, u ovsdb.UUID) error {
	m := &p.c.MACBinding
	if !p.Reader.Has(c, m.Table, u) {
		return nil
	}
	name := p.Reader.Str(c, m.LogicalPort, u)
	lr, datapath, port, ok := p.routerPortKeys(c, name)
	if of, there := p.Reader.Opt(c, m.Datapath, u); !ok || there && of != lr {
		incr.Emit(c, p.Stale, u, true)
		return nil
	}
	ip, mac, err := p.neighbourAddress(c, m.Table, m.IP, m.MAC, u, name)
	if err != nil {
		return err
	}
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_NEIGHBOUR, Key: state.NeighbourKey(datapath, port, ip, false)}, Item{
		Scope: Scope{Datapath: datapath}, Value: marshal(&proto.NeighbourValue{Mac: mac.Uint64()}),
	})
	return nil
}

// neighbourAddress reads the addresses of a row.
func (p *Program) neighbourAddress(c *incr.Ctx, t *ovsdb.TableSchema, ipCol, macCol *ovsdb.ColumnSchema, u ovsdb.UUID, name string) (netip.Addr, topology.MAC, error) {
	ip, err := netip.ParseAddr(p.Reader.Str(c, ipCol, u))
	if err == nil && (ip.Is4In6() || ip.Zone() != "") {
		err = fmt.Errorf("%s is no address of a neighbour", ip)
	}
	if err != nil {
		return ip, topology.MAC{}, &topology.FieldError{Table: t.Name, Column: ipCol.Name, Object: name, UUID: u, Err: err}
	}
	mac, err := topology.ParseMAC(p.Reader.Str(c, macCol, u))
	if err != nil {
		return ip, mac, &topology.FieldError{Table: t.Name, Column: macCol.Name, Object: name, UUID: u, Err: err}
	}
	return ip, mac, nil
}

// runFixedNeighbour emits a neighbour that the operator knows.
func (p *Program) runFixedNeighbour(c *incr.Ctx, u ovsdb.UUID) error {
	m := &p.c.StaticMAC
	if !p.Reader.Has(c, m.Table, u) {
		return nil
	}
	name := p.Reader.Str(c, m.LogicalPort, u)
	lr, datapath, port, ok := p.routerPortKeys(c, name)
	if !ok {
		return &topology.FieldError{Table: m.Table.Name, Column: m.LogicalPort.Name, Object: name, UUID: u, Err: ErrNoRouterPort}
	}
	ip, mac, err := p.neighbourAddress(c, m.Table, m.IP, m.MAC, u, name)
	if err != nil {
		return err
	}
	override := p.Reader.Bool(c, m.OverrideDynamic, u)
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_NEIGHBOUR, Key: state.NeighbourKey(datapath, port, ip, true)}, Item{
		Scope: Scope{Datapath: datapath}, Value: marshal(&proto.NeighbourValue{Mac: mac.Uint64(), Override: override}),
	})
	incr.Emit(c, p.Rows, RowKey{"Static_MAC_Binding", u}, Row{[]Column{
		{"logical_port", name},
		{"ip", p.Reader.Str(c, m.IP, u)},
		{"mac", p.Reader.Str(c, m.MAC, u)},
		{"override_dynamic_mac", override},
		{"datapath", lr},
	}})
	return nil
}

const optionNeighbourAge = "mac_binding_age_threshold"

// neighbourAge is how long a router keeps what it learned.
func (p *Program) neighbourAge(c *incr.Ctx, lr ovsdb.UUID) string {
	text, _ := p.Reader.Option(c, p.c.LR.Options, lr, optionNeighbourAge)
	if _, err := aging.Parse(text); err != nil {
		return "" // runNeighbourAge says why
	}
	return text
}

// runNeighbourAge emits how long neighbours that a router learned are kept.
func (p *Program) runNeighbourAge(c *incr.Ctx, lr ovsdb.UUID) error {
	text, there := p.Reader.Option(c, p.c.LR.Options, lr, optionNeighbourAge)
	if !there {
		return nil
	}
	incr.Emit(c, p.NeighbourAges, lr, text)
	if _, err := aging.Parse(text); err != nil {
		return &topology.FieldError{Table: p.c.LR.Table.Name, Column: "options:" + optionNeighbourAge, Object: p.Reader.Str(c, p.c.LR.Name, lr), UUID: lr, Err: err}
	}
	return nil
}

// advertisement is what a router port tells the hosts behind it, nil if it tells
// nothing.
func advertisement(port *topology.RouterPort) *proto.RouterAdvertisement {
	options, _ := pipeline.AdvertisementOptions(port)
	if len(options) == 0 {
		return nil
	}
	message, err := translate.RouterAdvertisement(&logical.Options{Options: options})
	if err != nil {
		return nil // its flow says why
	}
	ra := &proto.RouterAdvertisement{Message: message}
	if port.RAConfigs["send_periodic"] == "true" {
		ra.MinInterval, ra.MaxInterval = intervals(port.RAConfigs)
	}
	return ra
}

// runAdvertisement says what of ipv6_ra_configs is left out.
func (p *Program) runAdvertisement(c *incr.Ctx, m topology.Member) error {
	port, err := p.routers.port.Get(c, m)
	if err != nil || port == nil {
		return nil // the port's own unit says why
	}
	if _, err := pipeline.AdvertisementOptions(port); err != nil {
		return &topology.FieldError{Table: p.c.LRP.Table.Name, Column: p.c.LRP.RAConfigs.Name, Object: port.Name, UUID: port.UUID, Err: err}
	}
	return nil
}

// withAdvertisement adds what ovn-sb(5) has in options of a router port that
// advertises itself.
func withAdvertisement(options ovsdb.Map, port *topology.RouterPort) ovsdb.Map {
	ra := advertisement(port)
	if ra.GetMaxInterval() == 0 {
		return options
	}
	var prefixes []string
	for _, n := range port.V6 {
		if !n.Addr().IsLinkLocalUnicast() {
			prefixes = append(prefixes, n.Masked().String())
		}
	}
	prf := port.RAConfigs["router_preference"]
	if prf != "HIGH" && prf != "LOW" {
		prf = "MEDIUM"
	}
	options = options.With("ipv6_ra_send_periodic", "true").
		With("ipv6_ra_address_mode", port.RAConfigs["address_mode"]).
		With("ipv6_ra_max_interval", strconv.Itoa(int(ra.MaxInterval))).
		With("ipv6_ra_min_interval", strconv.Itoa(int(ra.MinInterval))).
		With("ipv6_ra_prefixes", strings.Join(prefixes, " ")).
		With("ipv6_ra_prf", prf).
		With("ipv6_ra_src_addr", port.MAC.LinkLocal().String()).
		With("ipv6_ra_src_eth", port.MAC.String())
	for _, key := range []string{"mtu", "rdnss", "dnssl", "route_info"} {
		if v := port.RAConfigs[key]; v != "" {
			options = options.With("ipv6_ra_"+key, v)
		}
	}
	return options
}

// Bounds and defaults of the time between two advertisements (ovn-nb(5),
// ipv6_ra_configs; RFC 4861, 6.2.1).
const (
	maxIntervalDefault = 600
	maxIntervalLeast   = 4
	maxIntervalMost    = 1800
	minIntervalLeast   = 3
)

func intervals(configs map[string]string) (least, most uint32) {
	number := func(key string, or uint64) uint64 {
		if n, err := strconv.ParseUint(configs[key], 10, 32); err == nil {
			return n
		}
		return or
	}
	high := min(max(number("max_interval", maxIntervalDefault), maxIntervalLeast), maxIntervalMost)
	low := number("min_interval", high/3)
	low = min(max(low, minIntervalLeast), max(high*3/4, minIntervalLeast))
	return uint32(low), uint32(high)
}
