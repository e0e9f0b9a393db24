package icsb

import "govn/schema/nb"

// Name and Version are those of the database.
const (
	Name    = "OVN_IC_Southbound"
	Version = "2.7.0"
)

// Tables holds a nil pointer to the row type of each table, in the order of
// OVN's schema.
func Tables() []any {
	return []any{
		(*ICSBGlobal)(nil),
		(*AvailabilityZone)(nil),
		(*Gateway)(nil),
		(*Encap)(nil),
		(*DatapathBinding)(nil),
		(*PortBinding)(nil),
		(*Route)(nil),
		(*nb.Connection)(nil),
		(*nb.SSL)(nil),
		(*ServiceMonitor)(nil),
		(*AddressSet)(nil),
	}
}

// ICSBGlobal is a row of IC_SB_Global: the one row of settings of the database.
type ICSBGlobal struct {
	UUID string `ovsdb:"_uuid" db:"table=IC_SB_Global,root,maxrows=1"`

	NBICCfg     int               `ovsdb:"nb_ic_cfg"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	Connections []string          `ovsdb:"connections" db:"ref=Connection"`
	SSL         *string           `ovsdb:"ssl" db:"ref=SSL"`
	Options     map[string]string `ovsdb:"options"`
}

// AvailabilityZone is a row of Availability_Zone: a zone that takes part.
type AvailabilityZone struct {
	UUID string `ovsdb:"_uuid" db:"table=Availability_Zone,root,index=name"`

	Name    string `ovsdb:"name"`
	NBICCfg int    `ovsdb:"nb_ic_cfg"`
}

// Gateway is a row of Gateway: a chassis that other zones reach a zone by.
type Gateway struct {
	UUID string `ovsdb:"_uuid" db:"table=Gateway,root,index=name"`

	Name             string            `ovsdb:"name"`
	AvailabilityZone string            `ovsdb:"availability_zone" db:"ref=Availability_Zone"`
	Hostname         string            `ovsdb:"hostname"`
	Encaps           []string          `ovsdb:"encaps" db:"ref=Encap,min=1"`
	ExternalIDs      map[string]string `ovsdb:"external_ids"`
}

// Encap is a row of Encap: a tunnel endpoint of a gateway.
type Encap struct {
	UUID string `ovsdb:"_uuid" db:"table=Encap,index=type+ip"`

	Type        string            `ovsdb:"type" db:"enum=geneve|vxlan"`
	Options     map[string]string `ovsdb:"options"`
	IP          string            `ovsdb:"ip"`
	GatewayName string            `ovsdb:"gateway_name"`
}

// DatapathBinding is a row of Datapath_Binding: the tunnel key of a transit
// switch or router in all zones.
type DatapathBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Datapath_Binding,root,index=nb_ic_uuid+tunnel_key"`

	TransitSwitch string            `ovsdb:"transit_switch"`
	Type          *string           `ovsdb:"type" db:"enum=transit-switch|transit-router"`
	NBICUUID      *string           `ovsdb:"nb_ic_uuid" db:"uuid"`
	TunnelKey     int               `ovsdb:"tunnel_key" db:"range=1..16777215"`
	ExternalIDs   map[string]string `ovsdb:"external_ids"`
}

// PortBinding is a row of Port_Binding: a zone's port of a transit switch or
// router, and the gateway that it is on.
type PortBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Port_Binding,root,index=transit_switch+tunnel_key,index=logical_port"`

	LogicalPort      string            `ovsdb:"logical_port"`
	TransitSwitch    string            `ovsdb:"transit_switch"`
	AvailabilityZone string            `ovsdb:"availability_zone" db:"ref=Availability_Zone"`
	TunnelKey        int               `ovsdb:"tunnel_key" db:"range=1..32767"`
	Gateway          string            `ovsdb:"gateway"`
	Encap            *string           `ovsdb:"encap" db:"ref=Encap,weak"`
	Address          string            `ovsdb:"address"`
	Type             *string           `ovsdb:"type" db:"enum=transit-switch-port|transit-router-port"`
	NBICUUID         *string           `ovsdb:"nb_ic_uuid" db:"uuid"`
	ExternalIDs      map[string]string `ovsdb:"external_ids"`
}

// Route is a row of Route: a network that a zone advertises.
type Route struct {
	UUID string `ovsdb:"_uuid" db:"table=Route,root,index=transit_switch+availability_zone+route_table+ip_prefix+nexthop"`

	TransitSwitch    string            `ovsdb:"transit_switch"`
	AvailabilityZone string            `ovsdb:"availability_zone" db:"ref=Availability_Zone"`
	RouteTable       string            `ovsdb:"route_table"`
	IPPrefix         string            `ovsdb:"ip_prefix"`
	Nexthop          string            `ovsdb:"nexthop"`
	Origin           string            `ovsdb:"origin" db:"enum=connected|static|loadbalancer|connected-dynamic"`
	Options          map[string]string `ovsdb:"options"`
	ExternalIDs      map[string]string `ovsdb:"external_ids"`
}

// ServiceMonitor is a row of Service_Monitor: a health check that one zone asks
// another one for.
type ServiceMonitor struct {
	UUID string `ovsdb:"_uuid" db:"table=Service_Monitor,root"`

	Type                   *string           `ovsdb:"type" db:"enum=load-balancer"`
	IP                     string            `ovsdb:"ip"`
	Protocol               *string           `ovsdb:"protocol" db:"enum=tcp|udp"`
	Port                   int               `ovsdb:"port" db:"range=0..65535"`
	LogicalPort            string            `ovsdb:"logical_port"`
	SrcIP                  string            `ovsdb:"src_ip"`
	SrcMAC                 string            `ovsdb:"src_mac"`
	Status                 *string           `ovsdb:"status" db:"enum=online|offline|error"`
	TargetAvailabilityZone string            `ovsdb:"target_availability_zone"`
	SourceAvailabilityZone string            `ovsdb:"source_availability_zone"`
	Options                map[string]string `ovsdb:"options"`
	ExternalIDs            map[string]string `ovsdb:"external_ids"`
}

// AddressSet is a row of Address_Set: a named set of addresses that a zone
// advertises.
type AddressSet struct {
	UUID string `ovsdb:"_uuid" db:"table=Address_Set,root,index=name+availability_zone"`

	Name             string            `ovsdb:"name"`
	Addresses        []string          `ovsdb:"addresses"`
	AvailabilityZone string            `ovsdb:"availability_zone" db:"ref=Availability_Zone"`
	ExternalIDs      map[string]string `ovsdb:"external_ids"`
}
