// Command bench measures what it takes to add one logical switch port, on
// govn and on stock OVN in one run, and writes a table in Markdown.
//
//	go run ./test/bench -switches 100 -ports 50 -chassis 2,20 -n 1000 -stock-n 50
//	go run ./test/bench -switches 1 -ports 30000 -chassis 2,20 -n 1000 -stock-n 5
//	go run ./test/bench -db FILE -chassis 2 -n 100 -stock-n 5
//
// FILE is a northbound database as ovsdb-server keeps it, which is loaded through
// OVSDB. With -profiles DIR the daemons of govn are profiled meanwhile. It needs
// root and Debian's packages of Open vSwitch and OVN (make deps).
//
// # What is measured
//
// The chassis run ovs-vswitchd with the dummy datapath: real OpenFlow tables, no
// packets. The northbound database is filled by raw OVSDB transactions with the
// switches and ports asked for, and every chassis has some of their ports. Then,
// one after the other, ports are added whose interface is plugged in on some
// chassis already, so that the chassis claims the port and installs its flows:
//
//	transact: insert the port, add it to its switch, nb_cfg + 1
//	   |
//	   |  from the first byte of the transaction on the northbound unix socket
//	   v
//	update: hv_cfg has reached nb_cfg      every chassis has installed it
//	update: the port is up                 its chassis has bound it
//
// Disk writes are synced in both systems. Processor time is that of the
// processes, from /proc, per port added; with stock OVN the databases count for
// northd. A cold start is northd ended by SIGKILL and started on its database,
// until a sync has reached all chassis; its CPU seconds are northd's by then
// (stock: without the databases, which run on). A chassis anew is one controller
// ended by SIGKILL and started without its cache, until a sync has reached it.
//
// Samples are few for stock OVN (-stock-n) where each takes long. The 99th
// percentile of few samples is their maximum.
//
// # Changes
//
//	go run ./test/bench changes -db FILE -n 100 -stock-n 3
//
// makes changes of each kind, one after the other, on a database with routers: a
// port, a switch, a router port with its switch port, a static route, a policy, a
// gateway chassis for a router port; a chassis, written to the southbound database
// as ovn-sbctl does it; an interface that gets the iface-id of a port; an option of
// NB_Global. All are at a switch that has a port on the first chassis, and at its
// router. Time counts from the first byte of the transaction to sb_cfg (northd is
// through) and hv_cfg (every chassis is); of a port that is claimed, until it is
// up.
//
// # Failover
//
//	go run ./test/bench failover -n 20
//
// brings four hypervisors with real Open vSwitch up (namespaces, the userspace
// datapath): a workload behind a distributed router, two gateways for its port on
// a provider network, a machine outside. Under a ping every 10 ms the active
// gateway's ovs-vswitchd is ended by SIGKILL, and started again when replies come
// through the other one. An outage is the longest time between two replies beyond
// the 10 ms; lost are the requests that were never answered. Failback is measured
// from the start of ovs-vswitchd until the router's MAC is behind the first gateway
// again, by the wire's own table, and replies have come for two seconds. Then the
// same with northd dead (of stock: ovn-northd and the two databases).
//
// # BFD
//
//	go run ./test/bench bfd -gateways 10,100
//
// counts the processor time of an ovs-vswitchd that has tunnels with BFD to that
// many endpoints, with the timers of OVN, those of govn, and fast ones.
//
// # The interconnection
//
//	go run ./test/bench ic -n 200 -stock-n 20
//
// links two zones, each a northd and a gateway on the dummy datapath: stock OVN
// joined by ovn-ic and two ovsdb-servers; govn joined by its agents to "govn ic
// server", over the two databases ("ovsdb") and over the service for zones of govn
// ("fabric"). A static route is inserted in one zone, and deleted when the other has
// it in its flows, one after the other. Time counts from the first byte of the
// transaction to the update of a monitor of the other northbound database, and to
// the event of the other gateway's Open vSwitch that tells of the flow.
//
// # Many zones
//
//	go run ./test/bench icscale -zones 50 -routes 200
//
// joins that many zones by one transit switch, each with that many static routes to
// tell the others. There is no Open vSwitch and no northd: each zone is the two
// databases, in memory, on the server of govn's store, with what northd and a
// gateway would have written. The interconnection is a process, and so are the
// agents, those of govn all together; stock is ovn-ic of each zone, and two
// ovsdb-servers. Measured are the time from the start of the agents until every
// zone's northbound has the routes of all others, with processor time and memory,
// and then, route after route, the time from its transaction in one zone until
// every other zone has it.
//
// # The store
//
//	go run ./test/bench ovsdb -db FILE
//
// runs workloads on ovsdb-server and on "govn db serve", the store of northd without
// its compiler, on a file database with the schema of OVN_Northbound: both servers
// in turn, each workload on a fresh database, three times, of which the run with the
// median time counts. The client is the same for both, raw JSON-RPC on unix sockets,
// which splits messages and does not parse them, so that it costs little. Durable
// means that every transaction has a "commit" operation with "durable": true, which
// both answer after the disk has it; not durable, that it has none, and that govn
// runs with --relaxed. p50 and p99 are of the time from the first byte of a request
// to the last of its reply; processor time is the server's for each request, or for
// the whole workload where it has one result. Then memory and start with large
// databases: three seconds after the last reply, killed and started again, until the
// first answer, and until one client has received everything.
package main
