// Package lab builds small networks of real hypervisors on one machine: every
// hypervisor is a network namespace with an Open vSwitch of its own (userspace
// datapath, so no kernel module is needed), every workload a namespace with a
// veth into its hypervisor's br-int.
//
//	            namespace LAB-fabric
//	       +--------------------------------+
//	       |  br-u (underlay)   br-m (mgmt) |
//	       +---+-------+----------+---+---+-+
//	  hv1-u    |       | hv2-u    |   |   | central-m
//	+----------+--+  +-+----------++  |  ++---------------------+
//	| eth0        |  | eth0        |  |  | mgmt                 |
//	| br-phys     |  | br-phys     |  |  | northd, databases    |
//	|   encap IP  |  |   encap IP  |  |  | namespace LAB-central|
//	| br-int      |  | br-int      |  |  +----------------------+
//	| LAB-hv1     |  | LAB-hv2     |  |
//	+--+----------+  +--+----------+
//	   | veth           | veth
//	+--+----------+  +--+----------+
//	| LAB-vm1     |  | LAB-vm2     |
//	+-------------+  +-------------+
//
// # Control planes
//
// A lab runs either govn ("control: govn": one govn northd, one govn
// controller per chassis) or stock OVN ("control: stock": two ovsdb-servers,
// ovn-northd, one ovn-controller per chassis) over the same topology, so that
// the two can be compared.
//
// # Dummy chassis
//
// A chassis with "datapath: dummy" has no namespace: its ovs-vswitchd runs the
// dummy datapath, its workloads are ports without anything behind them. Its
// OpenFlow tables are real and its tunnels are set up for native tunnelling,
// so ofproto/trace shows the Geneve header; packets do not flow. About 28 MB a
// chassis.
//
// # State
//
// Everything a lab owns is in its run directory (pidfiles, sockets, logs,
// databases, captures, state.json) and in namespaces whose names begin with
// the lab's name. The names are written to state.json before anything is
// created, so Down works from another process and after a crash of any part.
// Down ends processes by pid, and only those whose command line names the run
// directory or that live in one of the lab's namespaces.
//
// # Debugging
//
// Each node has a folder in the run directory: DIR/hv1/vswitchd.log,
// DIR/central/northd.log and so on. Sockets lie there too:
// "ovs-appctl -t DIR/hv1/vswitchd.ctl", "ovn-nbctl --db=unix:DIR/central/nb.sock".
package lab
