package southbound

import (
	"context"
	"fmt"

	"govn/pkg/ovsdb"
)

// permission is a row of RBAC_Permission (ovn-sb(5)).
type permission struct {
	// authorization are the columns that must hold the client's name; "" lets
	// everybody.
	authorization []string
	insertDelete  bool
	update        []string
}

// RoleController is the role of a chassis' controller, for the role column of a
// Connection row.
const RoleController = "ovn-controller"

// controllerRole is what a stock ovn-controller writes, by table, as ovn-northd
// lets it.
var controllerRole = map[string]permission{
	"BFD":              {[]string{""}, false, []string{"status"}},
	"Chassis":          {[]string{"name"}, true, []string{"encaps", "external_ids", "nb_cfg", "other_config", "transport_zones", "vtep_logical_switches"}},
	"Chassis_Private":  {[]string{"name"}, true, []string{"chassis", "external_ids", "nb_cfg", "nb_cfg_timestamp"}},
	"Controller_Event": {[]string{""}, true, []string{"chassis", "event_info", "event_type", "seq_num"}},
	"Encap":            {[]string{"chassis_name"}, true, []string{"ip", "options", "type"}},
	"FDB":              {[]string{""}, true, []string{"dp_key", "mac", "port_key"}},
	"IGMP_Group":       {[]string{""}, true, []string{"address", "chassis", "datapath", "ports"}},
	"MAC_Binding":      {[]string{""}, true, []string{"datapath", "ip", "logical_port", "mac", "timestamp"}},
	"Port_Binding":     {[]string{""}, false, []string{"additional_chassis", "additional_encap", "chassis", "encap", "options", "up", "virtual_parent"}},
	"Service_Monitor":  {[]string{""}, false, []string{"status"}},
}

// WriteRoles makes the tables RBAC_Role and RBAC_Permission what they are to be:
// the role of a controller, and no other.
func WriteRoles(ctx context.Context, store *ovsdb.Store, sb *ovsdb.DatabaseSchema) error {
	roles, permissions := sb.Table("RBAC_Role"), sb.Table("RBAC_Permission")
	_, err := store.Update(ctx, sb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		keep := make(map[ovsdb.UUID]bool)
		byTable := ovsdb.MapOf()
		for table, p := range controllerRole {
			u := named("rbac-permission", RoleController+"\x00"+table)
			putRow(tx, permissions, u, map[string]ovsdb.Value{
				"table": table, "authorization": setOf(p.authorization), "insert_delete": p.insertDelete, "update": setOf(p.update),
			})
			byTable, keep[u] = byTable.With(table, u), true
		}
		role := named("rbac-role", RoleController)
		putRow(tx, roles, role, map[string]ovsdb.Value{"name": RoleController, "permissions": byTable})
		keep[role] = true
		for _, t := range []*ovsdb.TableSchema{roles, permissions} {
			for row := range tx.Rows(t) {
				if !keep[row.UUID()] {
					tx.Delete(t, row.UUID())
				}
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing the roles: %w", err)
	}
	return nil
}

func setOf(list []string) ovsdb.Set {
	s := ovsdb.NewSet()
	for _, e := range list {
		s = s.With(e)
	}
	return s
}
