// Package physical computes the flows of one host: what a chassis knows and
// northd does not, joined with the items that northd sent.
//
//	items (PORT, CHASSIS, UNIT, BODY, FDB) --+
//	interfaces by iface-id, tunnels, patches +--> units of pkg/incr --> flows, by owner
//	conntrack zones, learned MACs, name -----+          |
//	        ^                                           v
//	        +---- zones of ports that came  <---- placements (second pass)
//	              members of groups
//
// A round has two passes. The first one places the ports: here, behind a tunnel,
// behind the physical network of their switch, or nowhere. What follows from the
// placements as a whole, the conntrack zones and the members of multicast groups,
// is updated from the differences, and the second pass evaluates the units that
// read it.
//
// # Contract
//
// The setters take levels and may be repeated. [Host.Round] evaluates and returns
// the flow sets that changed, each under the name of its owner. Nothing here has
// a change handler: every flow is emitted by a unit that reads its inputs by
// cell.
//
// # Invariants
//
//   - The flows depend on the inputs alone, not on the order in which they came,
//     but for zones, which stay as they are given.
//   - Work is in proportion to the difference; a group's flow is rebuilt when a
//     member on this host or a host with members comes or goes.
//
// # Debugging
//
// Every flow has a Note that says which object it is of; the controller's
// debug/flows prints them.
package physical
