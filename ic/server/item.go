package server

import (
	"maps"
	"net/netip"

	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// kind is a kind of what zones are told.
type kind uint8

const (
	kindZone kind = iota
	kindSwitch
	kindGateway
	kindPort
	kindRoute
)

var kindNames = [...]string{"zone", "switch", "gateway", "port", "route"}

func (k kind) String() string { return kindNames[k] }

// key identifies an item: its kind and the row that it is made of.
type key struct {
	kind kind
	row  ovsdb.UUID
}

// item is one thing that zones are told. It is not changed once it is there.
type item struct {
	key
	zone    ovsdb.UUID // that it is of; zero for switches
	transit string     // of switches, ports and routes
	// One of these.
	az      *ic.Zone
	sw      *ic.Switch
	gateway *ic.Gateway
	port    *ic.Port
	route   *ic.Route
}

// wish is what identifies a thing in what a zone publishes.
type wish struct {
	kind kind
	name string // of a gateway or port
	routeKey
}

// routeKey identifies a route of a zone.
type routeKey struct{ transit, table, prefix, nexthop string }

func routeKeyOf(k *ic.RouteKey) routeKey {
	return routeKey{k.GetSwitch(), k.GetTable(), k.GetPrefix(), k.GetNexthop()}
}

func (k routeKey) message() *ic.RouteKey {
	return &ic.RouteKey{Switch: k.transit, Table: k.table, Prefix: k.prefix, Nexthop: k.nexthop}
}

// wish is that of an item.
func (it *item) wish() wish {
	switch it.kind {
	case kindGateway:
		return wish{kind: kindGateway, name: it.gateway.Name}
	case kindPort:
		return wish{kind: kindPort, name: it.port.Name}
	}
	return wish{kind: kindRoute, routeKey: routeKeyOf(it.route.GetKey())}
}

// put adds the item to an update.
func (it *item) put(u *ic.Update) {
	switch it.kind {
	case kindZone:
		u.Zones = append(u.Zones, it.az)
	case kindSwitch:
		u.Switches = append(u.Switches, it.sw)
	case kindGateway:
		u.Gateways = append(u.Gateways, it.gateway)
	case kindPort:
		u.Ports = append(u.Ports, it.port)
	case kindRoute:
		u.Routes = append(u.Routes, it.route)
	}
}

// gone adds to an update that there is no such item any more.
func (k key) gone(u *ic.Update) {
	row := k.row.String()
	switch k.kind {
	case kindZone:
		u.GoneZones = append(u.GoneZones, row)
	case kindSwitch:
		u.GoneSwitches = append(u.GoneSwitches, row)
	case kindGateway:
		u.GoneGateways = append(u.GoneGateways, row)
	case kindPort:
		u.GonePorts = append(u.GonePorts, row)
	case kindRoute:
		u.GoneRoutes = append(u.GoneRoutes, row)
	}
}

func stringMap(m ovsdb.Map) map[string]string {
	if m.Len() == 0 {
		return nil
	}
	out := make(map[string]string, m.Len())
	for k, v := range m.All() {
		out[k.(string)], _ = v.(string)
	}
	return out
}

// gatewayOf is what others are told of a row of Gateway. get finds rows of Encap.
func (c *columns) gatewayOf(row *ovsdb.Row, get func(ovsdb.UUID) *ovsdb.Row) *item {
	t := &c.gateway
	zone, _ := row.Ref(t.zone)
	g := &ic.Gateway{Row: row.UUID().String(), Zone: zone.String(), Name: row.Str(t.name), Hostname: row.Str(t.hostname)}
	for a := range row.Set(t.encaps).All() {
		if e := get(a.(ovsdb.UUID)); e != nil {
			g.Encaps = append(g.Encaps, &ic.Encap{Type: e.Str(c.encap.kind), Ip: e.Str(c.encap.ip), Options: stringMap(e.Map(c.encap.options))})
		}
	}
	return &item{key: key{kindGateway, row.UUID()}, zone: zone, gateway: g}
}

func (c *columns) portOf(row *ovsdb.Row) *item {
	t := &c.port
	zone, _ := row.Ref(t.zone)
	p := &ic.Port{
		Row: row.UUID().String(), Zone: zone.String(), Name: row.Str(t.name), Switch: row.Str(t.transit), Gateway: row.Str(t.gateway),
		Address: row.Str(t.address), Key: uint32(row.Int(t.key)), ExternalIds: stringMap(row.Map(t.externalIDs)),
	}
	return &item{key: key{kindPort, row.UUID()}, zone: zone, transit: p.Switch, port: p}
}

func (c *columns) routeOf(row *ovsdb.Row, since uint64) *item {
	t := &c.route
	zone, _ := row.Ref(t.zone)
	k := routeKey{row.Str(t.transit), row.Str(t.routeTable), row.Str(t.prefix), row.Str(t.nexthop)}
	r := &ic.Route{Row: row.UUID().String(), Zone: zone.String(), Key: k.message(), Origin: row.Str(t.origin), ExternalIds: stringMap(row.Map(t.externalIDs)), Since: since}
	return &item{key: key{kindRoute, row.UUID()}, zone: zone, transit: k.transit, route: r}
}

// fulfils tells whether what is stored is what a zone asked for, which is a
// *ic.Gateway, *ic.Port or *ic.Route; nil: nothing.
func (it *item) fulfils(want any) bool {
	switch w := want.(type) {
	case *ic.Gateway:
		return it != nil && it.gateway != nil && it.gateway.Hostname == w.Hostname && sameEncaps(it.gateway.Encaps, w.Encaps)
	case *ic.Port:
		return it != nil && it.port != nil && it.port.Switch == w.Switch && it.port.Gateway == w.Gateway && it.port.Address == w.Address &&
			maps.Equal(it.port.ExternalIds, w.ExternalIds)
	case *ic.Route:
		return it != nil && it.route != nil && it.route.Origin == w.Origin && maps.Equal(it.route.ExternalIds, w.ExternalIds)
	}
	return it == nil
}

func sameEncaps(a, b []*ic.Encap) bool {
	if len(a) != len(b) {
		return false
	}
	options := make(map[[2]string]map[string]string, len(a))
	for _, e := range a {
		options[[2]string{e.Type, e.Ip}] = e.Options
	}
	for _, e := range b {
		o, ok := options[[2]string{e.Type, e.Ip}]
		if !ok || !maps.Equal(o, e.Options) {
			return false
		}
	}
	return true
}

// parsePrefix reads a prefix as ovn-nb(5) has it: without a length it is a host's.
func parsePrefix(text string) (netip.Prefix, bool) {
	if n, err := netip.ParsePrefix(text); err == nil {
		return n, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
