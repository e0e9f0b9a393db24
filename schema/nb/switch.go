package nb

// Logical switches and what their ports refer to.

// LogicalSwitch is a row of Logical_Switch: an L2 network.
type LogicalSwitch struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Switch,root"`

	Name              string            `ovsdb:"name"`
	Ports             []string          `ovsdb:"ports" db:"ref=Logical_Switch_Port"`
	ACLs              []string          `ovsdb:"acls" db:"ref=ACL"`
	QoSRules          []string          `ovsdb:"qos_rules" db:"ref=QoS"`
	LoadBalancer      []string          `ovsdb:"load_balancer" db:"ref=Load_Balancer,weak"`
	LoadBalancerGroup []string          `ovsdb:"load_balancer_group" db:"ref=Load_Balancer_Group"`
	DNSRecords        []string          `ovsdb:"dns_records" db:"ref=DNS,weak"`
	Copp              *string           `ovsdb:"copp" db:"ref=Copp,weak"`
	OtherConfig       map[string]string `ovsdb:"other_config"`
	ExternalIDs       map[string]string `ovsdb:"external_ids"`
	ForwardingGroups  []string          `ovsdb:"forwarding_groups" db:"ref=Forwarding_Group"`
}

// LogicalSwitchPort is a row of Logical_Switch_Port: a port of a logical switch.
type LogicalSwitchPort struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Switch_Port,index=name"`

	Name             string            `ovsdb:"name"`
	Type             string            `ovsdb:"type"`
	Options          map[string]string `ovsdb:"options"`
	ParentName       *string           `ovsdb:"parent_name"`
	TagRequest       *int              `ovsdb:"tag_request" db:"range=0..4095"`
	Tag              *int              `ovsdb:"tag" db:"range=1..4095"`
	Addresses        []string          `ovsdb:"addresses"`
	DynamicAddresses *string           `ovsdb:"dynamic_addresses"`
	PortSecurity     []string          `ovsdb:"port_security"`
	Peer             *string           `ovsdb:"peer"`
	Up               *bool             `ovsdb:"up"`
	Enabled          *bool             `ovsdb:"enabled"`
	DHCPv4Options    *string           `ovsdb:"dhcpv4_options" db:"ref=DHCP_Options,weak"`
	DHCPv6Options    *string           `ovsdb:"dhcpv6_options" db:"ref=DHCP_Options,weak"`
	MirrorRules      []string          `ovsdb:"mirror_rules" db:"ref=Mirror,weak"`
	HAChassisGroup   *string           `ovsdb:"ha_chassis_group" db:"ref=HA_Chassis_Group"`
	HealthChecks     []string          `ovsdb:"health_checks" db:"ref=Logical_Switch_Port_Health_Check"`
	ExternalIDs      map[string]string `ovsdb:"external_ids"`
}

// LogicalSwitchPortHealthCheck is a row of Logical_Switch_Port_Health_Check: how a switch port's workload is probed.
type LogicalSwitchPortHealthCheck struct {
	UUID string `ovsdb:"_uuid" db:"table=Logical_Switch_Port_Health_Check"`

	Protocol string            `ovsdb:"protocol" db:"enum=tcp|udp|icmp"`
	SrcIP    string            `ovsdb:"src_ip"`
	Port     int               `ovsdb:"port" db:"range=0..65535"`
	Address  string            `ovsdb:"address"`
	Status   *string           `ovsdb:"status" db:"enum=online|offline|error"`
	Options  map[string]string `ovsdb:"options"`
}

// ForwardingGroup is a row of Forwarding_Group: a virtual address whose traffic is spread over child ports.
type ForwardingGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Forwarding_Group"`

	Name        string            `ovsdb:"name"`
	VIP         string            `ovsdb:"vip"`
	VMAC        string            `ovsdb:"vmac"`
	Liveness    bool              `ovsdb:"liveness"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	ChildPort   []string          `ovsdb:"child_port" db:"min=1"`
}

// DHCPOptions is a row of DHCP_Options: the DHCP answer that ports refer to.
type DHCPOptions struct {
	UUID string `ovsdb:"_uuid" db:"table=DHCP_Options,root"`

	Cidr        string            `ovsdb:"cidr"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// DHCPRelay is a row of DHCP_Relay: the DHCP servers that a router port relays to.
type DHCPRelay struct {
	UUID string `ovsdb:"_uuid" db:"table=DHCP_Relay,root"`

	Name        string            `ovsdb:"name"`
	Servers     *string           `ovsdb:"servers"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// DNS is a row of DNS: names that are answered inside the network.
type DNS struct {
	UUID string `ovsdb:"_uuid" db:"table=DNS,root"`

	Records     map[string]string `ovsdb:"records"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
