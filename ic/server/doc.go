// Package server is the interconnection's centre: it keeps the two databases by
// which zones find each other, OVN_IC_Northbound and OVN_IC_Southbound, serves them
// by OVSDB, so that stock ovn-ic-nbctl, ovn-ic-sbctl and ovn-ic daemons work against
// it, and serves zones of govn by gRPC (proto/ic). Each sees the other.
//
//	operator ---- ovn-ic-nbctl ----> OVN_IC_Northbound:  transit switches
//	zones    ---- ovn-ic ----------> OVN_IC_Southbound:  zones, gateways, ports, routes
//	   |                                 ^          |
//	   |  Publish      one transaction   |          |  commits
//	   +---------> stream.write ---------+          v
//	   |  Update                                   hub: what each zone may know,
//	   +<--------- stream.send <------ differences      and what changed of it
//
// [Centre] follows the store. For each row that changes, the hub notes with each
// stream whether its zone is concerned; the stream sends what is noted when it gets
// to it. What a zone publishes is kept by its stream, which brings the databases to
// it and looks again at whatever someone else changes.
//
// # Contract
//
//   - A zone is its id, 16 bytes, for ever. Its row keeps its UUID when the zone is
//     renamed, comes back, or the centre restarts; so do its ports and their keys.
//   - Rows belong to the zone that wrote them: by gRPC to the id, bound to the name
//     of the certificate where there is one; by OVSDB to the connection that first
//     wrote as the zone (ovsdb.Authorizer). Unix sockets are the operator's.
//   - A zone of which nothing is heard for a lease loses its routes, and nothing
//     else. Zones of OVN are held by their connections (lease.go, owner.go).
//   - A transit switch that names zones (other_config:zones) is for those only.
//   - Routes are numbered in the order in which they were first seen.
//
// # Invariants
//
//   - All databases are in one store, with one log: a transaction that was answered
//     is there after a crash, and nothing is told that could be taken back.
//   - What a zone is told is exactly what the databases have for it; a test does
//     random things and compares.
//   - A route costs each stream that route. Nothing is computed anew but where an
//     operator changes who may join a switch: then the switch's rows are looked at.
//   - A stream holds at most CentreOptions.MaxBacklog items; one that reads too
//     slowly gets everything again, and is ended when it does not read at all.
//   - What a zone publishes is held in memory up to CentreOptions.MaxItems and
//     MaxBytes, and decoded only where it has not too many fields (rpc.Codec).
//   - Locks are taken in this order: hub, store, registry, wishes of a stream.
//   - IC_NB_Global and IC_SB_Global have their row from the start.
//
// # Debugging
//
// The databases are the state: "ovn-ic-sbctl show", "ovsdb-client dump". The control
// socket has ic/zones (who is alive, by what, and what was refused), ic/switches and
// ic/conflicts; metrics begin with govn_ic_. Peers that are cut off are logged once
// each with the reason.
package server
