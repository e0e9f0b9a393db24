// Package oracle asks several engines what happens to a packet and compares
// the answers.
//
//	lab file            seed, n
//	   |                   |
//	   v                   v
//	 labs up          microflows ----+-------------------+-------------------+
//	(govn, stock)                    v                   v                   v
//	                             ovn-trace          ofproto/trace       ofproto/trace
//	                          on govn's SB db      on govn's br-int    on stock's br-int
//	                                 |                   |                   |
//	                                 +------ verdicts ---+-------------------+
//	                                             |
//	                                         differences
//
// A microflow is one packet that enters at a logical port. Its verdict is the
// set of outputs: the logical port (the iface-id, wherever it is), and the
// fields that differ from the packet as it came in. What an engine does in
// between, its tables and registers, does not count, so that a bug of one
// compiler shows as a difference to the other.
//
// # Engines
//
// [OVNTrace] runs stock ovn-trace as a daemon on a southbound database.
// [OFProto] runs "ofproto/trace" in ovs-vswitchd of the ingress chassis, reads
// the datapath actions, and carries a tunnelled copy on to the chassis at the
// other end: a trace there that starts at its tunnel port, with the VNI and the
// Geneve option of the header.
//
// Packets handed to a controller are an output to the controller: with a kind
// ("nd_na") if it answers or continues the packet, not at all if it only learns
// from a copy. An ovn-trace block such as "nd_na { ... }" and a punt of that kind
// agree.
//
// # Routers
//
// Routers come from the nbctl commands of a topology: from lrp-add the generator
// knows what to send to them, from lr-route-add and lr-policy-add where to.
//
// A select group has no one verdict: an [Answer] has one for each way that the
// packet can go. ovn-trace is asked with each --select-id, ofproto/trace with each
// bucket of the groups left alone; the simulator takes one way, which must be
// among those of the others.
//
// What a judge cannot judge is left to the others, by a proof in each case: a
// [Quirk] that the packet fits, an assertion of ovn-trace that failed, a line of
// the trace (such as is_chassis_resident, which ovn-trace takes for true). The
// report counts these by cause.
//
// [Random] makes whole networks by a seed; "go test -tags e2e -run TestOracleRandom
// -seed 79 -topologies 30 ./test/e2e" compares thirty, and prints those that differ
// as lab files.
//
// # Debugging
//
// A [Difference] prints the microflow in the syntax of both tools, ready to be
// pasted after "ovn-trace SWITCH" and "ofproto/trace br-int".
package oracle
