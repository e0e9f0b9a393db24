// Package punt answers the packets that the flows of a chassis send to its
// controller.
//
//	controller(userdata=00.01...) --> Packet --> Admit --queue--> Dispatch --by opcode--> handler
//	                                              |                                         |
//	                                              +--> limits by port and opcode            +--> Hold: packets
//	                                              +--> counters                                  that wait for a next hop
//
// # Contract
//
// The first two bytes of the userdata are an opcode of package abi; each has one
// handler, in a file of its own. Handlers run on the controller's loop, do not
// block and return facts; what becomes of the facts (flows, reports) is the
// controller's. Packets are taken at a bounded rate for each port and opcode,
// before they are queued, and what handlers keep is bounded: a flood from a
// workload costs a fixed share of the host and no more, and takes nothing from
// the share of others.
//
// # Invariants
//
//   - No packet makes a handler panic or its memory grow without bound.
//   - A packet that is not understood is counted and dropped.
//
// # Debugging
//
// [Dispatcher.Counters] tells, by opcode, what came, what was limited and what
// was malformed; metrics govn_punt_packets_total has the same. [Hold.Waiting]
// lists the next hops that packets wait for.
package punt
