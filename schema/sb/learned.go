package sb

// What chassis learn and report, and what they are asked to watch.

// MACBinding is a row of MAC_Binding: a learned MAC address of a neighbour of a router port.
type MACBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=MAC_Binding,root,index=logical_port+ip"`

	LogicalPort string `ovsdb:"logical_port"`
	IP          string `ovsdb:"ip"`
	MAC         string `ovsdb:"mac"`
	Timestamp   int    `ovsdb:"timestamp"`
	Datapath    string `ovsdb:"datapath" db:"ref=Datapath_Binding"`
}

// FDB is a row of FDB: a MAC address learned on a port with unknown addresses.
type FDB struct {
	UUID string `ovsdb:"_uuid" db:"table=FDB,root,index=mac+dp_key"`

	MAC       string `ovsdb:"mac"`
	DPKey     int    `ovsdb:"dp_key" db:"range=1..16777215"`
	PortKey   int    `ovsdb:"port_key" db:"range=1..16777215"`
	Timestamp int    `ovsdb:"timestamp"`
}

// StaticMACBinding is a row of Static_MAC_Binding: a fixed MAC address of a neighbour of a router port.
type StaticMACBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Static_MAC_Binding,root,index=logical_port+ip"`

	LogicalPort        string `ovsdb:"logical_port"`
	IP                 string `ovsdb:"ip"`
	MAC                string `ovsdb:"mac"`
	OverrideDynamicMAC bool   `ovsdb:"override_dynamic_mac"`
	Datapath           string `ovsdb:"datapath" db:"ref=Datapath_Binding"`
}

// ECMPNexthop is a row of ECMP_Nexthop: a next hop whose replies return the way they came.
type ECMPNexthop struct {
	UUID string `ovsdb:"_uuid" db:"table=ECMP_Nexthop,root,index=nexthop+port"`

	Nexthop     string            `ovsdb:"nexthop"`
	Port        string            `ovsdb:"port" db:"ref=Port_Binding"`
	Datapath    string            `ovsdb:"datapath" db:"ref=Datapath_Binding"`
	MAC         string            `ovsdb:"mac"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// IPMulticast is a row of IP_Multicast: the IGMP and MLD snooping settings of a datapath.
type IPMulticast struct {
	UUID string `ovsdb:"_uuid" db:"table=IP_Multicast,root,index=datapath"`

	Datapath      string `ovsdb:"datapath" db:"ref=Datapath_Binding,weak"`
	Enabled       *bool  `ovsdb:"enabled"`
	Querier       *bool  `ovsdb:"querier"`
	EthSrc        string `ovsdb:"eth_src"`
	IP4Src        string `ovsdb:"ip4_src"`
	IP6Src        string `ovsdb:"ip6_src"`
	TableSize     *int   `ovsdb:"table_size"`
	IdleTimeout   *int   `ovsdb:"idle_timeout"`
	QueryInterval *int   `ovsdb:"query_interval"`
	QueryMaxResp  *int   `ovsdb:"query_max_resp"`
	SeqNo         int    `ovsdb:"seq_no"`
}

// IGMPGroup is a row of IGMP_Group: a multicast group learned on a chassis.
type IGMPGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=IGMP_Group,root,index=address+datapath+chassis"`

	Address     string   `ovsdb:"address"`
	Protocol    string   `ovsdb:"protocol"`
	Datapath    *string  `ovsdb:"datapath" db:"ref=Datapath_Binding,weak"`
	Chassis     *string  `ovsdb:"chassis" db:"ref=Chassis,weak"`
	Ports       []string `ovsdb:"ports" db:"ref=Port_Binding,weak"`
	ChassisName string   `ovsdb:"chassis_name"`
}

