// Package pipeline says what the logical network does with a packet: one
// [Feature] a file, each a few logical flows in OVN's own notation.
//
// A flow is a typed value: a stage, a priority, a match and actions. Matches
// and actions are templates that were parsed and checked once, when the program
// started; a row of the database only fills their holes. Nothing is printed or
// parsed per row. Text is made on demand, for the Logical_Flow table.
//
// # Scope
//
// A feature adds flows in some of these places, and the place decides who gets
// them:
//
//	Switch    every chassis with the datapath; the same for all switches that
//	          look the same, so that one compiled body serves them all
//	Port      every chassis with the datapath
//	Resident  only the chassis that the port is bound to, or, of a port that is
//	          bound to none (localnet, localport), each one that it is on:
//	          whatever matches on the port as inport, or as outport in the
//	          egress pipeline
//	Router          every chassis with the router; one body for all of one shape
//	RouterPort      every chassis with the router
//	RouterNeighbour every chassis with the router: a port of a switch that a port
//	                of the router is on
//
// Objects that a router has many of (routes, policies) have a query of their own
// in package compile, which makes the flows with [Collect].
//
// # Invariants
//
//   - The flows of an object depend on nothing but the facts handed in.
//   - Stages and symbols are those that OVN 23.03 knows, with at most 29
//     ingress tables, so that its ovn-trace can read them.
package pipeline
