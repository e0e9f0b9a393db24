package vswitch

// The switch, its bridges, ports and interfaces.

// OpenVSwitch is a row of Open_vSwitch: the one row that configures the switch.
type OpenVSwitch struct {
	UUID string `ovsdb:"_uuid" db:"table=Open_vSwitch,root,maxrows=1"`

	Datapaths       map[string]string `ovsdb:"datapaths" db:"value.ref=Datapath"`
	Bridges         []string          `ovsdb:"bridges" db:"ref=Bridge"`
	ManagerOptions  []string          `ovsdb:"manager_options" db:"ref=Manager"`
	SSL             *string           `ovsdb:"ssl" db:"ref=SSL"`
	OtherConfig     map[string]string `ovsdb:"other_config"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
	NextCfg         int               `ovsdb:"next_cfg"`
	CurCfg          int               `ovsdb:"cur_cfg"`
	Statistics      map[string]string `ovsdb:"statistics" db:"ephemeral"`
	OVSVersion      *string           `ovsdb:"ovs_version"`
	DBVersion       *string           `ovsdb:"db_version"`
	SystemType      *string           `ovsdb:"system_type"`
	SystemVersion   *string           `ovsdb:"system_version"`
	DatapathTypes   []string          `ovsdb:"datapath_types"`
	IfaceTypes      []string          `ovsdb:"iface_types"`
	DPDKInitialized bool              `ovsdb:"dpdk_initialized"`
	DPDKVersion     *string           `ovsdb:"dpdk_version"`
}

// Bridge is a row of Bridge: a bridge.
type Bridge struct {
	UUID string `ovsdb:"_uuid" db:"table=Bridge,index=name"`

	Name                string            `ovsdb:"name" db:"immutable"`
	DatapathType        string            `ovsdb:"datapath_type"`
	DatapathVersion     string            `ovsdb:"datapath_version"`
	DatapathID          *string           `ovsdb:"datapath_id" db:"ephemeral"`
	STPEnable           bool              `ovsdb:"stp_enable"`
	RSTPEnable          bool              `ovsdb:"rstp_enable"`
	McastSnoopingEnable bool              `ovsdb:"mcast_snooping_enable"`
	Ports               []string          `ovsdb:"ports" db:"ref=Port"`
	Mirrors             []string          `ovsdb:"mirrors" db:"ref=Mirror"`
	Controller          []string          `ovsdb:"controller" db:"ref=Controller"`
	Protocols           []string          `ovsdb:"protocols" db:"enum=OpenFlow10|OpenFlow11|OpenFlow12|OpenFlow13|OpenFlow14|OpenFlow15"`
	FailMode            *string           `ovsdb:"fail_mode" db:"enum=standalone|secure"`
	Status              map[string]string `ovsdb:"status" db:"ephemeral"`
	RSTPStatus          map[string]string `ovsdb:"rstp_status" db:"ephemeral"`
	OtherConfig         map[string]string `ovsdb:"other_config"`
	ExternalIDs         map[string]string `ovsdb:"external_ids"`
	FloodVLANs          []int             `ovsdb:"flood_vlans" db:"range=0..4095,max=4096"`
}

// Port is a row of Port: a port of a bridge.
type Port struct {
	UUID string `ovsdb:"_uuid" db:"table=Port,index=name"`

	Name            string            `ovsdb:"name" db:"immutable"`
	Interfaces      []string          `ovsdb:"interfaces" db:"ref=Interface,min=1"`
	Trunks          []int             `ovsdb:"trunks" db:"range=0..4095,max=4096"`
	CVLANs          []int             `ovsdb:"cvlans" db:"range=0..4095,max=4096"`
	Tag             *int              `ovsdb:"tag" db:"range=0..4095"`
	VLANMode        *string           `ovsdb:"vlan_mode" db:"enum=trunk|access|native-tagged|native-untagged|dot1q-tunnel"`
	QoS             *string           `ovsdb:"qos" db:"ref=QoS"`
	MAC             *string           `ovsdb:"mac"`
	BondMode        *string           `ovsdb:"bond_mode" db:"enum=balance-tcp|balance-slb|active-backup"`
	LACP            *string           `ovsdb:"lacp" db:"enum=active|passive|off"`
	BondUpdelay     int               `ovsdb:"bond_updelay"`
	BondDowndelay   int               `ovsdb:"bond_downdelay"`
	BondActiveSlave *string           `ovsdb:"bond_active_slave"`
	BondFakeIface   bool              `ovsdb:"bond_fake_iface"`
	FakeBridge      bool              `ovsdb:"fake_bridge"`
	Status          map[string]string `ovsdb:"status" db:"ephemeral"`
	RSTPStatus      map[string]string `ovsdb:"rstp_status" db:"ephemeral"`
	RSTPStatistics  map[string]int    `ovsdb:"rstp_statistics" db:"ephemeral"`
	Statistics      map[string]int    `ovsdb:"statistics" db:"ephemeral"`
	Protected       bool              `ovsdb:"protected"`
	OtherConfig     map[string]string `ovsdb:"other_config"`
	ExternalIDs     map[string]string `ovsdb:"external_ids"`
}

// Interface is a row of Interface: a network device of a port.
type Interface struct {
	UUID string `ovsdb:"_uuid" db:"table=Interface,index=name"`

	Name                      string            `ovsdb:"name" db:"immutable"`
	Type                      string            `ovsdb:"type"`
	Options                   map[string]string `ovsdb:"options"`
	IngressPolicingRate       int               `ovsdb:"ingress_policing_rate" db:"range=0.."`
	IngressPolicingBurst      int               `ovsdb:"ingress_policing_burst" db:"range=0.."`
	IngressPolicingKpktsRate  int               `ovsdb:"ingress_policing_kpkts_rate" db:"range=0.."`
	IngressPolicingKpktsBurst int               `ovsdb:"ingress_policing_kpkts_burst" db:"range=0.."`
	MACInUse                  *string           `ovsdb:"mac_in_use" db:"ephemeral"`
	MAC                       *string           `ovsdb:"mac"`
	IfIndex                   *int              `ovsdb:"ifindex" db:"range=0..4294967295,ephemeral"`
	ExternalIDs               map[string]string `ovsdb:"external_ids"`
	OFPort                    *int              `ovsdb:"ofport"`
	OFPortRequest             *int              `ovsdb:"ofport_request" db:"range=1..65279"`
	BFD                       map[string]string `ovsdb:"bfd"`
	BFDStatus                 map[string]string `ovsdb:"bfd_status" db:"ephemeral"`
	CFMMPID                   *int              `ovsdb:"cfm_mpid"`
	CFMRemoteMPIDs            []int             `ovsdb:"cfm_remote_mpids" db:"ephemeral"`
	CFMFlapCount              *int              `ovsdb:"cfm_flap_count"`
	CFMFault                  *bool             `ovsdb:"cfm_fault" db:"ephemeral"`
	CFMFaultStatus            []string          `ovsdb:"cfm_fault_status" db:"ephemeral"`
	CFMRemoteOpstate          *string           `ovsdb:"cfm_remote_opstate" db:"enum=up|down,ephemeral"`
	CFMHealth                 *int              `ovsdb:"cfm_health" db:"range=0..100,ephemeral"`
	LACPCurrent               *bool             `ovsdb:"lacp_current" db:"ephemeral"`
	LLDP                      map[string]string `ovsdb:"lldp"`
	OtherConfig               map[string]string `ovsdb:"other_config"`
	Statistics                map[string]int    `ovsdb:"statistics" db:"ephemeral"`
	Status                    map[string]string `ovsdb:"status" db:"ephemeral"`
	AdminState                *string           `ovsdb:"admin_state" db:"enum=up|down,ephemeral"`
	LinkState                 *string           `ovsdb:"link_state" db:"enum=up|down,ephemeral"`
	LinkResets                *int              `ovsdb:"link_resets" db:"ephemeral"`
	LinkSpeed                 *int              `ovsdb:"link_speed" db:"ephemeral"`
	Duplex                    *string           `ovsdb:"duplex" db:"enum=half|full,ephemeral"`
	MTU                       *int              `ovsdb:"mtu" db:"ephemeral"`
	MTURequest                *int              `ovsdb:"mtu_request" db:"range=1.."`
	Error                     *string           `ovsdb:"error"`
}
