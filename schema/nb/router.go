package nb

// Logical routers.

// LogicalRouter is a row of Logical_Router: an L3 router.
type LogicalRouter struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Router,root"`

	Name              string            `ovsdb:"name"`
	Ports             []string          `ovsdb:"ports" db:"ref=Logical_Router_Port"`
	StaticRoutes      []string          `ovsdb:"static_routes" db:"ref=Logical_Router_Static_Route"`
	Policies          []string          `ovsdb:"policies" db:"ref=Logical_Router_Policy"`
	Enabled           *bool             `ovsdb:"enabled"`
	NAT               []string          `ovsdb:"nat" db:"ref=NAT"`
	LoadBalancer      []string          `ovsdb:"load_balancer" db:"ref=Load_Balancer,weak"`
	LoadBalancerGroup []string          `ovsdb:"load_balancer_group" db:"ref=Load_Balancer_Group"`
	Copp              *string           `ovsdb:"copp" db:"ref=Copp,weak"`
	Options           map[string]string `ovsdb:"options"`
	ExternalIDs       map[string]string `ovsdb:"external_ids"`
}

// LogicalRouterPort is a row of Logical_Router_Port: a port of a logical router.
type LogicalRouterPort struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Router_Port,index=name"`

	Name           string            `ovsdb:"name"`
	GatewayChassis []string          `ovsdb:"gateway_chassis" db:"ref=Gateway_Chassis"`
	HAChassisGroup *string           `ovsdb:"ha_chassis_group" db:"ref=HA_Chassis_Group"`
	Options        map[string]string `ovsdb:"options"`
	Networks       []string          `ovsdb:"networks"`
	MAC            string            `ovsdb:"mac"`
	Peer           *string           `ovsdb:"peer"`
	Enabled        *bool             `ovsdb:"enabled"`
	IPv6RAConfigs  map[string]string `ovsdb:"ipv6_ra_configs"`
	IPv6Prefix     []string          `ovsdb:"ipv6_prefix"`
	DHCPRelay      *string           `ovsdb:"dhcp_relay" db:"ref=DHCP_Relay"`
	ExternalIDs    map[string]string `ovsdb:"external_ids"`
	Status         map[string]string `ovsdb:"status"`
}

// LogicalRouterStaticRoute is a row of Logical_Router_Static_Route: one static route.
type LogicalRouterStaticRoute struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Router_Static_Route"`

	RouteTable      string            `ovsdb:"route_table"`
	IPPrefix        string            `ovsdb:"ip_prefix"`
	Policy          *string           `ovsdb:"policy" db:"enum=src-ip|dst-ip"`
	Nexthop         string            `ovsdb:"nexthop"`
	OutputPort      *string           `ovsdb:"output_port"`
	BFD             *string           `ovsdb:"bfd" db:"ref=BFD,weak"`
	SelectionFields []string          `ovsdb:"selection_fields" db:"enum=eth_src|eth_dst|ip_proto|ip_src|ip_dst|ipv6_src|ipv6_dst|tp_src|tp_dst"`
	Options         map[string]string `ovsdb:"options"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}

// LogicalRouterPolicy is a row of Logical_Router_Policy: one routing policy.
type LogicalRouterPolicy struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Router_Policy"`

	Priority    int               `ovsdb:"priority" db:"range=0..32767"`
	Chain       *string           `ovsdb:"chain"`
	Match       string            `ovsdb:"match"`
	Action      string            `ovsdb:"action" db:"enum=allow|drop|reroute|jump"`
	JumpChain   *string           `ovsdb:"jump_chain"`
	Nexthop     *string           `ovsdb:"nexthop"`
	Nexthops    []string          `ovsdb:"nexthops"`
	OutputPort  *string           `ovsdb:"output_port" db:"ref=Logical_Router_Port,weak"`
	BFDSessions []string          `ovsdb:"bfd_sessions" db:"ref=BFD,weak"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// NAT is a row of NAT: one address translation of a router.
type NAT struct {
	UUID string `ovsdb:"_uuid" db:"table=NAT"`

	ExternalIP        string            `ovsdb:"external_ip"`
	ExternalMAC       *string           `ovsdb:"external_mac"`
	ExternalPortRange string            `ovsdb:"external_port_range"`
	LogicalIP         string            `ovsdb:"logical_ip"`
	LogicalPort       *string           `ovsdb:"logical_port"`
	Type              string            `ovsdb:"type" db:"enum=dnat|snat|dnat_and_snat"`
	AllowedExtIPs     *string           `ovsdb:"allowed_ext_ips" db:"ref=Address_Set"`
	ExemptedExtIPs    *string           `ovsdb:"exempted_ext_ips" db:"ref=Address_Set"`
	GatewayPort       *string           `ovsdb:"gateway_port" db:"ref=Logical_Router_Port,weak"`
	Priority          int               `ovsdb:"priority" db:"range=0..32767"`
	Match             string            `ovsdb:"match"`
	Options           map[string]string `ovsdb:"options"`
	ExternalIDs       map[string]string `ovsdb:"external_ids"`
}

// BFD is a row of BFD: a BFD session that routes depend on.
type BFD struct {
	UUID string `ovsdb:"_uuid" db:"table=BFD,root,index=logical_port+dst_ip"`

	LogicalPort string            `ovsdb:"logical_port"`
	DstIP       string            `ovsdb:"dst_ip"`
	MinTx       *int              `ovsdb:"min_tx" db:"range=1.."`
	MinRx       *int              `ovsdb:"min_rx"`
	DetectMult  *int              `ovsdb:"detect_mult" db:"range=1.."`
	Status      *string           `ovsdb:"status" db:"enum=down|init|up|admin_down"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	Options     map[string]string `ovsdb:"options"`
}

// StaticMACBinding is a row of Static_MAC_Binding: a fixed MAC address of a neighbour of a router port.
type StaticMACBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Static_MAC_Binding,root,index=logical_port+ip"`

	LogicalPort        string `ovsdb:"logical_port"`
	IP                 string `ovsdb:"ip"`
	MAC                string `ovsdb:"mac"`
	OverrideDynamicMAC bool   `ovsdb:"override_dynamic_mac"`
}
