// Package southbound keeps the OVN_Southbound database: the rows that the
// compiler emits, and what the chassis report.
//
//	start ---> WriteRoles --> RBAC_Role, RBAC_Permission
//	compiler --> Writer ----> Datapath_Binding, Port_Binding, Multicast_Group, SB_Global
//	fabric   --> Registry --> Chassis, Chassis_Private, Encap, Port_Binding:chassis,up, FDB
//
// A port is bound to the chassis that reports an interface with its name; of
// several, to the one that saw it last. It is up when that chassis has
// acknowledged a revision that holds its flows.
//
// # Invariants
//
//   - The Writer writes a column only where its value differs, so a restart of
//     northd writes nothing.
//   - The identity of a row follows from the northbound row it stands for.
//   - Reports are levels: telling the same thing twice changes nothing.
package southbound
