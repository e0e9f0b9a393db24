// Package flows brings Open vSwitch to the flows that a chassis wants.
//
//	units, owners --Set--> Table: desired (openflow.FlowSet)
//	                         |  Diff: dirty keys, or all of them after a connect
//	                         v
//	                       messages --Switch/Session--> one bundle --> ovs-vswitchd
//	                         ^                                            |
//	                         +--- Committed / what a dump says <----------+
//
// # Contract
//
// [Switch] keeps a connection to the bridge, negotiates the map of Geneve options
// and reads what is installed; an Up event carries that. [Table] knows what is
// wanted and what is installed, and gives the difference as OpenFlow messages.
// A difference is forgotten only when it has been committed.
//
// Flows are compared by table, priority, canonical match and cookie, never by
// their actions: Open vSwitch gives actions back in a normal form of its own, and
// the lower half of a cookie is a hash of them. What compares equal is not
// touched; what differs is replaced by an ADD, which keeps counters. Groups have
// no cookie: [Groups] knows those that are govn's by their ids and compares what
// they do. New and changed groups go before the flows of a bundle, deletions after
// them.
//
// # Invariants
//
//   - Only flows with an owner of package abi in their cookie are deleted, and
//     groups with an id of [abi.OwnGroup].
//     Flows of [abi.OwnerSwitched] are Open vSwitch's own and stay.
//   - Nothing is deleted while pruning is off.
//
// # Debugging
//
// [Table.Wanted] lists what is wanted, with sources; the switch logs each change
// of its connection.
package flows
