package server

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// zoneTxn writes as a zone, by one transaction in OVN_IC_Southbound.
type zoneTxn struct {
	stream *stream
	c      *columns
	dirty  map[wish]bool // what to look at; rows that nobody wants are added
	sweep  bool          // look at all rows of the zone
	wants  map[wish]any
	name   string // that the zone wants; "": what it has

	refused     map[wish]string
	refusedName bool

	tx     *ovsdb.Txn
	zone   ovsdb.UUID
	called string            // name of the zone
	closed map[string]string // why a switch is closed to the zone; "": it is not
	next   map[string]int64  // key to try next, by switch
}

// run is the transaction. What cannot be stored is refused by itself.
func (z *zoneTxn) run(tx *ovsdb.Txn) error {
	z.tx, z.zone = tx, z.stream.zone
	z.refused, z.refusedName = make(map[wish]string), false
	z.closed, z.next = make(map[string]string), make(map[string]int64)
	if !z.stream.centre.zones.current(z.stream) {
		return ovsdb.ErrUnchanged // another stream of the zone writes
	}
	t := &z.c.zone
	if row := tx.Row(t.table, z.zone); row != nil {
		z.called = row.Str(t.name)
	} else { // the operator deleted it
		z.called = z.stream.called
		tx.Insert(t.table, z.zone, map[string]ovsdb.Value{"name": z.called})
	}
	if z.name != "" && z.name != z.called {
		if other := tx.Lookup(t.table, byName, z.name); other != nil {
			z.refusedName = true
			z.refuse(wish{kind: kindZone, name: z.name}, "another zone has the name")
		} else {
			tx.SetColumn(t.table, z.zone, t.name.Name, z.name)
			z.called, z.stream.called = z.name, z.name
		}
	}
	if z.sweep {
		z.addStored()
	}
	work := slices.SortedFunc(maps.Keys(z.dirty), wish.compare)
	for _, k := range work {
		if z.wants[k] == nil && k.kind != kindZone {
			z.remove(k)
		}
	}
	for _, k := range work {
		switch want := z.wants[k].(type) {
		case *ic.Gateway:
			z.gateway(k, want)
		case *ic.Port:
			z.port(k, want)
		case *ic.Route:
			z.route(k, want)
		}
	}
	return tx.Err()
}

func (k wish) compare(o wish) int {
	if k.kind != o.kind {
		return int(k.kind) - int(o.kind)
	}
	return slices.Compare([]string{k.name, k.transit, k.table, k.prefix, k.nexthop}, []string{o.name, o.transit, o.table, o.prefix, o.nexthop})
}

// addStored adds the rows of the zone to what is looked at.
func (z *zoneTxn) addStored() {
	c, tx := z.c, z.tx
	for u := range tx.Referrers(c.gateway.zone, z.zone) {
		z.dirty[wish{kind: kindGateway, name: tx.Row(c.gateway.table, u).Str(c.gateway.name)}] = true
	}
	for u := range tx.Referrers(c.port.zone, z.zone) {
		z.dirty[wish{kind: kindPort, name: tx.Row(c.port.table, u).Str(c.port.name)}] = true
	}
	for u := range tx.Referrers(c.route.zone, z.zone) {
		z.dirty[c.routeOf(tx.Row(c.route.table, u), 0).wish()] = true
	}
}

func (z *zoneTxn) refuse(k wish, format string, args ...any) {
	z.refused[k] = clip(fmt.Sprintf(format, args...))
}

// row is the row of a wish, whoever has it.
func (z *zoneTxn) row(k wish) (t *ovsdb.TableSchema, row *ovsdb.Row, zone ovsdb.UUID) {
	c, column := z.c, (*ovsdb.ColumnSchema)(nil)
	switch k.kind {
	case kindGateway:
		t, column = c.gateway.table, c.gateway.zone
		row = z.tx.Lookup(t, byName, k.name)
	case kindPort:
		t, column = c.port.table, c.port.zone
		row = z.tx.Lookup(t, byLogicalPort, k.name)
	default:
		t, column = c.route.table, c.route.zone
		row = z.tx.Lookup(t, byRoute, k.transit, z.zone, k.table, k.prefix, k.nexthop)
	}
	if row != nil {
		zone, _ = row.Ref(column)
	}
	return t, row, zone
}

