package southbound

import "govn/pkg/ovsdb"

// northdOwns are the southbound columns whose only writer is northd. All
// others are a chassis' or a client's to write (ovn-sb(5)); ovn-sbctl writes
// some that chassis own too, such as Port_Binding:chassis in lsp-bind.
var northdOwns = map[string][]string{
	"SB_Global":          {"nb_cfg"},
	"Logical_Flow":       {"*"},
	"Datapath_Binding":   {"tunnel_key", "type", "nb_uuid"},
	"Port_Binding":       {"logical_port", "type", "datapath", "tunnel_key", "mac", "port_security", "parent_port", "tag", "nat_addresses"},
	"Multicast_Group":    {"*"},
	"BFD":                {"src_port", "disc", "logical_port", "dst_ip", "min_tx", "min_rx", "detect_mult", "chassis_name"},
	"Static_MAC_Binding": {"*"},
	"HA_Chassis_Group":   {"name", "ha_chassis"},
	"HA_Chassis":         {"chassis", "priority"},
	"RBAC_Role":          {"*"},
	"RBAC_Permission":    {"*"},
}

// Owner is who may write a column of the southbound database.
func Owner(c *ovsdb.ColumnSchema) ovsdb.Owner {
	for _, name := range northdOwns[c.Table.Name] {
		if name == "*" || name == c.Name {
			return ovsdb.OwnerNorthd
		}
	}
	return ovsdb.OwnerClient
}

// InsertDelete is who may add and remove rows of a southbound table.
func InsertDelete(t *ovsdb.TableSchema) ovsdb.Owner {
	switch t.Name {
	case "Logical_Flow", "Datapath_Binding", "Port_Binding", "Multicast_Group", "BFD", "Static_MAC_Binding", "HA_Chassis_Group", "HA_Chassis",
		"RBAC_Role", "RBAC_Permission":
		return ovsdb.OwnerNorthd
	}
	return ovsdb.OwnerClient
}
