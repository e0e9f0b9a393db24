// Package controller is the agent of one chassis: it keeps one Open vSwitch
// programmed with exactly what northd wants there.
//
//	northd --frames--> stream --> state (items, digest) --+
//	                                                      v
//	ovsdb-server <---> vswitch (interfaces, config) --> physical (units) --> desired flows
//	                      ^                                                      |
//	                      | tunnels, patches, zones, ovn-installed               v
//	ovs-vswitchd <------- OpenFlow: TLV map, one bundle <------------------- flows (installer)
//	      |
//	      +---- packet-ins --> punt (one file per protocol) --> learned MACs --> physical, reports
//
// One goroutine, the loop of [Run], owns all of the state; the others (the
// OVSDB client, the gRPC stream, the OpenFlow connection) only bring it events
// and take work from it. There are no change handlers: an event marks the
// inputs that it changes, and the units of package physical that read them run
// again.
//
// # Order
//
// A round takes everything that has arrived, evaluates the units once, and then
// applies: ports and tunnels in Open_vSwitch, the TLV map, one bundle of flows;
// then, in one transaction, what follows from the flows (zones, ovn-installed,
// removals of tunnels), and the ack. A revision is acked when its flows
// are in and the tunnels that it needs have their OpenFlow ports.
//
// # Invariants
//
//   - Nothing is removed from Open vSwitch before the first complete state is
//     there (from northd, or from the cache of the last one).
//   - Flows stay when the controller ends, and when northd is away.
//   - Bridges, ports, flows and mappings that are not its own are not touched.
//   - A body that Open vSwitch refuses is left out and reported; all others are in.
//   - It never imports northd.
//
// # Debugging
//
// The control socket answers status, flows and explain (what is installed, why,
// with counters), connection-status, ct-zone-list, debug/flows and debug/groups (what is wanted), debug/quarantine and debug/dump-items. Logs name the object
// and the revision.
package controller
