package server

import (
	"fmt"

	"govn/pkg/ovsdb"
	"govn/schema"
)

// columns are the databases of the centre with the tables and columns that it
// reads and writes.
type columns struct {
	nb, sb, private *ovsdb.DatabaseSchema

	nbGlobal struct {
		table   *ovsdb.TableSchema
		options *ovsdb.ColumnSchema
	}
	transit struct {
		table             *ovsdb.TableSchema
		name, otherConfig *ovsdb.ColumnSchema
	}
	zone struct {
		table *ovsdb.TableSchema
		name  *ovsdb.ColumnSchema
	}
	gateway struct {
		table                        *ovsdb.TableSchema
		name, zone, hostname, encaps *ovsdb.ColumnSchema
	}
	encap struct {
		table                      *ovsdb.TableSchema
		kind, ip, options, gateway *ovsdb.ColumnSchema
	}
	datapath struct {
		table              *ovsdb.TableSchema
		transit, kind, key *ovsdb.ColumnSchema
	}
	port struct {
		table                                                   *ovsdb.TableSchema
		name, transit, zone, key, gateway, address, externalIDs *ovsdb.ColumnSchema
	}
	route struct {
		table                                                           *ovsdb.TableSchema
		transit, zone, routeTable, prefix, nexthop, origin, externalIDs *ovsdb.ColumnSchema
	}
	addresses struct {
		table *ovsdb.TableSchema
		zone  *ovsdb.ColumnSchema
	}

	record struct {
		table                          *ovsdb.TableSchema
		zone, id, certificate, address *ovsdb.ColumnSchema
	} // private, Zone
	seen struct {
		table        *ovsdb.TableSchema
		route, since *ovsdb.ColumnSchema
	} // private, Route
	given struct {
		table *ovsdb.TableSchema
		last  *ovsdb.ColumnSchema
	} // private, Transit
}

// Positions of unique indexes in their tables.
const (
	byName        = 0 // Availability_Zone, Gateway, Transit_Switch
	byTypeIP      = 0 // Encap: type, ip
	bySwitchKey   = 0 // Port_Binding: transit_switch, tunnel_key
	byLogicalPort = 1 // Port_Binding
	byRoute       = 0 // Route: transit_switch, availability_zone, route_table, ip_prefix, nexthop
	byZone        = 0 // private Zone
	bySeen        = 0 // private Route
)

func newColumns() (*columns, error) {
	c := &columns{}
	for _, d := range []struct {
		to   **ovsdb.DatabaseSchema
		from *schema.Database
	}{{&c.nb, schema.ICNorthbound()}, {&c.sb, schema.ICSouthbound()}, {&c.private, schema.PrivateIC()}} {
		parsed, err := ovsdb.ParseSchema(d.from.JSON())
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", d.from.Name, err)
		}
		*d.to = parsed
	}
	bind := func(db *ovsdb.DatabaseSchema, table string, to **ovsdb.TableSchema, names []string, cols ...**ovsdb.ColumnSchema) {
		*to = db.Table(table)
		for i, col := range cols {
			*col = (*to).Column(names[i])
		}
	}
	bind(c.nb, "IC_NB_Global", &c.nbGlobal.table, []string{"options"}, &c.nbGlobal.options)
	bind(c.nb, "Transit_Switch", &c.transit.table, []string{"name", "other_config"}, &c.transit.name, &c.transit.otherConfig)
	bind(c.sb, "Availability_Zone", &c.zone.table, []string{"name"}, &c.zone.name)
	bind(c.sb, "Gateway", &c.gateway.table, []string{"name", "availability_zone", "hostname", "encaps"},
		&c.gateway.name, &c.gateway.zone, &c.gateway.hostname, &c.gateway.encaps)
	bind(c.sb, "Encap", &c.encap.table, []string{"type", "ip", "options", "gateway_name"},
		&c.encap.kind, &c.encap.ip, &c.encap.options, &c.encap.gateway)
	bind(c.sb, "Datapath_Binding", &c.datapath.table, []string{"transit_switch", "type", "tunnel_key"},
		&c.datapath.transit, &c.datapath.kind, &c.datapath.key)
	bind(c.sb, "Port_Binding", &c.port.table, []string{"logical_port", "transit_switch", "availability_zone", "tunnel_key", "gateway", "address", "external_ids"},
		&c.port.name, &c.port.transit, &c.port.zone, &c.port.key, &c.port.gateway, &c.port.address, &c.port.externalIDs)
	bind(c.sb, "Route", &c.route.table, []string{"transit_switch", "availability_zone", "route_table", "ip_prefix", "nexthop", "origin", "external_ids"},
		&c.route.transit, &c.route.zone, &c.route.routeTable, &c.route.prefix, &c.route.nexthop, &c.route.origin, &c.route.externalIDs)
	bind(c.sb, "Address_Set", &c.addresses.table, []string{"availability_zone"}, &c.addresses.zone)
	bind(c.private, "Zone", &c.record.table, []string{"zone", "id", "certificate", "address"},
		&c.record.zone, &c.record.id, &c.record.certificate, &c.record.address)
	bind(c.private, "Transit", &c.given.table, []string{"last_key"}, &c.given.last)
	bind(c.private, "Route", &c.seen.table, []string{"route", "since"}, &c.seen.route, &c.seen.since)
	return c, nil
}

// databases are those of the store.
func (c *columns) databases() []ovsdb.Database {
	return []ovsdb.Database{{Schema: c.nb}, {Schema: c.sb}, {Schema: c.private, Private: true}}
}
