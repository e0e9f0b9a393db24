// Package vswitch is a software switch: it speaks OpenFlow 1.5 with the
// extensions of Open vSwitch, and forwards packets as ovs-vswitchd 3.1 does, as
// far as govn's controller and pipeline need it. Controllers cannot tell the
// difference.
//
//	controller, ovs-ofctl                       other switches, workloads
//	        |  OpenFlow 1.5                               ^
//	        v                                             | Output{port, bytes, tunnel}
//	    Serve (one per connection)                        |
//	        |                                             |
//	        v                                             |
//	    flow tables, groups, meters, TLV map <------- Process(Packet{port, bytes, tunnel})
//	        |                                             |
//	        +----- packet-in, flow-removed <--------------+
//
// # Contract
//
// A [Bridge] has no sockets, threads or timers of its own: packets come in and
// go out by Process, connections are served by whoever calls Serve, flows expire
// when Expire is called. Time is Options.Now. Every method can be called from
// several goroutines; one packet sees the flows before or after a bundle, never
// in between.
//
// Packets are Ethernet frames without FCS. Output bytes are never shared with
// the input or with one another. Checksums of IP, TCP, UDP, SCTP and ICMP
// follow the fields that actions change; checksums that were wrong stay wrong.
//
// # Tables
//
// A flow table is a tuple space: a hash table for every distinct mask of the
// flows in it, so that a lookup costs as many probes as there are masks, however
// many flows there are.
//
// # Judges
//
// Tests send the same messages, good and bad, and the same packets to this
// switch and to a real ovs-vswitchd 3.1 with its dummy datapath, and compare
// replies, dumps and output bytes: by hand-made corners, by random flows, and by
// the flows that govn itself installs. ovs-ofctl prints every message.
//
// Differences that are known: which bucket of a select group a packet takes,
// and which port a translation that may choose gets, are decided by another
// hash; sequence numbers of TCP are not judged; fragments are not reassembled
// for connection tracking; of instructions and actions that govn does not use
// (MPLS, NSH, sample, encap, bundles of port modifications) there are none; of
// tun_metadata there are the fields 0 to 7, of four bytes.
//
// # Debugging
//
// Process fills a [Trace] with what happened to the packet; its String reads
// like ofproto/trace. DumpFlows prints what ovs-ofctl dump-flows prints.
// Options.Logger at debug level gets a line per message.
package vswitch
