// Package server is the interconnection's centre: it keeps the two databases by
// which zones find each other, OVN_IC_Northbound and OVN_IC_Southbound, and serves
// them by OVSDB, so that stock ovn-ic-nbctl, ovn-ic-sbctl and ovn-ic daemons work
// against it.
//
//	operator ---- ovn-ic-nbctl ----> OVN_IC_Northbound:  transit switches
//	zones    ---- ovn-ic ----------> OVN_IC_Southbound:  zones, gateways, ports, routes
//
// # Invariants
//
//   - Both databases are in one store, with one log: a transaction that was
//     answered is there after a crash.
//   - IC_NB_Global and IC_SB_Global have their row from the start.
//
// # Debugging
//
// The databases are the state: "ovn-ic-sbctl show", "ovsdb-client dump". Peers that
// are cut off are logged once each with the reason.
package server
