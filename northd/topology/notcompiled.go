package topology

// notCompiled are the tables that are stored and become no flows, and what
// their rows would be for. Whoever compiles one deletes its line: a test compares
// the list with what the sources name.
var notCompiled = map[string]string{
	"ACL":                        "packets are not filtered",
	"Address_Set":                "matches with sets are not compiled",
	"Chassis_Template_Var":       "there are no templates",
	"Copp":                       "packets to the controller have the limits of the chassis",
	"DHCP_Options":               "DHCP requests are not answered",
	"DNS":                        "names are not resolved",
	"Load_Balancer":              "connections are not balanced",
	"Load_Balancer_Group":        "connections are not balanced",
	"Load_Balancer_Health_Check": "nothing is checked",
	"Meter":                      "rates are not limited",
	"Mirror":                     "packets are not mirrored",
	"NAT":                        "addresses are not translated",
	"Port_Group":                 "matches with groups are not compiled",
	"QoS":                        "rates are not limited and packets not marked",
}

// notCompiledKeys are documented keys of tables that are compiled, and that
// nothing reads.
var notCompiledKeys = map[[3]string]string{}

// notCompiledColumns are the columns of notCompiledKeys, by table.
var notCompiledColumns = map[string][]string{}

func init() {
	add := func(table, column, why string, keys ...string) {
		for _, key := range keys {
			notCompiledKeys[[3]string{table, column, key}] = why
		}
		notCompiledColumns[table] = append(notCompiledColumns[table], column)
	}
	add("Logical_Switch", "other_config", "multicast is flooded", "mcast_snoop", "mcast_querier", "mcast_flood_unregistered", "mcast_table_size",
		"mcast_idle_timeout", "mcast_query_interval", "mcast_query_max_response", "mcast_eth_src", "mcast_ip4_src", "mcast_ip6_src")
	add("Logical_Switch_Port", "options", "the port is one without it", "exclude-lb-vips-from-garp", "iface-id-ver",
		"mcast_flood", "mcast_flood_reports", "qos_burst", "qos_max_rate", "qos_min_rate", "vif-plug-mtu-request", "vif-plug-type",
		"vtep-logical-switch", "vtep-physical-switch", "hostname")
	add("Logical_Router", "options", "the router is one without it", "dnat_force_snat_ip", "lb_force_snat_ip", "snat-ct-zone")
	add("Logical_Router_Port", "options", "the port is one without it", "prefix_delegation", "prefix")
	add("NB_Global", "options", "the zone is one without it", "always_tunnel", "controller_event", "debug_drop_collector_set", "debug_drop_domain_id",
		"default_acl_drop")
}

// idle are documented keys that ask for nothing of govn: how ovn-northd does its
// work, and what it writes.
var idle = map[string]bool{
	"e2e_timestamp": true, "northd-backoff-interval-ms": true, "northd_probe_interval": true, "northd_trim_timeout": true,
	"use_logical_dp_groups": true, "use_parallel_build": true, "use_ct_inv_match": true, "svc_monitor_mac": true,
	"ignore_lsp_down": true, "northd_internal_version": true,
}
