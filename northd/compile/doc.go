// Package compile is the program that the incremental engine runs: which
// queries there are, what they read, and what they emit.
//
//	store --> topology.Reader --> queries --> sinks --+--> Rows      southbound rows
//	 (cells touched by commits)                       +--> Units     bodies in datapaths
//	                                                  +--> Items     what else chassis hold
//	                                                  +--> Bindings  port to chassis
//	                                                  +--> Chassis   how to reach them
//	                                                  +--> Links     datapaths that patches connect
//	                                                  +--> Up        Logical_Switch_Port.up
//
// The unit is what one object contributes. A port's unit does not read other
// ports, nor does its switch's: what a switch has to know of all its ports ("is
// there one with unknown addresses?") is a relation that the ports insert into.
//
// # Invariants
//
//   - incremental(state, change) = full(state + change), byte for byte.
//   - The number of queries that a change of one port runs does not depend on
//     the number of ports or switches.
//   - Every unit names the northbound objects that it comes from.
//   - An object that cannot be used emits nothing and has a status; see
//     [Program.Errors].
package compile
