package abi

// Registers. Logical reg0 to reg9 are Open vSwitch's reg0 to reg9; they are
// zero at the start of the egress pipeline and of another datapath.
const (
	RegLogical0   = 0  // reg0 .. reg9: the logical registers
	RegFlags      = 10 // logical flags, bits below
	RegDNATZone   = 11 // conntrack zone of the datapath for DNAT (routers)
	RegSNATZone   = 12 // conntrack zone of the datapath for SNAT (routers)
	RegZone       = 13 // [0..15] conntrack zone of the logical port
	RegInport     = 14 // logical ingress port key
	RegOutport    = 15 // logical egress port key, or multicast group key
	LogicalRegs   = 10 // how many of them
	TunMetadataID = 0  // tun_metadata0 carries the OVN Geneve option
)

// Bits of the flags register (logical field "flags").
const (
	FlagAllowLoopback = 0  // flags.loopback: may leave by its ingress port
	FlagLocalOnly     = 4  // never to another chassis
	FlagNested        = 5  // came from a nested port
	FlagLookupMAC     = 6  // result of table 67: the address is known, with this Ethernet address
	FlagLookupFDB     = 8  // result of table 72
	FlagLocalport     = 10 // came from a localport
	FlagPortSec       = 12 // result of tables 73 to 75: 1 means drop
	FlagECMPNext      = 13 // result of tables 76 and 77
	FlagFromTunnel    = 16 // came in by a tunnel
	FlagLookupIP      = 26 // result of table 67: the address is known
	FlagOverlay       = 27 // came from a port on several chassis: through tunnels, though a localnet port leads there
)

// Bits of the mark and the label of a connection. They outlive upgrades: a bit
// that is here keeps its meaning for ever. The logical language has names for them
// (package logical).
const (
	MarkECMPReplyPort  = 16 // ct_mark.ecmp_reply_port, 16 bits: key of the router port that the connection came in by
	LabelECMPReplyEth  = 32 // ct_label.ecmp_reply_eth, 48 bits: Ethernet address that it came from
	WidthECMPReplyPort = 16
	WidthECMPReplyEth  = 48
)