// ServiceMonitor is a row of Service_Monitor: one service whose health a chassis probes.
type ServiceMonitor struct {
	UUID string `ovsdb:"_uuid" db:"table=Service_Monitor,root,index=logical_port+ip+port+protocol"`

	Type             *string           `ovsdb:"type" db:"enum=load-balancer|network-function|logical-switch-port"`
	IP               string            `ovsdb:"ip"`
	MAC              string            `ovsdb:"mac"`
	Protocol         *string           `ovsdb:"protocol" db:"enum=tcp|udp|icmp"`
	Port             int               `ovsdb:"port" db:"range=0..65535"`
	LogicalInputPort string            `ovsdb:"logical_input_port"`
	LogicalPort      string            `ovsdb:"logical_port"`
	SrcMAC           string            `ovsdb:"src_mac"`
	SrcIP            string            `ovsdb:"src_ip"`
	ChassisName      string            `ovsdb:"chassis_name"`
	Status           *string           `ovsdb:"status" db:"enum=online|offline|error"`
	IcLearned        bool              `ovsdb:"ic_learned"`
	Remote           bool              `ovsdb:"remote"`
	Options          map[string]string `ovsdb:"options"`
	ExternalIDs      map[string]string `ovsdb:"external_ids"`
}

// ControllerEvent is a row of Controller_Event: an event that a chassis reports to the CMS.
type ControllerEvent struct {
	UUID string `ovsdb:"_uuid" db:"table=Controller_Event,root"`

	EventType string            `ovsdb:"event_type" db:"enum=empty_lb_backends"`
	EventInfo map[string]string `ovsdb:"event_info"`
	Chassis   *string           `ovsdb:"chassis" db:"ref=Chassis,weak"`
	SeqNum    int               `ovsdb:"seq_num"`
}

// BFD is a row of BFD: a BFD session that a chassis runs.
type BFD struct {
	UUID string `ovsdb:"_uuid" db:"table=BFD,root,index=logical_port+dst_ip+src_port+disc"`

	SrcPort     int               `ovsdb:"src_port" db:"range=49152..65535"`
	Disc        int               `ovsdb:"disc"`
	LogicalPort string            `ovsdb:"logical_port"`
	DstIP       string            `ovsdb:"dst_ip"`
	MinTx       int               `ovsdb:"min_tx"`
	MinRx       int               `ovsdb:"min_rx"`
	DetectMult  int               `ovsdb:"detect_mult"`
	Status      string            `ovsdb:"status" db:"enum=down|init|up|admin_down"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	Options     map[string]string `ovsdb:"options"`
	ChassisName string            `ovsdb:"chassis_name"`
}

// AdvertisedRoute is a row of Advertised_Route: a route to announce from a router port.
type AdvertisedRoute struct {
	UUID string `ovsdb:"_uuid" db:"table=Advertised_Route,root,index=datapath+logical_port+ip_prefix+tracked_port"`

	Datapath    string            `ovsdb:"datapath" db:"ref=Datapath_Binding"`
	LogicalPort string            `ovsdb:"logical_port" db:"ref=Port_Binding"`
	IPPrefix    string            `ovsdb:"ip_prefix"`
	TrackedPort *string           `ovsdb:"tracked_port" db:"ref=Port_Binding"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// LearnedRoute is a row of Learned_Route: a route that a router port has learned.
type LearnedRoute struct {
	UUID string `ovsdb:"_uuid" db:"table=Learned_Route,root,index=datapath+logical_port+ip_prefix+nexthop"`

	Datapath    string            `ovsdb:"datapath" db:"ref=Datapath_Binding"`
	LogicalPort string            `ovsdb:"logical_port" db:"ref=Port_Binding"`
	IPPrefix    string            `ovsdb:"ip_prefix"`
	Nexthop     string            `ovsdb:"nexthop"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// AdvertisedMACBinding is a row of Advertised_MAC_Binding: a MAC address to announce from a switch.
type AdvertisedMACBinding struct {
	UUID string `ovsdb:"_uuid" db:"table=Advertised_MAC_Binding,root,index=datapath+logical_port+ip+mac"`

	Datapath    string            `ovsdb:"datapath" db:"ref=Datapath_Binding"`
	LogicalPort string            `ovsdb:"logical_port" db:"ref=Port_Binding"`
	IP          string            `ovsdb:"ip"`
	MAC         string            `ovsdb:"mac"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
