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
// # Zones
//
// A lab may have several zones, linked by transit switches: each has its control
// plane on a node with the zone's name, and all share the two networks. The node
// "ic" runs what they find each other by, and each zone's node an agent:
//
//	LAB-east: northd, agent ----+                +---- agent, northd: LAB-west
//	   | worker_east            +-- LAB-ic: -----+         | worker_west
//	   | gw_east                    ic server              | gw_west
//
// Zones, their agents and the interconnection are of govn or of stock OVN, each by
// itself. [Lab.Central] is the control plane of a zone with its tools, by
// [Lab.ICNbctl] and [Lab.ICSbctl] one talks to the interconnection:
//
//	l.Central("west").Nbctl(ctx, "lr-route-list", "router_west")
//	l.Exec(ctx, "vm1", "ping", "-c", "1", "192.168.2.10")
//	l.ICSbctl(ctx, "show")
//	l.Signal("ic", "server", unix.SIGKILL); l.Start(ctx, "ic", "server")
//	l.Cut(ctx, "west", "ic"); l.Mend(ctx, "west", "ic")
//
// Daemons are "northd" and "agent" of a zone ("nb" and "sb", too, of a stock one),
// "server" of "ic" ("icnb" and "icsb" of a stock one). Up returns when each zone
// has learned the routes that its file says.
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
// A program that builds labs for a while, such as a test, does it in [Guarded]: then
// they go with it, even where it is killed.
//
// # Debugging
//
// Each node has a folder in the run directory: DIR/hv1/vswitchd.log,
// DIR/central/northd.log and so on. Sockets lie there too:
// "ovs-appctl -t DIR/hv1/vswitchd.ctl", "ovn-nbctl --db=unix:DIR/central/nb.sock".
package lab
