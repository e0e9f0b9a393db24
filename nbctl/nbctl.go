package nbctl

import (
	"slices"

	"govn/nbctl/ctl"
	"govn/pkg/northbound"
)

// Program returns the command line.
func Program() *ctl.Program {
	return &ctl.Program{
		Name:       "govn nbctl",
		Summary:    "look at and change the northbound database",
		Database:   "OVN_Northbound",
		DBEnv:      "OVN_NB_DB",
		OptionsEnv: "OVN_NBCTL_OPTIONS",
		DaemonEnv:  "OVN_NB_DAEMON",
		Socket:     "ovnnb_db.sock",
		Singleton:  "NB_Global",
		Waits:      true,
		Check:      northbound.Check,
		Commands: slices.Concat(
			showCommands, switchCommands, switchPortCommands, forwardCommands, aclCommands, groupCommands, qosCommands,
			mirrorCommands, meterCommands, routerCommands, routeCommands, policyCommands, natCommands, balancerCommands,
			dhcpCommands, chassisGroupCommands, coppCommands, macBindingCommands, ctl.RemoteCommands("NB_Global", false),
		),
		NotYet:     notYet,
		Identities: identities,
		Objects: map[string]string{
			"SWITCH": "Logical_Switch", "SWITCH | ROUTER": "Logical_Switch", "PORT": "Logical_Switch_Port", "PORTS": "Logical_Switch_Port",
			"ROUTER": "Logical_Router", "lrp:PORT": "Logical_Router_Port", "LB": "Load_Balancer", "PG": "Port_Group",
			"MIRROR": "Mirror", "GROUP": "Forwarding_Group", "GRP": "HA_Chassis_Group", "METER": "Meter", "meter:NAME": "Meter",
			"mirror:NAME": "Mirror", "copp:NAME": "Copp", "DHCP_OPTIONS_UUID": "DHCP_Options", "SWITCH|PORTGROUP": "Logical_Switch",
		},
	}
}

// notYet are the verbs of ovn-nbctl 23.03 that are not there.
var notYet = map[string]string{}

// identities are the ways to name rows in the generic commands.
var identities = map[string][]ctl.Identity{
	"ACL":                  {{Column: "name"}},
	"Address_Set":          {{Column: "name"}},
	"Chassis_Template_Var": {{Column: "chassis"}},
	"Connection":           {{Column: "target"}},
	"DHCP_Options": {
		{Table: "Logical_Switch_Port", Column: "name", Via: "dhcpv4_options"},
		{Table: "Logical_Switch_Port", Column: "external_ids", Key: "neutron:port_name", Via: "dhcpv4_options"},
		{Table: "Logical_Switch_Port", Column: "name", Via: "dhcpv6_options"},
		{Table: "Logical_Switch_Port", Column: "external_ids", Key: "neutron:port_name", Via: "dhcpv6_options"},
	},
	"Forwarding_Group":           {{Column: "name"}},
	"HA_Chassis":                 {{Column: "chassis_name"}},
	"HA_Chassis_Group":           {{Column: "name"}},
	"Load_Balancer":              {{Column: "name"}},
	"Load_Balancer_Group":        {{Column: "name"}},
	"Load_Balancer_Health_Check": {{Column: "vip"}},
	"Logical_Router":             {{Column: "name"}, {Column: "external_ids", Key: "neutron:router_name"}},
	"Logical_Router_Port":        {{Column: "name"}},
	"Logical_Switch":             {{Column: "name"}, {Column: "external_ids", Key: "neutron:network_name"}},
	"Logical_Switch_Port":        {{Column: "name"}, {Column: "external_ids", Key: "neutron:port_name"}},
	"Meter":                      {{Column: "name"}},
	"NAT":                        {{Column: "external_ip"}},
	"NB_Global":                  {{}},
	"Port_Group":                 {{Column: "name"}},
	"SSL":                        {{}},
}
