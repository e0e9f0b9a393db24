package abi

// Version is the abi that this source describes.
const Version = 1

// OpenFlow tables of br-int. The way of a packet:
//
//	           +-------------+   output   +--------+    +-------+    +----------+
//	port --> 0 | ingress 8.. | ---------> |   37   | -> |   38  | -> |    39    |
//	           | pipeline    |            | remote |    | local |    | loopback |
//	           +-------------+            +--------+    +-------+    +----------+
//	                                    to a tunnel |       ^              |
//	                                                v       |              v
//	                                     tunnel --> 0 ------+       +-------------+
//	                                                                | egress 40.. |
//	                                 port <-- 65 <------ 64 <------ | pipeline    |
//	                                                       output   +-------------+
const (
	TablePhyToLog      = 0  // classify: in_port to datapath and logical port
	TableIngress       = 8  // logical ingress table 0; 29 of them
	TableRemoteOutput  = 37 // ports and groups with members on other chassis
	TableLocalOutput   = 38 // ports and group members on this chassis
	TableCheckLoopback = 39 // never back out of the port it came in by
	TableEgress        = 40 // logical egress table 0; 24 of them
	TableSaveInport    = 64 // packets that may leave by their ingress port
	TableLogToPhy      = 65 // logical port to OpenFlow port
	TableMACBinding    = 66 // get_arp, get_nd: reg15 and reg0 or xxreg0 to eth_dst
	TableMACLookup     = 67 // lookup_arp, lookup_nd: reg14, reg0 or xxreg0, and eth_src known?
	TableGetFDB        = 71 // eth.dst to the port it was learned on
	TableLookupFDB     = 72 // eth.src known on this port?
	TableInPortSec     = 73 // port security on what a port sends
	TableInPortSecND   = 74 // the ARP and ND part of it
	TableOutPortSec    = 75 // port security on what a port receives
	TableECMPNextMAC   = 76 // chk_ecmp_nh_mac: connection known to have come from this eth.src? Open vSwitch learns it
	TableECMPNext      = 77 // chk_ecmp_nh: reply of a connection that came by one of several routes? Open vSwitch learns it

	IngressTables = TableRemoteOutput - TableIngress
	EgressTables  = TableSaveInport - TableEgress
)
