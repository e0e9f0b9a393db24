// Package agent joins a zone to the interconnection, as ovn-ic(8) does: it reads
// the databases of the zone and what the interconnection has, and keeps in each
// what follows from the others.
//
//	zone: OVN_Northbound, OVN_Southbound    the interconnection: its service (proto/ic),
//	          |                             or OVN_IC_Northbound, OVN_IC_Southbound
//	          |                                             |
//	          +---------- replica ------ input -- centre ---+
//	                                       |
//	                                    program           what each is to have
//	                                       |
//	                              writer, publisher       one transaction a database, one message
//
// A transit switch becomes a logical switch; a router's port on it is told to the
// other zones, with the gateway that hosts it, and theirs become ports of type
// remote; gateways of others become chassis; routes are advertised and learned as
// the options of NB_Global, routers and router ports say (ovn-nb(5), ic-route-*).
// A route that is not has a Reason.
//
// # Invariants
//
//   - What is to be written is a function of the rows alone (pkg/incr): a change
//     costs what it changes. There is no handler for a kind of change.
//   - The writer looks at both sides of a row, what is and what is wanted, whenever
//     either changes; so what others change is set right, and a restart writes
//     nothing.
//   - Rows come as differences from the guard of a connection (pkg/ovsdb), each is
//     kept once and never changed; a router's routes are a tree, as there may be
//     thousands in one column. Nothing is done per batch to all that waits.
//   - Nothing is written before every database was seen whole. While one is away,
//     what it said last counts: nothing is unlearned because a connection was lost.
//   - Rows of other zones are never written.
//   - One transaction at a time is without an answer for each database, and none
//     waits for another database. The centre is told everything on a new stream, then
//     differences, one after the other's answer.
//   - The zone is an identity of 128 bits in NB_Global:external_ids, made at the first
//     start, and a row of the interconnection. Its name may change.
//   - Where the service says which zone was first with a prefix, a router uses no other
//     zone's, unless it is to share (govn-ic-route-ecmp).
//   - What a centre sends is checked before it is used: a row that makes no sense is
//     left out and logged, a message that nobody may send ends the stream.
//
// # Debugging
//
// A row that a database refuses, or whose name something else has, is logged once
// with the reason and tried again every second; a transaction without an answer is
// logged once for its database and made again a second later. What the centre refuses is logged
// once and stands in the status, as does each route that is not used: ic/status and
// ic/conflicts of the control socket, govn ic status.
package agent
