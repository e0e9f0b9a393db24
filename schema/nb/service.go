package nb

// Service insertion.

// NetworkFunction is a row of Network_Function: a pair of ports that traffic is steered through.
type NetworkFunction struct {
	UUID string `ovsdb:"_uuid" db:"table=Network_Function,root,index=name,index=id"`

	Name        string            `ovsdb:"name"`
	Outport     *string           `ovsdb:"outport" db:"ref=Logical_Switch_Port"`
	Inport      string            `ovsdb:"inport" db:"ref=Logical_Switch_Port"`
	HealthCheck *string           `ovsdb:"health_check" db:"ref=Network_Function_Health_Check"`
	ID          int               `ovsdb:"id" db:"range=1..255"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// NetworkFunctionGroup is a row of Network_Function_Group: network functions of which one is active at a time.
type NetworkFunctionGroup struct {
	UUID string `ovsdb:"_uuid" db:"table=Network_Function_Group,root,index=name,index=id"`

	Name                  string            `ovsdb:"name"`
	Fallback              *string           `ovsdb:"fallback" db:"enum=fail-open|fail-close"`
	NetworkFunction       []string          `ovsdb:"network_function" db:"ref=Network_Function"`
	NetworkFunctionActive *string           `ovsdb:"network_function_active" db:"ref=Network_Function"`
	Mode                  string            `ovsdb:"mode" db:"enum=inline|vtap"`
	ID                    int               `ovsdb:"id" db:"range=1..255"`
	ExternalIDs           map[string]string `ovsdb:"external_ids"`
}

// NetworkFunctionHealthCheck is a row of Network_Function_Health_Check: how a network function is probed.
type NetworkFunctionHealthCheck struct {
	UUID string `ovsdb:"_uuid" db:"table=Network_Function_Health_Check,index=name"`

	Name        string            `ovsdb:"name"`
	Options     map[string]string `ovsdb:"options"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}
