package icnb

import "govn/schema/nb"

// Name and Version are those of the database.
const (
	Name    = "OVN_IC_Northbound"
	Version = "1.4.0"
)

// Tables holds a nil pointer to the row type of each table, in the order of
// OVN's schema.
func Tables() []any {
	return []any{
		(*ICNBGlobal)(nil),
		(*TransitSwitchPort)(nil),
		(*TransitSwitch)(nil),
		(*TransitRouter)(nil),
		(*TransitRouterPort)(nil),
		(*nb.Connection)(nil),
		(*nb.SSL)(nil),
	}
}

// ICNBGlobal is a row of IC_NB_Global: the one row of settings and
// configuration sequence numbers of an interconnect.
type ICNBGlobal struct {
	UUID string `ovsdb:"_uuid" db:"table=IC_NB_Global,root,maxrows=1"`

	NBICCfg     int               `ovsdb:"nb_ic_cfg"`
	SBICCfg     int               `ovsdb:"sb_ic_cfg"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	Connections []string          `ovsdb:"connections" db:"ref=Connection"`
	SSL         *string           `ovsdb:"ssl" db:"ref=SSL"`
	Options     map[string]string `ovsdb:"options"`
}

// TransitSwitch is a row of Transit_Switch: a switch that spans zones.
type TransitSwitch struct {
	UUID string `ovsdb:"_uuid" db:"table=Transit_Switch,root,index=name"`

	Name        string            `ovsdb:"name"`
	Ports       []string          `ovsdb:"ports" db:"ref=Transit_Switch_Port"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// TransitSwitchPort is a row of Transit_Switch_Port: a port of a transit switch.
type TransitSwitchPort struct {
	UUID string `ovsdb:"_uuid" db:"table=Transit_Switch_Port,index=name"`

	Name        string            `ovsdb:"name"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	Type        string            `ovsdb:"type"`
	Chassis     string            `ovsdb:"chassis"`
	Peer        string            `ovsdb:"peer"`
	Addresses   []string          `ovsdb:"addresses"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// TransitRouter is a row of Transit_Router: a router that spans zones.
type TransitRouter struct {
	UUID string `ovsdb:"_uuid" db:"table=Transit_Router,root,index=name"`

	Name        string            `ovsdb:"name"`
	Ports       []string          `ovsdb:"ports" db:"ref=Transit_Router_Port"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

// TransitRouterPort is a row of Transit_Router_Port: a port of a transit router.
type TransitRouterPort struct {
	UUID string `ovsdb:"_uuid" db:"table=Transit_Router_Port,index=name"`

	Name        string            `ovsdb:"name"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	MAC         string            `ovsdb:"mac"`
	Chassis     string            `ovsdb:"chassis"`
	Networks    []string          `ovsdb:"networks"`
	TRUUID      string            `ovsdb:"tr_uuid" db:"uuid"`
}