func (z *zoneTxn) remove(k wish) {
	if t, row, zone := z.row(k); row != nil && zone == z.zone {
		z.tx.Delete(t, row.UUID())
	}
}

// taken refuses what another zone has.
func (z *zoneTxn) taken(k wish, zone ovsdb.UUID) bool {
	if zone.IsZero() || zone == z.zone {
		return false
	}
	z.refuse(k, "zone %q has a %s of the name", z.nameOf(zone), k.kind)
	return true
}

func (z *zoneTxn) nameOf(zone ovsdb.UUID) string {
	if row := z.tx.Row(z.c.zone.table, zone); row != nil {
		return row.Str(z.c.zone.name)
	}
	return zone.String()
}

// closedTo says why a switch is closed to the zone; "": it is not.
func (z *zoneTxn) closedTo(transit string) string {
	why, known := z.closed[transit]
	if !known {
		why = z.c.mayJoin(z.tx.Snapshot(), transit, z.called, z.stream.id)
		z.closed[transit] = why
	}
	return why
}

// Limits of what is stored, in bytes and entries.
const (
	maxText    = 4096
	maxEntries = 64
)

// checkTexts refuses what is too long to be meant.
func checkTexts(m map[string]string, texts ...string) string {
	if len(m) > maxEntries {
		return fmt.Sprintf("a map of %d entries, more than %d", len(m), maxEntries)
	}
	for k, v := range m {
		texts = append(texts, k, v)
	}
	for _, s := range texts {
		if len(s) > maxText {
			return fmt.Sprintf("a text of %d bytes, more than %d", len(s), maxText)
		}
		if strings.ContainsRune(s, 0) {
			return fmt.Sprintf("%q has a zero byte", s)
		}
	}
	return ""
}

func (z *zoneTxn) gateway(k wish, want *ic.Gateway) {
	c, t, tx := z.c, &z.c.gateway, z.tx
	_, row, zone := z.row(k)
	if z.taken(k, zone) {
		return
	}
	if err := checkName(want.Name); err != nil {
		z.refuse(k, "name: %v", err)
		return
	}
	if why := checkTexts(nil, want.Hostname); why != "" {
		z.refuse(k, "hostname: %s", why)
		return
	}
	if row != nil && c.gatewayOf(row, func(u ovsdb.UUID) *ovsdb.Row { return tx.Row(c.encap.table, u) }).fulfils(want) {
		return
	}
	encaps, ok := z.encaps(k, row, want)
	if !ok {
		return
	}
	if row == nil {
		tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": want.Name, "availability_zone": z.zone, "hostname": want.Hostname, "encaps": ovsdb.NewSet(encaps...)})
		return
	}
	tx.SetColumn(t.table, row.UUID(), t.hostname.Name, want.Hostname)
	tx.SetColumn(t.table, row.UUID(), t.encaps.Name, ovsdb.NewSet(encaps...))
}

// encaps makes the rows of a gateway's encapsulations.
func (z *zoneTxn) encaps(k wish, gateway *ovsdb.Row, want *ic.Gateway) (list []ovsdb.Atom, ok bool) {
	t, tx := &z.c.encap, z.tx
	if len(want.Encaps) == 0 || len(want.Encaps) > maxEntries {
		z.refuse(k, "%d encapsulations; 1 to %d are allowed", len(want.Encaps), maxEntries)
		return nil, false
	}
	for _, e := range want.Encaps {
		if e.Type != "geneve" && e.Type != "vxlan" {
			z.refuse(k, "encapsulation %q; geneve and vxlan are known", e.Type)
			return nil, false
		}
		if a, err := netip.ParseAddr(e.Ip); err != nil || a.Zone() != "" {
			z.refuse(k, "encapsulation: %q is no IP address", e.Ip)
			return nil, false
		}
		if why := checkTexts(e.Options); why != "" {
			z.refuse(k, "options of an encapsulation: %s", why)
			return nil, false
		}
		if row := tx.Lookup(t.table, byTypeIP, e.Type, e.Ip); row != nil {
			for u := range tx.Referrers(z.c.gateway.encaps, row.UUID()) {
				if gateway == nil || u != gateway.UUID() {
					other := tx.Row(z.c.gateway.table, u)
					zone, _ := other.Ref(z.c.gateway.zone)
					z.refuse(k, "gateway %q of zone %q has the encapsulation %s %s", other.Str(z.c.gateway.name), z.nameOf(zone), e.Type, e.Ip)
					return nil, false
				}
			}
		}
	}
	for _, e := range want.Encaps {
		row := tx.Lookup(t.table, byTypeIP, e.Type, e.Ip)
		if row == nil {
			list = append(list, tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"type": e.Type, "ip": e.Ip, "options": ovsdb.StringMap(e.Options), "gateway_name": want.Name}))
			continue
		}
		tx.SetColumn(t.table, row.UUID(), t.options.Name, ovsdb.StringMap(e.Options))
		tx.SetColumn(t.table, row.UUID(), t.gateway.Name, want.Name)
		list = append(list, row.UUID())
	}
	return list, true
}

