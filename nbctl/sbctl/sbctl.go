package sbctl

import (
	"slices"

	"govn/nbctl/ctl"
)

// Program returns the command line.
func Program() *ctl.Program {
	return &ctl.Program{
		Name:       "govn sbctl",
		Summary:    "look at and change the southbound database",
		Database:   "OVN_Southbound",
		DBEnv:      "OVN_SB_DB",
		OptionsEnv: "OVN_SBCTL_OPTIONS",
		DaemonEnv:  "OVN_SB_DAEMON",
		Socket:     "ovnsb_db.sock",
		Singleton:  "SB_Global",
		Commands:   slices.Concat(chassisCommands, flowCommands, ctl.RemoteCommands("SB_Global", true)),
		Identities: identities,
		Objects: map[string]string{
			"CHASSIS": "Chassis", "PORT": "Port_Binding", "DATAPATH": "Datapath_Binding",
		},
	}
}

// identities are the ways to name rows in the generic commands.
var identities = map[string][]ctl.Identity{
	"Address_Set":          {{Column: "name"}},
	"Chassis":              {{Column: "name"}},
	"Chassis_Private":      {{Column: "name"}},
	"Chassis_Template_Var": {{Column: "chassis"}},
	"Connection":           {{Column: "target"}},
	"DHCP_Options":         {{Column: "name"}},
	"DHCPv6_Options":       {{Column: "name"}},
	"Datapath_Binding": {
		{Column: "external_ids", Key: "name"},
		{Column: "external_ids", Key: "name2"},
		{Column: "external_ids", Key: "logical-switch"},
		{Column: "external_ids", Key: "logical-router"},
	},
	"Gateway_Chassis":  {{Column: "name"}},
	"HA_Chassis_Group": {{Column: "name"}},
	"Load_Balancer":    {{Column: "name"}},
	"MAC_Binding":      {{Column: "logical_port"}},
	"Meter":            {{Column: "name"}},
	"Mirror":           {{Column: "name"}},
	"Port_Binding":     {{Column: "logical_port"}, {Column: "external_ids", Key: "name"}},
	"Port_Group":       {{Column: "name"}},
	"RBAC_Permission":  {{Column: "table"}},
	"RBAC_Role":        {{Column: "name"}},
	"SB_Global":        {{}},
	"SSL":              {{}},
	"Service_Monitor":  {{Column: "logical_port"}},
}
