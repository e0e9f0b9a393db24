// Package ovstest starts a private Open vSwitch for a test: an ovsdb-server, an
// ovs-vswitchd and one bridge, in a temporary directory, with no fixed ports.
//
//	ovs := ovstest.Start(t, ovstest.Options{})
//	ovs.DB          // unix:DIR/db.sock     the Open_vSwitch database
//	ovs.RunDir      // DIR                  pidfiles, logs and control sockets
//	ovs.Mgmt        // unix:DIR/br-int.mgmt OpenFlow of the bridge
//	ovs.Ofctl("dump-flows")                 // ovs-ofctl -O OpenFlow15 dump-flows MGMT
//	ovs.Vsctl("add-port", "br-int", "p1")
//
// # Datapaths
//
// By default ovs-vswitchd runs its dummy datapath (--enable-dummy=override,
// --disable-system): real OpenFlow tables and real ofproto/trace, but ports are
// only names and no privilege is needed. With Options.Datapath "netdev" the
// user-space datapath runs on real interfaces, in the namespace of the test
// process.
//
// # Faults
//
// StopVswitchd asks politely, KillVswitchd sends SIGKILL, StartVswitchd starts it
// again on the same database; the same bridge comes back without its flows.
//
// # Cleaning up
//
// The processes stay in the foreground as children of the test; they are ended
// by their own process handle when the test ends, and the directory goes with
// them. When a test failed, the end of ovs-vswitchd's log is written to the test's
// log first.
package ovstest
