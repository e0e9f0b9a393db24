package sb

// What northd derives from the northbound database.

// DatapathBinding is a row of Datapath_Binding: the tunnel key of a logical switch or router.
type DatapathBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Datapath_Binding,root,index=tunnel_key"`

	TunnelKey     int               `ovsdb:"tunnel_key" db:"range=1..16777215"`
	LoadBalancers []string          `ovsdb:"load_balancers" db:"uuid"`
	Type          *string           `ovsdb:"type" db:"enum=logical-switch|logical-router"`
	NBUUID        *string           `ovsdb:"nb_uuid" db:"uuid"`
	ExternalIDs   map[string]string `ovsdb:"external_ids"`
}

// PortBinding is a row of Port_Binding: the tunnel key of a logical port and the chassis where it resides.
type PortBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Port_Binding,root,index=datapath+tunnel_key,index=logical_port"`

	LogicalPort                string            `ovsdb:"logical_port"`
	Type                       string            `ovsdb:"type"`
	GatewayChassis             []string          `ovsdb:"gateway_chassis" db:"ref=Gateway_Chassis"`
	HAChassisGroup             *string           `ovsdb:"ha_chassis_group" db:"ref=HA_Chassis_Group"`
	Options                    map[string]string `ovsdb:"options"`
	Datapath                   string            `ovsdb:"datapath" db:"ref=Datapath_Binding"`
	TunnelKey                  int               `ovsdb:"tunnel_key" db:"range=1..32767"`
	ParentPort                 *string           `ovsdb:"parent_port"`
	MirrorPort                 *string           `ovsdb:"mirror_port"`
	Tag                        *int              `ovsdb:"tag" db:"range=1..4095"`
	VirtualParent              *string           `ovsdb:"virtual_parent"`
	Chassis                    *string           `ovsdb:"chassis" db:"ref=Chassis,weak"`
	AdditionalChassis          []string          `ovsdb:"additional_chassis" db:"ref=Chassis,weak"`
	Encap                      *string           `ovsdb:"encap" db:"ref=Encap,weak"`
	AdditionalEncap            []string          `ovsdb:"additional_encap" db:"ref=Encap,weak"`
	MirrorRules                []string          `ovsdb:"mirror_rules" db:"ref=Mirror,weak"`
	MAC                        []string          `ovsdb:"mac"`
	PortSecurity               []string          `ovsdb:"port_security"`
	NATAddresses               []string          `ovsdb:"nat_addresses"`
	Up                         *bool             `ovsdb:"up"`
	ExternalIDs                map[string]string `ovsdb:"external_ids"`
	RequestedChassis           *string           `ovsdb:"requested_chassis" db:"ref=Chassis,weak"`
	RequestedAdditionalChassis []string          `ovsdb:"requested_additional_chassis" db:"ref=Chassis,weak"`
}

// LogicalFlow is a row of Logical_Flow: one logical flow.
type LogicalFlow struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Flow,root"`

	LogicalDatapath *string           `ovsdb:"logical_datapath" db:"ref=Datapath_Binding"`
	LogicalDPGroup  *string           `ovsdb:"logical_dp_group" db:"ref=Logical_DP_Group"`
	Pipeline        string            `ovsdb:"pipeline" db:"enum=ingress|egress"`
	TableID         int               `ovsdb:"table_id" db:"range=0..34"`
	Priority        int               `ovsdb:"priority" db:"range=0..65535"`
	Match           string            `ovsdb:"match"`
	Actions         string            `ovsdb:"actions"`
	Tags            map[string]string `ovsdb:"tags"`
	ControllerMeter *string           `ovsdb:"controller_meter"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
	FlowDesc        *string           `ovsdb:"flow_desc"`
}

// LogicalDPGroup is a row of Logical_DP_Group: datapaths that share logical flows.
type LogicalDPGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_DP_Group"`

	Datapaths []string `ovsdb:"datapaths" db:"ref=Datapath_Binding,weak"`
}

// MulticastGroup is a row of Multicast_Group: a tunnel key that stands for several ports of a datapath.
type MulticastGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Multicast_Group,root,index=datapath+tunnel_key,index=datapath+name"`

	Datapath  string   `ovsdb:"datapath" db:"ref=Datapath_Binding"`
	Name      string   `ovsdb:"name"`
	TunnelKey int      `ovsdb:"tunnel_key" db:"range=32768..65535"`
	Ports     []string `ovsdb:"ports" db:"ref=Port_Binding,weak"`
}

