// Package agent joins a zone to the interconnection, as ovn-ic(8) does: it reads
// the databases of the zone and those of the interconnection, and keeps in each
// what follows from the others.
//
//	zone: OVN_Northbound, OVN_Southbound       OVN_IC_Northbound, OVN_IC_Southbound
//	          |                                             |
//	          +---------- replica ------ input -------------+
//	                                       |
//	                                    program           what each is to have
//	                                       |
//	                                    writer            one transaction a database
//
// A transit switch becomes a logical switch; a router's port on it is told to the
// other zones, with the gateway that hosts it, and theirs become ports of type
// remote; gateways of others become chassis; routes are advertised and learned as
// the options of NB_Global say (ovn-nb(5), ic-route-*).
//
// # Invariants
//
//   - What is to be written is a function of the rows alone (pkg/incr): a change
//     costs what it changes. There is no handler for a kind of change.
//   - The writer looks at both sides of a row, what is and what is wanted, whenever
//     either changes; so what others change is set right, and a restart writes
//     nothing.
//   - Nothing is written before every database was seen whole. While one is away,
//     what it said last counts: nothing is unlearned because a connection was lost.
//   - Rows of other zones are never written.
//
// # Debugging
//
// A row that a database refuses, or whose name something else has, is logged once
// with the reason and tried again every second.
package agent
