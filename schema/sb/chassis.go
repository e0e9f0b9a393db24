package sb

// Chassis and groups of them.

// Chassis is a row of Chassis: a hypervisor or gateway that runs a controller.
type Chassis struct {
	UUID string `ovsdb:"_uuid" db:"table=Chassis,root,index=name"`

	Name                string            `ovsdb:"name"`
	Hostname            string            `ovsdb:"hostname"`
	Encaps              []string          `ovsdb:"encaps" db:"ref=Encap,min=1"`
	VtepLogicalSwitches []string          `ovsdb:"vtep_logical_switches"`
	NBCfg               int               `ovsdb:"nb_cfg"`
	ExternalIDs         map[string]string `ovsdb:"external_ids"`
	OtherConfig         map[string]string `ovsdb:"other_config"`
	TransportZones      []string          `ovsdb:"transport_zones"`
}

// ChassisPrivate is a row of Chassis_Private: what a chassis writes about itself alone: its sequence number.
type ChassisPrivate struct {
	UUID string `ovsdb:"_uuid" db:"table=Chassis_Private,root,index=name"`

	Name           string            `ovsdb:"name"`
	Chassis        *string           `ovsdb:"chassis" db:"ref=Chassis,weak"`
	NBCfg          int               `ovsdb:"nb_cfg"`
	NBCfgTimestamp int               `ovsdb:"nb_cfg_timestamp"`
	ExternalIDs    map[string]string `ovsdb:"external_ids"`
}

// Encap is a row of Encap: one way to reach a chassis through a tunnel.
type Encap struct {
	UUID string `ovsdb:"_uuid" db:"table=Encap,index=type+ip"`

	Type        string            `ovsdb:"type" db:"enum=geneve|vxlan"`
	Options     map[string]string `ovsdb:"options"`
	IP          string            `ovsdb:"ip"`
	ChassisName string            `ovsdb:"chassis_name"`
}

// GatewayChassis is a row of Gateway_Chassis: one candidate chassis of a gateway port.
type GatewayChassis struct {
	UUID string `ovsdb:"_uuid" db:"table=Gateway_Chassis,index=name"`

	Name        string            `ovsdb:"name"`
	Chassis     *string           `ovsdb:"chassis" db:"ref=Chassis,weak"`
	Priority    int               `ovsdb:"priority" db:"range=0..32767"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	Options     map[string]string `ovsdb:"options"`
}

// HAChassis is a row of HA_Chassis: one chassis of an HA_Chassis_Group with its priority.
type HAChassis struct {
	UUID string `ovsdb:"_uuid" db:"table=HA_Chassis"`

	Chassis     *string           `ovsdb:"chassis" db:"ref=Chassis,weak"`
	Priority    int               `ovsdb:"priority" db:"range=0..32767"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// HAChassisGroup is a row of HA_Chassis_Group: chassis that stand in for each other.
type HAChassisGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=HA_Chassis_Group,root,index=name"`

	Name        string            `ovsdb:"name"`
	HAChassis   []string          `ovsdb:"ha_chassis" db:"ref=HA_Chassis"`
	RefChassis  []string          `ovsdb:"ref_chassis" db:"ref=Chassis,weak"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// ChassisTemplateVar is a row of Chassis_Template_Var: values of template variables on one chassis.
type ChassisTemplateVar struct {
	UUID string `ovsdb:"_uuid" db:"table=Chassis_Template_Var,root,index=chassis"`

	Chassis   string            `ovsdb:"chassis"`
	Variables map[string]string `ovsdb:"variables"`
}
