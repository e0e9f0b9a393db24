package nb

// Chassis and groups of them.

// GatewayChassis is a row of Gateway_Chassis: one candidate chassis of a distributed gateway port.
type GatewayChassis struct {
	UUID string `ovsdb:"_uuid" db:"table=Gateway_Chassis,index=name"`

	Name        string            `ovsdb:"name"`
	ChassisName string            `ovsdb:"chassis_name"`
	Priority    int               `ovsdb:"priority" db:"range=0..32767"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	Options     map[string]string `ovsdb:"options"`
}

// HAChassis is a row of HA_Chassis: one chassis of an HA_Chassis_Group with its priority.
type HAChassis struct {
	UUID string `ovsdb:"_uuid" db:"table=HA_Chassis"`

	ChassisName string            `ovsdb:"chassis_name"`
	Priority    int               `ovsdb:"priority" db:"range=0..32767"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// HAChassisGroup is a row of HA_Chassis_Group: chassis that stand in for each other.
type HAChassisGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=HA_Chassis_Group,root,index=name"`

	Name        string            `ovsdb:"name"`
	HAChassis   []string          `ovsdb:"ha_chassis" db:"ref=HA_Chassis"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// ChassisTemplateVar is a row of Chassis_Template_Var: values of template variables on one chassis.
type ChassisTemplateVar struct {
	UUID string `ovsdb:"_uuid" db:"table=Chassis_Template_Var,root,index=chassis"`

	Chassis     string            `ovsdb:"chassis"`
	Variables   map[string]string `ovsdb:"variables"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