func (z *zoneTxn) port(k wish, want *ic.Port) {
	t, tx := &z.c.port, z.tx
	_, row, zone := z.row(k)
	if z.taken(k, zone) {
		return
	}
	if err := checkName(want.Name); err != nil {
		z.refuse(k, "name: %v", err)
		return
	}
	if why := z.closedTo(want.Switch); why != "" {
		z.remove(k)
		z.refuse(k, "switch %q: %s", want.Switch, why)
		return
	}
	if why := checkTexts(want.ExternalIds, want.Address, want.Gateway); why != "" {
		z.refuse(k, "%s", why)
		return
	}
	if row != nil && row.Str(t.transit) == want.Switch {
		tx.SetColumn(t.table, row.UUID(), t.gateway.Name, want.Gateway)
		tx.SetColumn(t.table, row.UUID(), t.address.Name, want.Address)
		tx.SetColumn(t.table, row.UUID(), t.externalIDs.Name, ovsdb.StringMap(want.ExternalIds))
		return
	}
	z.remove(k) // on another switch it has another key
	n := max(z.next[want.Switch], 1)
	for tx.Lookup(t.table, bySwitchKey, want.Switch, n) != nil {
		n++
	}
	if z.next[want.Switch] = n + 1; n > abi.MaxPortKey {
		z.refuse(k, "switch %q has no key left", want.Switch)
		return
	}
	tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{
		"logical_port": want.Name, "transit_switch": want.Switch, "availability_zone": z.zone, "tunnel_key": n,
		"gateway": want.Gateway, "address": want.Address, "external_ids": ovsdb.StringMap(want.ExternalIds)})
}

// origins are the values of Route:origin (ovn-ic-sb(5)).
var origins = []string{"connected", "static", "loadbalancer", "connected-dynamic"}

func (z *zoneTxn) route(k wish, want *ic.Route) {
	t, tx := &z.c.route, z.tx
	_, row, _ := z.row(k)
	if why := z.closedTo(k.transit); why != "" {
		z.remove(k)
		z.refuse(k, "switch %q: %s", k.transit, why)
		return
	}
	if _, ok := parsePrefix(k.prefix); !ok {
		z.refuse(k, "%q is no prefix", k.prefix)
		return
	}
	if a, err := netip.ParseAddr(k.nexthop); err != nil || a.Zone() != "" {
		z.refuse(k, "next hop %q is no IP address", k.nexthop)
		return
	}
	if !slices.Contains(origins, want.Origin) {
		z.refuse(k, "origin %q is none of %s", want.Origin, strings.Join(origins, ", "))
		return
	}
	if why := checkTexts(want.ExternalIds, k.table); why != "" {
		z.refuse(k, "%s", why)
		return
	}
	if row == nil {
		tx.Insert(t.table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"transit_switch": k.transit, "availability_zone": z.zone, "route_table": k.table, "ip_prefix": k.prefix, "nexthop": k.nexthop,
			"origin": want.Origin, "external_ids": ovsdb.StringMap(want.ExternalIds)})
		return
	}
	tx.SetColumn(t.table, row.UUID(), t.origin.Name, want.Origin)
	tx.SetColumn(t.table, row.UUID(), t.externalIDs.Name, ovsdb.StringMap(want.ExternalIds))
}
