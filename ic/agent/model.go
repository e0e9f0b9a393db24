package agent

import checked "govn/pkg/ovsdb"

// Rows of the four databases: the columns that the agent reads, which every
// version of OVN from 21.03 has. What has no column comes from the centre only.
type (
	nbGlobal struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		Options     map[string]string `ovsdb:"options"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
	nbSwitch struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		OtherConfig map[string]string `ovsdb:"other_config"`
	}
	nbPort struct {
		UUID      string            `ovsdb:"_uuid"`
		Name      string            `ovsdb:"name"`
		Type      string            `ovsdb:"type"`
		Options   map[string]string `ovsdb:"options"`
		Addresses []string          `ovsdb:"addresses"`
	}
	nbRouter struct {
		UUID         string            `ovsdb:"_uuid"`
		Name         string            `ovsdb:"name"`
		Options      map[string]string `ovsdb:"options"`
		Ports        []string          `ovsdb:"ports"`
		StaticRoutes checked.Set       `elements:"static_routes"` // there may be many
		Column       []string          `ovsdb:"static_routes"`    // as libovsdb has it: empty
	}
	nbRouterPort struct {
		UUID     string            `ovsdb:"_uuid"`
		Name     string            `ovsdb:"name"`
		MAC      string            `ovsdb:"mac"`
		Networks []string          `ovsdb:"networks"`
		Options  map[string]string `ovsdb:"options"`
	}
	nbRoute struct {
		UUID        string            `ovsdb:"_uuid"`
		RouteTable  string            `ovsdb:"route_table"`
		IPPrefix    string            `ovsdb:"ip_prefix"`
		Policy      *string           `ovsdb:"policy"`
		Nexthop     string            `ovsdb:"nexthop"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}

	sbChassis struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		Hostname    string            `ovsdb:"hostname"`
		Encaps      []string          `ovsdb:"encaps"`
		OtherConfig map[string]string `ovsdb:"other_config"`
	}
	sbEncap struct {
		UUID    string            `ovsdb:"_uuid"`
		Type    string            `ovsdb:"type"`
		IP      string            `ovsdb:"ip"`
		Options map[string]string `ovsdb:"options"`
	}
	sbPort struct {
		UUID        string            `ovsdb:"_uuid"`
		LogicalPort string            `ovsdb:"logical_port"`
		Type        string            `ovsdb:"type"`
		Datapath    string            `ovsdb:"datapath"`
		Chassis     *string           `ovsdb:"chassis"`
		MAC         []string          `ovsdb:"mac"`
		Options     map[string]string `ovsdb:"options"`
	}
	sbDatapath struct {
		UUID        string            `ovsdb:"_uuid"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}

	icSwitch struct {
		UUID string `ovsdb:"_uuid"`
		Name string `ovsdb:"name"`
	}
	icZone struct {
		UUID string `ovsdb:"_uuid"`
		Name string `ovsdb:"name"`
		ID   string // hexadecimal; of zones of govn, where the centre tells
	}
	icGateway struct {
		UUID             string   `ovsdb:"_uuid"`
		Name             string   `ovsdb:"name"`
		AvailabilityZone string   `ovsdb:"availability_zone"`
		Hostname         string   `ovsdb:"hostname"`
		Encaps           []string `ovsdb:"encaps"`
	}
	icEncap struct {
		UUID    string            `ovsdb:"_uuid"`
		Type    string            `ovsdb:"type"`
		IP      string            `ovsdb:"ip"`
		Options map[string]string `ovsdb:"options"`
	}
	icDatapath struct {
		UUID          string `ovsdb:"_uuid"`
		TransitSwitch string `ovsdb:"transit_switch"`
		TunnelKey     int    `ovsdb:"tunnel_key"`
	}
	icPort struct {
		UUID             string            `ovsdb:"_uuid"`
		LogicalPort      string            `ovsdb:"logical_port"`
		TransitSwitch    string            `ovsdb:"transit_switch"`
		AvailabilityZone string            `ovsdb:"availability_zone"`
		TunnelKey        int               `ovsdb:"tunnel_key"`
		Gateway          string            `ovsdb:"gateway"`
		Address          string            `ovsdb:"address"`
		ExternalIDs      map[string]string `ovsdb:"external_ids"`
	}
	icRoute struct {
		UUID             string            `ovsdb:"_uuid"`
		TransitSwitch    string            `ovsdb:"transit_switch"`
		AvailabilityZone string            `ovsdb:"availability_zone"`
		RouteTable       string            `ovsdb:"route_table"`
		IPPrefix         string            `ovsdb:"ip_prefix"`
		Nexthop          string            `ovsdb:"nexthop"`
		Origin           string            `ovsdb:"origin"`
		ExternalIDs      map[string]string `ovsdb:"external_ids"`
		Since            uint64            // where the centre tells: which zone was first
	}
)

// row is a row of any of these.
type row interface{ id() string }

func (r *nbGlobal) id() string     { return r.UUID }
func (r *nbSwitch) id() string     { return r.UUID }
func (r *nbPort) id() string       { return r.UUID }
func (r *nbRouter) id() string     { return r.UUID }
func (r *nbRouterPort) id() string { return r.UUID }
func (r *nbRoute) id() string      { return r.UUID }
func (r *sbChassis) id() string    { return r.UUID }
func (r *sbEncap) id() string      { return r.UUID }
func (r *sbPort) id() string       { return r.UUID }
func (r *sbDatapath) id() string   { return r.UUID }
func (r *icSwitch) id() string     { return r.UUID }
func (r *icZone) id() string       { return r.UUID }
func (r *icGateway) id() string    { return r.UUID }
func (r *icEncap) id() string      { return r.UUID }
func (r *icDatapath) id() string   { return r.UUID }
func (r *icPort) id() string       { return r.UUID }
func (r *icRoute) id() string      { return r.UUID }