// AddressSet is a row of Address_Set: the address sets of matches.
type AddressSet struct {
	UUID string `ovsdb:"_uuid" db:"table=Address_Set,root,index=name"`

	Name      string            `ovsdb:"name"`
	Addresses []string          `ovsdb:"addresses"`
	Options   map[string]string `ovsdb:"options"`
}

// PortGroup is a row of Port_Group: the port groups of matches, ports by name.
type PortGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Port_Group,root,index=name"`

	Name  string   `ovsdb:"name"`
	Ports []string `ovsdb:"ports"`
}

// LoadBalancer is a row of Load_Balancer: virtual addresses and backends, for hairpin on the chassis.
type LoadBalancer struct {
	UUID string `ovsdb:"_uuid" db:"table=Load_Balancer,root"`

	Name            string            `ovsdb:"name"`
	VIPs            map[string]string `ovsdb:"vips"`
	Protocol        *string           `ovsdb:"protocol" db:"enum=tcp|udp|sctp"`
	Datapaths       []string          `ovsdb:"datapaths" db:"ref=Datapath_Binding"`
	DatapathGroup   *string           `ovsdb:"datapath_group" db:"ref=Logical_DP_Group"`
	LSDatapathGroup *string           `ovsdb:"ls_datapath_group" db:"ref=Logical_DP_Group"`
	LRDatapathGroup *string           `ovsdb:"lr_datapath_group" db:"ref=Logical_DP_Group"`
	Options         map[string]string `ovsdb:"options"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}

// Meter is a row of Meter: a named rate limit.
type Meter struct {
	UUID string `ovsdb:"_uuid" db:"table=Meter,root,index=name"`

	Name  string   `ovsdb:"name"`
	Unit  string   `ovsdb:"unit" db:"enum=kbps|pktps"`
	Bands []string `ovsdb:"bands" db:"ref=Meter_Band,min=1"`
}

// MeterBand is a row of Meter_Band: one threshold of a meter.
type MeterBand struct {
	UUID string `ovsdb:"_uuid" db:"table=Meter_Band"`

	Action    string `ovsdb:"action" db:"enum=drop"`
	Rate      int    `ovsdb:"rate" db:"range=1..4294967295"`
	BurstSize int    `ovsdb:"burst_size" db:"range=0..4294967295"`
}

// Mirror is a row of Mirror: where packets of a port are copied to.
type Mirror struct {
	UUID string `ovsdb:"_uuid" db:"table=Mirror,root,index=name"`

	Name        string            `ovsdb:"name"`
	Filter      string            `ovsdb:"filter" db:"enum=from-lport|to-lport|both"`
	Sink        string            `ovsdb:"sink"`
	Type        string            `ovsdb:"type" db:"enum=gre|erspan|local|lport"`
	Index       int               `ovsdb:"index"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// ACLID is a row of ACL_ID: a number that names an ACL in conntrack entries.
type ACLID struct {
	UUID string `ovsdb:"_uuid" db:"table=ACL_ID,root"`

	ID int `ovsdb:"id" db:"range=0..32767"`
}

// DHCPOptions is a row of DHCP_Options: the DHCPv4 options that are supported, with code and type.
type DHCPOptions struct {
	UUID string `ovsdb:"_uuid" db:"table=DHCP_Options,root"`

	Name string `ovsdb:"name"`
	Code int    `ovsdb:"code" db:"range=0..254"`
	Type string `ovsdb:"type" db:"enum=bool|uint8|uint16|uint32|ipv4|static_routes|str|host_id|domains"`
}

// DHCPv6Options is a row of DHCPv6_Options: the DHCPv6 options that are supported, with code and type.
type DHCPv6Options struct {
	UUID string `ovsdb:"_uuid" db:"table=DHCPv6_Options,root"`

	Name string `ovsdb:"name"`
	Code int    `ovsdb:"code" db:"range=0..254"`
	Type string `ovsdb:"type" db:"enum=ipv6|str|mac|domain"`
}

// DNS is a row of DNS: names that are answered inside the datapaths.
type DNS struct {
	UUID string `ovsdb:"_uuid" db:"table=DNS,root"`

	Records     map[string]string `ovsdb:"records"`
	Datapaths   []string          `ovsdb:"datapaths" db:"ref=Datapath_Binding,min=1"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
