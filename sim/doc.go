// Package sim runs whole networks of hypervisors in one process, without root
// and without Open vSwitch: a northd, and for each chassis an Open_vSwitch
// database, a software switch and govn's own controller.
//
//	Zone: northd <--gRPC-- controller --OVSDB--> Open_vSwitch rows (database.go)
//	        ^              (unchanged)                  |
//	        | OVSDB            |                    vswitchd.go: bridges, ports
//	   ovn-nbctl               +--OpenFlow--> sim/vswitch: flow tables
//	                                                    |
//	  Station ----------- frames ----------------> Network.process
//	  (workloads)                                       |
//	     ^                                    encapsulate (Geneve, underlay.go)
//	     |                                              |
//	     +------------- other chassis <--- wire, faults, captures
//
// A lab file may have several zones: each is a Zone with chassis of its own, and
// [Centre] has the interconnection's server and an agent for each.
//
// The controllers and northd are the real ones and talk over unix sockets as
// they do elsewhere; stock tools can connect to the same sockets. What is
// simulated is the switch (package vswitch), the hosts and the time that packets
// take.
//
// # Contract
//
// [New] makes a network, [StartZone] a northd; [Start] brings a lab file up with
// both. Workloads send by [Station.Send] and [Station.Ping]. Packets move only
// while [Network.Run] or Ping is at work, in the order of simulated time and on
// one goroutine: a scenario gives the same packets, captures and ways whenever
// it is run. Control traffic takes real time; [Zone.Settle] waits until
// every chassis has installed what was committed, as "ovn-nbctl --wait=hv sync"
// does. A packet that waits for a controller's answer gets a quarter of a second
// of real time.
//
// # Invariants
//
//   - The controller cannot tell a simulated chassis from a real one.
//   - What is on the underlay is bytes with all outer headers; the receiver knows
//     nothing but those bytes.
//   - Close ends every goroutine and removes every file that was made.
//
// # Debugging
//
// [Options.Trace] keeps what happens in the flow tables; [Scenario.Explain] names
// it, and "govn sim run" prints it. Options.Logger at debug level shows every
// transaction and OpenFlow message. The sockets are in [Network.Dir]:
// "ovs-ofctl -O OpenFlow15 dump-flows DIR/hv1/br-int.mgmt" and "ovs-vsctl
// --db=unix:DIR/hv1/db.sock show" work while the network is up.
package sim
